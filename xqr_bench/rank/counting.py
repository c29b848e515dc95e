"""Where scores are made and counted: columns of a product, and what stands in them above and beside a relevant."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import xqr_bench.rank.product as tiles
from xqr_bench.core.errors import RanksError
from xqr_bench.core.types import IntArray
from xqr_bench.rank.product import Repeats, Vectors, find_repeats, multiply, prepared

# What is multiplied: the candidates, then one column for each group of equal vectors; cut into panels.

MOST_WORKERS = 16


@dataclass(frozen=True)
class Panel:
    """Some whole tiles of columns, multiplied together: candidates `start:stop`, then groups of equal vectors."""

    start: int
    stop: int
    group_start: int
    group_stop: int

    @property
    def candidates(self) -> int:
        """How many of its columns are candidates; the groups stand after them."""
        return self.stop - self.start

    @property
    def width(self) -> int:
        """Its columns."""
        return self.candidates + self.group_stop - self.group_start


class Columns:
    """The columns of the product.

    A candidate whose vector occurs more than once is not counted where it stands (equal columns of one product can
    have unequal bits) but in the column of its group, by how many candidates of each language are in the group.

    Args:
        edges: where each language begins among the candidates, int64 `[languages + 1]`.
        prepared: (start, stop) -> these candidates as they are multiplied, float32 `[stop - start, d]`.

    Attributes:
        repeats: the groups.
        pair_groups, pair_counts: (group, language) pairs ordered by language, then group: the group, int64 `[pairs]`,
            and how many candidates of the language it holds, int32 `[pairs]`.
        pair_edges: where each language begins among the pairs, int64 `[languages + 1]`.
    """

    def __init__(self, edges: IntArray, prepared: Callable[[int, int], tiles.Vectors]) -> None:
        self.edges = edges
        self.candidates = int(edges[-1])
        self.repeats: Repeats = find_repeats(self.candidates, prepared)
        self.groups = len(self.repeats.first)
        languages = np.searchsorted(edges, self.repeats.positions, side="right") - 1
        pairs, counts = np.unique(languages * max(1, self.groups) + self.repeats.groups, return_counts=True)
        self.pair_groups = pairs % max(1, self.groups)
        self.pair_counts = counts.astype(np.int32)
        self.pair_edges = np.searchsorted(pairs, np.arange(len(edges)) * max(1, self.groups)).astype(np.int64)

    def of(self, positions: IntArray) -> IntArray:
        """The column that holds the score of each candidate, int64 like `positions`; groups count from `candidates`."""
        found = np.searchsorted(self.repeats.positions, positions)
        columns = positions.copy()
        if self.groups:
            found = np.minimum(found, len(self.repeats.positions) - 1)
            repeated = self.repeats.positions[found] == positions
            columns[repeated] = self.candidates + self.repeats.groups[found[repeated]]
        return columns

    def local(self, columns: IntArray, panel: Panel) -> tuple[np.ndarray, IntArray]:
        """Which columns a panel holds, bool, and where in the panel those are, int64."""
        group = columns - self.candidates
        own = (columns >= panel.start) & (columns < panel.stop)
        grouped = (group >= panel.group_start) & (group < panel.group_stop)
        places = np.where(own, columns - panel.start, group - panel.group_start + panel.candidates)
        return own | grouped, places[own | grouped]

    def hidden(self, panel: Panel) -> IntArray:
        """Where in the panel stand candidates that are counted by group, ascending int64."""
        positions = self.repeats.positions
        low, high = np.searchsorted(positions, (panel.start, panel.stop))
        return positions[low:high] - panel.start

    def languages_in(self, panel: Panel) -> IntArray:
        """Where each language begins among the panel's candidates, int64 `[languages + 1]`."""
        return np.clip(self.edges, panel.start, panel.stop) - panel.start

    def pairs_in(self, panel: Panel) -> tuple[IntArray, IntArray]:
        """Which pairs belong to the panel's groups: first and last of each language, int64 `[languages]` both."""
        bounds = np.array([panel.group_start, panel.group_stop])
        found = [
            low + np.searchsorted(self.pair_groups[low:high], bounds)
            for low, high in zip(self.pair_edges[:-1], self.pair_edges[1:], strict=True)
        ]
        low_high = np.array(found, dtype=np.int64).reshape(-1, 2)
        return low_high[:, 0].copy(), low_high[:, 1].copy()

    def groups_in(self, panel: Panel) -> tuple[IntArray, NDArray[np.int32], IntArray, IntArray]:
        """The pairs as `kernel.count_groups` takes them: places, numbers, first and last of each language."""
        return (self.pair_groups - panel.group_start + panel.candidates, self.pair_counts, *self.pairs_in(panel))

    def panels(self, width: int) -> list[Panel]:
        """Cut at the edges of tiles, so that a panel has at most `width` columns (at least one tile)."""
        step = tiles.TILE_COLUMNS
        cut: list[tuple[list[range], list[range]]] = []  # tiles of candidates, tiles of groups
        held = width + 1
        for kind, size in enumerate((self.candidates, self.groups)):
            for start in range(0, size, step):
                tile = range(start, min(start + step, size))
                if held + len(tile) > width:
                    cut.append(([], []))
                    held = 0
                cut[-1][kind].append(tile)
                held += len(tile)
        return [Panel(*_ends(candidates), *_ends(groups)) for candidates, groups in cut]


