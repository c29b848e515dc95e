"""Plots of the ratio study: score against ratio with bands, by setting, group and language; arms; checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xqr_bench.report.charts import COLOURS, DARK, drawing, save
from xqr_bench.studies.ratio.form import BASE_ARM, Condition, Part, Score, View
from xqr_bench.studies.ratio.tables import MAIN, SHORT
from xqr_bench.studies.ratio.words import Curve, curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
ROW = 1.15  # inches, of a row of panels
AROUND = 0.45
BAND = 0.22
STYLES = {"raw": (COLOURS[0], "-", "o"), "centred": (COLOURS[5], "--", "s")}
ENDS = {"alpha-0": (COLOURS[5], "s"), BASE_ARM: (COLOURS[6], "o"), "alpha-1": (COLOURS[0], "^")}


def draw_ratio(condition: Condition, folder: Path) -> list[Path]:
    """Write all plots of a condition as `<condition>-<what>.png` and `.svg`; those without data are left out."""
    drawn: list[tuple[str, Figure | None]] = []
    for suffix, minus in (("", False), ("-difference", True)):
        drawn += [
            (f"settings{suffix}", _settings(condition, minus)),
            (f"groups{suffix}", _parts(condition, ("level", "group"), minus, 2)),
            (f"languages{suffix}", _parts(condition, ("language",), minus, 3)),
        ]
    drawn += [("arms", _arms(condition)), ("checkpoints", _checkpoints(condition))]
    return [
        save(figure, folder / f"{condition.name}-{name}.{form}")
        for name, figure in drawn
        if figure is not None
        for form in FORMATS
    ]


def _settings(condition: Condition, minus: bool) -> Figure | None:
    """All scores of all languages."""
    panels = [(SHORT[key], lambda view, key=key: view.score(*key)) for key in MAIN]
    return _grid(condition, panels, minus, 2)


def _parts(condition: Condition, parts: Sequence[Part], minus: bool, columns: int) -> Figure | None:
    """Multilingual MAP of parts of the languages."""
    view = condition.view()
    keys = [
        (one.part, one.name)
        for one in (view.scores if view is not None else ())
        if (one.setting, one.metric) == ("multilingual", "map") and one.part in parts
    ]
    levels = {one.code: one.level for one in condition.languages}

    def title(part: str, name: str) -> str:
        mark = "" if part != "language" or levels.get(name, "").startswith("retrieval-trained") else " *"
        return f"{name}{mark}"

    panels = [
        (title(part, name), lambda view, part=part, name=name: view.score("multilingual", "map", part, name))
        for part, name in keys
    ]
    note = "*: not retrieval-trained" if any(label.endswith("*") for label, _ in panels) else ""
    return _grid(condition, panels, minus, columns, what="multilingual MAP", note=note)


Panel = tuple[str, Callable[[View], Score | None]]


def _grid(
    condition: Condition, panels: Sequence[Panel], minus: bool, columns: int, *, what: str = "", note: str = ""
) -> Figure | None:
    """Small panels, raw and centred in each; every panel has its own scale."""
    views = [view for name in STYLES if (view := condition.view(name)) is not None]
    shown = [(title, [curve(condition, find(view), minus=minus) for view in views]) for title, find in panels]
    shown = [
        (title, curves) for title, curves in shown if any(one is not None and len(one.alphas) > 1 for one in curves)
    ]
    if not shown:
        return None
    rows = -(-len(shown) // columns)
    with drawing(ROW * rows + AROUND + 0.3) as figure:
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for place, ax in enumerate(axes.flat):
            if place >= len(shown):
                ax.set_axis_off()
                continue
            title, curves = shown[place]
            ax.set_title(title, loc="left", fontsize=7.5)
            if minus:
                ax.axhline(0, color=DARK, linewidth=0.5)
            for view, one in zip(views, curves, strict=True):
                if one is not None:
                    _line(ax, one, view.view)
            _ticks(ax, wide=columns < 3)
            if place + columns >= len(shown):
                ax.tick_params(labelbottom=True)
                ax.set_xlabel("alpha", labelpad=1)
        kind = "minus alpha .5, paired" if minus else "95% bands, each panel its own scale"
        heading = f"{condition.name}{', ' + what if what else ''}: {kind}"
        figure.suptitle(heading + (f"\n{note}" if note else ""), x=0.01, ha="left", fontsize=7.5)
        _legend(figure, [view.view for view in views])
        return figure


def _line(ax: Axes, one: Curve, view: str) -> None:
    colour, dash, marker = STYLES[view]
    ax.fill_between(one.alphas, one.low, one.high, color=colour, alpha=BAND, linewidth=0)
    ax.plot(
        one.alphas,
        one.values,
        color=colour,
        linestyle=dash,
        linewidth=1.0,
        marker=marker,
        markersize=2.4,
        markeredgewidth=0,
    )


def _ticks(ax: Axes, *, wide: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def plain(value: float, _: int) -> str:
        text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
        return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text

    ax.yaxis.set_major_locator(MaxNLocator(4 if wide else 3))
    ax.yaxis.set_major_formatter(FuncFormatter(plain))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", ".5", "", "1"])


def _legend(figure: Figure, views: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for view in views:
        colour, dash, marker = STYLES[view]
        handles.append(
            Line2D([], [], color=colour, linestyle=dash, marker=marker, markersize=3, linewidth=1, label=view)
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)


def _arms(condition: Condition) -> Figure | None:
    """Every arm minus alpha .5, monolingual and multilingual MAP."""
    view = condition.view()
    if view is None:
        return None
    scores = [one for key in (MAIN[0], MAIN[2]) if (one := view.score(*key)) is not None]
    names = [
        arm.name
        for arm in condition.arms
        if any((found := one.arms.get(arm.name)) is not None and found.difference is not None for one in scores)
    ]
    # far below the others: they would leave no room to see them
    far = [name for name in names if name in ("aligned", "untrained", "shuffled")]
    near = [name for name in names if name not in far]
    groups = [group for group in (near, far) if group]
    if not scores or not groups:
        return None
    with drawing(0.155 * len(names) + 0.75 * len(groups)) as figure:
        axes = figure.subplots(
            len(groups), len(scores), squeeze=False, sharey="row", height_ratios=[len(group) for group in groups]
        )
        for row, group in enumerate(groups):
            for column, score in enumerate(scores):
                ax = axes[row, column]
                ax.axvline(0, color=DARK, linewidth=0.6)
                for at, name in enumerate(group):
                    gap = score.arms[name].difference
                    if gap is None:
                        continue
                    colour = COLOURS[0] if gap.told else "#8c8c8c"
                    ax.plot([gap.low, gap.high], [at, at], color=colour, linewidth=1.6, solid_capstyle="butt")
                    face = colour if gap.told else "white"
                    ax.plot([gap.estimate], [at], marker="o", markersize=3, color=colour, markerfacecolor=face)
                ax.set_yticks(range(len(group)), group)
                ax.set_ylim(len(group) - 0.4, -0.6)
                ax.tick_params(axis="y", length=0)
                ax.spines["left"].set_visible(False)
                ax.locator_params(axis="x", nbins=4)
                if row == 0:
                    ax.set_title(SHORT[score.setting, score.metric], loc="left", fontsize=7.5)
        title = f"{condition.name}: arm minus {BASE_ARM}, 95% intervals (filled: told apart)"
        figure.suptitle(title, x=0.01, ha="left", fontsize=7.5)
        return figure


def _checkpoints(condition: Condition) -> Figure | None:
    """Alpha 0, .5 and 1 against the share of the updates, minus alpha .5 and as they are."""
    views = [view for view in condition.views if view.view == "raw"]
    if len(views) < 2 or not {"alpha-0", BASE_ARM, "alpha-1"} <= {arm.name for arm in condition.arms}:
        return None
    with drawing(ROW * 2 + AROUND + 0.45) as figure:
        axes = figure.subplots(2, 2, squeeze=False, sharex=True)
        for column, key in enumerate((MAIN[0], MAIN[2])):
            for row, minus in enumerate((False, True)):
                ax = axes[row, column]
                if minus:
                    ax.axhline(0, color=DARK, linewidth=0.5)
                else:
                    ax.set_title(SHORT[key], loc="left", fontsize=7.5)
                for arm, (colour, marker) in ENDS.items():
                    _checkpoint_line(ax, views, key, arm, minus, colour, marker)
                _ticks(ax, wide=True)
                percents = [view.percent for view in views]
                ax.set_xscale("log")
                ax.set_xticks(percents, [str(percent) for percent in percents])
                ax.minorticks_off()
                if minus:
                    ax.set_xlabel("percent of the updates", labelpad=1)
        axes[1, 0].set_ylabel("minus alpha .5")
        figure.suptitle(
            f"{condition.name}, raw: at every checkpoint; below 95% intervals", x=0.01, ha="left", fontsize=7.5
        )
        _arm_legend(figure)
        return figure


def _checkpoint_line(
    ax: Axes, views: Sequence[View], key: tuple[str, str], arm: str, minus: bool, colour: str, marker: str
) -> None:
    points = []
    for view in views:
        score = view.score(*key)
        found = None if score is None else score.arms.get(arm)
        if found is None:
            continue
        gap = found.difference
        if minus and gap is not None:
            points.append((view.percent, gap.estimate, gap.low, gap.high))
        elif not minus:
            points.append((view.percent, found.value, found.low, found.high))
    if not points:
        return
    x, y, low, high = zip(*points, strict=True)
    if minus:
        ax.vlines(x, low, high, color=colour, linewidth=0.9)
    ax.plot(x, y, color=colour, linewidth=1.0, marker=marker, markersize=3)


def _arm_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=3, linewidth=1, label=arm)
        for arm, (colour, marker) in ENDS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, labelcolor=DARK)
