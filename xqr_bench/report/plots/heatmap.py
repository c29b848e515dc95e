"""Query languages by candidate languages: a score, a difference, or the place of each language in the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xqr_bench.comparison import PairMap
from xqr_bench.errors import UsageError
from xqr_bench.record import Record, relevance_ranks
from xqr_bench.relevance import variant_values
from xqr_bench.report.plots.style import (
    DARK,
    DIFFERENCE,
    FAINT,
    GREY,
    POSITION,
    SEQUENTIAL,
    SMALL,
    WIDTH,
    drawing,
    short,
    under,
)
from xqr_bench.report.terminal import number
from xqr_bench.scores import SettingScores, score
from xqr_bench.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, STRICT, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_WITH_NUMBERS = 13
SIGNIFICANT = "significant"
NEW_LINE = "\n"
POSITION_METRIC = "language_position"
# inches: title, names and colour bar of a map; another line of its title
AROUND = 0.75
TITLE_LINE = 0.12


@dataclass(frozen=True)
class Matrix:
    """What one heat map shows.

    Attributes:
        title: above it.
        rows, columns: names of the query and of the candidate languages.
        values: `[rows, columns]`, NaN where there is none.
        grey: cells that are not coloured.
        label: under the colour bar.
        colours: colour map.
        low, high: ends of the colour bar.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: FloatArray
    grey: Any
    label: str
    colours: str
    low: float
    high: float


def score_matrix(record: Record, metric: str, relevance: str = STRICT) -> Matrix:
    """A score in every language pair: monolingual on the diagonal, cross-lingual beside it.

    Args:
        record: with its ranks, where the rule is not the strict one: records hold no other scores of language pairs.
        metric: a score.
        relevance: the rule of relevance.
    """
    languages = tuple(record.task.languages)
    values = _empty(languages)
    mono, cross = (_scores(record, metric, relevance).get(setting) for setting in (MONOLINGUAL, CROSS_LINGUAL))
    for i, query in enumerate(languages):
        for j, candidate in enumerate(languages):
            if query == candidate:
                scores = mono.by_query_language.get(query, {}) if mono else {}
            else:
                scores = cross.by_language_pair.get(f"{query}>{candidate}", {}) if cross else {}
            one = scores.get(metric)
            if one is not None and one.value is not None:
                values[i, j] = one.value
    if np.isnan(values).all():
        raise UsageError(
            f"{record.model.name} on {record.task.name} has no {metric} for a language pair",
            found=", ".join(record.task.metrics),
            remedy="choose a score, such as map",
        )
    label = f"{metric}; diagonal: monolingual, beside it: cross-lingual"
    top = float(np.nanmax(values))
    title = f"{short(record.model.name)}, {record.task.title}{under(relevance, NEW_LINE)}"
    return Matrix(title, languages, languages, values, np.zeros(values.shape, bool), label, SEQUENTIAL, 0.0, top)


def _scores(record: Record, metric: str, relevance: str) -> dict[str, SettingScores]:
    if relevance == STRICT:
        return record.scores
    values = variant_values(relevance, relevance_ranks(record, relevance), [metric], record.task.settings)
    return score(values, {})[0]


def difference_matrix(found: PairMap) -> Matrix:
    """A difference in every language pair, grey where it is not significant."""
    values = _empty(found.languages)
    grey = np.zeros(values.shape, dtype=bool)
    place = {language: index for index, language in enumerate(found.languages)}
    for (query, candidate), cell in found.cells.items():
        values[place[query], place[candidate]] = cell.difference
        grey[place[query], place[candidate]] = cell.verdict != SIGNIFICANT
    reach = float(np.nanmax(np.abs(values))) or 1.0
    some = next(iter(found.cells.values()))
    label = f"difference in {found.metric}; grey: not significant\n({some.adjustment}, and by article)"
    title = f"{short(found.b)}\nminus {short(found.a)}, {found.task}{under(found.relevance, NEW_LINE)}"
    return Matrix(title, found.languages, found.languages, values, grey, label, DIFFERENCE, -reach, reach)


