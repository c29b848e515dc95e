"""Embeddings -> exact ranks: one pass over the scores, counted in the same matrix product they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xqr_bench.errors import RanksError
from xqr_bench.types import IntArray, Ranks, TaskData

Vectors = NDArray[np.float32]

# The canonical tile of the matrix product: scores are bit-equal whatever the memory budget (MEASURES.md 1).
TILE_ROWS = 1024
TILE_COLUMNS = 8192
DEFAULT_MEMORY = 256 * 2**20


def unit_vectors(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1 (in float64, then float32); zero rows stay zero. float32 `[n, d]`."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    lengths[lengths == 0.0] = 1.0
    result = np.empty(vectors.shape, dtype=np.float32)
    # the division is done in float64; numpy casts it down in chunks
    np.divide(vectors, lengths[:, None], out=result, dtype=np.float64, casting="same_kind")
    return result


def _refuse_overflow(data: TaskData, queries: Vectors, candidates: Vectors) -> None:
    """A dot product is at most the product of the lengths: it must fit a float32."""
    longest = [float(np.linalg.norm(vectors.astype(np.float64), axis=1).max()) for vectors in (queries, candidates)]
    if not longest[0] * longest[1] < np.finfo(np.float32).max:
        raise RanksError(
            f"dot products of these vectors do not fit a float32 on {data.name}",
            found=f"vectors of length {longest[0]:.3g} (queries) and {longest[1]:.3g} (candidates)",
            remedy="check the encoder, or rank by cosine (--similarity cosine)",
        )


@dataclass(frozen=True)
class Panel:
    """Some whole tiles of columns, held in memory together."""

    start: int
    stop: int


def _panels(width: int, memory: int) -> list[Panel]:
    tiles_held = max(1, memory // (4 * TILE_ROWS * TILE_COLUMNS))
    if width * 4 * TILE_ROWS <= memory:
        tiles_held = -(-width // TILE_COLUMNS)
    step = tiles_held * TILE_COLUMNS
    return [Panel(start, min(start + step, width)) for start in range(0, width, step)]


def _product(queries: Vectors, candidates: Vectors, panel: Panel, out: Vectors) -> Vectors:
    """Scores of a row block against a panel, tile by tile; float32 `[rows, panel]`, a view of `out`."""
    rows = len(queries)
    left = queries if rows > 1 else np.repeat(queries, 2, axis=0)  # one row would take another BLAS path
    for start in range(panel.start, panel.stop, TILE_COLUMNS):
        stop = min(start + TILE_COLUMNS, panel.stop)
        right = candidates[start:stop]
        if stop - start == 1:
            right = np.repeat(right, 2, axis=0)
        target = out[:rows, start - panel.start : stop - panel.start]
        if len(left) > rows or len(right) > stop - start:
            target[...] = (left @ right.T)[:rows, : stop - start]
        else:
            np.matmul(left, right.T, out=target)
    return out[:rows, : panel.stop - panel.start]


@dataclass(frozen=True)
class _Rows:
    """The relevants of a block of query rows."""

    offsets: IntArray  # int64 [rows + 1], from 0
    positions: IntArray  # candidate index of each relevant
    start: int  # its first row among all relevants
    stop: int


def _row_blocks(offsets: IntArray, positions: IntArray) -> Iterator[tuple[int, int, _Rows]]:
    for start in range(0, len(offsets) - 1, TILE_ROWS):
        stop = min(start + TILE_ROWS, len(offsets) - 1)
        first, last = int(offsets[start]), int(offsets[stop])
        yield start, stop, _Rows(offsets[start : stop + 1] - first, positions[first:last], first, last)


def exact_ranks(
    data: TaskData,
    queries: Vectors,
    candidates: Vectors,
    *,
    similarity: str = "cosine",
    memory: int = DEFAULT_MEMORY,
    progress: Callable[[int], None] | None = None,
) -> Ranks:
    """Count, for every relevant of every query, the candidates of each language above it and beside it.

    The threshold of a relevant is its entry of the same matrix product the other scores come from, and no epsilon
    is used: equal texts have equal vectors, and equal vectors equal scores.

    Args:
        data: the task.
        queries: float32 `[queries, d]` in the order of `data.queries`.
        candidates: float32 `[candidates, d]` in the order of `data.candidates`.
        similarity: "cosine" or "dot".
        memory: bytes for the block of scores; the result does not depend on it.
        progress: called with the number of queries done, after each block.

    Raises:
        RanksError: the shapes do not fit the task, or a score is not finite.
    """
    from xqr_bench.search.kernel import count_rows

    for name, vectors, things in (
        ("queries", queries, data.queries),
        ("candidates", candidates, data.candidates),
    ):
        if vectors.ndim != 2 or len(vectors) != len(things):
            raise RanksError(f"{data.name} has {len(things)} {name}", found=f"vectors of the shape {vectors.shape}")
    if similarity == "cosine":
        queries, candidates = unit_vectors(queries), unit_vectors(candidates)
    else:
        _refuse_overflow(data, queries, candidates)

    offsets = np.append(0, np.cumsum([len(found) for found in data.relevants], dtype=np.int64))
    positions = np.array([index for found in data.relevants for index in found], dtype=np.int64)
    column_edges = np.append(0, np.cumsum(data.column_sizes))
    gt = np.zeros((len(positions), len(data.languages)), dtype=np.int32)
    eq = np.zeros_like(gt)
    thresholds = np.empty(len(positions), dtype=np.float32)

    panels = _panels(len(candidates), memory)
    buffer = np.empty((TILE_ROWS, max(panel.stop - panel.start for panel in panels)), dtype=np.float32)
    for start, stop, rows in _row_blocks(offsets, positions):
        block = queries[start:stop]
        threshold = thresholds[rows.start : rows.stop]
        of_row = np.repeat(np.arange(stop - start), np.diff(rows.offsets))
        scores = buffer
        for panel in panels:
            scores = _product(block, candidates, panel, buffer)
            here = (rows.positions >= panel.start) & (rows.positions < panel.stop)
            threshold[here] = scores[of_row[here], rows.positions[here] - panel.start]
        for panel in panels:
            if len(panels) > 1:  # the thresholds needed a first pass; the product is the same, bit for bit
                scores = _product(block, candidates, panel, buffer)
            edges = np.clip(column_edges, panel.start, panel.stop) - panel.start
            count_rows(
                scores,
                edges,
                rows.offsets,
                threshold,
                gt[rows.start : rows.stop],
                eq[rows.start : rows.stop],
            )
        if progress is not None:
            progress(stop)

    return ranks_of(data, offsets, positions, gt, eq)


def ranks_of(
    data: TaskData,
    offsets: IntArray,
    positions: IntArray,
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
    depth: int | None = None,
) -> Ranks:
    """Put counts and the task's ids together.

    Args:
        data: the task.
        offsets: int64 `[queries + 1]`.
        positions: candidate index of each relevant, int64 `[relevants]`.
        gt, eq: int32 `[relevants, languages]`.
        depth: where the ranking was cut.
    """
    columns = {language: column for column, language in enumerate(data.languages)}
    return Ranks(
        task=data.name,
        columns=data.languages,
        column_sizes=data.column_sizes,
        query_ids=[query.id for query in data.queries],
        question_ids=[query.question for query in data.queries],
        query_languages=[query.language for query in data.queries],
        articles=np.array(data.articles, dtype=np.int64),
        offsets=offsets,
        relevant_ids=[data.candidates[index].id for index in positions],
        relevant_columns=np.array([columns[data.candidates[i].language] for i in positions], dtype=np.int64),
        gains=np.ones(len(positions)),
        gt=gt,
        eq=eq,
        depth=depth,
    )
