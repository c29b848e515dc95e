"""The panel of multilingual MAP against own-language first: a drawing without scripts and its table, a task each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from xqr_bench.board.model import Leaderboard, Row
from xqr_bench.report.frontier import PREFERENCE, Point, frontier_table, on_frontier
from xqr_bench.report.plain import PlainTable
from xqr_bench.report.script import visible
from xqr_bench.site.text import number
from xqr_bench.types import MONOLINGUAL, MULTILINGUAL

WIDTH, HEIGHT, LEFT, BELOW = 360, 220, 40, 34


@dataclass(frozen=True)
class Panel:
    """What the page shows of one task."""

    task: str
    title: str
    drawing: Markup
    table: PlainTable


def frontier_panels(board: Leaderboard) -> list[Panel]:
    """A panel for each task with at least two rows that compete under the standard protocol and have the figures."""
    panels = []
    for name, task in board.tasks.items():
        rows = [row for row in board.rows if row.task == name and row.contest and row.protocol.name == "standard"]
        points = [point for row in rows if (point := _point(row)) is not None]
        if len(points) > 1:
            table = frontier_table(points, task.title)
            panels.append(Panel(name, task.title, _drawing(points, task.title), table))
    return panels


def _point(row: Row) -> Point | None:
    """A row's point; None where one of its figures has no value."""
    figures = [
        row.scores[setting].macro.get("map") if setting in row.scores else None
        for setting in (MONOLINGUAL, MULTILINGUAL)
    ]
    mono, multi = (None if found is None else found.value for found in figures)
    own = row.bias.macro.get(PREFERENCE)
    if mono is None or multi is None or own is None or own.value is None:
        return None
    return Point(visible(row.model) or "(no name)", mono, multi, own.value, own.random_reference or 0.0)


def _drawing(points: Sequence[Point], title: str) -> Markup:
    """Circles, larger for more monolingual MAP, numbered as in the table; those on the frontier are filled."""
    order = sorted(range(len(points)), key=lambda i: (-points[i].multilingual, points[i].label))
    flags = on_frontier(points)
    top = max(0.1, *(point.multilingual for point in points)) * 1.1

    def at(own: float, multi: float) -> tuple[str, str]:
        x = LEFT + (WIDTH - LEFT - 16) * min(1.0, max(0.0, own))
        return f"{x:.1f}", f"{(HEIGHT - BELOW) * (1 - multi / top):.1f}"

    label = f"{title}: multilingual MAP against own-language first"
    parts = [
        Markup('<svg class="frontier" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, label)
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, low = at(tick, 0.0)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="0" y2="{}"/>').format(x, x, low))
        parts.append(Markup('<text class="tick" x="{}" y="{}">{:g}</text>').format(x, HEIGHT - BELOW + 14, tick))
    for share in (0.0, 0.5, 1.0):
        x, y = at(0.0, top / 1.1 * share)
        parts.append(
            Markup('<text class="tick" x="{}" y="{}">{}</text>').format(LEFT // 2, y, number(top / 1.1 * share))
        )
    chance, low = at(points[0].chance, 0.0)
    parts.append(Markup('<line class="chance" x1="{}" x2="{}" y1="0" y2="{}"/>').format(chance, chance, low))
    parts.append(
        Markup('<text class="tick" x="{}" y="{}">own-language first</text>').format((WIDTH + LEFT) // 2, HEIGHT - 4)
    )
    for place, i in enumerate(order, start=1):
        point = points[i]
        x, y = at(point.own_first, point.multilingual)
        says = (
            f"{point.label}: multilingual MAP {number(point.multilingual)}, own-language first "
            f"{number(point.own_first)}, monolingual MAP {number(point.monolingual)}"
        )
        parts.append(
            Markup('<g><title>{}</title><circle class="{}" cx="{}" cy="{}" r="{:.1f}"/>').format(
                says, "on" if flags[i] else "off", x, y, 3 + 5 * point.monolingual
            )
        )
        parts.append(Markup('<text x="{}" y="{}">{}</text></g>').format(f"{float(x) + 9:.1f}", y, place))
    return Markup("\n").join([*parts, Markup("</svg>")])
