"""Sums that come out the same on any number of threads."""

from __future__ import annotations

import numpy as np

from xqr_bench.types import FloatArray


def on_grid(values: FloatArray, bound: FloatArray | float) -> FloatArray:
    """Round values to a power-of-two grid on which every sum up to `bound` is exact in float64.

    A matrix product adds in an order that depends on the number of threads, so its last bits do. Multiples of one
    power of two g whose sums stay below 2^53 g are added without rounding in any order; with small integer weights
    the product of weights and values is then exact, and the same everywhere.

    Args:
        values: `[questions, ...]`.
        bound: at least |sum of weight x value| for any weights that occur; broadcast against `values`.

    Returns:
        the values, changed by at most bound 2^-52.
    """
    bound = np.asarray(bound, dtype=np.float64)
    _, exponent = np.frexp(bound)  # bound < 2^exponent
    shift = np.where(bound > 0, 52 - exponent, 0)
    return np.ldexp(np.rint(np.ldexp(values, shift)), -shift)
