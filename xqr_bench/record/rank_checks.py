"""Whether counts can be ranks: each of them alone, and the relevants of a query against one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import RecordError
from xqr_bench.core.jit import compiled
from xqr_bench.core.types import STRICT, Hits, IntArray, Ranks
from xqr_bench.record.rank_files import ROWS_AT_ONCE


def check_possible(ranks: Ranks) -> None:
    """Check that the counts can be ranks: each of them alone, and the relevants of a query against each other.

    Raises:
        RecordError: a count is negative, larger than its pool or beyond the depth, a relevant does not tie with itself,
            or two contradict each other (`contradictions`); names the first query and relevant.
    """
    for part in ranks.parts(ROWS_AT_ONCE):  # nothing is of two queries
        _check_possible(part)


def _check_possible(ranks: Ranks) -> None:
    sizes, each = ranks.column_sizes, (np.arange(ranks.n_relevants), ranks.relevant_columns)
    pools, itself = (sizes, ranks.eq[each]) if ranks.by_language else (sizes.sum(), ranks.eq[:, 0])
    ranked, above = (ranks.gt >= 0).all(axis=1), ranks.gt.astype(np.int64) + ranks.eq
    unranked = (ranks.gt == -1).all(axis=1) & (ranks.eq == 0).all(axis=1) & (ranks.depth is not None)
    deepest = np.iinfo(np.int64).max if ranks.depth is None else ranks.depth
    problems = {
        "a count is negative": (ranks.eq < 0).any(axis=1) | ~(ranked | unranked),
        "counts exceed the pool": ranked & (above > pools).any(axis=1),
        "counts exceed the depth the ranking is cut at": ranked & (above > deepest).any(axis=1),
        "a relevant does not tie with itself": ranked & (itself < 1),
        "a gain is not positive": ~((ranks.gains > 0) & np.isfinite(ranks.gains)),
    }
    if ranks.own_gt is not None and ranks.own_eq is not None:
        listed, above = ranks.own_gt >= 0, ranks.own_gt.astype(np.int64) + ranks.own_eq
        unlisted = (ranks.own_gt == -1) & (ranks.own_eq == 0) & (ranks.depth is not None)
        problems |= {
            "a count is negative in the own language": ~(listed | unlisted),
            "counts within the own language exceed its pool": listed & (above > sizes[ranks.relevant_columns]),
            "counts within the own language exceed the depth": listed & (above > deepest),
            "a relevant does not tie with itself within its own language": listed & (ranks.own_eq < 1),
        }
        if ranks.own_parts:
            problems |= more_than_the_pool(ranks)
        if ranks.query_gt is not None and ranks.query_eq is not None:
            problems |= _of_query_language(ranks, ranks.query_gt, ranks.query_eq)
    counted = ranks.top if ranks.own_top is None else ranks.own_top
    if counted is not None:
        top, most = counted[ranks.row_queries], sizes if ranks.own_top is None else _own_and_other_sizes(ranks)
        first = ranked & (ranks.gt.sum(axis=1) == 0)
        problems["more candidates stand first than there are"] = (top < 0).any(axis=1) | (top > most).any(axis=1)
        if not ranks.by_language:
            top = top.sum(axis=1, keepdims=True)
        problems |= {
            "nothing stands first": ranked & (top.sum(axis=1) < 1),
            "a relevant that stands first ties with others than those that do": first & (ranks.eq != top).any(axis=1),
            "a relevant has what stands first below it": ranked & ~first & (ranks.gt < top).any(axis=1),
        }
        if ranks.own_parts and ranks.own_gt is not None and ranks.own_eq is not None:
            told = ranked
            if ranks.own_top is None:
                of_own = counted[ranks.row_queries, ranks.relevant_columns]
            else:  # known of the query's language alone
                of_own, told = ranks.own_top[ranks.row_queries, 0], ranked & _in_own_language(ranks)
            other = np.where(first, ranks.own_eq != of_own, ranks.own_gt < of_own)
            problems["other candidates of the own language stand first"] = told & other
    if ranks.hits is not None:
        problems |= _impossible_hits(ranks, ranks.hits)
    refuse_impossible(ranks, problems)
    own = ranks.relevant_columns if ranks.by_language else None
    refuse_impossible(ranks, contradictions(ranks.row_queries, ranks.gt, ranks.eq, own))
    if ranks.own_gt is not None:
        for found in of_own_language(ranks, parts=ranks.own_parts):
            refuse_impossible(ranks, found)


def _impossible_hits(ranks: Ranks, hits: Hits) -> dict[str, NDArray[np.bool_]]:
    """Which relevants contradict the best candidates of their query: problem -> bool `[relevants]`."""
    there = hits.columns >= 0
    n, more = there.sum(axis=1), hits.beyond.sum(axis=1, dtype=np.int64)
    sizes, reached = ranks.column_sizes, np.minimum(ranks.column_sizes.sum(), hits.columns.shape[1])
    inside = np.stack([(hits.columns == column).sum(axis=1) for column in range(len(sizes))], axis=1)
    of_queries = {
        "there are fewer best candidates than could be": (n < reached) & (ranks.depth is None),
        "there are more best candidates than there are": (hits.beyond < 0).any(axis=1)
        | (inside + hits.beyond > sizes).any(axis=1)
        | ((more > 0) & (n < hits.columns.shape[1])),
        "the best candidates tie with nothing above them": hits.tied[:, 0],
    }
    if ranks.top is not None:
        first = np.cumsum(~hits.tied & there, axis=1) == 1  # the hits that tie with the first
        whole = (first | ~there).all(axis=1)  # and with what is beyond them
        tops = np.stack([((hits.columns == column) & first).sum(axis=1) for column in range(len(sizes))], axis=1)
        stated = tops + np.where(whole[:, None], hits.beyond, 0)
        of_queries["the best candidates do not begin with what stands first"] = (stated != ranks.top).any(axis=1)
    rows = ranks.row_queries
    problems = {name: wrong[rows] for name, wrong in of_queries.items()}
    # what stands above and beside a relevant among the hits, in all languages and in its own
    gt, eq, own_gt, own_eq = (values.astype(np.int64) for values in ranks.counts)
    k, of_own = hits.columns.shape[1], hits.columns[rows] == ranks.relevant_columns[:, None]
    places, tied = np.arange(k), hits.tied[rows]
    ranked, high = gt >= 0, (gt >= 0) & (gt < n[rows])
    last = gt + eq >= np.minimum(n[rows], k)  # its block holds the last of the hits
    above, block = places < gt[:, None], (places >= gt[:, None]) & (places < (gt + eq)[:, None]) & there[rows]
    begins = ~np.take_along_axis(tied, np.clip(gt, 0, k - 1)[:, None], axis=1)[:, 0]
    held = (tied | (places == gt[:, None]) | ~block).all(axis=1)
    ends = (gt + eq >= k) | ~np.take_along_axis(tied, np.clip(gt + eq, 0, k - 1)[:, None], axis=1)[:, 0]
    size = block.sum(axis=1) + np.where(last, more[rows], 0)
    deep = ranked & ~high
    problems |= {
        "a relevant ties with other best candidates than it says": high & ~(begins & held & ends & (size == eq)),
        "a relevant stands above the best candidates that it is none of": deep & (gt < (n + more)[rows]),
    }
    if not ranks.own_lists:
        own_beyond = hits.beyond[rows, ranks.relevant_columns]
        own_above, own_beside = (above & of_own).sum(axis=1), (block & of_own).sum(axis=1)
        own_beside = own_beside + np.where(last, own_beyond, 0)
        problems["the best candidates of its own language are others than a relevant says"] = (
            high & ((own_gt != own_above) | (own_eq != own_beside))
        ) | (deep & (own_gt < of_own.sum(axis=1) + own_beyond))
    return problems


def more_than_the_pool(ranks: Ranks) -> dict[str, NDArray[np.bool_]]:
    """Which relevants have more above or beside them in their own language than in the pool that it is a part of."""
    gt, eq, own_gt, own_eq = ranks.counts
    more = (own_gt > gt) | (own_eq > eq) | ((gt < 0) != (own_gt < 0))
    return {"the own language has more than the pool": more}


def _in_own_language(ranks: Ranks) -> NDArray[np.bool_]:
    """Which relevants are in the language of their query."""
    return np.asarray(ranks.query_numbers[ranks.row_queries] == ranks.relevant_columns)


def _own_and_other_sizes(ranks: Ranks) -> IntArray:
    """For each relevant the candidates in the query's own language, and all others, int64 `[relevants, 2]`."""
    sizes = np.append(ranks.column_sizes, np.zeros(len(ranks.all_languages) - len(ranks.columns), dtype=np.int64))
    own = sizes[ranks.query_numbers][ranks.row_queries]
    return np.column_stack([own, sizes.sum() - own])


