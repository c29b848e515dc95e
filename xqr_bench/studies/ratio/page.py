"""The page of the ratio study: curves drawn when it is made, tables, and a script that only chooses what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from xqr_bench.board.model import Leaderboard
from xqr_bench.board.site.build import MorePage
from xqr_bench.board.site.html import asset, render
from xqr_bench.core.files import write_text
from xqr_bench.report.numbers import number, signed
from xqr_bench.report.table import Table
from xqr_bench.studies.ratio.form import Condition, Ratios, Score
from xqr_bench.studies.ratio.tables import MAIN, SHORT, condition_tables, study_tables
from xqr_bench.studies.ratio.words import Curve, curve, origins, sentences

FILE, TITLE = "ratio.html", "Batch ratio"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BELOW = 300, 150, 46, 8, 8, 24
VIEWS = ("raw", "centred")
PARTS = {"all": "All languages", "group": "Groups of languages", "language": "Query languages"}
_PART_OF = {"all": "all", "level": "group", "group": "group", "language": "language"}


@dataclass(frozen=True)
class Panel:
    """A drawing and what it shows."""

    title: str
    drawing: Markup


@dataclass(frozen=True)
class Block:
    """Panels that are chosen together."""

    measure: str
    part: str
    kind: str
    panels: list[Panel]

    @property
    def title(self) -> str:
        """As a heading."""
        kind = "minus alpha .5" if self.kind == "difference" else "score"
        return f"{self.measure}, {PARTS[self.part].lower()}: {kind}"


@dataclass(frozen=True)
class Section:
    """What the page shows of a condition."""

    condition: Condition
    said: list[str]
    origins: list[tuple[str, str]]
    blocks: list[Block]
    tables: list[Table]


def ratio_page(found: Ratios) -> MorePage:
    """The study as a page of the site."""

    def make(board: Leaderboard, common: dict[str, Any]) -> str:
        return _render(found, **common)

    return MorePage(FILE, TITLE, lambda board: True, make)


def write_report_page(found: Ratios, path: Path, json_file: str) -> Path:
    """Write the study as a page of its own, beside its JSON."""
    common = {
        "title": "The ratio study",
        "file": path.name,
        "root": "",
        "home": path.name,
        "json_file": json_file,
        "navigation": [(path.name, "The ratio study")],
        "footer": f"Made by xqr-bench {found.code_version}.",
    }
    write_text(path, _render(found, **common))
    return path


def _render(found: Ratios, **common: Any) -> str:
    return render(
        "ratio.html.jinja",
        script=asset("ratio.js"),
        study=found,
        sections=[_section(found, one) for one in found.conditions],
        parts=PARTS,
        tables=study_tables(found),
        **common,
    )


def _section(found: Ratios, condition: Condition) -> Section:
    return Section(
        condition,
        sentences(found, condition),
        origins(found, condition),
        list(_blocks(condition)),
        condition_tables(found, condition),
    )


def _blocks(condition: Condition) -> Iterator[Block]:
    view = condition.view()
    if view is None:
        return
    names = {one.code: f"{one.name} {one.code} ({one.level})" for one in condition.languages}
    for key in MAIN:
        for part in PARTS:
            scores = [one for one in view.scores if (one.setting, one.metric) == key and _PART_OF[one.part] == part]
            for kind in ("score", "difference"):
                panels = [
                    panel
                    for score in scores
                    if (panel := _panel(condition, score, kind, names.get(score.name, score.name))) is not None
                ]
                if panels:
                    yield Block(SHORT[key], part, kind, panels)


def _panel(condition: Condition, score: Score, kind: str, name: str) -> Panel | None:
    curves: dict[str, Curve] = {}
    for view in VIEWS:
        shown = condition.view(view)
        same = None if shown is None else shown.score(score.setting, score.metric, score.part, score.name)
        made = curve(condition, same, minus=kind == "difference")
        if made is not None and len(made.alphas) > 1:
            curves[view] = made
    title = name or "all languages"
    label = f"{condition.name}, {SHORT[score.setting, score.metric]}, {title}, against alpha"
    return Panel(title, draw(curves, label, difference=kind == "difference")) if curves else None


def draw(curves: dict[str, Curve], label: str, *, difference: bool) -> Markup:
    """Lines with bands; figures stand in the points' titles."""
    low = min(min(one.low) for one in curves.values())
    high = max(max(one.high) for one in curves.values())
    room = (high - low) * 0.06 or abs(high) * 0.06 or 0.1
    low, high = low - room, high + room

    def at(alpha: float, value: float) -> tuple[str, str]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * alpha
        y = TOP + (HEIGHT - TOP - BELOW) * (high - value) / (high - low)
        return f"{x:.1f}", f"{y:.1f}"

    parts = [Markup('<svg class="curve" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, label)]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = at(tick, low)
        parts.append(Markup('<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, TOP, y))
        parts.append(Markup('<text class="tick" x="{}" y="{}">{:g}</text>').format(x, HEIGHT - 8, tick))
    for share in (0.1, 0.5, 0.9):
        value = low + (high - low) * share
        x, y = at(0.0, value)
        text = signed(value) if difference else number(value)
        parts.append(Markup('<text class="scale" x="{}" y="{}">{}</text>').format(LEFT - 6, float(y) + 3.5, text))
        parts.append(Markup('<line class="notch" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT - 4, LEFT, y, y))
    if difference:
        (left, zero), (right, _) = at(0.0, 0.0), at(1.0, 0.0)
        parts.append(Markup('<line class="zero" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, right, zero, zero))
    for view, one in curves.items():
        there = [at(a, v) for a, v in zip(one.alphas, one.high, strict=True)]
        back = [at(a, v) for a, v in zip(one.alphas, one.low, strict=True)][::-1]
        line = [at(a, v) for a, v in zip(one.alphas, one.values, strict=True)]
        parts.append(Markup('<g class="{}"><polygon class="band" points="{}"/>').format(view, _points(there + back)))
        parts.append(Markup('<polyline class="line" points="{}"/>').format(_points(line)))
        for place, (alpha, value) in enumerate(zip(one.alphas, one.values, strict=True)):
            x, y = line[place]
            says = (
                f"alpha {alpha:g}, {view}: {number(value)}, 95% {number(one.low[place])} to {number(one.high[place])}"
            )
            parts.append(
                Markup('<circle cx="{}" cy="{}" r="2.6"><title>{}</title></circle>').format(x, y, says)
                if view == "raw"
                else Markup('<rect x="{:.1f}" y="{:.1f}" width="5" height="5"><title>{}</title></rect>').format(
                    float(x) - 2.5, float(y) - 2.5, says
                )
            )
        parts.append(Markup("</g>"))
    return Markup("").join([*parts, Markup("</svg>")])


def _points(found: list[tuple[str, str]]) -> str:
    return " ".join(f"{x},{y}" for x, y in found)
