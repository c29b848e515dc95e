"""Records of two stages, and of a CrossEncoder: submitted, reproduced, and forged."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.board.conftest import METRICS, submittable
from tests.kit import edit, words
from xqr_bench.board.asked import Rerun, Witness
from xqr_bench.board.reproduce import reproduce
from xqr_bench.board.row import reproduce_command
from xqr_bench.board.submissions import submit, verify
from xqr_bench.board.table import read_leaderboard
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.encode import EncoderOptions
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.evaluation.evaluate import evaluate, opened
from xqr_bench.evaluation.reranked import Reranked
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.record import Record, load_record, record_path, save_record


@pytest.fixture(scope="module")
def two_stages(cross_encoder: Path) -> Iterator[Record]:
    """Centred vectors, their top 2 of each language ranked again by a CrossEncoder."""
    arguments = {
        "model": "char-ngrams",
        "transform": "center",
        "rerank": str(cross_encoder),
        "rerank_depth": 2,
        "rerank_arg": {"max_length": 40, "device": "cpu"},
        "name": "mine",
    }
    options = EncoderOptions(device="cpu", max_length=40)
    with opened("char-ngrams") as first, opened(str(cross_encoder), options) as second:
        assert isinstance(first, VectorRanker)
        first = VectorRanker(first.encoder, TransformOptions("center"))
        yield submittable(evaluate(Reranked(first, second, 2, name="mine"), metrics=METRICS, arguments=arguments)[0])


@pytest.fixture
def placed(two_stages: Record, tmp_path: Path) -> Path:
    saved = save_record(two_stages, record_path(tmp_path / "results", "mine", "mini"))
    return submit(saved, tmp_path / "board").record


def test_it_stands_on_the_board_and_is_reproduced(placed: Path, tmp_path: Path, cross_encoder: Path) -> None:
    again = Rerun(rerank=str(cross_encoder))  # paths of a machine are cut down in what is published
    done = reproduce(placed, again=again, witness=Witness(by="the lab"))
    assert (done.identity, done.why_not) == ([], None)
    assert done.found.identical == done.found.relevants
    assert verify(tmp_path / "board").faults == []
    (row,) = read_leaderboard(tmp_path / "board").rows
    assert (row.kind, row.status, row.identity["reranking"]["depth"]) == ("run", "reproduced", 2)
    command = shlex.split(row.reproduce.command)
    assert command[1:3] == ["evaluate", "char-ngrams"]
    for option, value in (("--transform", "center"), ("--rerank", "tiny-ce"), ("--rerank-depth", "2")):
        assert command[command.index(option) + 1] == value
    assert "max_length=40" in command
    assert row.reproduce.needs == "the model folder tiny-ce"


def changed(place: str, value: Any) -> Any:
    def change(data: Any) -> None:
        *above, last = place.split("/")
        for key in above:
            data = data[key]
        data[last] = value

    return change


STAGES = "model/identity/reranking"


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (f"{STAGES}/relevants_added", True, "an upper bound, which no search gives"),
        (f"{STAGES}/depth", 100, "contradicts itself about what was ranked again"),
        (f"{STAGES}/pool", "pool", "contradicts itself about what was ranked again"),
        ("model/identity/kind", "cross-encoder", "says which they are, and no other does"),
        ("model/identity/reranking", None, "says which they are, and no other does"),
        (f"{STAGES}/second/similarity", "cosine", "contradicts itself about the vectors of tiny-ce"),
        (f"{STAGES}/second/model_kwargs", {"code": "x"}, "can decide which code runs"),
        (f"{STAGES}/first/kind", "sentence-transformers", "transform|another model"),
        (f"{STAGES}/first/name", "char-trigrams", "no encoder 'char-trigrams' is built in"),
        (f"{STAGES}/second/digest", "none", "digest is none"),
        ("provenance/arguments/model", "other", "made with another model than it names"),
        ("provenance/arguments/rerank", "file.py:Object", "names Python code as an encoder of the kind cross-encoder"),
        ("provenance/arguments/rerank", "--help", "names an option as its model"),
        ("provenance/arguments/rerank_arg", {"model_kwargs": {"code": "x"}}, "can decide which code runs"),
    ],
)
def test_a_forged_record_is_refused(place: str, value: Any, problem: str, two_stages: Record, tmp_path: Path) -> None:
    path = save_record(two_stages, record_path(tmp_path / "results", "mine", "mini"))
    edit(path, changed(place, value))
    if place.endswith("first/kind"):  # a folder may be called as anything: believed, and run again where it is attested
        submit(path, tmp_path / "board")
        return
    with pytest.raises(XqrBenchError) as error:
        submit(path, tmp_path / "board")
    assert any(one in words(str(error.value)) for one in problem.split("|")), error.value


def test_a_second_stage_in_python_is_not_run(two_stages: Record, tmp_path: Path) -> None:
    path = save_record(two_stages, record_path(tmp_path / "results", "mine", "mini"))
    edit(path, changed(f"{STAGES}/second/kind", "python"))
    with pytest.raises(RecordError, match="second stage of the record cannot be run again"):
        reproduce(path)


def test_a_cross_encoder_alone(two_stages: Record, tmp_path: Path) -> None:
    """Of its kind the record is the same, with fewer facts."""
    stages = two_stages.model.identity.reranking
    assert stages is not None
    identity = stages.second.model_copy(update={"name": "lab/ce", "revision": "c0ffee", "digest": None})
    settings = {name: value for name, value in two_stages.provenance.settings.items() if "rerank" not in name}
    made = two_stages.provenance.model_copy(
        update={"arguments": {"model": "ce", "max_length": 40}, "settings": settings | {"transform": None}}
    )
    alone = two_stages.model_copy(
        update={
            "model": two_stages.model.model_copy(update={"name": "ce", "identity": identity}),
            "provenance": made,
            "transform": None,
            "diagnostics": {},
        }
    )
    placed = submit(save_record(alone, record_path(tmp_path / "results", "ce", "mini")), tmp_path / "board").record
    command = reproduce_command(load_record(placed)).command
    assert command == "xqr-bench evaluate ce --task mini --revision c0ffee --max-length 40"