def position_matrix(record: Record) -> Matrix:
    """Where each candidate language stands among the relevants, and its mean over query languages."""
    languages = tuple(record.task.languages)
    values = np.full((len(languages) + 1, len(languages)), np.nan)
    scores = record.scores.get(MULTILINGUAL)
    for i, query in enumerate(languages):
        for j, candidate in enumerate(languages):
            found = scores.by_language_pair.get(f"{query}>{candidate}", {}) if scores else {}
            one = found.get(POSITION_METRIC)
            if one is not None and one.value is not None:
                values[i, j] = one.value
    if np.isnan(values).all():
        raise UsageError(
            f"{record.model.name} on {record.task.name} has no {POSITION_METRIC}",
            remedy="evaluate it again in the multilingual setting, at full depth",
        )
    values[-1] = np.nanmean(values[:-1], axis=0)
    label = "mean place among the relevants: 0 first, .5 fair, 1 last"
    title = f"{short(record.model.name)}, {record.task.title}"
    rows = (*languages, "mean")
    grey = np.zeros(values.shape, bool)
    return Matrix(title, rows, languages, values, grey, label, POSITION, 0.0, 1.0)


def _empty(languages: Sequence[str]) -> FloatArray:
    return np.full((len(languages), len(languages)), np.nan)


def draw(matrices: Sequence[Matrix]) -> Figure:
    """The heat maps, one under the other."""
    contents = [(WIDTH - 0.4) * len(matrix.rows) / len(matrix.columns) for matrix in matrices]
    around = sum(AROUND + TITLE_LINE * matrix.title.count("\n") for matrix in matrices)
    with drawing(sum(contents) + around) as figure:
        axes = figure.subplots(len(matrices), 1, squeeze=False, height_ratios=contents)[:, 0]
        for ax, matrix in zip(axes, matrices, strict=True):
            _one(figure, ax, matrix)
        return figure


def _one(figure: Figure, ax: Axes, matrix: Matrix) -> None:
    import matplotlib
    from matplotlib.patches import Rectangle

    colours = matplotlib.colormaps[matrix.colours].with_extremes(bad="white")
    shown = np.ma.masked_invalid(np.where(matrix.grey, np.nan, matrix.values))
    # edges between cells are drawn in white, so that cells of one colour can be told apart
    image = ax.pcolormesh(shown, cmap=colours, vmin=matrix.low, vmax=matrix.high, edgecolors="white", linewidth=0.5)
    ax.set_aspect("equal")
    ax.invert_yaxis()
    for row, column in np.argwhere(matrix.grey):
        ax.add_patch(Rectangle((column, row), 1, 1, facecolor=GREY, edgecolor="white", linewidth=0.5))
    ax.set_xticks(np.arange(len(matrix.columns)) + 0.5, matrix.columns)
    ax.set_yticks(np.arange(len(matrix.rows)) + 0.5, matrix.rows)
    ax.tick_params(length=0)
    ax.set_xlabel("candidate language")
    ax.set_ylabel("query language")
    ax.set_title(matrix.title)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if len(matrix.rows) > len(matrix.columns):
        ax.axhline(len(matrix.columns), color=DARK, linewidth=0.8)
    if len(matrix.columns) <= MOST_WITH_NUMBERS:
        _numbers(ax, matrix, colours)
    bar = figure.colorbar(image, ax=ax, orientation="horizontal", shrink=0.8, aspect=35, pad=0.02)
    bar.set_label(matrix.label)
    bar.outline.set_linewidth(0.5)


def _numbers(ax: Axes, matrix: Matrix, colours: Any) -> None:
    span = matrix.high - matrix.low
    largest = float(np.nanmax(np.abs(matrix.values)))
    for (row, column), value in np.ndenumerate(matrix.values):
        if np.isnan(value):
            continue
        red, green, blue, _ = colours((value - matrix.low) / span)
        light = matrix.grey[row, column] or 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        text = number(value, digits=2 if largest < 10 else 0).replace("-.00", ".00")
        colour = FAINT if matrix.grey[row, column] else "black" if light else "white"
        ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=SMALL, color=colour)
