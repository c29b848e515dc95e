"""The test by article: its definition in loops, degenerate cases, and how often it rejects true nulls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.measure.small import small
from tests.measure.test_paired import compare
from xqr_bench.measure.paired import bootstrap_t
from xqr_bench.measure.resampling import multinomial_weights


def literal_t(z: list[float], centre: float) -> float:
    """|sum of (z - centre)| over its standard error, of the articles drawn."""
    m = len(z)
    mean = sum(z) / m
    error = np.sqrt(m / (m - 1) * sum((x - mean) ** 2 for x in z))
    return abs(sum(x - centre for x in z)) / error


@pytest.mark.parametrize("missing", [False, True])
def test_definition_in_loops(missing: bool) -> None:
    generator = np.random.default_rng(3)
    g, resamples = 14, 200
    rows = generator.exponential(size=(g, 3)) - 0.5
    present = np.ones_like(rows)
    if missing:
        present[[0, 5], 1] = 0.0
        rows *= present
    p, adjusted = bootstrap_t(rows, present, np.random.default_rng(9), resamples)
    weights = multinomial_weights(g, resamples, np.random.default_rng(9)).astype(int)
    observed, resampled = [], []
    for f in range(3):
        z = {i: rows[i, f] for i in range(g) if present[i, f]}
        mean = sum(z.values()) / len(z)
        observed.append(literal_t(list(z.values()), 0.0))
        resampled.append([literal_t([z[i] for i in z for _ in range(w[i])], mean) for w in weights])
        assert p[f] == pytest.approx((1 + sum(t >= observed[f] for t in resampled[f])) / (resamples + 1))
    order = sorted(range(3), key=lambda f: -observed[f])
    before = 0.0
    for k, f in enumerate(order):
        largest = np.max([resampled[other] for other in order[k:]], axis=0)
        before = max(before, (1 + (largest >= observed[f]).sum()) / (resamples + 1))
        assert adjusted[f] == pytest.approx(before)


def test_of_a_comparison_is_that_of_its_article_sums() -> None:
    case = small(4, questions=60, articles=20, missing=0.0)
    found = compare(case, seed=5, resamples=500)
    sums = np.array([found["macro"].d[case.units.article == g].sum() / 60 for g in range(20)])
    stream = np.random.default_rng(5).spawn(3)[1]
    p, _ = bootstrap_t(sums[:, None], np.ones((20, 1)), stream, 500)
    assert found["macro"].p_article == pytest.approx(p[0])
    assert found["macro"].p_article_t == pytest.approx(stats.ttest_1samp(sums, 0.0).pvalue, abs=0.02)


def test_near_the_t_test_for_regular_articles() -> None:
    rows = np.random.default_rng(1).normal(0.2, 1.0, size=(200, 5))
    p, _ = bootstrap_t(rows, np.ones_like(rows), np.random.default_rng(0), 20_000)
    np.testing.assert_allclose(p, stats.ttest_1samp(rows, 0.0).pvalue, atol=0.012)


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        ([2.0], 1.0),
        ([1.0, 1.0], 0.5),
        ([1.0, 1.0, 1.0, 1.0], 0.125),
        ([0.0, 0.0, 0.0], 1.0),
        ([1.0, -1.0, 0.5, -0.5], 1.0),
        ([0.1] * 60, 1 / 1000),
    ],
)
def test_few_or_equal_articles(z: list[float], expected: float) -> None:
    """No p below 2 of the 2^m sets of signs, however equal the articles; never 0."""
    rows = np.array(z)[:, None]
    p, adjusted = bootstrap_t(rows, np.ones_like(rows), np.random.default_rng(0), 999)
    assert p[0] == adjusted[0] == pytest.approx(expected)


@pytest.mark.parametrize(("g", "least", "most"), [(6, 0.02, 0.055), (48, 0.035, 0.065)])
def test_level_for_regular_articles(g: int, least: float, most: float) -> None:
    rows = np.random.default_rng(g).normal(size=(g, 1_500))
    p, _ = bootstrap_t(rows, np.ones_like(rows), np.random.default_rng(0), 499)
    assert least <= (p <= 0.05).mean() <= most
