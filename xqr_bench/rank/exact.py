"""Exact search: embeddings, or blocks of scores from elsewhere, -> ranks, and the top of each ranking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import xqr_bench.rank.product as tiles
from xqr_bench.core.errors import RanksError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray, Ranks, TaskData
from xqr_bench.rank.counting import Counter, Panel
from xqr_bench.rank.device import PROCESSOR, counter_on
from xqr_bench.rank.product import DEFAULT_MEMORY, TILE_ROWS, Product, Vectors, unit_vectors
from xqr_bench.rank.variants import Variants

# Embeddings -> exact ranks: one pass over the scores, counted in the same matrix product they come from.


def _refuse_overflow(data: TaskData, queries: Vectors, candidates: Vectors) -> None:
    """A dot product is at most the product of the lengths: it must fit a float32."""
    longest = [
        float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64).max()))
        for vectors in (queries, candidates)
    ]
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
    device: str = PROCESSOR,
    observe: Observer | None = None,
) -> Ranks:
    """Count, for every relevant of every query, the candidates of each language above it and beside it.

    With them what `Variants` counts: the top of each ranking, and the rules of relevance that the task declares.

    The threshold of a relevant is its entry of the same matrix product the other scores come from, and no epsilon
    is used: equal texts have equal vectors, and equal vectors equal scores.

    Args:
        data: the task.
        queries: float32 `[queries, d]` in the order of `data.queries`.
        candidates: float32 `[candidates, d]` in the order of `data.candidates`.
        similarity: "cosine" or "dot".
        memory: bytes to work in, beside the vectors given and the counts returned; the result does not depend on it.
        device: "cpu", or a device of torch such as "cuda" (see `search.device`): the last bits of scores, hence in
            rare cases a rank, depend on it.
        observe: hears how many queries are done.

    Raises:
        RanksError: the shapes do not fit the task, a score is not finite, or the memory is too small.
    """
    for name, vectors, things in (
        ("queries", queries, data.queries),
        ("candidates", candidates, data.candidates),
    ):
        if vectors.ndim != 2 or len(vectors) != len(things):
            raise RanksError(f"{data.name} has {len(things)} {name}", found=f"vectors of the shape {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise RanksError(
                f"the vectors of the {name} of {data.name} are not all finite",
                remedy="check what made them: a NaN stands above and below nothing, and would look like a first rank",
            )
    if similarity != "cosine":
        _refuse_overflow(data, queries, candidates)
    counter = counter_on(device, data.edges, queries, candidates, unit=similarity == "cosine", memory=memory)
    variants = Variants(data)
    observe = observe or Observer()
    with observe.phase("ranking", len(queries)):
        gt, eq = count_all(counter, len(queries), data.offsets, data.positions, len(data.languages), observe, variants)
    return variants.attach(ranks_of(data, gt, eq))


def count_all(
    whole: Counter,
    queries: int,
    offsets: IntArray,
    positions: IntArray,
    languages: int,
    observe: Observer | None = None,
    variants: Variants | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Go through all blocks of queries and all panels of candidates.

    Args:
        whole: where to count.
        queries: how many.
        offsets, positions: see `TaskData`.
        languages: how many columns are counted apart.
        observe: hears how many queries are done.
        variants: what else to count in the same scores.

    Returns:
        gt and eq, int32 `[relevants, languages]`.
    """
    gt = np.zeros((len(positions), languages), dtype=np.int32)
    eq = np.zeros_like(gt)
    thresholds = np.empty(len(positions), dtype=np.float32)
    columns = whole.columns.of(positions)
    starts = range(0, queries, tiles.TILE_ROWS)
    # a pool that does not fit needs a first pass for the thresholds; the scores are the same, bit for bit
    steps = [(panel, True, True) for panel in whole.panels]
    if len(steps) > 1:
        steps = [(panel, first, not first) for first in (True, False) for panel in whole.panels]
    idle: SimpleQueue[Counter] = SimpleQueue()
    for number in range(min(whole.workers, len(starts))):
        idle.put(whole.another() if number else whole)

    def work(start: int, panel: Panel, held: Any, finding: bool, counting: bool) -> int:
        stop = min(start + tiles.TILE_ROWS, queries)
        rows = slice(int(offsets[start]), int(offsets[stop]))
        block_offsets = offsets[start : stop + 1] - offsets[start]
        here, places = whole.columns.local(columns[rows], panel)
        if counting or len(places) or variants is not None:
            counter = idle.get()
            counter.score(start, stop, held)
            if finding:
                of_row = np.repeat(np.arange(stop - start), np.diff(block_offsets))
                thresholds[rows][here] = counter.at(of_row[here], places)
                if variants is not None:
                    variants.find(counter, panel, start, stop)
            if counting:
                counter.count(block_offsets, thresholds[rows], gt[rows], eq[rows])
                if variants is not None:
                    variants.count(counter, panel, start, stop)
            idle.put(counter)
        return stop - start

    done = 0
    # a block a thread, each with one BLAS thread: threads inside the product and inside the counting would wait
    # for one another, and the bits of the scores would depend on their number
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(whole.workers) as pool:
        for panel, finding, counting in steps:
            held = whole.hold(panel)
            for rows in pool.map(partial(work, panel=panel, held=held, finding=finding, counting=counting), starts):
                before, done = done // len(steps), done + rows
                if observe is not None:
                    observe.advance(done // len(steps) - before)
            del held  # before the next is prepared
    return gt, eq


def ranks_of(data: TaskData, gt: NDArray[np.int32], eq: NDArray[np.int32], depth: int | None = None) -> Ranks:
    """Put counts and the task's ids together.

    Args:
        data: the task.
        gt, eq: int32 `[relevants, languages]`.
        depth: where the ranking was cut.
    """
    ids = np.array([candidate.id for candidate in data.candidates], dtype=object)
    return Ranks(
        task=data.name,
        columns=data.languages,
        column_sizes=data.column_sizes,
        query_ids=[query.id for query in data.queries],
        question_ids=[query.question for query in data.queries],
        query_languages=[query.language for query in data.queries],
        articles=np.array(data.clusters, dtype=np.int64),
        offsets=data.offsets,
        relevant_ids=ids[data.positions].tolist(),
        relevant_columns=data.candidate_columns[data.positions],
        gains=data.row_gains,
        gt=gt,
        eq=eq,
        depth=depth,
    )


# The best candidates of a block of scores, in one exact order.

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


# Blocks of scores -> ranks, where a language's own ranking is not a part of the pooled one.


def ranks_of_scores(data: TaskData, blocks: Iterable[ScoreBlock], observe: Observer | None = None) -> Ranks:
    """Count every relevant's rank from scores of the whole pool and of each language by itself.

    Args:
        data: the task.
        blocks: scores of all queries, in order.
        observe: hears how many queries are done.
    """
    from xqr_bench.rank.kernels import count_rows

    offsets, positions = data.offsets, data.positions
    shape = (2, len(positions), len(data.languages))
    pooled, own = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    variants = Variants(data, separate=True)
    observe = observe or Observer()
    with observe.phase("ranking", len(data.queries)):
        for block in blocks:
            stop = block.start + len(block.pooled)
            rows = slice(int(offsets[block.start]), int(offsets[stop]))
            starts = offsets[block.start : stop + 1] - offsets[block.start]
            of_row = np.repeat(np.arange(len(block.pooled)), np.diff(starts))
            for scores, (gt, eq) in ((block.pooled, pooled), (block.own, own)):
                thresholds = scores[of_row, positions[rows]]
                count_rows(scores, data.edges, starts, thresholds, gt[rows], eq[rows])
            variants.count_block(block.start, block.pooled, block.own)
            observe.advance(stop - block.start)
    ranks = ranks_of(data, *pooled)
    each = np.arange(len(positions))
    own_gt, own_eq = (counts[each, ranks.relevant_columns] for counts in own)
    return variants.attach(replace(ranks, own_gt=own_gt, own_eq=own_eq))
