"""Fusions, code that scores pairs and score matrices on the leaderboard: checked, made again, and forged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.board.conftest import METRICS, submittable
from tests.kit import edit, read_json
from xqr_bench.board.asked import Rerun, Witness
from xqr_bench.board.reproduce import reproduce
from xqr_bench.board.submissions import submit, verify
from xqr_bench.board.table import read_leaderboard
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.evaluation.balanced import Balanced
from xqr_bench.evaluation.evaluate import evaluate, opened, opened_fusion
from xqr_bench.evaluation.reranked import Reranked
from xqr_bench.record import Record, record_path, save_record
from xqr_bench.tasks import load_task

MODELS = "fuse:rrf bm25 char-ngrams"


def made(ranker: object, model: str) -> Record:
    return submittable(evaluate(ranker, metrics=METRICS, arguments={"model": model})[0])


def place(record: Record, tmp_path: Path) -> Path:
    return save_record(record, record_path(tmp_path / "results", record.model.name, record.task.name))


@pytest.fixture(scope="module")
def fused() -> Record:
    with opened_fusion(MODELS, weights=[0.7, 1.0]) as ranker:
        return made(ranker, MODELS)


def test_a_fusion_is_a_row_and_made_again(fused: Record, board: Path, tmp_path: Path) -> None:
    path = submit(place(fused, tmp_path), board).record
    done = reproduce(path, witness=Witness(by="the lab"))
    assert (done.found.identical, done.identity) == (fused.ranks.n_relevants, [])
    assert verify(board).faults == []
    (row,) = read_leaderboard(board).rows
    assert (row.kind, row.status, row.protocol.name) == ("run", "reproduced", "standard")
    command = f"xqr-bench evaluate {MODELS} --task mini --fuse-weights 0.7,1.0"
    assert (row.reproduce.command, row.reproduce.needs) == (command, None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: asked(data).update(model="fuse:rrf bm25"), "no rankings that were fused"),
        (lambda data: asked(data).update(model="fuse:rrf bm25 char-ngrams bm25"), "other rankings than it names"),
        (lambda data: asked(data).update(model="fuse:combsum bm25 char-ngrams"), "other rankings than it names"),
        (lambda data: asked(data).update(model="fuse:rrf bm25 other"), "another model than it names"),
        (lambda data: asked(data).update(model="fuse:rrf bm25 -x"), "names an option as its model"),
        (lambda data: asked(data).update(model="fuse:rrf bm25 'x"), "no rankings that were fused"),
        (lambda data: asked(data).update(model="bm25"), "no rankings that were fused"),
        (lambda data: part(data).update(kind="precomputed"), "another model than it names"),
        (lambda data: part(data).update(model_kwargs={"device": "x"}), "can decide which code runs"),
        (lambda data: part(data).update(revision="1\u202e"), "no short line that can be read"),
        (lambda data: part(data).update(digest="x"), "digest is none"),
        (lambda data: part(data).update(endpoint=SERVER), "nothing else has one"),
        (lambda data: inside(data, name="x\u202e"), "no short line that can be read"),
        (lambda data: inside(data, model_kwargs={"device": "x"}), "can decide which code runs"),
        (lambda data: data["model"]["identity"]["fusion"].update(weights=[1]), "other rankings than it names"),
        (lambda data: data["model"]["identity"].pop("fusion"), "a fusion says of what it is"),
        (
            lambda data: (asked(data).update(model="fuse:rrf bm25 x.py:Y"), part(data).update(kind="mteb")),
            "another model than it names",
        ),
        (
            lambda data: (asked(data).update(model="fuse:rrf bm25 x.py:Y"), part(data).update(kind="cross-encoder")),
            "names Python code",
        ),
    ],
)
def test_what_cannot_be(
    fused: Record, board: Path, tmp_path: Path, change: Callable[[Any], object], problem: str
) -> None:
    with pytest.raises(XqrBenchError, match=problem):
        submit(edit(place(fused, tmp_path), change), board)


def asked(data: Any) -> Any:
    return data["provenance"]["arguments"]


SERVER = {"url": "http://a/v1", "provider": "openai"}


def inside(data: Any, **more: Any) -> None:
    """Put the fusion into one with itself, under another name."""
    whole = data["model"]["identity"]
    parts = [{**whole, **more}, whole["fusion"]["parts"][1]]
    data["model"]["identity"] = {**whole, "fusion": {**whole["fusion"], "parts": parts}}
    asked(data).update(model="fuse:rrf x char-ngrams")


def part(data: Any) -> Any:
    return data["model"]["identity"]["fusion"]["parts"][1]


@pytest.mark.parametrize("model", ["bm25", "random:3", "oracle", "baseline bm25"])
def test_the_command_of_a_baseline_is_one(model: str, board: Path, tmp_path: Path) -> None:
    name = model.removeprefix("baseline ")
    submit(place(made(name, model), tmp_path), board)
    (row,) = read_leaderboard(board).rows
    words = model if " " in model else f"evaluate {model}"
    assert row.reproduce.command == f"xqr-bench {words} --task mini"


@pytest.mark.parametrize("model", ["evaluate x.py:Y bm25", "baseline  bm25", "bm25:x", "baseline"])
def test_a_baseline_names_no_other_command(model: str, board: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="another model than it names"):
        submit(place(made("bm25", model), tmp_path), board)


@pytest.mark.parametrize("model", ["scores:x", "run:x", "precomputed:x", "mteb:a/b", "http://a/v1", MODELS])
def test_an_encoder_is_named_by_no_string_of_another_kind(model: str, board: Path, tmp_path: Path) -> None:
    record = made("char-ngrams", model)
    identity = record.model.identity.model_copy(update={"kind": "sentence-transformers", "name": "x"})
    forged = record.model_copy(update={"model": record.model.model_copy(update={"identity": identity})})
    with pytest.raises(RecordError, match="another model than it names"):
        submit(place(forged, tmp_path), board)


@pytest.mark.parametrize("model", [MODELS, "bm25", "char-ngrams"])
def test_lists_merged_in_turn_are_no_row(model: str, fused: Record, board: Path, tmp_path: Path) -> None:
    with opened_fusion(MODELS) if model == MODELS else opened(model) as ranker:
        record = made(Balanced(ranker), model)
    with pytest.raises(RecordError, match="evaluate without --balanced"):
        submit(place(record, tmp_path), board)


def test_a_fusion_whose_top_is_ranked_again(board: Path, tmp_path: Path) -> None:
    with opened_fusion(MODELS) as first, opened("char-ngrams") as second:
        two = Reranked(first, second, depth=3)
        asked_for = {"model": MODELS, "rerank": "char-ngrams", "rerank_depth": 3}
        record = submittable(evaluate(two, metrics=METRICS, arguments=asked_for)[0])
    done = reproduce(submit(place(record, tmp_path), board).record)
    assert (done.found.identical, done.identity) == (record.ranks.n_relevants, [])


def test_scores_made_elsewhere(board: Path, tmp_path: Path) -> None:
    data, folder = load_task("mini"), tmp_path / "lab" / "mini"
    folder.mkdir(parents=True)
    scores = np.random.default_rng(0).normal(size=(len(data.queries), len(data.candidates)))
    np.save(folder / "scores.npy", scores)
    for name, items in (("queries", data.queries), ("candidates", data.candidates)):
        (folder / f"{name}.ids.txt").write_text("".join(f"{one.id}\n" for one in items), encoding="utf-8")
    model = f"scores:{folder.parent}"
    path = submit(place(made(model, model), tmp_path), board).record
    (row,) = read_leaderboard(board).rows
    assert (row.kind, row.reproduce.needs) == (
        "run",
        "the folder lab, which is not part of the submission",
    )
    with pytest.raises(RecordError, match="made from scores made elsewhere"):
        reproduce(path)
    with opened_fusion(f"fuse:rrf bm25 {model}") as ranker:
        record = made(ranker, f"fuse:rrf bm25 {model}")
    path = submit(place(record, tmp_path), board).record
    with pytest.raises(RecordError, match="made from scores made elsewhere"):
        reproduce(path)
    assert read_json(path)["provenance"]["arguments"]["model"] == "fuse:rrf bm25 scores:lab"  # no path of this machine
    assert verify(board).faults == []


def test_code_that_scores_pairs(board: Path, tmp_path: Path) -> None:
    code = tmp_path / "pairs.py"
    code.write_text(
        "class Pairs:\n    revision = '1'\n\n    def score(self, queries, candidates):\n"
        "        return [[len(set(q) & set(c)) for c in candidates] for q in queries]\n",
        encoding="utf-8",
    )
    model = f"{code}:Pairs"
    path = submit(place(made(model, model), tmp_path), board).record
    (row,) = read_leaderboard(board).rows
    assert (row.kind, row.reproduce.needs) == ("run", "the Python code of pairs.py:Pairs")
    with pytest.raises(RecordError, match="run only when it is named"):
        reproduce(path)
    done = reproduce(path, again=Rerun(model=model), witness=Witness(by="the lab"))
    assert done.written is not None
    assert verify(board).faults == []
