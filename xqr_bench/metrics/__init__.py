"""Ranks -> per-query metrics: one small file a metric, each a closed form over random orders of ties."""

from xqr_bench.metrics import (  # noqa: F401  (importing a module registers its metric)
    average_precision,
    language_order,
    language_position,
    ndcg,
    own_language_first,
    rank_distance,
    rank_variance,
    rank_variance_raw,
    recall,
    reciprocal_rank,
    success,
)
from xqr_bench.metrics.base import Metric, SetStatistic, metric_names, parse_metric
from xqr_bench.metrics.lists import WHOLE_POOL, RankedLists, bilingual_lists, multilingual_lists

__all__ = [
    "WHOLE_POOL",
    "Metric",
    "RankedLists",
    "SetStatistic",
    "bilingual_lists",
    "metric_names",
    "multilingual_lists",
    "parse_metric",
]
