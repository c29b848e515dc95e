"""Paired randomisation: one random sign per unit, in blocks that are exact on any number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xqr_bench.stats.grid import on_grid
from xqr_bench.types import FloatArray, IntArray

RESAMPLES = 10_000
BLOCK = 500
TOLERANCE = 1e-9


def coin_blocks(n: int, resamples: int, generator: np.random.Generator) -> Iterator[FloatArray]:
    """Blocks of fair coins for n units, 0.0 or 1.0 `[rows, n]`; 1 keeps the unit, 0 exchanges the two records."""
    width = (n + 63) // 64
    for start in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - start)
        raw = generator.bit_generator.random_raw(size * width).astype("<u8")
        packed = raw.view(np.uint8).reshape(size, 8 * width)
        yield np.unpackbits(packed, axis=1, count=n).astype(np.float64)


def signed_sums(rows: FloatArray, coins: FloatArray) -> FloatArray:
    """Sum over units of +row (coin 1) or -row (coin 0), float64 `[resamples, columns]`; exact for rows on a grid."""
    sums: FloatArray = 2.0 * (coins @ rows) - rows.sum(axis=0)
    return sums


def sign_grid(rows: FloatArray) -> FloatArray:
    """Rows `[units, columns]` on a grid on which all their signed sums are exact."""
    return on_grid(rows, 4.0 * np.abs(rows).sum(axis=0))


def at_least(resampled: FloatArray, observed: FloatArray, scale: FloatArray) -> NDArray[np.bool_]:
    """Whether |resampled| reaches |observed|, up to 1e-9 of `scale`: recall differences tie with the observed one.

    Args:
        resampled: `[resamples, columns]`.
        observed, scale: `[columns]`; scale is the sum of |d|.
    """
    reached: NDArray[np.bool_] = np.abs(resampled) >= np.abs(observed) - TOLERANCE * scale
    return reached


def p_value(count: FloatArray, resamples: int) -> FloatArray:
    """(1 + #) / (B + 1): the observed labelling is one of the possible ones, so p is never 0."""
    return (1.0 + count) / (resamples + 1.0)


class SignedT:
    """Signed sums studentised by column, which makes columns of different spread comparable.

    With q the sum of squares of a column's n values, which signs do not change, a signed sum T has
    t = T / sqrt((n q - T^2) / (n - 1)).

    Args:
        squares, n_units, scale: of each column, `[columns]`; scale is the sum of absolute values.
    """

    def __init__(self, squares: FloatArray, n_units: IntArray, scale: FloatArray) -> None:
        self._n = np.maximum(n_units, 2).astype(np.float64)
        self._total = self._n * squares
        self._scale = scale

    def observed(self, sums: FloatArray) -> FloatArray:
        """|t| of the observed sums `[columns]`, less the tolerance: equal sums count as equal."""
        return self(np.maximum(np.abs(sums) - TOLERANCE * self._scale, 0.0))

    def __call__(self, sums: FloatArray) -> FloatArray:
        """|t| of signed sums `[..., columns]`; 0 for a column of zeros."""
        spread = (self._total - sums**2) / (self._n - 1)
        t: FloatArray = np.abs(sums) / np.sqrt(np.maximum(spread, 1e-12 * np.maximum(self._total, 1e-300)))
        return np.where(self._scale > 0, t, 0.0)