def _of_query_language(
    ranks: Ranks, of_gt: NDArray[np.int32], of_eq: NDArray[np.int32]
) -> dict[str, NDArray[np.bool_]]:
    """Which relevants have counts of the query's own language (above, beside) that cannot be, with the others."""
    gt, eq, own_gt, own_eq = ranks.counts
    ranked = gt >= 0
    same, (own, _) = _in_own_language(ranks), _own_and_other_sizes(ranks).T
    within = np.where(same | ranks.own_lists, 0, 1)  # two languages of one pool: no more than it has
    more = (of_gt + within * own_gt > gt) | (of_eq + within * own_eq > eq) | (of_gt + of_eq > own)
    differs = same & (not ranks.own_lists) & ((of_gt != own_gt) | (of_eq != own_eq))
    unranked = np.where(ranked, (of_gt < 0) | (of_eq < 0), (of_gt != -1) | (of_eq != 0))
    return {
        "the query's language has more than the pool": ranked & more,
        "the query's language has other counts than the relevant's, which is the same": differs,
        "a count is negative in the query's language": unranked,
    }


def of_own_language(ranks: Ranks, *, parts: bool) -> Iterator[dict[str, NDArray[np.bool_]]]:
    """What contradicts itself in the lists of single languages, each possible by itself.

    Args:
        ranks: with counts of the own language.
        parts: whether its list is a part of the pool's, so that what stands in other languages is known too.
    """
    gt, eq, own_gt, own_eq = ranks.counts
    above, beside = [own_gt], [own_eq]
    if parts:
        above, beside = [*above, gt - own_gt], [*beside, eq - own_eq]
    itself = np.zeros(len(gt), dtype=np.int64)
    lists = ranks.row_queries * len(ranks.columns) + ranks.relevant_columns
    yield contradictions(lists, np.column_stack(above), np.column_stack(beside), itself)
    if parts:
        yield {NO_SUM: no_sum(ranks)}


