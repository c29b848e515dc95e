"""Charts: heat maps, bars by language, differences with their intervals, the frontier, pools; one style for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xqr_bench.analysis.choice import Comparison, TaskComparison
from xqr_bench.analysis.compare import PairMap
from xqr_bench.analysis.pools import Change, PoolReport
from xqr_bench.core.errors import UsageError
from xqr_bench.core.files import atomic_path
from xqr_bench.core.printable import shown
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, STRICT, FloatArray
from xqr_bench.measure.certainty import variant_values
from xqr_bench.measure.scores import SettingScores
from xqr_bench.measure.scores import score as score_text
from xqr_bench.record import Record, relevance_ranks
from xqr_bench.report.frontier import Point, by_rank, on_frontier
from xqr_bench.report.numbers import MINUS, cell_name
from xqr_bench.report.numbers import number as number_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# What all plots share: the width of a paper's column, colours that colour-blind readers tell apart, saving.

WIDTH = 3.3  # inches: one of two columns
SMALL = 7.0  # points; nothing is smaller
SEQUENTIAL = "cividis"
DIFFERENCE = "BrBG"
POSITION = "PuOr_r"
GREY = "#d9d9d9"
FAINT = "#595959"
DARK = "#404040"
# Okabe & Ito 2008
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
# what must be told not to write, so that the same plot has the same bytes
METADATA: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": SMALL,
    "axes.titlesize": 8.0,
    "axes.labelsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "xqr-bench",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a name with $ is no formula
    "figure.dpi": 300,
    "savefig.dpi": 300,
}


def check_output(path: Path | str) -> str:
    """The format that a file name asks for.

    Raises:
        UsageError: it is none of the known ones.
    """
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in METADATA:
        raise UsageError(
            f"{path}: plots cannot be written as {suffix or 'a file without an ending'!r}",
            remedy="end the name with .png, .svg or .pdf",
        )
    return suffix


@contextmanager
def drawing(height: float) -> Iterator[Figure]:
    """A figure of one column's width and this height in inches, in the common style."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(WIDTH, height), layout="constrained")


