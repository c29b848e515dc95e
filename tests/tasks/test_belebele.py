"""Belebele: questions are joined by link and number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xqr_bench.core.errors import DataError
from xqr_bench.tasks import DataFile, SourceData, load_task
from xqr_bench.tasks.readers import belebele

pytestmark = pytest.mark.usefixtures("own_surroundings")


def lines(language: str) -> bytes:
    rows = [("http://a", 1, "passage a"), ("http://a", 2, "passage a"), ("http://b", 1, "passage b")]
    return "".join(
        json.dumps(
            {
                "link": link,
                "question_number": number,
                "flores_passage": f"{language} {passage}",
                "question": f"{language} {passage} {number}?",
                "mc_answer1": "not read",
            }
        )
        + "\n"
        for link, number, passage in rows
    ).encode()


def read(content: bytes) -> SourceData:
    return belebele.read(DataFile("de.jsonl", content))


def test_a_passage_is_the_relevant_one_of_its_questions_in_all_languages(tmp_path: Path) -> None:
    for code in ("de", "sw"):
        (tmp_path / f"{code}.jsonl").write_bytes(lines(code))
    (tmp_path / "read.toml").write_text(
        """
        name = "read"
        format = "belebele"
        languages = ["de", "sw"]
        files = { de = { path = "de.jsonl" }, sw = { path = "sw.jsonl" } }
        """,
        encoding="utf-8",
    )
    data = load_task(tmp_path / "read.toml")
    assert [candidate.text for candidate in data.candidates] == [
        "de passage a",
        "de passage b",
        "sw passage a",
        "sw passage b",
    ]
    assert [query.question for query in data.queries[:3]] == ["http://a#1", "http://a#2", "http://b#1"]
    assert data.relevants == ((0, 2), (0, 2), (1, 3)) * 2
    assert data.clusters == (0, 0, 1) * 2


def test_another_passage_of_the_same_link_is_told() -> None:
    data = read(lines("de").replace(b"passage a", b"other", 1))
    assert [candidate.text for candidate in data.candidates] == ["de other", "de passage b"]
    assert data.notes == (
        "1 lines have another passage than an earlier line with the same link, such as http://a; the first counts",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((b"http://a", b"http: a"), "de.jsonl, line 1: the link is not one word"),
        ((b"de passage a 1?", b" "), "de.jsonl, line 1: the link is not one word, or passage or question is empty"),
        ((b'"question_number": 1', b'"question_number": "1"'), "de.jsonl, line 1: question_number: Input should be"),
    ],
)
def test_a_wrong_line_is_named(change: tuple[bytes, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(lines("de").replace(*change, 1))
