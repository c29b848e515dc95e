"""What leaving a language out and adding languages does to the multilingual pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xqr_bench.errors import UsageError
from xqr_bench.pools.report import PoolReport
from xqr_bench.pools.views import Change
from xqr_bench.report.plots.style import COLOURS, DARK, drawing, short, under

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 1.7  # inches


def draw(found: PoolReport) -> Figure:
    """One panel a metric of the growing pools, one of the differences that leaving a language out makes in the first.

    Raises:
        UsageError: the report has neither.
    """
    names = list(found.growth[0].mean) if found.growth else []
    metric = found.metrics[0]
    left = [change for change in found.leave_one_out if metric in change.difference]
    if not names and not left:
        raise UsageError("there is nothing to draw", remedy="ask for the views growth or leave-one-out")
    with drawing(PANEL * (len(names) + bool(left)) + 0.4) as figure:
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
