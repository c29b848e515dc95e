"""Statistics of the study against their definitions, and on made-up results whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats as scipy_stats

from xqr_bench.core.errors import UsageError
from xqr_bench.measure.resampling import multinomial_weights
from xqr_bench.studies.ratio.design import ALPHAS
from xqr_bench.studies.ratio.results import LEVELS, Results
from xqr_bench.studies.ratio.statistics import (
    BLOCK,
    MONO,
    MULTI,
    Replicates,
    Term,
    best_alphas,
    effect,
    effect_of,
    primary_scores,
    primary_tests,
    replicate,
    seeds_needed,
)

LANGUAGES = ("de", "en", "th")
ROWS = tuple(f"{setting}/map/{cell}" for setting, cells in (
    ("monolingual", [f"{code}>{code}" for code in LANGUAGES]), ("multilingual", LANGUAGES)
) for cell in cells)  # fmt: skip


def made_up(
    arms: Sequence[str], truth: np.ndarray, rng: np.random.Generator, *, seeds: int = 10, articles: int = 12,
    noise: float = 0.01, of_articles: float | None = None, ragged: bool = False,
) -> Results:  # fmt: skip
    """Results whose mean is truth `[arms, rows]`.

    Article effects are shared by arms; beside them each arm has its own in each article (`of_articles`), the rest is
    noise of a run.
    """
    shape = (len(arms), seeds, len(ROWS), articles)
    counts = np.ones(shape) * rng.integers(1, 6, (1, 1, len(ROWS), articles))
    if ragged:
        counts[..., 0, 1:] = 0.0  # a row with values in one article only
    article = rng.normal(0, 0.05, (1, 1, 1, articles))
    interaction = rng.normal(0, noise if of_articles is None else of_articles, (len(arms), 1, 1, articles))
    means = truth[:, None, :, None] + article + interaction + rng.normal(0, noise, shape[:3])[..., None]
    trained = tuple(LEVELS[0] if not row.endswith("th") else LEVELS[1] for row in ROWS)
    return Results(tuple(arms), tuple(range(seeds)), ROWS, trained, means * counts, counts, {}, {})


def flat(arms: Sequence[str], value: float = 0.5) -> np.ndarray:
    return np.full((len(arms), len(ROWS)), value)


def draw(results: Results, resamples: int = 200, seed: int = 1) -> Replicates:
    return replicate(results, primary_scores(results), np.random.default_rng(seed), resamples)


def test_replicates_are_those_of_the_definition() -> None:
    arms = ("alpha-0", "alpha-0.5", "alpha-1")
    results = made_up(arms, flat(arms), np.random.default_rng(0), seeds=3, articles=5)
    found = draw(results, 7)
    rng = np.random.default_rng(1)
    article_weights, seed_weights = multinomial_weights(5, 7, rng), multinomial_weights(3, 7, rng)
    for k, rows in enumerate(primary_scores(results).values()):
        for a in range(3):
            for b in range(7):
                drawn_seeds = [s for s in range(3) for _ in range(int(seed_weights[b, s]))]
                of_seeds = []
                for s in drawn_seeds:
                    cells = []
                    for row in rows:
                        total = sum(article_weights[b, g] * results.sums[a, s, row, g] for g in range(5))
                        n = sum(article_weights[b, g] * results.counts[a, s, row, g] for g in range(5))
                        cells.append(total / n)
                    of_seeds.append(np.mean(cells))
                assert found.both[b, k, a] == pytest.approx(np.mean(of_seeds), abs=1e-12)
            plain = results.sums[a][:, rows].sum(-1) / results.counts[a][:, rows].sum(-1)
            assert found.by_seed[k, a] == pytest.approx(plain.mean(axis=1), abs=1e-12)
    assert draw(results, 7).both.tobytes() == found.both.tobytes()


def test_a_row_without_values_is_drawn_again() -> None:
    arms = ("alpha-0", "alpha-0.5", "alpha-1")
    results = made_up(arms, flat(arms), np.random.default_rng(0), seeds=2, articles=4, ragged=True)
    found = draw(results, BLOCK + 10)
    assert found.redrawn > 0
    assert np.isfinite(found.both).all()


def test_effect_against_its_definition() -> None:
    arms = ("alpha-0", "alpha-0.5", "alpha-1")
    results = made_up(arms, flat(arms), np.random.default_rng(3), seeds=6)
    found = draw(results, 500)
    one = effect(found, [Term(MULTI, "alpha-0.5"), Term(MULTI, "alpha-0", -0.98)])
    drawn = found.both[:, 1, 1] - 0.98 * found.both[:, 1, 0]
    seeds = found.by_seed[1, 1] - 0.98 * found.by_seed[1, 0]
    assert one.estimate == pytest.approx(seeds.mean())
    assert one.p_greater == (1 + sum(value <= 0 for value in drawn)) / 501
    assert one.p_less == (1 + sum(value >= 0 for value in drawn)) / 501
    assert one.p_two_sided == min(1, 2 * min(one.p_greater, one.p_less))
    assert (one.low, one.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    assert one.t_greater == pytest.approx(scipy_stats.ttest_1samp(seeds, 0, alternative="greater").pvalue)
    assert one.t_two_sided == pytest.approx(scipy_stats.ttest_1samp(seeds, 0).pvalue)
    assert one.detectable == pytest.approx(one.error * detectable_in_errors(5), rel=1e-3)


def detectable_in_errors(df: int) -> float:
    """By search over the power of the two-sided t test."""
    critical = scipy_stats.t.ppf(0.975, df)
    shifts = np.linspace(2, 6, 20_001)
    power = scipy_stats.nct.sf(critical, df, shifts)
    return float(shifts[np.searchsorted(power, 0.8)])


def test_equal_scores_are_on_0_whatever_the_order_of_their_sums() -> None:
    """0.1 + 0.2 - 0.3 is 5.6e-17."""
    drawn = np.array([0.1 + 0.2 - 0.3, 0.3 - 0.1 - 0.2, 0.0, 0.01])
    assert (drawn[:2] != 0).all()
    found = effect_of(drawn, drawn, np.array([0.0, 0.01]))
    assert found.p_greater == pytest.approx((1 + 3) / 5)
    assert found.p_less == pytest.approx((1 + 4) / 5)


def test_one_seed_has_no_t() -> None:
    arms = ("alpha-0", "alpha-0.5", "alpha-1")
    found = draw(made_up(arms, flat(arms), np.random.default_rng(3), seeds=1))
    one = effect(found, [Term(MONO, "alpha-0")])
    assert one.t_greater is None
    assert one.seed_deviation is None
    assert seeds_needed(one, 0.1) is None
    assert not any(test.claimed for test in primary_tests(found))


def truth(mono: Sequence[float], multi: Sequence[float], other: Sequence[float] | None = None) -> np.ndarray:
    """`[arms, rows]` of the three arms; `other`: the last language's multilingual score."""
    rows = np.zeros((3, len(ROWS)))
    rows[:, :3] = np.array(mono)[:, None]
    rows[:, 3:] = np.array(multi)[:, None]
    if other is not None:
        rows[:, 5] = other
    return rows


