"""Do the tests reject true nulls as often as they say, and do the intervals cover? On real vectors of both tasks.

Nulls are made by resampling the centred question rows of real pairs with replacement (articles for p_article).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from tests.conftest import VECTORS, needs_vectors
from xqr_bench.certainty import compare_values, figures_of, sampling_units, shared_units
from xqr_bench.data import load_task, resolve_task
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.scores import Group, SettingScores, all_per_query, score
from xqr_bench.search import exact_ranks
from xqr_bench.stats import signs
from xqr_bench.stats.bootstrap import multinomial_weights, percentile_interval
from xqr_bench.stats.contrasts import Contrasts
from xqr_bench.stats.linear import linearise, shares
from xqr_bench.stats.panel import Panel, difference_panel
from xqr_bench.stats.units import Units
from xqr_bench.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, SETTINGS

pytestmark = needs_vectors
METRICS = ["map", "recall@1", "rank_distance", "own_language_first", "language_position"]
TRIALS = 4_000
CHUNK = 100


@dataclass
class RealPair:
    """MiniLM cut to 128 and 256 columns and whole, on one task: per-query values and scores of each."""

    task: str
    groups: dict[str, Group]
    units: Units
    values: list[dict]
    scores: list[dict[str, SettingScores]]

    def difference(self, setting: str, metric: str, a: int = 1, b: int = 2) -> tuple[Panel, Contrasts]:
        sides = [
            figures_of(self.values[side], self.units, parts=["macro"], metrics=[metric], settings=[setting])[0]
            for side in (a, b)
        ]
        return difference_panel(sides[0][0], sides[1][0]), sides[0][1]


@pytest.fixture(scope="module", params=["xquad-r", "mlqa-r"])
def pair(request: pytest.FixtureRequest) -> RealPair:
    """The pair is MiniLM with its first 256 columns against all 384, unless a test asks for another."""
    spec = resolve_task(request.param)
    data = load_task(spec)
    groups = {
        name: Group(languages=found.members, undefined_reason=found.reason)
        for name, found in spec.group_members(data.languages).items()
    }
    all_ranks = []
    for size in (128, 256, None):
        encoder = load_encoder(f"precomputed:{VECTORS}", EncoderOptions(truncate_dim=size))
        vectors = embed_tasks(encoder, [data])[data.name]
        all_ranks.append(exact_ranks(data, vectors.queries, vectors.candidates, similarity=encoder.similarity))
    values = [all_per_query(ranks, METRICS) for ranks in all_ranks]
    return RealPair(
        request.param,
        groups,
        shared_units(sampling_units(ranks) for ranks in all_ranks),
        values,
        [score(found, groups)[0] for found in values],
    )


def test_mean_of_d_is_the_score_difference(pair: RealPair) -> None:
    found = compare_values(
        pair.values[1],
        pair.values[2],
        pair.units,
        pair.groups,
        generator=np.random.default_rng(0),
        parts=("macro", "by_query_language", "by_language_pair", "by_group"),
        resamples=10,
        bootstrap_resamples=0,
    )
    assert len(found) > 200
    for result in found:
        setting, metric, part, key = result.label
        scores = [
            (scored[setting].macro if part == "macro" else getattr(scored[setting], part)[key])[metric]
            for scored in pair.scores[1:]
        ]
        size = max(1.0, abs(scores[0].value))
        assert result.d.mean() == pytest.approx(scores[1].value - scores[0].value, abs=1e-12 * size), result.label
        assert result.difference == pytest.approx(scores[1].value - scores[0].value, abs=1e-12 * size)


def test_agrees_with_scipy_on_real_differences(pair: RealPair) -> None:
    found = compare_values(
        pair.values[1], pair.values[2], pair.units, generator=np.random.default_rng(0), metrics=["map", "recall@1"]
    )
    for result in found:
        if pair.task == "xquad-r":  # one n_s for all settings: d is the linearised difference
            assert result.p_t == pytest.approx(stats.ttest_rel(result.d, 0 * result.d).pvalue, rel=1e-6, abs=1e-15)
        oracle = stats.permutation_test(
            (result.d,), np.mean, permutation_type="samples", n_resamples=4_000, batch=500, rng=np.random.default_rng(1)
        )
        assert result.p == pytest.approx(oracle.pvalue, abs=0.03)


def rejections(rows: np.ndarray, generator: np.random.Generator, resamples: int = 999) -> float:
    """Number of columns `[units, trials]` whose randomisation p is at most 5%."""
    rows = signs.sign_grid(rows)
    observed, scale = rows.sum(axis=0), np.abs(rows).sum(axis=0)
    count = np.zeros(rows.shape[1])
    for coins in signs.coin_blocks(len(rows), resamples, generator):
        count += signs.at_least(signs.signed_sums(rows, coins), observed, scale).sum(axis=0)
    return float((signs.p_value(count, resamples) <= 0.05).sum())


def null_rows(panel: Panel) -> np.ndarray:
    """Differences with the cell's mean difference taken away, `[questions, cells]`: a true null."""
    return panel.sums[..., 0] - panel.counts * panel.estimate


