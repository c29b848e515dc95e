"""`xqr-bench run`: a file of models x tasks x variants, checked whole, resumed, with failures that stay behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import xqr_bench
from tests.kit import PARTIAL, ROOT, contents, ran, read_json, run
from xqr_bench.cli.run_file import CLASSES, KEYS, OF_THE_COMMAND, file_keys, read_run_file
from xqr_bench.core.toml import FaultyFileError, line_of
from xqr_bench.evaluation.baselines import LexicalRanker

MODELS = """
import pathlib
from sklearn.feature_extraction.text import HashingVectorizer

def note(name, text):
    with open(name, "a") as file:
        file.write(text)

class Words:
    revision = "1"

    def __init__(self):
        note("loaded", "x")

    def encode(self, texts):
        note("encoded", "x" * len(texts))
        return HashingVectorizer(n_features=64, alternate_sign=False).transform(texts).toarray() + 0.01

class Broken:
    def encode(self, texts):
        if not pathlib.Path("mended").exists():
            raise RuntimeError("it is broken")
        return Words().encode(texts)

class Stops:
    def encode(self, texts):
        note("reached", "x")
        import time
        if not pathlib.Path("mended").exists():
            time.sleep(600)
        return Words().encode(texts)

class Missing:
    def __init__(self):
        raise FileNotFoundError("no weights")