def _ends(joined: list[range]) -> tuple[int, int]:
    return (joined[0].start, joined[-1].stop) if joined else (0, 0)


def share(columns: int, dimensions: int, memory: int) -> tuple[int, int]:
    """How many threads and how wide a panel a memory budget allows.

    A panel holds its vectors once and a block of scores a thread. Panels that are not the whole are multiplied
    twice, first for the thresholds, then to count.

    Returns:
        threads and columns of a panel.

    Raises:
        RanksError: a budget below the default does not hold one tile.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    best = (0.0, 1, tiles.TILE_COLUMNS)
    for workers in range(1, min(cores, MOST_WORKERS) + 1):
        width = memory // (4 * (tiles.TILE_ROWS * workers + dimensions))
        if width >= columns:
            best = max(best, (float(workers), workers, max(1, columns)))
        elif width >= tiles.TILE_COLUMNS:
            best = max(best, (workers / 2, workers, width))
    least = 4 * min(columns, tiles.TILE_COLUMNS) * (tiles.TILE_ROWS + dimensions)
    if not best[0] and least > memory and memory < tiles.DEFAULT_MEMORY:
        raise RanksError(
            f"a memory budget of {memory / 2**20:,.0f} MiB is too small to rank {columns:,} vectors of "
            f"{dimensions:,} dimensions",
            remedy=f"give --memory {-(-least // 2**20)}MiB or more",
        )
    return best[1], best[2]


# Scores of a block of queries against a panel, and the counting in them, on the processor.


class Counter(Protocol):
    """Where scores are made and counted; one for each thread, over the same vectors.

    Attributes:
        columns: what is multiplied.
        panels: how it is cut.
        workers: threads that may count at once.
    """

    columns: Columns
    panels: list[Panel]
    workers: int

    def hold(self, panel: Panel) -> Any:
        """Prepare a panel's vectors, for `score` of every thread."""

    def another(self) -> Counter:
        """The same, with scores of its own."""

    def score(self, start: int, stop: int, held: Any) -> None:
        """Multiply these queries with a held panel."""

    def at(self, rows: IntArray, places: IntArray) -> Vectors:
        """Scores of the block at hand at these rows and places in the panel, float32."""

    def count(self, offsets: IntArray, thresholds: Vectors, gt: NDArray[np.int32], eq: NDArray[np.int32]) -> None:
        """Add to gt and eq what the block at hand has above and at the thresholds (see `kernel.count_rows`)."""

    def top(self, best: Vectors, count: NDArray[np.int32]) -> None:
        """Raise best and count to what the block at hand has at each language's top (see `pool_kernel.count_top`)."""

    def scores(self) -> Vectors:
        """The block at hand, float32 `[rows, panel width]`; -inf where a candidate is counted by group."""


