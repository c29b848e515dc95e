"""Several tests at once: Holm, Benjamini & Hochberg, step-down max-T."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xqr_bench.stats.signs import TOLERANCE, p_value
from xqr_bench.types import FloatArray, IntArray


def holm(p: Sequence[float] | FloatArray) -> FloatArray:
    """Holm 1979: adjusted p-values that keep the chance of any false rejection, under any dependence.

    The k-th smallest of m is max over j <= k of (m - j + 1) p_(j), at most 1.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return _back(np.minimum(adjusted, 1.0), order)


def benjamini_hochberg(p: Sequence[float] | FloatArray) -> FloatArray:
    """Benjamini & Hochberg 1995: adjusted p-values that keep the expected share of false ones among the rejected.

    The k-th smallest of m is min over j >= k of (m / j) p_(j), at most 1.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    m = len(values)
    adjusted = np.minimum.accumulate((values[order] * m / np.arange(1, m + 1))[::-1])[::-1]
    return _back(np.minimum(adjusted, 1.0), order)


class StepDown:
    """Step-down max-T adjusted p-values (Westfall & Young 1993, algorithm 2.8) from blocks of signed sums.

    Each column is studentised: with q the sum of squares of its n values, which signs do not change, a signed sum T
    has t = T / sqrt((n q - T^2) / (n - 1)). A hypothesis is compared with the largest |t| of itself and of those with
    smaller observed |t|, so the chance of any false rejection is kept and dependence between columns is used.

    Args:
        observed, squares, n_units, scale: of each column, `[columns]`; scale is the sum of absolute values, and
            sums that differ by 1e-9 of it are equal.
    """

    def __init__(self, observed: FloatArray, squares: FloatArray, n_units: IntArray, scale: FloatArray) -> None:
        self._n = np.maximum(n_units, 2).astype(np.float64)
        self._total = self._n * squares
        self._usable = scale > 0
        # |observed| less the tolerance, so that equal sums count as equal
        threshold = self._studentised(np.maximum(np.abs(observed) - TOLERANCE * scale, 0.0))
        self._order = np.argsort(threshold, kind="stable")
        self._threshold = threshold[self._order]
        self._count = np.zeros(len(observed))
        self._resamples = 0

    def _studentised(self, sums: FloatArray) -> FloatArray:
        spread = (self._total - sums**2) / (self._n - 1)
        t: FloatArray = np.abs(sums) / np.sqrt(np.maximum(spread, 1e-12 * np.maximum(self._total, 1e-300)))
        return np.where(self._usable, t, 0.0)

    def add(self, statistics: FloatArray) -> None:
        """Count a block of signed sums, `[resamples, columns]`."""
        largest = np.maximum.accumulate(self._studentised(statistics)[:, self._order], axis=1)
        self._count += (largest >= self._threshold).sum(axis=0)
        self._resamples += len(statistics)

    def p(self) -> FloatArray:
        """Adjusted p-values `[columns]`; 1 where nothing differs."""
        p = p_value(self._count, self._resamples)
        # from the largest |t| down, an adjusted p-value is never smaller than the one before it
        return _back(np.maximum.accumulate(p[::-1])[::-1], self._order)


def _back(adjusted: FloatArray, order: IntArray) -> FloatArray:
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result
