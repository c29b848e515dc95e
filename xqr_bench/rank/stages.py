"""Two stages of a search: which candidates the second one looks at, and one row of scores that both stages order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import RanksError
from xqr_bench.core.types import IntArray
from xqr_bench.rank.product import Vectors


def shortlist(
    scores: Vectors, depth: int, edges: IntArray | None = None, *, most: int | None = None
) -> NDArray[np.bool_]:
    """The `depth` best candidates of each list, with all that tie with the last of them; bool like the scores.

    Which of tied candidates are looked at would else depend on the order of the candidates in the files.

    Args:
        scores: float32 `[rows, candidates]`; -inf: the candidate was not retrieved, and is never chosen.
        depth: from 1 on; a shorter list is taken whole.
        edges: where each language begins among the candidates, int64 `[languages + 1]`: a list of each language;
            default: one list, the pool.
        most: where those that tie would make a list longer than this, all of them are left out instead, such as the
            many without a word of the query, which score 0; default: they are never left out.
    """
    chosen = np.empty(scores.shape, dtype=np.bool_)
    ends = [0, scores.shape[1]] if edges is None else edges.tolist()
    for start, stop in pairwise(ends):
        some = scores[:, start:stop]
        chosen[:, start:stop] = some > -np.inf
        if depth < (width := stop - start):
            last = np.partition(some, width - depth, axis=1)[:, width - depth, None]
            chosen[:, start:stop] &= some >= last
            if most is not None:
                chosen[:, start:stop] &= (some > last) | (chosen[:, start:stop].sum(axis=1) <= most)[:, None]
    return chosen


def reranked(first: Vectors, second: Vectors, chosen: NDArray[np.bool_]) -> Vectors:
    """One row of scores: the chosen candidates in the order of the second stage, above the rest in that of the first.

    The rest keep their scores bit for bit. The chosen get the floats that follow 1, or the best of the rest where that
    is more, one for each different score of the second stage: order and ties of either stage are exact, and nothing but
    order and ties is left of the second one's scores. Where several lists are cut out of a row (one of each language),
    the same holds in each of them.

    Args:
        first: float32 `[rows, candidates]`; -inf: the candidate was not retrieved.
        second: the same shape; what is not chosen is not read.
        chosen: bool of the same shape.

    Returns:
        float32 `[rows, candidates]`.

    Raises:
        RanksError: a score of the second stage is not a number, or one of the first is too large to have others above.
    """
    scores = np.array(first, dtype=np.float32)
    rows, columns = np.nonzero(chosen)
    if not len(rows):
        return scores
    values = np.asarray(second, dtype=np.float32)[rows, columns] + np.float32(0.0)  # -0.0 and 0.0 are the same
    if np.isnan(values).any():
        raise RanksError("scores of the second stage are not numbers", found=f"{np.isnan(values).sum():,} are NaN")
    order = np.lexsort((values, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    of_row = rows[1:] == rows[:-1]
    steps = np.cumsum(np.append(True, ~of_row | (values[1:] != values[:-1])))  # one more at each other score
    begins = np.append(True, ~of_row)
    steps -= steps[begins][np.cumsum(begins) - 1] - 1  # from 1 in each row
    base = np.max(scores, axis=1, initial=np.float32(1), where=~chosen)
    # the bits of positive floats are in their order
    scores[rows, columns] = (base[rows].view(np.int32) + steps.astype(np.int32)).view(np.float32)
    if not np.isfinite(scores[rows, columns]).all():
        raise RanksError("a score of the first stage is too large to put others above it", found=f"{base.max():.3g}")
    return scores
