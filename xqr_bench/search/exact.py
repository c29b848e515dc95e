"""Embeddings -> exact ranks: one pass over the scores, counted in the same matrix product they come from."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from xqr_bench.errors import RanksError
from xqr_bench.search.product import DEFAULT_MEMORY, Product, Vectors, unit_vectors
from xqr_bench.types import IntArray, Ranks, TaskData


def _refuse_overflow(data: TaskData, queries: Vectors, candidates: Vectors) -> None:
    """A dot product is at most the product of the lengths: it must fit a float32."""
    longest = [float(np.linalg.norm(vectors.astype(np.float64), axis=1).max()) for vectors in (queries, candidates)]
    if not longest[0] * longest[1] < float(np.finfo(np.float32).max):
        raise RanksError(
            f"dot products of these vectors do not fit a float32 on {data.name}",
            found=f"vectors of length {longest[0]:.3g} (queries) and {longest[1]:.3g} (candidates)",
            remedy="check the encoder, or rank by cosine (--similarity cosine)",
        )


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

    offsets, positions = relevant_rows(data)
    column_edges = np.append(0, np.cumsum(data.column_sizes))
    gt = np.zeros((len(positions), len(data.languages)), dtype=np.int32)
    eq = np.zeros_like(gt)
    thresholds = np.empty(len(positions), dtype=np.float32)

    # a block a thread, each with one BLAS thread: threads inside the product and inside the counting would wait
    # for one another, and the bits of the scores would depend on their number
    workers = max(1, min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 16))
    whole = Product(queries, candidates, memory // workers)
    idle: SimpleQueue[Product] = SimpleQueue()
    for number in range(min(workers, len(whole.starts))):
        idle.put(whole.another() if number else whole)

    def count(start: int) -> int:
        product = idle.get()
        stop = product.take(start)
        first, last = offsets[start], offsets[stop]
        of_row = np.repeat(np.arange(stop - start), np.diff(offsets[start : stop + 1]))
        wanted, threshold = positions[first:last], thresholds[first:last]
        scores = np.empty((0, 0), dtype=np.float32)
        for panel in product.panels:
            scores = product.scores(panel)
            here = (wanted >= panel.start) & (wanted < panel.stop)
            threshold[here] = scores[of_row[here], wanted[here] - panel.start]
        for panel in product.panels:
            if len(product.panels) > 1:  # the thresholds needed a first pass; the scores are the same, bit for bit
                scores = product.scores(panel)
            edges = np.clip(column_edges, panel.start, panel.stop) - panel.start
            block_offsets = offsets[start : stop + 1] - first
            count_rows(scores, edges, block_offsets, threshold, gt[first:last], eq[first:last])
        idle.put(product)
        return stop - start

    done = 0
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        for rows in pool.map(count, whole.starts):
            done += rows
            if progress is not None:
                progress(done)

    return ranks_of(data, offsets, positions, gt, eq)


def relevant_rows(data: TaskData) -> tuple[IntArray, IntArray]:
    """The (query, relevant) rows of a task.

    Returns:
        offsets, int64 `[queries + 1]`, and the candidate index of each row, int64 `[relevants]`.
    """
    offsets = np.append(0, np.cumsum([len(found) for found in data.relevants], dtype=np.int64))
    return offsets, np.array([index for found in data.relevants for index in found], dtype=np.int64)


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
    ids = np.array([candidate.id for candidate in data.candidates], dtype=object)
    columns = np.repeat(np.arange(len(data.languages)), data.column_sizes)  # candidates stand grouped by language
    return Ranks(
        task=data.name,
        columns=data.languages,
        column_sizes=data.column_sizes,
        query_ids=[query.id for query in data.queries],
        question_ids=[query.question for query in data.queries],
        query_languages=[query.language for query in data.queries],
        articles=np.array(data.articles, dtype=np.int64),
        offsets=offsets,
        relevant_ids=ids[positions].tolist(),
        relevant_columns=columns[positions],
        gains=np.ones(len(positions)),
        gt=gt,
        eq=eq,
        depth=depth,
    )
