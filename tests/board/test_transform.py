"""Transformed vectors on the leaderboard: a row of its own, made again, checked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.board.conftest import score
from tests.kit import edit, run
from xqr_bench.board.asked import Rerun
from xqr_bench.board.reproduce import reproduce
from xqr_bench.board.submissions import submit, verify
from xqr_bench.board.table import read_leaderboard
from xqr_bench.core.errors import RecordError, UsageError, XqrBenchError
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.record import Record, load_record, record_path, save_record
from xqr_bench.tasks import load_task


@pytest.fixture(scope="module")
def bitext(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mini task's questions as translated sentences."""
    folder = tmp_path_factory.mktemp("texts") / "lines"
    folder.mkdir()
    data = load_task("mini")
    for code in data.languages:
        lines = [query.text for query in data.queries if query.language == code]
        (folder / f"{code}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def centered() -> Record:
    return score("char-ngrams", transform=TransformOptions("center"), arguments={"transform": "center"})


@pytest.fixture(scope="module")
def removed(bitext: Path) -> Record:
    given = {"model": "char-ngrams", "transform": "remove-1", "transform_from": str(bitext)}
    return score("char-ngrams", transform=TransformOptions("remove-1", bitext), arguments=given)


def place(record: Record, tmp_path: Path) -> Path:
    return save_record(record, record_path(tmp_path / "results", record.model.name, record.task.name))


def test_a_row_of_its_own(record: Record, centered: Record, removed: Record, board: Path, tmp_path: Path) -> None:
    for found in (record, centered, removed):
        submit(place(found, tmp_path), board)
    assert verify(board).faults == []
    rows = {row.model: row for row in read_leaderboard(board).rows}
    assert {name: row.protocol.name for name, row in rows.items()} == {
        "char-ngrams": "standard",
        "char-ngrams+center": "transform center",
        "char-ngrams+remove-1-from-lines": "transform remove-1 from lines",
    }
    row = rows["char-ngrams+remove-1-from-lines"]
    assert row.transform["bitext"]["name"] == "lines"
    assert row.transform["transductive"] is False
    assert "--transform remove-1 --transform-from lines" in row.reproduce.command
    # compared within a protocol only: each is alone in its contest
    assert {found.place for row in rows.values() for of in row.standing.values() for found in of.values()} == {1}
    assert row.diagnostics["en"].queries is not None
    assert row.unrepresented == []
    shown = run("leaderboard", "show", "--leaderboard", str(board))
    assert "char-ngrams+center" in shown.out  # the protocol behind it may be cut off


def test_made_again(centered: Record, removed: Record, bitext: Path, tmp_path: Path) -> None:
    for record in (centered, removed):
        done = reproduce(place(record, tmp_path))
        assert done.within
        assert done.found.identical == record.ranks.n_relevants
    moved = tmp_path / "elsewhere"
    shutil.copytree(bitext, moved)
    path = place(removed, tmp_path)
    assert run("reproduce", str(path), "--transform-from", str(moved)).code == 0
    (moved / "en.txt").write_text((moved / "de.txt").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(RecordError, match="are not those that remove-1 was estimated on"):
        reproduce(path, again=Rerun(transform_from=moved))
    with pytest.raises(RecordError, match="which are not at"):
        reproduce(path, again=Rerun(transform_from=tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="a record without such a folder"):
        reproduce(place(centered, tmp_path), again=Rerun(transform_from=moved))


@pytest.mark.parametrize("name", ["leace", "shift-en@0.5"])
def test_in_part_and_towards_a_language(name: str, board: Path, tmp_path: Path) -> None:
    path = place(score("char-ngrams", transform=TransformOptions(name), arguments={"transform": name}), tmp_path)
    assert reproduce(path).within
    submit(path, board)
    (row,) = read_leaderboard(board).rows
    assert (row.model, row.protocol.name) == (f"char-ngrams+{name}", f"transform {name}")
    assert f"--transform {name}" in row.reproduce.command
    assert verify(board).faults == []


def test_forgetting_the_transform_is_found(centered: Record, tmp_path: Path) -> None:
    path = place(centered, tmp_path)
    edit(path, lambda data: data.pop("transform"))
    assert not reproduce(path).within


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "sharpen"}, "names no transform of xqr-bench"),
        ({"transductive": False}, "contradicts itself about its transform center"),
        ({"removed_directions": 2}, "contradicts itself"),
        ({"strength": 0.5}, "contradicts itself"),
        ({"language": "en"}, "contradicts itself"),
        ({"name": "center@0.5"}, "contradicts itself"),
        ({"estimated_on": {"xx": {"queries": 1, "candidates": 1}}}, "contradicts itself"),
    ],
)
def test_a_transform_that_cannot_be(
    centered: Record, board: Path, tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    path = place(centered, tmp_path)
    edit(path, lambda data: data["transform"].update(change))
    with pytest.raises(XqrBenchError, match=problem):
        submit(path, board)


def test_impossible_counts_of_vectors(record: Record, board: Path, tmp_path: Path) -> None:
    path = place(record, tmp_path)
    edit(path, lambda data: data["diagnostics"]["th"]["queries"].update(vectors=10**6))
    with pytest.raises(XqrBenchError, match=r"diagnostics\.th\.queries: .* cannot have 1000000 vectors"):
        submit(path, board)


def test_no_path_of_this_machine_is_published(removed: Record, bitext: Path, board: Path, tmp_path: Path) -> None:
    done = submit(place(removed, tmp_path), board)
    text = done.record.read_text(encoding="utf-8")
    assert str(bitext.parent) not in text
    facts = load_record(done.record)
    assert facts.provenance.arguments["transform_from"] == "lines"
