"""X-X, a control: same-language rows as in `x-x-mono`, in batches of many languages as in `x-y`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.train.plans import MIXED, LanguageDraws, PlanRequest, Strategy, strategy
from xqr_bench.train.types import Int32


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