def no_sum(ranks: Ranks) -> NDArray[np.bool_]:
    """Which relevants of a pool have counts that no candidates of the single languages add up to.

    How many candidates of a language stand above a place of the pool is known at its own relevants. Elsewhere it is at
    least what is known further up, and at most what is known further down, or all that there are.
    """
    counts, wrong = ranks.counts, np.zeros(ranks.n_relevants, dtype=np.bool_)
    rows = np.flatnonzero(counts.gt >= 0)
    queries = ranks.row_queries[rows]
    order = rows[np.argsort(queries * (int(counts.gt.max(initial=0)) + 1) + counts.gt[rows], kind="stable")]
    gt, eq, own_gt, own_eq = (values.astype(np.int64) for values in counts.take(order))
    left = 0 if ranks.removed is None else ranks.removed
    sizes = np.broadcast_to(ranks.column_sizes - left, (ranks.n_queries, len(ranks.columns))).astype(np.int64)
    tops = np.zeros_like(sizes) if ranks.top is None else ranks.top.astype(np.int64)
    if ranks.own_top is not None:
        own = np.flatnonzero(ranks.query_numbers < len(ranks.columns))
        tops[own, ranks.query_numbers[own]] = ranks.own_top[own, 0]
    of, columns = ranks.row_queries[order], ranks.relevant_columns[order].astype(np.int64)
    wrong[order] = _add_up_wrongly(of, columns, gt, eq, own_gt, own_eq, sizes, tops)
    return wrong


@compiled()
def _add_up_wrongly(
    queries: IntArray,
    columns: IntArray,
    gt: IntArray,
    eq: IntArray,
    own_gt: IntArray,
    own_eq: IntArray,
    sizes: IntArray,
    tops: IntArray,
) -> NDArray[np.bool_]:
    """See `no_sum`: of relevants ordered by query and `gt`.

    A relevant has two places: above all that tie with it, and below them.

    Args:
        queries, columns, gt, eq, own_gt, own_eq: of the relevants.
        sizes: of each language's pool, `[queries, languages]`.
        tops: how many candidates of it stand first, `[queries, languages]`.
    """
    wrong = np.zeros(len(gt), dtype=np.bool_)
    known, counted = np.empty(sizes.shape[1], dtype=np.int64), np.empty(sizes.shape[1], dtype=np.int64)
    total, topped, over = (
        0,
        False,
        -1,
    )  # of `known`; whether it holds what stands first; a language known beyond its pool
    first = 0
    while first < len(gt):  # downwards: at least so many
        if first == 0 or queries[first] != queries[first - 1]:
            known[:] = 0
            total, topped = 0, False
        last = first + 1
        while last < len(gt) and queries[last] == queries[first] and gt[last] == gt[first]:
            last += 1
        for below in range(2):
            for one in range(first, last):
                stated, own = gt[one] + below * eq[one], own_gt[one] + below * own_eq[one]
                if stated > 0 and not topped:
                    topped, total = True, 0
                    for language in range(len(known)):
                        known[language] = max(known[language], tops[queries[one], language])
                        total += known[language]
                more = max(own - known[columns[one]], 0)
                known[columns[one]] += more
                total += more
                wrong[one] |= total > stated
        counted[:] = 0  # those that tie, each language once
        beside = 0
        for one in range(first, last):
            if counted[columns[one]] == 0:
                counted[columns[one]] = own_eq[one]
                beside += own_eq[one]
        for one in range(first, last):
            wrong[one] |= beside > eq[one]
        first = last
    last, anew = len(gt), True
    while last > 0:  # upwards: at most so many
        if last == len(gt) or queries[last] != queries[last - 1]:
            total, over, anew = 0, -1, True
            for language in range(len(known)):
                known[language] = sizes[queries[last - 1], language]
                total += known[language]
        first = last - 1
        while first > 0 and queries[first - 1] == queries[last - 1] and gt[first - 1] == gt[last - 1]:
            first -= 1
        for below in range(1, -1, -1):
            for one in range(last - 1, first - 1, -1):
                language, own = columns[one], own_gt[one] + below * own_eq[one]
                if over not in (-1, language):
                    less = known[over] - sizes[queries[one], over]
                    known[over] -= less
                    total -= less
                    over = -1
                if anew or own < known[language]:
                    total += own - known[language]
                    known[language] = own
                    over = language if own > sizes[queries[one], language] else -1
                    anew = False
                wrong[one] |= total < gt[one] + below * eq[one]
        last = first
    return wrong


