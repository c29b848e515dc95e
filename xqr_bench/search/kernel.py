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
