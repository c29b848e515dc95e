"""One matrix product in one canonical tiling, in which vectors that occur more than once are multiplied once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.types import IntArray

# Vectors that occur more than once: found once, multiplied once.

CHUNK = 8192
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Repeats:
    """Groups of equal vectors, numbered by first appearance.

    Attributes:
        first: the first row of each group, int64 `[groups]`.
        positions: the rows that are in a group, ascending, int64 `[members]`.
        groups: the group of each of them, int64 `[members]`.
    """

    first: IntArray
    positions: IntArray
    groups: IntArray


def find_repeats(rows: int, prepared: Callable[[int, int], Vectors]) -> Repeats:
    """Find equal rows, some thousands at a time; 0.0 and -0.0 are equal.

    Args:
        rows: how many there are.
        prepared: (start, stop) -> these rows as they are multiplied, float32 `[stop - start, d]`.
    """
    from xqr_bench.rank.kernels import bit_sums

    # equal rows have equal sums of their bits; only rows that share a sum are looked at again
    sums = np.empty(rows, dtype=np.uint64)
    for start in range(0, rows, CHUNK):
        bit_sums(prepared(start, min(start + CHUNK, rows)), sums[start : start + CHUNK])
    suspects = _shared(sums)
    digests = np.empty((len(suspects), 2), dtype=np.uint64)
    done = 0
    while done < len(suspects):
        start = int(suspects[done])
        stop = min(start + CHUNK, rows)
        here = suspects[done : done + int(np.searchsorted(suspects[done:], stop))]
        bits = _bits(prepared(start, stop)[here - start])
        for number, row in enumerate(bits, done):
            # 128 bits of a cryptographic digest: unequal rows do not share it
            digests[number] = np.frombuffer(blake2b(row, digest_size=16).digest(), dtype=np.uint64)
        done += len(here)
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: a group's members stay ascending
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(order)))
    blocks = np.flatnonzero(sizes > 1)
    blocks = blocks[np.argsort(order[starts[blocks]])]  # numbered by first appearance
    numbers = np.full(len(starts), -1, dtype=np.int64)
    numbers[blocks] = np.arange(len(blocks))
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.repeat(numbers, sizes)
    kept = group >= 0
    return Repeats(suspects[order[starts[blocks]]], suspects[kept], group[kept])


def _bits(vectors: Vectors) -> NDArray[np.uint32]:
    # a new array: -0.0 and 0.0 are equal but not the same bits
    return np.ascontiguousarray(vectors + np.float32(0.0)).view(np.uint32)


def _shared(sums: NDArray[np.uint64]) -> IntArray:
    """Indices of the values that occur more than once, ascending."""
    order = np.argsort(sums, kind="stable")
    ordered = sums[order]
    same = ordered[1:] == ordered[:-1]
    shared = np.zeros(len(sums), dtype=np.bool_)
    shared[order[1:][same]] = True
    shared[order[:-1][same]] = True
    return np.flatnonzero(shared)


# The matrix product every score comes from: one canonical tiling, and one score for equal vectors.
#
# Two facts about BLAS decide the shape of this module (MEASURES.md 1; `tests/rank/test_product.py` shows both):
# a score from another kernel (a dot product, a matrix-vector product, another tile) has other last bits; and even
# within one product equal columns can get other bits, at the edges of a tile everywhere and in the middle of it on
# some processors. So all scores of a query come from one tiling that does not depend on the memory budget, and a
# vector that occurs more than once is multiplied once.

TILE_ROWS = 512  # 26 blocks of XQuAD-R: two threads finish together
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


def prepared(vectors: Vectors, unit: bool) -> Vectors:
    """Vectors as they are multiplied: of length 1 where `unit` asks for it, float32 and contiguous. `[n, d]`."""
    return unit_vectors(vectors) if unit else np.ascontiguousarray(vectors, dtype=np.float32)


@dataclass(frozen=True)
class Panel:
    """Some whole tiles of columns, held in memory together."""

    start: int
    stop: int


class Product:
    """Scores of query rows against all candidates, a block of rows and a panel of columns at a time.

    Args:
        queries: float32 `[queries, d]`.
        candidates: float32 `[candidates, d]`.
        memory: bytes for the scores held at once; the scores do not depend on it.
    """

    def __init__(self, queries: Vectors, candidates: Vectors, memory: int = DEFAULT_MEMORY) -> None:
        self._queries = np.ascontiguousarray(queries, dtype=np.float32)
        self._candidates = np.ascontiguousarray(candidates, dtype=np.float32)
        self._repeats = find_repeats(len(candidates), lambda start, stop: self._candidates[start:stop])
        self._repeated = self._candidates[self._repeats.first]
        self._repeated_scores = np.empty((0, 0), dtype=np.float32)
        self.panels = _panels(len(candidates), memory)
        width = max((panel.stop - panel.start for panel in self.panels), default=0)
        self._buffer = np.empty((TILE_ROWS, width), dtype=np.float32)
        self._rows = slice(0, 0)

    @property
    def starts(self) -> range:
        """Where the blocks of query rows begin."""
        return range(0, len(self._queries), TILE_ROWS)

    def take(self, start: int) -> int:
        """Take the block that begins at `start` in hand, for `scores`; return where it stops."""
        self._rows = slice(start, min(start + TILE_ROWS, len(self._queries)))
        block = self._queries[self._rows]
        self._repeated_scores = np.empty((len(block), len(self._repeated)), dtype=np.float32)
        multiply(block, self._repeated, self._repeated_scores)
        return self._rows.stop

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Go through the blocks of query rows, as (start, stop); `scores` then refers to the block at hand."""
        for start in self.starts:
            yield start, self.take(start)

    def scores(self, panel: Panel) -> Vectors:
        """Scores of the block at hand against a panel, float32 `[rows, panel]`; overwritten by the next call."""
        block = self._queries[self._rows]
        out = self._buffer[: len(block), : panel.stop - panel.start]
        multiply(block, self._candidates[panel.start : panel.stop], out)
        positions = self._repeats.positions
        here = slice(*np.searchsorted(positions, (panel.start, panel.stop)))
        if here.stop > here.start:
            out[:, positions[here] - panel.start] = self._repeated_scores[:, self._repeats.groups[here]]
        return out


def _panels(width: int, memory: int) -> list[Panel]:
    tiles_held = max(1, memory // (4 * TILE_ROWS * TILE_COLUMNS))
    if width * 4 * TILE_ROWS <= memory:
        tiles_held = max(1, -(-width // TILE_COLUMNS))
    step = tiles_held * TILE_COLUMNS
    return [Panel(start, min(start + step, width)) for start in range(0, width, step)]


def multiply(rows: Vectors, columns: Vectors, out: Vectors) -> None:
    """Write `rows columns^T` to `out`, tile by tile; float32 `[rows, d]`, `[columns, d]`, `[rows, columns]`."""
    left = rows if len(rows) > 1 else np.repeat(rows, 2, axis=0)  # a single row would take another BLAS path
    for start in range(0, len(columns), TILE_COLUMNS):
        right = columns[start : start + TILE_COLUMNS]
        target = out[:, start : start + len(right)]
        if len(left) == len(rows) and len(right) > 1:
            np.matmul(left, right.T, out=target)
        else:
            padded = right if len(right) > 1 else np.repeat(right, 2, axis=0)
            target[...] = (left @ padded.T)[: len(rows), : len(right)]
