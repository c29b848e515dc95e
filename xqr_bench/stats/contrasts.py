"""Figures as weights over cells: macro averages, one language, one pair, a group, a gap."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from xqr_bench.types import FloatArray


@dataclass(frozen=True)
class Contrasts:
    """Figures that are weighted sums of cell values: figure_f = sum over cells c of weights[c, f] value_c.

    Attributes:
        labels: what each figure is, `[figures]`.
        weights: float64 `[cells, figures]`.
    """

    labels: tuple[Hashable, ...]
    weights: FloatArray

    @classmethod
    def means(cls, n_cells: int, chosen: Iterable[tuple[Hashable, Sequence[int]]]) -> Contrasts:
        """Unweighted means over some cells each: (label, indices of cells)."""
        chosen = list(chosen)
        weights = np.zeros((n_cells, len(chosen)))
        for figure, (_, cells) in enumerate(chosen):
            weights[list(cells), figure] = 1.0 / max(len(cells), 1)
        return cls(tuple(label for label, _ in chosen), weights)

    def gaps(self, pairs: Iterable[tuple[Hashable, Hashable, Hashable]]) -> Contrasts:
        """Differences of figures: (label, minuend's label, subtrahend's label), such as a group minus English."""
        column = {label: index for index, label in enumerate(self.labels)}
        pairs = list(pairs)
        weights = np.zeros((len(self.weights), len(pairs)))
        for figure, (_, minuend, subtrahend) in enumerate(pairs):
            weights[:, figure] = self.weights[:, column[minuend]] - self.weights[:, column[subtrahend]]
        return Contrasts(tuple(label for label, _, _ in pairs), weights)

    def __add__(self, other: Contrasts) -> Contrasts:
        return Contrasts((*self.labels, *other.labels), np.hstack([self.weights, other.weights]))

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, chosen: Sequence[int]) -> Contrasts:
        """The figures with these indices."""
        return Contrasts(tuple(self.labels[index] for index in chosen), self.weights[:, list(chosen)])

    @cached_property
    def _sparse(self) -> Any:
        return sparse.csr_matrix(self.weights.T)

    def apply(self, values: FloatArray) -> FloatArray:
        """Figures from cell values.

        A cell that a figure does not use cannot make it NaN. The sparse product runs on one thread in a fixed
        order, so its bits do not depend on the number of threads.

        Args:
            values: `[rows, cells]` or `[cells]`.

        Returns:
            float64 `[rows, figures]` or `[figures]`.
        """
        if values.ndim == 1:
            row: FloatArray = self.apply(values[None])[0]
            return row
        figures: FloatArray = np.ascontiguousarray((self._sparse @ np.ascontiguousarray(values.T)).T)
        return figures
