"""The one outlet of the command line: what is printed is cleaned here, and no other module of it prints.

Names, titles, warnings and keys of a stranger's record reach every command. So foreign text is cleaned where it
leaves, and styles of our own are added behind that; tests/cli/test_printing.py keeps others from printing.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from xqr_bench.core.observe import Notice
from xqr_bench.core.printable import json_shown, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TextColumn

    from xqr_bench.report.table import Table


def echo(text: object = "", *, err: bool = False, nl: bool = True, keep: str = "") -> None:
    """Print text for people.

    Args:
        text: may have several lines.
        err: on standard error.
        nl: end the line.
        keep: characters of our own that are printed as they are (see `shown`).
    """
    # the stream itself: one of ASCII, click would take for a mistake and write UTF-8 to it
    click.echo(shown(str(text), keep=keep), file=sys.stderr if err else sys.stdout, nl=nl)


def echo_json(text: str, *, nl: bool = True) -> None:
    """Print JSON for programs: the same value, without characters that steer a terminal."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(json_shown(text, ascii_only=not encoding.lower().startswith("utf")), file=sys.stdout, nl=nl)


def console(*, err: bool = False, quiet: bool = False) -> Console:
    """A console for tables and progress, which reads no markup in text.

    Args:
        err: on standard error.
        quiet: print nothing.
    """
    made: Console = _console_class()(stderr=err, quiet=quiet, highlight=False, markup=False, emoji=False)
    return made


def can_draw() -> bool:
    """Whether standard error is a terminal that moves its cursor: no file, no pipe, and no cell of a notebook."""
    notebook = "JPY_PARENT_PID" in os.environ or "COLAB_RELEASE_TAG" in os.environ  # theirs look like a terminal
    return sys.stderr.isatty() and not notebook and os.environ.get("TERM") not in ("dumb", "unknown")


def table_console() -> Console:
    """A console for tables, as wide as the terminal; what is no terminal gets lines of 100."""
    made = console()
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        made.width = max(made.width, 100)
    return made


def echo_tables(tables: Iterable[Table], *, markdown: bool = False) -> None:
    """Print tables for people, a blank line below each, or in Markdown."""
    if markdown:
        echo("\n\n".join(table.markdown() for table in tables))
        return
    for table in tables:
        table_console().print(table.terminal(), "", sep="\n")


def text_column(text: str) -> TextColumn:
    """A column of progress bars, whose text is no markup either."""
    from rich.progress import TextColumn

    return TextColumn(text, markup=False)


@cache
def _console_class() -> Any:
    from rich.cells import cell_len
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class CleanConsole(Console):
        """Cleans text after it was laid out and before it gets its style."""

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(self._fitting(shown(segment.text)), segment.style)

        def _fitting(self, text: str) -> str:
            """The text with question marks, as wide as they were, for characters that the terminal does not have."""
            try:
                text.encode(self.encoding)
            except UnicodeEncodeError:
                return "".join(c if self._has(c) else "?" * cell_len(c) for c in text)
            return text

        def _has(self, character: str) -> bool:
            return character == character.encode(self.encoding, "ignore").decode(self.encoding)

        def on_broken_pipe(self) -> None:
            """Told by `main` as whatever cannot be written."""
            raise

    return CleanConsole


def clean_python() -> None:
    """Have what Python itself prints, warnings and unforeseen errors, cleaned like all else.

    Characters that a terminal does not have are printed as escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.excepthook = _unforeseen
    if warnings.formatwarning is not _clean_warning:
        _plain_warning.append(warnings.formatwarning)
        warnings.formatwarning = _clean_warning


def let_go() -> None:
    """Give up what a full disk or a closed pipe does not take; Python would try it once more at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


_plain_warning: list[Any] = []


def _clean_warning(message: Warning | str, *arguments: Any, **more: Any) -> str:
    if isinstance(message, Notice):
        return f"! {shown(str(message))}\n"
    return shown(_plain_warning[-1](message, *arguments, **more))


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    echo("".join(traceback.format_exception(kind, error, trace)), err=True, nl=False)
