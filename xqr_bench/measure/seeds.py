"""Two arms of several training runs each: their difference over seeds and questions (or articles) together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from xqr_bench.core.types import FloatArray


class TwoWay(NamedTuple):
    """The error of a difference of two arms, and what follows from it.

    Attributes:
        error: standard error.
        df: its degrees of freedom.
        low, high: interval.
        p: two-sided.
    """

    error: float
    df: float
    low: float
    high: float
    p: float


def two_way(a: FloatArray, b: FloatArray, unit_error: float, n_units: int, level: float = 0.95) -> TwoWay:
    """mean(b) - mean(a) with seeds and units both drawn at random; a t test.

    The squared error is that over seeds, s_a^2/S_a + s_b^2/S_b, plus that over units: clusters in two directions
    (Cameron, Gelbach & Miller 2011, J. Bus. Econ. Stat. 29), without taking off what both hold, how much a seed does
    better on some units, which makes it a little too large. Degrees of freedom by Satterthwaite 1946 and Welch 1947. Of
    true nulls it rejects 2 to 6% with three seeds or more, up to 6.6% with two, where the t test over articles alone,
    which takes the seeds as they are, rejects 5 to 70% (tests/measure/test_seeds.py).

    Args:
        a, b: the score of each seed, two or more.
        unit_error: standard error of the difference with these seeds, over questions or articles.
        n_units: their number.
        level: of the interval.
    """
    squares = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b), unit_error**2])
    freedom = np.array([len(a) - 1, len(b) - 1, max(n_units - 1, 1)])
    difference, total = float(b.mean() - a.mean()), float(squares.sum())
    if not np.isfinite(total) or total <= 0.0:
        return TwoWay(total, float("nan"), difference, difference, 1.0)
    df = float(total**2 / (squares**2 / freedom).sum())
    error = float(np.sqrt(total))
    half = float(special.stdtrit(df, (1 + level) / 2)) * error
    p = 2.0 * float(special.stdtr(df, -abs(difference) / error))
    return TwoWay(error, df, difference - half, difference + half, p)
