"""Plots without scripts: bars with intervals as SVG, heat maps as tables whose cells carry a shade.

They are made here, and not by a plotting library, so that they need no script, follow the reader's light or dark
mode through the style sheet, print, and can be read by a screen reader.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from markupsafe import Markup

from xqr_bench.board.model import Figure, LanguageFacts
from xqr_bench.site.text import MARK, number, short_number

SHADES = 10
LABEL, PLOT, VALUE, ROW = 98, 200, 56, 22
WIDTH = LABEL + PLOT + VALUE
GRID = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class HeatCell:
    """A cell of a heat map: what it says and its shade, 0 .. SHADES - 1; None where there is no value."""

    text: str
    shade: int | None
    title: str
    diagonal: bool = False


@dataclass(frozen=True)
class HeatRow:
    """A row of a heat map."""

    language: LanguageFacts
    cells: list[HeatCell]


def shade(value: float | None) -> int | None:
    """The shade of a value of 0 .. 1."""
    if value is None or not math.isfinite(value):
        return None
    return min(SHADES - 1, max(0, int(value * SHADES)))


def heat_map(
    languages: Sequence[LanguageFacts],
    values: Mapping[tuple[str, str], float | None],
    meaning: str,
) -> list[HeatRow]:
    """A square table of languages: rows are query languages, columns candidate languages.

    Args:
        languages: of the task, in order.
        values: (query language, candidate language) -> value in 0 .. 1.
        meaning: what a value is, for the text on hover.
    """
    rows = []
    for query in languages:
        cells = []
        for candidate in languages:
            value = values.get((query.code, candidate.code))
            title = f"{meaning}, {query.name} to {candidate.name}: {number(value)}"
            cells.append(HeatCell(short_number(value), shade(value), title, query.code == candidate.code))
        rows.append(HeatRow(query, cells))
    return rows


def bars(
    languages: Sequence[LanguageFacts], figures: Mapping[str, Figure], label: str, marked: Set[str] = frozenset()
) -> Markup:
    """Horizontal bars of values in 0 .. 1, one a language, with both intervals.

    The drawing is one image to a screen reader; its figures stand in a table beside it.
    """
    height = ROW * len(languages) + 24
    parts = [
        Markup('<svg class="bars" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, height, label),
    ]
    for tick in GRID:
        x = _x(tick)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="0" y2="{}"/>').format(x, x, ROW * len(languages) + 4)
        )
        parts.append(Markup('<text class="tick" x="{}" y="{}">{:g}</text>').format(x, height - 6, tick))
    for place, language in enumerate(languages):
        parts.append(_bar(place * ROW, language, figures.get(language.code), language.code in marked))
    return Markup("\n").join([*parts, Markup("</svg>")])


def _x(value: float) -> str:
    return f"{LABEL + PLOT * min(1.0, max(0.0, value)):.2f}"


def _bar(top: int, language: LanguageFacts, figure: Figure | None, marked: bool) -> Markup:
    middle = top + ROW // 2
    name = Markup('<text class="name" x="0" y="{}">{} <tspan class="code">{}{}</tspan></text>').format(
        middle + 4, language.name, language.code, MARK if marked else ""
    )
    value = figure.value if figure else None
    if figure is None or value is None or not math.isfinite(value):
        reason = (figure.undefined_reason if figure else None) or "not measured"
        return Markup('<g>{}<text class="value" x="{}" y="{}">–<title>{}</title></text></g>').format(
            name, LABEL + 4, middle + 4, reason
        )
    drawn = [
        name,
        Markup('<rect class="bar" x="{}" y="{}" width="{:.2f}" height="{}"/>').format(
            LABEL, top + 5, float(_x(value)) - LABEL, ROW - 10
        ),
    ]
    for css, interval in (("article", figure.article_interval), ("question", figure.interval)):
        if interval is not None and all(map(math.isfinite, interval)):
            drawn.append(
                Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                    css, _x(interval[0]), _x(interval[1]), middle, middle
                )
            )
    drawn.append(
        Markup('<text class="value" x="{}" y="{}">{}</text>').format(LABEL + PLOT + 8, middle + 4, number(value))
    )
    title = Markup("<title>{}</title>").format(f"{language.name}: {describe(figure)}")
    return Markup("<g>{}{}</g>").format(title, Markup("").join(drawn))


def describe(figure: Figure, level: str = "95%") -> str:
    """The figure and its intervals in words."""
    text = number(figure.value)
    for name, interval in (("questions", figure.interval), ("articles", figure.article_interval)):
        if interval is not None:
            text += f", {level} interval over {name} {number(interval[0])} to {number(interval[1])}"
    return text
