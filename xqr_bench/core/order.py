"""Sorting."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import IntArray


def stable_order(numbers: IntArray, below: int) -> IntArray:
    """`numpy.argsort(numbers, kind="stable")` of numbers from 0 to `below`, in a fifth of the time.

    Each is sorted together with its place, as one number, where 64 bits hold both.
    """
    places = max(len(numbers), 1)
    if below * places >= 2**63:
        return np.argsort(numbers, kind="stable")
    both = numbers * places + np.arange(len(numbers))
    both.sort()
    both %= places
    return both
