"""Corrections for many tests, against statsmodels and against max-T written out in loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from tests.measure.small import small
from tests.measure.test_paired import compare
from xqr_bench.measure import resampling
from xqr_bench.measure.resampling import benjamini_hochberg, holm

P_VALUES = st.lists(
    st.sampled_from([0.0001, 0.001, 0.01, 0.02, 0.03, 0.04, 0.05, 0.2, 0.5, 1.0]), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(P_VALUES)
def test_as_statsmodels(p: list[float]) -> None:
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], rtol=1e-12)


def test_worked_example() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(benjamini_hochberg([0.01, 0.04, 0.03]), [0.03, 0.04, 0.04])


def test_max_t_in_loops() -> None:
    case = small(11, questions=40, articles=10)
    found = list(compare(case, seed=2, resamples=300).values())
    coins = np.vstack(list(resampling.coin_blocks(40, 300, np.random.default_rng(2).spawn(3)[0])))

    def full(result, label):
        d = np.zeros(40)
        language = {"macro": [0, 1, 2], "de": [0], "en": [1], "group": [0, 2], "group - en": [0, 1, 2]}[label]
        d[[i for i in range(40) if any(case.a[i][s] is not None for s in language)]] = result.d
        return d, result.n_questions

    def t_of(d, n):
        var = ((d**2).sum() - d.sum() ** 2 / n) / (n - 1)
        return abs(d.sum()) / np.sqrt(n * var)

    columns = [full(result, result.label) for result in found]
    observed = np.array([t_of(*column) for column in columns])
    resampled = np.array([[t_of(d * (2 * coin - 1), n) for d, n in columns] for coin in coins])
    order = np.argsort(-observed)
    adjusted, before = {}, 0.0
    for k, column in enumerate(order):
        largest = resampled[:, order[k:]].max(axis=1)
        before = max(before, (1 + (largest >= observed[column] - 1e-9).sum()) / 301)
        adjusted[column] = before
    np.testing.assert_allclose([result.p_max_t for result in found], [adjusted[f] for f in range(len(columns))])
