"""Progress of a run on standard error: one line for the phase at hand, with the time left."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from xqr_bench.cli.printing import console, text_column

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class RunProgress:
    """Draws `xqr_bench.progress.Progress` and, inside the loading phase, downloads."""

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress: Progress = Progress(
            text_column("{task.description:<10}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            text_column("left"),
            TimeRemainingColumn(),
            console=console(err=True, quiet=quiet),
            disable=quiet,
        )
        self._phase: TaskID | None = None
        self._downloads: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, phase: str, total: int | None) -> None:
        """Begin a phase."""
        self._phase = self._progress.add_task(phase, total=total)

    def advance(self, n: int) -> None:
        """Move the phase's bar."""
        if self._phase is not None:
            self._progress.advance(self._phase, n)

    def finish(self) -> None:
        """End the phase; its line stays."""
        if self._phase is not None:
            self._progress.stop_task(self._phase)
        self._phase = None

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, soft_wrap=True)

    def data(self, stage: str, name: str, done: int, total: int | None) -> None:
        """Draw a download (see `xqr_bench.data.Progress`)."""
        if stage != "download":
            return
        if name not in self._downloads:
            self._downloads[name] = self._progress.add_task("/".join(name.split("/")[-2:]), total=total)
        self._progress.update(self._downloads[name], completed=done, total=total)
