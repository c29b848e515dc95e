"""More than two systems: Tukey HSD and compact letters; worst language; power."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.measure.small import FIGURES, small
from xqr_bench.analysis.compare import language_spread, worst_shares
from xqr_bench.core.errors import UsageError
from xqr_bench.measure.linear import detectable_difference, detectable_differences, linearise, t_power
from xqr_bench.measure.paired import bootstrap_t, compare_pairs, confirm
from xqr_bench.measure.panel import panel
from xqr_bench.measure.resampling import SignedT, StepDown, at_least, coin_blocks, holm, p_value, sign_grid, signed_sums
from xqr_bench.measure.tukey import compact_letters, insert_and_absorb, letter, range_p, tukey_hsd


def test_ranges_over_all_permutations() -> None:
    generator = np.random.default_rng(1)
    rows = np.round(generator.random((4, 3)), 1)
    found = range_p(rows, np.random.default_rng(0), 40_000)
    all_ranges = []
    for orders in itertools.product(itertools.permutations(range(3)), repeat=4):
        totals = np.sum([rows[i, list(order)] for i, order in enumerate(orders)], axis=0)
        all_ranges.append(totals.max() - totals.min())
    totals = rows.sum(axis=0)
    for i, j in itertools.combinations(range(3), 2):
        exact = np.mean(np.array(all_ranges) >= abs(totals[i] - totals[j]) - 1e-9)
        assert found[i, j] == found[j, i] == pytest.approx(exact, abs=0.01)
    assert (np.diag(found) == 1).all()


def test_two_systems_are_the_paired_test() -> None:
    generator = np.random.default_rng(2)
    rows = generator.random((50, 2)) + np.array([0.0, 0.08])
    d = sign_grid((rows[:, 1] - rows[:, 0])[:, None])
    coins = np.vstack(list(coin_blocks(50, 20_000, np.random.default_rng(1))))
    reached = at_least(signed_sums(d, coins), d.sum(axis=0), abs(d).sum(axis=0)).sum(axis=0)
    paired_p = p_value(reached.astype(float), 20_000)[0]
    assert range_p(rows, np.random.default_rng(0), 20_000)[0, 1] == pytest.approx(paired_p, abs=0.012)


def test_tukey_keeps_the_chance_of_any_false_difference() -> None:
    generator = np.random.default_rng(3)
    trials = 600
    rejected = sum(
        range_p(generator.random((40, 1)) + generator.normal(size=(40, 4)), generator, 199).min() <= 0.05
        for _ in range(trials)
    )
    assert rejected / trials == pytest.approx(0.05, abs=0.027)


def max_t(rows: np.ndarray, generator: np.random.Generator, *, articles: bool = False) -> dict[tuple[int, int], float]:
    """Step-down max-T over all pairs of columns, as `confirm` has it."""
    pairs = list(itertools.combinations(range(rows.shape[1]), 2))
    d = np.column_stack([rows[:, b] - rows[:, a] for a, b in pairs])
    if articles:
        return dict(zip(pairs, bootstrap_t(d, np.ones_like(d), generator, 199)[1], strict=True))
    d = sign_grid(d)
    studentised = SignedT((d**2).sum(axis=0), np.full(len(pairs), len(d)), abs(d).sum(axis=0))
    step_down = StepDown(studentised.observed(d.sum(axis=0)))
    for coins in coin_blocks(len(d), 199, generator):
        step_down.add(studentised(signed_sums(d, coins)))
    return dict(zip(pairs, step_down.p(), strict=True))


@pytest.mark.parametrize("articles", [False, True])
@pytest.mark.parametrize(
    ("spread", "means"),
    [
        ((0.2, 0.5, 1.0, 3.0), (0, 0, 0, 5)),
        ((0.3, 0.3, 0.3, 0.3), (0, 0, 3, 3)),
    ],
)
def test_max_t_over_pairs_keeps_the_chance_of_any_false_difference(
    spread: tuple[float, ...], means: tuple[float, ...], articles: bool
) -> None:
    """Whichever systems are equal, and however unequal their spread. 1,000 trials each gave 4.1 to 6.3%."""
    generator = np.random.default_rng(6)
    trials, rejected = 300, 0
    for _ in range(trials):
        rows = generator.normal(size=(50, 1)) + generator.normal(size=(50, 4)) * spread + np.array(means)
        p = max_t(rows, generator, articles=articles)
        rejected += min(value for (a, b), value in p.items() if means[a] == means[b]) <= 0.05
    assert 0.01 <= rejected / trials <= 0.095


def test_records_tested_together() -> None:
    case = small(1, questions=40, articles=12)
    sides = [{("multilingual", "map"): (panel(values, case.units), FIGURES)} for values in (case.of_a, case.of_b)]
    two = confirm(compare_pairs(sides, case.units, 3, 500, together=True))
    assert [one.p_adjusted for one in two] == pytest.approx(holm([one.result.p for one in two]))
    assert [one.p_article_adjusted for one in two] == pytest.approx(holm([one.result.p_article for one in two]))
    three = confirm(compare_pairs([*sides, sides[0]], case.units, 3, 500, together=True))
    assert [(one.a, one.b) for one in three] == [(a, b) for a, b in [(0, 1), (0, 2), (1, 2)] for _ in FIGURES.labels]
    same = three[len(FIGURES) : 2 * len(FIGURES)]
    assert {(one.result.difference, one.p_adjusted, one.p_article_adjusted) for one in same} == {(0.0, 1.0, 1.0)}
    for alone, one in zip(two, three, strict=False):
        assert (one.result.p, one.result.p_article) == (alone.result.p, alone.result.p_article)
        assert one.p_adjusted == one.result.p_max_t >= one.result.p


def test_tukey_of_panels() -> None:
    case = small(1, questions=40, articles=8)
    a, b = panel(case.of_a, case.units), panel(case.of_b, case.units)
    found = tukey_hsd([a, b, a], FIGURES, case.units, np.random.default_rng(0), 500)
    assert [result.label for result in found] == list(FIGURES.labels)
    macro = found[0]
    assert macro.means[0] == macro.means[2] == pytest.approx(FIGURES.apply(a.estimate)[0])
    assert macro.p[0, 2] == macro.p_article[0, 2] == 1.0
    assert macro.p_article[0, 1] >= 1 / 501
    with pytest.raises(UsageError, match="one record"):
        tukey_hsd([a], FIGURES, case.units, np.random.default_rng(0))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_letters_are_shared_exactly_when_not_significant(given_: tuple[int, set[tuple[int, int]]]) -> None:
    n, pairs = given_
    p = np.ones((n, n))
    for i, j in pairs:
        if i != j:
            p[i, j] = p[j, i] = 0.01
    means = np.arange(n, 0.0, -1.0)
    letters = [set(text) for text in compact_letters(p, means)]
    for i, j in itertools.combinations(range(n), 2):
        assert bool(letters[i] & letters[j]) == (p[i, j] > 0.05)
    assert all(letters), "every system has a letter"
    assert "a" in letters[0]
    sets = insert_and_absorb(p <= 0.05)
    cliques = _largest_cliques(n, p)
    assert set(sets) == cliques
    assert len(sets) == len(cliques)


def _largest_cliques(n: int, p: np.ndarray) -> set[frozenset[int]]:
    free = [
        frozenset(chosen)
        for size in range(1, n + 1)
        for chosen in itertools.combinations(range(n), size)
        if all(p[i, j] > 0.05 for i, j in itertools.combinations(chosen, 2))
    ]
    return {found for found in free if not any(found < other for other in free)}


def test_letters_worked_example() -> None:
    p = np.array([[1.0, 0.5, 0.01], [0.5, 1.0, 0.2], [0.01, 0.2, 1.0]])
    assert compact_letters(p, np.array([0.1, 0.2, 0.3])) == ["b", "ab", "a"]
    assert [letter(0), letter(25), letter(26)] == ["a", "z", "(a1)"]


def test_worst_language() -> None:
    replicates = np.array([[0.1, 0.2, 0.3], [0.2, 0.1, 0.3], [0.1, 0.1, 0.3], [0.1, 0.3, 0.3]])
    found = language_spread({"de": 0.12, "en": 0.17, "th": 0.3}, replicates)
    assert found["worst"] == "de"
    assert found["worst_share"] == {"de": 0.625, "en": 0.375, "th": 0.0}
    assert found["spread"] == pytest.approx(0.18)
    assert found["deviation"] == pytest.approx(np.std([0.12, 0.17, 0.3]))


@pytest.mark.parametrize("n", [12, 48, 1190])
def test_power_against_simulation(n: int) -> None:
    """At the detectable difference the sign-flip test finds four in five."""
    generator = np.random.default_rng(n)
    trials = 1_500
    delta = detectable_difference(2.0 / np.sqrt(n), n - 1)
    assert delta is not None
    assert t_power(delta, 2.0 / np.sqrt(n), n - 1) == pytest.approx(0.8)
    d = sign_grid(generator.normal(delta, 2.0, size=(n, trials)))
    count = np.zeros(trials)
    for coins in coin_blocks(n, 999, generator):
        count += at_least(signed_sums(d, coins), d.sum(axis=0), abs(d).sum(axis=0)).sum(axis=0)
    assert (p_value(count, 999) <= 0.05).mean() == pytest.approx(0.8, abs=0.035)
    found = stats.ttest_1samp(d, 0.0).pvalue
    assert (found <= 0.05).mean() == pytest.approx(0.8, abs=0.035)


@pytest.mark.parametrize("df", [1, 2, 3, 47, 1189])
def test_power_is_that_of_the_noncentral_t(df: int) -> None:
    critical = stats.t.ppf(0.975, df)
    expected = stats.nct.sf(critical, df, 2.8) + stats.nct.cdf(-critical, df, 2.8)
    assert t_power(2.8, 1.0, df) == pytest.approx(expected, abs=1e-6)
    found = detectable_difference(1.0, df)  # far out, where scipy's own is NaN for one or two degrees of freedom
    assert found is not None
    assert t_power(found, 1.0, df) == pytest.approx(0.8)


def test_power_of_a_comparison() -> None:
    case = small(1, questions=100, articles=20)
    linearised = linearise(panel(case.of_b, case.units), FIGURES, case.units, minus=panel(case.of_a, case.units))
    question, article = detectable_differences(linearised)[0]
    assert question == pytest.approx(2.83 * linearised.standard_error[0], rel=0.01)
    assert article is not None
    assert detectable_difference(0.0, 10) is None
    assert detectable_difference(1.0, 0) is None


def test_the_worst_language_is_one_that_has_a_value_in_the_resample() -> None:
    nan = float("nan")
    replicates = np.array([[1.0, nan, 2.0], [nan, nan, nan], [2.0, 1.0, nan], [1.0, 1.0, 3.0]])
    found = worst_shares(["de", "en", "th"], replicates)
    assert found == pytest.approx({"de": 0.5, "en": 0.5, "th": 0.0})