def test_h1_needs_all_four_and_h2_an_interaction() -> None:
    arms = ("alpha-0", "alpha-0.5", "alpha-1")
    rng = np.random.default_rng(5)
    holds = primary_tests(draw(made_up(arms, truth([0.5, 0.6, 0.6], [0.3, 0.3, 0.2]), rng, noise=0.001), 1000))
    assert [test.claimed for test in holds] == [True, False]
    h1 = holds[0]
    assert h1.p == max(part.p for part in h1.parts)
    fails = primary_tests(draw(made_up(arms, truth([0.5, 0.58, 0.6], [0.3, 0.3, 0.2]), rng, noise=0.001), 1000))
    assert not fails[0].claimed  # 3.3% below monolingual training
    parts = {part.name: part for part in fails[0].parts}
    assert parts["mono(.5) > .98 mono(1)"].p > 0.9
    apart = truth([0.5, 0.6, 0.6], [0.3, 0.31, 0.2], other=[0.3, 0.28, 0.2])
    h2 = primary_tests(draw(made_up(arms, apart, rng, noise=0.001), 1000))[1]
    assert h2.claimed
    assert h2.parts[0].effect.estimate == pytest.approx(0.03, abs=0.005)


def test_holm_over_the_two() -> None:
    arms = ("alpha-0", "alpha-0.5", "alpha-1")
    first, second = primary_tests(draw(made_up(arms, flat(arms), np.random.default_rng(7)), 400))
    low, high = sorted([first, second], key=lambda test: test.p)
    assert low.adjusted == pytest.approx(min(1, 2 * low.p))
    assert high.adjusted == pytest.approx(max(low.adjusted, high.p))


