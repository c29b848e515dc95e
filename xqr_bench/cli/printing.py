"""The one outlet of the command line: what is printed is cleaned here, and no other module of it prints.

Names, titles, warnings and keys of a stranger's record reach every command. So foreign text is cleaned where it
leaves, and styles of our own are added behind that; tests/cli/test_printing.py keeps others from printing.
"""

from __future__ import annotations

import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import click

from xqr_bench.core.observe import Notice
from xqr_bench.core.printable import json_shown, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TextColumn

    from xqr_bench.report.table import Table


PLAIN = {"±": "~", "†": "*", "‡": "#", "–": "-", "−": "-", "─": "-", "…": ".", "→": ">", "≤": "<"}
"""What stands for a sign of our own on a terminal that does not have it; a question mark for any other character."""


def echo(text: object = "", *, err: bool = False, nl: bool = True, keep: str = "") -> None:
    """Print text for people.

    Args:
        text: may have several lines.
        err: on standard error.
        nl: end the line.
        keep: characters of our own that are printed as they are (see `shown`).
    """
    # the stream itself: one of ASCII, click would take for a mistake and write UTF-8 to it
    click.echo(shown(str(text), keep=keep), file=_own_stream(err=err), nl=nl)


def echo_json(text: str, *, nl: bool = True) -> None:
    """Print JSON for programs: the same value, without characters that steer a terminal."""
    stream = _own_stream()
    encoding = getattr(stream, "encoding", None) or "utf-8"
    click.echo(json_shown(text, ascii_only=not encoding.lower().startswith("utf")), file=stream, nl=nl)


def console(*, err: bool = False, quiet: bool = False) -> Console:
    """A console for tables and progress, which reads no markup in text.

    Args:
        err: on standard error.
        quiet: print nothing.
    """
    if _running and err and not quiet:
        shared: Console = _running[-1].console  # one for all lines on standard error, so that they stand above a bar
        return shared
    return _console(_own_stream(err=err), err=err, quiet=quiet)


def _console(file: IO[str] | None, *, err: bool, quiet: bool = False) -> Console:
    made: Console = _console_class()(file=file, stderr=err, quiet=quiet, highlight=False, markup=False, emoji=False)
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
        """Cleans text after it was laid out and before it gets its style; knows whether bars are drawn on it."""

        drawn = 0

        def set_live(self, live: Any) -> Any:
            self.drawn += 1
            return super().set_live(live)

        def clear_live(self) -> None:
            self.drawn -= 1
            super().clear_live()

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(self._fitting(shown(segment.text)), segment.style)

        def print(self, *objects: Any, **how: Any) -> None:
            """Print; a line that is wider than the terminal goes on in the next one: of a figure nothing is cut off."""
            super().print(*objects, **{"crop": False, **how})

        def _fitting(self, text: str) -> str:
            """The text with others, as wide as they were, for characters that the terminal does not have."""
            try:
                text.encode(self.encoding)
            except UnicodeEncodeError:
                return "".join(c if self._has(c) else PLAIN.get(c, "?" * cell_len(c)) for c in text)
            return text

        def _has(self, character: str) -> bool:
            return character == character.encode(self.encoding, "ignore").decode(self.encoding)

        def on_broken_pipe(self) -> None:
            """Told by `main` as whatever cannot be written."""
            raise

    return CleanConsole


def clean_python() -> None:
    """Have what Python itself prints, warnings and unforeseen errors, cleaned like all else.

    Characters that a terminal does not have are printed as escapes. A stream that was closed (`>&-`) is one that takes
    anything: what is opened next would get its number, and what libraries print would go there.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115, PTH123
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


# What others print while a command runs: libraries, plugins, encoders of users, their child processes.

_running: list[_Streams] = []
_STYLES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class _Streams:
    """The streams of the process while a command runs: `out` and `err` are ours alone."""

    def __init__(self, out: IO[str], err: IO[str]) -> None:
        self.out, self.err = out, err

    @property
    def console(self) -> Any:
        """For lines and bars on standard error."""
        if not hasattr(self, "_made"):
            self._made = _console(self.err, err=True)
        return self._made


def _own_stream(*, err: bool = False) -> IO[str] | None:
    if _running:
        return _running[-1].err if err else _running[-1].out
    return sys.stderr if err else sys.stdout


class _OfOthers(io.TextIOBase):
    """Stands for `sys.stdout` and `sys.stderr`: lines go to standard error, above a bar that is drawn there.

    A bar of others (with carriage returns) is drawn where a terminal shows none of ours; else its last state is a line.
    """

    encoding = "utf-8"

    def __init__(self, streams: _Streams, own: IO[str]) -> None:
        self._streams, self._own = streams, own
        self._rest = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._streams.err, name)  # `buffer` and the like

    def fileno(self) -> int:
        return self._streams.err.fileno()

    def isatty(self) -> bool:
        return self._own.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._streams not in _running:  # a library kept it longer than the command ran
            return sys.stderr.write(text)
        console = self._streams.console
        if "\r" in text and self._streams.err.isatty() and not console.drawn:
            self._streams.err.write(shown(_STYLES.sub("", text), keep="\r"))
            self._streams.err.flush()
            return len(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            console.print(_STYLES.sub("", line).rstrip("\r").rpartition("\r")[2], soft_wrap=True)
        return len(text)

    def end(self) -> None:
        """Print what has no end of line yet."""
        if self._rest:
            self.write("\n")


@contextmanager
def only_ours() -> Iterator[None]:
    """While a command runs, standard output holds only what it prints itself; what others print goes to the other.

    That holds for the file descriptor too, where it is the process's own: for C code and child processes.
    """
    out, err = sys.stdout, sys.stderr
    if out is None or err is None:
        yield
        return
    own, kept = out, None
    with suppress(OSError, ValueError):  # no file, or closed
        if out.fileno() == 1 and err.fileno() == 2:
            out.flush()
            kept = os.dup(1)
            own = os.fdopen(os.dup(1), "w", encoding=out.encoding, errors=out.errors)
            os.dup2(2, 1)
    streams = _Streams(own, err)
    others = [_OfOthers(streams, out), _OfOthers(streams, err)]
    _running.append(streams)
    sys.stdout, sys.stderr = others
    try:
        yield
    finally:
        with suppress(OSError):
            for other in others:
                other.end()
        sys.stdout, sys.stderr = out, err
        _running.remove(streams)
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)
            with suppress(OSError):
                own.close()
