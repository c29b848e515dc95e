"""Quantised vectors on the leaderboard: a protocol of their own, made again, checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.board.conftest import score
from tests.kit import edit
from xqr_bench.board.reproduce import reproduce
from xqr_bench.board.submissions import submit, verify
from xqr_bench.board.table import read_leaderboard
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.rank.quantize import QuantizeOptions
from xqr_bench.record import Record, record_path, save_record


@pytest.fixture(scope="module")
def int8() -> Record:
    return score("char-ngrams", quantize=QuantizeOptions("int8", 20), arguments={"quantize": "int8", "rescore": "20"})


def place(record: Record, tmp_path: Path) -> Path:
    return save_record(record, record_path(tmp_path / "results", record.model.name, record.task.name))


def test_a_row_of_its_own_made_again(record: Record, int8: Record, board: Path, tmp_path: Path) -> None:
    for found in (record, int8):
        submit(place(found, tmp_path), board)
    assert verify(board).faults == []
    rows = {row.model: row for row in read_leaderboard(board).rows}
    assert {name: row.protocol.name for name, row in rows.items()} == {
        "char-ngrams": "standard",
        "char-ngrams+int8-rescore20": "quantised int8, rescored 20",
    }
    row = rows["char-ngrams+int8-rescore20"]
    assert row.quantization["bytes_per_vector"] == row.quantization["dimensions"] == 2048
    assert "--quantize int8 --rescore 20" in row.reproduce.command
    done = reproduce(place(int8, tmp_path))
    assert done.found.identical == int8.ranks.n_relevants
    path = edit(place(int8, tmp_path), lambda data: data.pop("quantization"))
    with pytest.raises(RecordError, match="made in another way"):
        reproduce(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data["quantization"].update(rescore=30), "contradicts itself about its int8 vectors"),
        (lambda data: data["quantization"].update(calibrated_on=5), "contradicts itself about its int8 vectors"),
        (lambda data: data["quantization"].update(precision="binary"), "quantised so to binary"),
        (lambda data: data.pop("quantization"), "contradicts itself about its quantize"),
    ],
)
def test_a_quantisation_that_cannot_be(int8: Record, board: Path, tmp_path: Path, change: object, problem: str) -> None:
    with pytest.raises(XqrBenchError, match=problem):
        submit(edit(place(int8, tmp_path), change), board)
