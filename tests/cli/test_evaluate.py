"""The command a user runs first."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.kit import PARTIAL, contents, edit, ran, read_json, run, words
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.record import load_record, save_record, shortened


def test_first_run() -> None:
    done = run("evaluate", "char-ngrams")
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) <= 20
    assert all(len(line) <= 80 for line in lines)
    assert [line.split()[0] for line in lines[3:6]] == ["monolingual", "cross-lingual", "multilingual"]
    assert "query languages by multilingual MAP, best first" in done.out
    assert "random" in done.out
    assert lines[-1] == "record: results/char-ngrams/mini.json"
    assert Path("results/char-ngrams/mini.json").is_file()
    assert Path("results/char-ngrams/mini.ranks.parquet").is_file()
    full = run("evaluate", "char-ngrams", "--full")
    assert "Mo." in full.out
    assert "weakest query languages by map" in full.out
    assert all(len(line) <= 100 for line in full.out.splitlines())


def test_a_record_that_answers_is_shown() -> None:
    first = run("evaluate", "char-ngrams", "--languages", "de,en", "--json")
    place = Path("results/char-ngrams/mini.json")
    before = place.stat().st_mtime_ns
    again = run("evaluate", "char-ngrams", "--languages", "de,en", "--json")
    assert again.code == 0
    assert "answers this (--overwrite evaluates again)" in words(again.err)
    assert again.out == first.out
    assert run("evaluate", "char-ngrams", "--languages", "de,en", "--quiet").out == f"{place}\n"
    assert place.stat().st_mtime_ns == before
    assert run("evaluate", "char-ngrams", "--languages", "de,en", "--overwrite").code == 0
    assert place.stat().st_mtime_ns != before


def test_the_order_of_the_metrics_is_no_part_of_a_request() -> None:
    small = ("evaluate", "char-ngrams", "--languages", "de,en", "--limit", "4", "--no-relevance", "--metrics")
    ran(*small, "map,mrr")
    assert "answers this" in words(ran(*small, "mrr,map").err)


@pytest.mark.parametrize("keep", [True, False])
def test_code_that_reads_a_changed_file_is_no_answer(keep: bool) -> None:
    """Its source is the same, so its ranks tell; a `revision` says that it is the same without ranking."""
    Path("enc.py").write_text(READER.format(keep=keep))
    Path("letter.txt").write_text("e")
    small = ("evaluate", "enc.py:Model", "--languages", "de,en", "--limit", "4", "--no-relevance")
    ran(*small)
    before = contents(Path("results"))
    again = ran(*small)
    assert "no `revision`, so its ranks are compared" in words(again.err)
    assert "answers this (--overwrite evaluates again)" in words(again.err)
    assert contents(Path("results")) == before
    Path("letter.txt").write_text("n")
    for also in ((), ("--trec-run", "runs")):
        done = run(*small, *also)
        assert done.code == 1
        assert "mini.json answers another request than this one" in words(done.err)
        assert "digest of the ranks" in words(done.err)
        assert contents(Path("results")) == before
    ran(*small, "--overwrite")
    assert contents(Path("results")) != before
    Path("enc.py").write_text(READER.format(keep=keep) + "    revision = '2'\n")
    ran(*small, "--overwrite")
    assert "compared" not in words(ran(*small).err)


READER = """
from pathlib import Path
import numpy as np

class Model:
    keep_vectors = {keep}
    def encode(self, texts):
        letter = Path("letter.txt").read_text()
        return np.array([[len(text), text.count(letter) + 1.0] for text in texts])
"""
ENCODER = """
import numpy as np

class Model:
    name = "Model"
    def encode(self, texts):
        return np.array([[len(text), text.count({letter!r}) + 1.0] for text in texts])