def save(figure: Figure, path: Path) -> Path:
    """Write the figure, whole or not at all; the same figure gives the same bytes."""
    import matplotlib

    form = check_output(path)
    with atomic_path(path) as temporary, matplotlib.rc_context(_STYLE):
        figure.savefig(temporary, format=form, metadata=METADATA[form])
        if form == "svg":  # its comments hold the texts that are drawn
            temporary.write_text(shown(temporary.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    return path


def short(name: str, length: int = 34) -> str:
    """A model's name, cut in the middle where it is too long for a column."""
    if len(name) <= length:
        return name
    half = (length - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def under(relevance: str, before: str = ", ") -> str:
    """The end of a title: the rule of relevance where it is not the strict one."""
    return "" if relevance == STRICT else f"{before}{relevance} relevance"


# Query languages by candidate languages: a score, a difference, or the place of each language in the ranking.

MOST_WITH_NUMBERS = 13
SIGNIFICANT = "significant"
NEW_LINE = "\n"
POSITION_METRIC = "language_position"
# inches: title, names and colour bar of a map; another line of its title
AROUND_MAP = 0.75
MAP_TITLE_LINE = 0.12


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
    return score_text(values, {})[0]


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


def draw_heatmap(matrices: Sequence[Matrix]) -> Figure:
    """The heat maps, one under the other."""
    contents = [(WIDTH - 0.4) * len(matrix.rows) / len(matrix.columns) for matrix in matrices]
    around = sum(AROUND_MAP + MAP_TITLE_LINE * matrix.title.count("\n") for matrix in matrices)
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
        text = number_text(value, digits=2 if largest < 10 else 0).replace("-.00", ".00")
        colour = FAINT if matrix.grey[row, column] else "black" if light else "white"
        ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=SMALL, color=colour)


# Scores by query language, with intervals.

BARS_PANEL = 1.25  # inches


def draw_bars(tasks: Sequence[Sequence[Record]], metric: str, setting: str, relevance: str = STRICT) -> Figure:
    """Bars by query language, one panel a task; whiskers are the 95% intervals from questions.

    Args:
        tasks: the records of each task.
        metric, setting: what is shown.
        relevance: the rule of relevance it is scored under.

    Raises:
        UsageError: too many records, or one without these scores.
        RecordError: a record has none under this rule.
    """
    most = max(len(records) for records in tasks)
    if most > len(COLOURS):
        raise UsageError(f"{most} records are too many to tell apart", remedy=f"name at most {len(COLOURS)}")
    around = sum(0.55 + 0.13 * len(records) for records in tasks)
    with drawing(BARS_PANEL * len(tasks) + around) as figure:
        axes = figure.subplots(len(tasks), 1, squeeze=False)[:, 0]
        for ax, records in zip(axes, tasks, strict=True):
            _bars_panel(ax, records, metric, setting, relevance)
        return figure


def _bars_panel(ax: Axes, records: Sequence[Record], metric: str, setting: str, relevance: str) -> None:
    languages = records[0].task.languages
    width = 0.8 / len(records)
    lowest = 0.0
    for number, record in enumerate(records):
        scores = record.scores_under(relevance).get(setting)
        found = [(scores.by_query_language.get(name, {}) if scores else {}).get(metric) for name in languages]
        values = np.array([np.nan if score is None or score.value is None else score.value for score in found])
        if np.isnan(values).all():
            raise UsageError(
                f"{record.model.name} on {record.task.name} has no {setting} {metric} by query language",
                found=f"{', '.join(record.scores)}; {', '.join(record.task.metrics)}",
                remedy="choose another metric or setting",
            )
        lowest = min(lowest, float(np.nanmin(values)))
        at = np.arange(len(languages)) + (number - (len(records) - 1) / 2) * width
        ax.bar(at, values, width * 0.92, color=COLOURS[number], label=short(record.model.name, 44))
        for x, score in zip(at, found, strict=True):
            if score is not None and score.interval is not None:
                ends = (score.interval.low, score.interval.high)
                ax.plot([x, x], ends, color=DARK, linewidth=0.9, solid_capstyle="butt")
    ax.set_xticks(np.arange(len(languages)), languages)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(languages) - 0.4)
    if lowest >= 0:
        ax.set_ylim(bottom=0)
    ax.set_ylabel(metric)
    ax.set_xlabel("query language; whiskers: 95% interval over questions")
    # the legend stands between title and bars, a line a record
    ax.set_title(f"{records[0].task.title}, {setting}{under(relevance)}", loc="left", pad=6 + 8.5 * len(records))
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

# inches: a row, what stands around a panel, a line of its title, the legend
ROW = 0.165
AROUND_FOREST = 0.46
FOREST_TITLE_LINE = 0.13
LEGEND = 0.42
ONE_LINE = 20  # characters
MARKER = 3.6
MOST_ROWS = 60
BLUE = COLOURS[0]
DARK_GREY = "#8c8c8c"


def draw_forest(tasks: Sequence[TaskComparison]) -> Figure:
    """A panel for each task and metric: a thick line is the interval by question, a thin one that by article.

    Raises:
        UsageError: too many rows to read.
    """
    panels: list[tuple[TaskComparison, str, list[Comparison]]] = []
    for task in tasks:
        for metric in dict.fromkeys(found.metric for found in task.comparisons):
            panels.append((task, metric, [found for found in task.comparisons if found.metric == metric]))
    rows = [_rows(found) for _, _, found in panels]
    if sum(len(found) for found in rows) > MOST_ROWS:
        raise UsageError(
            f"{sum(len(found) for found in rows)} rows are too many for one plot",
            remedy="name fewer records, or choose fewer cells",
        )
    contents = [ROW * sum(_size(label) for label, _ in found) for found in rows]
    titles = [_title(task) if metric == panels[0][1] or len(tasks) > 1 else "" for task, metric, _ in panels]
    around = sum(AROUND_FOREST + FOREST_TITLE_LINE * (title.count("\n") + bool(title)) for title in titles)
    with drawing(sum(contents) + around + LEGEND) as figure:
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=contents)[:, 0]
        for ax, (_, metric, _), title, found in zip(axes, panels, titles, rows, strict=True):
            _forest_panel(ax, metric, title, found)
        _legend(figure)
        return figure


