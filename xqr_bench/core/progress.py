"""What a run tells of itself while it goes on: phases, steps, and the time each takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol


class Progress(Protocol):
    """Told what is being done; every phase ends with `finish`, well or not."""

    def start(self, phase: str, total: int | None) -> None:
        """A phase begins: "loading", "encoding" or "scoring", with `total` steps (None: unknown)."""
        ...

    def advance(self, n: int) -> None:
        """`n` more steps are done."""
        ...

    def finish(self) -> None:
        """The phase has ended."""
        ...


class Quiet:
    """Progress nobody watches."""

    def start(self, phase: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, n: int) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


class EncodingPhase:
    """The phase "encoding" of a run, as `xqr_bench.encode.EncodeProgress` wants it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.advance = progress.advance
        self.finish = progress.finish

    def start(self, total: int) -> None:
        """`total` texts are going to be encoded."""
        self._progress.start("encoding", total)


@dataclass
class Clock:
    """Wall time of each phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the block under this name."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 6)


@contextmanager
def told(progress: Progress, phase: str, total: int | None) -> Iterator[None]:
    """Tell `progress` of a phase, its end included."""
    progress.start(phase, total)
    try:
        yield
    finally:
        progress.finish()


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
