"""Power: the smallest difference that the benchmark detects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize, special, stats

from xqr_bench.stats.linear import Linearised
from xqr_bench.types import FloatArray


@dataclass(frozen=True)
class Detectable:
    """Smallest true differences found with the given power by a two-sided test.

    Attributes:
        question, article: for the test by question and by article; None where there are too few units.
        power, alpha: what they hold for.
    """

    question: float | None
    article: float | None
    power: float
    alpha: float


def t_power(difference: float, standard_error: float, df: int, alpha: float = 0.05) -> float:
    """Power of the two-sided t test: P(|T| > t_{1-alpha/2}), T noncentral t with difference / standard_error."""
    shift = difference / standard_error
    # scipy's noncentral t is NaN far from 0 with one or two degrees of freedom: the mean over its denominator instead
    level = float(stats.t.ppf(1 - alpha / 2, df)) * _denominators(df)
    given = special.ndtr(shift - level) + special.ndtr(-shift - level)
    return float(given @ _quadrature()[1])


@cache
def _quadrature() -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights on 0..1."""
    nodes, weights = np.polynomial.legendre.leggauss(1000)
    return (nodes + 1.0) / 2.0, weights / 2.0


@cache
def _denominators(df: int) -> FloatArray:
    """Quantiles of sqrt(chi2 / df): what the estimated standard error is multiplied by."""
    return np.asarray(np.sqrt(stats.chi2.ppf(_quadrature()[0], df) / df), dtype=np.float64)


def detectable_difference(standard_error: float, df: int, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """The difference at which `t_power` reaches `power`: about 2.8 standard errors for 80% at 5%.

    The t test stands in for the randomisation test, whose power is the same to the third digit (Smucker et al. 2007).

    Args:
        standard_error: of a difference between two records like those at hand.
        df: degrees of freedom, units - 1.
        power, alpha: of the test.

    Returns:
        None when there are fewer than 2 units or no spread to judge from.
    """
    if df < 1 or not np.isfinite(standard_error) or standard_error <= 0:
        return None
    return _standard_errors(df, power, alpha) * standard_error


@cache
def _standard_errors(df: int, power: float, alpha: float) -> float:
    """How many standard errors a difference must be; the same for every figure with these degrees of freedom."""
    upper = 2.0 * float(stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(power, df))
    return float(optimize.brentq(lambda shift: t_power(shift, 1.0, df, alpha) - power, 0.0, upper))


def detectable_differences(linearised: Linearised, power: float = 0.8, alpha: float = 0.05) -> list[Detectable]:
    """For each figure of a comparison (`Paired.linearised`), from the spread of its questions' differences."""
    return [
        Detectable(
            question=detectable_difference(
                float(linearised.standard_error[f]), int(linearised.n_questions[f]) - 1, power, alpha
            ),
            article=detectable_difference(
                float(linearised.article_standard_error[f]), int(linearised.n_articles[f]) - 1, power, alpha
            ),
            power=power,
            alpha=alpha,
        )
        for f in range(len(linearised.estimate))
    ]
