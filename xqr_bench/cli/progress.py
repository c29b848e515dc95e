"""Progress on standard error: of a run, of downloads, of a training."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from xqr_bench.cli.printing import console, echo, text_column
from xqr_bench.core.observe import Observer

if TYPE_CHECKING:
    from rich.progress import TaskID


class RunProgress(Observer):
    """Draws a bar for each phase, with the time left; the line of a phase that has ended stays.

    Args:
        quiet: draw nothing.
        keep: is given each result as soon as it is made.
    """

    def __init__(self, *, quiet: bool = False, keep: Callable[[Any], object] | None = None) -> None:
        from rich.progress import Progress

        self._keep = keep
        self._progress = Progress(*self._columns(), console=console(err=True, quiet=quiet), disable=quiet)
        self._phases: list[TaskID] = []

    def _columns(self) -> list[Any]:
        from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn, TimeRemainingColumn

        return [
            text_column("{task.description:<10}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            text_column("left"),
            TimeRemainingColumn(),
        ]

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, phase: str, total: int | None = None) -> None:
        """Begin a phase, perhaps within another."""
        self._phases.append(self._progress.add_task(phase, total=total, status=""))

    def advance(self, steps: int, status: str = "") -> None:
        """Move the bar of the innermost phase."""
        if self._phases:
            self._progress.advance(self._phases[-1], steps)

    def finish(self) -> None:
        """End the innermost phase."""
        if self._phases:
            self._progress.stop_task(self._phases.pop())

    def made(self, result: object) -> None:
        """Hand the result on."""
        if self._keep is not None:
            self._keep(result)

    def note(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, soft_wrap=True)


class NoteProgress(Observer):
    """Prints the notes."""

    def note(self, line: str) -> None:
        """Print it."""
        echo(line, err=True)


class LineProgress(NoteProgress):
    """Prints a line for each phase that begins, and the notes."""

    def __init__(self, before: str = "") -> None:
        self._before = before

    def start(self, phase: str, total: int | None = None) -> None:
        """Print what begins."""
        echo(f"{self._before}{phase}", err=True)


class DownloadProgress(RunProgress):
    """Draws a bar for each downloaded file, in bytes."""

    def _columns(self) -> list[Any]:
        from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn

        return [text_column("{task.description}"), BarColumn(bar_width=30), DownloadColumn(), TimeRemainingColumn()]


class TrainingProgress(RunProgress):
    """Draws updates, their speed and the loss."""

    _status = ""

    def _columns(self) -> list[Any]:
        return [*super()._columns(), text_column("{task.fields[status]}")]

    def start(self, phase: str, total: int | None = None) -> None:
        """Begin a phase."""
        self._status = ""
        super().start(phase, total)

    def advance(self, steps: int, status: str = "") -> None:
        """Move the bar, and tell the speed and the last status."""
        super().advance(steps)
        self._status = status or self._status
        if self._phases:
            speed = self._progress.tasks[self._phases[-1]].speed
            shown = [f"{speed:.1f} updates/s" if speed is not None else "", self._status]
            self._progress.update(self._phases[-1], status=", ".join(part for part in shown if part))