"""
HEAD = """
limit = 2
metrics = ["map", "own_language_first"]
no_relevance = true
"""
SWEEP = f"""{HEAD}
[[model]]
model = "mine.py:Words"
name = "words"
[[model]]
model = "mine.py:Broken"
[[model]]
model = "bm25"
variants = []
[[variant]]
[[variant]]
transform = "center"
[[variant]]
name = "few"
truncate_dim = 8
"""
NAMES = ["words", "words+center", "words+few", "Broken", "Broken+center", "Broken+few", "bm25"]


def wrote(text: str) -> None:
    """`sweep.toml`, beside the models that it names."""
    Path("mine.py").write_text(MODELS, encoding="utf-8")
    Path("sweep.toml").write_text(text, encoding="utf-8")


def states() -> dict[str, str]:
    """The states in the summary, by record."""
    return dict(pd.read_csv("results/sweep.csv").set_index("name")["state"])


def records() -> dict[str, bytes]:
    """The files of all records."""
    return {name: data for name, data in contents(Path("results")).items() if not name.endswith((".csv", ".txt"))}


def faults(text: str) -> list[tuple[str, str]]:
    """What is wrong with a file, and where."""
    wrote(text)
    with pytest.raises(FaultyFileError) as caught:
        read_run_file(Path("sweep.toml"))
    return [(place, fault.problem) for place, fault in caught.value.faults]


def test_a_sweep_with_a_model_that_fails_and_its_end() -> None:
    wrote(SWEEP)
    done = run("run", "sweep.toml")
    assert done.code == 1
    assert done.err.endswith(
        "error: 3 of 7 records are missing\n  to do: mend what failed, then: xqr-bench run sweep.toml --retry\n"
    )
    assert "failed: Broken+few on mini: the encoder Broken failed on texts 1 to" in done.err
    assert states() == {name: "failed" if name.startswith("Broken") else "made" for name in NAMES}
    assert len(Path("loaded").read_text()) == 2  # with all columns, and with few
    texts = [read_json(Path(f"results/words{one}/mini.json"))["provenance"]["texts"] for one in ("", "_center", "_few")]
    assert [one["from_store"] for one in texts] == [0, texts[0]["distinct"], texts[0]["distinct"]]  # encoded once
    record = read_json(Path("results/words_center/mini.json"))
    assert (record["model"]["name"], record["provenance"]["settings"]["transform"]) == ("words+center", "center")
    assert record["provenance"]["arguments"]["name"] == "words+center"
    made = pd.read_csv("results/sweep.csv").set_index("name")
    figure = record["scores"]["multilingual"]["map"]
    assert made.loc["words+center", "multilingual/map"] == figure["value"]
    assert made.loc["words+center", "multilingual/map/low"] == figure["interval"]["low"]
    assert made.loc["words+few", "truncate_dim"] == 8
    assert ",8,made," in Path("results/sweep.csv").read_text(encoding="utf-8")  # no 8.0
    failed = Path("results/Broken/mini.failed.txt").read_text(encoding="utf-8")
    assert "found: RuntimeError: it is broken (mine.py, line" in failed
    assert "Traceback (most recent call last)" in failed

    before, encoded = records(), Path("encoded").read_text()
    again = run("run", "sweep.toml")  # the same command: what is there stays, what failed is left out
    assert again.code == 1
    assert "[4 of 7] Broken on mini failed before and is left out (--retry tries it again)" in again.err
    assert states() == {name: "failed before" if name.startswith("Broken") else "there" for name in NAMES}
    assert (records(), Path("encoded").read_text()) == (before, encoded)

    Path("mended").touch()
    found = ran("run", "sweep.toml", "--retry", "--quiet")
    assert (found.out, found.err) == ("results/sweep.csv\n", "")
    assert set(states().values()) == {"made", "there"}
    assert not list(Path("results").rglob("*.failed.txt"))


def test_the_same_record_as_of_evaluate() -> None:
    """One path from options to a record: whoever has a record of `evaluate` does not make it again, and vice versa."""
    more = ("--limit", "2", "--metrics", "map,own_language_first", "--no-relevance", "--quiet")
    wrote(
        f'{HEAD}[[model]]\nmodel = "char-ngrams"\n[[variant]]\n[[variant]]\ntransform = "center"\nquantize = "int8"\n'
    )
    ran("evaluate", "char-ngrams", *more)
    ran("run", "sweep.toml", "--quiet")
    assert states() == {"char-ngrams": "there", "char-ngrams+center+int8": "made"}
    done = ran("evaluate", "char-ngrams", "--transform", "center", "--quantize", "int8", *more[:-1])
    assert "char-ngrams_center_int8/mini.json is there already and answers this" in done.err


def test_a_table_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = "organisation/multilingual-encoder-of-a-long-name"
    tasks = f'tasks = ["mini", {str(PARTIAL)!r}]\n'
    wrote(f'{HEAD}{tasks}[[model]]\nmodel = "bm25"\n[[model]]\nmodel = "random:1"\nname = "{long}"\n')
    lines = ran("run", "sweep.toml").out.splitlines()
    assert max(map(len, lines)) <= 80
    figures = [line for line in lines if line.count("±") == 3]  # no table is cut into parts
    assert [line.split()[0] for line in figures] == ["bm25", "organisation/multilingual-"] * 2
    assert lines[-1] == "summary: results/sweep.csv"


def test_a_dry_run_loads_and_writes_nothing() -> None:
    wrote(SWEEP)
    ran("evaluate", "bm25", "--limit", "2", "--metrics", "map,own_language_first", "--no-relevance", "--quiet")
    before = contents(Path())
    done = ran("run", "sweep.toml", "--dry-run")
    rows = [line.split() for line in done.out.splitlines()]
    assert ["words+center", "mini", "to", "do"] in rows
    assert ["bm25", "mini", "record", "there"] in rows
    assert "7 records in results: 1 there, 6 to do" in done.out
    assert contents(Path()) == before


def test_a_record_of_another_request_is_an_error_of_its_entry_alone() -> None:
    wrote(f'{HEAD}[[model]]\nmodel = "bm25"\n[[model]]\nmodel = "oracle"\n')
    ran("evaluate", "bm25", "--limit", "3", "--quiet")
    before = records()
    done = run("run", "sweep.toml")
    assert done.code == 1
    assert "failed: bm25 on mini: results/bm25/mini.json answers another request than this one" in done.err
    assert done.err.endswith(
        "error: 1 of 2 records was left as before\n  to do: to make all records anew: "
        "xqr-bench run sweep.toml --overwrite; to keep both: another name or output\n"
    )
    assert states() == {"bm25": "failed", "oracle": "made"}
    assert {name: data for name, data in records().items() if name in before} == before
    assert not list(Path("results").rglob("*.failed.txt"))
    ran("run", "sweep.toml", "--overwrite", "--quiet")
    assert states() == {"bm25": "made", "oracle": "made"}


def test_a_model_that_cannot_be_loaded_fails_alone() -> None:
    wrote(f'{HEAD}[[model]]\nmodel = "mine.py:Missing"\n[[model]]\nmodel = "bm25"\n')
    assert run("run", "sweep.toml").code == 1
    assert states() == {"Missing": "failed", "bm25": "made"}
    assert "no weights" in Path("results/Missing/mini.failed.txt").read_text(encoding="utf-8")


def test_code_of_ours_that_fails_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(LexicalRanker, "scores", fails)
    wrote(f'{HEAD}[[model]]\nmodel = "bm25"\n[[model]]\nmodel = "oracle"\n')
    assert run("run", "sweep.toml").code == 1
    assert states() == {"bm25": "failed", "oracle": "made"}
    assert Path("results/bm25/mini.failed.txt").read_text(encoding="utf-8").startswith("MemoryError")


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle(how: signal.Signals) -> None:
    """The records that were done stay, no half of one is left, and the same command goes on."""
    wrote(f'{HEAD}[[model]]\nmodel = "bm25"\n[[model]]\nmodel = "mine.py:Stops"\n[[model]]\nmodel = "oracle"\n')
    command = [sys.executable, "-c", "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "]
    command[-1] += "from xqr_bench.__main__ import main; main()"
    process = subprocess.Popen([*command, "run", "sweep.toml"], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not Path("reached").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert told.endswith("stopped; 1 of 3 records are in results; the same command goes on\n")
    assert [path.parent.name for path in Path("results").rglob("mini.json")] == ["bm25"]
    before = Path("results/bm25/mini.json").stat().st_mtime_ns
    Path("mended").touch()
    ran("run", "sweep.toml", "--quiet")
    assert states() == {"bm25": "there", "Stops": "made", "oracle": "made"}
    assert Path("results/bm25/mini.json").stat().st_mtime_ns == before


def test_from_python() -> None:
    wrote(f'{HEAD}[[model]]\nmodel = "bm25"\n[[model]]\nmodel = "mine.py:Broken"\n')
    found = xqr_bench.run("sweep.toml").set_index("name")
    assert dict(found["state"]) == {"bm25": "made", "Broken": "failed"}
    assert found.loc["bm25", "multilingual/map"] == pd.read_csv("results/sweep.csv")["multilingual/map"][0]
    Path("mended").touch()
    assert list(xqr_bench.run("sweep.toml", retry=True)["state"]) == ["there", "made"]


# What is wrong with a file.

BM25 = "[[model]]\nmodel = 'bm25'\n"


def test_all_faults_at_once() -> None:
    found = faults(
        """
