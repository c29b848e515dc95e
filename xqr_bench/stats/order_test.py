"""Is the order of languages systematic? A permutation test of Kendall's W."""

from __future__ import annotations

import numpy as np

from xqr_bench.jit import compiled
from xqr_bench.types import FloatArray, IntArray

PERMUTATIONS = 999


def order_test(rank_sums: FloatArray, generator: np.random.Generator, permutations: int = PERMUTATIONS) -> float:
    """p-value of "no language is preferred", language labels permuted within each unit.

    Under the null the labels within a unit (a question, or an article whose questions move together) are
    exchangeable. Ties and the number of questions do not change under permutation, so W grows with the sum of
    squares of the total rank sums, which is the statistic used.

    Args:
        rank_sums: float64 `[units, languages]`, the places of each language summed within the unit.
        generator: the source of permutations.
        permutations: B; p = (1 + #{as large as observed}) / (B + 1), never 0.
    """
    observed = float((rank_sums.sum(axis=0) ** 2).sum())
    # sums of half-integers are exact in float64: equal means equal
    count = _count_at_least(rank_sums, observed, generator, permutations)
    return (1 + count) / (permutations + 1)


@compiled()
def _count_at_least(rank_sums: FloatArray, observed: float, generator: np.random.Generator, permutations: int) -> int:
    """Permutations (Fisher & Yates, of every row) whose sum of squared column totals reaches `observed`."""
    units, languages = rank_sums.shape
    row = np.empty(languages)
    totals = np.empty(languages)
    count = 0
    for _ in range(permutations):
        totals[:] = 0.0
        for unit in range(units):
            row[:] = rank_sums[unit]
            for j in range(languages - 1, 0, -1):
                k = int(generator.random() * (j + 1))
                totals[j] += row[k]
                row[k] = row[j]
            totals[0] += row[0]
        count += (totals**2).sum() >= observed
    return count


def sums_by_unit(places: FloatArray, units: IntArray) -> FloatArray:
    """Sum the rows of `places` by unit, float64 `[units, languages]`, units in ascending order."""
    _, number = np.unique(units, return_inverse=True)
    sums = np.zeros((int(number.max(initial=-1)) + 1, places.shape[1]))
    np.add.at(sums, number, places)
    return sums
