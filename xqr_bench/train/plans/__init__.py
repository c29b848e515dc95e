"""Batch strategies: one file each. A file in this folder that registers one is all it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.registry import Registry
from xqr_bench.core.types import FloatArray
from xqr_bench.train.types import Int32, Stream, deck, generator, pair_deck

# What a batch strategy is, the registry of strategies, and the draws of languages they are made of.

MONOLINGUAL, CROSS_LINGUAL, MIXED = 0, 1, 2
"""Codes of the types of a batch, as in `BATCH_TYPES`."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a plan is asked for, checked (docs/batch-plans.md says what each means)."""

    alpha: float
    mix: Literal["batch", "pair"]
    steps: int
    batch_size: int
    seed: int
    turn: int | None = None
    shuffle_positives: bool = False
    distinct_pairs: Literal["all", "as-monolingual"] = "all"


class Strategy:
    """How the languages of a plan's rows are drawn. The questions are drawn apart (`xqr_bench/train/batches.py`).

    A subclass says `types`; the rows of monolingual and of cross-lingual batches then follow, unless it says
    `languages` too.

    Attributes:
        name: on the command line and in records.
        summary: one line.
        alpha: the share of same-language rows when none is asked for; None: it has to be asked for.
        settable: arguments beyond the common ones that it takes: "alpha", "mix", "turn".
        per_row_pairs: whether each cross-lingual row has a language pair of its own, so that `distinct_pairs` can
            choose it by question.
    """

    name: str
    summary: str
    alpha: float | None = None
    settable: tuple[str, ...] = ()
    per_row_pairs: bool = True

    def types(self, asked: Arguments) -> NDArray[np.int8]:
        """Type of each step, int8 `[steps]`; fewer steps give the beginning of it."""
        raise NotImplementedError

    def languages(self, types: NDArray[np.int8], draws: LanguageDraws, asked: Arguments) -> tuple[Int32, Int32]:
        """Query and passage languages of the batches of one data set, int32 `[len(types), batch]` each."""
        size = asked.batch_size
        query = np.empty((len(types), size), dtype=np.int32)
        passage = np.empty_like(query)
        mono = types == MONOLINGUAL
        query[mono] = passage[mono] = draws.one_language(int(mono.sum()))[:, None]
        rows = int((~mono).sum()) * size
        first, second = draws.pairs(rows)
        query[~mono] = first.reshape(-1, size)
        passage[~mono] = second.reshape(-1, size)
        return query, passage


STRATEGIES: Registry[Strategy] = Registry("batch strategy", "xqr_bench.batch_strategies")


def strategy(cls: Callable[[], Strategy]) -> Callable[[], Strategy]:
    """Register a strategy under its name."""
    made = cls()
    STRATEGIES.register(made.name)(made)
    return cls


class LanguageDraws:
    """Draws of languages for the batches of one data set; each kind of draw has a stream of its own.

    Languages and pairs come from shuffled decks: after each whole deck every language (pair) has come equally often.
    Where some pair shares no question, pairs are drawn one by one with their shares.

    Args:
        seed, data_set: which stream.
        languages: number of languages of the data set.
        pair_shares: share of each ordered pair, float64 `[languages, languages]`, diagonal 0, rows and columns all
            of equal sum; None where there is no pair to draw.
    """

    def __init__(self, seed: int, data_set: int, languages: int, pair_shares: FloatArray | None) -> None:
        self._seed, self._data_set, self._n, self._shares = seed, data_set, languages, pair_shares

    def _rng(self, stream: Stream) -> np.random.Generator:
        return generator(self._seed, stream, self._data_set)

    def one_language(self, batches: int) -> Int32:
        """A language for each of so many batches, int32 `[batches]`."""
        return deck(self._rng(Stream.BATCH_LANGUAGE), self._n, batches)

    def same(self, rows: int) -> Int32:
        """A language for each of so many rows, int32 `[rows]`."""
        return deck(self._rng(Stream.ROW_LANGUAGE), self._n, rows)

    def pairs(self, rows: int) -> tuple[Int32, Int32]:
        """An ordered language pair for each of so many rows, int32 `[rows]` each."""
        return self._pairs(Stream.ROW_PAIR, rows)

    def one_pair(self, batches: int) -> tuple[Int32, Int32]:
        """An ordered language pair for each of so many batches, int32 `[batches]` each."""
        return self._pairs(Stream.BATCH_PAIR, batches)

    def same_language(self, batches: int, size: int, alpha: float) -> NDArray[np.bool_]:
        """Whether each row is same-language, with probability alpha, bool `[batches, size]`."""
        return self._rng(Stream.ROW_TYPE).random((batches, size)) < alpha

    def _pairs(self, stream: Stream, n: int) -> tuple[Int32, Int32]:
        if n == 0:
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32)
        assert self._shares is not None, "checked before: alpha < 1 needs two languages"
        rng = self._rng(stream)
        first, second = np.nonzero(self._shares)
        if len(first) == self._n * (self._n - 1):  # all pairs, so all equally
            return pair_deck(rng, self._n, n)
        edges = np.cumsum(self._shares[first, second] / self._shares.sum())[:-1]
        chosen = np.searchsorted(edges, rng.random(n), side="right")
        return first[chosen].astype(np.int32), second[chosen].astype(np.int32)


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["STRATEGIES", "Arguments", "LanguageDraws", "Strategy", "strategy"]
