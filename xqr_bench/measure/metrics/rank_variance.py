"""Rank variance: spread of the relevants' logarithmic depths, in [0, 1]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure.metrics import bias
from xqr_bench.measure.metrics.lists import RankedLists
from xqr_bench.measure.metrics.rank_distance import single_is_undefined


def _moments(lists: RankedLists) -> tuple[FloatArray, FloatArray, FloatArray]:
    """E[u], E[u^2] and E[u_i u_j] (two relevants of one block) of each row, float64 `[rows]`.

    The irrelevants above a relevant, n_k, are uniform over G .. G + m with m tied irrelevants.
    """
    irrelevant = lists.above - lists.relevants_above
    m = lists.tied - lists.block_relevants
    scale = np.log1p((lists.pool_sizes - lists.n_relevants).astype(np.float64))
    scale = np.where(scale > 0, scale, np.nan)[lists.rows]
    mean = np.log1p(irrelevant.astype(np.float64)) / scale
    square = mean * mean
    product = square.copy()

    tied = np.flatnonzero(m > 0)
    irrelevant, m, scale = irrelevant[tied], m[tied], scale[tied]
    # prefix sums in extended precision: differences of neighbours keep about 1e-12
    depth = np.log1p(np.arange(int((irrelevant + m).max(initial=0)) + 1, dtype=np.longdouble))
    sums = [np.append(np.longdouble(0), np.cumsum(values)) for values in (depth, depth * depth)]
    s1, s2 = ((total[irrelevant + m + 1] - total[irrelevant]).astype(np.float64) for total in sums)
    s1, s2 = s1 / scale, s2 / scale**2
    mean[tied] = s1 / (m + 1)
    square[tied] = s2 / (m + 1)
    product[tied] = (s1 * s1 + s2) / ((m + 1.0) * (m + 2.0))
    return mean, square, product


def random_rank_variance(lists: RankedLists) -> FloatArray:
    """Expected rank variance of a random ranking: all candidates in one block."""
    kinds = lists.pool_sizes * (lists.n_relevants.max(initial=0) + 1) + lists.n_relevants
    _, first, kind = np.unique(kinds, return_index=True, return_inverse=True)
    few = lists.take(first)  # it depends on the two sizes only
    one_block = replace(few, above=np.zeros_like(few.above), tied=few.pool_sizes[few.rows])
    value: FloatArray = rank_variance(one_block)[kind]
    return value


@bias(
    "rank_variance",
    summary="spread of the relevants' depths on a logarithmic scale: 0 all alike, 1 half top and half bottom",
    formula="Var(u_k) / (floor(n/2) ceil(n/2) / n²), u_k = ln(1 + n_k) / ln(1 + N - n), "
    "n_k irrelevant candidates above relevant k",
    source="this project",
    undefined_when="the query has a single relevant, or the pool no irrelevant candidate",
    random_reference=random_rank_variance,
)
def rank_variance(lists: RankedLists) -> FloatArray:
    """Expected normalised population variance of u over a random order of tied candidates.

    (1/n) Σ E[u_k²] - (1/n²) Σ_{k,l} E[u_k u_l]; relevants of different blocks are independent, two of one block
    have E[u_k u_l] = (S1² + S2) / ((m+1)(m+2)) over their common range.
    """
    mean, square, product = _moments(lists)
    n = lists.n_relevants
    mate = lists.block_relevants - 1  # other relevants of the same block
    # sum over all pairs as if independent, then the pairs within a block put right
    pairs = lists.sum_rows(mean) ** 2 - lists.sum_rows(mean * mean * (1 + mate))
    pairs += lists.sum_rows(square + product * mate)
    variance = lists.sum_rows(square) / n - pairs / n**2
    scale = np.where(n > 1, (n // 2) * ((n + 1) // 2) / n**2, np.nan)
    # a difference of nearly equal sums can fall a rounding error below zero
    return single_is_undefined(lists, np.maximum(variance, 0.0) / scale)
