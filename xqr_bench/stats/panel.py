"""Per-query values laid out as questions x settings, the form every resampling works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xqr_bench.errors import UsageError
from xqr_bench.metrics.base import SetStatistic
from xqr_bench.metrics.per_query import Cell, PerQuery
from xqr_bench.stats.units import Units
from xqr_bench.types import FloatArray


@dataclass(frozen=True)
class Panel:
    """One metric in one family of settings: sums and counts by question and cell.

    A cell's value is a function of its sums over questions: for a mean the sum divided by the count, for a set
    statistic (Kendall's W) what the statistic makes of the summed features. So resampling questions, exchanging the
    rows of two records and leaving one out are all operations on sums, and share their code. An undefined value has
    count 0; it is never a zero among the values.

    Attributes:
        cells: the settings proper (language pairs), `[cells]`.
        sums: float64 `[questions, cells, f]`; f = 1 for a mean.
        counts: number of defined values, float64 `[questions, cells]`.
        statistic: of a set statistic, else None.
        name: `setting metric`, for messages.
    """

    cells: tuple[Cell, ...]
    sums: FloatArray
    counts: FloatArray
    statistic: SetStatistic | None = None
    name: str = ""

    @property
    def n_questions(self) -> int:
        """Questions of the task, with or without a value here."""
        return len(self.counts)

    @cached_property
    def totals(self) -> FloatArray:
        """Number of values of each cell (n_s), float64 `[cells]`."""
        total: FloatArray = self.counts.sum(axis=0)
        return total

    @cached_property
    def estimate(self) -> FloatArray:
        """Value of each cell, float64 `[cells]`, NaN where undefined."""
        return self.value(self.sums.sum(axis=0), self.totals)

    def value(self, sums: FloatArray, counts: FloatArray) -> FloatArray:
        """Values from summed features.

        Args:
            sums: `[..., cells, f]`.
            counts: `[..., cells]`.

        Returns:
            float64 `[..., cells]`, NaN where nothing was counted or the statistic is undefined.
        """
        some = counts > 0
        if self.statistic is None:
            return np.where(some, sums[..., 0] / np.where(some, counts, 1.0), np.nan)
        values = np.full(np.broadcast_shapes(counts.shape, sums.shape[:-1]), np.nan)
        some = np.broadcast_to(some, values.shape)
        values[some] = self.statistic.value(sums[some], np.broadcast_to(counts, values.shape)[some])
        return values


def panel(values: PerQuery, units: Units) -> Panel:
    """Lay out per-query values; several values of one question in one cell are summed.

    Args:
        values: of one metric in one setting.
        units: the questions of the ranks that the values come from.
    """
    rows = values.values[:, None] if values.features is None else values.features
    defined = ~np.asarray(np.isnan(rows).any(axis=1))
    place = (units.question[values.queries[defined]], values.cell[defined])
    sums = np.zeros((units.n_questions, len(values.cells), rows.shape[1]))
    counts = np.zeros(sums.shape[:2])
    np.add.at(sums, place, rows[defined])
    np.add.at(counts, place, 1.0)
    statistic = values.metric.set_statistic
    if values.features is None and statistic is not None:
        statistic = None  # undefined as a whole: every cell is NaN
    return Panel(values.cells, sums, counts, statistic, f"{values.setting} {values.metric.name}")


def check_same_layout(panels: Sequence[Panel]) -> None:
    """Raise UsageError unless the panels hold values for the same questions in the same cells."""
    first = panels[0]
    for other in panels[1:]:
        if other.cells != first.cells or not np.array_equal(other.counts, first.counts):
            raise UsageError(
                f"{first.name}: the records do not have values for the same queries and language pairs",
                found=f"{int(first.totals.sum())} and {int(other.totals.sum())} values "
                f"in {len(first.cells)} and {len(other.cells)} language pairs",
                remedy="compare full-depth records of the same task data",
            )


def difference_panel(a: Panel, b: Panel) -> Panel:
    """b - a of two panels of means: the difference of means is the mean of differences."""
    return Panel(a.cells, b.sums - a.sums, a.counts, None, a.name)