def _rows(comparisons: Sequence[Comparison]) -> list[tuple[str, Comparison | None]]:
    """Labels and comparisons; a row without a comparison is a heading."""
    many = len({(found.a, found.b) for found in comparisons}) > 1
    macro_only = not many and all(found.scope == "macro" for found in comparisons)
    if macro_only:
        return [(found.setting, found) for found in comparisons]
    settings = list(dict.fromkeys(found.setting for found in comparisons))
    ordered = sorted(comparisons, key=lambda found: settings.index(found.setting))
    result: list[tuple[str, Comparison | None]] = []
    for setting, cells in groupby(ordered, key=lambda found: found.setting):
        result.append((setting, None))
        result += [(_label(found, many), found) for found in cells]
    return result


def _label(found: Comparison, many: bool) -> str:
    name = cell_name(found)
    if len(name) > ONE_LINE:
        name = name.replace(MINUS, f"\n{MINUS.lstrip()}")
    if not many:
        return name
    pair = f"{short(found.b, 22)}\nminus {short(found.a, 22)}"
    return pair if found.scope == "macro" else f"{pair}: {name}"


def _size(label: str) -> float:
    """Height of a row; two lines stand closer than two rows."""
    return 1.6 if "\n" in label else 1.0


def _forest_panel(ax: Axes, metric: str, title: str, rows: Sequence[tuple[str, Comparison | None]]) -> None:
    ax.axvline(0, color=DARK, linewidth=0.6)
    y = 0.0
    ticks, labels, bold = [], [], []
    for label, found in rows:
        size = _size(label)
        at = y + size / 2
        y += size
        ticks.append(at)
        labels.append(label)
        bold.append(found is None)
        if found is None:
            continue
        colour = DARK_GREY if found.verdict == "not distinguishable" else BLUE
        for interval, width in ((found.article_interval, 0.8), (found.interval, 2.4)):
            if interval is not None:
                ax.plot([interval.low, interval.high], [at, at], color=colour, linewidth=width, solid_capstyle="butt")
        face = colour if found.verdict == "significant" else "white"
        ax.plot([found.difference], [at], marker="o", markersize=MARKER, color=colour, markerfacecolor=face)
    ax.set_ylim(y, 0)
    ax.set_yticks(ticks, labels)
    for text, heading in zip(ax.get_yticklabels(), bold, strict=True):
        text.set_fontweight("bold" if heading else "normal")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel(f"difference in {metric}")
    ax.set_title(title, loc="left")


def _title(task: TaskComparison) -> str:
    names = [record.label for record in task.records]
    title = task.title + under(task.relevance)
    return f"{title}\n{short(names[1], 30)}\nminus {short(names[0], 30)}" if len(names) == 2 else title


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    def dot(label: str, colour: str, face: str) -> Line2D:
        return Line2D(
            [], [], marker="o", markersize=MARKER, color=colour, markerfacecolor=face, linewidth=0, label=label
        )

    handles = [
        Line2D([], [], color=DARK, linewidth=2.4, label="95%, questions"),
        dot("significant", BLUE, BLUE),
        Line2D([], [], color=DARK, linewidth=0.8, label="95%, articles"),
        dot("question level only", BLUE, "white"),
        Line2D([], [], linewidth=0, label=" "),
        dot("not distinguishable", DARK_GREY, "white"),
    ]
    order = [handles[i] for i in (0, 2, 4, 1, 3, 5)]
    figure.legend(handles=order, loc="outside lower center", ncols=2, frameon=False, columnspacing=1.5)


# Multilingual MAP against own-language first, coloured by monolingual MAP.


