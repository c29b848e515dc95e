"""Other pools from the counts of a record: any languages, one left out, labelled ones only, growing, of equal size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from xqr_bench.analysis.asked import Pools
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.core.types import (
    CROSS_LINGUAL,
    MONOLINGUAL,
    MOST_COLUMNS,
    MULTILINGUAL,
    PARAGRAPH,
    RULES,
    STRICT,
    FloatArray,
    IntArray,
    Ranks,
    collapses,
)
from xqr_bench.measure.certainty import MACRO, figures_of, interval_figures
from xqr_bench.measure.metrics import Metric, parse_metric
from xqr_bench.measure.metrics.lists import WHOLE_POOL, RankedLists, in_rank_order
from xqr_bench.measure.metrics.per_query import PerQuery, SettingView, per_query, setting_views
from xqr_bench.measure.panel import sampling_units
from xqr_bench.measure.scores import CellValues, Figure, Scores, pick_cells
from xqr_bench.rank.rules import variant_metrics
from xqr_bench.record import Result
from xqr_bench.tasks.load import choose_languages

# Which pools of languages to look at: every subset of a size, or a seeded sample of them.


class Subsets(NamedTuple):
    """Pools of one size.

    Attributes:
        size: languages in each.
        pools: the languages of each, in the order of the task.
        all: whether these are all that there are; otherwise a sample without replacement.
    """

    size: int
    pools: tuple[tuple[str, ...], ...]
    all: bool


def subsets(languages: Sequence[str], limit: int, generator: np.random.Generator) -> list[Subsets]:
    """Subsets of each size from 1 up: all of them where there are at most `limit`, else a sample of so many."""
    by_size = []
    for size in range(1, len(languages) + 1):
        n = comb(len(languages), size)
        every = list(combinations(languages, size))
        chosen = range(n) if n <= limit else np.sort(generator.choice(n, size=limit, replace=False)).tolist()
        by_size.append(Subsets(size, tuple(every[i] for i in chosen), n <= limit))
    return by_size


def nested(languages: Sequence[str], order: Sequence[str]) -> list[Subsets]:
    """Pools that grow by one language at a time, in this order.

    Raises:
        UsageError: the order names a language that is not there, or one twice.
    """
    if not set(order) <= set(languages) or len(set(order)) != len(order):
        raise UsageError(
            f"the order {', '.join(order)} is none of these languages",
            found=", ".join(languages),
            remedy="name each at most once",
        )
    whole = [*order, *(code for code in languages if code not in order)]
    return [
        Subsets(size, (tuple(sorted(whole[:size], key=list(languages).index)),), all=size == len(whole))
        for size in range(1, len(whole) + 1)
    ]


# Ranks -> the lists of any pool made of whole languages, one pool for all queries or one for each.

Members = NDArray[np.bool_]


def check_counts(ranks: Ranks, name: str) -> None:
    """Check that the ranks tell for each candidate language alone what stands above a relevant.

    Args:
        ranks: of a record.
        name: how the message calls it.

    Raises:
        RecordError: the ranking was cut at a depth (an approximate index, a run), or its lists of one language are
            rankings of their own and no parts of the pooled one.
    """
    if ranks.depth is not None or ranks.own_gt is not None:
        found = "a submission, which holds counts of the whole pool and of a relevant's own language"
        if collapses(ranks.columns):
            found = f"{len(ranks.columns)} languages; of more than {MOST_COLUMNS} those of each are not counted"
        if ranks.own_lists:
            found = "lists for single languages that were ranked by themselves"
        raise RecordError(
            f"{name} has no counts of each whole language within the pool, so no other pool can be made from it",
            found=found if ranks.depth is None else f"a ranking cut at {ranks.depth:,} candidates",
            remedy=f"evaluate at most {MOST_COLUMNS} of them: --languages"
            if collapses(ranks.columns)
            else "evaluate the encoder itself, without an approximate index: xqr-bench evaluate MODEL",
        )


def _sizes(ranks: Ranks, queries: IntArray) -> IntArray:
    """Candidates of each language that are ranked for some queries, int64 `[queries, columns]`."""
    sizes = np.broadcast_to(ranks.column_sizes, (len(queries), len(ranks.columns)))
    return sizes if ranks.removed is None else sizes - ranks.removed[queries]


def least_sizes(ranks: Ranks) -> IntArray:
    """The fewest candidates of each language that are ranked for any query, int64 `[columns]`."""
    return np.asarray(_sizes(ranks, np.arange(ranks.n_queries)).min(axis=0))


def pool_values(
    ranks: Ranks, metrics: Sequence[str], members: Members, queries: Members | None = None
) -> dict[str, PerQuery]:
    """Per-query values of the metrics in the multilingual setting of a pool: metric -> values, cells by query language.

    Args:
        ranks: full-depth counts (`check_counts`); sums of the columns that are in the pool rank it.
        metrics: to compute.
        members: which columns make the pool, bool `[columns]`, or of each query, bool `[queries, columns]`.
        queries: which queries to take, bool `[queries]`; default all. One without a relevant in its pool has no list.

    Raises:
        UsageError: no query is left, or a metric has no multilingual setting.
    """
    parsed = [parse_metric(name) for name in metrics]
    for metric in parsed:
        if MULTILINGUAL not in metric.settings:
            raise UsageError(f"{metric.name} has no multilingual setting", remedy="choose another metric, such as map")
    members = np.broadcast_to(members, (ranks.n_queries, len(ranks.columns)))
    inside = members[ranks.row_queries, ranks.relevant_columns]
    if queries is not None:
        inside = inside & queries[ranks.row_queries]
    rows = np.flatnonzero(inside)
    if not len(rows):
        raise UsageError("no query has a relevant in this pool", remedy="name languages that share questions")
    query = ranks.row_queries[rows]
    starts = np.flatnonzero(np.r_[True, query[1:] != query[:-1]])
    listed = query[starts]
    pool = members[query].astype(np.int32)
    column = {language: index for index, language in enumerate(ranks.columns)}
    own = np.array([column.get(language, -1) for language in ranks.query_languages], dtype=np.int64)[listed]
    lists = RankedLists(
        offsets=np.append(starts, len(rows)),
        # a sum is at most the size of the pool, so an int32 holds it
        above=np.einsum("rc,rc->r", ranks.gt[rows], pool).astype(np.int64),
        tied=np.einsum("rc,rc->r", ranks.eq[rows], pool).astype(np.int64),
        gains=ranks.gains[rows],
        columns=ranks.relevant_columns[rows],
        queries=listed,
        pools=np.full(len(listed), WHOLE_POOL),
        pool_sizes=(members[listed] * _sizes(ranks, listed)).sum(axis=1),
        query_columns=np.where((own >= 0) & members[listed, own], own, -1),
    )
    view = SettingView(ranks, MULTILINGUAL, in_rank_order(lists))
    return {metric.name: per_query(metric, view) for metric in parsed}


def of_languages(ranks: Ranks, languages: Sequence[str]) -> Members:
    """Which columns these languages are, bool `[columns]`."""
    wanted = set(languages)
    return np.array([language in wanted for language in ranks.columns])


def in_languages(ranks: Ranks, languages: Sequence[str]) -> Members:
    """Which queries are in these languages, bool `[queries]`."""
    return np.isin(np.asarray(ranks.query_languages, dtype=str), list(languages))


def labelled(ranks: Ranks) -> Members:
    """The languages in which each query has a relevant, bool `[queries, columns]`.

    A question has no label in a language it was not translated into, although a sentence there may answer it.
    """
    has_relevant = np.zeros((ranks.n_queries, len(ranks.columns)), dtype=bool)
    has_relevant[ranks.row_queries, ranks.relevant_columns] = True
    return has_relevant


# Pools of equal size: what a random sub-pool that keeps the relevant would give, exactly.
#
# A language has S candidates; the relevant stands below g of them and beside t = e - 1 others with its score. A
# sub-pool is the relevant and s - 1 of the other S - 1, drawn without replacement; tied candidates stand in random
# order. With j of the tied ones before it, j uniform on 0 .. t, a = g + j others stand before the relevant in the whole
# pool, and X of them in the sub-pool, hypergeometric: X ~ H(S - 1, a, s - 1). Its rank there is 1 + X:
#
#     E[rank]      = 1 + (s-1)/(S-1) a                        (the mean of X)
#     E[1/rank]    = S / (s (a+1)) (1 - C(S-1-a, s) / C(S, s))
#     P(rank <= k) = P(X <= k-1)
#
# each then averaged over j. The second follows from C(a, x)/(x+1) = C(a+1, x+1)/(a+1) and Vandermonde's identity: the
# sum over x of C(a, x) C(S-1-a, s-1-x) / (x+1) is (C(S, s) - C(S-1-a, s)) / (a+1).


def expected_rank(above: IntArray, tied: IntArray, size: int, keep: int) -> FloatArray:
    """E[rank] in a random sub-pool that keeps the relevant, float64 `[rows]`.

    Args:
        above: candidates above the relevant (g), int64 `[rows]`.
        tied: candidates with its score, itself included (e), int64 `[rows]`.
        size: candidates of the pool (S), itself included.
        keep: candidates of the sub-pool (s), itself included; 1 <= s <= S.
    """
    share = (keep - 1) / (size - 1) if size > 1 else 0.0
    return np.asarray(1.0 + share * (above + (tied - 1) / 2))


def expected_reciprocal_rank(above: IntArray, tied: IntArray, size: int, keep: int) -> FloatArray:
    """E[1/rank], arguments as for `expected_rank`."""
    return _averaged(_reciprocals(size, keep), above, tied)


def expected_success(above: IntArray, tied: IntArray, size: int, keep: int, k: int) -> FloatArray:
    """P(rank <= k), arguments as for `expected_rank`."""
    if size == 1:
        return np.ones(len(above))
    before = np.arange(size)
    return _averaged(stats.hypergeom.cdf(k - 1, size - 1, before, keep - 1), above, tied)


def _reciprocals(size: int, keep: int) -> FloatArray:
    """E[1/rank] with a = 0 .. S-1 others before the relevant, float64 `[S]`.

    The ratio of binomials is the product over i = 0 .. a of (S - s - i) / (S - i), added up as logarithms: the
    difference of two log-gammas of this size would lose four digits.
    """
    before = np.arange(size, dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log1p(-keep / (size - before[: size - keep + 1]))  # the last factor is 0
    reached = np.ones(size)
    reached[: len(logs)] = -np.expm1(np.cumsum(logs))[:size]
    return np.asarray(size / (keep * (before + 1)) * reached)


def _averaged(table: FloatArray, above: IntArray, tied: IntArray) -> FloatArray:
    """The mean of table[g .. g+e-1] of each row."""
    result = table[above]
    many = np.flatnonzero(tied > 1)
    sums = np.append(0.0, np.cumsum(table))
    result[many] = (sums[above[many] + tied[many]] - sums[above[many]]) / tied[many]
    return result


_EXPECTED: dict[str, Callable[[IntArray, IntArray, int, int], FloatArray]] = {
    "mrr": expected_reciprocal_rank,
    "rank": expected_rank,
    # with one relevant recall@k is the same
    **{f"success@{k}": partial(expected_success, k=k) for k in (1, 10)},
}


def equal_values(ranks: Ranks, keep: int) -> dict[str, dict[str, PerQuery]]:
    """Per-query values in pools of one language cut to the same size, and in the whole ones beside them.

    Args:
        ranks: full-depth counts.
        keep: candidates of each sub-pool (s).

    Returns:
        setting (monolingual, cross-lingual) -> `mrr`, `rank`, `success@k` and `equal mrr` ... -> values. Only queries
        with a single relevant in the language: with several, the closed forms do not hold; they are left out.

    Raises:
        UsageError: a language has fewer than `keep` candidates.
    """
    sizes = least_sizes(ranks)
    smallest = int(sizes.min())
    if not 1 <= keep <= smallest:
        raise UsageError(
            f"a pool of {keep:,} candidates cannot be drawn from every language",
            found=f"{ranks.columns[int(sizes.argmin())]} has {smallest:,}",
            remedy=f"give a size of 1 to {smallest:,}",
        )
    by_setting: dict[str, dict[str, PerQuery]] = {}
    for setting, view in setting_views(ranks, (MONOLINGUAL, CROSS_LINGUAL)).items():
        if not len(view.lists):
            continue
        view = SettingView(ranks, setting, view.lists.take(np.flatnonzero(view.lists.n_relevants == 1)))
        lists, (cells, cell) = view.lists, view.list_cells
        by_setting[setting] = {}
        for name, expected in _EXPECTED.items():
            for label, equal in ((name, False), (f"equal {name}", True)):
                values = np.empty(len(lists))
                for size in np.unique(lists.pool_sizes).tolist():
                    rows = np.flatnonzero(lists.pool_sizes == size)
                    values[rows] = expected(lists.above[rows], lists.tied[rows], size, keep if equal else size)
                metric = Metric(label, "", "", "hypergeometric expectation", settings=(setting,))
                by_setting[setting][label] = PerQuery(metric, setting, cells, cell, lists.queries, values, view.tied)
    return by_setting


def left_out(ranks: Ranks) -> int:
    """(query, language) lists with more than one relevant, which `equal_values` leaves out."""
    keys = ranks.row_queries * len(ranks.columns) + ranks.relevant_columns
    _, counts = np.unique(keys, return_counts=True)
    return int((counts > 1).sum())


# What a pool does to the multilingual figures: the views that `xqr-bench pools` shows, from stored counts alone.

METRICS = ("map", "success@1", "recall@10", "own_language_first", "rank_distance")
INTERVAL_RESAMPLES = 1_000
"""Of the intervals over questions: their ends move by 4% of the half width from seed to seed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PoolFigures(_Part):
    """The multilingual setting of one pool: macro averages over query languages."""

    name: str
    languages: tuple[str, ...] = Field(description="candidates of these make the pool; empty: each query has its own")
    query_languages: tuple[str, ...]
    n_queries: int = Field(description="queries with a relevant in the pool")
    left_out: int = Field(default=0, description="queries of these languages without one")
    figures: dict[str, Figure] = Field(description="metric -> macro average")


