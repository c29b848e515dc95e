"""True nulls made from real records, and how often each test rejects them.

Nulls are made by resampling the centred rows of a real pair with replacement: questions for the tests by question,
articles for those by article. Each resample is a task of its own, with its own number of questions a setting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from tests.conftest import VECTORS
from tests.kit import BOARD
from xqr_bench.core.types import SETTINGS, Ranks
from xqr_bench.measure import resampling
from xqr_bench.measure.certainty import figures_of
from xqr_bench.measure.metrics.per_query import PerQuery
from xqr_bench.measure.paired import bootstrap_t
from xqr_bench.measure.panel import Contrasts, Panel, Units, sampling_units
from xqr_bench.measure.resampling import multinomial_weights
from xqr_bench.measure.scores import all_per_query
from xqr_bench.record import load_record

SHIPPED = {"char-ngrams": "char-ngrams", "bm25": "bm25", "MiniLM": "sentence-transformers__all-MiniLM-L6-v2"}
PAIRS = (
    ("char-ngrams", "bm25"),
    ("char-ngrams", "MiniLM"),
    ("bm25", "MiniLM"),
    ("MiniLM 128", "MiniLM"),
    ("MiniLM 256", "MiniLM"),
)
CHUNK = 100


@dataclass
class RealTask:
    """Per-query values of several encoders on one task."""

    task: str
    units: Units
    values: dict[str, dict[str, dict[str, PerQuery]]]

    def difference(self, a: str, b: str, setting: str, metric: str = "map") -> tuple[Panel, Contrasts]:
        (first, contrasts), (second, _) = (
            figures_of(self.values[side], self.units, parts=["macro"], metrics=[metric])[setting, metric]
            for side in (a, b)
        )
        return difference_panel(first, second), contrasts


def difference_panel(a: Panel, b: Panel) -> Panel:
    """b - a of two panels of means: the difference of means is the mean of differences."""
    return Panel(a.cells, b.sums - a.sums, a.counts, None, a.name)


def shipped(task: str, metrics: list[str], names: tuple[str, ...] = tuple(SHIPPED)) -> RealTask:
    """Records of the leaderboard, which need no data."""
    found = {}
    for name in names:
        (path,) = (BOARD / SHIPPED[name]).glob(f"*/{task}.json")
        found[name] = load_record(path, ranks=True).ranks
    return real_task(task, found, metrics)


def with_cut_vectors(task: str, metrics: list[str]) -> RealTask:
    """The same and MiniLM's first 128 and 256 columns."""
    from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
    from xqr_bench.rank.exact import exact_ranks
    from xqr_bench.tasks import load_task, resolve_task

    made = shipped(task, metrics)
    data = load_task(resolve_task(task))
    for size in (128, 256):
        encoder = load_encoder(f"precomputed:{VECTORS}", EncoderOptions(truncate_dim=size))
        vectors = embed_tasks(encoder, [data])[data.name]
        ranks = exact_ranks(data, vectors.queries, vectors.candidates, similarity=encoder.similarity)
        made.values[f"MiniLM {size}"] = all_per_query(ranks, metrics)
    return made


def real_task(task: str, ranks: dict[str, Ranks], metrics: list[str]) -> RealTask:
    units = sampling_units(next(iter(ranks.values())))
    return RealTask(task, units, {name: all_per_query(found, metrics) for name, found in ranks.items()})


def null_rows(panel: Panel) -> np.ndarray:
    """Differences with the cell's mean difference taken away, `[questions, cells]`."""
    return panel.sums[..., 0] - panel.counts * panel.estimate


def sign_rejections(rows: np.ndarray, generator: np.random.Generator, resamples: int) -> float:
    """Number of columns `[units, trials]` whose randomisation p is at most 5%."""
    rows = resampling.sign_grid(rows)
    observed, scale = rows.sum(axis=0), np.abs(rows).sum(axis=0)
    count = np.zeros(rows.shape[1])
    for coins in resampling.coin_blocks(len(rows), resamples, generator):
        count += resampling.at_least(resampling.signed_sums(rows, coins), observed, scale).sum(axis=0)
    return float((resampling.p_value(count, resamples) <= 0.05).sum())


