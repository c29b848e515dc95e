"""Linearised statistics: standard errors by question and by article, t, and the smallest difference detected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from xqr_bench.core.types import FloatArray, IntArray
from xqr_bench.measure.panel import Contrasts, Panel, Units
from xqr_bench.measure.resampling import percentile_interval
from xqr_bench.measure.scores import Interval

# Linearised statistics: what each question contributes, standard errors by question and by article, t.


def cell_deviations(panel: Panel) -> FloatArray:
    """Linearised deviation of each question from the value of each cell, float64 `[questions, cells]`, sums 0.

    Of a mean: (sum_is - count_is mean_s) / n_s, the delta method of a ratio, which takes n_s as random too.
    Of a set statistic: its jackknife ((m-1)/m)(value - value without the question), centred, over the m questions
    that the cell has; of a mean with one value a question it is the same thing.
    """
    totals = np.where(panel.totals > 0, panel.totals, np.nan)
    if panel.statistic is None:
        return (panel.sums[..., 0] - panel.counts * panel.estimate) / totals
    left = panel.value(panel.sums.sum(axis=0) - panel.sums, panel.totals - panel.counts)
    present = panel.counts > 0
    questions = np.maximum(present.sum(axis=0), 1)
    change = np.where(present, panel.estimate - left, 0.0)
    change = np.where(present, change - change.sum(axis=0) / questions, 0.0)
    deviations: FloatArray = change * (questions - 1) / questions
    return deviations


@dataclass(frozen=True)
class Linearised:
    """Figures with the questions' linearised deviations.

    With m questions of the figure and deviations summing to 0, m times a deviation is MEASURES.md's phi.

    Attributes:
        estimate: float64 `[figures]`.
        deviations: float64 `[questions, figures]`.
        present: whether the question has a value in the figure, bool `[questions, figures]`.
        of_set: whether the figure is one of a set statistic, bool `[figures]`.
        units: questions and articles.
    """

    estimate: FloatArray
    deviations: FloatArray
    present: FloatArray
    of_set: NDArray[np.bool_]
    units: Units

    @cached_property
    def n_questions(self) -> IntArray:
        """Questions with a value in the figure (m), int64 `[figures]`."""
        n: IntArray = self.present.sum(axis=0).astype(np.int64)
        return n

    @cached_property
    def n_articles(self) -> IntArray:
        """Articles with a value in the figure (G), int64 `[figures]`."""
        n: IntArray = (self.units.by_article(self.present) > 0).sum(axis=0).astype(np.int64)
        return n

    @cached_property
    def n_varying(self) -> tuple[IntArray, IntArray]:
        """Questions without the commonest value of the figure, and articles that hold one: int64 `[figures]`."""
        varying = np.zeros(self.deviations.shape)
        for figure, (deviations, present) in enumerate(zip(self.deviations.T, self.present.T, strict=True)):
            scale = np.abs(deviations).max(initial=0.0) or 1.0
            values, which, times = np.unique(np.rint(deviations / scale * 1e9), return_inverse=True, return_counts=True)
            commonest = values[times.argmax()] if len(values) else 0.0
            varying[:, figure] = (values[which] != commonest) & (present > 0)
        articles = self.units.by_article(varying) > 0
        return varying.sum(axis=0).astype(np.int64), articles.sum(axis=0).astype(np.int64)

    @cached_property
    def standard_error(self) -> FloatArray:
        """By question: sqrt(m/(m-1) sum of squared deviations), NaN for m < 2."""
        return _standard_error(self.deviations, self.n_questions)

    @cached_property
    def article_standard_error(self) -> FloatArray:
        """By article: sqrt(G/(G-1) sum of squared article sums of deviations), NaN for G < 2 (Liang & Zeger 1986)."""
        return _standard_error(self.units.by_article(self.deviations), self.n_articles)

    @cached_property
    def effect_size(self) -> FloatArray:
        """Estimate over the standard deviation of a question: of a difference, Cohen's d_z (Cohen 1988)."""
        return _ratio(self.estimate, self.standard_error * np.sqrt(self.n_questions))

    @cached_property
    def p_t(self) -> FloatArray:
        """Two-sided p of t = estimate / standard error with m - 1 degrees of freedom."""
        return _p_t(self.estimate, self.standard_error, self.n_questions)

    @cached_property
    def p_article_t(self) -> FloatArray:
        """The same by article with G - 1 degrees of freedom."""
        return _p_t(self.estimate, self.article_standard_error, self.n_articles)

    def interval(self, level: float, *, by_article: bool) -> tuple[FloatArray, FloatArray]:
        """estimate -/+ t standard error, with m - 1 or, by article, G - 1 degrees of freedom."""
        n = self.n_articles if by_article else self.n_questions
        error = self.article_standard_error if by_article else self.standard_error
        half = special.stdtrit(np.maximum(n - 1, 1), (1 + level) / 2) * error
        return self.estimate - half, self.estimate + half