tasks = ["mini", "xquadr"]
limt = 3
batch_size = "many"

[[model]]
model = "bm25"
dtype = "float33"
truncate_dim = 0
name = '''of two lines
[[model]]'''
[[model]]
query_prompt = "query: "
[[model]]
model = "char-ngrams"
variants = ["centred"]
output = "elsewhere"

[[variant]]
transform = "centre"
rescore = "3"
[[variant]]
overwrite = true
context_template = "x"
memory = "lots"
[variant.encoder_arg]
size = 1979-05-27
"""
    )
    places = [place for place, _ in found]
    assert places == [
        "line 2, tasks",
        "line 3, limt",
        "line 4, batch_size",
        "line 8, model 1, dtype",
        "line 9, model 1, truncate_dim",
        "line 10, model 1, name",
        "line 12, model 2",
        "line 16, model 3, variants",
        "line 17, model 3, output",
        "line 20, variant 1, transform",
        "line 20, variant 1, transform",  # there is none of this name, and BM25 has no vectors
        "line 21, variant 1, rescore",
        "line 23, variant 2, overwrite",
        "line 24, variant 2, context_template",
        "line 25, variant 2, memory",
        "line 26, variant 2, encoder_arg",
    ]
    done = run("run", "sweep.toml")
    assert done.err.startswith(
        f"error: sweep.toml has {len(places)} faults, so nothing was run\n  line 2, tasks: there is"
    )
    assert "  line 3, limt: there is no option 'limt'\n    found: closest: limit\n" in done.err
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", "the file", "it names no model"),
        ("model = 'bm25'", "line 1, model", "model is no list of tables"),
        (f"output = 's3://bucket/results'\n{BM25}", "line 1, output", "output is the address of no folder"),
        (f"{BM25}fuse_k = 'x'", "line 3, model 1, fuse_k", "fuse_k cannot be 'x' (str)"),
        ("[[model]]\nmodel = ['bm25', 'oracle']", "line 1, model 1", "one MODEL is scored at a time, not 2"),
        ("[[model]]\nmodel = ''", "line 2, model 1, model", "'' names no model"),
        (f"{BM25}variants = 3", "line 3, model 1, variants", "variants is no list"),
        (f"{BM25}[[variant]]\nname = ''", "line 4, variant 1, name", "the name of the variant is empty"),
        (f"{BM25}[[variant]]\nvariants = []", "line 4, variant 1, variants", "variants cannot stand here"),
        (f"tasks = []\n{BM25}", "line 1, tasks", "no task is named"),
        ("[[model]]\nmodel = 'x/y'\nquantize='int8'\nindex='flat'", "line 4, model 1, index", "an index holds"),
        ("[[model]]\nmodel = 'precomputed:x'\ndtype='float16'", "line 3, model 1, dtype", "dtype cannot be used"),
        (f"metrics = ['mapp']\n{BM25}", "line 1, metrics", "there is no metric named 'mapp'"),
        (f"tasks = ['mini', 'mini']\n{BM25}", "line 1, tasks", "mini is named twice"),
        (f"tasks = ['mini', '{ROOT}/tasks/mini.toml']\n{BM25}", "line 1, tasks", "two tasks have the name 'mini'"),
        (f"languages = ['en', 'xx']\n{BM25}", "line 1, languages", "the task mini has no language 'xx'"),
        (f"{BM25}variants = ['a', 'a']\n[[variant]]\nname = 'a'", "line 3, model 1, variants", "a is named twice"),
        (
            f"{BM25}variants = ['a']\n[[variant]]\nname = 'a'\n[[variant]]\nname = 'a'",
            "line 7, variant 2, name",
            "variant 1 and variant 2 are both named 'a'",
        ),
        (f"{BM25}name = ''", "line 3, model 1, name", "the name of the model is empty"),
        (f"{BM25}name = '..'", "line 3, model 1, name", "the name of the model, '..', reads as a path"),
        (f"{BM25}name = '../../evil'", "line 3, model 1, name", "the name of the model, '../../evil', reads as a path"),
        (f"{BM25}name = '/etc/evil'", "line 3, model 1, name", "the name of the model, '/etc/evil', reads as a path"),
        (f"{BM25}[[variant]]\nname = 'x/../y'", "line 4, variant 1, name", "the name of the variant, 'x/../y', reads"),
        (f"{BM25}transform = 'center'", "line 3, model 1, transform", "transform cannot be used with bm25"),
        (BM25 + BM25, "line 3, model 2", "the record of model 1 and that of model 2 would both be results/bm25/mini"),
        (f"{BM25}[[model]]\nmodel = 'oracle'\nname='BM25'", "line 3, model 2", "the record of model 1 and that of"),
    ],
)
def test_one_fault(text: str, place: str, problem: str) -> None:
    ((found_place, found_problem),) = faults(text)
    assert found_place == place
    assert found_problem.startswith(problem)


def test_a_fault_hides_no_other() -> None:
    """Neither where variants are unknown, nor where a model is missing, is the rest of the file left unchecked."""
    text = """
