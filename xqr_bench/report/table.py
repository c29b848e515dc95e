"""One table for every report: a value, written for a terminal, as Markdown or as HTML (`tex` writes LaTeX).

Text in a table may be anybody's. Each format escapes its own marks here; a terminal's are taken out where everything is
printed (`xqr_bench.cli.printing`).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from xqr_bench.core.printable import markdown_shown
from xqr_bench.report.text import wrap

if TYPE_CHECKING:
    from markupsafe import Markup
    from rich.console import Console, ConsoleOptions, Group
    from rich.text import Text

Parts = tuple[tuple[str, str], ...]
"""Pieces of text, each with its style on a terminal."""
Cell = str | Parts
Frame = Literal["ruled", "dense", "open", "list"]
"""On a terminal: a rule under the headings; the same with one space less between columns; without a margin; no rule."""

LONG_WORD = 14
"""Cells of a word of a heading that is cut where it must be: names of encoders have longer ones."""
GAPS: dict[Frame, tuple[int, int]] = {"ruled": (2, 2), "dense": (1, 2), "open": (2, 0), "list": (2, 0)}
"""Cells of a terminal between two columns, and at both edges together."""


@dataclass(frozen=True)
class Column:
    """A column; how wide it is matters on a terminal only.

    Attributes:
        heading: may have several lines.
        kind: a name stands on the left and may be cut into lines; a figure on the right and a word on the left are not.
        width, least, most: cells.
    """

    heading: str
    kind: Literal["name", "figure", "word"] = "figure"
    width: int | None = None
    least: int | None = None
    most: int | None = None


def columns(*headings: str, names: int = 1) -> tuple[Column, ...]:
    """Columns of these headings: first of names, then of figures."""
    return tuple(Column(heading, "name" if place < names else "figure") for place, heading in enumerate(headings))


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: above it.
        columns: their headings and kinds.
        rows: a cell for each column; a row with fewer is a heading within the table.
        notes: lines below.
        frame: how it is drawn on a terminal.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    frame: Frame = "ruled"

    def texts(self) -> list[list[str]]:
        """The rows as text without styles, each with a cell for every column."""
        rows = [
            [cell if isinstance(cell, str) else "".join(text for text, _ in cell) for cell in row] for row in self.rows
        ]
        return [row + [""] * (len(self.columns) - len(row)) for row in rows]

    def terminal(self, *, above: bool = False) -> Drawn:
        """For a terminal, with its notes; where it is too wide, its columns stand in several tables below each other.

        Args:
            above: the title stands in lines of its own, which may be wider than the table.
        """
        return Drawn(self, above)

    def _least_widths(self) -> list[int]:
        """Cells that each column needs: a name its longest word, a figure and a word a line."""
        from rich.cells import cell_len

        widths = []
        for column, cells in zip(self.columns, zip(*self.texts(), strict=True), strict=True) if self.rows else ():
            texts = [part for cell in (column.heading, *cells) for part in cell.split("\n")]
            parts = [word for text in texts for word in text.split()] if column.kind == "name" else texts
            width = max(column.least or 0, *map(cell_len, parts), 0)
            widths.append(column.width or min(width, column.most or width))
        return widths

    def fitted(self, width: int) -> list[Table]:
        """The table for so many cells.

        Where it does not fit, its headings stand in several lines; where that is not enough, it is cut into several
        tables, each with the names on the left and some of the columns.
        """
        needed = self._least_widths()
        gap, edges = GAPS[self.frame]
        if sum(needed) + gap * (len(needed) - 1) + edges > width and (folded := self._folded()) != self:
            return folded.fitted(width)
        names = next((place for place, column in enumerate(self.columns) if column.kind != "name"), len(self.columns))
        names = max(names, 1)
        room = width - edges - sum(needed[:names]) - gap * (names - 1)
        groups: list[list[int]] = [[]]
        for place in range(names, len(needed)):
            if groups[-1] and sum(needed[one] + gap for one in [*groups[-1], place]) > room:
                groups.append([])
            groups[-1].append(place)
        if len(groups) == 1:
            return [self]
        parts = []
        for group in groups:
            places = [*range(names), *group]
            rows = [row if len(row) < len(self.columns) else [row[place] for place in places] for row in self.rows]
            part = replace(self, columns=[self.columns[place] for place in places], rows=rows)
            parts.append(replace(part, title=self.title if group is groups[0] else "", notes=()))
        return [*parts[:-1], replace(parts[-1], notes=self.notes)]

    def _folded(self) -> Table:
        """With headings of figures in as many lines as make them no wider than the figures, where they have words."""
        from rich.cells import cell_len

        heads = list(self.columns)
        for place, (column, cells) in enumerate(zip(self.columns, zip(*self.texts(), strict=True), strict=True)):
            if column.kind == "figure" and "\n" not in column.heading:
                room = max(cell_len(line) for cell in cells for line in cell.split("\n"))
                lines = [""]
                for word in re.findall(r"[^ _]+[ _]?", column.heading):
                    for part in _parts(word):
                        if lines[-1] and cell_len((lines[-1] + part).rstrip()) > room:
                            lines.append("")
                        lines[-1] += part
                heads[place] = replace(column, heading="\n".join(line.rstrip() for line in lines))
        return replace(self, columns=tuple(heads))

    def drawn(self, *, above: bool) -> Group:
        """As it is, for a terminal."""
        from rich import box
        from rich.console import Group
        from rich.table import Table as RichTable
        from rich.text import Text

        # a box with a rule itself puts one space between columns
        frames: dict[str, dict[str, Any]] = {
            "ruled": {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0)},
            "dense": {"box": box.SIMPLE_HEAD, "padding": 0},
            "open": {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False},
            "list": {"box": None},
        }
        title = [Text(self.title, style="bold")] if self.title else []
        drawn = RichTable(pad_edge=False, title_justify="left", **frames[self.frame])
        if title and not above:
            drawn.title = title.pop()
        widths: Sequence[int | None] = self._least_widths() or [column.least for column in self.columns]
        for column, least in zip(self.columns, widths, strict=True):
            drawn.add_column(
                Text(column.heading),
                justify="right" if column.kind == "figure" else "left",
                no_wrap=column.kind != "name",
                overflow="fold" if column.kind == "name" else "ellipsis",
                width=column.width,
                min_width=least,
                max_width=column.most,
            )
        for row in self.rows:
            cells = [Text(cell) if isinstance(cell, str) else Text.assemble(*cell) for cell in row]
            caps = [column.width or column.most if column.kind == "name" else None for column in self.columns]
            drawn.add_row(*(cell if cap is None else _cut(cell, cap) for cell, cap in zip(cells, caps, strict=False)))
        return Group(*title, drawn, *(Text(note, style="dim") for note in self.notes))

    def markdown(self) -> str:
        """GitHub's Markdown."""

        def line(cells: Iterable[str]) -> str:
            return f"| {' | '.join(cells)} |"

        lines = [
            f"**{markdown_shown(self.title)}**",
            "",
            line(markdown_shown(column.heading) for column in self.columns),
            line("---:" if column.kind == "figure" else "---" for column in self.columns),
            *(line(map(markdown_shown, row)) for row in self.texts()),
        ]
        return "\n".join([*lines, *(f"\n{markdown_shown(note)}" for note in self.notes)])

    def csv(self) -> str:
        """Comma-separated values (RFC 4180): the headings, then the rows; no title and no notes."""
        with io.StringIO(newline="") as text:
            csv.writer(text, lineterminator="\n").writerows([[one.heading for one in self.columns], *self.texts()])
            return text.getvalue()

    def json(self) -> str:
        """A JSON list of an object a row; an empty figure is null. The figures must be numbers as JSON writes them."""

        def value(column: Column, text: str) -> Any:
            return text if column.kind != "figure" else json.loads(text) if text else None

        rows = [
            {one.heading: value(one, text) for one, text in zip(self.columns, row, strict=True)} for row in self.texts()
        ]
        return json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False)

    def html(self) -> Markup:
        """For a page: a box that scrolls, and the notes below it."""
        from markupsafe import Markup

        def side(place: int) -> Markup:
            return Markup(' class="right"') if self.columns[place].kind == "figure" else Markup("")

        heads = [
            Markup('<th scope="col"{}>{}</th>').format(side(place), column.heading.replace("\n", " ") or "No.")
            for place, column in enumerate(self.columns)
        ]
        rows = []
        for first, *others in self.texts():
            cells = [Markup('<th scope="row"><bdi dir="auto">{}</bdi></th>').format(first)]
            cells += [
                Markup('<td{}><bdi dir="auto">{}</bdi></td>').format(side(place), cell)
                for place, cell in enumerate(others, start=1)
            ]
            rows.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
        return Markup(
            '<div class="scroll" role="region" aria-label="{0}" tabindex="0">\n<table class="plain">\n'
            "<caption><span>{0}</span></caption>\n<thead><tr>{1}</tr></thead>\n<tbody>\n{2}\n</tbody>\n</table>\n</div>\n{3}"
        ).format(
            self.title,
            Markup("").join(heads),
            Markup("\n").join(rows),
            Markup('<p class="explain">{}</p>').format(" ".join(self.notes)) if self.notes else "",
        )