"""


@pytest.mark.parametrize("quiet", [(), ("--quiet",), ("--json",)])
def test_a_record_of_another_request_is_no_answer(quiet: tuple[str, ...]) -> None:
    small = ("--languages", "de,en", "--limit", "4", "--metrics", "map,mrr", "--no-relevance")
    for folder, letter in (("one", "a"), ("two", "e")):
        Path(folder).mkdir()
        Path(folder, "enc.py").write_text(ENCODER.format(letter=letter))
    ran("evaluate", "one/enc.py:Model", *small)
    before = contents(Path("results"))
    for model, options, what in (
        ("two/enc.py:Model", small, "the encoder's digest"),
        ("one/enc.py:Model", small[:4], "the task's metrics"),
        ("one/enc.py:Model", (*small[2:], "--languages", "de,th"), "the task's languages"),
        ("one/enc.py:Model", (*small[:2], *small[4:]), "the task's partial"),
        ("one/enc.py:Model", small[:-1], "rules of relevance"),
        ("one/enc.py:Model", (*small, "--allow-zero-vectors"), "allow_zero_vectors"),
    ):
        done = run("evaluate", model, *options, *quiet)
        assert done.code == 1
        assert done.out == ""
        assert "results/Model/mini.json answers another request than this one" in words(done.err)
        assert what in words(done.err)
    assert contents(Path("results")) == before


@pytest.mark.parametrize("wrong", [("--languages", "klingon"), ("--metrics", "nonsense")])
def test_what_is_asked_is_checked_where_a_record_is_there(wrong: tuple[str, ...]) -> None:
    ran("evaluate", "char-ngrams", "--limit", "4")
    assert run("evaluate", "char-ngrams", "--limit", "4", *wrong).code == 1


def test_the_short_form_and_a_record_without_intervals_are_no_answer() -> None:
    asked = ("evaluate", "char-ngrams", "--metrics", "map")
    ran(*asked)
    path = Path("results/char-ngrams/mini.json")
    whole = load_record(path, ranks=True)
    save_record(shortened(whole), path)
    assert "form of the record: the short form of a submission, now whole" in words(run(*asked).err)
    save_record(evaluate("char-ngrams", metrics=["map"], intervals=False)[0], path)
    assert "intervals: False, now True" in words(run(*asked).err)


def test_edited_data_is_no_answer() -> None:
    for file in PARTIAL.parent.iterdir():
        Path(file.name).write_bytes(file.read_bytes())
    ran("evaluate", "char-ngrams", "--task", "task.toml")
    text = Path("de.json").read_text(encoding="utf-8")
    Path("de.json").write_text(text + " ", encoding="utf-8")
    assert "the task's files" in words(run("evaluate", "char-ngrams", "--task", "task.toml").err)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_encoded() -> None:
    Path("enc.py").write_text("class Model:\n    def encode(self, texts): raise SystemExit('encoded')\n")
    Path("taken").touch()
    Path("results/Folder/mini.json").mkdir(parents=True)
    for options in (
        ("--output", "taken"),
        ("--name", "Folder", "--overwrite"),
        ("--trec-run", "taken/runs"),
        ("--index", "flat", "--save-index", "taken/index"),
    ):
        done = run("evaluate", "enc.py:Model", *options)
        assert done.code == 1
        assert "error: cannot write" in words(done.err)


def test_a_record_that_answers_is_shown_where_nothing_can_be_written() -> None:
    small = ("evaluate", "bm25", "--languages", "de,en", "--limit", "2", "--no-relevance")
    ran(*small)
    with patch("xqr_bench.core.files.tempfile.mkstemp", side_effect=PermissionError(13, "Permission denied")):
        assert "answers this" in words(ran(*small).err)
        assert "error: cannot write results" in run(*small, "--overwrite").err
        assert "answers another request" in run(*small, "--metrics", "map").err


def test_an_error_has_one_remedy() -> None:
    Path("results/bm25").mkdir(parents=True)
    Path("results/bm25/mini.json").write_text('{"schema_version": 99}', encoding="utf-8")
    done = run("evaluate", "bm25")
    assert "exists and cannot be read as a record found: results/bm25/mini.json has the schema ver" in words(done.err)
    assert done.err.count("to do:") == 1


MOVING = """
import os
from pathlib import Path

import numpy as np

Path("else").mkdir(exist_ok=True)
os.chdir("else")
Path("letters.txt").write_text("aeiou")

class Model:
    def encode(self, texts):
        letters = Path("letters.txt").read_text()
        os.chdir("..")
        os.chdir("else")
        return np.array([[1 + text.count(letter) for letter in letters] for text in texts])
