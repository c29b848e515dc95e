r"""LaTeX: any text escaped, and tables with booktabs that fit the column they stand in.

Names in Latin letters go through pdfLaTeX. A name in another script stands in a command of that script, such as
`\textarabic{...}`, which the comment above the table defines for XeLaTeX: where it is not defined LaTeX stops, instead
of leaving letters out.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from unicodedata import category, normalize

from xqr_bench import __version__
from xqr_bench.core.printable import REPLACEMENT, shown_line
from xqr_bench.report.scripts import font_of, script_of
from xqr_bench.report.table import Table

# Text.

_SIGNS = {
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\to$",
    "×": r"$\times$",
    "\xa0": "~",
    "\xad": r"\-",
    REPLACEMENT: "?",
    # behind the \\ of a row these would be read as its arguments
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}
_SIGNED = re.compile(r"(?<![\w.+-])([+-])(?=[.\d]|\s)")
# what T1 and TS1 have beside ASCII and the letters up to U+017F, and what of these they lack
_TEXT_SIGNS = frozenset("‘’‚“”„†‡•…‰‹›€™—ȘșȚț")
_NOT_IN_T1 = frozenset("ħĦĿŀŉŦŧĸſ")
_RIGHT_TO_LEFT = frozenset({"arabic", "hebrew"})
_BREAK = re.compile(r"(?<=[/_+:])(?=\w)")


def latex_text(text: str) -> str:
    """Text escaped for LaTeX, with the signs of numbers in mathematics and other scripts in commands of theirs."""
    return latex_scripts(text, _escaped)


def latex_scripts(text: str, write: Callable[[str], str] = str) -> str:
    """The text with other scripts than Latin in commands of theirs.

    Args:
        text: plain, or LaTeX already.
        write: how each run of it is written.
    """
    written = []
    for script, run in _runs(normalize("NFC", shown_line(text))):
        written.append(write(run) if script is None else rf"\text{script}{{{write(run)}}}")
    return "".join(written)


def _escaped(run: str) -> str:
    pieces = []
    for place, piece in enumerate(_SIGNED.split(run)):
        if place % 2:  # every other one is the sign of a number
            pieces.append(f"${piece}$")
            continue
        for sign, after in zip(piece, f"{piece[1:]} ", strict=False):
            # two hyphens would become a dash, two commas a quotation mark
            pieces.append(_SIGNS.get(sign, sign) + "{}" * (sign in "-," and sign == after))
    return "".join(pieces)


def _script(sign: str) -> str | None:
    """The script of a character that pdfLaTeX has no sign for; None: it has one."""
    if sign <= "~" or sign in _SIGNS or sign in _TEXT_SIGNS:
        return None
    if "\xa1" <= sign <= "\u017f" and sign not in _NOT_IN_T1:
        return None
    return script_of(sign)


def _runs(text: str) -> Iterator[tuple[str | None, str]]:
    """The text in runs of one script: marks belong to their letter, and spaces between words of one script to it."""
    signs: list[tuple[str | None, str]] = []
    for sign in text:
        script = _script(sign)
        if script is not None and signs and category(sign) in ("Mn", "Mc", "Me", "Cf"):
            script = signs[-1][0] or script
            if signs[-1][0] is None and category(sign) == "Cf":
                continue  # of no width, and joins nothing
        signs.append((script, sign))
    for place, (script, sign) in enumerate(signs):
        if script is None and sign in " -" and place:
            after = next((one for one, later in signs[place:] if later not in " -"), None)
            signs[place] = (signs[place - 1][0] if signs[place - 1][0] == after else None, sign)
    for script, run in groupby(signs, key=lambda one: one[0]):
        yield script, "".join(sign for _, sign in run)


def needs(latex: str) -> list[str]:
    """What LaTeX must load for it, as lines of comment that can be copied into a preamble."""
    packages = ["booktabs", *(name for name in ("tabularx", "longtable", "array") if name in latex)]
    lines = [rf"% \usepackage{{{','.join(packages)}}}"]
    scripts = dict.fromkeys(_script(sign) for sign in normalize("NFC", latex) if sign > "~")
    others = sorted({script for script in scripts if script is not None and rf"\text{script}{{" in latex})
    if not others:
        return [*lines, r"% \usepackage[T1]{fontenc}"] if scripts or r"\textquotedbl" in latex else lines
    lines.append(r"% \usepackage{fontspec} % XeLaTeX: names are in other scripts; any font with their letters will do")
    for script in others:
        option = f"[Script={script.title()}]" if script in _RIGHT_TO_LEFT else ""
        text = r"\TeXXeTstate=1\beginR#1\endR" if script in _RIGHT_TO_LEFT else "#1"
        lines.append(rf"% \newfontfamily\{script}names{option}{{{font_of(script)}}}")
        lines.append(rf"% \providecommand\text{script}[1]{{{{\{script}names {text}}}}}")
    return lines


# Tables.

COLUMN, PAGE = 7.7, 16.0
"""Centimetres: a column and the text of a page of two columns, as ACL has them."""
MANY = 8
"""Columns; more stand closer."""
LONG = 45
"""Lines; a table with more goes over several pages."""
_SIGN, _MARK, _GAP, _LEAST_NAME = 0.17, 0.13, 0.28, 2.0  # centimetres in \small, of 10 points
_SHORT_NAME = 16  # characters: such a name stays on one line


@dataclass(frozen=True)
class Figure:
    """A cell: text with a mark behind it (letters and daggers are raised, an interval is small), perhaps in bold."""

    text: str
    mark: str = ""
    best: bool = False


Cell = str | Figure


@dataclass(frozen=True)
class Sheet:
    """A table of a paper; its texts are plain, they are escaped here.

    Attributes:
        caption: LaTeX, as a person may write it; `latex_text` makes it of plain text.
        names: headings of the columns on the left.
        figures: headings of the others.
        rows: a cell for each column; a row of one cell is a heading within the table.
        over: headings over so many of the figures each.
        notes: sentences behind the caption.
        label: what `\\label` calls it; empty: none.
        words: places of the figures that are words, and stand on the left of their column.
    """

    caption: str
    names: Sequence[str]
    figures: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    over: Sequence[tuple[str, int]] = ()
    notes: Sequence[str] = ()
    label: str = ""
    words: frozenset[int] = frozenset()

    @classmethod
    def of_table(cls, table: Table, caption: str) -> Sheet:
        """A table of a report, its notes below."""
        kinds = [column.kind for column in table.columns]
        n_names = next((place for place, kind in enumerate(kinds) if kind != "name"), len(kinds))
        heads = [column.heading.replace("\n", " ") for column in table.columns]
        words = frozenset(place for place, kind in enumerate(kinds[n_names:]) if kind != "figure")
        rows = [texts[: len(row)] for row, texts in zip(table.rows, table.texts(), strict=True)]
        notes = [note.strip() for note in table.notes]
        return cls(caption, heads[:n_names], heads[n_names:], rows, notes=notes, words=words)

    def latex(self) -> str:
        """The table, below a comment that says what it needs."""
        return _Set(self).latex()


class _Set:
    """A sheet as it is set: which columns have marks, how wide it is, in which environment it stands."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        n_names = len(sheet.names)
        full = [[*map(_figure, row)] for row in sheet.rows if len(row) > 1]
        columns = list(zip(*full, strict=True)) or [()] * (n_names + len(sheet.figures))
        self.marked = [any(cell.mark for cell in column) for column in columns[n_names:]]
        self.folded = []
        self.names = []
        for heading, column in zip(sheet.names, columns, strict=False):
            texts = [heading, *(cell.text for cell in column)]
            self.folded.append(max(map(len, texts)) > _SHORT_NAME)
            pieces = (
                [piece for text in texts for piece in re.split(r"(?<=[-/_+:])|\s", text)] if self.folded[-1] else texts
            )
            self.names.append(max([_LEAST_NAME] * self.folded[-1] + [_SIGN * len(piece) for piece in pieces]) + _GAP)
        self.widths = []
        for heading, column in zip(sheet.figures, columns[n_names:], strict=True):
            cells = [_SIGN * len(cell.text) + _MARK * len(cell.mark) for cell in column]
            self.widths.append(max([_SIGN * len(heading), *cells]) + _GAP)
        self.beside = sum(self.widths)
        self.width = sum(self.names) + self.beside
        room, lines = self._room(), len(sheet.rows) - len(full)
        for row in full:
            folded = (len(cell.text) for cell, is_folded in zip(row, self.folded, strict=False) if is_folded)
            lines += max([1, *(math.ceil(_SIGN * length / room) for length in folded)])
        self.long = lines > LONG

    def _room(self) -> float:
        """Centimetres for each name that is folded, on the whole page."""
        kept = sum(width for width, is_folded in zip(self.names, self.folded, strict=True) if not is_folded)
        room = (PAGE - self.beside - kept) / max(1, sum(self.folded)) - _GAP
        return min(7.0, max(_LEAST_NAME, room))

    def latex(self) -> str:
        inner = self._longtable() if self.long else self._table()
        lines = [
            f"% xqr-bench {__version__}; in the preamble:",
            *needs(inner),
            *self._advice(),
            inner,
        ]
        return "\n".join(lines)

    def _advice(self) -> list[str]:
        if self.long:
            return [r"% longtable needs one column: in a paper of two it stands in the appendix, behind \onecolumn"]
        size = self._size()
        if self._in_column():
            return [f"% fits a column of {COLUMN} cm"]
        wide = f"% about {self.width * _SIZES[size]:.0f} cm wide: table* goes across both columns of a paper of two"
        return [wide if self.width * _SIZES[size] <= PAGE else f"{wide}, and needs a page on its side (rotating)"]

    def _in_column(self) -> bool:
        return self.width * _SIZES["footnotesize"] <= COLUMN

    def _size(self) -> str:
        room = COLUMN if self._in_column() and not self.long else PAGE
        return next((size for size, factor in _SIZES.items() if self.width * factor <= room), "scriptsize")

    def _spec(self) -> str:
        folded = "X"
        if self.long:
            folded = f"p{{{self._room():.1f}cm}}"
        ragged = rf">{{\raggedright\arraybackslash}}{folded}"
        names = [ragged if is_folded else "l" for is_folded in self.folded]
        kinds = [
            "l" if place in self.sheet.words else "r@{}l" * marked or "r" for place, marked in enumerate(self.marked)
        ]
        return f"@{{}}{''.join([*names, *kinds])}@{{}}"

    def _head(self) -> list[str]:
        lines = []
        if self.sheet.over:
            cells, rules, start = [""] * len(self.sheet.names), [], 0
            for heading, n in self.sheet.over:
                first = len(self.sheet.names) + sum(map(self._span, range(start))) + 1
                span = sum(map(self._span, range(start, start + n)))
                # where it is wider than what it stands over, it would pull that apart
                room = max(8, round(sum(self.widths[start : start + n]) / _SIGN))
                folded = r"\\".join(map(latex_text, textwrap.wrap(heading, room, break_long_words=False)))
                text = rf"\shortstack{{{folded}}}" if r"\\" in folded else folded
                cells.append(rf"\multicolumn{{{span}}}{{c}}{{{text}}}")
                if heading:
                    rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
                start += n
            lines += [_row(cells), "".join(rules)]
        heads = [*map(latex_text, self.sheet.names)]
        for place, heading in enumerate(self.sheet.figures):
            text = latex_text(heading)
            heads.append(rf"\multicolumn{{2}}{{c}}{{{text}}}" if self._span(place) == 2 else text)
        return [*lines, _row(heads)]

    def _span(self, place: int) -> int:
        """Columns of LaTeX that a figure takes."""
        return 1 + (self.marked[place] and place not in self.sheet.words)

    def _body(self) -> list[str]:
        lines: list[str] = []
        n_columns = len(self.sheet.names) + sum(map(self._span, range(len(self.marked))))
        for row in self.sheet.rows:
            if len(row) == 1:
                heading = (
                    rf"\multicolumn{{{n_columns}}}{{@{{}}l@{{}}}}{{\textit{{{latex_text(_figure(row[0]).text)}}}}}"
                )
                lines += [*([r"\addlinespace"] if lines else []), _row([heading])]
                continue
            cells = []
            for place, cell in enumerate(map(_figure, row), start=-len(self.sheet.names)):
                text = latex_text(cell.text) if place >= 0 else latex_name(cell.text)
                cells.append(rf"\textbf{{{text}}}" if cell.best else text)
                if place >= 0 and self._span(place) == 2:
                    cells.append(_mark(cell.mark))
            lines.append(_row(cells))
        return lines

    def _caption(self) -> str:
        label = rf"\label{{{self.sheet.label}}}" if self.sheet.label else ""
        return rf"\caption{{{' '.join([self.sheet.caption, *map(latex_text, self.sheet.notes)])}}}{label}"

    def _table(self) -> str:
        kind = "table" if self._in_column() else "table*"
        environment, width = ("tabularx", r"{\linewidth}") if any(self.folded) else ("tabular", "")
        lines = [
            rf"\begin{{{kind}}}[t]",
            rf"\centering\{self._size()}",
            rf"\setlength{{\tabcolsep}}{{{3 if len(self.widths) > MANY else 4}pt}}",
            rf"\begin{{{environment}}}{width}{{{self._spec()}}}",
            r"\toprule",
            *self._head(),
            r"\midrule",
            *self._body(),
            r"\bottomrule",
            rf"\end{{{environment}}}",
            self._caption(),
            rf"\end{{{kind}}}",
        ]
        return "\n".join(lines)

    def _longtable(self) -> str:
        head = [r"\toprule", *self._head(), r"\midrule"]
        lines = [
            rf"\begingroup\{self._size()}",
            rf"\setlength{{\tabcolsep}}{{{3 if len(self.widths) > MANY else 4}pt}}",
            rf"\begin{{longtable}}{{{self._spec()}}}",
            rf"{self._caption()} \\",
            *head,
            r"\endfirsthead",
            *head,
            r"\endhead",
            r"\bottomrule",
            r"\endfoot",
            *self._body(),
            r"\end{longtable}",
            r"\endgroup",
        ]
        return "\n".join(lines)


_SIZES = {"small": 1.0, "footnotesize": 0.9, "scriptsize": 0.8}
"""How wide letters are, from those of ten points on."""


def latex_name(text: str) -> str:
    """A name, which may be broken behind its slashes and the like."""
    return r"\allowbreak{}".join(map(latex_text, _BREAK.split(text)))


def _figure(cell: Cell) -> Figure:
    return cell if isinstance(cell, Figure) else Figure(cell)


def _mark(mark: str) -> str:
    if not mark:
        return ""
    return (
        rf"\,{{\scriptsize {latex_text(mark)}}}" if mark.startswith("±") else rf"\textsuperscript{{{latex_text(mark)}}}"
    )


def _row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"
