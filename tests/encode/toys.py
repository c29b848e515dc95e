"""A small task and encoders for the tests of this room."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit import make_task

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