class Change(_Part):
    """One pool against another for the same queries."""

    name: str
    before: PoolFigures
    after: PoolFigures
    difference: dict[str, Figure] = Field(description="after - before, where every query has both")


class Size(_Part):
    """Pools of one size."""

    size: int
    n_pools: int
    all: bool = Field(description="whether these are all pools of this size; otherwise a sample")
    pools: list[list[str]]
    mean: dict[str, float | None] = Field(description="metric -> mean over the pools")
    least: dict[str, float | None]
    most: dict[str, float | None]


class EqualFigures(_Part):
    """Pools of one language cut to one size, in expectation over all that can be drawn."""

    size: int = Field(description="candidates of each sub-pool, the relevant included")
    sizes: dict[str, int] = Field(description="candidate language -> candidates it has")
    left_out: int = Field(description="(query, language) lists with several relevants, for which no closed form holds")
    settings: dict[str, dict[str, Figure]] = Field(description="setting -> figure, `equal` figures beside the whole")
    by_candidate_language: dict[str, dict[str, dict[str, float]]] = Field(
        description="setting -> candidate language -> figure -> mean over query languages"
    )


def pool_figures(
    ranks: Ranks,
    name: str,
    members: Members,
    metrics: Sequence[str],
    *,
    queries: Sequence[str] | None = None,
    seed: int | None = None,
) -> PoolFigures:
    """The multilingual setting of a pool.

    Args:
        ranks: full-depth counts.
        name: of the pool.
        members: bool `[columns]`, or `[queries, columns]` where each query has a pool of its own.
        metrics: to compute.
        queries: query languages; default: those of the pool, with pools of their own all.
        seed: of the intervals over questions; None: no intervals.
    """
    inside = tuple(np.asarray(ranks.columns)[members].tolist()) if members.ndim == 1 else ()
    wanted = tuple(queries) if queries is not None else inside or tuple(dict.fromkeys(ranks.query_languages))
    asked = in_languages(ranks, wanted)
    values = pool_values(ranks, metrics, members, asked)
    first = next(iter(values.values()))
    n_queries = len(np.unique(first.queries))
    return PoolFigures(
        name=name,
        languages=inside,
        query_languages=wanted,
        n_queries=n_queries,
        left_out=int(asked.sum()) - n_queries,
        figures=_macro(ranks, {MULTILINGUAL: values}, seed)[MULTILINGUAL],
    )


