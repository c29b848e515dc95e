"""Ranks -> per-query metrics: one small file a metric, each a closed form over random orders of ties.

A file in this folder that registers a metric is all it takes: every module is imported here.
"""

from importlib import import_module
from pkgutil import iter_modules

from xqr_bench.metrics.base import Metric, SetStatistic, metric_names, parse_metric
from xqr_bench.metrics.lists import WHOLE_POOL, RankedLists, bilingual_lists, multilingual_lists

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

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