@pytest.mark.parametrize("setting", SETTINGS)
def test_rejects_five_percent_of_true_nulls(pair: RealPair, setting: str) -> None:
    panel, contrasts = pair.difference(setting, "map")
    centred, weights = null_rows(panel), contrasts.weights[:, 0]
    generator = np.random.default_rng(11)
    n = panel.n_questions
    rejected = 0.0
    for _ in range(TRIALS // CHUNK):
        drawn = generator.integers(0, n, size=(n, CHUNK))
        times = np.stack([np.bincount(column, minlength=n) for column in drawn.T])
        sizes = times @ panel.counts  # n_s of each null sample
        d = (weights / sizes) @ centred.T  # [trials, questions]
        rejected += rejections(np.take_along_axis(d.T, drawn, axis=0), generator)
    assert 0.04 <= rejected / TRIALS <= 0.06, rejected / TRIALS


def test_p_article_rejects_five_percent(pair: RealPair) -> None:
    """Over three pairs and three settings, within [4%, 6%]; a single one may stray where one article stands out.

    With 48 articles the sign test leans on a distribution without a long tail. Of 30 pairs and settings of XQuAD-R
    tried, 29 reject 4.8 to 6.3%; MiniLM's 256 against 384 columns, multilingual, 7.6%: one article lies 4.9 standard
    deviations out (skewness 2.4). The t twin does no better there (7.8%).
    """
    generator = np.random.default_rng(12)
    found = {}
    for (a, b), setting in itertools.product([(0, 1), (0, 2), (1, 2)], SETTINGS):
        panel, contrasts = pair.difference(setting, "map", a, b)
        sums = pair.units.by_article(null_rows(panel) / panel.totals @ contrasts.weights)[:, 0]
        rejected = 0.0
        for _ in range(TRIALS // CHUNK):
            rejected += rejections(sums[generator.integers(0, len(sums), size=(len(sums), CHUNK))], generator, 499)
        found[a, b, setting] = rejected / TRIALS
    assert 0.04 <= np.mean(list(found.values())) <= 0.06, found
    assert 0.04 <= np.median(list(found.values())) <= 0.06, found
    assert min(found.values()) >= 0.04, found
    assert max(found.values()) <= 0.085, found


def test_queries_taken_as_independent_reject_too_often(pair: RealPair) -> None:
    """The mistake this room exists for: a t test over values of queries, when questions or articles are the units."""
    generator = np.random.default_rng(13)
    found = {}
    for setting in SETTINGS:
        panel, _ = pair.difference(setting, "map")
        values = null_rows(panel)
        sums = np.column_stack([values.sum(axis=1), (values**2).sum(axis=1), panel.counts.sum(axis=1)])
        for unit, rows in (("question", sums), ("article", pair.units.by_article(sums))):
            total, squares, count = (multinomial_weights(len(rows), TRIALS, generator) @ rows).T
            error = np.sqrt((squares - total**2 / count) / (count - 1) / count)
            p = 2 * stats.t.sf(np.abs(total / count / error), count - 1)
            found[setting, unit] = float((p <= 0.05).mean())
    # MLQA-R has 520 small articles and one to seven versions of a question: the mistake is smaller there
    least = 0.08 if pair.task == "xquad-r" else 0.06
    assert min(p for (setting, _), p in found.items() if setting != MONOLINGUAL) > least, found


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
def test_question_intervals_cover(pair: RealPair, setting: str, metric: str) -> None:
    """Of one record's figures: the bootstrap interval of a resampled task holds the whole task's value."""
    panel, contrasts = figures_of(pair.values[2], pair.units, parts=["macro"], metrics=[metric], settings=[setting])[0]
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
def test_article_intervals_cover(pair: RealPair, setting: str, metric: str) -> None:
    """20,000 resamples of articles: the cover is known to 0.2%."""
    panel, contrasts = figures_of(pair.values[2], pair.units, parts=["macro"], metrics=[metric], settings=[setting])[0]
    truth = contrasts.apply(panel.estimate)[0]
    g, weights = pair.units.n_articles, contrasts.weights[:, 0]
    sums, counts = pair.units.by_article(panel.sums[..., 0]), pair.units.by_article(panel.counts)
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
        units = Units(tuple(map(str, range(g))), np.arange(g), np.arange(g))
        low, high = linearise(
            Panel(panel.cells, sums[drawn][..., None], counts[drawn]), contrasts, units
        ).article_interval(0.95)
        assert (high[0] - low[0]) / 2 == pytest.approx(half[trial])
        assert (high[0] + low[0]) / 2 == pytest.approx(estimate[trial])
    covered = (np.abs(estimate - truth) <= half).mean()
    assert 0.93 <= covered <= 0.97, covered
