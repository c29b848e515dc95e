"""The compiled counting loop: how many scores of each column stand above or beside a threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.jit import compiled


@compiled()
def count_rows(
    scores: NDArray[np.float32],
    edges: NDArray[np.int64],
    offsets: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> None:
    """Add to gt and eq, for each relevant of each query row, the scores above and equal to its threshold.

    One language's slice stays in the first-level cache while all relevants of the row are counted against it; the
    integer sums of masks vectorise (a float32 sum would need reassociation to be allowed).

    Args:
        scores: float32 `[rows, width]`, one query a row.
        edges: int64 `[columns + 1]`, where each language begins in `scores`.
        offsets: int64 `[rows + 1]`, the relevants of each row.
        thresholds: float32 `[relevants]`, the score of each relevant.
        gt, eq: int32 `[relevants, columns]`, added to in place.
    """
    for row in range(scores.shape[0]):
        for column in range(len(edges) - 1):
            slice_ = scores[row, edges[column] : edges[column + 1]]
            for relevant in range(offsets[row], offsets[row + 1]):
                threshold = thresholds[relevant]
                above = np.int32(0)
                same = np.int32(0)
                for j in range(len(slice_)):  # by index: an iterator keeps the loop from vectorising
                    above += np.int32(slice_[j] > threshold)
                    same += np.int32(slice_[j] == threshold)
                gt[relevant, column] += above
                eq[relevant, column] += same


@compiled()
def bit_sums(vectors: NDArray[np.float32], sums: NDArray[np.uint64]) -> None:
    """Write the sum of the bits of each row, the same for equal rows: float32 `[n, d]` to uint64 `[n]`."""
    for row in range(vectors.shape[0]):
        bits = vectors[row].view(np.uint32)
        total = np.uint64(0)
        for j in range(len(bits)):
            total += np.uint64(bits[j]) if bits[j] != np.uint32(1 << 31) else np.uint64(0)  # -0.0 as 0.0
        sums[row] = total


@compiled()
def hide(scores: NDArray[np.float32], places: NDArray[np.int64]) -> None:
    """Put scores at these places of every row below any other: float32 `[rows, width]`, in place."""
    for row in range(scores.shape[0]):
        for place in places:
            scores[row, place] = -np.inf


@compiled()
def count_groups(
    scores: NDArray[np.float32],
    groups: NDArray[np.int64],
    counts: NDArray[np.int32],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    offsets: NDArray[np.int64],
    thresholds: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> None:
    """Add to gt and eq, as `count_rows`, candidates that share a score.

    Args:
        scores: float32 `[rows, groups]`, one query a row, one group of candidates a column.
        groups: the group of each (group, language) pair, int64 `[pairs]`.
        counts: the candidates of the pair, int32 `[pairs]`.
        starts, stops: the pairs of each language, int64 `[columns]`.
        offsets, thresholds, gt, eq: see `count_rows`.
    """
    longest = np.int64(0)
    for column in range(len(starts)):
        longest = max(longest, stops[column] - starts[column])
    gathered = np.empty(longest, dtype=np.float32)
    for row in range(scores.shape[0]):
        for column in range(len(starts)):
            size = stops[column] - starts[column]
            weights = counts[starts[column] : stops[column]]
            for j in range(size):  # once, for all relevants of the row
                gathered[j] = scores[row, groups[starts[column] + j]]
            for relevant in range(offsets[row], offsets[row + 1]):
                threshold = thresholds[relevant]
                above = np.int32(0)
                same = np.int32(0)
                for j in range(size):
                    above += weights[j] * np.int32(gathered[j] > threshold)
                    same += weights[j] * np.int32(gathered[j] == threshold)
                gt[relevant, column] += above
                eq[relevant, column] += same
