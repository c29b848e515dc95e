"""Whether a question finds the same candidates in the same order, in whatever language it is asked."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from scipy import special

from xqr_bench.core.types import FloatArray, Hits, IntArray, Ranks
from xqr_bench.measure.metrics import register_of_pairs


def ranking_agreement(ranks: Ranks, queries: IntArray, k: int) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Spearman's correlation of the first k candidates of two queries, for all queries of one question.

    Args:
        ranks: with hits whose places are known.
        queries: those that count, int64.
        k: how many candidates of each list.

    Returns:
        the first query of each ordered pair of languages, the second one, the correlation and that of random rankings.
    """
    if ranks.hits is None:
        raise TypeError("these ranks do not tell their best candidates")
    _, question = np.unique(np.asarray(ranks.question_ids), return_inverse=True)
    of_language = np.full((len(ranks.all_languages), int(question.max(initial=-1)) + 1), -1, dtype=np.int64)
    of_language[ranks.query_numbers[queries], question[queries]] = queries
    none = np.zeros(0, dtype=np.int64)
    found = [(none, none, np.zeros(0))]
    for a, b in permutations(of_language, 2):
        both = (a >= 0) & (b >= 0)
        found.append((a[both], b[both], correlation(ranks.hits, a[both], b[both], k)))
    first, second, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, second, values, np.full(len(values), chance_correlation(int(ranks.column_sizes.sum()), k))


def _middle_ranks(hits: Hits, queries: IntArray, k: int) -> FloatArray:
    """Ranks of the first k candidates, tied ones at the middle of theirs, float64 `[queries, k]`; 0 where none is."""
    there = hits.columns[queries, :k] >= 0
    n = len(queries)
    block = np.arange(n)[:, None] * k + np.cumsum(~hits.tied[queries, :k] & there, axis=1) - 1
    place = np.broadcast_to(np.arange(1.0, k + 1), there.shape)
    total, size = (np.bincount(block[there], weights, minlength=n * k) for weights in (place[there], None))
    ranks: FloatArray = np.where(there, (total / np.maximum(size, 1))[block], 0.0)
    return ranks


def correlation(hits: Hits, first: IntArray, second: IntArray, k: int) -> FloatArray:
    """Spearman's correlation over the union of both lists; a candidate that a list lacks ties below all it has."""
    if hits.places is None:
        raise TypeError("which candidates these are is not known")
    places = [hits.places[queries, :k] for queries in (first, second)]
    ranks = [_middle_ranks(hits, queries, k) for queries in (first, second)]
    length = [(of_list >= 0).sum(axis=1) for of_list in places]
    same = (places[0][:, :, None] == places[1][:, None, :]) & (places[0] >= 0)[:, :, None]
    union = length[0] + length[1] - same.sum(axis=(1, 2))
    products = np.einsum("qi,qij,qj->q", ranks[0], same, ranks[1])
    mean, squares = (union + 1) / 2, []
    for of_list, n, found in zip(ranks, length, (same.any(axis=2), same.any(axis=1)), strict=True):
        other = length[1] if of_list is ranks[0] else length[0]
        below_other = other + (union - other + 1) / 2  # where the other list has those that only this one has
        products = products + below_other * (of_list * ~found).sum(axis=1)
        lacking = union - n
        squares.append((of_list**2).sum(axis=1) + lacking * (n + (lacking + 1) / 2) ** 2 - union * mean**2)
    scale = np.sqrt(np.maximum(squares[0] * squares[1], 0.0))
    value = (products - union * mean**2) / np.where(scale > 1e-9, scale, np.nan)
    return np.where(union == 1, 1.0, value)  # one candidate, the same in both


def chance_correlation(size: int, k: int) -> float:
    """Mean correlation of two random rankings of a pool, over how many of the first k they share."""
    k = min(k, size)
    shared = np.arange(max(0, 2 * k - size), k + 1)
    union = 2.0 * k - shared
    only, mean = k - shared, (union + 1) / 2
    below, middle = k + (only + 1) / 2, (k + 1) / 2
    products = shared * middle**2 + 2 * only * middle * below - union * mean**2
    square = (union**3 - union) / 12 - (only**3 - only) / 12.0
    value = np.where(square > 0, products / np.where(square > 0, square, 1.0), 1.0)
    ways = special.comb(k, shared) * special.comb(size - k, k - shared) / special.comb(size, k)
    return float((ways * value).sum())


register_of_pairs(
    "ranking_agreement",
    ranking_agreement,
    cutoff=True,
    summary="agreement of the first k candidates of a question asked in two languages: 1 the same in the same order",
    formula="Spearman's ρ over the union of both first k, what a list lacks tied below it; mean over questions, then "
    "over pairs of query languages",
    paper_name="mrc",
    source="MRC@k of MIMO (Jang et al. 2026, arXiv 2605.31171)",
    bounds=(-1.0, 1.0),
    undefined_when="all of a query's first k tie",
)
