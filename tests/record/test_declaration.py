"""What records say of exposure: levels, files, older forms, contradictions; files of training data."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tests.kit import read_json, run
from xqr_bench.core.errors import DataError, UnknownNameError, UsageError
from xqr_bench.encode.bound import DeclaredTraining
from xqr_bench.record.exposure import LEVELS, MEANING, Exposure, declared_exposure, read_declaration
from xqr_bench.record.exposure_search import find_texts, read_texts
from xqr_bench.tasks import load_task


def written(path: Path, data: object) -> str:
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return str(path)


def test_every_level_has_a_meaning() -> None:
    assert tuple(MEANING) == LEVELS
    for level in LEVELS:
        made = read_declaration(level, "mini", note="see the model card")
        assert (made.level, made.declared_by, made.note) == (level, "submitter", "see the model card")


def test_a_file_of_a_training_folder(tmp_path: Path) -> None:
    name = written(tmp_path / "a.json", {"exposure": {"mini": "same source", "other": {"level": "unknown"}}})
    assert read_declaration(name, "mini").level == "same source"
    with pytest.raises(UsageError, match=r"(?s)says nothing about xquad-r.*found: mini, other"):
        read_declaration(name, "xquad-r")
    name = written(
        tmp_path / "b.json", {"exposure": {"mini": {"level": "language only", "note": "n", "sources": ["card"]}}}
    )
    assert read_declaration(name, "mini") == Exposure(
        level="language only", note="n", sources=["card"], declared_by="submitter"
    )


def test_the_result_of_a_search_is_a_declaration(tmp_path: Path) -> None:
    data = load_task("mini", languages=["en"])
    found = find_texts(data, [data.queries[0].text]).to_json()
    name = written(tmp_path / "found.json", found)
    made = read_declaration(name, "mini")
    assert made.level == "evaluation text"
    assert made.found.counts["question"].exact == 1
    # nothing found proves nothing
    nothing = written(tmp_path / "nothing.json", find_texts(data, ["other"]).to_json())
    assert read_declaration(nothing, "mini").level == "unknown"
    both = written(tmp_path / "both.json", {"exposure": {"mini": "none declared"}, "found": {"mini": found}})
    with pytest.raises(UsageError, match="evaluation texts were found"):
        read_declaration(both, "mini")
    json.dumps(made.model_dump(mode="json"))


@pytest.mark.parametrize(
    "data",
    [
        *([], {"a": 1}, {"exposure": {"mini": "seen"}}, {"exposure": {"mini": {"level": "none declared", "more": 1}}}),
        *({"exposure": {"mini": 0.5}}, {"exposure": {"mini": {"level": ["unknown"]}}}, {"found": {"mini": None}}),
        {"task": ["mini"], "counts": {}, "texts_searched": 1},
    ],
)
def test_files_that_declare_nothing(data: object, tmp_path: Path) -> None:
    with pytest.raises((UsageError, UnknownNameError)):
        read_declaration(written(tmp_path / "a.json", data), "mini")


def test_a_level_that_is_none() -> None:
    with pytest.raises(UnknownNameError, match="same source"):
        read_declaration("same sauce", "mini")
    with pytest.raises(UsageError, match="there is no file"):
        read_declaration("missing.json", "mini")
    with pytest.raises(ValidationError):
        Exposure.model_validate({"level": "unknown", "declared": "x"})


def test_older_records_load() -> None:
    assert Exposure.model_validate({}) == Exposure()
    old = Exposure.model_validate({"status": "clean", "who": "me"})
    assert old.level == "unknown"
    assert "clean" in str(old.note)


def test_texts_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "b.tsv").write_text("three\tfour\n", encoding="utf-8")
    with gzip.open(tmp_path / "c.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write('{"q": "five", "n": 1, "list": ["six"]}\n\n')
    (tmp_path / "d.json").write_text('{"data": [{"q": "seven"}]}', encoding="utf-8")
    pq.write_table(pa.table({"q": ["eight"], "n": [1]}), tmp_path / "e.parquet")
    (tmp_path / "notes.md").write_text("not read", encoding="utf-8")
    found = [(text.text, text.place) for text in read_texts([tmp_path])]
    assert found == [
        ("one", "a.txt:1"),
        ("two", "a.txt:2"),
        ("three", "b.tsv:1"),
        ("four", "b.tsv:1"),
        ("five", "c.jsonl.gz:1"),
        ("six", "c.jsonl.gz:1"),
        ("seven", "d.json"),
        ("eight", "e.parquet:1"),
    ]
    for wrong, message in (
        (tmp_path / "notes.md", "no kind that can be searched"),
        (tmp_path / "x.txt", "there is no"),
    ):
        with pytest.raises(DataError, match=message):
            list(read_texts([wrong]))
    (tmp_path / "d.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        list(read_texts([tmp_path / "d.json"]))


def test_the_command(tmp_path: Path) -> None:
    question = load_task("mini", languages=["en"]).queries[0].text
    (tmp_path / "train.jsonl").write_text(json.dumps({"query": question.upper()}) + "\n", encoding="utf-8")
    data, out = str(tmp_path / "train.jsonl"), tmp_path / "found.json"
    done = run("exposure", "--task", "mini", "--data", data, "--output", str(out))
    assert done.code == 0, done.err
    assert "level: evaluation text" in done.out
    assert "train.jsonl:1" in done.out
    assert read_json(out)["counts"]["question"]["exact"] == 1
    assert json.loads(run("exposure", "--task", "mini", "--data", data, "--json").out)["level"] == "evaluation text"
    assert run("exposure", "--task", "mini", "--data", str(tmp_path / "no.txt")).code == 1


def _declared(task: str, names: set[str] | None, similar: set[str] = frozenset()) -> Exposure:
    both = None if names is None else frozenset(names)
    return declared_exposure(DeclaredTraining("mteb", both, frozenset(names or ()) | similar), task)


@pytest.mark.parametrize(
    ("task", "names", "level", "by"),
    [
        ("xquad-r", None, "unknown", "nobody"),
        ("xquad-r", set(), "none declared", "mteb"),
        ("xquad-r", {"SciFact", "NFCorpus"}, "none declared", "mteb"),
        ("xquad-r", {"XQuADRetrieval"}, "same source", "mteb"),
        ("xquad-r-paragraph", {"NQ-PL"}, "same source", "mteb"),
        ("mlqa-r", {"MIRACLRetrieval"}, "same source", "mteb"),
        ("tatoeba", {"MIRACLRetrieval"}, "none declared", "mteb"),
        ("mine", {"XQuADRetrieval"}, "unknown", "nobody"),
        ("mine", set(), "none declared", "mteb"),
    ],
)
def test_what_mteb_declares(task: str, names: set[str] | None, level: str, by: str) -> None:
    made = _declared(task, names)
    assert (made.level, made.declared_by) == (level, by)
    assert Exposure.model_validate(made.model_dump(mode="json", exclude_unset=True)) == made


def test_the_texts_of_the_task_are_told_from_its_kind() -> None:
    note = _declared("xquad-r", {"NQ", "SciFact"}, {"XQuADRetrieval"}).note
    assert note == (
        "declared as trained on: NQ, SciFact; with texts of the task, of whatever part of the data set: "
        "XQuADRetrieval; of its kind and source: NQ"
    )
