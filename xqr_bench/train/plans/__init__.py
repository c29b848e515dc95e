"""Batch strategies: what one is, and how it draws. A file in this folder that registers one is all it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import UsageError
from xqr_bench.core.registry import Registry
from xqr_bench.core.types import FloatArray
from xqr_bench.train.types import Int32, Stream, deck, generator, pair_deck

# What a batch strategy is, the registry of strategies, and the draws of languages they are made of.

MONOLINGUAL, CROSS_LINGUAL, MIXED = 0, 1, 2
"""Codes of the types of a batch, as in `BATCH_TYPES`."""


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What a plan is asked for (docs/batch-plans.md).

    Attributes:
        steps: number of batches.
        batch_size: rows of a batch, over all devices.
        seed: of all draws. The questions do not depend on the strategy or on the ratio where every question is in
            every language (docs/batch-plans.md says what holds elsewhere).
        strategy: `hybrid`, `x-x-mono`, `x-y`, `x-x`, `x-y-fixed`, `mono-first`, `cross-first`, or a plugin's.
        alpha: probability of a monolingual batch; where it is left out the strategy's own, which then stands here.
        mix: "batch": alpha is drawn per batch, as published; "pair": per row.
        turn: of `mono-first` and `cross-first`: the first step of the second part.
        shuffle_positives: a negative control: a row's passage belongs to another question, which conflicts with no
            question of the batch.
        distinct_pairs: "as-monolingual": each question's query in a language always meets the passage of one other
            language, so that there are no more distinct cross-lingual pairs than monolingual ones.

    Raises:
        UnknownNameError: no such strategy.
        UsageError: an argument out of range, or one that the strategy does not take.
    """

    steps: int
    batch_size: int = 100
    seed: int = 0
    strategy: str = "hybrid"
    alpha: float = None  # type: ignore[assignment]  # a number from __post_init__ on
    mix: str = "batch"
    turn: int | None = None
    shuffle_positives: bool = False
    distinct_pairs: str = "all"

    def __post_init__(self) -> None:
        name, chosen = self.strategy, self.rules
        for what, value, least, why in (
            ("the number of updates", self.steps, 1, ""),
            ("the batch size", self.batch_size, 2, " (the other rows of the batch are the negatives)"),
            ("the seed", self.seed, 0, ""),
        ):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise UsageError(f"{what} is {value!r}", remedy=f"give a whole number of at least {least}{why}")
        check_alpha(self.alpha)
        alpha = chosen.alpha if self.alpha is None else self.alpha
        if alpha is None:
            raise UsageError(f"the strategy {name} needs a ratio", remedy="give one from 0 to 1, such as 0.5")
        if "alpha" not in chosen.settable and alpha != chosen.alpha:
            raise UsageError(
                f"the strategy {name} has the ratio {chosen.alpha:g}, not {alpha:g}",
                remedy="leave the ratio out, or take the strategy hybrid",
            )
        object.__setattr__(self, "alpha", float(alpha))
        if self.mix not in ("batch", "pair"):
            raise UsageError(f"mix is {self.mix!r}", remedy="use batch (as published) or pair")
        if self.mix == "pair" and "mix" not in chosen.settable:
            raise UsageError(f"the strategy {name} cannot mix by pair", remedy="take the strategy hybrid")
        if self.turn is not None and "turn" not in chosen.settable:
            raise UsageError(f"the strategy {name} has no turn", remedy="take mono-first or cross-first")
        if self.turn is not None and self.turn < 0:
            raise UsageError(f"the turn is {self.turn}", remedy="give the first step of the second part, 0 or more")
        if self.distinct_pairs not in ("all", "as-monolingual"):
            raise UsageError(f"distinct_pairs is {self.distinct_pairs!r}", remedy="use all or as-monolingual")
        if self.distinct_pairs != "all" and not chosen.per_row_pairs:
            raise UsageError(f"the strategy {name} cannot limit its distinct pairs", remedy="take the strategy x-y")

    @property
    def rules(self) -> Strategy:
        """The strategy itself."""
        return STRATEGIES.get(self.strategy)

    def arguments(self) -> dict[str, object]:
        """What a plan keeps of it, for records."""
        names = ("alpha", "mix", "steps", "batch_size", "turn", "shuffle_positives", "distinct_pairs")
        return {name: getattr(self, name) for name in names}


def check_alpha(alpha: float | None) -> None:
    """Refuse an alpha that is no share.

    Raises:
        UsageError: it is below 0, above 1 or no number.
    """
    if alpha is not None and not 0 <= alpha <= 1:  # also NaN
        raise UsageError(
            f"the ratio of monolingual batches is {alpha}",
            remedy="give a share from 0 (all cross-lingual) to 1 (all monolingual)",
        )


class Strategy:
    """How the languages of a plan's rows are drawn. The questions are drawn apart (`xqr_bench/train/batches.py`).

    A subclass says `types`, or `type` where all batches are of one; the rows of monolingual and of cross-lingual
    batches then follow, unless it says `languages` too.

    Attributes:
        name: on the command line and in records.
        summary: one line.
        type: of all batches; see `BATCH_TYPES`.
        alpha: the share of same-language rows when none is asked for; None: it has to be asked for.
        settable: arguments beyond the common ones that it takes: "alpha", "mix", "turn".
        per_row_pairs: whether each cross-lingual row has a language pair of its own, so that `distinct_pairs` can
            choose it by question.
    """

    name: str
    summary: str
    type: int
    alpha: float | None = None
    settable: tuple[str, ...] = ()
    per_row_pairs: bool = True

    def types(self, asked: PlanRequest) -> NDArray[np.int8]:
        """Type of each step, int8 `[steps]`; fewer steps give the beginning of it."""
        return np.full(asked.steps, self.type, dtype=np.int8)

    def languages(self, types: NDArray[np.int8], draws: LanguageDraws, asked: PlanRequest) -> tuple[Int32, Int32]:
        """Query and passage languages of the batches of one data set, int32 `[len(types), batch]` each."""
        size = asked.batch_size
        languages = np.empty((2, len(types), size), dtype=np.int32)
        mono = types == MONOLINGUAL
        languages[:, mono] = draws.one_language(int(mono.sum()))[:, None]
        languages[:, ~mono] = np.reshape(draws.pairs(int((~mono).sum()) * size), (2, -1, size))
        return languages[0], languages[1]


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

__all__ = ["STRATEGIES", "LanguageDraws", "PlanRequest", "Strategy", "check_alpha", "strategy"]