def by_question(panel: Panel, weights: np.ndarray, trials: int, resamples: int, seed: int = 11) -> float:
    """Share of nulls of questions that one sign per question rejects at 5%."""
    generator, centred, n, rejected = np.random.default_rng(seed), null_rows(panel), panel.n_questions, 0.0
    for _ in range(trials // CHUNK):
        drawn = generator.integers(0, n, size=(n, CHUNK))
        times = np.stack([np.bincount(column, minlength=n) for column in drawn.T])
        d = (weights / (times @ panel.counts)) @ centred.T  # [trials, questions]
        rejected += sign_rejections(np.take_along_axis(d.T, drawn, axis=0), generator, resamples)
    return rejected / trials


@dataclass
class ArticleRates:
    """Shares of nulls of articles rejected at 5%.

    Attributes:
        bootstrap: by the test used, `bootstrap_t`.
        sign: by one sign per article.
        t: by a t test.
        without_largest: by `bootstrap`, in samples that lack the article that adds most: about e^-1 of all.
        largest: how many standard deviations of an article's sum that article lies out.
        forced: what samples without it alone cost any test that is right for regular articles, see `forced_rejections`.
    """

    bootstrap: float
    sign: float
    t: float
    without_largest: float
    largest: float
    forced: float


def by_article(
    panel: Panel, weights: np.ndarray, units: Units, trials: int, resamples: int, seed: int = 12
) -> ArticleRates:
    """Share of nulls of articles that the tests by article reject."""
    generator = np.random.default_rng(seed)
    sums, counts = units.by_article(null_rows(panel)), units.by_article(panel.counts)
    g = len(sums)
    whole = sums / panel.totals @ weights
    most = int(np.abs(whole).argmax())
    rejected, without = np.zeros(3), 0.0
    for _ in range(trials // CHUNK):
        drawn = generator.integers(0, g, size=(g, CHUNK))
        times = np.stack([np.bincount(column, minlength=g) for column in drawn.T])
        rows = np.take_along_axis(((weights / (times @ counts)) @ sums.T).T, drawn, axis=0)
        p = bootstrap_t(rows, np.ones_like(rows), generator, resamples)[0]
        t = stats.ttest_1samp(rows, 0.0).pvalue
        rejected += [(p <= 0.05).sum(), sign_rejections(rows, generator, resamples), (t <= 0.05).sum()]
        without += ((p <= 0.05) & (times[:, most] == 0)).sum()
    bootstrap, sign, by_t = rejected / trials
    largest = abs(float(whole[most] / whole.std()))
    return ArticleRates(bootstrap, sign, by_t, without / trials, largest, forced_rejections(whole))


def forced_rejections(whole: np.ndarray, level: float = 0.05) -> float:
    """Share of all samples that are rejected because they lack the article that adds most.

    (1 - 1/G)^G of the samples lack it. In these the null is off: the mean of the others is not 0. Where the others
    are regular, a test that is exact for regular articles and as powerful as t rejects these samples as often as t
    does a normal sample with that mean and spread: a non-central t with G - 1 degrees of freedom. The test cannot
    know that an article is lacking, so this is a floor under its rejections of a true null, whatever it does with
    the other samples.

    Args:
        whole: what each article adds to the centred difference, `[articles]`, sums to 0.
        level: of the test.
    """
    g = len(whole)
    others = np.delete(whole, np.abs(whole).argmax())
    off = np.sqrt(g) * abs(others.mean()) / others.std()
    critical = stats.t.ppf(1 - level / 2, g - 1)
    rejected = stats.nct.sf(critical, g - 1, off) + stats.nct.cdf(-critical, g - 1, off)
    return float((1 - 1 / g) ** g * rejected)


def queries_as_independent(panel: Panel, units: Units, trials: int, seed: int = 13) -> dict[str, float]:
    """Share of nulls of questions, and of articles, that a t test over single queries rejects."""
    generator = np.random.default_rng(seed)
    values = null_rows(panel)
    sums = np.column_stack([values.sum(axis=1), (values**2).sum(axis=1), panel.counts.sum(axis=1)])
    found = {}
    for unit, rows in (("question", sums), ("article", units.by_article(sums))):
        total, squares, count = (multinomial_weights(len(rows), trials, generator) @ rows).T
        error = np.sqrt((squares - total**2 / count) / (count - 1) / count)
        p = 2 * stats.t.sf(np.abs(total / count / error), count - 1)
        found[unit] = float((p <= 0.05).mean())
    return found


def calibration_rows(real: RealTask, trials: int) -> list[dict[str, object]]:
    """One row a pair and setting: all rates."""
    rows = []
    for a, b in PAIRS:
        for setting in SETTINGS:
            panel, contrasts = real.difference(a, b, setting)
            weights = contrasts.weights[:, 0]
            naive = queries_as_independent(panel, real.units, trials)
            articles = by_article(panel, weights, real.units, trials, 499)
            rows.append(
                {
                    "task": real.task,
                    "pair": f"{a}, {b}",
                    "setting": setting,
                    "question": by_question(panel, weights, trials, 299),
                    "article": articles.bootstrap,
                    "sign": articles.sign,
                    "t": articles.t,
                    "without": articles.without_largest,
                    "forced": articles.forced,
                    "largest": articles.largest,
                    "naive question": naive["question"],
                    "naive article": naive["article"],
                }
            )
    return rows
