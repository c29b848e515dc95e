"""X-X-mono: every batch in one language (Elmahdy et al. 2024, arXiv 2408.10536)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.train.plans import MONOLINGUAL, Arguments, Strategy, strategy


@strategy
class MonolingualBatches(Strategy):
    """Alpha 1: query and passage of every row in the language of the batch; languages come equally often."""

    name = "x-x-mono"
    summary = "every batch in one language; languages equally often (alpha 1)"
    alpha = 1.0

    def types(self, asked: Arguments) -> NDArray[np.int8]:
        """All monolingual."""
        return np.full(asked.steps, MONOLINGUAL, dtype=np.int8)
