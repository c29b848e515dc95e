"""Scores of a block of queries against a panel, and the counting in them, on the processor."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import xqr_bench.search.product as tiles
from xqr_bench.search.columns import Columns, Panel, share
from xqr_bench.search.product import Vectors, multiply, unit_vectors
from xqr_bench.types import IntArray


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
class _Held:
    panel: Panel
    candidates: Vectors
    groups: Vectors


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
        self._held: _Held | None = None
        self._scores: Vectors = np.empty((0, 0), dtype=np.float32)

    def _prepared(self, vectors: Vectors) -> Vectors:
        return unit_vectors(vectors) if self._unit else np.ascontiguousarray(vectors, dtype=np.float32)

    def hold(self, panel: Panel) -> _Held:
        """Prepare a panel's vectors."""
        candidates = self._whole
        if candidates is None:
            candidates = self._prepared(self._candidates[panel.start : panel.stop])
        first = self.columns.repeats.first[panel.group_start : panel.group_stop]
        return _Held(panel, candidates, self._prepared(self._candidates[first]))

    def another(self) -> ProcessorCounter:
        """The same with scores of its own."""
        other = copy(self)
        other._buffer = None
        return other

    def score(self, start: int, stop: int, held: _Held) -> None:
        """Multiply these queries with a held panel."""
        from xqr_bench.search.kernel import hide

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
        from xqr_bench.search.kernel import count_groups, count_rows

        panel, columns = self._panel(), self.columns
        # the whole block: the loops do not vectorise over a part of its columns
        count_rows(self._scores, columns.languages_in(panel), offsets, thresholds, gt, eq)
        if panel.group_stop > panel.group_start:
            count_groups(self._scores, *columns.groups_in(panel), offsets, thresholds, gt, eq)

    def top(self, best: Vectors, count: NDArray[np.int32]) -> None:
        """Raise best and count to what the block at hand has at the top of each language."""
        from xqr_bench.search.pool_kernel import count_top, count_top_groups

        panel, columns = self._panel(), self.columns
        count_top(self._scores, columns.languages_in(panel), best, count)
        if panel.group_stop > panel.group_start:
            count_top_groups(self._scores, *columns.groups_in(panel), best, count)

    def _panel(self) -> Panel:
        if self._held is None:
            raise TypeError("nothing was scored yet")
        return self._held.panel
