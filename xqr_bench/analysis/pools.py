"""Other pools from the counts of a record: any languages, one left out, labelled ones only, growing, of equal size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from xqr_bench.analysis.asked import Pools
from xqr_bench.analysis.pool_lists import (
    Members,
    Subsets,
    check_counts,
    equal_values,
    in_languages,
    labelled,
    least_sizes,
    left_out,
    nested,
    of_languages,
    pool_values,
    subsets,
)
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.types import MULTILINGUAL, PARAGRAPH, RULES, STRICT, Ranks
from xqr_bench.measure.certainty import MACRO, figures_of, interval_figures, variant_metrics
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.metrics.per_query import PerQuery
from xqr_bench.measure.panel import sampling_units
from xqr_bench.measure.scores import CellValues, Figure, Scores, pick_cells
from xqr_bench.record import Result
from xqr_bench.tasks.load import choose_languages

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
    found = {
        setting: {
            name: CellValues(of).score(pick_cells(of)[0][2], "no query has this setting")
            for name, of in of_metric.items()
        }
        for setting, of_metric in values.items()
    }
    if seed is None:
        return found
    units = sampling_units(ranks)
    figures = figures_of(values, units, parts=(MACRO,))
    intervals = interval_figures(figures, units, np.random.Generator(np.random.PCG64(seed)), INTERVAL_RESAMPLES)
    for label, both in intervals.items():
        old = found[label.setting][label.metric]
        if old.value is not None:
            found[label.setting][label.metric] = old.model_copy(update=both._asdict())
    return found


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
        if a.features is None and not a.metric.per_row and a.undefined_reason is b.undefined_reason is None:
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

    A mean is over the pools in which the metric is defined: None where it is in none (own-language first of one).
    """
    result = []
    for chosen in sizes:
        table: dict[str, list[float]] = {name: [] for name in metrics}
        used = []
        for languages in chosen.pools:
            if not _has_lists(ranks, languages, languages):
                continue
            used.append(list(languages))
            found = pool_figures(ranks, "", of_languages(ranks, languages), metrics)
            for name, score in found.figures.items():
                if score.value is not None:
                    table.setdefault(name, []).append(score.value)
        if not used:
            continue
        summaries: dict[str, Any] = {
            key: {name: float(reduce(values)) if values else None for name, values in table.items()}
            for key, reduce in (("mean", np.mean), ("least", np.min), ("most", np.max))
        }
        result.append(Size(size=chosen.size, n_pools=len(used), all=chosen.all, pools=used, **summaries))
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
