"""X-Y: in every row question and passage are in different languages (Elmahdy et al. 2024, arXiv 2408.10536)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.train.plans import CROSS_LINGUAL, Arguments, Strategy, strategy


@strategy
class CrossLingualBatches(Strategy):
    """Alpha 0: each row has an ordered language pair of its own; pairs come equally often."""

    name = "x-y"
    summary = "in every row the languages differ, each row with a pair of its own (alpha 0)"
    alpha = 0.0

    def types(self, asked: Arguments) -> NDArray[np.int8]:
        """All cross-lingual."""
        return np.full(asked.steps, CROSS_LINGUAL, dtype=np.int8)
