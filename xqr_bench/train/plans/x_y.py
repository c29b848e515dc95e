"""X-Y: in every row question and passage are in different languages (Elmahdy et al. 2024, arXiv 2408.10536)."""

from __future__ import annotations

from xqr_bench.train.plans import CROSS_LINGUAL, Strategy, strategy


@strategy
class CrossLingualBatches(Strategy):
    """Alpha 0: each row has an ordered language pair of its own; pairs come equally often."""

    name = "x-y"
    summary = "in every row the languages differ, each row with a pair of its own (alpha 0)"
    type = CROSS_LINGUAL
    alpha = 0.0
