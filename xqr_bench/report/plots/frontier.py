"""Multilingual MAP against own-language first, coloured by monolingual MAP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xqr_bench.report.frontier import Point, on_frontier
from xqr_bench.report.plots.style import DARK, FAINT, SEQUENTIAL, drawing, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(points: Sequence[Point], title: str) -> Figure:
    """A scatter plot with the Pareto frontier among the points shown; numbers are explained below it."""
    from matplotlib.colors import Normalize

    order = sorted(range(len(points)), key=lambda i: (-points[i].multilingual, points[i].label))
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
