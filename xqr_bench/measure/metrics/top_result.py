"""The top result of each multilingual query: right content or not, in the query's own language or not."""

from __future__ import annotations

import numpy as np

from xqr_bench.core.types import MULTILINGUAL, FloatArray, IntArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import RankedLists, Tops

SOURCE = "after the four-way decomposition of MLAIRE (Jang et al. 2026, arXiv 2605.07249)"


def _tops(lists: RankedLists) -> Tops:
    if lists.tops is None:
        raise TypeError("these lists do not tell what stands first")
    return lists.tops


def _right(lists: RankedLists) -> tuple[IntArray, IntArray]:
    """Relevants with the highest score of the list, in the query's own language and in others, int64 `[lists]` each."""
    first = (lists.above == 0).astype(np.float64)
    own = lists.sum_rows(first * lists.in_own_language)
    return own.astype(np.int64), (lists.sum_rows(first) - own).astype(np.int64)


def _shares(lists: RankedLists, *, right: bool, own: bool) -> FloatArray:
    tops = _tops(lists)
    of_language = tops.own if own else tops.size - tops.own
    relevant = _right(lists)[0 if own else 1]
    counted = relevant if right else of_language - relevant
    return np.where(tops.size > 0, counted / np.maximum(tops.size, 1), np.nan)


def _by_chance(lists: RankedLists, *, right: bool, own: bool) -> FloatArray:
    """The share of such candidates in the pool: what a random ranking puts on top."""
    tops = _tops(lists)
    in_own = lists.sum_rows(lists.in_own_language.astype(np.float64))
    of_language = tops.own_pool if own else lists.pool_sizes - tops.own_pool
    relevant = in_own if own else lists.n_relevants - in_own
    result: FloatArray = (relevant if right else of_language - relevant) / lists.pool_sizes
    return result


def _register(name: str, summary: str, formula: str, *, right: bool, own: bool) -> None:
    @metric(
        name,
        kind="bias",
        settings=(MULTILINGUAL,),
        needs_tops=True,
        summary=summary,
        formula=formula,
        undefined_when="nothing was retrieved for a query",
        source=SOURCE,
        random_reference=lambda lists: _by_chance(lists, right=right, own=own),
    )
    def kernel(lists: RankedLists) -> FloatArray:
        return _shares(lists, right=right, own=own)


_TIES = "; where several candidates tie at the top, the share of them that are"
_register(
    "top_right_own",
    f"share of queries whose top result is a relevant in the query's own language{_TIES}",
    "(own-language relevants at the top) / (candidates at the top)",
    right=True,
    own=True,
)
_register(
    "top_right_other",
    f"share of queries whose top result is a relevant in another language{_TIES}",
    "(other relevants at the top) / (candidates at the top)",
    right=True,
    own=False,
)
_register(
    "top_wrong_own",
    f"share of queries whose top result is in the query's own language but no relevant{_TIES}",
    "(other candidates of the own language at the top) / (candidates at the top)",
    right=False,
    own=True,
)
_register(
    "top_wrong_other",
    f"share of queries whose top result is in another language and no relevant{_TIES}",
    "(other candidates of other languages at the top) / (candidates at the top)",
    right=False,
    own=False,
)
