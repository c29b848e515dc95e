"""What a run tells while it goes on: phases, steps and notes; and the time that each phase takes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Notice(UserWarning):
    """A warning of ours, for whoever runs a command; printed as one plain line there."""


class Observer:
    """Hears of phases, steps and notes: of downloads, encoding, ranking and training alike.

    This one draws nothing. Phases may stand within each other (a download within the loading); `advance` is of the
    innermost one. A method may raise (Ctrl-C): nothing is left half-written.
    """

    def start(self, phase: str, total: int | None = None) -> None:
        """A phase begins, such as "loading" or "encoding", with `total` steps (None: unknown)."""

    def advance(self, steps: int, status: str = "") -> None:
        """So many more steps are done; `status` says how it stands, such as the loss of a training."""

    def ahead(self, left: float) -> None:
        """After the steps told next, this share of the phase's work is left: where its steps are not alike."""

    def finish(self) -> None:
        """The phase has ended, well or not."""

    def note(self, line: str) -> None:
        """Something a user should read; here a Python warning."""
        warnings.warn(line, Notice, stacklevel=2)

    def made(self, result: object) -> None:
        """A part of what was asked for is done, such as the record of a task; so it can be kept at once."""

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[None]:
        """Start a phase, and finish it when the block ends, however it ends."""
        self.start(name, total)
        try:
            yield
        finally:
            self.finish()


@dataclass
class Clock:
    """Wall time of each phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the block under this name, and add it to what stands there."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 6)


@contextmanager
def library_bars_hidden() -> Iterator[None]:
    """Hide the bars that transformers shows while it reads and writes weights; downloads keep theirs."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