def _macro(ranks: Ranks, values: Mapping[str, Mapping[str, PerQuery]], seed: int | None) -> dict[str, Scores]:
    """Macro averages by setting and metric, with intervals over questions where there is a seed."""
    averages = {
        setting: {
            name: CellValues(of).score(pick_cells(of)[0][2], "no query has this setting")
            for name, of in of_metric.items()
        }
        for setting, of_metric in values.items()
    }
    if seed is None:
        return averages
    units = sampling_units(ranks)
    figures = figures_of(values, units, parts=(MACRO,))
    intervals = interval_figures(figures, units, np.random.Generator(np.random.PCG64(seed)), INTERVAL_RESAMPLES)
    for label, both in intervals.items():
        old = averages[label.setting][label.metric]
        if old.value is not None:
            averages[label.setting][label.metric] = old.model_copy(update=both._asdict())
    return averages


def leave_one_out(
    ranks: Ranks, metrics: Sequence[str], languages: Sequence[str], *, seed: int | None = 0
) -> list[Change]:
    """Each language taken out of the pool: its candidates leave, and so do its queries from both sides.

    The queries of the others are scored in the whole pool and in the smaller one, so that nothing but the pool
    differs. Their relevants in the language left out are gone too.
    """
    whole = of_languages(ranks, languages)
    return [
        change(ranks, f"without {left}", whole, whole & ~of_languages(ranks, [left]), metrics, others, seed=seed)
        for left in languages
        if (others := [code for code in languages if code != left])
    ]


