"""An order: first all cross-lingual batches, then all monolingual ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.train.plans import CROSS_LINGUAL, MONOLINGUAL, PlanRequest, Strategy, strategy


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