def test_no_effect_is_seldom_claimed_and_intervals_cover() -> None:
    """60 studies without any effect: an interval of 95% covers 0 in at least 85% of them, and H2 is seldom claimed."""
    arms = ("alpha-0", "alpha-0.5", "alpha-1")
    covered = claimed = 0
    for study in range(60):
        found = draw(made_up(arms, flat(arms), np.random.default_rng([11, study])), 300, study)
        one = effect(found, [Term(MULTI, "alpha-0.5"), Term(MULTI, "alpha-0", -1)])
        covered += one.low <= 0 <= one.high
        claimed += primary_tests(found)[1].claimed
    assert covered >= 51
    assert claimed <= 7


@pytest.mark.slow
@pytest.mark.parametrize(("of_articles", "noise"), [(0.001, 0.01), (0.01, 0.01), (0.03, 0.001)])
def test_how_often_an_effect_is_told_that_is_not_there(of_articles: float, noise: float) -> None:
    """600 studies of the plan's size without an effect.

    The bootstrap alone is too free where seeds decide (there are ten), the t over seeds where articles do (it takes
    them as fixed): hence the plan claims what both show. Together 5 to 7 in 100 instead of 5: percentiles of 48
    articles are a little short.
    """
    arms = ("alpha-0", "alpha-0.5", "alpha-1")
    studies = 600
    wrong = {"bootstrap": 0, "t": 0, "both": 0}
    for study in range(studies):
        rng = np.random.default_rng([13, study])
        results = made_up(arms, flat(arms), rng, articles=48, noise=noise, of_articles=of_articles)
        one = effect(draw(results, 400, study), [Term(MULTI, "alpha-0.5"), Term(MULTI, "alpha-0", -1)])
        assert one.t_two_sided is not None
        by_bootstrap, by_t = not one.low <= 0 <= one.high, one.t_two_sided <= 0.05
        for name, found in (("bootstrap", by_bootstrap), ("t", by_t), ("both", by_bootstrap and by_t)):
            wrong[name] += found
    print(of_articles, noise, {name: f"{count / studies:.1%}" for name, count in wrong.items()})
    assert wrong["both"] <= 0.075 * studies
    if of_articles > noise:
        assert wrong["t"] > 0.3 * studies


def test_best_alphas() -> None:
    arms = [f"alpha-{alpha:g}" for alpha in ALPHAS]
    values = flat(arms)
    values[3] += 0.1
    found = draw(made_up(arms, values, np.random.default_rng(2)), 300)
    assert best_alphas(found, MULTI) == {0.5: 1.0}
    values[4] += 0.1
    two = best_alphas(draw(made_up(arms, values, np.random.default_rng(2)), 300), MULTI)
    assert set(two) <= {0.5, 0.75}
    same = made_up(arms, flat(arms), np.random.default_rng(2), noise=0.0)
    assert best_alphas(draw(same, 300), MULTI) == pytest.approx(dict.fromkeys(ALPHAS, 1 / 7), abs=0.2)


def test_seeds_needed_is_the_smallest_that_is_enough() -> None:
    arms = ("alpha-0", "alpha-0.5", "alpha-1")
    found = draw(made_up(arms, flat(arms), np.random.default_rng(4), noise=0.01), 400)
    one = effect(found, [Term(MULTI, "alpha-0.5"), Term(MULTI, "alpha-0", -1)])
    least = one.article_error * 2.9
    n = seeds_needed(one, least * 1.3)
    assert n is not None
    assert one.seed_deviation is not None

    def detectable(seeds: int) -> float:
        error = np.sqrt(one.seed_deviation**2 / seeds + one.article_error**2)
        return float(error * detectable_in_errors(seeds - 1))

    assert detectable(n) <= least * 1.3 * 1.001
    assert n == 2 or detectable(n - 1) >= least * 1.3 * 0.999
    assert seeds_needed(one, one.article_error) is None


def test_a_score_without_rows_is_refused() -> None:
    arms = ("alpha-0",)
    results = made_up(arms, flat(arms), np.random.default_rng(0))
    with pytest.raises(UsageError, match="nothing"):
        replicate(results, {"nothing": []}, np.random.default_rng(0), 10)
