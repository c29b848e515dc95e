"""The best candidates beside a submission: optional, and held against its ranks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.board.conftest import score
from tests.kit import contents, edit, run
from xqr_bench.board.asked import Submission
from xqr_bench.board.submissions import submit, verify
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.record import Record, load_record, save_record
from xqr_bench.record.top_file import save_top

TOP_ONLY = Submission(top_only=True)


class Letters:
    """Poor, and another ranking than anybody's."""

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[1 + text.count(letter) for letter in "aeiou"] for text in texts], dtype=np.float32)


def without_top(board: Path, saved: Path) -> Path:
    """A board as it was before there were such files, and the one record on it."""
    placed = submit(saved, board).record
    placed.with_suffix(".top.parquet").unlink()
    return placed


def test_they_come_along(saved: Path, board: Path) -> None:
    placed = submit(saved, board).record
    before, there = load_record(saved, ranks=True), load_record(placed, ranks=True, whole=False)
    assert there.top_file is None
    assert there.top_candidates().digest() == before.top_candidates().digest()
    assert verify(board).faults == []
    assert run("recompute", str(placed)).code == 0
    moved = submit(placed, board.with_name("elsewhere")).record
    assert contents(moved.parent) == contents(placed.parent)


def test_they_are_optional(saved: Path, board: Path) -> None:
    without_top(board, saved)
    assert verify(board).faults == []


def test_they_can_be_added_and_nothing_else_changes(saved: Path, board: Path) -> None:
    placed = without_top(board, saved)
    before = contents(board)
    done = run("submit", str(saved), "--leaderboard", str(board), "--top-only")
    assert done.code == 0
    assert f"added best candidates to: {placed}" in done.err
    assert f"git add {placed.with_suffix('.top.parquet')}" in done.out
    after = contents(board)
    assert after.pop("char-ngrams/1/mini.top.parquet")
    assert after == before
    assert verify(board).faults == []


def test_those_of_other_ranks_are_not_added(saved: Path, board: Path, noisy: Record, tmp_path: Path) -> None:
    without_top(board, saved)
    before = contents(board)
    with pytest.raises(XqrBenchError, match="there is no submission"):
        submit(save_record(noisy, tmp_path / "noisy" / "mini.json"), board, TOP_ONLY)
    identity = load_record(saved).model
    other = save_record(score(Letters()).model_copy(update={"model": identity}), tmp_path / "other" / "mini.json")
    with pytest.raises(XqrBenchError, match="the best candidates do not follow from the ranks of mini"):
        submit(other, board, TOP_ONLY)
    other.with_suffix(".top.parquet").unlink()
    edit(other, lambda data: data.pop("top_file"))
    with pytest.raises(XqrBenchError, match="does not tell its best candidates"):
        submit(other, board, TOP_ONLY)
    assert contents(board) == before
    with pytest.raises(UsageError, match="--top-only changes nothing"):
        Submission(top_only=True, replace=True)


def test_edited_ones_are_a_fault(saved: Path, board: Path) -> None:
    placed = submit(saved, board).record
    top = load_record(placed, ranks=True, whole=False).top_candidates()
    save_top(replace(top, places=top.places[:, [1, 0, *range(2, 20)]]), placed.with_suffix(".top.parquet"))
    (fault,) = verify(board).faults
    assert fault.path == "char-ngrams/1/mini.json"
    assert fault.text.startswith("the best candidates do not follow from the ranks of mini: ")
    done = run("recompute", str(placed))
    assert done.code == 1
    assert "the best candidates do not follow from the ranks of mini" in done.err


def linked(file: Path) -> None:
    elsewhere = file.with_name("elsewhere")
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def grown(file: Path) -> None:
    with file.open("ab") as stream:
        stream.truncate(5 * 2**20)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def other_ranks(file: Path) -> None:
    shutil.copy(file.with_name("mini.ranks.parquet"), file)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (linked, "is a symbolic link"),
        (emptied, "is no file of best candidates"),
        (grown, "is too large for a submission"),
        (a_folder, "is no regular file"),
        (other_ranks, "is no file of best candidates"),
    ],
)
def test_bad_files(change: Callable[[Path], None], problem: str, saved: Path, board: Path, tmp_path: Path) -> None:
    placed = submit(saved, board).record
    change(placed.with_suffix(".top.parquet"))
    assert any(problem in fault.text for fault in verify(board).faults)
    change(saved.with_suffix(".top.parquet"))
    with pytest.raises(XqrBenchError, match=problem):
        submit(saved, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_name_of_another_file(saved: Path, board: Path) -> None:
    edit(saved, lambda data: data["top_file"].update(file="../mini.top.parquet"))
    with pytest.raises(XqrBenchError, match="names another file for its best candidates"):
        submit(saved, board)


def test_replaced_ones_go_with_their_ranks(saved: Path, board: Path, tmp_path: Path, noisy: Record) -> None:
    placed = submit(saved, board).record
    other = noisy.model_copy(update={"model": load_record(saved).model, "top": None, "top_file": None})
    submit(save_record(other, tmp_path / "other" / "mini.json"), board, Submission(replace=True))
    assert not placed.with_suffix(".top.parquet").exists()
    assert verify(board).faults == []