"""


def test_an_encoder_that_changes_the_folder_moves_nothing() -> None:
    shutil.copytree(PARTIAL.parent, "data")
    Path("moving.py").write_text(MOVING, encoding="utf-8")
    places = ("--trec-run", "runs", "--output", "out", "--cache-dir", "vectors", "--task", "data/task.toml")
    done = ran("evaluate", "moving.py:Model", "--no-relevance", *places)
    assert "record: out/Model/partial.json" in done.out
    assert Path("out/Model/partial.json").is_file()
    assert sorted(path.name for path in Path("runs/partial").iterdir())[0].startswith("cross-lingual")
    assert sorted(path.name for path in Path("else").iterdir()) == ["letters.txt"]
    assert "answers this" in words(ran("evaluate", "moving.py:Model", "--no-relevance", *places[2:]).err)
    ran("evaluate", "moving.py:Model", "--index", "flat", "--save-index", "index", "--name", "Indexed", *places[-2:])
    assert Path("index").is_dir()


def test_a_dry_run_tells_the_time_of_encoding_not_of_the_start() -> None:
    Path("slow.py").write_text(
        """
import time
import numpy as np

class Model:
    begun = False
    def encode(self, texts):
        time.sleep(0 if self.begun else 2)
        self.begun = True
        return np.ones((len(texts), 3))
