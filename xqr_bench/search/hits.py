"""The best candidates of a block of scores, in one exact order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xqr_bench.search.product import TILE_ROWS, Product, Vectors, unit_vectors
from xqr_bench.types import IntArray

_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class ScoreBlock:
    """Scores of some consecutive queries against all candidates.

    Attributes:
        start: the first query.
        pooled: scores that rank the whole pool, float32 `[rows, candidates]`.
        own: scores that rank each language by itself, float32 `[rows, candidates]`; the same array where a
            language's ranking is cut out of the pooled one.
    """

    start: int
    pooled: Vectors
    own: Vectors


def vector_scores(queries: Vectors, candidates: Vectors, *, similarity: str = "cosine") -> Iterator[ScoreBlock]:
    """The scores that `exact_ranks` counts, bit for bit; one block (1,024 rows) is held at a time.

    Args:
        queries: float32 `[queries, d]`.
        candidates: float32 `[candidates, d]`.
        similarity: "cosine" or "dot".
    """
    if similarity == "cosine":
        queries, candidates = unit_vectors(queries), unit_vectors(candidates)
    product = Product(queries, candidates, memory=4 * TILE_ROWS * max(1, len(candidates)))
    for start, _ in product.blocks():
        for panel in product.panels:  # one: it is as wide as the pool
            scores = product.scores(panel)
            yield ScoreBlock(start, scores, scores)


def top_hits(scores: Vectors, depth: int, places: IntArray | None = None) -> tuple[IntArray, Vectors]:
    """The `depth` best columns of each row, best first.

    Args:
        scores: float32 `[rows, width]`, finite.
        depth: at most so many; all columns where there are fewer.
        places: the order among equal scores, smaller first, int64 `[width]`, all different, below 2^32;
            default: the order of the columns.

    Returns:
        columns, int64 `[rows, min(depth, width)]`, and their scores, float32 of the same shape.
    """
    width = scores.shape[1]
    kept = min(depth, width)
    order = np.arange(width) if places is None else np.argsort(places)
    place = np.empty(width, dtype=np.uint64)
    place[order] = np.arange(width, dtype=np.uint64)
    # one key per candidate, none equal to another: the score's bits made monotone, then the place
    keys = _monotone(scores).astype(np.uint64) << np.uint64(32)
    keys |= _LOW - place
    if kept < width:
        keys = np.partition(keys, width - kept, axis=1)[:, width - kept :]
    keys = np.sort(keys, axis=1)[:, ::-1]
    columns = order[(_LOW - (keys & _LOW)).astype(np.int64)]
    return columns, np.take_along_axis(scores, columns, axis=1)


def _monotone(scores: Vectors) -> NDArray[np.uint32]:
    """Unsigned integers in the order of the scores; -0.0 and 0.0 are the same."""
    bits = np.ascontiguousarray(scores + np.float32(0.0)).view(np.uint32)
    # a negative number's bits are inverted, a positive one's first bit is set
    flipped = (bits.view(np.int32) >> np.int32(31)).view(np.uint32) | np.uint32(0x80000000)
    result: NDArray[np.uint32] = bits ^ flipped
    return result
