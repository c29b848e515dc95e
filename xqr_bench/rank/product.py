"""The matrix product that every score comes from: one canonical tiling, and one score for equal vectors.

Two facts about BLAS decide the shape of this module (MEASURES.md 1; `tests/rank/test_product.py` shows both):
a score from another kernel (a dot product, a matrix-vector product, another tile) has other last bits; and even
within one product equal columns can get other bits, at the edges of a tile everywhere and in the middle of it on
some processors. So all scores of a query come from one tiling that does not depend on the memory budget, and a
vector that occurs more than once is multiplied once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.mapped import in_parts
from xqr_bench.core.types import FloatArray, IntArray

CHUNK = 8192
TILE_ROWS = 512  # 26 blocks of XQuAD-R: two threads finish together
TILE_COLUMNS = 8192
DEFAULT_MEMORY = 256 * 2**20
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
    chunks = [(start, min(start + CHUNK, rows)) for start in range(0, rows, CHUNK)]
    for start, stop in chunks:
        bit_sums(prepared(start, stop), sums[start:stop])
    _, inverse, counts = np.unique(sums, return_inverse=True, return_counts=True)
    suspects = np.flatnonzero(counts[inverse] > 1)
    digests = np.empty(len(suspects), dtype="V16")
    for start, stop in chunks:
        low, high = np.searchsorted(suspects, (start, stop))
        if low == high:
            continue
        digests[low:high] = row_digests(prepared(start, stop)[suspects[low:high] - start]).view("V16")[:, 0]
    among = repeats_of(digests)
    return Repeats(suspects[among.first], suspects[among.positions], among.groups)


def repeats_of(names: NDArray[Any]) -> Repeats:
    """The groups of equal rows, from a name of each row that equal rows alone share, `[rows]`."""
    _, first, inverse, counts = np.unique(names, return_index=True, return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(counts > 1)
    repeated = repeated[np.argsort(first[repeated])]  # numbered by first appearance
    numbers = np.full(len(first), -1, dtype=np.int64)
    numbers[repeated] = np.arange(len(repeated))
    group = numbers[inverse]
    return Repeats(first[repeated], np.flatnonzero(group >= 0), group[group >= 0])


def row_digests(vectors: Vectors) -> NDArray[np.uint8]:
    """128 bits of a cryptographic digest of each row, which unequal rows do not share, uint8 `[n, 16]`."""
    rows = np.ascontiguousarray(vectors + np.float32(0.0))  # a new array: -0.0 and 0.0 are equal but not the same bits
    packed = b"".join([blake2b(row, digest_size=16).digest() for row in rows])
    return np.frombuffer(packed, dtype=np.uint8).reshape(-1, 16)


def row_lengths(vectors: Vectors) -> FloatArray:
    """Length of each row, float64 `[n]`; what is mapped is read a part at a time."""
    lengths = np.empty(len(vectors), dtype=np.float64)
    for start, part in in_parts(vectors):
        lengths[start : start + len(part)] = np.sqrt(np.einsum("ij,ij->i", part, part, dtype=np.float64))
    return lengths


def unit_vectors(vectors: Vectors) -> Vectors:
    """Rows scaled to length 1 (in float64, then float32); zero rows stay zero. float32 `[n, d]`."""
    lengths = row_lengths(vectors)
    lengths[lengths == 0.0] = 1.0
    result = np.empty(vectors.shape, dtype=np.float32)
    # the division is done in float64; numpy casts it down in chunks
    for start, part in in_parts(vectors):
        here = slice(start, start + len(part))
        np.divide(part, lengths[here, None], out=result[here], dtype=np.float64, casting="same_kind")
    return result


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


def product(
    queries: Vectors, candidates: Vectors, memory: int | None = None
) -> Iterator[tuple[int, Iterator[tuple[int, Vectors]]]]:
    """Scores of all queries against all candidates, each candidate in its place: a block of queries at a time.

    Args:
        queries: float32 `[queries, d]`.
        candidates: float32 `[candidates, d]`.
        memory: bytes for the scores held at once, None: as many as a block has; the scores do not depend on it.

    Yields:
        where the block begins, and an iterator over its scores, some whole tiles of columns at a time: the first
        column, and float32 `[rows, columns]`, which the next step overwrites.
    """
    queries, candidates = (np.ascontiguousarray(vectors, dtype=np.float32) for vectors in (queries, candidates))
    repeats = find_repeats(len(candidates), lambda start, stop: candidates[start:stop])
    repeated = candidates[repeats.first]
    width = max(1, len(candidates))
    if memory is not None and memory < 4 * TILE_ROWS * width:
        width = TILE_COLUMNS * max(1, memory // (4 * TILE_ROWS * TILE_COLUMNS))
    buffer = np.empty((min(TILE_ROWS, len(queries)), min(width, len(candidates))), dtype=np.float32)

    def parts(block: Vectors) -> Iterator[tuple[int, Vectors]]:
        of_groups = np.empty((len(block), len(repeated)), dtype=np.float32)
        multiply(block, repeated, of_groups)
        for start in range(0, len(candidates), width):
            columns = candidates[start : start + width]
            scores = buffer[: len(block), : len(columns)]
            multiply(block, columns, scores)
            here = slice(*np.searchsorted(repeats.positions, (start, start + len(columns))))
            scores[:, repeats.positions[here] - start] = of_groups[:, repeats.groups[here]]
            yield start, scores

    for start in range(0, len(queries), TILE_ROWS):
        yield start, parts(queries[start : start + TILE_ROWS])
