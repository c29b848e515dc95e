"""Rankers that score single pairs of a query and a candidate, as a second stage asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.rank.product import Vectors


class Pairs(NamedTuple):
    """Pairs of a task.

    Attributes:
        queries: the query of each, ascending, int64 `[pairs]`.
        candidates: the candidate of each, int64 `[pairs]`.
    """

    queries: IntArray
    candidates: IntArray


@runtime_checkable
class PairRanker(Protocol):
    """A ranker that can score some of the pairs of a query and a candidate, and not the others."""

    def pair_scores(self, part: TaskData, pairs: Pairs, observe: Observer) -> Vectors:
        """Scores of pairs of a task, float32 `[pairs]`; the same each time they are asked for."""

    def pair_warnings(self) -> Sequence[str]:
        """What a user should read beside ranks made of them."""

    def seconds(self, data: TaskData, pairs: int, observe: Observer) -> float:
        """About how long so many pairs of a task take."""

    def forget(self) -> None:
        """Let go of scores kept to go on after a stop: the record is made."""


def distinct(texts: Sequence[str]) -> tuple[list[str], IntArray]:
    """Each text once, and the number of each text's, int64 `[texts]`."""
    numbers: dict[str, int] = {}
    of_text = [numbers.setdefault(text, len(numbers)) for text in texts]
    return list(numbers), np.array(of_text, dtype=np.int64)
