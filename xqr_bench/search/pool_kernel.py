"""Compiled loops for the counts beside the strict ones: many thresholds a query, and the top of each ranking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.jit import compiled

SLOTS = 1 << 14
_SHIFT = 32 - 14
CHUNK = 4096  # scores that stay in the first-level cache while all thresholds pass over them


@compiled()
def _slot(bits: np.uint32) -> np.uint32:
    """A slot by the bits of a score: the high bits of their product with 2^32 / golden ratio."""
    return np.uint32(np.uint32(bits * np.uint32(2654435761)) >> np.uint32(_SHIFT))


@compiled()
def count_pool(
    scores: NDArray[np.float32],
    width: int,
    offsets: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> None:
    """Add to gt and eq the scores of the whole row above and equal to each threshold.

    For some fifty thresholds a row, four at a time: one load of a score serves four comparisons. Equal scores are
    rare, so they are not compared for but looked up: a score whose bits fall into the slot of a threshold is searched
    among the thresholds, and nothing else is.

    Args:
        scores: float32 `[rows, at least width]`, finite or -inf. Contiguous: a part of the columns of an array would
            keep the loops from vectorising, hence the width beside it.
        width: how many of the columns to count in.
        offsets: int64 `[rows + 1]`, the thresholds of each row.
        thresholds: float32 `[thresholds]`.
        gt, eq: int32 `[thresholds]`, added to in place.
    """
    most = 0
    for row in range(scores.shape[0]):
        most = max(most, offsets[row + 1] - offsets[row])
    marked = np.zeros(SLOTS, dtype=np.uint8)
    levels = np.empty(most + 4, dtype=np.float32)
    level_bits = levels.view(np.uint32)
    above = np.zeros(most + 4, dtype=np.int32)
    same = np.zeros(most + 4, dtype=np.int32)
    place = np.empty(most, dtype=np.int64)
    for row in range(scores.shape[0]):
        first, last = offsets[row], offsets[row + 1]
        if first == last:
            continue
        n = 0  # distinct thresholds, ascending
        for index in np.argsort(thresholds[first:last]):
            threshold = thresholds[first + index]
            if n == 0 or threshold > levels[n - 1]:
                levels[n] = threshold
                n += 1
            place[index] = n - 1
        levels[n : n + 4] = np.inf
        above[: n + 4] = 0
        same[:n] = 0
        for i in range(n):
            marked[_slot(level_bits[i])] = 1
            if levels[i] == np.float32(0.0):  # 0.0 and -0.0 are equal but not the same bits
                marked[_slot(np.uint32(0))] = 1
                marked[_slot(np.uint32(1 << 31))] = 1
        for start in range(0, width, CHUNK):
            chunk = scores[row, start : min(start + CHUNK, width)]
            for i in range(0, n, 4):
                a, b, c, d = levels[i], levels[i + 1], levels[i + 2], levels[i + 3]
                over_a, over_b, over_c, over_d = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
                for j in range(len(chunk)):  # by index: an iterator keeps the loop from vectorising
                    score = chunk[j]
                    over_a += np.int32(score > a)
                    over_b += np.int32(score > b)
                    over_c += np.int32(score > c)
                    over_d += np.int32(score > d)
                above[i] += over_a
                above[i + 1] += over_b
                above[i + 2] += over_c
                above[i + 3] += over_d
            bits = chunk.view(np.uint32)
            for j in range(len(chunk)):
                if marked[_slot(bits[j])]:
                    score = chunk[j]
                    low, high = 0, n
                    while low < high:
                        middle = (low + high) >> 1
                        if levels[middle] < score:
                            low = middle + 1
                        else:
                            high = middle
                    if low < n and levels[low] == score:
                        same[low] += 1
        for i in range(n):
            marked[_slot(level_bits[i])] = 0
            if levels[i] == np.float32(0.0):
                marked[_slot(np.uint32(0))] = 0
                marked[_slot(np.uint32(1 << 31))] = 0
        for index in range(last - first):
            gt[first + index] += above[place[index]]
            eq[first + index] += same[place[index]]


@compiled()
def count_own(
    scores: NDArray[np.float32],
    edges: NDArray[np.int64],
    offsets: NDArray[np.int64],
    columns: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> None:
    """Add to gt and eq the scores of each threshold's own column above and equal to it.

    Args:
        scores, offsets, thresholds, gt, eq: as for `count_pool`.
        edges: int64 `[columns + 1]`, where each language begins in `scores`.
        columns: int64 `[thresholds]`.
    """
    for row in range(scores.shape[0]):
        for index in range(offsets[row], offsets[row + 1]):
            slice_ = scores[row, edges[columns[index]] : edges[columns[index] + 1]]
            threshold = thresholds[index]
            above = np.int32(0)
            same = np.int32(0)
            for j in range(len(slice_)):
                above += np.int32(slice_[j] > threshold)
                same += np.int32(slice_[j] == threshold)
            gt[index] += above
            eq[index] += same


@compiled()
def _ordered(bits: np.int32) -> np.int32:
    """Bits of a float32 as an integer that is ordered as the float is (-0.0 below 0.0); its own inverse."""
    return np.int32(bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF)))


@compiled()
def count_top(
    scores: NDArray[np.float32], edges: NDArray[np.int64], best: NDArray[np.float32], count: NDArray[np.int32]
) -> None:
    """Keep the highest score of each column, and how many candidates have it where no column of the row has more.

    A maximum of floats does not vectorise, one of integers in the same order does.

    Args:
        scores, edges: as for `count_own`.
        best: float32 `[rows, columns]`, -inf at first, updated in place; a score of -inf is no candidate.
        count: int32 `[rows, columns]`, updated in place; of no meaning where `best` is not the highest of its row.
    """
    n_columns = len(edges) - 1
    highest = np.empty(n_columns, dtype=np.float32)
    highest_bits = highest.view(np.int32)
    for row in range(scores.shape[0]):
        top = np.float32(-np.inf)
        for column in range(n_columns):
            bits = scores[row, edges[column] : edges[column + 1]].view(np.int32)
            most = np.int32(-(2**31))
            for j in range(len(bits)):  # by index: an iterator keeps the loop from vectorising
                value = _ordered(bits[j])
                most = value if value > most else most
            highest_bits[column] = _ordered(most)
            if len(bits) == 0:
                highest[column] = -np.inf
            top = max(top, max(highest[column], best[row, column]))
        for column in range(n_columns):
            if highest[column] > best[row, column]:
                best[row, column] = highest[column]
                count[row, column] = 0
            if highest[column] == top and top > -np.inf:
                slice_ = scores[row, edges[column] : edges[column + 1]]
                same = np.int32(0)
                for j in range(len(slice_)):
                    same += np.int32(slice_[j] == top)
                count[row, column] += same


@compiled()
def count_top_groups(
    scores: NDArray[np.float32],
    groups: NDArray[np.int64],
    counts: NDArray[np.int32],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    best: NDArray[np.float32],
    count: NDArray[np.int32],
) -> None:
    """Keep the highest score of each column, as `count_top`, of candidates that share a score.

    Args:
        scores, groups, counts, starts, stops: see `kernel.count_groups`.
        best, count: as for `count_top`.
    """
    for row in range(scores.shape[0]):
        for column in range(len(starts)):
            for pair in range(starts[column], stops[column]):
                score = scores[row, groups[pair]]
                if score > best[row, column]:
                    best[row, column] = score
                    count[row, column] = counts[pair]
                elif score == best[row, column]:
                    count[row, column] += counts[pair]
