"""Vectors that occur more than once: found once, multiplied once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from xqr_bench.types import IntArray

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
    from xqr_bench.search.kernel import bit_sums

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
