"""Charts: heat maps, bars by language, differences with their intervals, the frontier, pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xqr_bench.analysis.choice import Comparison, TaskComparison
from xqr_bench.analysis.compare import PairMap
from xqr_bench.analysis.pools import Change, PoolReport
from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import (
    CROSS_LINGUAL,
    MONOLINGUAL,
    MOST_COLUMNS,
    MULTILINGUAL,
    STRICT,
    FloatArray,
    collapses,
)
from xqr_bench.measure.paired import QUESTION_ONLY, SIGNIFICANT, TOO_FEW
from xqr_bench.measure.scores import SettingScores, all_per_query, is_thin
from xqr_bench.measure.scores import score as score_text
from xqr_bench.rank.rules import variant_metrics
from xqr_bench.record import Record, Result
from xqr_bench.report.canvas import (
    BLUE,
    COLOURS,
    DARK,
    DARK_GREY,
    DIFFERENCE,
    FAINT,
    GREY,
    POSITION,
    SEQUENTIAL,
    SMALL,
    WIDTH,
    colour_bar,
    drawing,
    estimate,
    headline,
    legend,
    named_rows,
    under,
)
from xqr_bench.report.frontier import Point, by_rank
from xqr_bench.report.numbers import cell_name, metric_title, number, on_two_lines, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Query languages by candidate languages: a score, a difference, or the place of each language in the ranking.

MOST_WITH_NUMBERS = 13
NEW_LINE = "\n"
POSITION_METRIC = "language_position"
# inches: title, names and colour bar of a map; another line of its title
AROUND_MAP = 0.75
MAP_TITLE_LINE = 0.12


@dataclass(frozen=True)
class Matrix:
    """A heat map: values `[query languages, candidate languages]`, perhaps with a last row of means; NaN: no value."""

    title: str
    languages: Sequence[str]
    values: FloatArray
    label: str  # under the colour bar
    colours: str
    low: float
    high: float
    grey: Any = False  # cells without colour, an array as the values


def _refuse_many(record: Record) -> None:
    """Raise UsageError where a record holds no figures of single language pairs."""
    if collapses(record.task.languages):
        raise UsageError(
            f"records of more than {MOST_COLUMNS} languages hold no figures of single language pairs",
            found=f"{len(record.task.languages)} languages in {record.task.name}",
            remedy=f"evaluate at most {MOST_COLUMNS} of them: --languages",
        )


def score_matrix(record: Record, metric: str, relevance: str = STRICT) -> Matrix:
    """A score in every language pair: monolingual on the diagonal, cross-lingual beside it.

    Under another rule than the strict one the record needs its ranks: it holds no such scores of language pairs.
    """
    _refuse_many(record)
    scores = record.scores
    if relevance != STRICT:
        if not isinstance(record, Result):
            raise TypeError(f"scores of language pairs under {relevance} relevance need the ranks of the record")
        metrics = variant_metrics(relevance, [metric])
        by_query = all_per_query(record.ranks_under(relevance), metrics, record.task.settings)
        scores = score_text(by_query, {})[0]
    cells = _of_pairs(scores.get(CROSS_LINGUAL), metric)
    if MONOLINGUAL in scores:
        of_languages = scores[MONOLINGUAL].by_query_language.items()
        cells |= {(code, code): figures[metric].value for code, figures in of_languages if metric in figures}
    values = _values(record.task.all_languages, cells)
    if np.isnan(values).all():
        raise UsageError(
            f"{record.model.name} on {record.task.name} has no {metric} for a language pair",
            found=", ".join(record.task.metrics),
            remedy="choose a score, such as map",
        )
    label = f"{metric_title(metric)}; diagonal: monolingual, beside it: cross-lingual"
    title = f"{short(record.model.name)}, {record.task.title}{under(relevance, NEW_LINE)}"
    return Matrix(title, record.task.all_languages, values, label, SEQUENTIAL, 0.0, float(np.nanmax(values)))


def difference_matrix(pairs: PairMap) -> Matrix:
    """A difference in every language pair, grey where it is not significant."""
    values = _values(pairs.languages, {pair: cell.difference for pair, cell in pairs.cells.items()})
    significant = _values(pairs.languages, {pair: cell.verdict == SIGNIFICANT for pair, cell in pairs.cells.items()})
    reach = float(np.nanmax(np.abs(values))) or 1.0
    some = next(iter(pairs.cells.values()))
    what = f"difference in {metric_title(pairs.metric, inside=True)}"
    label = f"{what}; grey: not significant\n({some.adjustment}, and by article)"
    title = f"{short(pairs.b)}\nminus {short(pairs.a)}, {pairs.task}{under(pairs.relevance, NEW_LINE)}"
    return Matrix(title, pairs.languages, values, label, DIFFERENCE, -reach, reach, significant == 0)


def position_matrix(record: Record) -> Matrix:
    """Where each candidate language stands among the relevants, and its mean over query languages."""
    _refuse_many(record)
    values = _values(record.task.all_languages, _of_pairs(record.scores.get(MULTILINGUAL), POSITION_METRIC))
    if np.isnan(values).all():
        raise UsageError(
            f"{record.model.name} on {record.task.name} has no {POSITION_METRIC}",
            remedy="evaluate it again in the multilingual setting, at full depth",
        )
    values = np.vstack([values, values.mean(axis=0)])  # of all query languages, or none
    label = "mean place among the relevants: 0 first, .5 fair, 1 last"
    title = f"{short(record.model.name)}, {record.task.title}"
    return Matrix(title, record.task.all_languages, values, label, POSITION, 0.0, 1.0)


def _of_pairs(scores: SettingScores | None, metric: str) -> dict[tuple[str, str], float | None]:
    """(query language, candidate language) -> value."""
    pairs = scores.by_language_pair.items() if scores else ()
    return {
        (pair.partition(">")[0], pair.partition(">")[2]): figures[metric].value
        for pair, figures in pairs
        if metric in figures
    }


def _values(languages: Sequence[str], cells: Mapping[tuple[str, str], float | None]) -> FloatArray:
    """A square of all pairs of languages, NaN where there is no value."""
    return np.array([[cells.get((query, candidate)) for candidate in languages] for query in languages], dtype=float)


def draw_heatmap(matrices: Sequence[Matrix]) -> Figure:
    """The heat maps, one under the other."""
    contents = [(WIDTH - 0.4) * len(matrix.values) / len(matrix.languages) for matrix in matrices]
    around = sum(AROUND_MAP + MAP_TITLE_LINE * matrix.title.count("\n") for matrix in matrices)
    with drawing(sum(contents) + around, len(matrices), height_ratios=contents) as (figure, axes):
        for ax, matrix in zip(axes.flat, matrices, strict=True):
            _heat_map(figure, ax, matrix)
        return figure


def _heat_map(figure: Figure, ax: Axes, matrix: Matrix) -> None:
    import matplotlib
    from matplotlib.patches import Rectangle

    colours = matplotlib.colormaps[matrix.colours].with_extremes(bad="white")
    size, grey = len(matrix.languages), np.broadcast_to(matrix.grey, matrix.values.shape)
    coloured = np.ma.masked_invalid(np.where(grey, np.nan, matrix.values))
    # edges between cells are drawn in white, so that cells of one colour can be told apart
    image = ax.pcolormesh(coloured, cmap=colours, vmin=matrix.low, vmax=matrix.high, edgecolors="white", linewidth=0.5)
    ax.set_aspect("equal")
    ax.invert_yaxis()
    for row, column in np.argwhere(grey):
        ax.add_patch(Rectangle((column, row), 1, 1, facecolor=GREY, edgecolor="white", linewidth=0.5))
    ax.set_xticks(np.arange(size) + 0.5, matrix.languages)
    ax.set_yticks(np.arange(len(matrix.values)) + 0.5, [*matrix.languages, "mean"][: len(matrix.values)])
    ax.tick_params(length=0)
    ax.set_xlabel("candidate language")
    ax.set_ylabel("query language")
    headline(figure, ax, matrix.title)
    ax.spines[:].set_visible(False)
    if len(matrix.values) > size:
        ax.axhline(size, color=DARK, linewidth=0.8)
    digits = 2 if float(np.nanmax(np.abs(matrix.values))) < 10 else 0
    for (row, column), value in np.ndenumerate(matrix.values) if size <= MOST_WITH_NUMBERS else ():
        if np.isnan(value):
            continue
        red, green, blue, _ = colours((value - matrix.low) / (matrix.high - matrix.low))
        light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        colour = FAINT if grey[row, column] else "black" if light else "white"
        text = number(value, digits=digits).replace("-.00", ".00")
        ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=SMALL, color=colour)
    colour_bar(figure, ax, image, matrix.label, orientation="horizontal", aspect=35)


# Scores by query language, with intervals.

BARS_PANEL = 1.25  # inches
# neighbours are told apart in grey too: dark and light take turns, and the second four are hatched
BAR_COLOURS = tuple(COLOURS[place] for place in (0, 1, 2, 7, 5, 4, 6, 3))
PLAIN_BARS = 4


def draw_bars(records: Sequence[Record], metric: str, setting: str, relevance: str = STRICT) -> Figure:
    """Bars by query language, one panel for the records of each task; whiskers are the 95% intervals from questions.

    Raises:
        UsageError: too many records, or one without these scores.
        RecordError: a record has none under this rule of relevance.
    """
    by_task: dict[str, list[Record]] = {}
    for record in records:
        by_task.setdefault(record.task.name, []).append(record)
    most = max(map(len, by_task.values()))
    if most > len(COLOURS):
        raise UsageError(f"{most} records are too many to tell apart", remedy=f"name at most {len(COLOURS)}")
    height = sum(BARS_PANEL + 0.55 + 0.13 * len(of_task) for of_task in by_task.values())
    with drawing(height, len(by_task)) as (figure, axes):
        for ax, of_task in zip(axes.flat, by_task.values(), strict=True):
            _bars_panel(figure, ax, of_task, metric, setting, relevance)
        return figure


def _bars_panel(figure: Figure, ax: Axes, records: Sequence[Record], metric: str, setting: str, relevance: str) -> None:
    languages = records[0].task.all_languages
    width = 0.8 / len(records)
    lowest = 0.0
    for place, record in enumerate(records):
        scores = record.scores_under(relevance).get(setting)
        of_metric = [(scores.by_query_language.get(name, {}) if scores else {}).get(metric) for name in languages]
        values = np.array([np.nan if score is None or score.value is None else score.value for score in of_metric])
        if np.isnan(values).all():
            raise UsageError(
                f"{record.model.name} on {record.task.name} has no {setting} {metric} by query language",
                found=f"{', '.join(record.scores)}; {', '.join(record.task.metrics)}",
                remedy="choose another metric or setting",
            )
        lowest = min(lowest, float(np.nanmin(values)))
        at = np.arange(len(languages)) + (place - (len(records) - 1) / 2) * width
        drawn: dict[str, Any] = {"color": BAR_COLOURS[place], "edgecolor": DARK, "linewidth": 0.3}
        hatch = "" if place < PLAIN_BARS else "/////"
        ax.bar(at, values, width * 0.92, hatch=hatch, label=short(record.model.name, 44), **drawn)
        for x, score in zip(at, of_metric, strict=True):
            if score is not None and score.interval is not None and not score.thin[0]:
                ends = (score.interval.low, score.interval.high)
                ax.plot([x, x], ends, color=DARK, linewidth=0.9, solid_capstyle="butt")
    ax.set_xticks(np.arange(len(languages)), languages)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(languages) - 0.4)
    if lowest >= 0:
        ax.set_ylim(bottom=0)
    ax.set_ylabel(metric_title(metric))
    ax.set_xlabel("query language; whiskers: 95% interval over questions")
    # the legend stands between title and bars, a line a record
    headline(figure, ax, f"{records[0].task.title}, {setting}{under(relevance)}", pad=6 + 8.5 * len(records))
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        frameon=False,
        borderaxespad=0,
        borderpad=0.3,
        labelspacing=0.25,
        handlelength=1,
    )


# Differences with their intervals, one row each.

# inches: a row, the ticks of a panel, the name of its axis, a line of its title, the legend
ROW = 0.165
TICKS = 0.24
AXIS_NAME = 0.14
FOREST_TITLE_LINE = 0.13
LEGEND = 0.5
ONE_LINE = 20  # characters
MARKER = 3.6
MOST_ROWS = 60
ForestRow = tuple[str, Comparison | None]
"""A label with its comparison; without one it is a heading."""


@dataclass(frozen=True)
class ForestPanel:
    """The rows of one setting, whose differences have a scale of their own.

    Attributes:
        title: above it; empty: none.
        label: of its axis; empty: that of the next panel below says it.
        rows: from the top.
    """

    title: str
    label: str
    rows: Sequence[ForestRow]

    @property
    def height(self) -> float:
        """Of its rows, in inches."""
        return ROW * sum(_size(label) for label, _ in self.rows)


def draw_forest(tasks: Sequence[TaskComparison]) -> Figure:
    """A panel for each task, metric and setting: a thick line is the interval by question, a thin one that by article.

    Raises:
        UsageError: too many rows to read.
    """
    panels: list[ForestPanel] = []
    for task in tasks:
        title, of_two = task.title + under(task.relevance), _of_two(task)
        for metric in dict.fromkeys(one.metric for one in task.comparisons):
            of_metric = [one for one in task.comparisons if one.metric == metric]
            settings = list(dict.fromkeys(one.setting for one in of_metric))
            for setting in settings:
                label = f"difference in {metric_title(metric, inside=True)}{of_two}" if setting == settings[-1] else ""
                panels.append(ForestPanel(title, label, _rows([one for one in of_metric if one.setting == setting])))
                title = ""
    n_rows = sum(len(panel.rows) for panel in panels)
    if n_rows > MOST_ROWS:
        raise UsageError(f"{n_rows} rows are too many for one plot", remedy="name fewer records, or choose fewer cells")
    contents = [panel.height for panel in panels]
    titles = sum(_lines(panel.title) for panel in panels)
    around = TICKS * len(panels) + AXIS_NAME * sum(_lines(panel.label) for panel in panels) + FOREST_TITLE_LINE * titles
    with drawing(sum(contents) + around + LEGEND, len(panels), height_ratios=contents) as (figure, axes):
        for ax, panel in zip(axes.flat, panels, strict=True):
            _forest_panel(figure, ax, panel)
        said = [one.verdict for task in tasks for one in task.comparisons]
        between = [name for name in (QUESTION_ONLY, TOO_FEW) if any(verdict.startswith(name) for verdict in said)]
        dots = [("significant", BLUE, BLUE), ("\nor ".join(between or [QUESTION_ONLY]), BLUE, "white")]
        dots.append(("not distinguishable", DARK_GREY, "white"))
        keys: list[dict[str, Any]] = [
            {"label": "95%, questions", "color": DARK, "linewidth": 2.4},
            {"label": "95%, articles", "color": DARK, "linewidth": 0.8},
            {"label": " ", "linewidth": 0},
        ]
        dot = {"marker": "o", "markersize": MARKER, "linewidth": 0}
        keys += [{"label": label, "color": colour, "markerfacecolor": face, **dot} for label, colour, face in dots]
        legend(figure, keys, 2, columnspacing=1.5)
        return figure


def _rows(comparisons: Sequence[Comparison]) -> list[ForestRow]:
    """The rows of one setting; its name is the label of a row alone, else their heading."""
    many = len({(one.a, one.b) for one in comparisons}) > 1
    setting = comparisons[0].setting
    if not many and all(one.scope == "macro" for one in comparisons):
        return [(setting, one) for one in comparisons]
    return [(setting, None), *((_label(one, many), one) for one in comparisons)]


def _label(comparison: Comparison, many: bool) -> str:
    name = on_two_lines(cell_name(comparison), ONE_LINE)
    if not many:
        return name
    pair = f"{short(comparison.b, 22)}\nminus {short(comparison.a, 22)}"
    return pair if comparison.scope == "macro" else f"{pair}: {name}"


def _size(label: str) -> float:
    """Height of a row; two lines stand closer than two rows."""
    return 1.6 if "\n" in label else 1.0


def _forest_panel(figure: Figure, ax: Axes, panel: ForestPanel) -> None:
    ax.axvline(0, color=DARK, linewidth=0.6)
    edges = np.cumsum([0.0, *(_size(label) for label, _ in panel.rows)])
    middles = (edges[:-1] + edges[1:]) / 2
    for at, (_, one) in zip(middles, panel.rows, strict=True):
        if one is not None:
            both = zip((one.interval, one.article_interval), one.thin, (2.4, 0.8), strict=True)
            kept = [(interval, width) for interval, thin, width in both if interval is not None and not thin]
            intervals = [(interval.low, interval.high, width) for interval, width in reversed(kept)]
            colour = DARK_GREY if one.verdict == "not distinguishable" else BLUE
            face = colour if one.verdict == SIGNIFICANT else "white"
            estimate(ax, at, one.difference, intervals, colour, color=colour, markersize=MARKER, markerfacecolor=face)
    ax.set_ylim(edges[-1], 0)
    named_rows(ax, middles, [label for label, _ in panel.rows], 5)
    for text, (_, one) in zip(ax.get_yticklabels(), panel.rows, strict=True):
        text.set_fontweight("bold" if one is None else "normal")
    ax.set_xlabel(panel.label)
    if panel.title:
        headline(figure, ax, panel.title)


def _lines(text: str) -> int:
    return text.count("\n") + bool(text)


def _of_two(task: TaskComparison) -> str:
    """Which record minus which: part of the name of the axis, which `--title` leaves as it is."""
    names = [short(record.label, 30) for record in task.records]
    if len(names) != 2:
        return ""
    between = " " if len(names[0]) + len(names[1]) <= 36 else "\n"
    return f"\n{names[1]}{between}minus {names[0]}"


# Multilingual MAP against own-language first, coloured by monolingual MAP.


FRONTIER_PANEL = 2.5  # inches
NAME_LINE = 0.125
MARGIN = 0.08
"""Of what the points cover, on each side."""
CHANCE_REACH = 0.5
"""The line of no preference is drawn where it is no further from the points than this share of what they cover."""


def draw_frontier(points: Sequence[Point], title: str) -> Figure:
    """A scatter plot with the Pareto frontier among the points shown; its axes and colours cover what these cover."""
    from matplotlib.colors import Normalize

    ranked = by_rank(points)
    with drawing(FRONTIER_PANEL + NAME_LINE * len(points)) as (figure, axes):
        ax = axes[0, 0]
        leaders = sorted((point for point, leads in ranked if leads), key=lambda point: point.preference)
        own, multi = [point.own_first for point in leaders], [point.multilingual for point in leaders]
        ax.plot(own, multi, color=FAINT, linewidth=0.8, zorder=1)
        dots = ax.scatter(
            [point.own_first for point, _ in ranked],
            [point.multilingual for point, _ in ranked],
            c=[point.monolingual for point, _ in ranked],
            norm=Normalize(*_covered([point.monolingual for point in points], 0.0)),
            cmap=SEQUENTIAL,
            s=34,
            edgecolors=[DARK if leads else "white" for _, leads in ranked],
            linewidths=0.8,
            zorder=2,
        )
        chance = points[0].chance
        low, high = _covered([point.own_first for point in points], MARGIN)
        near = low - CHANCE_REACH * (high - low) <= chance <= high + CHANCE_REACH * (high - low)
        if near:
            low, high = _covered([chance, *(point.own_first for point in points)], MARGIN)
            ax.axvline(chance, color=DARK, linewidth=0.5, linestyle=":")
        ax.set_xlim(low, high)
        ax.set_ylim(*_covered([point.multilingual for point in points], MARGIN))
        ax.set_xlabel(f"own-language first ({'dotted: ' * near}{number(chance, digits=2)} without preference)")
        ax.set_ylabel("multilingual MAP")
        headline(figure, ax, title)
        colour_bar(figure, ax, dots, "monolingual MAP")
        lines = [f"{place}  {short(point.label, 50)}" for place, (point, _) in enumerate(ranked, start=1)]
        keys: list[dict[str, Any]] = [{"label": line, "linewidth": 0} for line in lines]
        legend(figure, keys, 1, handlelength=0, handletextpad=0, labelspacing=0.15)
        figure.draw_without_rendering()  # numbers stand beside each other only where the points are placed
        _number(ax, [(point.own_first, point.multilingual) for point, _ in ranked])
        return figure


def _covered(values: Sequence[float], margin: float) -> tuple[float, float]:
    """The least and the greatest value, with this share of their distance on both sides; never nothing."""
    low, high = min(values), max(values)
    around = max(margin * (high - low), 0.0 if high - low > 1e-3 else 0.02)
    return low - around, high + around


def _number(ax: Axes, places: Sequence[tuple[float, float]]) -> None:
    """Numbers beside the points, each at the nearest place where it covers no point and no other number."""
    point = ax.figure.dpi / 72
    dots = [tuple(ax.transData.transform(place) / point) for place in places]
    taken = [(x - 3.5, y - 3.5, x + 3.5, y + 3.5) for x, y in dots]
    for place, (at, (x, y)) in enumerate(zip(places, dots, strict=True), start=1):
        width = 4.4 * len(str(place))
        right = [(dx, dy) for far in (0, 5, 10, 16) for dx, dy in ((4 + far, 2), (4 + far, -8 - far / 2), (4, 5 + far))]
        moves = [move for dx, dy in right for move in ((dx, dy), (-dx - width, dy))]
        boxes = [(x + dx, y + dy, x + dx + width, y + dy + 6.5) for dx, dy in moves]
        free = next((n for n, box in enumerate(boxes) if not any(_meet(box, other) for other in taken)), 0)
        taken.append(boxes[free])
        ax.annotate(str(place), at, xytext=moves[free], textcoords="offset points")


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


# What leaving a language out and adding languages does to the multilingual pool.

POOLS_PANEL = 1.7  # inches


def draw_pools(report: PoolReport) -> Figure:
    """One panel a metric of the growing pools, one of the differences that leaving a language out makes in the first.

    Raises:
        UsageError: the report has neither.
    """
    names = list(report.growth[0].mean) if report.growth else []
    metric = report.metrics[0]
    left = [change for change in report.leave_one_out if metric in change.difference]
    n_panels = len(names) + bool(left)
    if not n_panels:
        raise UsageError("there is nothing to draw", remedy="ask for the views growth or leave-one-out")
    with drawing(POOLS_PANEL * n_panels + 0.4, n_panels) as (figure, axes):
        for ax, name in zip(axes.flat, names, strict=False):
            _growth(ax, report, name)
        if left:
            _left_out(axes[-1, 0], left, metric)
        headline(figure, axes[0, 0], f"{short(report.model, 40)}, {report.task}{under(report.relevance)}")
        return figure


def _growth(ax: Axes, report: PoolReport, name: str) -> None:
    sizes = [size for size in report.growth if size.mean[name] is not None]
    x = np.array([size.size for size in sizes])
    mean, least, most = (
        np.array([of[name] for of in figures], dtype=float)
        for figures in zip(*((size.mean, size.least, size.most) for size in sizes), strict=True)
    )
    ax.fill_between(x, least, most, color=COLOURS[4], alpha=0.35, linewidth=0, label="least to most")
    ax.plot(x, mean, color=BLUE, marker="o", markersize=2.5, linewidth=1, label="mean over pools")
    ax.set_ylim(bottom=0)
    ax.set_xticks(x)
    ax.set_xlabel("languages in the pool")
    ax.set_ylabel(metric_title(name))
    ax.legend(frameon=False, loc="best")


def _left_out(ax: Axes, changes: Sequence[Change], metric: str) -> None:
    ordered = sorted(changes, key=lambda change: change.difference[metric].value or 0.0)
    for place, change in enumerate(ordered):
        score = change.difference[metric]
        found = None if is_thin(score.interval) else score.interval
        intervals = [] if found is None else [(found.low, found.high, 0.9)]
        estimate(ax, place, score.value or 0.0, intervals, DARK, color=BLUE, markersize=2.5)
    ax.axvline(0, color=DARK, linewidth=0.5)
    ax.set_yticks(range(len(ordered)), [change.name.removeprefix("without ") for change in ordered])
    ax.set_xlabel(f"change of {metric_title(metric, inside=True)} for the other languages; lines: 95% intervals")
    ax.set_ylabel("language left out")
