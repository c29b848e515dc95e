"""Several tests at once: Holm, Benjamini & Hochberg, step-down max-T."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xqr_bench.stats.signs import p_value
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
    """Step-down max-T adjusted p-values (Westfall & Young 1993, algorithm 2.8; Romano & Wolf 2005, JASA 100).

    A hypothesis is compared with the largest |t| of itself and of those with smaller observed |t|: what has been
    rejected no longer counts. The chance of any false rejection is kept whichever hypotheses are true, and dependence
    between columns is used.

    Args:
        observed: |t| of each column, `[columns]`; what comes within rounding of it should reach it.
    """

    def __init__(self, observed: FloatArray) -> None:
        self._order = np.argsort(observed, kind="stable")
        self._observed = observed[self._order]
        self._count = np.zeros(len(observed))
        self._resamples = 0

    def add(self, resampled: FloatArray) -> None:
        """Count a block of |t| under the null, `[resamples, columns]`."""
        largest = np.maximum.accumulate(resampled[:, self._order], axis=1)
        self._count += (largest >= self._observed).sum(axis=0)
        self._resamples += len(resampled)

    def p(self) -> FloatArray:
        """Adjusted p-values `[columns]`; 1 where nothing differs."""
        p = p_value(self._count, self._resamples)
        # from the largest |t| down, an adjusted p-value is never smaller than the one before it
        return _back(np.maximum.accumulate(p[::-1])[::-1], self._order)


def _back(adjusted: FloatArray, order: IntArray) -> FloatArray:
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result
