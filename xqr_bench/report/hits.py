"""The best candidates of a question, in all their scripts, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from xqr_bench.printable import shown_line
from xqr_bench.report.script import isolated, right_to_left, wrap

Row = tuple[int, float, str, str, str]
GAP = "  "
LEAST_TEXT = 20


def hits_lines(
    rows: Sequence[Row], *, score: str = "score", width: int = 100, lines: int | None = 3, isolate: bool = True
) -> list[str]:
    """A table of at most `width` cells; the text stands last, so that nothing behind it can be moved.

    Args:
        rows: (rank, score, language, id, text), best first.
        score: heading of the scores.
        width: cells of the terminal.
        lines: of each text; None: all.
        isolate: put Unicode isolates around right-to-left text (no: for output that is not a terminal).
    """
    heads = ("rank", score, "lang", "id")
    cells = [
        (str(rank), f"{value:.4f}", shown_line(language), shown_line(id_)) for rank, value, language, id_, _ in rows
    ]
    widths = [max(cell_len(row[i]) for row in (heads, *cells)) for i in range(len(heads))]
    room = max(LEAST_TEXT, width - sum(widths) - len(GAP) * len(heads))

    def beside(row: Sequence[str], text: str) -> str:
        padded = [_pad(cell, widths[i], right=i < 2) for i, cell in enumerate(row)]
        return GAP.join([*padded, text]).rstrip()

    result = [beside(heads, "text"), "─" * (sum(widths) + len(GAP) * len(heads) + room)]
    for row, (_, _, _, _, text) in zip(cells, rows, strict=True):
        rtl = right_to_left(text)
        for i, line in enumerate(wrap(text, room, lines)):
            result.append(beside(row if i == 0 else [""] * len(heads), isolated(line, rtl=rtl) if isolate else line))
    return result


def _pad(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if right else cell + space