@dataclass(frozen=True)
class Held:
    """A panel with its vectors where they are multiplied: arrays of numpy or torch, `[n, d]` each."""

    panel: Panel
    candidates: Any
    groups: Any


class ProcessorCounter:
    """Counts with numpy's BLAS and a compiled kernel.

    Args:
        edges: where each language begins among the candidates, int64 `[languages + 1]`.
        queries, candidates: float32 `[n, d]`.
        unit: bring the vectors to unit length, a block and a panel at a time.
        memory: bytes for the prepared vectors and the scores, of all threads together; the counts do not depend on it.
    """

    def __init__(self, edges: IntArray, queries: Vectors, candidates: Vectors, *, unit: bool, memory: int) -> None:
        self._queries, self._candidates, self._unit = queries, candidates, unit
        whole = self._prepared(candidates) if 4 * candidates.size <= memory else None
        self.columns = Columns(
            edges, lambda start, stop: self._prepared(candidates[start:stop]) if whole is None else whole[start:stop]
        )
        total = self.columns.candidates + self.columns.groups
        self.workers, width = share(total, candidates.shape[1], memory)
        self.panels = self.columns.panels(width)
        self._whole = whole if len(self.panels) == 1 else None
        self._buffer: Vectors | None = None
        self._held: Held | None = None
        self._scores: Vectors = np.empty((0, 0), dtype=np.float32)

    def _prepared(self, vectors: Vectors) -> Vectors:
        return prepared(vectors, self._unit)

    def hold(self, panel: Panel) -> Held:
        """Prepare a panel's vectors."""
        candidates = self._whole
        if candidates is None:
            candidates = self._prepared(self._candidates[panel.start : panel.stop])
        first = self.columns.repeats.first[panel.group_start : panel.group_stop]
        return Held(panel, candidates, self._prepared(self._candidates[first]))

    def another(self) -> ProcessorCounter:
        """The same with scores of its own."""
        other = copy(self)
        other._buffer = None
        return other

    def score(self, start: int, stop: int, held: Held) -> None:
        """Multiply these queries with a held panel."""
        from xqr_bench.rank.kernels import hide

        if self._buffer is None:
            rows = min(tiles.TILE_ROWS, len(self._queries))
            self._buffer = np.empty((rows, max(panel.width for panel in self.panels)), dtype=np.float32)
        panel, block = held.panel, self._prepared(self._queries[start:stop])
        self._held = held
        self._scores = self._buffer[: stop - start, : panel.width]
        multiply(block, held.candidates, self._scores[:, : panel.candidates])
        multiply(block, held.groups, self._scores[:, panel.candidates :])
        hide(self._scores, self.columns.hidden(panel))

    def at(self, rows: IntArray, places: IntArray) -> Vectors:
        """Scores at these rows and places."""
        return self._scores[rows, places]

    def scores(self) -> Vectors:
        """The block at hand."""
        return self._scores

    def count(self, offsets: IntArray, thresholds: Vectors, gt: NDArray[np.int32], eq: NDArray[np.int32]) -> None:
        """Add to gt and eq what the block at hand has above and at the thresholds."""
        from xqr_bench.rank.kernels import count_groups, count_rows

        panel, columns = self._panel(), self.columns
        # the whole block: the loops do not vectorise over a part of its columns
        count_rows(self._scores, columns.languages_in(panel), offsets, thresholds, gt, eq)
        if panel.group_stop > panel.group_start:
            count_groups(self._scores, *columns.groups_in(panel), offsets, thresholds, gt, eq)

    def top(self, best: Vectors, count: NDArray[np.int32]) -> None:
        """Raise best and count to what the block at hand has at the top of each language."""
        from xqr_bench.rank.kernels import count_top, count_top_groups

        panel, columns = self._panel(), self.columns
        count_top(self._scores, columns.languages_in(panel), best, count)
        if panel.group_stop > panel.group_start:
            count_top_groups(self._scores, *columns.groups_in(panel), best, count)

    def _panel(self) -> Panel:
        if self._held is None:
            raise TypeError("nothing was scored yet")
        return self._held.panel