def label_change(ranks: Ranks, metrics: Sequence[str], languages: Sequence[str], *, seed: int | None = 0) -> Change:
    """Every language in the pool against only those in which the question has a label."""
    whole = of_languages(ranks, languages)
    return change(ranks, "labelled languages only", whole, labelled(ranks) & whole, metrics, languages, seed=seed)


def change(
    ranks: Ranks,
    name: str,
    before: Members,
    after: Members,
    metrics: Sequence[str],
    queries: Sequence[str],
    *,
    seed: int | None,
) -> Change:
    """Two pools for the same queries, with the paired difference of each metric that is a mean over queries."""
    asked = in_languages(ranks, queries)
    values = [pool_values(ranks, metrics, members, asked) for members in (before, after)]
    differences = {}
    for metric in values[0]:
        a, b = values[0][metric], values[1][metric]
        if a.features is None and not a.metric.of_cells and a.undefined_reason is b.undefined_reason is None:
            common, of_a, of_b = np.intersect1d(a.queries, b.queries, return_indices=True)
            differences[metric] = replace(
                a,
                cell=a.cell[of_a],
                queries=common,
                values=b.values[of_b] - a.values[of_a],
                tied=a.tied[of_a],
                pessimistic=None,
                optimistic=None,
                random_reference=None,
                floor=None,
                ceiling=None,
            )
    return Change(
        name=name,
        before=pool_figures(ranks, "before", before, metrics, queries=queries, seed=seed),
        after=pool_figures(ranks, name, after, metrics, queries=queries, seed=seed),
        difference=_macro(ranks, {MULTILINGUAL: differences}, seed)[MULTILINGUAL] if differences else {},
    )