def _parts(word: str) -> list[str]:
    """A word as it is, or a long one cut behind each `/` and `-`, and between letters where that is not enough."""
    from rich.cells import cell_len

    if cell_len(word) <= LONG_WORD:
        return [word]
    pieces = re.findall(r"[^/-]*[/-]|[^/-]+", word)
    return [part for piece in pieces for part in (wrap(piece, LONG_WORD) if cell_len(piece) > LONG_WORD else [piece])]


def _cut(text: Text, width: int) -> Text:
    """The text with words of more cells than this cut behind a `/`, `-` or `_` of theirs, where they have one."""
    from rich.cells import cell_len
    from rich.text import Text

    cuts: list[int] = []
    for word in re.finditer(r"\S+", text.plain):
        start = word.start()
        while cell_len(text.plain[start : word.end()]) > width:
            ends = [part.end() for part in re.finditer("[/_-]", text.plain[: word.end() - 1]) if part.end() > start]
            fitting = [end for end in ends if cell_len(text.plain[start:end]) <= width]
            if not fitting:
                break
            cuts.append(start := fitting[-1])
    return Text("\n").join(text.divide(cuts)) if cuts else text


@dataclass(frozen=True)
class Drawn:
    """A table on a terminal, as wide as that is."""

    table: Table
    above: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Group]:
        """Draw it in as many parts as it takes."""
        for part in self.table.fitted(options.max_width):
            yield part.drawn(above=self.above)
