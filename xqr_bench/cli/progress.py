"""Progress on standard error: of a run, of downloads, of a training."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from xqr_bench.cli.printing import console, text_column

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


# Progress of a run on standard error: one line for the phase at hand, with the time left.


class RunProgress:
    """Draws `xqr_bench.core.progress.Progress` and, inside the loading phase, downloads."""

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
        """Draw a download (see `xqr_bench.tasks.Progress`)."""
        if stage != "download":
            return
        if name not in self._downloads:
            self._downloads[name] = self._progress.add_task("/".join(name.split("/")[-2:]), total=total)
        self._progress.update(self._downloads[name], completed=done, total=total)


# A bar for downloads, on standard error.


class DownloadBar:
    """One line per downloaded file: `with DownloadBar() as bar: load_task(..., progress=bar)`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: dict[str, TaskID] = {}
        self._progress: Progress | None = None

    def __enter__(self) -> DownloadBar:
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        self._progress = Progress(
            text_column("{task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console(err=True),
            disable=self._quiet,
        )
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, stage: str, name: str, done: int, total: int | None) -> None:
        """Move the file's bar (see `xqr_bench.tasks.Progress`); stages other than "download" draw nothing."""
        if self._progress is None or stage != "download":
            return
        if name not in self._bars:
            self._bars[name] = self._progress.add_task("/".join(name.split("/")[-2:]), total=total)
        self._progress.update(self._bars[name], completed=done, total=total)


# Progress of a training on standard error: updates, speed, loss, time left.


class TrainingProgress(RunProgress):
    """Draws `xqr_bench.train.trainer.TrainProgress`."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._progress.columns = (*self._progress.columns, text_column("{task.fields[note]}"))
        self._loss = ""

    def start(self, phase: str, total: int | None) -> None:
        """Begin a phase."""
        self._loss = ""
        self._phase = self._progress.add_task(phase, total=total, note="")

    def advance(self, n: int) -> None:
        """Move the bar, and tell the speed."""
        super().advance(n)
        if self._phase is not None:
            speed = self._progress.tasks[self._phase].speed
            shown = "" if speed is None else f"{speed:.1f} updates/s"
            self._progress.update(self._phase, note=f"{shown}{self._loss}")

    def loss(self, value: float, validation: float | None) -> None:
        """Show the loss."""
        watched = "" if validation is None else f", validation {validation:.3f}"
        self._loss = f", loss {value:.3f}{watched}"