def pairs(ranks: Ranks, metrics: Sequence[str], languages: Sequence[str]) -> dict[str, PoolFigures]:
    """Pools of two languages, for the queries of the first: `de+en` are German queries among German and English."""
    return {
        f"{query}+{other}": pool_figures(
            ranks, f"{query}+{other}", of_languages(ranks, [query, other]), metrics, queries=[query]
        )
        for query in languages
        for other in languages
        if query != other and _has_lists(ranks, [query], [query, other])
    }


def _has_lists(ranks: Ranks, queries: Sequence[str], pool: Sequence[str]) -> bool:
    """Whether a query in some languages has a relevant in some others."""
    rows = in_languages(ranks, queries)[ranks.row_queries]
    return bool((rows & of_languages(ranks, pool)[ranks.relevant_columns]).any())


def growth(ranks: Ranks, metrics: Sequence[str], sizes: Sequence[Subsets]) -> list[Size]:
    """Pools of growing size: mean, least and most over the pools of a size; queries are those of the pool's languages.

    A figure is None where the metric is undefined in one of the pools (own-language first of one language).
    """
    result = []
    for chosen in sizes:
        table: dict[str, list[float]] = {name: [] for name in metrics}
        used = []
        for languages in chosen.pools:
            if not _has_lists(ranks, languages, languages):
                continue
            used.append(list(languages))
            figures = pool_figures(ranks, "", of_languages(ranks, languages), metrics).figures
            for name, score in figures.items():
                if score.value is not None:
                    table.setdefault(name, []).append(score.value)
        if not used:
            continue
        summaries: dict[str, Any] = {
            key: {name: float(reduce(values)) if len(values) == len(used) else None for name, values in table.items()}
            for key, reduce in (("mean", np.mean), ("least", np.min), ("most", np.max))
        }
        of_all = chosen.all and len(used) == len(chosen.pools)
        result.append(Size(size=chosen.size, n_pools=len(used), all=of_all, pools=used, **summaries))
    return result


