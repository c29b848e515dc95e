"""Hybrid: monolingual with probability alpha, else cross-lingual (Elmahdy et al. 2024, arXiv 2408.10536)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.train.plans import CROSS_LINGUAL, MIXED, MONOLINGUAL, LanguageDraws, PlanRequest, Strategy, strategy
from xqr_bench.train.types import Int32, Stream, generator


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
        query = np.empty(same.shape, dtype=np.int32)
        passage = np.empty_like(query)
        query[same] = passage[same] = draws.same(int(same.sum()))
        query[~same], passage[~same] = draws.pairs(int((~same).sum()))
        return query, passage
