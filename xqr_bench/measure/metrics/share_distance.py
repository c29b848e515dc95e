"""How far the languages of the first places are from those of the pool, and from those of the relevants."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import special

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import SetStatistic, register_set_statistic
from xqr_bench.measure.metrics.language_share import EXPOSURE, first_places
from xqr_bench.measure.metrics.lists import RankedLists, known_hits, weight_of_languages


def share_of_relevants(lists: RankedLists) -> FloatArray:
    """Share of each language among the relevants of each list, float64 `[lists, columns]`."""
    _, sizes = known_hits(lists)
    n, columns = len(lists), len(sizes)
    counts = np.bincount(lists.rows * columns + lists.columns, minlength=n * columns)
    return counts.reshape(n, columns) / lists.n_relevants[:, None]


def features(lists: RankedLists, weights: FloatArray, *, of_relevants: bool) -> FloatArray:
    """Shares of the languages in the places, in the pool, and in what is compared with; and a scale of chance."""
    _, sizes = known_hits(lists)
    pool = np.broadcast_to(sizes / sizes.sum(), (len(lists), len(sizes)))
    size, weights = int(sizes.sum()), weights[: int(sizes.sum())] / weights[: int(sizes.sum())].sum()
    # a random ranking draws without replacement: the variance of a language's weight is this times p (1 - p)
    scale = size / max(size - 1, 1) * ((weights**2).sum() - 1.0 / size)
    expected = share_of_relevants(lists) if of_relevants else pool
    return np.column_stack([weight_of_languages(lists, weights), pool, expected, np.full(len(lists), scale)])


def _means(sums: FloatArray, n: FloatArray) -> tuple[FloatArray, ...]:
    means = sums[..., :-1] / np.asarray(n)[..., None]
    return tuple(np.split(means, 3, axis=-1))


def distance(sums: FloatArray, n: FloatArray) -> FloatArray:
    """Total variation distance: half the sum over languages of |mean share - mean share compared with|."""
    shares, _, expected = _means(sums, n)
    value: FloatArray = np.abs(shares - expected).sum(axis=-1) / 2
    return value


def chance_distance(sums: FloatArray, n: FloatArray) -> FloatArray:
    """Expected distance of random rankings of n lists: each mean share is nearly normal around that of the pool."""
    _, pool, expected = _means(sums, n)
    n = np.asarray(n, dtype=np.float64)[..., None]
    deviation = np.sqrt(np.maximum(pool * (1 - pool) * sums[..., -1:] / n / n, 0.0))
    gap = pool - expected
    ratio = np.clip(gap / np.maximum(deviation, 1e-12), -40.0, 40.0)
    folded = deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + gap * special.erf(ratio / np.sqrt(2))
    value: FloatArray = folded.sum(axis=-1) / 2
    return value


def _share_features(lists: RankedLists, k: int, *, of_relevants: bool) -> FloatArray:
    return features(lists, first_places(k), of_relevants=of_relevants)


_SOURCE = "this project"
for _name, _what, _of_relevants in (
    ("share_vs_pool", "the pool", False),
    ("share_vs_relevants", "the relevants", True),
):
    register_set_statistic(
        _name,
        SetStatistic(partial(_share_features, of_relevants=_of_relevants), distance, by_chance=chance_distance),
        cutoff=True,
        full_depth=False,
        needs_hits=True,
        summary=f"distance of the languages of the first k places from those of {_what}: 0 the same shares on average "
        "over the queries of a language, 1 none in common",
        formula=f"(1/2) Σ over languages |mean share of the first k places - mean share of {_what}|; chance: each mean "
        "nearly normal",
        source=_SOURCE,
        undefined_when="nothing was retrieved for a query",
    )
register_set_statistic(
    "exposure_vs_pool",
    SetStatistic(partial(features, weights=EXPOSURE, of_relevants=False), distance, by_chance=chance_distance),
    full_depth=False,
    needs_hits=True,
    summary="the same distance of rank-biased exposure (persistence .9, first 20 places) from the shares of the pool",
    formula="(1/2) Σ over languages |mean share of exposure - share of the pool|; places beyond 20 would weigh .122",
    source=_SOURCE + "; weights: Moffat & Zobel 2008",
    undefined_when="nothing was retrieved for a query",
)
