"""X-Y-fixed, a control: cross-lingual rows as in `x-y`, one ordered language pair a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.train.plans import CROSS_LINGUAL, LanguageDraws, PlanRequest, Strategy, strategy
from xqr_bench.train.types import Int32


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
