"""Whether ranks can come from scores at all, beyond what one relevant shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.errors import RecordError
from xqr_bench.types import IntArray, Ranks

Rows = NDArray[np.bool_]


def check_consistent(ranks: Ranks) -> None:
    """Check the relevants of each query against each other.

    Two relevants of a query either have the same score, and then the same candidates above and beside them, or one
    stands above the other, and then everything above and beside the upper one stands above the lower one, in each
    language. Relevants that tie are counted among the tied candidates of their languages.

    Raises:
        RecordError: the counts contradict each other; names the first query and relevant.
    """
    ranked = np.flatnonzero((ranks.gt >= 0).all(axis=1))
    gt, eq = ranks.gt[ranked].astype(np.int64), ranks.eq[ranked].astype(np.int64)
    _check(ranks, ranked, ranks.row_queries[ranked], gt, eq, ranks.relevant_columns[ranked])
    if ranks.own_gt is not None and ranks.own_eq is not None:
        # lists of their own: one for each query and language
        _check_bounds(ranks, ranks.own_gt, ranks.own_eq)
        listed = np.flatnonzero(ranks.own_gt >= 0)
        lists = ranks.row_queries[listed] * len(ranks.columns) + ranks.relevant_columns[listed]
        own_gt, own_eq = (counts[listed, None].astype(np.int64) for counts in (ranks.own_gt, ranks.own_eq))
        _check(ranks, listed, lists, own_gt, own_eq, np.zeros(len(listed), dtype=np.int64))


def _check_bounds(ranks: Ranks, gt: NDArray[np.int32], eq: NDArray[np.int32]) -> None:
    listed = gt >= 0
    above = gt.astype(np.int64) + eq
    problems = {
        "a count is negative": (eq < 0) | (~listed & (ranks.depth is None)),
        "counts exceed the pool": listed & (above > ranks.column_sizes[ranks.relevant_columns]),
        "a relevant does not tie with itself": listed & (eq < 1),
    }
    for problem, rows in problems.items():
        _refuse(ranks, rows, np.arange(len(rows)), problem)


def _check(
    ranks: Ranks, rows: IntArray, lists: IntArray, gt: NDArray[np.int64], eq: NDArray[np.int64], columns: IntArray
) -> None:
    """Compare each relevant with the one above it in the same list.

    Args:
        ranks: for messages.
        rows: row of each relevant in the ranks.
        lists: the list it stands in.
        gt, eq: its counts, `[relevants, pools]`.
        columns: its own pool.
    """
    order = np.lexsort((gt.sum(axis=1), lists))
    rows, lists, gt, eq, columns = rows[order], lists[order], gt[order], eq[order], columns[order]
    beside = lists[1:] == lists[:-1]
    same = (gt[1:] == gt[:-1]).all(axis=1) & (eq[1:] == eq[:-1]).all(axis=1)
    below = (gt[1:] >= gt[:-1] + eq[:-1]).all(axis=1)
    _refuse(ranks, beside & ~same & ~below, rows[1:], "two relevants contradict each other")
    # tied relevants of one language, counted within their block
    block = np.cumsum(np.append(True, ~(beside & same))) - 1 if len(rows) else rows
    _, member, size = np.unique(
        block * (int(columns.max(initial=0)) + 1) + columns, return_inverse=True, return_counts=True
    )
    tied = eq[np.arange(len(rows)), columns]
    _refuse(ranks, size[member] > tied, rows, "more relevants tie than candidates do")


def _refuse(ranks: Ranks, wrong: Rows, rows: IntArray, problem: str) -> None:
    if wrong.any():
        row = int(rows[np.flatnonzero(wrong)[0]])
        raise RecordError(
            f"these ranks of {ranks.task} are not possible: {problem}",
            found=f"query {ranks.query_ids[int(ranks.row_queries[row])]}, relevant {ranks.relevant_ids[row]}",
            remedy="submit the ranks that the encoder gave",
        )