def equal_sizes(ranks: Ranks, keep: int | None = None, *, seed: int | None = 0) -> EqualFigures:
    """Monolingual and cross-lingual figures with pools cut to one size (default: that of the smallest one).

    The order of a query's relevants in the multilingual pool does not depend on the other candidates, so own-language
    first and language position are the same in pools of any size.
    """
    size = int(least_sizes(ranks).min()) if keep is None else keep
    values = equal_values(ranks, size)
    by_language: dict[str, dict[str, dict[str, float]]] = {}
    for setting, of_metric in values.items():
        for name, of in of_metric.items():
            cells = CellValues(of)
            for column in ranks.columns:
                chosen = [i for i, cell in enumerate(of.cells) if cell.candidate == column]
                if chosen:
                    place = by_language.setdefault(setting, {}).setdefault(column, {})
                    place[name] = float(cells.value[chosen].mean())
    return EqualFigures(
        size=size,
        sizes=dict(zip(ranks.columns, ranks.column_sizes.tolist(), strict=True)),
        left_out=left_out(ranks),
        settings=_macro(ranks, values, seed),
        by_candidate_language=by_language,
    )


# Everything that `xqr-bench pools` finds in one record.

VIEWS = ("pool", "labelled", "leave-one-out", "pairs", "growth", "equal-size")
DEFAULT_VIEWS = tuple(name for name in VIEWS if name != "pairs")
OF_MANY = ("map", "own_language_first")
"""Of pairs and of growing pools, where a metric is a table of its own."""


