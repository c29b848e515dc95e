"""Plots of the ratio study: score against ratio with bands, by setting, group and language; arms; checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xqr_bench.report.canvas import BLUE, COLOURS, DARK, DARK_GREY, drawing, estimate, legend, named_rows, save
from xqr_bench.studies.ratio.form import BASE_ARM, MAIN, Condition, Part, View
from xqr_bench.studies.ratio.tables import SHORT, Curve, curve, reading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
ROW = 1.15  # inches, of a row of panels
AROUND = 0.45
BAND = 0.22
STYLES = {"raw": (COLOURS[0], "-", "o"), "centred": (COLOURS[5], "--", "s")}
ENDS = {"alpha-0": (COLOURS[5], "s"), BASE_ARM: (COLOURS[6], "o"), "alpha-1": (COLOURS[0], "^")}
FAR = ("aligned", "untrained", "shuffled")
"""Arms far below the others: they would leave no room to see them."""


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


def _headed(figure: Figure, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left", fontsize=7.5)


# Scores against alpha.

Panel = tuple[str, tuple[str, str, Part, str]]
"""A title, and which score: setting, metric, part and name."""


def _settings(condition: Condition, minus: bool) -> Figure | None:
    """All scores of all languages."""
    return _grid(condition, [(SHORT[key], (*key, "all", "")) for key in MAIN], minus, 2)


def _parts(condition: Condition, parts: Sequence[Part], minus: bool, columns: int) -> Figure | None:
    """Multilingual MAP of parts of the languages."""
    view = condition.view()
    levels = {one.code: one.level for one in condition.languages}
    panels: list[Panel] = []
    for one in () if view is None else view.scores:
        if (one.setting, one.metric) == MAIN[2] and one.part in parts:
            untrained = one.part == "language" and not levels.get(one.name, "").startswith("retrieval-trained")
            panels.append((one.name + (" *" if untrained else ""), (*MAIN[2], one.part, one.name)))
    note = "\n*: not retrieval-trained" if any(title.endswith("*") for title, _ in panels) else ""
    return _grid(condition, panels, minus, columns, what=", multilingual MAP", note=note)


def _grid(
    condition: Condition, panels: Sequence[Panel], minus: bool, columns: int, *, what: str = "", note: str = ""
) -> Figure | None:
    """Small panels, raw and centred in each; every panel has its own scale."""
    views = [view for name in STYLES if (view := condition.view(name)) is not None]
    filled = []
    for title, key in panels:
        curves = [curve(condition, view.score(*key), minus=minus) for view in views]
        if any(one is not None and len(one.alphas) > 1 for one in curves):
            filled.append((title, curves))
    if not filled:
        return None
    rows = -(-len(filled) // columns)
    with drawing(ROW * rows + AROUND + 0.3, rows, columns, sharex=True) as (figure, axes):
        for ax in axes.flat[len(filled) :]:
            ax.set_axis_off()
        for place, (ax, (title, curves)) in enumerate(zip(axes.flat, filled, strict=False)):
            ax.set_title(title, loc="left", fontsize=7.5)
            if minus:
                ax.axhline(0, color=DARK, linewidth=0.5)
            for view, one in zip(views, curves, strict=True):
                if one is not None:
                    _line(ax, one, view.view)
            _ticks(ax, wide=columns < 3)
            if place + columns >= len(filled):
                ax.tick_params(labelbottom=True)
                ax.set_xlabel("alpha", labelpad=1)
        kind = "minus alpha .5, paired" if minus else "95% bands, each panel its own scale"
        _headed(figure, f"{condition.name}{what}: {kind}{note}")
        legend(
            figure,
            [
                {"color": colour, "linestyle": dash, "marker": marker, "markersize": 3, "linewidth": 1, "label": name}
                for name, (colour, dash, marker) in STYLES.items()
                if name in [view.view for view in views]
            ],
            2,
        )
        return figure


def _line(ax: Axes, one: Curve, view: str) -> None:
    colour, dash, marker = STYLES[view]
    ax.fill_between(one.alphas, one.low, one.high, color=colour, alpha=BAND, linewidth=0)
    line = ax.plot(one.alphas, one.values, color=colour, linestyle=dash, linewidth=1.0)
    line[0].set(marker=marker, markersize=2.4, markeredgewidth=0)


def _ticks(ax: Axes, *, wide: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def plain(value: float, _: int) -> str:
        text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
        return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text

    ax.yaxis.set_major_locator(MaxNLocator(4 if wide else 3))
    ax.yaxis.set_major_formatter(FuncFormatter(plain))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", ".5", "", "1"])


# Arms, and alpha at the checkpoints.


def _arms(condition: Condition) -> Figure | None:
    """Every arm minus alpha .5, monolingual and multilingual MAP."""
    view = condition.view()
    scores = [] if view is None else [one for key in (MAIN[0], MAIN[2]) if (one := view.score(*key)) is not None]
    names = [
        arm.name
        for arm in condition.arms
        if any(arm.name in one.arms and one.arms[arm.name].difference is not None for one in scores)
    ]
    groups = [[name for name in names if (name in FAR) is far] for far in (False, True)]
    groups = [group for group in groups if group]
    if not groups:
        return None
    height = 0.155 * len(names) + 0.75 * len(groups)
    heights = [len(group) for group in groups]
    with drawing(height, len(groups), len(scores), sharey="row", height_ratios=heights) as (figure, axes):
        for row, group in zip(axes, groups, strict=True):
            for ax, score in zip(row, scores, strict=True):
                ax.axvline(0, color=DARK, linewidth=0.6)
                for at, name in enumerate(group):
                    gap = score.arms[name].difference
                    if gap is not None:
                        colour = BLUE if gap.told else DARK_GREY
                        dot = {"color": colour, "markerfacecolor": colour if gap.told else "white", "markersize": 3}
                        estimate(ax, at, gap.estimate, [(gap.low, gap.high, 1.6)], colour, **dot)
                named_rows(ax, range(len(group)), group, 4)
                ax.set_ylim(len(group) - 0.4, -0.6)
        for ax, score in zip(axes[0], scores, strict=True):
            ax.set_title(SHORT[score.setting, score.metric], loc="left", fontsize=7.5)
        _headed(figure, f"{condition.name}: arm minus {BASE_ARM}, 95% intervals (filled: told apart)")
        return figure


def _checkpoints(condition: Condition) -> Figure | None:
    """Alpha 0, .5 and 1 against the share of the updates, minus alpha .5 and as they are."""
    views = [view for view in condition.views if view.view == "raw"]
    if len(views) < 2 or not set(ENDS) <= {arm.name for arm in condition.arms}:
        return None
    percents = [view.percent for view in views]
    with drawing(ROW * 2 + AROUND + 0.45, 2, 2, sharex=True) as (figure, axes):
        for column, key in enumerate((MAIN[0], MAIN[2])):
            for ax, minus in zip(axes[:, column], (False, True), strict=True):
                if minus:
                    ax.axhline(0, color=DARK, linewidth=0.5)
                else:
                    ax.set_title(SHORT[key], loc="left", fontsize=7.5)
                for arm in ENDS:
                    _checkpoint_line(ax, views, key, arm, minus)
                _ticks(ax, wide=True)
                ax.set_xscale("log")
                ax.set_xticks(percents, [str(percent) for percent in percents])
                ax.minorticks_off()
            axes[1, column].set_xlabel("percent of the updates", labelpad=1)
        axes[1, 0].set_ylabel("minus alpha .5")
        _headed(figure, f"{condition.name}, raw: at every checkpoint; below 95% intervals")
        keys = [
            {"color": colour, "marker": marker, "markersize": 3, "linewidth": 1, "label": arm}
            for arm, (colour, marker) in ENDS.items()
        ]
        legend(figure, keys, 3, labelcolor=DARK)
        return figure


def _checkpoint_line(ax: Axes, views: Sequence[View], key: tuple[str, str], arm: str, minus: bool) -> None:
    points = []
    for view in views:
        score = view.score(*key)
        figure = None if score is None else score.arms.get(arm)
        shown = None if figure is None else reading(figure, minus=minus)
        if shown is not None:
            points.append((view.percent, *shown))
    if points:
        x, y, low, high = zip(*points, strict=True)
        colour, marker = ENDS[arm]
        if minus:
            ax.vlines(x, low, high, color=colour, linewidth=0.9)
        ax.plot(x, y, color=colour, linewidth=1.0, marker=marker, markersize=3)
