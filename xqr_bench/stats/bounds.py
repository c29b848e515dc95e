"""The ends of an interval and how they were found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xqr_bench.stats.bootstrap import percentile_interval
from xqr_bench.stats.linear import Linearised
from xqr_bench.types import FloatArray, IntArray

LEVEL = 0.95
BOOTSTRAP = "bootstrap, percentile"
JACKKNIFE = "jackknife, t"
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
    """Intervals by question; None with fewer than 2 questions or undefined.

    Of means: percentiles of bootstrap replicates `[resamples, figures]`. Of set statistics (Kendall's W): the jackknife
    with t. A resample holds some questions twice, which agree with themselves, so resampled W are too high by
    (1 - W)/n. On 24 questions drawn from XQuAD-R (nominal 95%) percentiles cover the macro average of corrected W in
    72 to 86 of 100 samples, shifted by their bias 87 to 94, t 91 to 96; on 1,190 all do.
    """
    low, high = percentile_interval(replicates, level)
    found = _bounds(
        low,
        high,
        level,
        "question",
        f"{BOOTSTRAP}, {len(replicates)} resamples",
        linearised.n_questions,
        redrawn,
    )
    jackknifed = _bounds(*linearised.t_interval(level), level, "question", JACKKNIFE, linearised.n_questions, 0)
    return [jackknifed[f] if of_set else found[f] for f, of_set in enumerate(linearised.of_set)]


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
