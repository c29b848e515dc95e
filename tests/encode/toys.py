"""Small tasks and encoders for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xqr_bench.core.types import Candidate, Query, TaskData


def make_task(
    queries: Mapping[str, Sequence[str]],
    candidates: Mapping[str, Sequence[str]],
    name: str = "toy",
    **more: Any,
) -> TaskData:
    """A task from texts by language; query i is answered by candidate i of its language, or by the last."""
    languages = tuple(candidates)
    query_rows = [
        Query(f"{language}:q{i}", language, f"q{i}", text)
        for language, texts in queries.items()
        for i, text in enumerate(texts)
    ]
    candidate_rows = [
        Candidate(f"{language}:0:0:{i}", language, text)
        for language, texts in candidates.items()
        for i, text in enumerate(texts)
    ]
    return TaskData(
        name=name,
        languages=languages,
        queries=tuple(query_rows),
        candidates=tuple(candidate_rows),
        relevants=tuple((0,) for _ in query_rows),
        clusters=tuple(0 for _ in query_rows),
        **more,
    )


TOY = make_task(
    {"en": ["Who wrote it?", "Where is the town?"], "de": ["Wer schrieb es?", "Wo ist die Stadt?"]},
    {"en": ["She wrote it.", "The town is near the sea."], "de": ["Sie schrieb es.", "Wo ist die Stadt?"]},
)


def vector_of(text: str) -> list[float]:
    """A vector that tells texts apart."""
    return [len(text) + 1.0, float(sum(map(ord, text)) % 97), float(sum(i * ord(c) for i, c in enumerate(text)))]


class Counting:
    """Remembers what it was asked."""

    name = "counting"

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []

    def encode_queries(self, texts: list[str]) -> Any:
        self.calls.append(("query", texts))
        return np.array([vector_of(text) for text in texts])

    def encode_candidates(self, texts: list[str]) -> Any:
        self.calls.append(("candidate", texts))
        return np.array([vector_of(text) for text in texts])

    def texts(self, role: str) -> list[str]:
        return [text for called, texts in self.calls if called == role for text in texts]


class Symmetric:
    """Only `encode`."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, texts: list[str]) -> Any:
        self.texts += texts
        return np.array([vector_of(text) for text in texts])


class Returning:
    """Returns whatever it was told to."""

    name = "wrong"

    def __init__(self, function: Any) -> None:
        self.function = function

    def encode(self, texts: list[str]) -> Any:
        return self.function(texts)
