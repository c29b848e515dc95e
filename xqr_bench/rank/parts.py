"""Tasks whose languages fall into groups that no question joins: each group is ranked by itself.

Tatoeba has a pool of English sentences for each of its languages: a product of all questions with all candidates would
be a hundred times as much work as the scores that are asked for, and one pool of all would be another task. Only where
no setting asks for that pool, and no rule of relevance beside the strict one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from xqr_bench.core.collection import chosen_of
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import MULTILINGUAL, Counts, IntArray, Ranks, TaskData
from xqr_bench.rank.rules import ranks_of

Rank = Callable[[TaskData, IntArray, IntArray, Observer], Ranks]
"""Ranks a part of a task: the part, the indices of its queries and candidates in the whole, and who hears of it."""


def joined_languages(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The group of each language, by a number: a question's language and that of a relevant of it are in one group."""
    number: dict[str, int] = {}
    for asked, answered in dict.fromkeys(pairs):
        first = number.setdefault(asked, len(number))
        second = number.setdefault(answered, first)
        if first != second:
            number = {code: first if group == second else group for code, group in number.items()}
    return number


class Pool(NamedTuple):
    """A task, or a part of it, that is ranked by itself.

    Attributes:
        data: the part.
        queries, candidates: which of the whole are in it, ascending int64.
    """

    data: TaskData
    queries: IntArray
    candidates: IntArray


def pools_of(data: TaskData, settings: Sequence[str]) -> list[Pool]:
    """The parts of a task that are ranked by themselves: the whole alone, where the settings need it.

    Args:
        data: the task.
        settings: those that are scored.
    """
    columns, row_queries = data.candidate_columns, np.repeat(np.arange(len(data.queries)), np.diff(data.offsets))
    asked = [query.language for query in data.queries]
    answered = [data.languages[column] for column in columns[data.positions].tolist()]
    group_of = joined_languages(zip([asked[query] for query in row_queries.tolist()], answered, strict=True))
    groups = tuple(dict.fromkeys(group_of.values()))
    if len(groups) < 2 or MULTILINGUAL in settings or data.relevance:
        return [Pool(data, np.arange(len(data.queries)), np.arange(len(data.candidates)))]
    # candidates of a language that no question has an answer in belong to no part
    of_queries = np.array([group_of.get(code, groups[0]) for code in asked], dtype=np.int64)
    of_candidates = np.array([group_of.get(code, -1) for code in data.languages], dtype=np.int64)[columns]
    both = [(np.flatnonzero(of_queries == group), np.flatnonzero(of_candidates == group)) for group in groups]
    return [Pool(_part(data, queries, candidates), queries, candidates) for queries, candidates in both]


def rank_by_parts(data: TaskData, settings: Sequence[str], rank: Rank, observe: Observer | None = None) -> Ranks:
    """Rank a task, each group of its languages by itself where that is possible.

    Args:
        data: the task.
        settings: those that are scored.
        rank: ranks a part, or the whole; the parts come in the order of `pools_of`.
        observe: hears how many queries are done.

    Returns:
        ranks of the whole; `separate` where they are of several parts.
    """
    observe = observe or Observer()
    pools = pools_of(data, settings)
    if pools[0].data is data:
        return rank(*pools[0], observe)
    counts, own_lists = Counts.zeros(len(data.positions)), False
    offsets = data.offsets
    with observe.phase("ranking", len(data.queries)):
        for pool in pools:
            ranks = rank(*pool, Observer())
            rows = np.concatenate([np.arange(offsets[query], offsets[query + 1]) for query in pool.queries.tolist()])
            for whole, part in zip(counts, ranks.counts, strict=True):
                whole[rows] = part
            own_lists |= ranks.own_lists
            observe.advance(len(pool.queries))
    made = ranks_of(data, counts.gt[:, None], counts.eq[:, None])
    return replace(made, own_gt=counts.own_gt, own_eq=counts.own_eq, own_parts=not own_lists, separate=True)


def _part(data: TaskData, queries: IntArray, candidates: IntArray) -> TaskData:
    """The task of these queries and candidates, which hold all their relevants."""
    place = {index: new for new, index in enumerate(candidates.tolist())}
    chosen = queries.tolist()
    return replace(
        data,
        languages=tuple(data.languages[column] for column in np.unique(data.candidate_columns[candidates]).tolist()),
        queries=tuple(data.queries[query] for query in chosen),
        candidates=chosen_of(data.candidates, candidates),
        relevants=tuple(tuple(place[index] for index in data.relevants[query]) for query in chosen),
        clusters=tuple(data.clusters[query] for query in chosen),
        echoes=None,
        gains=None if data.gains is None else tuple(data.gains[query] for query in chosen),
    )
