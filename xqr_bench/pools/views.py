"""What a pool does to the multilingual figures: the views that `xqr-bench pools` shows, from stored counts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from xqr_bench.certainty import MACRO, figures_of, interval_figures, sampling_units
from xqr_bench.metrics.per_query import PerQuery
from xqr_bench.pools.choose import Subsets
from xqr_bench.pools.equal import equal_values, left_out
from xqr_bench.pools.lists import Members, in_languages, labelled, least_sizes, of_languages, pool_values
from xqr_bench.scores import CellValues, Score, pick_cells
from xqr_bench.types import MULTILINGUAL, Ranks

METRICS = ("map", "success@1", "recall@10", "own_language_first", "rank_distance")
RESAMPLES = 1_000
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
    figures: dict[str, Score] = Field(description="metric -> macro average")


class Change(_Part):
    """One pool against another for the same queries."""

    name: str
    before: PoolFigures
    after: PoolFigures
    difference: dict[str, Score] = Field(description="after - before, where every query has both")


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
    settings: dict[str, dict[str, Score]] = Field(description="setting -> figure, `equal` figures beside the whole")
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


def _macro(ranks: Ranks, values: Mapping[str, Mapping[str, PerQuery]], seed: int | None) -> dict[str, dict[str, Score]]:
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
    intervals = interval_figures(figures, units, np.random.Generator(np.random.PCG64(seed)), resamples=RESAMPLES)
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
        if query != other and _shares(ranks, query, other)
    }


def _shares(ranks: Ranks, query: str, other: str) -> bool:
    """Whether a query in the first language has a relevant in one of the two."""
    rows = in_languages(ranks, [query])[ranks.row_queries]
    return bool((rows & of_languages(ranks, [query, other])[ranks.relevant_columns]).any())


def growth(ranks: Ranks, metrics: Sequence[str], sizes: Sequence[Subsets]) -> list[Size]:
    """Pools of growing size: mean, least and most over the pools of a size; queries are those of the pool's languages.

    A mean is over the pools in which the metric is defined: None where it is in none (own-language first of one).
    """
    result = []
    for chosen in sizes:
        table: dict[str, list[float]] = {name: [] for name in metrics}
        used = []
        for languages in chosen.pools:
            if not _has_lists(ranks, languages):
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


def _has_lists(ranks: Ranks, languages: Sequence[str]) -> bool:
    rows = in_languages(ranks, languages)[ranks.row_queries]
    return bool((rows & of_languages(ranks, languages)[ranks.relevant_columns]).any())


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
