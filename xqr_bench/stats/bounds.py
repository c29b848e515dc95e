"""The ends of an interval and how they were found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xqr_bench.stats.bootstrap import percentile_interval
from xqr_bench.stats.linear import Linearised
from xqr_bench.types import FloatArray, IntArray

LEVEL = 0.95
BOOTSTRAP = "bootstrap, percentile"
LINEARISED = "linearised, t"


@dataclass(frozen=True)
class Bounds:
    """A confidence interval.

    Attributes:
        low, high: its ends.
        level: confidence level.
        unit: "question" or "article".
        method: how.
        n_units: questions or articles with a value in the figure.
        redrawn: resamples drawn again because a setting was empty.
    """

    low: float
    high: float
    level: float
    unit: str
    method: str
    n_units: int
    redrawn: int = 0


def question_bounds(replicates: FloatArray, linearised: Linearised, level: float, redrawn: int) -> list[Bounds | None]:
    """Intervals from bootstrap replicates `[resamples, figures]`; None with fewer than 2 questions or undefined."""
    low, high = percentile_interval(replicates, level)
    method = f"{BOOTSTRAP}, {len(replicates)} resamples"
    return _bounds(low, high, level, "question", method, linearised.n_questions, redrawn)


def article_bounds(linearised: Linearised, level: float) -> list[Bounds | None]:
    """Intervals from article sums of linearised deviations; None with fewer than 2 articles or undefined."""
    low, high = linearised.article_interval(level)
    return _bounds(low, high, level, "article", LINEARISED, linearised.n_articles, 0)


def _bounds(
    low: FloatArray, high: FloatArray, level: float, unit: str, method: str, n: IntArray, redrawn: int
) -> list[Bounds | None]:
    return [
        Bounds(float(low[f]), float(high[f]), level, unit, method, int(n[f]), redrawn)
        if n[f] > 1 and np.isfinite(low[f]) and np.isfinite(high[f])
        else None
        for f in range(len(low))
    ]
