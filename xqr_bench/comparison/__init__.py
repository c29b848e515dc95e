"""Records -> comparisons: which differences between records are real, how large they are, and what could be found.

compare(paths, Choice(metrics=("recall@10",)))   one `TaskComparison` per task
pair_maps(paths, "map")                          a difference in every language pair, for the heat map
"""

from xqr_bench.comparison.choice import CONFIRMATORY, Choice
from xqr_bench.comparison.compare import compare
from xqr_bench.comparison.gather import Side, TaskRecords, gather
from xqr_bench.comparison.model import Comparison, Detectable, Display, Figure, TaskComparison, WorstLanguage
from xqr_bench.comparison.pairs import PairMap, pair_maps

__all__ = [
    "CONFIRMATORY",
    "Choice",
    "Comparison",
    "Detectable",
    "Display",
    "Figure",
    "PairMap",
    "Side",
    "TaskComparison",
    "TaskRecords",
    "WorstLanguage",
    "compare",
    "gather",
    "pair_maps",
]
