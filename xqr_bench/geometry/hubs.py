"""Hubness: candidates that stand near the top for very many queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xqr_bench.search.hits import ScoreBlock
from xqr_bench.types import FloatArray, IntArray


@dataclass(frozen=True)
class Occurrences:
    """How often candidates are among the best k of a query, in the pool of all languages.

    Attributes:
        k: as asked for, at most the size of the pool.
        of_candidate: N_k of each candidate, float64 `[candidates]`; where candidates tie at place k, the places left
            are shared out evenly among them, so that each query gives k in all.
        by_language: the sum of it over queries of one language (row) and candidates of one (column), float64
            `[query groups, candidate groups]`.
    """

    k: int
    of_candidate: FloatArray
    by_language: FloatArray


def count_occurrences(
    blocks: Iterator[ScoreBlock], query_groups: IntArray, candidate_groups: IntArray, k: int = 10
) -> Occurrences:
    """Count N_k.

    Args:
        blocks: scores of all queries against all candidates.
        query_groups, candidate_groups: the number of the language of each, int64 `[queries]`, `[candidates]`.
        k: how many places count.
    """
    width = len(candidate_groups)
    k = min(k, width)
    n_groups = (int(query_groups.max()) + 1, int(candidate_groups.max()) + 1)
    of_candidate = np.zeros(width)
    by_language = np.zeros(n_groups[0] * n_groups[1])
    for block in blocks:
        scores = block.pooled
        least = np.partition(scores, width - k, axis=1)[:, width - k][:, None]
        rows, columns = np.nonzero(scores >= least)
        tied = scores[rows, columns] == least[rows, 0]
        n = len(scores)
        above = np.bincount(rows[~tied], minlength=n)
        weights = np.where(tied, ((k - above) / np.bincount(rows[tied], minlength=n))[rows], 1.0)
        of_candidate += np.bincount(columns, weights=weights, minlength=width)
        cell = query_groups[block.start + rows] * n_groups[1] + candidate_groups[columns]
        by_language += np.bincount(cell, weights=weights, minlength=len(by_language))
    return Occurrences(k, of_candidate, by_language.reshape(n_groups))


def skewness(values: FloatArray) -> float | None:
    """Third standardised moment, the population one; None where all values are the same.

    Of N_k: Radovanovic, Nanopoulos & Ivanovic 2010 ("Hubs in Space"): S = E[(N_k - mean)^3] / sd^3. 0 for a symmetric
    spread; the more hubs, the greater.
    """
    deviations = values - values.mean()
    variance = float(np.square(deviations).mean())
    if variance == 0.0:
        return None
    return float((deviations**3).mean() / variance**1.5)
