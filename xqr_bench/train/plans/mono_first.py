"""An order: first all monolingual batches, then all cross-lingual ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.train.plans import CROSS_LINGUAL, MONOLINGUAL, PlanRequest, Strategy, strategy


@strategy
class MonolingualFirst(Strategy):
    """A share alpha of the batches is monolingual; the second part begins at step `turn`.

    A plan of fewer steps is the beginning of a longer one only when both are given the same `turn`.
    """

    name = "mono-first"
    summary = "first all monolingual batches, then all cross-lingual ones (alpha .5 unless given)"
    alpha = 0.5
    settable = ("alpha", "turn")

    def types(self, asked: PlanRequest) -> NDArray[np.int8]:
        """Monolingual before the turn, cross-lingual from it on."""
        turn = round(asked.alpha * asked.steps) if asked.turn is None else asked.turn
        return np.where(np.arange(asked.steps) < turn, MONOLINGUAL, CROSS_LINGUAL).astype(np.int8)
