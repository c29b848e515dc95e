"""Progress of a training on standard error: updates, speed, loss, time left."""

from __future__ import annotations

from xqr_bench.cli.printing import text_column
from xqr_bench.cli.progress import RunProgress


class TrainingProgress(RunProgress):
    """Draws `xqr_bench.train.callbacks.TrainProgress`."""

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
