"""Ranks -> the lists of any pool made of whole languages, one pool for all queries or one for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xqr_bench.errors import RecordError, UsageError
from xqr_bench.metrics import parse_metric
from xqr_bench.metrics.lists import WHOLE_POOL, RankedLists, in_rank_order
from xqr_bench.metrics.per_query import PerQuery, SettingView, per_query
from xqr_bench.types import MULTILINGUAL, PARAGRAPH, IntArray, Ranks

Members = NDArray[np.bool_]


def refuse_paragraph(relevance: str) -> None:
    """Raise UsageError for the rule whose counts are of the whole pool and of the own language, and of no other."""
    if relevance == PARAGRAPH:
        raise UsageError(
            "under paragraph relevance no other pool can be made",
            found="counts of the whole pool and of each relevant's own language: 55 relevants a query have no more",
            remedy="use strict or lenient relevance, or evaluate with --languages",
        )


def check_counts(ranks: Ranks, name: str) -> None:
    """Check that the ranks tell for each candidate language alone what stands above a relevant.

    Args:
        ranks: of a record.
        name: how the message calls it.

    Raises:
        RecordError: the ranking was cut at a depth (an approximate index, a run), or its lists of one language are
            rankings of their own and no parts of the pooled one.
    """
    remedy = "evaluate the encoder itself, without an approximate index: xqr-bench evaluate MODEL"
    if ranks.depth is not None:
        raise RecordError(
            f"{name} has no counts for the whole of each language, so no other pool can be made from it",
            found=f"a ranking cut at {ranks.depth:,} candidates",
            remedy=remedy,
        )
    if ranks.own_gt is not None:
        raise RecordError(
            f"{name} has no counts for each language within the pool, so no other pool can be made from it",
            found="lists for single languages that were ranked by themselves",
            remedy=remedy,
        )


def pool_lists(ranks: Ranks, members: Members, queries: Members | None = None) -> RankedLists:
    """One list a query, ranked within its pool: sums of the columns that are in it.

    Args:
        ranks: full-depth counts (`check_counts`).
        members: which columns make the pool, bool `[columns]`, or of each query, bool `[queries, columns]`.
        queries: which queries to take, bool `[queries]`; default all. One without a relevant in its pool has no list.

    Raises:
        UsageError: no query is left.
    """
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
    own_inside = (own >= 0) & members[listed, own]
    return in_rank_order(
        RankedLists(
            offsets=np.append(starts, len(rows)),
            # a sum is at most the size of the pool, so an int32 holds it
            above=np.einsum("rc,rc->r", ranks.gt[rows], pool).astype(np.int64),
            tied=np.einsum("rc,rc->r", ranks.eq[rows], pool).astype(np.int64),
            gains=ranks.gains[rows],
            columns=ranks.relevant_columns[rows],
            queries=listed,
            pools=np.full(len(listed), WHOLE_POOL),
            pool_sizes=(members[listed] * _sizes(ranks, listed)).sum(axis=1),
            query_columns=np.where(own_inside, own, -1),
        )
    )


def _sizes(ranks: Ranks, queries: IntArray) -> IntArray:
    """Candidates of each language that are ranked for some queries, int64 `[queries, columns]`."""
    sizes = np.broadcast_to(ranks.column_sizes, (len(queries), len(ranks.columns)))
    return sizes if ranks.removed is None else sizes - ranks.removed[queries]


def least_sizes(ranks: Ranks) -> IntArray:
    """The fewest candidates of each language that are ranked for any query, int64 `[columns]`."""
    least: IntArray = _sizes(ranks, np.arange(ranks.n_queries)).min(axis=0)
    return least


def pool_values(
    ranks: Ranks, metrics: Sequence[str], members: Members, queries: Members | None = None
) -> dict[str, PerQuery]:
    """Per-query values of the metrics in the multilingual setting of a pool: metric -> values, cells by query language.

    Raises:
        UsageError: no query is left, or a metric has no multilingual setting.
    """
    parsed = [parse_metric(name) for name in metrics]
    for metric in parsed:
        if MULTILINGUAL not in metric.settings:
            raise UsageError(f"{metric.name} has no multilingual setting", remedy="choose another metric, such as map")
    view = SettingView(ranks, MULTILINGUAL, pool_lists(ranks, members, queries))
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
    found = np.zeros((ranks.n_queries, len(ranks.columns)), dtype=bool)
    found[ranks.row_queries, ranks.relevant_columns] = True
    return found
