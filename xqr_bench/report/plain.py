"""Tables of plain text, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from xqr_bench.printable import markdown_shown


@dataclass(frozen=True)
class PlainTable:
    """Columns before `names` are names, the others are set to the right; notes stand below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """GitHub's Markdown."""

        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(map(markdown_shown, cells)) + " |"

        rule = ["---" if column < self.names else "---:" for column in range(len(self.header))]
        table = [
            f"**{markdown_shown(self.title)}**",
            "",
            line(self.header),
            line(rule),
            *(line(row) for row in self.rows),
        ]
        return "\n".join([*table, *(f"\n{markdown_shown(note)}" for note in self.notes)])

    def rich(self) -> list[Table | Text]:
        """For a terminal."""
        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            title=self.title,
            title_justify="left",
            title_style="bold",
        )
        for column, name in enumerate(self.header):
            table.add_column(
                Text(name), justify="left" if column < self.names else "right", no_wrap=column >= self.names
            )
        for row in self.rows:
            table.add_row(*map(Text, row))
        return [table, *(Text(note, style="dim") for note in self.notes), Text("")]
