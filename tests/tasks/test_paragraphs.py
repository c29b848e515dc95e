"""Candidates carry the text of their paragraph, one string for all its sentences."""

from __future__ import annotations

import json

import pytest

from xqr_bench.core.errors import DataError
from xqr_bench.tasks import load_task
from xqr_bench.tasks.readers.lareqa import read


def test_a_sentence_stands_in_its_paragraph_and_shares_it() -> None:
    data = load_task("mini")
    of_paragraph: dict[str, str] = {}
    for candidate in data.candidates:
        assert candidate.text in candidate.context
        shared = of_paragraph.setdefault(candidate.group, candidate.context)
        assert candidate.context is shared


def test_parts_of_a_task_keep_them() -> None:
    whole = {candidate.id: candidate.context for candidate in load_task("mini").candidates}
    for part in (load_task("mini", limit=2), load_task(load_task("mini"), languages=["ar", "de"])):
        assert part.candidates
        assert all(candidate.context == whole[candidate.id] for candidate in part.candidates)


def test_half_a_character_in_a_paragraph_is_refused() -> None:
    paragraph = {"context": "One. \ud800", "sentences": ["One."], "sentence_breaks": [[0, 4]], "qas": []}
    content = json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}).encode()
    with pytest.raises(DataError, match=r"data\.0\.paragraphs\.0\.context holds half of a surrogate pair"):
        read(content, "x.json")
