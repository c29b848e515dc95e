"""Exact search: embeddings, or blocks of scores from elsewhere, -> ranks, and the top of each ranking."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import xqr_bench.rank.product as tiles
from xqr_bench.core.errors import RanksError
from xqr_bench.core.mapped import in_parts
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray, Ranks, TaskData
from xqr_bench.rank.counting import PROCESSOR, Block, Counter, Held, Share
from xqr_bench.rank.product import DEFAULT_MEMORY, Vectors, product, row_lengths, unit_vectors
from xqr_bench.rank.rules import Tally
from xqr_bench.rank.torch_counting import TorchCounter

# Embeddings -> exact ranks: one pass over the scores, counted in the same matrix product they come from.


def check_shapes(data: TaskData, queries: Vectors, candidates: Vectors) -> None:
    """Refuse vectors that are not of a task.

    Raises:
        RanksError: there are more or fewer of them than texts.
    """
    for name, vectors, texts in (("queries", queries, data.queries), ("candidates", candidates, data.candidates)):
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise RanksError(f"{data.name} has {len(texts)} {name}", found=f"vectors of the shape {vectors.shape}")


def check_values(data: TaskData, queries: Vectors, candidates: Vectors, similarity: str) -> None:
    """Refuse vectors whose scores would not be numbers, or all the same.

    Raises:
        RanksError: one is not finite, or dot products of them do not fit.
    """
    for name, vectors in (("queries", queries), ("candidates", candidates)):
        if not all(np.isfinite(part).all() for _, part in in_parts(vectors)):
            raise RanksError(
                f"the vectors of the {name} of {data.name} are not all finite",
                remedy="check what made them: a NaN stands above and below nothing, and would look like a first rank",
            )
    if similarity == "cosine":
        return
    check_lengths(data, lengths_of(queries), lengths_of(candidates))


def lengths_of(vectors: Vectors) -> tuple[float, float]:
    """The shortest length above 0 of some vectors (infinite where there is none), and the longest."""
    lengths = row_lengths(vectors)
    return float(lengths.min(initial=np.inf, where=lengths > 0)), float(lengths.max(initial=0.0))


def check_lengths(data: TaskData, queries: tuple[float, float], candidates: tuple[float, float]) -> None:
    """Refuse vectors of lengths (see `lengths_of`) whose dot products would not fit a float32.

    Raises:
        RanksError: they would not.
    """
    # a dot product is at most the product of the lengths: it must fit a float32, and not be one of the smallest, which
    # have fewer digits or are zero
    (shortest, of_queries), (_, of_candidates) = queries, candidates
    least, most = float(_FLOAT32.tiny / _FLOAT32.eps), float(_FLOAT32.max)
    if not of_queries * of_candidates < most or 0 < shortest * of_candidates < least:
        raise RanksError(
            f"dot products of these vectors do not fit a float32 on {data.name}",
            found=f"vectors of length {shortest:.3g} to {of_queries:.3g} (queries) and {of_candidates:.3g} "
            "(candidates)",
            remedy="check the encoder, or rank by cosine (--similarity cosine)",
        )


_FLOAT32 = np.finfo(np.float32)


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

    With them what `Tally` counts: the top of each ranking, and the rules of relevance that the task declares.

    The threshold of a relevant is its entry of the same matrix product the other scores come from, and no epsilon
    is used: equal texts have equal vectors, and equal vectors equal scores.

    Args:
        data: the task.
        queries: float32 `[queries, d]` in the order of `data.queries`.
        candidates: float32 `[candidates, d]` in the order of `data.candidates`.
        similarity: "cosine" or "dot".
        memory: bytes to work in, beside the vectors given and the counts returned; the result does not depend on it.
        device: "cpu", or a device of torch such as "cuda" (see `TorchCounter`): the last bits of scores, hence in
            rare cases a rank, depend on it.
        observe: hears how many queries are done.

    Raises:
        RanksError: the shapes do not fit the task, a score is not finite, or the memory is too small.
    """
    check_shapes(data, queries, candidates)
    check_values(data, queries, candidates, similarity)
    counter = counter_on(device, data.edges, queries, candidates, unit=similarity == "cosine", memory=memory)
    return count_all(data, counter, observe)


