"""Linearised statistics: what each question contributes, standard errors by question and by article, t."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xqr_bench.stats.contrasts import Contrasts
from xqr_bench.stats.panel import Panel
from xqr_bench.stats.units import Units
from xqr_bench.types import FloatArray, IntArray


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

    def article_interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """estimate -/+ t(G-1) article standard error."""
        return self._interval(self.article_standard_error, self.n_articles, level)

    def t_interval(self, level: float) -> tuple[FloatArray, FloatArray]:
        """estimate -/+ t(m-1) standard error."""
        return self._interval(self.standard_error, self.n_questions, level)

    def _interval(self, error: FloatArray, n: IntArray, level: float) -> tuple[FloatArray, FloatArray]:
        half = stats.t.ppf((1 + level) / 2, np.maximum(n - 1, 1)) * error
        return self.estimate - half, self.estimate + half


def linearise(panel: Panel, contrasts: Contrasts, units: Units) -> Linearised:
    """Figures of one record (or of a panel of differences) with their linearised deviations."""
    return Linearised(
        contrasts.apply(panel.estimate),
        contrasts.apply(cell_deviations(panel)),
        presence(panel, contrasts),
        np.full(len(contrasts), panel.statistic is not None),
        units,
    )


def linearised_difference(a: Panel, b: Panel, contrasts: Contrasts, units: Units) -> Linearised:
    """Figures of b minus figures of a."""
    return Linearised(
        contrasts.apply(b.estimate) - contrasts.apply(a.estimate),
        contrasts.apply(cell_deviations(b) - cell_deviations(a)),
        presence(a, contrasts),
        np.full(len(contrasts), a.statistic is not None),
        units,
    )


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
    p: FloatArray = 2.0 * stats.t.sf(np.abs(_ratio(estimate, error)), np.maximum(n - 1, 1))
    return p
