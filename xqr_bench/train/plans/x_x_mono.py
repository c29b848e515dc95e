"""X-X-mono: every batch in one language (Elmahdy et al. 2024, arXiv 2408.10536)."""

from __future__ import annotations

from xqr_bench.train.plans import MONOLINGUAL, Strategy, strategy


@strategy
class MonolingualBatches(Strategy):
    """Alpha 1: query and passage of every row in the language of the batch; languages come equally often."""

    name = "x-x-mono"
    summary = "every batch in one language; languages equally often (alpha 1)"
    type = MONOLINGUAL
    alpha = 1.0