tasks = ["nope", "mini"]
metrics = ["map", "mop", "mup"]
transform = "centre"
[[model]]
model = "char-ngrams"
variants = ["q"]
[[model]]
tasks = ["nor"]
[[variant]]
name = "r"
memory = "lots"
dtype = "float33"
"""
    assert [f"{place}: {problem}" for place, problem in faults(text)] == [
        "line 2, tasks: there is no task named 'nope'",
        "line 3, metrics: there is no metric named 'mop'",
        "line 3, metrics: there is no metric named 'mup'",
        "line 4, transform: there is no transform named 'centre'",
        "line 7, model 1, variants: there is no variant named 'q'",
        "line 8, model 2: the model is missing",
        "line 9, model 2, tasks: there is no task named 'nor'",
        "line 12, variant 1, memory: memory: 'lots' is no size",
        "line 13, variant 1, dtype: dtype cannot be 'float33'",
    ]


def test_a_variant_that_no_model_has_is_no_fault() -> None:
    wrote(f"{BM25}variants = []\n[[variant]]\nname = 'later'\nrescore = '3'\n")
    assert [entry.name for entry in read_run_file(Path("sweep.toml")).entries] == ["bm25"]


def test_faults_are_told_in_the_words_of_a_file() -> None:
    wrote("batch_size = 'x'\nno_relevance = 'yes'\nencoder_arg = 3\n[[model]]\nmodel = 'char-ngrams'\ndepth = 3\n")
    with pytest.raises(FaultyFileError) as caught:
        read_run_file(Path("sweep.toml"))
    remedies = ["give a whole number", "give true or false", "give a table", 'say which index: index = "flat"']
    assert [fault.remedy for _, fault in caught.value.faults] == remedies
    assert "--" not in str(caught.value)
    in_keys = file_keys().in_keys
    assert in_keys("--no-cache leaves nothing for --cache-dir") == "cache = false leaves nothing for cache_dir"
    assert in_keys("use --index-param or --num-gpus 1") == "use index_params or num_gpus = 1"
    assert in_keys("leave --index out") == "leave index out"
    assert in_keys("give --overwrite to replace it") == "give --overwrite to replace it"  # the command has it


@pytest.mark.parametrize(("text", "problem"), [("x = [", "not TOML:"), ("x = '\xff'", "not UTF-8")])
def test_no_toml(text: str, problem: str) -> None:
    Path("sweep.toml").write_text(text, encoding="latin-1")
    assert run("run", "sweep.toml").err.startswith(f"error: sweep.toml: {problem}")
    assert "there is no file of runs" in run("run", "nothing.toml").err


def test_every_option_of_evaluate_stands_in_a_file_or_is_named_as_one_that_does_not() -> None:
    from dataclasses import fields

    there = [one.name for cls in CLASSES for one in fields(cls)]
    assert len(set(there)) == len(there)  # no key means two things
    assert sorted(set(OF_THE_COMMAND) & set(there)) == sorted(OF_THE_COMMAND)
    assert set(KEYS) == set(there) - set(OF_THE_COMMAND)


def test_names_say_what_a_variant_is() -> None:
    wrote(
        """
