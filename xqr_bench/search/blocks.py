"""Blocks of scores -> ranks, where a language's own ranking is not a part of the pooled one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from xqr_bench.search.exact import ranks_of, relevant_rows
from xqr_bench.search.hits import ScoreBlock
from xqr_bench.search.variants import Variants
from xqr_bench.types import Ranks, TaskData


def ranks_of_scores(
    data: TaskData, blocks: Iterable[ScoreBlock], progress: Callable[[int], None] | None = None
) -> Ranks:
    """Count every relevant's rank from scores of the whole pool and of each language by itself.

    Args:
        data: the task.
        blocks: scores of all queries, in order.
        progress: called with the number of queries of each block, when it is counted.
    """
    from xqr_bench.search.kernel import count_rows

    offsets, positions = relevant_rows(data)
    edges = np.append(0, np.cumsum(data.column_sizes))
    shape = (2, len(positions), len(data.languages))
    pooled, own = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    variants = Variants(data, separate=True)
    for block in blocks:
        stop = block.start + len(block.pooled)
        rows = slice(int(offsets[block.start]), int(offsets[stop]))
        starts = offsets[block.start : stop + 1] - offsets[block.start]
        of_row = np.repeat(np.arange(len(block.pooled)), np.diff(starts))
        for scores, (gt, eq) in ((block.pooled, pooled), (block.own, own)):
            thresholds = scores[of_row, positions[rows]]
            count_rows(scores, edges, starts, thresholds, gt[rows], eq[rows])
        variants.count_block(block.start, block.pooled, block.own)
        if progress is not None:
            progress(stop - block.start)
    ranks = ranks_of(data, offsets, positions, *pooled)
    each = np.arange(len(positions))
    own_gt, own_eq = (counts[each, ranks.relevant_columns] for counts in own)
    return variants.attach(replace(ranks, own_gt=own_gt, own_eq=own_eq))
