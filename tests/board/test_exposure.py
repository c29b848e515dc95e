"""Exposure on the board: declared at submission, kept, never declared away, shown apart."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.board.conftest import score
from tests.kit import run
from xqr_bench.board.asked import Submission, View, Witness
from xqr_bench.board.reproduce import reproduce
from xqr_bench.board.submissions import submit
from xqr_bench.board.table import leaderboard_text, read_leaderboard
from xqr_bench.board.terminal import show
from xqr_bench.core.errors import UsageError
from xqr_bench.encode import EncoderOptions
from xqr_bench.record import Record, load_record, record_path, save_record
from xqr_bench.record.exposure import Exposure
from xqr_bench.record.exposure_search import find_texts
from xqr_bench.tasks import load_task


def saved(record: Record, folder: Path, **changes: object) -> Path:
    made = record.model_copy(update=changes)
    return save_record(made, record_path(folder, made.model.name, made.task.name))


def renamed(record: Record, name: str) -> dict[str, object]:
    identity = record.model.identity.model_copy(update={"kind": "sentence-transformers", "name": name})
    return {"model": record.model.model_copy(update={"name": name, "identity": identity})}


def test_declared_kept_and_shown_apart(record: Record, noisy: Record, tmp_path: Path) -> None:
    from rich.console import Console

    board = tmp_path / "board"
    seen = saved(noisy, tmp_path / "a", **renamed(noisy, "lab/seen"))
    done = submit(seen, board, Submission(exposure="same source", exposure_note="read in the model card"))
    assert done.exposure == "same source"
    # a submission that says nothing more keeps what was said
    assert submit(seen, board, Submission(replace=True)).exposure == "same source"
    there = load_record(done.record)
    assert there.exposure == Exposure(level="same source", declared_by="submitter", note="read in the model card")
    assert there.scores == noisy.scores
    placed = submit(saved(record, tmp_path / "b"), board).record
    reproduce(placed, witness=Witness(by="the lab"))
    prompted = score("char-ngrams", options=EncoderOptions(query_prompt="question: "))
    submit(saved(prompted, tmp_path / "c", **renamed(prompted, "lab/silent")), board)
    made = read_leaderboard(board, test=False)
    assert {row.model: (row.exposure.level, row.exposure_class) for row in made.rows} == {
        "char-ngrams": ("none declared", "unexposed"),
        "lab/silent": ("unknown", "unknown"),
        "lab/seen": ("same source", "exposed"),
    }
    assert json.loads(leaderboard_text(made))["rows"][0]["exposure"]["level"]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(show(made, View()))
    lines = [line.strip() for line in console.export_text().splitlines()]
    starts = ("no exposure declared", "char-ngrams", "exposure unknown", "lab/silent", "exposed", "lab/seen")
    places = [next(i for i, line in enumerate(lines) if line.startswith(start)) for start in starts]
    assert places == sorted(places)
    only = run("leaderboard", "show", "--leaderboard", str(board), "--exposure", "exposed", "--no-tests")
    assert "lab/seen" in only.out
    assert "lab/silent" not in only.out
    assert run("leaderboard", "show", "--leaderboard", str(board), "--exposure", "seen").code == 1


def test_what_was_found_cannot_be_declared_away(record: Record, tmp_path: Path) -> None:
    data = load_task("mini", languages=["en"])
    found = find_texts(data, [data.queries[0].text]).to_json()
    exposure = Exposure.model_validate({"level": "evaluation text", "declared_by": "training record", "found": found})
    path = saved(record, tmp_path / "a", exposure=exposure, **renamed(record, "lab/trained"))
    with pytest.raises(UsageError, match="evaluation texts were found"):
        submit(path, tmp_path / "board", Submission(exposure="none declared"))
    assert submit(path, tmp_path / "board", Submission(exposure="evaluation text", exposure_note="by mistake")).exposure
    assert load_record(next((tmp_path / "board").rglob("mini.json"))).exposure.found == exposure.found
    with pytest.raises(UsageError, match="without a level"):
        submit(path, tmp_path / "board", Submission(replace=True, exposure_note="x"))


def test_what_mteb_declares_is_submitted_and_the_model_run_again(tmp_path: Path) -> None:
    pytest.importorskip("mteb")
    made = score("mteb:mteb/baseline-random-encoder")
    placed = submit(saved(made, tmp_path / "a"), tmp_path / "board").record
    exposure = load_record(placed).exposure
    assert (exposure.level, exposure.declared_by) == ("none declared", "mteb")
    found = reproduce(placed, witness=Witness(by="the lab")).found
    assert found.identical == found.relevants
    (row,) = read_leaderboard(tmp_path / "board", test=False).rows
    assert row.reproduce.command.startswith("xqr-bench evaluate mteb:mteb/baseline-random-encoder --task mini")


def test_the_languages_of_a_training_stay(record: Record, tmp_path: Path) -> None:
    exposure = Exposure(declared_by="training record", languages={"en": "trained", "th": "untouched"})
    path = saved(record, tmp_path / "a", exposure=exposure, **renamed(record, "lab/trained"))
    submit(path, tmp_path / "board", Submission(exposure="same source", exposure_note="questions over Wikipedia"))
    declared = load_record(next((tmp_path / "board").rglob("mini.json"))).exposure
    assert (declared.level, declared.languages) == ("same source", exposure.languages)
