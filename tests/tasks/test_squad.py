"""Plain SQuAD: a paragraph is a candidate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xqr_bench.core.errors import DataError
from xqr_bench.tasks import DataFile, SourceCandidate, SourceData
from xqr_bench.tasks.readers import squad


def document(**changes: object) -> dict[str, Any]:
    qa = {"id": "q1", "question": "Who?", "answers": [{"answer_start": 4, "text": "birds"}]} | changes
    paragraphs = [
        {"context": "Two birds sing.", "qas": [qa]},
        {"context": "Alone.", "sentences": ["not looked at"], "qas": []},
    ]
    return {"data": [{"title": "first", "paragraphs": paragraphs}, {"paragraphs": [{"context": "Last.", "qas": []}]}]}


def read(value: object) -> SourceData:
    return squad.read(DataFile("xx.json", json.dumps(value).encode()))


def test_paragraphs_are_candidates() -> None:
    data = read(document())
    assert data.candidates == (
        SourceCandidate("0:0", "Two birds sing.", cluster="0"),
        SourceCandidate("0:1", "Alone.", cluster="0"),
        SourceCandidate("1:0", "Last.", cluster="1"),
    )
    assert [(one.id, one.text, dict(one.gains), one.cluster) for one in data.questions] == [
        ("q1", "Who?", {0: 1.0}, "0")
    ]
    assert data.titles == {"0": "first"}


def test_answers_as_the_hub_has_them() -> None:
    assert read(document(answers={"answer_start": [4], "text": ["birds"]})) == read(document())


@pytest.mark.parametrize("answers", [[], {"answer_start": [], "text": []}])
def test_a_question_without_an_answer_is_left_out_and_counted(answers: object) -> None:
    data = read(document(answers=answers))
    assert data.candidates == read(document()).candidates
    assert [one.id for one in data.questions] == [one.id for one in read(document()).questions][1:]
    assert data.notes == (f"1 questions have no answer and are left out, such as {read(document()).questions[0].id}",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": [{"answer_start": 5, "text": "birds"}]}, "does not stand at answer_start 5"),
        ({"answers": [{"answer_start": -11, "text": "birds"}]}, "does not stand at answer_start -11"),
        ({"id": "a b"}, "the id holds a space"),
        ({"question": "\u200b"}, "the question is empty"),
    ],
)
def test_a_fault_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(document(**changes))
    assert "xx.json: article 0, paragraph 0, question 0" in str(caught.value)