def linearise(panel: Panel, contrasts: Contrasts, units: Units, *, minus: Panel | None = None) -> Linearised:
    """Figures of one record, or of its difference from another, with their linearised deviations."""
    estimate, deviations = contrasts.apply(panel.estimate), cell_deviations(panel)
    if minus is not None:
        estimate = estimate - contrasts.apply(minus.estimate)
        deviations = deviations - cell_deviations(minus)
    of_set = np.full(len(contrasts), panel.statistic is not None)
    return Linearised(estimate, contrasts.apply(deviations), presence(panel, contrasts), of_set, units)


def joined(parts: Sequence[Linearised]) -> Linearised:
    """Figures of several panels side by side."""
    return Linearised(
        np.concatenate([part.estimate for part in parts]),
        np.hstack([part.deviations for part in parts]),
        np.hstack([part.present for part in parts]),
        np.concatenate([part.of_set for part in parts]),
        parts[0].units,
    )


def shares(panel: Panel) -> FloatArray:
    """What each question adds to the value of each cell, float64 `[questions, cells]`, sums to the value.

    Of a mean: sum_is / n_s. Of a set statistic: value / m plus the linearised deviation.
    """
    if panel.statistic is None:
        return panel.sums[..., 0] / np.where(panel.totals > 0, panel.totals, np.nan)
    present = panel.counts > 0
    questions = np.maximum(present.sum(axis=0), 1)
    level: FloatArray = np.where(present, panel.estimate / questions, 0.0)
    return level + cell_deviations(panel)


def presence(panel: Panel, contrasts: Contrasts) -> FloatArray:
    """1.0 where the question has a value in a cell that the figure uses, float64 `[questions, figures]`."""
    used = Contrasts(contrasts.labels, (contrasts.weights != 0).astype(np.float64))
    return (used.apply((panel.counts > 0).astype(np.float64)) > 0).astype(np.float64)


def _standard_error(deviations: FloatArray, n: IntArray) -> FloatArray:
    scale = np.where(n > 1, n / np.maximum(n - 1, 1), np.nan)
    error: FloatArray = np.sqrt(scale * (deviations**2).sum(axis=0))
    return error