class PoolReport(_Part):
    """The pools of one record; a view that was not asked for, or says nothing, is absent."""

    model: str
    task: str
    relevance: str = Field(default=STRICT, description="the rule of relevance of every figure")
    metrics: tuple[str, ...]
    seed: int
    pool: PoolFigures
    labelled: Change | None = Field(default=None, description="absent where every question has every language")
    leave_one_out: list[Change] = Field(default_factory=list)
    pairs: dict[str, PoolFigures] = Field(default_factory=dict)
    growth: list[Size] = Field(default_factory=list)
    equal_size: EqualFigures | None = None


@checked
def pool_report(record: Result, asked: Pools | None = None) -> PoolReport:
    """Make the views of a record, with its ranks; nothing is encoded.

    Args:
        record: with its ranks.
        asked: which views, of which pool; the others than `pool` are about its languages.

    Raises:
        RecordError: the record has no counts for each language, or none under the rule of relevance.
        UsageError, UnknownNameError: an argument that cannot be meant.
    """
    asked = asked or Pools()
    task, relevance, seed = record.task.name, asked.relevance, asked.seed
    if relevance not in RULES:
        raise UnknownNameError("rule of relevance", relevance, RULES)
    if relevance == PARAGRAPH:
        raise UsageError(
            "under paragraph relevance no other pool can be made",
            found="counts of the whole pool and of each relevant's own language: 55 relevants a query have no more",
            remedy="use strict or lenient relevance, or evaluate with --languages",
        )
    check_counts(record.ranks, f"{record.model.name} on {task}")
    ranks = record.ranks_under(relevance)
    show = DEFAULT_VIEWS if asked.show is None else tuple(asked.show)
    for view in show:
        if view not in VIEWS:
            raise UnknownNameError("view", view, VIEWS)
    chosen = choose_languages(task, ranks.columns, asked.languages)
    queries = None if asked.queries is None else choose_languages(task, ranks.columns, asked.queries)
    names = tuple(dict.fromkeys(parse_metric(metric).name for metric in (asked.metrics or METRICS)))
    if unscored := set(names) - set(variant_metrics(relevance, names)):
        raise UsageError(f"{min(unscored)} is not scored under {relevance} relevance", remedy="choose another metric")
    of_many = names[:2] if asked.metrics else OF_MANY
    members = of_languages(ranks, chosen)
    if len(chosen) < 2 and asked.languages is not None:
        show = tuple(view for view in show if view not in ("leave-one-out", "pairs", "growth"))
    lacking = not labelled(ranks)[:, members].all()
    if asked.limit < 1:
        raise UsageError(f"{asked.limit} pools of a size are none", remedy="give --limit 1 or more")
    generator = np.random.Generator(np.random.PCG64(seed))
    sizes = nested(chosen, asked.order) if asked.order is not None else subsets(chosen, asked.limit, generator)
    return PoolReport(
        model=record.model.name,
        task=task,
        relevance=relevance,
        metrics=names,
        seed=seed,
        pool=pool_figures(ranks, "the pool", members, names, queries=queries, seed=seed),
        labelled=label_change(ranks, names, chosen, seed=seed) if "labelled" in show and lacking else None,
        leave_one_out=leave_one_out(ranks, names, chosen, seed=seed) if "leave-one-out" in show else [],
        pairs=pairs(ranks, of_many, chosen) if "pairs" in show else {},
        growth=growth(ranks, of_many, sizes) if "growth" in show else [],
        equal_size=equal_sizes(ranks, asked.size, seed=seed) if "equal-size" in show else None,
    )
