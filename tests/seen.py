"""An observer that remembers."""

from __future__ import annotations

from xqr_bench.core.observe import Observer


class Seen(Observer):
    """Keeps phases and their totals, the steps of all phases, how many phases ended, and the notes."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int | None]] = []
        self.steps: list[int] = []
        self.ended = 0
        self.notes: list[str] = []

    def start(self, phase: str, total: int | None = None) -> None:
        self.phases.append((phase, total))

    def advance(self, steps: int, status: str = "") -> None:
        self.steps.append(steps)

    def finish(self) -> None:
        self.ended += 1

    def note(self, line: str) -> None:
        self.notes.append(line)
