"""Do the tests reject true nulls as often as they say, and do the intervals cover? On real records of both tasks.

By default on the shipped records with a few hundred trials; the 4,000 of the definition, on more pairs, are marked
slow. docs/compare.md shows the table (`python -m tests.benchmarks.calibration`).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from tests.conftest import needs_vectors
from tests.measure.nulls import (
    CHUNK,
    PAIRS,
    RealTask,
    by_article,
    by_question,
    forced_rejections,
    queries_as_independent,
    shipped,
    with_cut_vectors,
)
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, SETTINGS
from xqr_bench.measure.certainty import figures_of
from xqr_bench.measure.linear import linearise, shares
from xqr_bench.measure.metrics.language_order import corrected_w
from xqr_bench.measure.paired import compare_pairs
from xqr_bench.measure.panel import Contrasts, Panel, Units
from xqr_bench.measure.resampling import multinomial_weights, percentile_interval
from xqr_bench.measure.scores import score

TASKS = ("xquad-r", "mlqa-r")
METRICS = ["map", "recall@1", "rank_distance", "own_language_first", "language_position"]
TRIALS = 4_000


@cache
def board(task: str) -> RealTask:
    return shipped(task, METRICS, ("char-ngrams", "MiniLM"))


@cache
def many(task: str) -> RealTask:
    return with_cut_vectors(task, ["map"])


@pytest.mark.parametrize("task", TASKS)
def test_mean_of_d_is_the_score_difference(task: str) -> None:
    real = board(task)
    a, b = real.values["char-ngrams"], real.values["MiniLM"]
    parts = ("macro", "by_query_language", "by_language_pair")
    sides = [figures_of(values, real.units, parts=parts) for values in (a, b)]
    found = [one for _, _, one in compare_pairs(sides, real.units, resamples=10, intervals=False)]
    assert len(found) > 200
    scores = [score(values, {})[0] for values in (a, b)]
    for result in found:
        setting, metric, part, key = result.label
        first, second = (
            (scored[setting].macro if part == "macro" else getattr(scored[setting], part)[key])[metric].value
            for scored in scores
        )
        size = max(1.0, abs(first))
        assert result.d.mean() == pytest.approx(second - first, abs=1e-12 * size), result.label
        assert result.difference == pytest.approx(second - first, abs=1e-12 * size)


@pytest.mark.parametrize("task", TASKS)
def test_agrees_with_scipy_on_real_differences(task: str) -> None:
    real = board(task)
    sides = [
        figures_of(real.values[name], real.units, parts=["macro"], metrics=["map", "recall@1"])
        for name in ("char-ngrams", "MiniLM")
    ]
    for _, _, result in compare_pairs(sides, real.units, intervals=False):
        if task == "xquad-r":  # one n_s for all settings: d is the linearised difference
            assert result.p_t == pytest.approx(stats.ttest_rel(result.d, 0 * result.d).pvalue, rel=1e-6, abs=1e-15)
        oracle = stats.permutation_test(
            (result.d,), np.mean, permutation_type="samples", n_resamples=4_999, batch=500, rng=np.random.default_rng(1)
        )
        assert result.p == pytest.approx(oracle.pvalue, abs=0.04)


def test_quickly() -> None:
    """600 nulls of char-ngrams against MiniLM on XQuAD-R, multilingual: 5% is 3.2 to 6.8% here, 8% is not."""
    real = board("xquad-r")
    panel, contrasts = real.difference("char-ngrams", "MiniLM", MULTILINGUAL)
    weights = contrasts.weights[:, 0]
    assert 0.032 <= by_question(panel, weights, 600, 199) <= 0.068
    assert 0.032 <= by_article(panel, weights, real.units, 600, 199).bootstrap <= 0.068
    naive = queries_as_independent(panel, real.units, 2_000)
    assert naive["question"] > 0.08
    assert naive["article"] > 0.08


@pytest.mark.slow
@needs_vectors
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("task", TASKS)
def test_rejects_five_percent_of_true_nulls(task: str, setting: str) -> None:
    """By question, 4,000 nulls of each pair: within [4%, 6%]."""
    for a, b in PAIRS:
        panel, contrasts = many(task).difference(a, b, setting)
        assert 0.04 <= by_question(panel, contrasts.weights[:, 0], TRIALS, 299) <= 0.06, (a, b)


@pytest.mark.slow
@needs_vectors
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("task", TASKS)
def test_by_article_rejects_five_percent(task: str, setting: str) -> None:
    """By article, 4,000 nulls of each pair: within a point of 5%, or of what samples without one article force.

    One of 48 articles may hold much of the variance (up to 4.9 standard deviations out). A sample without it (36 in
    100) is regular to look at and has its mean off 0; any test that is right for regular articles rejects so many of
    these that it is more than 5% of all (`forced_rejections`, computed from the articles, not from a test). This
    happens in three cells of 30: XQuAD-R, multilingual; two of them lie outside [4%, 6%], at 6.1% and 7.0%. The bound
    was devised with these figures known.
    """
    forced = []
    for a, b in PAIRS:
        panel, contrasts = many(task).difference(a, b, setting)
        found = by_article(panel, contrasts.weights[:, 0], many(task).units, TRIALS, 499)
        forced += [found.forced] if found.forced > 0.05 else []
        assert 0.04 <= found.bootstrap <= max(0.05, found.forced) + 0.01, (a, b, found)
        # never further off than one sign per article, up to the noise of 4,000
        assert found.bootstrap <= found.sign + 0.005, (a, b, found)
    assert not forced or (task, setting) == ("xquad-r", MULTILINGUAL)


@pytest.mark.slow  # of what the slow tests are held to
def test_forced_rejections() -> None:
    """Against drawing: regular articles and one far out, samples that lack it, a t test."""
    generator = np.random.default_rng(17)
    whole = np.append(generator.standard_normal(47), 10.0)
    whole -= whole.mean()
    rejected = trials = 0
    for _ in range(20_000):
        times = multinomial_weights(48, 1, generator)[0]
        trials += 1
        if times[-1] == 0:
            # in place of the drawn articles, normal ones with the same mean and spread
            rest = generator.normal(whole[:-1].mean(), whole[:-1].std(), 48)
            rejected += stats.ttest_1samp(rest, 0.0).pvalue <= 0.05
    assert forced_rejections(whole) == pytest.approx(rejected / trials, abs=0.006)
    assert forced_rejections(whole) > 0.06
    assert forced_rejections(generator.standard_normal(48)) < 0.05


@pytest.mark.slow
@needs_vectors
@pytest.mark.parametrize("task", TASKS)
def test_queries_taken_as_independent_reject_too_often(task: str) -> None:
    """The mistake this room exists for: a t test over values of queries, when questions or articles are the units.

    XQuAD-R has every question in 11 languages: more than 8% of true nulls are rejected cross-lingually and
    multilingually in every pair (10 to 79% of questions, 15 to 85% of articles). Monolingually, and on MLQA-R where
    most questions have few languages, only between encoders of different kinds (8 to 27%), not between MiniLM's 256
    and 384 columns (5.3 to 7.5%).
    """
    found = {
        (a, b, setting): queries_as_independent(many(task).difference(a, b, setting)[0], many(task).units, TRIALS)
        for a, b in PAIRS
        for setting in SETTINGS
    }
    shared = {place: rates["question"] for place, rates in found.items() if place[2] != MONOLINGUAL}
    if task == "xquad-r":
        assert min(shared.values()) > 0.08, found
        assert min(rates["article"] for place, rates in found.items() if place[2] != MONOLINGUAL) > 0.08, found
    else:
        assert min(rate for (a, b, _), rate in shared.items() if (a, b) in PAIRS[:3]) > 0.08, found
    assert found["MiniLM 256", "MiniLM", MONOLINGUAL]["question"] < 0.08, found


def _figure(task: str, setting: str, metric: str) -> tuple[Panel, Contrasts]:
    real = board(task)
    return figures_of(real.values["MiniLM"], real.units, parts=["macro"], metrics=[metric])[setting, metric]


@pytest.mark.parametrize(
    ("setting", "metric"),
    [
        (MONOLINGUAL, "map"),
        (CROSS_LINGUAL, "map"),
        (MULTILINGUAL, "map"),
        (MULTILINGUAL, "rank_distance"),
        (MULTILINGUAL, "own_language_first"),
    ],
)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.slow
def test_question_intervals_cover(task: str, setting: str, metric: str) -> None:
    """Of one record's figures: the bootstrap interval of a resampled task holds the whole task's value."""
    panel, contrasts = _figure(task, setting, metric)
    truth = contrasts.apply(panel.estimate)[0]
    generator = np.random.default_rng(14)
    n, weights = panel.n_questions, contrasts.weights[:, 0]
    # with one n_s a cell's denominator never changes, so the macro average is the mean of one number per question
    fixed = bool((panel.counts == panel.counts[0]).all())
    covered, trials = 0, TRIALS if fixed or len(weights) < 20 else TRIALS // 2
    flat = (n * shares(panel) @ weights)[:, None] if fixed else panel.sums[..., 0]
    for _ in range(trials // CHUNK):
        drawn = generator.integers(0, n, size=(n, CHUNK))
        inner = multinomial_weights(n, 500, generator)
        top = (inner @ flat[drawn].reshape(n, -1)).reshape(500, CHUNK, -1)
        if fixed:
            replicates = top[:, :, 0] / n
        else:
            sizes = (inner @ panel.counts[drawn].reshape(n, -1)).reshape(500, CHUNK, -1)
            replicates = (top / sizes) @ weights
        low, high = percentile_interval(replicates, 0.95)
        covered += int(((low <= truth) & (truth <= high)).sum())
    assert 0.93 <= covered / trials <= 0.97, covered / trials


@pytest.mark.parametrize(
    ("setting", "metric"),
    [(MONOLINGUAL, "map"), (CROSS_LINGUAL, "map"), (MULTILINGUAL, "map"), (MULTILINGUAL, "rank_distance")],
)
@pytest.mark.parametrize("task", TASKS)
def test_article_intervals_cover(task: str, setting: str, metric: str) -> None:
    """20,000 resamples of articles: the cover is known to 0.2%."""
    panel, contrasts = _figure(task, setting, metric)
    units = board(task).units
    truth = contrasts.apply(panel.estimate)[0]
    g, weights = units.n_articles, contrasts.weights[:, 0]
    sums, counts = units.by_article(panel.sums[..., 0]), units.by_article(panel.counts)
    times = multinomial_weights(g, 20_000, np.random.default_rng(15))
    means, sizes = (times @ sums) / (times @ counts), times @ counts
    estimate = means @ weights
    # article sums of phi in each resample: sum over s of weight_s (sum_gs - count_gs mean_s) / n_s
    scaled = weights / sizes
    phi = scaled @ sums.T - (scaled * means) @ counts.T
    error = np.sqrt(g / (g - 1) * (times * phi**2).sum(axis=1))
    half = stats.t.ppf(0.975, g - 1) * error
    for trial in range(5):  # the same as the code under test on the resampled articles
        drawn = np.repeat(np.arange(g), times[trial].astype(int))
        alone = Units(tuple(map(str, range(g))), np.arange(g), np.arange(g))
        laid = Panel(panel.cells, sums[drawn][..., None], counts[drawn])
        low, high = linearise(laid, contrasts, alone).interval(0.95, by_article=True)
        assert (high[0] - low[0]) / 2 == pytest.approx(half[trial])
        assert (high[0] + low[0]) / 2 == pytest.approx(estimate[trial])
    covered = (np.abs(estimate - truth) <= half).mean()
    assert 0.93 <= covered <= 0.97, covered


@pytest.mark.slow
@pytest.mark.parametrize(("n", "trials"), [(24, 1_500), (100, 1_000), (1_190, 300)])
@pytest.mark.parametrize("name", ["char-ngrams", "MiniLM", "bm25"])
def test_intervals_of_w_cover(name: str, n: int, trials: int) -> None:
    """The jackknife interval of corrected W on samples of questions of XQuAD-R, and percentiles, which fall short.

    Within [93%, 97%] for char-ngrams and MiniLM; bm25, whose order of languages is the same for nearly every
    question, from 90%.
    """
    real = shipped("xquad-r", ["language_order_w_corrected"], (name,))
    ((panel, contrasts),) = figures_of(real.values[name], real.units, parts=["macro"]).values()
    size = panel.n_questions
    # of a population of these questions, W has its whole chance part: draws are with replacement
    truth = (contrasts.apply(panel.estimate)[0] * (size - 1) + 1) / size
    generator = np.random.default_rng(16)
    covered = percentiles = 0
    units = Units(tuple(map(str, range(n))), np.arange(n), np.arange(n))
    for _ in range(trials):
        drawn = generator.integers(0, size, n)
        sample = Panel(panel.cells, panel.sums[drawn], panel.counts[drawn], panel.statistic)
        low, high = linearise(sample, contrasts, units).interval(0.95, by_article=False)
        covered += int(low[0] <= truth <= high[0])
        if n == 24:
            weights = multinomial_weights(n, 400, generator)
            sums = (weights @ sample.sums.reshape(n, -1)).reshape(400, *sample.sums.shape[1:])
            replicates = contrasts.apply(corrected_w(sums, weights @ sample.counts))
            low, high = percentile_interval(replicates, 0.95)
            percentiles += int(low[0] <= truth <= high[0])
    assert (0.90 if name == "bm25" else 0.925) <= covered / trials <= 0.97, covered / trials
    if n == 24:
        assert percentiles / trials < 0.9, percentiles / trials
