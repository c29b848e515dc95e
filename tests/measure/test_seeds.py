"""Differences of arms over seeds and units: against plain formulas, and on true nulls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from xqr_bench.measure.seeds import two_way


def test_against_welch_and_the_one_sample_t() -> None:
    """Without an error over units it is Welch's test of the seeds; without one over seeds the t test of the units."""
    generator = np.random.default_rng(0)
    a, b = generator.normal(0.30, 0.01, 4), generator.normal(0.32, 0.02, 6)
    found = two_way(a, b, 0.0, 48)
    welch = stats.ttest_ind(b, a, equal_var=False)
    assert (found.p, found.df) == (pytest.approx(welch.pvalue), pytest.approx(welch.df))
    interval = welch.confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    z = generator.normal(0.01, 0.03, 48)
    alone = two_way(np.full(3, 0.0), np.full(3, z.mean()), z.std(ddof=1) / np.sqrt(48), 48)
    assert alone.p == pytest.approx(stats.ttest_1samp(z, 0.0).pvalue)
    # both: the squares add up
    together = two_way(a, b, 0.004, 48)
    assert together.error**2 == pytest.approx(a.var(ddof=1) / 4 + b.var(ddof=1) / 6 + 0.004**2)
    assert two_way(np.full(2, 0.5), np.full(2, 0.5), 0.0, 48).p == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("of_articles", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("of_both", [0.2, 1.0])
def test_true_nulls(seeds: int, of_articles: float, of_both: float) -> None:
    """4,000 nulls of 48 articles: effects of a seed, of an article on an arm, and of both, in several proportions.

    Standard deviations are of what reaches the mean of one seed: a seed's is 1.
    """
    generator, articles, trials = np.random.default_rng(seeds), 48, 4_000
    rejected = alone = 0
    for _ in range(trials):
        article = generator.normal(0, of_articles * np.sqrt(articles), (2, articles))
        seed = generator.normal(0, 1, (2, seeds, 1))
        scores = article[:, None] + seed + generator.normal(0, of_both * np.sqrt(articles), (2, seeds, articles))
        a, b = scores.mean(axis=2)
        d = scores[1].mean(axis=0) - scores[0].mean(axis=0)
        error = d.std(ddof=1) / np.sqrt(articles)
        rejected += two_way(a, b, error, articles).p <= 0.05
        alone += stats.ttest_1samp(d, 0.0).pvalue <= 0.05
    assert rejected / trials <= (0.07 if seeds == 2 else 0.06)
    if of_articles < 1:
        assert rejected < alone  # articles alone take one draw of seeds for the arm