NO_SUM = "the counts of the languages do not add up to those of the pool"


def contradictions(
    lists: IntArray, gt: NDArray[Any], eq: NDArray[Any], own: IntArray | None = None
) -> dict[str, NDArray[np.bool_]]:
    """Which relevants contradict others of the same list: problem -> bool `[relevants]`.

    Two relevants of a list either have the same score, and then the same candidates above and beside them, or one
    stands above the other, and then everything above and beside the upper one stands above the lower one, in each
    pool. Relevants that tie are counted among the tied candidates of their own pool. Those without a rank (a `gt`
    below 0) contradict nothing.

    Args:
        lists: the list of each relevant, int64 `[relevants]`.
        gt, eq: its counts, `[relevants, pools]`.
        own: its own pool, int64 `[relevants]`; None: there is one.
    """
    gt, eq = (np.ascontiguousarray(values, dtype=np.int64) for values in (gt, eq))
    above = _all_above(gt)
    order = np.flatnonzero(above >= 0)
    # one number a row: several times as fast as two, and nothing is lost, for counts fit in 32 bits
    order = order[np.argsort(lists[order] * (int(above.max(initial=0)) + 1) + above[order], kind="stable")]
    own = np.zeros(len(lists), dtype=np.int64) if own is None else own.astype(np.int64)
    crossing, crowded = _contradict(order, lists.astype(np.int64), gt, eq, own)
    return {"two relevants contradict each other": crossing, "more relevants tie than candidates do": crowded}


@compiled()
def _all_above(gt: IntArray) -> IntArray:
    """How many candidates of all pools stand above each relevant; -1 where it has no rank."""
    above = np.zeros(len(gt), dtype=np.int64)
    for row in range(len(gt)):
        for pool in range(gt.shape[1]):
            above[row] = -1 if gt[row, pool] < 0 or above[row] < 0 else above[row] + gt[row, pool]
    return above


@compiled()
def _contradict(
    order: IntArray, lists: IntArray, gt: IntArray, eq: IntArray, own: IntArray
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """See `contradictions`: `order` has the relevants with a rank, list by list, from the upper ones on."""
    crossing, crowded = np.zeros(len(lists), dtype=np.bool_), np.zeros(len(lists), dtype=np.bool_)
    tied = np.empty(gt.shape[1], dtype=np.int64)
    first = 0
    while first < len(order):  # those that tie
        upper = order[first]
        if first > 0 and lists[order[first - 1]] == lists[upper]:
            before = order[first - 1]
            for pool in range(gt.shape[1]):
                crossing[upper] |= gt[upper, pool] < gt[before, pool] + eq[before, pool]
        tied[:] = 0
        last, alike = first, True
        while alike:
            tied[own[order[last]]] += 1
            last += 1
            alike = last < len(order) and lists[order[last]] == lists[upper]
            for pool in range(gt.shape[1] if alike else 0):
                alike &= gt[order[last], pool] == gt[upper, pool] and eq[order[last], pool] == eq[upper, pool]
        for place in range(first, last):
            pool = own[order[place]]
            crowded[order[place]] = tied[pool] > eq[order[place], pool]
        first = last
    return crossing, crowded


def refuse_impossible(ranks: Ranks, problems: Mapping[str, Any], relevance: str = STRICT) -> None:
    """Raise RecordError where a relevant has one of the problems (problem -> which relevants have it, bool)."""
    for problem, wrong in problems.items():
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            of = ranks.task if relevance == STRICT else f"{relevance} relevance"
            # the other relevants of a paragraph have no ids in its file
            relevant = f", relevant {ranks.relevant_ids[row]}" if ranks.relevant_ids else ""
            raise RecordError(
                f"these ranks of {of} are not possible: {problem}",
                found=f"query {ranks.query_ids[int(ranks.row_queries[row])]}{relevant}",
                remedy="evaluate again",
            )