def draw_frontier(points: Sequence[Point], title: str) -> Figure:
    """A scatter plot with the Pareto frontier among the points shown; numbers are explained below it."""
    from matplotlib.colors import Normalize

    order = by_rank(points)
    flags = on_frontier(points)
    with drawing(2.9 + 0.13 * len(points)) as figure:
        ax = figure.subplots()
        chosen = sorted((points[i] for i in order if flags[i]), key=lambda point: point.preference)
        ax.plot(
            [point.own_first for point in chosen],
            [point.multilingual for point in chosen],
            color=FAINT,
            linewidth=0.8,
            zorder=1,
        )
        shown = ax.scatter(
            [points[i].own_first for i in order],
            [points[i].multilingual for i in order],
            c=[points[i].monolingual for i in order],
            norm=Normalize(0, 1),
            cmap=SEQUENTIAL,
            s=34,
            edgecolors=[DARK if flags[i] else "white" for i in order],
            linewidths=0.8,
            zorder=2,
        )
        for place, i in enumerate(order, start=1):
            at = (points[i].own_first, points[i].multilingual)
            ax.annotate(str(place), at, xytext=(4, 3), textcoords="offset points")
        if points:
            ax.axvline(points[0].chance, color=DARK, linewidth=0.5, linestyle=":")
        ax.set_xlim(-0.02, 1.04)
        ax.set_ylim(bottom=-0.01)
        ax.set_xlabel("own-language first (dotted: without preference)")
        ax.set_ylabel("multilingual MAP")
        ax.set_title(title, loc="left")
        bar = figure.colorbar(shown, ax=ax, shrink=0.8, pad=0.02)
        bar.set_label("monolingual MAP")
        bar.outline.set_linewidth(0.5)
        lines = [f"{place}  {short(points[i].label, 50)}" for place, i in enumerate(order, start=1)]
        ax.text(0, -0.2, "\n".join(lines), transform=ax.transAxes, va="top")
        return figure


# What leaving a language out and adding languages does to the multilingual pool.

POOLS_PANEL = 1.7  # inches


def draw_pools(found: PoolReport) -> Figure:
    """One panel a metric of the growing pools, one of the differences that leaving a language out makes in the first.

    Raises:
        UsageError: the report has neither.
    """
    names = list(found.growth[0].mean) if found.growth else []
    metric = found.metrics[0]
    left = [change for change in found.leave_one_out if metric in change.difference]
    if not names and not left:
        raise UsageError("there is nothing to draw", remedy="ask for the views growth or leave-one-out")
    with drawing(POOLS_PANEL * (len(names) + bool(left)) + 0.4) as figure:
        axes = figure.subplots(len(names) + bool(left), 1, squeeze=False)[:, 0]
        for ax, name in zip(axes, names, strict=False):
            _growth(ax, found, name)
        if left:
            _left_out(axes[-1], left, metric)
        axes[0].set_title(f"{short(found.model, 40)}, {found.task}{under(found.relevance)}", loc="left")
        return figure


def _growth(ax: Axes, found: PoolReport, name: str) -> None:
    sizes = [size for size in found.growth if size.mean[name] is not None]
    x = np.array([size.size for size in sizes])
    mean, least, most = (
        np.array([getattr(size, key)[name] for size in sizes], dtype=float) for key in ("mean", "least", "most")
    )
    ax.fill_between(x, least, most, color=COLOURS[4], alpha=0.35, linewidth=0, label="least to most")
    ax.plot(x, mean, color=COLOURS[0], marker="o", markersize=2.5, linewidth=1, label="mean over pools")
    ax.set_ylim(bottom=0)
    ax.set_xticks(x)
    ax.set_xlabel("languages in the pool")
    ax.set_ylabel(name)
    ax.legend(frameon=False, loc="best")


def _left_out(ax: Axes, changes: Sequence[Change], metric: str) -> None:
    found = sorted(changes, key=lambda change: change.difference[metric].value or 0.0)
    y = np.arange(len(found))
    for place, change in zip(y, found, strict=True):
        score = change.difference[metric]
        if score.interval is not None:
            ax.plot([score.interval.low, score.interval.high], [place, place], color=DARK, linewidth=0.9)
        ax.plot([score.value or 0.0], [place], marker="o", markersize=2.5, color=COLOURS[0])
    ax.axvline(0, color=DARK, linewidth=0.5)
    ax.set_yticks(y, [change.name.removeprefix("without ") for change in found])
    ax.set_xlabel(f"change of {metric} for the other languages; lines: 95% intervals")
    ax.set_ylabel("language left out")
