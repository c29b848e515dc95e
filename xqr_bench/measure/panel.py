"""What every resampling works on: units of sampling, questions x settings, and figures as weights over their cells.

The question is the unit of sampling (an id shared by its translations); the article is the conservative one. Every
random draw takes an explicit generator.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import FloatArray, IntArray, Ranks
from xqr_bench.measure.metrics import SetStatistic
from xqr_bench.measure.metrics.per_query import Cell, PerQuery

# Units of sampling: the question, shared by its translations, and the article it stands in.


@dataclass(frozen=True)
class Units:
    """Questions in alphabetical order of their ids, so that two records of the same task data agree on them.

    Attributes:
        questions: ids, str `[questions]`.
        question: number of the question of each query, int64 `[queries]`.
        article: number of the article of each question, 0 .. G-1 without gaps, int64 `[questions]`.
    """

    questions: tuple[str, ...]
    question: IntArray
    article: IntArray

    @property
    def n_questions(self) -> int:
        """Number of questions."""
        return len(self.questions)

    @cached_property
    def n_articles(self) -> int:
        """Number of articles (G)."""
        return int(self.article.max(initial=-1)) + 1

    def by_article(self, values: FloatArray) -> FloatArray:
        """Sum values `[questions, k]` by article, float64 `[articles, k]`."""
        sums = np.zeros((self.n_articles, *values.shape[1:]))
        np.add.at(sums, self.article, values)
        return sums


def sampling_units(ranks: Ranks) -> Units:
    """The questions and articles of the queries of `ranks`."""
    names, first, question = np.unique(np.asarray(ranks.question_ids), return_index=True, return_inverse=True)
    _, article = np.unique(np.asarray(ranks.articles)[first], return_inverse=True)
    return Units(tuple(str(name) for name in names), question.astype(np.int64), article.astype(np.int64))


def shared_units(all_units: Iterable[Units]) -> Units:
    """The units that several records have in common.

    Raises:
        UsageError: their questions or articles differ.
    """
    first, *others = all_units
    for other in others:
        if other.questions != first.questions or not np.array_equal(other.article, first.article):
            raise UsageError(
                "the records do not have the same questions and articles",
                found=f"{first.n_questions} and {other.n_questions} questions, "
                f"{first.n_articles} and {other.n_articles} articles",
                remedy="compare records of the same task data",
            )
    return first


# Per-query values laid out as questions x settings, the form every resampling works on.


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

    def by_article(self, units: Units) -> Panel:
        """The same with articles in place of questions, to resample those."""
        return replace(self, sums=units.by_article(self.sums), counts=units.by_article(self.counts))

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
    shape = (units.n_questions, len(values.cells))
    place = units.question[values.queries[defined]] * shape[1] + values.cell[defined]
    counts = np.bincount(place, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
    sums = np.empty((*shape, rows.shape[1]))
    for feature, of_rows in enumerate(rows[defined].T):
        sums[..., feature] = np.bincount(place, of_rows, counts.size).reshape(shape)
    # without features it is undefined as a whole: every cell is NaN
    statistic = None if values.features is None else values.metric.set_statistic
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


# Figures as weights over cells: macro averages, one language, one pair, a group, a gap.


def alike(panel: Panel, used: NDArray[np.bool_]) -> list[list[int]]:
    """The cells that are of the same questions and in the same figures; those in none are left out.

    The mean of such cells is a mean of its own, whichever questions are drawn, but for rounding: one column takes the
    place of those of a hundred language pairs. Statistics of sets are no means.

    Args:
        panel: the cells.
        used: which figures each is in, bool `[cells, figures]`.
    """
    same: dict[tuple[bytes, ...], list[int]] = {}
    for cell in np.flatnonzero(used.any(axis=1)).tolist():
        of_set = () if panel.statistic is None else (str(cell).encode(),)
        same.setdefault((used[cell].tobytes(), panel.counts[:, cell].tobytes(), *of_set), []).append(cell)
    return list(same.values())


@dataclass(frozen=True)
class Contrasts:
    """Figures that are weighted sums of cell values: figure_f = sum over cells c of weights[c, f] value_c.

    Attributes:
        labels: what each figure is, `[figures]`.
        weights: float64 `[cells, figures]`.
    """

    labels: tuple[Any, ...]
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
        figures: FloatArray = np.ascontiguousarray((self._sparse @ np.ascontiguousarray(values.T)).T)
        return figures


def merged(panel: Panel, contrasts: Contrasts) -> tuple[Panel, Contrasts]:
    """The same single figure with one cell, where all cells that it uses are of the same questions.

    sum over cells c of weight_c sums_c / n is a mean of its own, but for rounding: to resample it takes one column, and
    not one of each of 110 language pairs. Statistics of sets are no means.
    """
    used = np.flatnonzero(contrasts.weights.any(axis=1))
    alike = panel.statistic is None and len(contrasts) == 1 and len(set(panel.totals[used].tolist())) == 1
    counts = panel.counts[:, used if alike else []]
    if not alike or (counts != counts[:, :1]).any():
        return panel, contrasts
    sums = panel.sums[:, used, 0] @ contrasts.weights[used]
    one = replace(panel, cells=panel.cells[:1], sums=sums[..., None], counts=counts[:, :1])
    return one, Contrasts(contrasts.labels, np.ones((1, 1)))