[[model]]
model = "precomputed:some/e5"
[[model]]
model = ["fuse:rrf", "bm25", "char-ngrams"]
name = "both"
variants = []
[[variant]]
dtype = "float16"
encoder_arg = { size = 3 }
allow_zero_vectors = true
rerank = "cross/encoder"
""".replace('dtype = "float16"\nencoder_arg = { size = 3 }', "truncate_dim = 3")
    )
    runs = read_run_file(Path("sweep.toml"))
    assert [entry.name for entry in runs.entries] == ["e5+truncate_dim-3+allow_zero_vectors+rerank-encoder", "both"]


def test_a_second_stage_is_in_the_name() -> None:
    """As `evaluate` has it: no reranked record is called as that of its first stage."""
    more = ("--limit", "2", "--metrics", "map,own_language_first", "--no-relevance", "--quiet")
    ran("evaluate", "bm25", "--rerank", "char-ngrams", "--rerank-depth", "5", *more)
    rerank = 'rerank = "char-ngrams"\nrerank_depth = 5\nvariants = []\n'
    wrote(f'{HEAD}{BM25}variants = []\n{BM25}{rerank}{BM25}name = "mine"\n{rerank}')
    ran("run", "sweep.toml", "--quiet")
    assert states() == {"bm25": "made", "bm25 > char-ngrams, top 5": "there", "mine": "made"}


def test_numbers_of_the_command_line_are_numbers() -> None:
    wrote(f'{HEAD}quantize = "int8"\nrescore = 3\n[[model]]\nmodel = "char-ngrams"\n')
    assert [entry.name for entry in read_run_file(Path("sweep.toml")).entries] == ["char-ngrams+int8-rescore3"]


def test_lines() -> None:
    text = "a = 1\nb = '''\n[[t]]\na = 2\n'''\n[[t]]\na = 3\n[t.b]\n[[t]]\n'b' = 4\n[other]\nx = 1\n"
    assert line_of(text, key="b") == 2
    assert [line_of(text, "t", n) for n in range(3)] == [6, 9, None]
    assert (line_of(text, "t", 0, "a"), line_of(text, "t", 0, "b"), line_of(text, "t", 1, "b")) == (7, 8, 10)
    assert (line_of(text, key="other"), line_of(text, "t", 0, "z")) == (11, None)


def test_workers_on_ray_are_started_for_each_loading() -> None:
    """A process may start one cluster after the other."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'xqr-bench[ray]'")
    head = f'{HEAD}engine = "ray"\nactors = 1\n'
    wrote(f'{head}[[model]]\nmodel = "char-ngrams"\n[[variant]]\n[[variant]]\nname = "half"\ntruncate_dim = 1024\n')
    ran("run", "sweep.toml", "--quiet")
    assert states() == {"char-ngrams": "made", "char-ngrams+half": "made"}