""",
        encoding="utf-8",
    )
    line = ran("evaluate", "slow.py:Model", "--dry-run", "--limit", "3").out.splitlines()[0]
    seconds = re.search(r"in (\d+\.\d+) s \(at that rate by characters 0\.0 min in all\)", line)
    assert seconds is not None
    assert float(seconds[1]) < 1


def test_each_name_has_a_folder_of_its_own() -> None:
    ran("evaluate", "char-ngrams", "--limit", "2", "--name", "我的模型")
    ran("evaluate", "char-ngrams", "--limit", "2", "--name", "多语模型")
    ran("evaluate", "char-ngrams", "--limit", "2", "--name", "โมเดล/กี")
    assert sorted(path.name for path in Path("results").iterdir()) == ["โมเดล__กี", "多语模型", "我的模型"]


def test_a_name_whose_folder_another_has_is_another_request() -> None:
    """`a:b` and `a b` share a folder; in which normal form a name is written is no difference."""
    asked = ("evaluate", "oracle", "--limit", "2", "--quiet", "--name")
    ran(*asked, "a b")
    assert "the record's name: a b, now a:b" in run(*asked, "a:b").err
    assert ran(*asked, "caf\u00e9").out == ran(*asked, "cafe\u0301").out


def test_a_common_folder_name_says_its_parent(model: Path) -> None:
    """`final` of two trainings: two records, and each is that of its weights."""
    small = ("--languages", "de,en", "--limit", "2", "--metrics", "map", "--no-relevance", "--no-cache", "--quiet")
    for run_, leaf in (("r0", "final"), ("r1", "final"), ("r0", "checkpoint-150"), ("r1", "checkpoint-150")):
        shutil.copytree(model, Path("runs", run_, leaf))
        prompts = Path("runs", run_, leaf, "config_sentence_transformers.json")
        edit(prompts, lambda config: config["prompts"].update(query=f"{run_}: "))  # noqa: B023
        assert ran("evaluate", f"runs/{run_}/{leaf}", *small).out == f"results/{run_}__{leaf}/mini.json\n"
    digests = {load_record(path).model.identity.digest for path in Path("results").glob("*/mini.json")}
    assert len(digests) == 2
    assert load_record("results/r1__final/mini.json").model.name == "r1/final"


def test_other_translated_sentences_are_another_request() -> None:
    Path("lines").mkdir()
    for code in ("de", "en", "th"):
        Path("lines", f"{code}.txt").write_text("".join(f"{code} {n}\n" for n in range(9)), encoding="utf-8")
    asked = ("--languages", "de,en", "--limit", "4", "--transform", "center", "--transform-from", "lines", "--quiet")
    place = ran("evaluate", "char-ngrams", *asked).out
    Path("lines", "th.txt").write_text("not asked for", encoding="utf-8")
    Path("lines").rename("elsewhere")
    Path("there").mkdir()
    Path("elsewhere").rename("there/lines")
    assert ran("evaluate", "char-ngrams", *asked[:-2], "there/lines", "--quiet").out == place
    Path("there/lines/de.txt").write_text("".join(f"anders {n}\n" for n in range(9)), encoding="utf-8")
    done = run("evaluate", "char-ngrams", *asked[:-2], "there/lines")
    assert done.code == 1
    assert "answers another request than this one found: translated sentences" in words(done.err)


def test_parts_are_marked() -> None:
    done = run("evaluate", "char-ngrams", "--languages", "de,en", "--limit", "5", "--json")
    (record,) = json.loads(done.out)
    assert record["task"]["partial"] == {"languages": ["de", "en"], "limit": 5}
    assert record["provenance"]["arguments"] == {
        "model": "char-ngrams",
        "languages": "de,en",
        "limit": 5,
        "as_json": True,
    }
    done = run("evaluate", "char-ngrams", "--languages", "de,en", "--overwrite")
    assert "cannot be submitted" in done.out.replace("\n", " ")


def test_quiet_prints_the_path_alone() -> None:
    done = run("evaluate", "char-ngrams", "--quiet")
    assert done.out == "results/char-ngrams/mini.json\n"
    assert done.err == ""


def test_a_task_of_ones_own() -> None:
    done = run("evaluate", "char-ngrams", "--task", str(PARTIAL), "--json")
    (record,) = json.loads(done.out)
    assert record["scores"]["multilingual"]["language_order_w_corrected"]["value"] is None
    assert "same languages" in record["scores"]["multilingual"]["language_order_w_corrected"]["undefined_reason"]
    assert record["scores"]["multilingual"]["rank_distance"]["value"] is not None


def test_three_line_encoder_from_a_file() -> None:
    Path("mine.py").write_text(
        "import numpy as np\n"
        "class Mine:\n"
        "    def encode(self, texts):\n"
        "        return np.array([[len(t), t.count('e') + 1, 1.0] for t in texts])\n",
        encoding="utf-8",
    )
    done = run("evaluate", "mine.py:Mine", "--json")
    (record,) = json.loads(done.out)
    assert record["model"]["identity"]["kind"] == "python"
    assert record["model"]["identity"]["digest"]
    # three small numbers tie many texts
    assert any(line.startswith("ties:") for line in record["warnings"])


def test_recompute() -> None:
    run("evaluate", "char-ngrams", "--quiet")
    path = Path("results/char-ngrams/mini.json")
    done = run("recompute", str(path))
    assert done.code == 0
    assert "figures follow from its ranks" in done.out
    edit(path, lambda data: data["scores"]["monolingual"]["map"].update(value=0.5))
    done = run("recompute", str(path))
    assert done.code == 1
    assert "scores.monolingual.map.value: stored" in done.out
    assert run("recompute", str(path), "--write").code == 0
    assert run("recompute", str(path)).code == 0


def test_interrupt_leaves_nothing_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("xqr_bench.record.store.write_text", stop)
    done = run("evaluate", "char-ngrams")
    assert done.code == 130
    assert "nothing half-written" in done.err
    assert [path.name for path in Path("results").rglob("*") if path.suffix in (".json", ".tmp")] == []


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['xqr-bench', '--help']\n"
        "from xqr_bench.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'torch', 'pydantic', 'rich', 'pandas', 'pyarrow', 'numba', 'scipy', 'sklearn', 'faiss'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.rstrip().endswith("[]")


def test_memory_changes_nothing_but_the_settings() -> None:
    path = Path("results/char-ngrams/mini.json")
    ran("evaluate", "char-ngrams", "--limit", "2", "--no-cache")
    plain = read_json(path)
    ran("evaluate", "char-ngrams", "--limit", "2", "--no-cache", "--overwrite", "--memory", "20MiB",
        "--score-device", "cpu")  # fmt: skip
    small = read_json(path)
    assert [found["provenance"]["settings"]["memory"] for found in (plain, small)] == [256 * 2**20, 20 * 2**20]
    assert small["provenance"]["hardware"]["counted_on"] == "cpu"
    assert small["ranks_file"]["digest"] == plain["ranks_file"]["digest"]
