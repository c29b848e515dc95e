"""Text in any script in a column of a terminal, and the hits of a search."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from xqr_bench.core.printable import shown, shown_line

LEFT_TO_RIGHT, RIGHT_TO_LEFT = "\u2066", "\u2067"  # isolates: what is inside does not move what is outside
END = "\u2069"
ZERO_WIDTH_JOINER = "\u200d"
ELLIPSIS = "…"


def right_to_left(text: str) -> bool:
    """Whether the first letter with a direction runs from right to left (Unicode's rule P2)."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return False


def isolated(line: str, *, rtl: bool) -> str:
    """The line between isolates, where it needs them: it is right-to-left, or has a part that is.

    A terminal that reorders (such as VTE or Konsole) then reorders inside the cell only; one that does not (such as
    xterm) shows the letters in the order they are stored in, in the same cells. The marks take no cell.
    """
    if rtl:
        return RIGHT_TO_LEFT + line + END
    if any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in line):
        return LEFT_TO_RIGHT + line + END
    return line


def clusters(text: str) -> Iterator[str]:
    """What must not be cut apart: a character with the marks, vowel signs and joiners that follow it."""
    held = ""
    for character in text:
        mark = unicodedata.category(character) in ("Mn", "Mc", "Me") or character in (ZERO_WIDTH_JOINER, "\u0e33")
        if held and not mark and not held.endswith(ZERO_WIDTH_JOINER):
            yield held
            held = ""
        held += character
    if held:
        yield held


def cells(text: str) -> int:
    """Cells of a terminal that the text takes at most: some give a spacing vowel sign (Hindi) one, some none."""
    return cell_len(text) + sum(unicodedata.category(character) == "Mc" for character in text)


def visible(text: str) -> str:
    """The text on one line: white space as single spaces; control and direction characters left out."""
    return shown(" ".join(text.split()), instead="")


def wrap(text: str, width: int, lines: int | None = None) -> list[str]:
    """Cut a text into lines of at most `width` cells: at spaces, else (Chinese, Thai) between characters.

    Args:
        text: in any script.
        width: cells, at least 2.
        lines: at most so many; the last one then ends in an ellipsis. None: all.
    """
    done: list[str] = []
    line: list[str] = []
    used = 0
    for cluster in clusters(visible(text)):
        size = cells(cluster)
        if used + size > width and line:
            cut = next((i for i in range(len(line) - 1, 0, -1) if line[i] == " "), None)
            if cluster == " " or cut is None:
                whole, line = line, []
            else:
                whole, line = line[:cut], line[cut + 1 :]
            done.append("".join(whole).rstrip())
            used = cells("".join(line))
            if cluster == " ":
                continue
        line.append(cluster)
        used += size
    if line or not done:
        done.append("".join(line).rstrip())
    if lines is None or len(done) <= lines:
        return done
    last = list(clusters(done[lines - 1]))
    while last and cells("".join(last)) > width - 1:
        last.pop()
    return [*done[: lines - 1], "".join(last).rstrip() + ELLIPSIS]


# The best candidates of a question, in all their scripts, as lines for a terminal.

Hit = tuple[int, float, str, str, str]
GAP = "  "
LEAST_TEXT = 20


def hits_lines(
    hits: Sequence[Hit], *, score: str = "score", width: int = 100, lines: int | None = 3, isolate: bool = True
) -> list[str]:
    """The best candidates of a search, see `text_lines`.

    Args:
        hits: (rank, score, language, id, text), best first.
        score: heading of the scores.
        width, lines, isolate: of `text_lines`.
    """
    rows = [(str(rank), f"{value:.4f}", language, id_, text) for rank, value, language, id_, text in hits]
    heads = ("rank", score, "lang", "id", "text")
    return text_lines(heads, rows, figures=2, width=width, lines=lines, isolate=isolate)


def text_lines(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    figures: int,
    width: int = 100,
    lines: int | None = 3,
    isolate: bool = True,
) -> list[str]:
    """A table of at most `width` cells; the text stands last, so that nothing behind it can be moved.

    Args:
        heads: of the columns.
        rows: a cell for each.
        figures: so many columns, the first ones, stand on the right.
        width: cells of the terminal.
        lines: of each text; None: all.
        isolate: put Unicode isolates around right-to-left text (no: for output that is not a terminal).
    """
    cleaned = [[shown_line(cell) for cell in row[:-1]] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(heads[:-1], *cleaned, strict=True)]
    room = max(LEAST_TEXT, width - sum(widths) - len(GAP) * len(widths))

    def line_of(row: Sequence[str], text: str) -> str:
        cells = [
            set_cell_size("", size - cell_len(cell)) + cell if place < figures else set_cell_size(cell, size)
            for place, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        return GAP.join([*cells, text]).rstrip()

    result = [line_of(heads[:-1], heads[-1]), "─" * (sum(widths) + len(GAP) * len(widths) + room)]
    for row, (*_, text) in zip(cleaned, rows, strict=True):
        rtl = right_to_left(text)
        for i, line in enumerate(wrap(text, room, lines)):
            result.append(line_of([""] * len(widths) if i else row, isolated(line, rtl=rtl) if isolate else line))
    return result
