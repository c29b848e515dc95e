"""Intervals of one record against their definitions in loops."""

from __future__ import annotations

import numpy as np
import pytest

from tests.measure.small import FIGURES, orders, small
from tests.measure.test_paired import literal_score
from xqr_bench.measure.linear import article_intervals, linearise, question_intervals, shares
from xqr_bench.measure.metrics.language_order import kendall_w
from xqr_bench.measure.panel import Contrasts, Units, panel
from xqr_bench.measure.resampling import bootstrap, multinomial_weights, on_grid

LANGUAGES_OF = {"macro": [0, 1, 2], "de": [0], "en": [1], "group": [0, 2]}


def test_weights_are_multinomial() -> None:
    weights = multinomial_weights(7, 30_000, np.random.default_rng(0))
    assert (weights.sum(axis=1) == 7).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.03)
    np.testing.assert_allclose(weights.var(axis=0), 6 / 7, atol=0.03)
    assert np.cov(weights[:, 0], weights[:, 1])[0, 1] == pytest.approx(-1 / 7, abs=0.03)


def test_bootstrap_is_recomputing_from_the_drawn_questions() -> None:
    case = small(1, questions=25, missing=0.2)
    found = bootstrap([(panel(case.of_a, case.units), FIGURES)], np.random.default_rng(3), 40)
    assert found.redrawn == 0
    weights = multinomial_weights(25, 40, np.random.default_rng(3))
    for row, drawn in zip(found.values[0], weights.astype(int), strict=True):
        questions = [case.a[i] for i in range(25) for _ in range(drawn[i])]
        expected = [literal_score(questions, languages) for languages in LANGUAGES_OF.values()]
        np.testing.assert_allclose(row[:4], expected, atol=1e-12)
        assert row[4] == pytest.approx(expected[3] - expected[2], abs=1e-12)


def test_bootstrap_of_a_set_statistic() -> None:
    values, units = orders(4)
    found = bootstrap([(panel(values, units), Contrasts.means(2, [("w", [0, 1])]))], np.random.default_rng(3), 30)
    weights = multinomial_weights(units.n_questions, 30, np.random.default_rng(3))
    features = values.features.reshape(2, units.n_questions, -1)
    for value, drawn in zip(found.values[0][:, 0], weights, strict=True):
        sums = [sum(weight * row for weight, row in zip(drawn, rows, strict=True)) for rows in features]
        expected = np.mean([kendall_w(total, np.array(float(units.n_questions))) for total in sums])
        assert value == pytest.approx(float(expected), abs=1e-12)


def test_a_resample_with_an_empty_setting_is_drawn_again_and_counted() -> None:
    case = small(2, questions=8, missing=0.0)
    keep = np.ones(len(case.of_a.values), dtype=bool)
    keep[1:8] = False  # one question is left in German: 34% of resamples lack it
    case.of_a.values[~keep] = np.nan
    found = bootstrap([(panel(case.of_a, case.units), FIGURES)], np.random.default_rng(0), 500)
    assert np.isfinite(found.values[0]).all()
    assert found.redrawn / 500 == pytest.approx(0.344 / (1 - 0.344), abs=0.1)
    linear = linearise(panel(case.of_a, case.units), FIGURES, case.units)
    bounds = question_intervals(found.values[0], linear, found.redrawn)
    assert bounds[0].redrawn == found.redrawn
    assert bounds[0].n_units == 8
    assert bounds[1] is None, "one question gives no interval"


def test_an_undefined_value_is_left_out_not_zero() -> None:
    case = small(5, missing=0.0)
    values = case.of_a.values
    values[3] = np.nan
    laid = panel(case.of_a, case.units)
    assert laid.totals[0] == 13
    assert laid.estimate[0] == pytest.approx(np.nanmean(values[:14]))


def test_linearised_is_phi_of_the_definition() -> None:
    """phi_i = (n/K) sum over settings of i of (x_is - mean_s)/n_s; its article sums give the article interval."""
    case = small(6, questions=30, articles=7)
    laid = panel(case.of_a, case.units)
    linear = linearise(laid, FIGURES, case.units)
    n = 30
    phi = np.zeros(n)
    for s in range(3):
        there = [i for i in range(n) if case.a[i][s] is not None]
        mean = sum(case.a[i][s] for i in there) / len(there)
        for i in there:
            phi[i] += n / 3 * (case.a[i][s] - mean) / len(there)
    np.testing.assert_allclose(linear.deviations[:, 0] * n, phi, atol=1e-13)
    by_article = [sum(phi[i] for i in range(n) if case.units.article[i] == g) for g in range(7)]
    error = np.sqrt(7 / 6 * sum((value / n) ** 2 for value in by_article))
    assert linear.article_standard_error[0] == pytest.approx(error)
    bounds = article_intervals(linear)[0]
    assert bounds.n_units == 7
    assert (bounds.low + bounds.high) / 2 == pytest.approx(literal_score(case.a, [0, 1, 2]))
    assert (bounds.high - bounds.low) / 2 == pytest.approx(2.446912 * error, rel=1e-6)  # t(0.975, 6)


@pytest.mark.parametrize("kind", ["mean", "set"])
def test_deviations_are_the_jackknife(kind: str) -> None:
    if kind == "mean":
        case = small(6, questions=20, missing=0.0)
        laid, units = panel(case.of_a, case.units), case.units
    else:
        values, units = orders(3, questions=20)
        laid = panel(values, units)
    figures = Contrasts.means(len(laid.cells), [("macro", range(len(laid.cells)))])
    found = linearise(laid, figures, units)
    left = []
    for i in range(20):
        others = np.arange(20) != i
        sums, counts = laid.sums[others].sum(axis=0), laid.counts[others].sum(axis=0)
        left.append(figures.apply(laid.value(sums, counts))[0])
    spread = np.sqrt(19 / 20 * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert found.standard_error[0] == pytest.approx(spread, rel=1e-9)
    np.testing.assert_allclose(found.deviations.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(shares(laid).sum(axis=0), laid.estimate, atol=1e-12)


def test_units_ignore_the_order_of_queries() -> None:
    case = small(6)
    order = np.random.default_rng(0).permutation(len(case.of_a.values))
    shuffled = Units(case.units.questions, case.units.question[order], case.units.article)
    from dataclasses import replace

    other = replace(case.of_a, cell=case.of_a.cell[order], values=case.of_a.values[order])
    np.testing.assert_allclose(panel(other, shuffled).sums, panel(case.of_a, case.units).sums)


def test_grid_makes_sums_exact() -> None:
    generator = np.random.default_rng(0)
    values = generator.random((500, 3)) * [1e-9, 1.0, 1e8]
    rounded = on_grid(values, 500 * values.max(axis=0))
    np.testing.assert_allclose(rounded, values, atol=1e-11 * values.max(), rtol=1e-9)
    weights = multinomial_weights(500, 50, generator)
    exact = np.array(
        [
            [sum(int(w) * int(v) for w, v in zip(row, column, strict=True)) for column in _whole(rounded)]
            for row in weights
        ]
    )
    np.testing.assert_array_equal(weights @ rounded, exact * _unit(rounded))


def _unit(rounded: np.ndarray) -> np.ndarray:
    """A power of two of which every number in the column is a multiple."""
    return np.array([2.0 ** (-52 + np.frexp(500 * column.max())[1]) for column in rounded.T]) / 4


def _whole(rounded: np.ndarray) -> list[np.ndarray]:
    return list((rounded / _unit(rounded)).T)
