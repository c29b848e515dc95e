"""The test by article: a bootstrap of the studentised difference over articles."""

from __future__ import annotations

import numpy as np

from xqr_bench.stats.bootstrap import multinomial_weights
from xqr_bench.stats.grid import on_grid
from xqr_bench.stats.multiple import StepDown
from xqr_bench.stats.signs import BLOCK, RESAMPLES, TOLERANCE, p_value
from xqr_bench.types import FloatArray


def bootstrap_t(
    rows: FloatArray, present: FloatArray, generator: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[FloatArray, FloatArray]:
    """p-values and step-down max-T adjusted p-values `[figures]` of "the sum over articles is 0".

    Articles are drawn with replacement; of each draw the sum is centred and studentised, and p is the share of
    |t*| that reach |t| (symmetric bootstrap-t: Hall 1992, section 3.5; by cluster: Cameron, Gelbach & Miller 2008,
    Rev. Econ. Stat. 90). With z_g what article g adds to the difference, m articles with a value, and mean z:

        t  = sum z_g / sqrt(m/(m-1) sum (z_g - mean z)^2)
        t* = sum w_g (z_g - mean z) / sqrt(m*/(m*-1) (sum w_g (z_g - mean z)^2 - (sum w_g (z_g - mean z))^2 / m*))

    Why not one sign per article: that test, and the wild cluster bootstrap-t with signs, which is the same test here
    since signs do not change the sum of squares, needs sums that are symmetric about 0. One article of XQuAD-R may
    hold half of the variance of a difference; of true nulls made by resampling articles signs then reject up to 8%,
    this test less (docs/compare.md has the figures). It errs to the safe side with few articles: 3% at 6.

    The sums are exact (`on_grid`), so that the p-values are the same on any number of threads.

    Args:
        rows: z_g, float64 `[articles, figures]`, 0 where an article has no value.
        present: 1.0 where it has one, `[articles, figures]`.
        generator: source of draws.
        resamples: B; p = (1 + #) / (B + 1), never 0.
    """
    n = len(rows)
    m = present.sum(axis=0)
    total = rows.sum(axis=0)
    size = np.abs(rows).sum(axis=0)
    centred = present * (rows - total / np.maximum(m, 1))
    # articles that all add the same have no spread but rounding
    centred[:, np.abs(centred).sum(axis=0) <= TOLERANCE * size] = 0.0
    squares = on_grid(centred**2, n * (centred**2).max(axis=0, initial=0.0))
    centred = on_grid(centred, n * np.abs(centred).max(axis=0, initial=0.0))
    least = 1e-12 * squares.sum(axis=0)
    all_there = bool((present == 1.0).all())

    spread = squares.sum(axis=0) * m / np.maximum(m - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.where(np.abs(total) <= TOLERANCE * size, 0.0, np.abs(total) / np.sqrt(spread))
    observed *= 1.0 - TOLERANCE
    step_down = StepDown(observed)
    reached = np.zeros(rows.shape[1])
    for start in range(0, resamples, BLOCK):
        weights = multinomial_weights(n, min(BLOCK, resamples - start), generator)
        drawn = np.full((len(weights), 1), float(n)) if all_there else weights @ present
        sums = weights @ centred
        spread = np.maximum(weights @ squares - sums**2 / np.maximum(drawn, 1), least)
        with np.errstate(invalid="ignore"):
            t = np.abs(sums) / np.sqrt(spread * drawn / np.maximum(drawn - 1, 1))
        t[:, least == 0] = 0.0
        reached += (t >= observed).sum(axis=0)
        step_down.add(t)
    # with m articles there are 2^m ways to give each the one sign or the other: nothing is rarer than 2 of them
    floor = np.where(size == 0, 1.0, 2.0 ** (1 - np.maximum(m, 1)))
    return np.maximum(p_value(reached, resamples), floor), np.maximum(step_down.p(), floor)
