"""Records compared figure by figure: all pairs tested, the p-values adjusted, and the verdict.

Comparing the macro MAP of two records in three settings, with Holm:

    units = shared_units([sampling_units(a.ranks), sampling_units(b.ranks)])
    sides = [figures_of(all_per_query(side.ranks, ["map"]), units, parts=[MACRO]) for side in (a, b)]
    for _, _, result, p, p_article in confirm(compare_pairs(sides, units, together=True)):
        print(result.label.setting, result.difference, result.interval, p, p_article, verdict(p, p_article))
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.certainty import Figures
from xqr_bench.measure.linear import ALPHA
from xqr_bench.measure.paired import Pair, PairedResult, paired
from xqr_bench.measure.panel import Units
from xqr_bench.measure.resampling import RESAMPLES, bootstrap, holm

SIGNIFICANT = "significant"
QUESTION_ONLY = "question level only"
NOT_SIGNIFICANT = "not significant"


def verdict(p_adjusted: float, p_article: float) -> str:
    """ "significant" when p by question and p by article agree on it, else "question level only" or "not significant".

    Both are adjusted for the same family. With p_article as it is, one of three true nulls of XQuAD-R is called
    significant in 9 to 14 of 100 samples of articles, since the test by question stops few of them; adjusted, in 4
    to 6.5.
    """
    if p_adjusted > ALPHA:
        return NOT_SIGNIFICANT
    return SIGNIFICANT if p_article <= ALPHA else QUESTION_ONLY


class PairTest(NamedTuple):
    """One figure of two records, a and b by number, with p-values adjusted over the family of figures."""

    a: int
    b: int
    result: PairedResult
    p_adjusted: float
    p_article_adjusted: float


def compare_pairs(
    sides: Sequence[Figures],
    units: Units,
    seed: int = 0,
    resamples: int = RESAMPLES,
    *,
    together: bool = False,
    intervals: bool = True,
) -> list[tuple[int, int, PairedResult]]:
    """Every figure that two records share, for every pair of records: (a, b, result), b minus a.

    Questions are resampled once for all records: the resampled difference of two is that of their resampled figures.

    Args:
        sides: the figures of each record.
        units: questions and articles.
        seed: every test, and the resampling, draws anew from it, so that no figure depends on what else is asked for.
        resamples: B of the tests.
        together: max-T adjusts over the figures of all pairs, and not pair by pair.
        intervals: give intervals over questions.
    """
    pairs = {(a, b): [name for name in sides[a] if name in sides[b]] for a, b in combinations(range(len(sides)), 2)}
    tested = [pair for pair, names in pairs.items() if names]
    if not tested:
        return []
    replicates: list[dict[tuple[str, str], FloatArray]] = []
    redrawn = 0
    if intervals:
        # the stream that `paired` leaves for it
        drawn = bootstrap([figure for side in sides for figure in side.values()], _generator(seed).spawn(3)[2])
        values, redrawn = iter(drawn.values), drawn.redrawn
        replicates = [{name: next(values) for name in side} for side in sides]
    result = []
    for group in [tested] if together else [[pair] for pair in tested]:
        named = [(a, b, name) for a, b in group for name in pairs[a, b]]
        differences = [Pair(sides[a][name][0], sides[b][name][0], sides[a][name][1]) for a, b, name in named]
        resampled = [replicates[b][name] - replicates[a][name] for a, b, name in named] if intervals else []
        found = paired(
            differences,
            units,
            _generator(seed),
            resamples,
            replicates=np.hstack(resampled) if intervals else None,
            redrawn=redrawn,
        )
        places = [(a, b) for a, b, name in named for _ in sides[a][name][1].labels]
        result += [(a, b, one) for (a, b), one in zip(places, found, strict=True)]
    return result


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def confirm(results: Sequence[tuple[int, int, PairedResult]]) -> list[PairTest]:
    """Adjust over the confirmatory family: Holm for two records, step-down max-T for more.

    Max-T over all pairs in all settings (Romano & Wolf 2005, JASA 100): each pair is studentised by the spread of its
    own differences, so a record that is far off, or noisy, takes nothing from the others; and what is rejected no
    longer counts. Tukey's test, by contrast, measures chance by mixing all records. The chance of any false difference
    is kept at 5% whichever records are equal.

    Args:
        results: the figures of every pair (a, b), all tested together (`compare_pairs`).
    """
    if len({(a, b) for a, b, _ in results}) == 1:
        p, p_article = (holm([getattr(one, name) for _, _, one in results]) for name in ("p", "p_article"))
    else:
        p, p_article = (np.array([getattr(one, n) for _, _, one in results]) for n in ("p_max_t", "p_article_max_t"))
    return [PairTest(a, b, one, float(p[i]), float(p_article[i])) for i, (a, b, one) in enumerate(results)]
