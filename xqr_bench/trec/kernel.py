"""The compiled loop over the lines of a run: what stands above and beside each relevant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xqr_bench.jit import compiled


@compiled()
def count_lines(
    starts: NDArray[np.int64],
    documents: NDArray[np.int64],
    scores: NDArray[np.float32],
    columns: NDArray[np.int64],
    numbers: NDArray[np.int64],
    offsets: NDArray[np.int64],
    positions: NDArray[np.int64],
    seen: NDArray[np.int64],
    score_of: NDArray[np.float32],
    gt: NDArray[np.int32],
    eq: NDArray[np.int32],
) -> int:
    """Count for some lists of a run; a relevant that is not in its list keeps the counts it has.

    Args:
        starts: where the lines of each list begin, int64 `[lists + 1]`.
        documents: candidate of each line, int64 `[lines]`.
        scores: float32 `[lines]`.
        columns: column of each candidate, int64 `[candidates]`.
        numbers: which list of the task each is, int64 `[lists]`, each once in a file.
        offsets, positions: the relevants of the task's lists (see `Lists`).
        seen: the last list in which each candidate stood, int64 `[candidates]`, -1 at first; changed.
        score_of: room for a score per candidate, float32 `[candidates]`; changed.
        gt, eq: int32 `[rows, columns]`, written for the relevants that are there.

    Returns:
        the first line whose candidate its list holds already, or -1.
    """
    for i in range(len(numbers)):
        number = numbers[i]
        for line in range(starts[i], starts[i + 1]):
            document = documents[line]
            if seen[document] == number:
                return line
            seen[document] = number
            score_of[document] = scores[line]
        for row in range(offsets[number], offsets[number + 1]):
            if seen[positions[row]] != number:
                continue
            threshold = score_of[positions[row]]
            gt[row, :] = 0
            eq[row, :] = 0
            for line in range(starts[i], starts[i + 1]):
                column = columns[documents[line]]
                gt[row, column] += np.int32(scores[line] > threshold)
                eq[row, column] += np.int32(scores[line] == threshold)
    return -1
