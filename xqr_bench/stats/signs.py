"""Paired randomisation: one random sign per unit, in blocks that are exact on any number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xqr_bench.stats.grid import on_grid
from xqr_bench.types import FloatArray

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