def count_all(data: TaskData, counter: Counter, observe: Observer | None = None) -> Ranks:
    """Count all columns of a counter; see `go_through`."""
    tally = Tally(data)
    # a pool that does not fit needs a first pass for the thresholds; the scores are the same, bit for bit
    passes = [(True, True)] if len(counter.parts) == 1 else [(True, False), (False, True)]
    go_through(tally, counter, passes, len(data.queries), observe)
    return tally.ranks()


def counter_on(
    device: str,
    edges: IntArray,
    queries: Vectors,
    candidates: Vectors,
    *,
    unit: bool,
    memory: int,
    share: Share | None = None,
) -> Counter:
    """What makes the scores on the processor or on a device of torch; arguments as for `Counter`."""
    if device == PROCESSOR:
        return Counter(edges, queries, candidates, unit=unit, memory=memory, share=share)
    return TorchCounter(edges, queries, candidates, unit=unit, memory=memory, device=device, share=share)


def go_through(
    tally: Tally,
    counter: Counter,
    passes: Sequence[tuple[bool, bool]],
    queries: int,
    observe: Observer | None = None,
) -> None:
    """Go through all blocks of queries and all parts of the columns.

    Args:
        tally: what is found and counted.
        counter: makes the scores.
        passes: of each, whether thresholds are found, and whether is counted.
        queries: how many there are.
        observe: hears how many queries are done.
    """
    observe = observe or Observer()
    starts = range(0, queries, tiles.TILE_ROWS)
    steps = [(part, *both) for both in passes for part in counter.parts]
    of_thread = threading.local()

    def reserve() -> None:
        of_thread.buffer = counter.buffer()

    def work(start: int, held: Held, finding: bool, counting: bool) -> int:
        stop = min(start + tiles.TILE_ROWS, queries)
        block = counter.score(start, stop, held, of_thread.buffer)
        if finding:
            tally.find(start, block)
        if counting:
            tally.count(start, block)
        return stop - start

    done = 0
    # a block a thread, each with one BLAS thread: threads inside the product and inside the counting would wait
    # for one another, and the bits of the scores would depend on their number
    with (
        observe.phase("ranking", queries),
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(counter.workers, initializer=reserve) as pool,
    ):
        for part, finding, counting in steps:
            held = counter.hold(part)
            for rows in pool.map(partial(work, held=held, finding=finding, counting=counting), starts):
                before, done = done // len(steps), done + rows
                observe.advance(done // len(steps) - before)
            del held  # before the next is prepared


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
    """The scores that `exact_ranks` counts, bit for bit; one block of queries is held at a time.

    Args:
        queries: float32 `[queries, d]`.
        candidates: float32 `[candidates, d]`.
        similarity: "cosine" or "dot".
    """
    if similarity == "cosine":
        queries, candidates = unit_vectors(queries), unit_vectors(candidates)
    for start, parts in product(queries, candidates):
        for _, scores in parts:  # one: it is as wide as the pool
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
    number = min(depth, width)
    order = np.arange(width) if places is None else np.argsort(places)
    place = np.empty(width, dtype=np.uint64)
    place[order] = np.arange(width, dtype=np.uint64)
    # one key per candidate, none equal to another: the score's bits made monotone, then the place
    keys = _monotone(scores).astype(np.uint64) << np.uint64(32)
    keys |= _LOW - place
    if number < width:
        keys = np.partition(keys, width - number, axis=1)[:, width - number :]
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


# Blocks of scores -> ranks.


def ranks_of_scores(
    data: TaskData,
    blocks: Iterable[ScoreBlock],
    observe: Observer | None = None,
    *,
    own_lists: bool = True,
    depth: int | None = None,
) -> Ranks:
    """Count every relevant's rank from scores of the whole pool, and of each language by itself.

    Args:
        data: the task.
        blocks: scores of all queries, in order; -inf: the candidate was not retrieved.
        own_lists: whether a language's own ranking is no part of the pooled one.
        depth: where the rankings are cut.
        observe: hears how many queries are done.
    """
    tally, observe = Tally(data, own_lists=own_lists), observe or Observer()
    with observe.phase("ranking", len(data.queries)):
        for block in blocks:
            pooled = Block.whole(block.pooled, data.edges)
            own = Block.whole(block.own, data.edges) if own_lists else None
            tally.find(block.start, pooled, own)
            tally.count(block.start, pooled, own)
            observe.advance(len(block.pooled))
    return tally.ranks(depth)
