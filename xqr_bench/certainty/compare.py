"""Figures of several records compared, by the names they have in a record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from xqr_bench.certainty.figures import MACRO, AllValues, figures_of
from xqr_bench.errors import UsageError
from xqr_bench.scores import Group
from xqr_bench.stats import bootstrap as boot
from xqr_bench.stats import signs
from xqr_bench.stats.paired import Pair, Paired, paired
from xqr_bench.stats.tukey import Tukey, tukey_hsd
from xqr_bench.stats.units import Units

ALPHA = 0.05
SIGNIFICANT = "significant"
QUESTION_ONLY = "question level only"
NOT_SIGNIFICANT = "not significant"


def compare_values(
    a: AllValues,
    b: AllValues,
    units: Units,
    groups: Mapping[str, Group] | None = None,
    *,
    generator: np.random.Generator,
    parts: Collection[str] = (MACRO,),
    metrics: Collection[str] | None = None,
    settings: Collection[str] | None = None,
    resamples: int = signs.RESAMPLES,
    bootstrap_resamples: int = boot.RESAMPLES,
) -> Paired:
    """Differences b - a of all chosen figures; the labels of the results are `FigureName`s.

    Args:
        a, b: setting -> metric -> per-query values, as `all_per_query` gives them.
        units: as `shared_units` of the two records gives them.
        groups: language groups.
        generator: source of signs and resamples.
        parts, metrics, settings: only these; max-T adjusts over all that is chosen.
        resamples, bootstrap_resamples: B of the tests and of the intervals.

    Raises:
        UsageError: nothing is left to compare, or the records do not have the same queries.
    """
    figures_a, figures_b = (
        {
            found[0].name: found
            for found in figures_of(values, units, groups, parts=parts, metrics=metrics, settings=settings)
        }
        for values in (a, b)
    )
    pairs = [
        Pair(panel, figures_b[name][0], contrasts)
        for name, (panel, contrasts) in figures_a.items()
        if name in figures_b
    ]
    if not pairs:
        raise UsageError(
            "the records have no figure in common to compare",
            found=f"{', '.join(figures_a) or 'nothing'} and {', '.join(figures_b) or 'nothing'}",
            remedy="choose other metrics, settings or parts",
        )
    return paired(pairs, units, generator, resamples=resamples, bootstrap_resamples=bootstrap_resamples)


def verdict(p_adjusted: float, p_article: float, alpha: float = ALPHA) -> str:
    """ "significant" when the adjusted p and p_article agree on it, else "question level only" or "not significant"."""
    if p_adjusted > alpha:
        return NOT_SIGNIFICANT
    return SIGNIFICANT if p_article <= alpha else QUESTION_ONLY


def compare_many(
    records: Sequence[AllValues],
    units: Units,
    groups: Mapping[str, Group] | None = None,
    *,
    generator: np.random.Generator,
    parts: Collection[str] = (MACRO,),
    metrics: Collection[str] | None = None,
    settings: Collection[str] | None = None,
    resamples: int = signs.RESAMPLES,
) -> list[Tukey]:
    """Randomised two-way Tukey HSD over all pairs of records, one for each chosen figure (`label`: FigureName).

    Args:
        records: the per-query values of each record.
        units: as `shared_units` of the records gives them.
        groups, generator, parts, metrics, settings, resamples: as for `compare_values`.
    """
    figures = [
        {
            found[0].name: found
            for found in figures_of(values, units, groups, parts=parts, metrics=metrics, settings=settings)
        }
        for values in records
    ]
    result = []
    for name, (_, contrasts) in figures[0].items():
        if all(name in found for found in figures):
            result += tukey_hsd([found[name][0] for found in figures], contrasts, units, generator, resamples)
    return result
