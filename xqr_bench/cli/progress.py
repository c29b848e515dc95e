"""Progress on standard error: of a run, of downloads, of a training."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from xqr_bench.cli.printing import can_draw, console, echo, text_column
from xqr_bench.core.observe import Observer
from xqr_bench.core.printable import shown_line

if TYPE_CHECKING:
    from rich.progress import TaskID

MINUTE = 60.0
"""Seconds between two lines where no bar can be drawn, and that rate and time left are made from."""

STEPS = 10
"""As many steps at least they are made from: two runs that end side by side are not two runs a second."""


@dataclass
class _Phase:
    """A phase under way.

    Attributes:
        name, total: as it was begun.
        begun: when.
        done: steps.
        left: share of the work that is left; where nobody says otherwise all steps are alike.
        status: how it stands.
        marks: (when, done, left) after each step of the last minute, or after the last ten steps, and once before them.
        bar: what is drawn of it.
    """

    name: str
    total: int | None
    begun: float
    bar: TaskID | None = None
    done: int = 0
    left: float | None = None
    status: str = ""
    marks: deque[tuple[float, int, float]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.marks.append((self.begun, 0, 1.0))

    def advance(self, steps: int, now: float) -> None:
        """Count steps, and forget what was before the last minute and the last ten steps."""
        self.done += steps
        mark = (now, self.done, self._share_left)
        if mark[1:] == self.marks[-1][1:]:
            return  # its status alone is new
        if now - self.begun < 1.0:
            self.marks.clear()  # a training that goes on has its first half at once: it says nothing of the pace
        self.marks.append(mark)
        while len(self.marks) > STEPS + 1 and self.marks[1][0] <= now - MINUTE:
            self.marks.popleft()

    @property
    def _share_left(self) -> float:
        if self.left is not None:
            return self.left
        return 1.0 - self.done / self.total if self.total else 1.0

    def rate(self) -> float | None:
        """Steps a second, of the marks; None where there was none yet."""
        (then, before, _), (now, done, _) = self.marks[0], self.marks[-1]
        return (done - before) / (now - then) if now > then and done > before else None

    def seconds_left(self, now: float) -> float | None:
        """At the pace of the marks; None where nothing is known."""
        (then, _, before), (last, _, left) = self.marks[0], self.marks[-1]
        if last <= then or before <= left:
            return None
        return max(left * (last - then) / (before - left) - (now - last), 0.0)

    def counted(self) -> str:
        """`1,234 of 26,021`."""
        return f"{self.done:,}" if self.total is None else f"{self.done:,} of {self.total:,}"

    def line(self, now: float) -> str:
        """How it stands, for a log."""
        rate, left = self.rate(), self.seconds_left(now)
        parts = [
            f"{self.name}: {self.counted()}",
            "" if rate is None else f"{rate:,.1f} a second" if rate >= 0.1 else f"{rate * MINUTE:,.1f} a minute",
            f"{_duration(now - self.begun)} so far",
            "" if left is None else f"{_duration(left)} left",
            self.status,
        ]
        return ", ".join(part for part in parts if part)


def _duration(seconds: float | None) -> str:
    """`1:02:03`."""
    if seconds is None:
        return "-:--:--"
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class RunProgress(Observer):
    """Draws a bar for each phase, with the time left; the line of a phase that has ended stays.

    Where no bar can be drawn (a log, a pipe), it prints a line a minute and one when a phase has ended.

    Args:
        quiet: draw nothing.
        keep: is given each result as soon as it is made.
        clock: gives seconds.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        keep: Callable[[Any], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet, self._keep, self._clock = quiet, keep, clock
        self._phases: list[_Phase] = []
        self._bars: Any = None
        self._over = Event()
        if not quiet and can_draw():
            from rich.progress import Progress

            self._bars = Progress(*self._columns(), console=console(err=True))

    def _columns(self) -> list[Any]:
        from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn

        return [
            text_column("{task.description:<10}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            text_column("left {task.fields[left]}"),
        ]

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        elif not self._quiet:
            Thread(target=self._tell_each_minute, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._bars is not None:
            self._bars.stop()

    def _tell_each_minute(self) -> None:
        while not self._over.wait(MINUTE):
            self.tell()

    def tell(self) -> None:
        """Print a line that says how the innermost phase stands."""
        for phase in self._phases[-1:]:
            echo(phase.line(self._clock()), err=True)

    def start(self, phase: str, total: int | None = None) -> None:
        """Begin a phase, perhaps within another."""
        bar = None
        if self._bars is not None:
            bar = self._bars.add_task(phase, total=total, left=_duration(None), status="")
        self._phases.append(_Phase(phase, total, self._clock(), bar))

    def ahead(self, left: float) -> None:
        """Take the share of the work that is left from whoever knows it."""
        if self._phases:
            self._phases[-1].left = left

    def advance(self, steps: int, status: str = "") -> None:
        """Move the bar of the innermost phase."""
        if not self._phases:
            return
        phase, now = self._phases[-1], self._clock()
        phase.advance(steps, now)
        phase.status = status or phase.status
        if self._bars is not None:
            left = _duration(phase.seconds_left(now))
            self._bars.update(phase.bar, advance=steps, left=left, status=self._status(phase))

    def _status(self, phase: _Phase) -> str:
        return phase.status

    def finish(self) -> None:
        """End the innermost phase."""
        if not self._phases:
            return
        phase = self._phases.pop()
        if self._bars is not None:
            self._bars.stop_task(phase.bar)
        elif not self._quiet:
            took = _duration(self._clock() - phase.begun)
            echo(f"{phase.name:<10} {phase.counted()} in {took}" + (phase.status and f", {phase.status}"), err=True)

    def made(self, result: object) -> None:
        """Hand the result on."""
        if self._keep is not None:
            self._keep(result)

    def note(self, line: str) -> None:
        """Print a line, above the bars where there are some."""
        if self._bars is not None:
            self._bars.console.print(line, soft_wrap=True)
        elif not self._quiet:
            echo(line, err=True)


class NotebookProgress(RunProgress):
    """Draws one bar in the cell of a notebook, in HTML: that needs no extension of it.

    Args:
        display: puts a bundle of MIME types below the cell and returns what can replace it there.
        clock: gives seconds.
    """

    def __init__(self, display: Callable[..., Any], *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(quiet=True, clock=clock)
        self._display, self._handle, self._drawn = display, None, -1.0
        self._ended: list[str] = []

    def start(self, phase: str, total: int | None = None) -> None:
        """Begin a phase, perhaps within another."""
        super().start(phase, total)
        self._draw()

    def advance(self, steps: int, status: str = "") -> None:
        """Move the bar of the innermost phase, four times a second at most."""
        super().advance(steps, status)
        if self._clock() - self._drawn >= 0.25:
            self._draw()

    def finish(self) -> None:
        """End the innermost phase; its line stays."""
        for phase in self._phases[-1:]:
            took = _duration(self._clock() - phase.begun)
            self._ended.append(f"{phase.name}: {phase.counted()} in {took}" + (phase.status and f", {phase.status}"))
        super().finish()
        self._draw()

    def note(self, line: str) -> None:
        """Print a line."""
        echo(line, err=True)

    def _draw(self) -> None:
        from html import escape

        self._drawn = self._clock()
        lines, bars = list(self._ended), [""] * len(self._ended)
        for phase in self._phases[-1:]:
            lines.append(phase.line(self._drawn))
            bars.append(f'<progress value="{phase.done}" max="{phase.total}"></progress> ' if phase.total else "")
        told = "".join(f"<div>{bar}{escape(shown_line(line))}</div>" for bar, line in zip(bars, lines, strict=True))
        bundle = {"text/plain": "\n".join(map(shown_line, lines)), "text/html": told}
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def progress_here() -> RunProgress:
    """What shows progress where Python runs: in the cell of a notebook, on a terminal, or in a log."""
    display = _notebook_display()
    return RunProgress() if display is None else NotebookProgress(display)


def _notebook_display() -> Callable[..., Any] | None:
    """What shows something below the cell that runs; None: this is no notebook."""
    ipython = sys.modules.get("IPython")
    if ipython is None or getattr(ipython.get_ipython(), "kernel", None) is None:
        return None
    from IPython.display import display

    shows: Callable[..., Any] = display
    return shows


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
        from rich.progress import BarColumn, DownloadColumn

        bar, size = BarColumn(bar_width=30), DownloadColumn()
        return [text_column("{task.description}"), bar, size, text_column("{task.fields[left]}")]


class SweepProgress(RunProgress):
    """Draws runs, and how far the one is that was last heard of."""

    def _columns(self) -> list[Any]:
        return [*super()._columns(), text_column("{task.fields[status]}")]


class TrainingProgress(SweepProgress):
    """Draws updates, their speed and the loss."""

    def _status(self, phase: _Phase) -> str:
        rate = phase.rate()
        return ", ".join(part for part in ("" if rate is None else f"{rate:.1f} updates/s", phase.status) if part)
