"""Differences with their intervals, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from xqr_bench.comparison import Comparison, TaskComparison
from xqr_bench.errors import UsageError
from xqr_bench.report.figures import MINUS, cell_name
from xqr_bench.report.plots.style import COLOURS, DARK, drawing, short, under

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# inches: a row, what stands around a panel, a line of its title, the legend
ROW = 0.165
AROUND = 0.46
TITLE_LINE = 0.13
LEGEND = 0.42
ONE_LINE = 20  # characters
MARKER = 3.6
MOST_ROWS = 60
BLUE = COLOURS[0]
GREY = "#8c8c8c"


def draw(tasks: Sequence[TaskComparison]) -> Figure:
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
    around = sum(AROUND + TITLE_LINE * (title.count("\n") + bool(title)) for title in titles)
    with drawing(sum(contents) + around + LEGEND) as figure:
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=contents)[:, 0]
        for ax, (_, metric, _), title, found in zip(axes, panels, titles, rows, strict=True):
            _panel(ax, metric, title, found)
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


def _panel(ax: Axes, metric: str, title: str, rows: Sequence[tuple[str, Comparison | None]]) -> None:
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
        colour = GREY if found.verdict == "not distinguishable" else BLUE
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
        dot("not distinguishable", GREY, "white"),
    ]
    order = [handles[i] for i in (0, 2, 4, 1, 3, 5)]
    figure.legend(handles=order, loc="outside lower center", ncols=2, frameon=False, columnspacing=1.5)