def _ratio(estimate: FloatArray, error: FloatArray) -> FloatArray:
    """estimate / error; 0 where both vanish, so that equal records have effect size 0 and p = 1."""
    zero = (error == 0) & (estimate == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(zero, 0.0, estimate / error)


def _p_t(estimate: FloatArray, error: FloatArray, n: IntArray) -> FloatArray:
    p: FloatArray = 2.0 * special.stdtr(np.maximum(n - 1, 1), -np.abs(_ratio(estimate, error)))
    return p


# Intervals: how they are found.

LEVEL = 0.95
BOOTSTRAP = "bootstrap, percentile"
JACKKNIFE = "jackknife, t"
LINEARISED = "linearised, t"


def question_intervals(replicates: FloatArray, linearised: Linearised, redrawn: int = 0) -> list[Interval | None]:
    """Intervals by question; None with fewer than 2 questions or undefined.

    Of means: percentiles of bootstrap replicates `[resamples, figures]`. Of set statistics (Kendall's W): the jackknife
    with t. A resample holds some questions twice, which agree with themselves, so resampled W are too high by
    (1 - W)/n. On 24 questions drawn from XQuAD-R (nominal 95%) percentiles cover the macro average of corrected W in
    72 to 86 of 100 samples, shifted by their bias 87 to 94, t 91 to 96; on 1,190 all do.
    """
    method = f"{BOOTSTRAP}, {len(replicates)} resamples"
    n = linearised.n_questions
    resampled = _intervals(*percentile_interval(replicates, LEVEL), "question", method, n, redrawn)
    jackknifed = _intervals(*linearised.interval(LEVEL, by_article=False), "question", JACKKNIFE, n)
    return [jackknifed[f] if of_set else resampled[f] for f, of_set in enumerate(linearised.of_set)]


def article_intervals(linearised: Linearised) -> list[Interval | None]:
    """Intervals from article sums of linearised deviations; None with fewer than 2 articles or undefined."""
    return _intervals(*linearised.interval(LEVEL, by_article=True), "article", LINEARISED, linearised.n_articles)


def _intervals(
    low: FloatArray, high: FloatArray, unit: str, method: str, n: IntArray, redrawn: int = 0
) -> list[Interval | None]:
    return [
        Interval(
            low=float(low[f]),
            high=float(high[f]),
            level=LEVEL,
            unit=unit,
            method=method,
            n_units=int(n[f]),
            redrawn=redrawn or None,
        )
        if n[f] > 1 and np.isfinite(low[f]) and np.isfinite(high[f])
        else None
        for f in range(len(low))
    ]


# Power: the smallest difference that the benchmark detects.

POWER = 0.8
ALPHA = 0.05


def t_power(difference: float, standard_error: float, df: int, alpha: float = ALPHA) -> float:
    """Power of the two-sided t test: P(|T| > t_{1-alpha/2}), T noncentral t with difference / standard_error."""
    shift = difference / standard_error
    # scipy's noncentral t is NaN far from 0 with one or two degrees of freedom: the mean over its denominator instead
    level = float(special.stdtrit(df, 1 - alpha / 2)) * _denominators(df)
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
    return np.asarray(np.sqrt(2 * special.gammaincinv(df / 2, _quadrature()[0]) / df), dtype=np.float64)


def detectable_difference(standard_error: float, df: int) -> float | None:
    """The difference at which `t_power` reaches POWER: about 2.8 standard errors for 80% at 5%.

    By question the randomisation test has the same power to the third digit (Smucker et al. 2007). By article it is
    that of t and not of `bootstrap_t`, which finds less where one article holds much of the spread: at the difference
    printed the verdict, adjusted over three settings of which one differs, was seen to find 51 to 68 of 100.

    Args:
        standard_error: of a difference between two records like those at hand.
        df: degrees of freedom, units - 1.

    Returns:
        None when there are fewer than 2 units or no spread to judge from.
    """
    if df < 1 or not np.isfinite(standard_error) or standard_error <= 0:
        return None
    return _detectable_errors(df) * standard_error


@cache
def _detectable_errors(df: int) -> float:
    """How many standard errors a difference must be; the same for every figure with these degrees of freedom."""
    from scipy import optimize

    upper = 2.0 * float(special.stdtrit(df, 1 - ALPHA / 2) + special.stdtrit(df, POWER))
    return float(optimize.brentq(lambda shift: t_power(shift, 1.0, df) - POWER, 0.0, upper))


def detectable_differences(linearised: Linearised) -> list[tuple[float | None, float | None]]:
    """The smallest true differences found by question and by article, of each figure of a comparison.

    From the spread of its questions' differences; None where there are too few units.
    """
    units = (
        (linearised.standard_error, linearised.n_questions),
        (linearised.article_standard_error, linearised.n_articles),
    )
    by_question, by_article = (
        [detectable_difference(float(error), int(n) - 1) for error, n in zip(errors, sizes, strict=True)]
        for errors, sizes in units
    )
    return list(zip(by_question, by_article, strict=True))
