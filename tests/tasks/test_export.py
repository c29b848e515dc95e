"""A task written as one BEIR data set is the same task when it is read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.conftest import needs_data
from xqr_bench import evaluate
from xqr_bench.cli.main import cli
from xqr_bench.core.errors import DataError
from xqr_bench.core.observe import Notice
from xqr_bench.core.types import TaskData
from xqr_bench.tasks import load_task


def export(task: str, folder: Path) -> Path:
    done = CliRunner().invoke(cli, ["export", "beir", task, str(folder)])
    assert done.exit_code == 0, done.output
    return folder / f"{task}-beir.toml"


def compared(data: TaskData) -> TaskData:
    """What the export keeps."""
    candidates = tuple(replace(one, context="") for one in data.candidates)
    return replace(data, name="", files={}, titles={}, candidates=candidates, relevance=())


@pytest.mark.parametrize("task", ["mini", *(pytest.param(name, marks=needs_data) for name in ("xquad-r", "mlqa-r"))])
def test_the_task_is_the_same(task: str, tmp_path: Path) -> None:
    there, back = load_task(task), load_task(export(task, tmp_path))
    assert compared(back) == compared(there)
    assert back.relevance == there.relevance


@needs_data
def test_a_task_that_is_not_parallel_keeps_its_queries(tmp_path: Path) -> None:
    """But their ids: each section asks questions of its own, and the export is one section."""
    with pytest.warns(Notice, match="questions without a relevant candidate are left out"):
        there = load_task("afriqa")
    with pytest.warns(Notice, match="1 candidates look like another of their language"):
        back = load_task(export("afriqa", tmp_path))
    assert [query.text for query in back.queries] == [query.text for query in there.queries]
    assert (back.candidates, back.relevants, back.clusters) == (
        compared(there).candidates,
        there.relevants,
        there.clusters,
    )


def test_the_record_is_the_same(tmp_path: Path) -> None:
    """But the names of task and files, and what is a digest of them."""
    there, back = evaluate("bm25", "mini"), evaluate("bm25", export("mini", tmp_path))
    assert (back.scores, back.diagnostics) == (there.scores, there.diagnostics)
    assert list(back.relevance) == list(there.relevance) != []
    assert [one.scores for one in back.relevance.values()] == [one.scores for one in there.relevance.values()]


def test_any_tool_reads_it(tmp_path: Path) -> None:
    """Ids are there once, judgements are of ids that are there, and no file is written over."""
    export("mini", tmp_path)
    ids = {
        part: [json.loads(line)["_id"] for line in (tmp_path / f"{part}.jsonl").read_text("utf-8").splitlines()]
        for part in ("corpus", "queries")
    }
    assert all(len(set(found)) == len(found) for found in ids.values())
    heading, *lines = (tmp_path / "qrels" / "test.tsv").read_text("utf-8").splitlines()
    assert heading == "query-id\tcorpus-id\tscore"
    judged = [line.split("\t") for line in lines]
    assert {query for query, _, _ in judged} == set(ids["queries"])
    assert {candidate for _, candidate, _ in judged} <= set(ids["corpus"])
    assert {grade for _, _, grade in judged} == {"1"}
    again = CliRunner().invoke(cli, ["export", "beir", "mini", str(tmp_path)])
    assert again.exit_code == 1
    assert "is there already" in str(again.exception)


@pytest.mark.parametrize(
    ("file", "facts", "message"),
    [
        ("corpus", {"group": 3}, "metadata.xqr_bench.group is no text"),
        ("queries", {"echoes": ["en:none"]}, "metadata.xqr_bench.echoes is no list of ids of candidates"),
        ("queries", [], "metadata.xqr_bench is no object of JSON"),
    ],
)
def test_facts_of_another_form_are_refused(file: str, facts: object, message: str, tmp_path: Path) -> None:
    task = export("mini", tmp_path)
    path = tmp_path / f"{file}.jsonl"
    first, *rest = path.read_text("utf-8").splitlines(keepends=True)
    row = json.loads(first) | {"metadata": {"xqr_bench": facts}}
    path.write_text("".join([json.dumps(row) + "\n", *rest]), encoding="utf-8")
    with pytest.raises(DataError, match=f"{file}.jsonl, line 1: {message}"):
        load_task(task)
