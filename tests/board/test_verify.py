"""Verifying a folder: one line a fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.board.conftest import edit_ranks
from tests.kit import contents, edit, run
from xqr_bench.board import submissions
from xqr_bench.board.submissions import submit, verify
from xqr_bench.board.table import read_leaderboard
from xqr_bench.core.types import Ranks
from xqr_bench.record import Record, save_record


@pytest.fixture(scope="module")
def in_order(record: Record, noisy: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in-order")
    for found in (record, noisy):
        submit(save_record(found, folder / "one" / "mini.json"), folder / "board")
    return folder / "board"


@pytest.fixture
def filled(in_order: Path, board: Path) -> Path:
    return Path(shutil.copytree(in_order, board))


def faults(board: Path) -> list[str]:
    return [f"{fault.path}: {fault.text}" for fault in verify(board).faults]


def test_a_folder_in_order(filled: Path) -> None:
    (filled / "README.md").write_text("", encoding="utf-8")
    before = contents(filled)
    done = run("leaderboard", "verify", str(filled))
    assert done.code == 0
    assert done.out.splitlines() == [
        "2 submissions are in order: all their scores follow from their ranks",
        "declared by the submitters, not proved: the model and its identity, training, exposure, protocol "
        "(a transform, an index or a context that is not declared cannot be seen in ranks), warnings, diagnostics and "
        "provenance",
    ]
    assert done.err.splitlines() == ["checking char-ngrams/1/mini.json", "checking lab__noisy/2/mini.json"]
    assert contents(filled) == before


def test_each_fault_is_a_line(filled: Path) -> None:
    edit(filled / "char-ngrams/1/mini.json", lambda data: data["scores"]["multilingual"]["map"].update(value=0.9))
    edit_ranks(filled / "lab__noisy/2/mini.json", lambda ranks: ranks.gt.__setitem__((0, 0), 0), sign=False)
    (filled / "notes.txt").write_text("", encoding="utf-8")
    (filled / "lab__noisy/2/run.sh").write_text("", encoding="utf-8")
    (filled / "published").mkdir()
    (filled / "published" / "x.json").write_text("{}", encoding="utf-8")
    (filled / "link").symlink_to("/")
    done = run("leaderboard", "verify", "--quiet", str(filled))
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[:3] == [
        "lab__noisy/2/run.sh: not part of a submission",
        "link: a symbolic link",
        "notes.txt: not part of a submission",
    ]
    assert lines[3].startswith("published/x.json: x.json: published_version: Field required")
    assert lines[4].startswith("char-ngrams/1/mini.json: scores do not follow from the ranks: scores.multilingual.map")
    assert lines[5].startswith("lab__noisy/2/mini.json: the ranks in lab__noisy/2/mini.ranks.parquet are not those")
    assert len(lines) == 6


def test_a_record_in_the_wrong_place(filled: Path) -> None:
    (filled / "char-ngrams").rename(filled / "better")
    assert faults(filled) == [
        "better/1/mini.json: the record stands in the wrong place; found it belongs to char-ngrams/1/mini.json"
    ]


def test_local_paths(filled: Path) -> None:
    edit(filled / "char-ngrams/1/mini.json", lambda data: data["provenance"]["settings"].update(data_dir="/home/me"))
    assert faults(filled) == ["char-ngrams/1/mini.json: the record holds paths of the machine it was made on"]


def test_ranks_of_another_name(filled: Path) -> None:
    folder = filled / "char-ngrams/1"
    (folder / "mini.ranks.parquet").rename(folder / "other.ranks.parquet")
    edit(folder / "mini.json", lambda data: data["ranks_file"].update(file="other.ranks.parquet"))
    assert faults(filled) == [
        "char-ngrams/1/other.ranks.parquet: not part of a submission",
        "char-ngrams/1/mini.json: the record names another ranks file; found other.ranks.parquet",
    ]


def test_names_that_differ_in_case_only(filled: Path) -> None:
    shutil.copytree(filled / "char-ngrams", filled / "Char-ngrams")
    edit(filled / "Char-ngrams/1/mini.json", lambda data: data["model"].update(name="Char-ngrams"))
    assert "char-ngrams: the same name as Char-ngrams on some systems" in faults(filled)


def test_two_models_in_one_folder(filled: Path) -> None:
    shutil.copytree(filled / "lab__noisy/2", filled / "lab__noisy/3")

    def other(data: dict) -> None:
        data["model"]["name"] = "lab__noisy"
        data["model"]["identity"]["revision"] = "3"

    edit(filled / "lab__noisy/3/mini.json", other)
    assert faults(filled) == [
        "lab__noisy/2/mini.json: its folder belongs to another model, 'lab__noisy' of lab__noisy/3/mini.json",
        "lab__noisy/3/mini.json: its folder belongs to another model, 'lab/noisy' of lab__noisy/2/mini.json",
    ]


def test_the_same_ranks_under_two_names(filled: Path) -> None:
    shutil.copytree(filled / "lab__noisy", filled / "lab__copy")
    edit(filled / "lab__copy/2/mini.json", lambda data: data["model"].update(name="lab/copy"))
    text = "its ranks are those of 'lab/{}', lab__{}/2/mini.json: one model has one name"
    assert faults(filled) == [
        f"lab__copy/2/mini.json: {text.format('noisy', 'noisy')}",
        f"lab__noisy/2/mini.json: {text.format('copy', 'copy')}",
    ]
    refused = read_leaderboard(filled).refused
    assert [f"{one.path}: {one.fault}" for one in refused] == faults(filled)


def as_run(ranks: Ranks) -> Ranks:
    """As a run has them, whose lists are its own."""
    return replace(ranks, own_parts=False)


@pytest.mark.parametrize("repacked", [lambda ranks: replace(ranks, top=None), as_run])
def test_the_same_ranks_with_another_digest(filled: Path, repacked: Callable[[Ranks], Ranks]) -> None:
    shutil.copytree(filled / "lab__noisy", filled / "lab__copy")
    copy = filled / "lab__copy/2/mini.json"

    def change(data: dict) -> None:
        data["model"].update(name="lab/copy")
        data["relevance"] = {}
        if repacked is as_run:
            data["model"].update(identity={"kind": "run", "name": "run", "revision": "2", "similarity": "none"})
            data["diagnostics"] = {}

    edit(copy, change)
    for rule in ("lenient", "paragraph"):
        copy.with_suffix(f".{rule}.parquet").unlink()
    edit_ranks(copy, repacked)
    assert any("its ranks are those of 'lab/noisy'" in fault for fault in faults(filled))


def test_a_file_of_a_rule_that_the_record_does_not_have(filled: Path) -> None:
    """It is neither believed nor cleared away."""
    edit(filled / "char-ngrams/1/mini.json", lambda data: data["relevance"].pop("lenient"))
    assert faults(filled) == ["char-ngrams/1/mini.json: mini.lenient.parquet is no part of the record beside it"]
    assert (filled / "char-ngrams/1/mini.lenient.parquet").is_file()


def test_the_same_ranks_of_one_model_twice(filled: Path) -> None:
    shutil.copytree(filled / "lab__noisy/2", filled / "lab__noisy/3")
    edit(filled / "lab__noisy/3/mini.json", lambda data: data["model"]["identity"].update(revision="3"))
    text = "its ranks are those of lab__noisy/{}/mini.json: one model stands there once"
    assert faults(filled) == [
        f"lab__noisy/2/mini.json: {text.format(3)}",
        f"lab__noisy/3/mini.json: {text.format(2)}",
    ]


def test_a_linked_model_is_not_read(filled: Path, tmp_path: Path) -> None:
    (filled / "char-ngrams").rename(tmp_path / "elsewhere")
    (filled / "char-ngrams").symlink_to(tmp_path / "elsewhere")
    assert faults(filled) == ["char-ngrams: a symbolic link"]
    assert verify(filled).checked == 1


def test_a_fault_cannot_steer_the_terminal(filled: Path) -> None:
    edit(filled / "char-ngrams/1/mini.json", lambda data: data["task"].update(title="\x1b[2J\nall in order"))
    (filled / "a\x1b[31m\nb").write_text("", encoding="utf-8")
    done = run("leaderboard", "verify", "--quiet", str(filled))
    assert "\x1b" not in done.out
    assert done.out.splitlines() == [
        "a�[31m�b: not part of a submission",
        "char-ngrams/1/mini.json: the title of the record is not that of mini; found �[2J�all in order",
    ]


def test_there_must_be_a_folder(tmp_path: Path) -> None:
    done = run("leaderboard", "verify", str(tmp_path / "nowhere"))
    assert done.code == 1
    assert "there is no leaderboard folder" in done.err


def test_many_submissions_are_checked_in_processes(saved: Path, board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(saved, board)
    monkeypatch.setattr(submissions, "IN_ONE_PROCESS", 0)
    found = verify(board)
    # only here the mini task is one of the board's
    (fault,) = found.faults
    assert fault.path == "char-ngrams/1/mini.json"
    assert "there is no task of the leaderboard named 'mini'" in fault.text
