"""The strategies of Elmahdy et al. 2024 (arXiv 2408.10536): hybrid, x-x-mono, x-y; two controls; two orders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.train.plans import CROSS_LINGUAL, MIXED, MONOLINGUAL, LanguageDraws, PlanRequest, Strategy, strategy
from xqr_bench.train.types import Int32, Stream, generator


@strategy
class CrossLingualFirst(Strategy):
    """A share alpha of the batches is monolingual; the second part begins at step `turn`.

    A plan of fewer steps is the beginning of a longer one only when both are given the same `turn`.
    """

    name = "cross-first"
    summary = "first all cross-lingual batches, then all monolingual ones (alpha .5 unless given)"
    alpha = 0.5
    settable = ("alpha", "turn")

    def types(self, asked: PlanRequest) -> NDArray[np.int8]:
        """Cross-lingual before the turn, monolingual from it on."""
        turn = asked.steps - round(asked.alpha * asked.steps) if asked.turn is None else asked.turn
        return np.where(np.arange(asked.steps) < turn, CROSS_LINGUAL, MONOLINGUAL).astype(np.int8)


@strategy
class Hybrid(Strategy):
    """Each batch is one of `x-x-mono` with probability alpha, else one of `x-y`; `mix="pair"` draws each row.

    One uniform number a step decides for every alpha: what is monolingual at a lower alpha is so at a higher one.
    """

    name = "hybrid"
    summary = "each batch monolingual with probability alpha, else cross-lingual; --mix pair draws each row"
    alpha = 0.5  # as Elmahdy et al. do
    settable = ("alpha", "mix")

    def types(self, asked: PlanRequest) -> NDArray[np.int8]:
        """Monolingual where the step's uniform number is below alpha."""
        if asked.mix == "pair":
            return np.full(asked.steps, MIXED, dtype=np.int8)
        uniform = generator(asked.seed, Stream.BATCH_TYPE).random(asked.steps)
        return np.where(uniform < asked.alpha, MONOLINGUAL, CROSS_LINGUAL).astype(np.int8)

    def languages(self, types: NDArray[np.int8], draws: LanguageDraws, asked: PlanRequest) -> tuple[Int32, Int32]:
        """As the batch's type says; with `mix="pair"` as each row's own draw says."""
        if asked.mix == "batch":
            return super().languages(types, draws, asked)
        same = draws.same_language(len(types), asked.batch_size, asked.alpha)
        languages = np.empty((2, *same.shape), dtype=np.int32)
        languages[:, same] = draws.same(int(same.sum()))
        languages[:, ~same] = draws.pairs(int((~same).sum()))
        return languages[0], languages[1]


@strategy
class MonolingualFirst(CrossLingualFirst):
    """The same the other way round."""

    name = "mono-first"
    summary = "first all monolingual batches, then all cross-lingual ones (alpha .5 unless given)"

    def types(self, asked: PlanRequest) -> NDArray[np.int8]:
        """Monolingual before the turn, cross-lingual from it on."""
        turn = round(asked.alpha * asked.steps) if asked.turn is None else asked.turn
        return np.where(np.arange(asked.steps) < turn, MONOLINGUAL, CROSS_LINGUAL).astype(np.int8)


@strategy
class SameLanguageRows(Strategy):
    """Each row in one language, each row with a language of its own; languages come equally often."""

    name = "x-x"
    summary = "control: same-language rows, languages mixed within the batch"
    type = MIXED
    alpha = 1.0

    def languages(self, types: NDArray[np.int8], draws: LanguageDraws, asked: PlanRequest) -> tuple[Int32, Int32]:
        """A language a row, for both sides."""
        chosen = draws.same(len(types) * asked.batch_size).reshape(len(types), asked.batch_size)
        return chosen, chosen.copy()


@strategy
class MonolingualBatches(Strategy):
    """Alpha 1: query and passage of every row in the language of the batch; languages come equally often."""

    name = "x-x-mono"
    summary = "every batch in one language; languages equally often (alpha 1)"
    type = MONOLINGUAL
    alpha = 1.0


@strategy
class CrossLingualBatches(Strategy):
    """Alpha 0: each row has an ordered language pair of its own; pairs come equally often."""

    name = "x-y"
    summary = "in every row the languages differ, each row with a pair of its own (alpha 0)"
    type = CROSS_LINGUAL
    alpha = 0.0


@strategy
class OnePairBatches(Strategy):
    """All rows of a batch have one ordered language pair; pairs come equally often."""

    name = "x-y-fixed"
    summary = "control: cross-lingual rows, one ordered language pair a batch"
    type = CROSS_LINGUAL
    alpha = 0.0
    per_row_pairs = False

    def languages(self, types: NDArray[np.int8], draws: LanguageDraws, asked: PlanRequest) -> tuple[Int32, Int32]:
        """A pair a batch."""
        query, passage = draws.one_pair(len(types))
        return tuple(np.repeat(side[:, None], asked.batch_size, axis=1) for side in (query, passage))  # type: ignore[return-value]
