"""Two records: the vectorised comparison against its definition, written out in loops, and against scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from tests.measure.small import FIGURES, orders, small
from xqr_bench.core.errors import UsageError
from xqr_bench.measure import resampling
from xqr_bench.measure.metrics.language_order import kendall_w
from xqr_bench.measure.paired import Pair, paired
from xqr_bench.measure.panel import Contrasts, panel


def compare(case, figures=FIGURES, seed=1, resamples=10):
    a, b = panel(case.of_a, case.units), panel(case.of_b, case.units)
    results = paired([Pair(a, b, figures)], case.units, np.random.default_rng(seed), resamples)
    return {found.label: found for found in results}


def literal_score(x, languages):
    """Macro average over languages of the mean over the questions that have the language."""
    means = []
    for language in languages:
        there = [row[language] for row in x if row[language] is not None]
        means.append(sum(there) / len(there))
    return sum(means) / len(means)


def literal_d(a, b, languages):
    """MEASURES.md 5: d_i = (n/K) sum over settings of i of (b_is - a_is)/n_s, of questions with such a setting."""
    has = [i for i in range(len(a)) if any(a[i][s] is not None for s in languages)]
    size = {s: sum(row[s] is not None for row in a) for s in languages}
    return [
        len(has) / len(languages) * sum((b[i][s] - a[i][s]) / size[s] for s in languages if a[i][s] is not None)
        for i in has
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("label", "languages"), [("macro", [0, 1, 2]), ("de", [0]), ("en", [1]), ("group", [0, 2])])
def test_d_is_its_definition_and_its_mean_the_difference(seed: int, label: str, languages: list[int]) -> None:
    case = small(seed)
    found = compare(case, resamples=10)[label]
    difference = literal_score(case.b, languages) - literal_score(case.a, languages)
    assert found.difference == pytest.approx(difference, abs=1e-14)
    assert found.d.mean() == pytest.approx(difference, abs=1e-14)
    np.testing.assert_allclose(found.d, literal_d(case.a, case.b, languages), atol=1e-14)
    assert found.n_questions == len(found.d)


def test_gap_is_a_difference_of_differences() -> None:
    found = compare(small(3), resamples=10)
    expected = found["group"].difference - found["en"].difference
    assert found["group - en"].difference == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("step", [0.0, 0.25])
def test_p_over_all_signs(step: float) -> None:
    """With B large, p nears the exact share over all 2^n signs, also where sums tie with the observed one."""
    case = small(2, questions=9, articles=4, step=step)
    found = compare(case, resamples=40_000)["macro"]
    d = np.array(literal_d(case.a, case.b, [0, 1, 2]))
    reached = [
        abs(np.dot(s, d)) >= abs(d.sum()) - 1e-9 * abs(d).sum() for s in itertools.product([1, -1], repeat=len(d))
    ]
    exact = np.mean(reached)
    assert found.p == pytest.approx(exact, abs=4 * np.sqrt(exact / 40_000))


def test_agrees_with_scipy() -> None:
    case = small(7, questions=80, articles=12, missing=0.0)
    found = compare(case, resamples=20_000)["macro"]
    oracle = stats.permutation_test(
        (found.d,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(0)
    )
    assert found.p == pytest.approx(oracle.pvalue, abs=0.004)
    paired_t = stats.ttest_rel(found.d, np.zeros(len(found.d)))
    assert found.p_t == pytest.approx(paired_t.pvalue, rel=1e-9)
    assert found.effect_size == pytest.approx(found.d.mean() / found.d.std(ddof=1), rel=1e-9)


def test_scipy_on_one_language_with_missing_questions() -> None:
    case = small(8, questions=60, articles=12)
    found = compare(case, resamples=10)["de"]
    there = [(row_a[0], row_b[0]) for row_a, row_b in zip(case.a, case.b, strict=True) if row_a[0] is not None]
    a, b = np.array(there).T
    assert found.n_questions == len(there) < 60
    assert found.p_t == pytest.approx(stats.ttest_rel(b, a).pvalue, rel=1e-9)


def test_equal_records_and_no_p_of_zero() -> None:
    case = small(1)
    case.of_b = case.of_a
    same = compare(case, resamples=100)["macro"]
    assert (same.difference, same.p, same.p_t, same.p_max_t, same.effect_size) == (0.0, 1.0, 1.0, 1.0, 0.0)
    far = small(1, questions=40, articles=20)
    far.of_b.values[:] = far.of_a.values + 1.0
    assert compare(far, resamples=999)["macro"].p == pytest.approx(1 / 1000)


def test_set_statistic_swaps_rows_and_recomputes() -> None:
    values_a, units = orders(1, strength=0.2)
    values_b, _ = orders(2, strength=0.7)
    pair = Pair(panel(values_a, units), panel(values_b, units), Contrasts.means(2, [("macro", [0, 1]), ("x", [0])]))
    resamples = 200
    found = {one.label: one for one in paired([pair], units, np.random.default_rng(5), resamples)}
    n = units.n_questions

    def w(rows_a, rows_b, cells):
        total = 0.0
        for cell in cells:
            sums = [np.sum([r[cell] for r in rows], axis=0) for rows in (rows_a, rows_b)]
            total += float(kendall_w(sums[1], np.array(float(n))) - kendall_w(sums[0], np.array(float(n))))
        return total / len(cells)

    rows_a = values_a.features.reshape(2, n, -1).transpose(1, 0, 2)
    rows_b = values_b.features.reshape(2, n, -1).transpose(1, 0, 2)
    stream = np.random.default_rng(5).spawn(3)[0]
    coins = np.vstack(list(resampling.coin_blocks(n, resamples, stream)))
    for label, cells in (("macro", [0, 1]), ("x", [0])):
        observed = w(rows_a, rows_b, cells)
        assert found[label].difference == pytest.approx(observed, abs=1e-12)
        count = 0
        for coin in coins:
            keep = coin[:, None, None] == 1
            stat = w(np.where(keep, rows_a, rows_b), np.where(keep, rows_b, rows_a), cells)
            count += abs(stat) >= abs(observed) - 1e-9
        assert found[label].p == pytest.approx((1 + count) / (resamples + 1))


def test_refuses_other_queries() -> None:
    case, other = small(1), small(2)
    with pytest.raises(UsageError, match="same queries"):
        paired(
            [Pair(panel(case.of_a, case.units), panel(other.of_a, other.units), FIGURES)],
            case.units,
            np.random.default_rng(0),
        )
