"""How certain each figure of a record is, and what differs between records.

    attach_certainty   intervals and order tests for every score of one record
    compare_values     two records: differences with intervals and tests, for any figures of a record
    compare_pairs      all pairs of more than two; confirm: adjusted over the confirmatory family
    compare_many       the same by randomised Tukey HSD

Comparing the macro MAP of two records in three settings, with Holm:

    units = shared_units([sampling_units(a.ranks), sampling_units(b.ranks)])
    values_a = all_per_query(a.ranks, ["map"])
    values_b = all_per_query(b.ranks, ["map"])
    result = compare_values(values_a, values_b, units, generator=np.random.default_rng(0))
    for _, _, found, p, p_article in confirm([(0, 1, found) for found in result]):
        print(found.label.setting, found.difference, found.interval, p, p_article, verdict(p, p_article))
"""

from xqr_bench.certainty.attach import SEED, attach_certainty
from xqr_bench.certainty.compare import (
    PairTest,
    compare_many,
    compare_pairs,
    compare_values,
    confirm,
    figures_by_name,
    verdict,
)
from xqr_bench.certainty.figures import GAP, MACRO, PARTS, FigureName, figure_contrasts, figures_of
from xqr_bench.certainty.intervals import FigureIntervals, interval_figures, language_spreads
from xqr_bench.stats.units import Units, sampling_units, shared_units

__all__ = [
    "GAP",
    "MACRO",
    "PARTS",
    "SEED",
    "FigureIntervals",
    "FigureName",
    "PairTest",
    "Units",
    "attach_certainty",
    "compare_many",
    "compare_pairs",
    "compare_values",
    "confirm",
    "figure_contrasts",
    "figures_by_name",
    "figures_of",
    "interval_figures",
    "language_spreads",
    "sampling_units",
    "shared_units",
    "verdict",
]
