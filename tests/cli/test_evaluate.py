"""The command a user runs first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import run

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "partial" / "task.toml"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("XQR_BENCH_DATA", raising=False)


def test_first_run() -> None:
    done = run("evaluate", "char-ngrams")
    assert done.code == 0
    assert "Mo." in done.out
    assert "weakest query languages by map" in done.out
    assert "random" in done.out
    assert Path("results/char-ngrams/mini.json").is_file()
    assert Path("results/char-ngrams/mini.ranks.parquet").is_file()
    assert all(len(line) <= 100 for line in done.out.splitlines())


def test_an_existing_record_is_skipped_with_a_word() -> None:
    run("evaluate", "char-ngrams", "--languages", "de,en")
    before = Path("results/char-ngrams/mini.json").stat().st_mtime_ns
    done = run("evaluate", "char-ngrams")
    assert done.code == 0
    assert "exists already: skipped (--overwrite evaluates again)" in done.err.replace("\n", " ")
    assert Path("results/char-ngrams/mini.json").stat().st_mtime_ns == before
    assert run("evaluate", "char-ngrams", "--overwrite").code == 0
    assert Path("results/char-ngrams/mini.json").stat().st_mtime_ns != before


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


def test_dry_run_writes_nothing() -> None:
    done = run("evaluate", "char-ngrams", "--dry-run")
    assert done.code == 0
    assert "264 queries" in done.out
    assert "nothing was written" in done.out
    assert not Path("results").exists()


def test_quiet_prints_the_path_alone() -> None:
    done = run("evaluate", "char-ngrams", "--quiet")
    assert done.out == "results/char-ngrams/mini.json\n"
    assert done.err == ""


def test_a_task_of_ones_own() -> None:
    done = run("evaluate", "char-ngrams", "--task", str(FIXTURE), "--json")
    (record,) = json.loads(done.out)
    assert record["scores"]["multilingual"]["language_order_w"]["value"] is None
    assert "same languages" in record["scores"]["multilingual"]["language_order_w"]["undefined_reason"]
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "char-ngrams", "--task", "xquadr"], "closest: xquad-r"),
        (["evaluate", "char-ngrams", "--languages", "de,xx"], "xx"),
        (["evaluate", "char-ngrams", "--limit", "0"], "limit"),
        (["evaluate", "char-ngrams", "--task", "xquad-r", "--data-dir", "nowhere"], "nowhere"),
        (["evaluate", "char-ngrams", "--model-kwargs", "{"], "--model-kwargs cannot be"),
        (["evaluate", "char-ngrams", "--quiet", "--json"], "exclude each other"),
        (["evaluate", "nowhere.py:X"], "nowhere.py"),
        (["recompute", "nowhere.json"], "there is no record"),
        (["evalute"], "closest: evaluate"),
    ],
)
def test_a_mistake_is_one_clear_message(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith(("  to do:", "error:", "  found:"))
    assert message in done.err
    assert "Traceback" not in done.err


def test_recompute() -> None:
    run("evaluate", "char-ngrams", "--quiet")
    path = Path("results/char-ngrams/mini.json")
    done = run("recompute", str(path))
    assert done.code == 0
    assert "figures follow from its ranks" in done.out
    data = json.loads(path.read_text(encoding="utf-8"))
    data["scores"]["monolingual"]["map"]["value"] += 0.001
    path.write_text(json.dumps(data), encoding="utf-8")
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


@pytest.mark.parametrize("command", ["evaluate", "recompute", "tasks", "encoders", "metrics", "data"])
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert "Usage:" in done.out


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("onnx", "error: --backend onnx cannot be used: sentence-transformers runs it through optimum-onnx"),
        ("openvino", "`pip install 'sentence-transformers[openvino]'` in an environment of its own"),
        ("torsh", "error: there is no backend 'torsh'"),
    ],
)
def test_only_torch_computes(backend: str, message: str) -> None:
    done = run("evaluate", "char-ngrams", "--backend", backend)
    assert done.code == 1
    assert message in " ".join(done.err.split())


@pytest.mark.parametrize(
    "command", [("evaluate", "char-ngrams"), ("geometry", "char-ngrams"), ("train", "--data", "mini", "--output", "x")]
)
def test_a_limit_below_one_is_refused_before_anything_is_loaded(command: tuple[str, ...]) -> None:
    done = run(*command, "--limit", "-1")
    assert done == (1, "", "error: --limit cannot be -1\n  to do: use a number from 1 on\n")
    assert not Path("x").exists()


def test_what_is_missing_or_a_folder_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for command in (["plot", str(tmp_path / "folder"), "--output", "x.png"], ["submit", str(tmp_path / "folder")]):
        done = run(*command)
        assert (done.code, "Errno" in done.err, len(done.err.splitlines())) == (1, False, 2)
    done = run("report", "ratios", str(tmp_path / "none"), "--output", str(tmp_path / "report"))
    assert f"error: there is no study {tmp_path / 'none'}" in done.err
