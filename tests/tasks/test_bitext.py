"""Folders of translated sentences."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from xqr_bench.core.errors import DataError
from xqr_bench.tasks.assemble import read_bitext


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "ntrex"
    place.mkdir()
    (place / "en.txt").write_text("One.\nTwo.\n\u200b\nFour, \u2028 still four.\n", encoding="utf-8")
    (place / "de.txt").write_bytes("\ufeffEins.\r\nZwei.\r\nDrei.\r\nVier.\r\n".encode())
    (place / "IDS.tsv").write_text("nothing to do with it", encoding="utf-8")
    return place


def test_lines_are_translations(folder: Path) -> None:
    found = read_bitext(folder, ["de", "en"])
    assert found.name == "ntrex"
    assert found.languages == ("de", "en")
    # line 2 is blank in English: left out in both
    assert [query.id for query in found.queries] == ["de:0", "de:1", "de:3", "en:0", "en:1", "en:3"]
    assert [query.question for query in found.queries] == ["0", "1", "3"] * 2
    assert [candidate.text for candidate in found.candidates] == [
        "Eins.",
        "Zwei.",
        "Vier.",
        "One.",
        "Two.",
        "Four, \u2028 still four.",
    ]
    assert found.relevants == ((0, 3), (1, 4), (2, 5)) * 2
    assert found.clusters == (0, 1, 2) * 2
    assert found.files == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("de.txt", "en.txt")
    }


def test_only_the_languages_asked_for_are_read(folder: Path) -> None:
    (folder / "xx.txt").write_bytes(b"\xff\xfe")
    assert len(read_bitext(folder, ["en"]).queries) == 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda place: (place / "de.txt").write_text("Eins.\n"), "has files of different numbers of lines"),
        (lambda place: (place / "de.txt").unlink(), "has no sentences in de"),
        (lambda place: (place / "de.txt").write_bytes(b"\xff\xfe\n" * 4), ": not UTF-8 text"),
        (lambda place: (place / "de.txt").write_text("\n\nDrei.\n\n"), "has no line that holds text in every language"),
    ],
)
def test_what_cannot_be_read(folder: Path, change: object, problem: str) -> None:
    change(folder)
    with pytest.raises(DataError, match=problem):
        read_bitext(folder, ["en", "de"])


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        read_bitext(tmp_path / "missing", ["en"])
