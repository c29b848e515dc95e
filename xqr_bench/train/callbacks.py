"""What happens beside the updates: progress, models kept at given updates, complete checkpoints, a loss gone wrong."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback

from xqr_bench.errors import TrainingError
from xqr_bench.files import write_text


class TrainProgress(Protocol):
    """Told how far a training is (see `xqr_bench.progress.Progress`), and its loss."""

    def start(self, phase: str, total: int | None) -> None:  # noqa: D102
        ...

    def advance(self, n: int) -> None:  # noqa: D102
        ...

    def finish(self) -> None:  # noqa: D102
        ...

    def loss(self, value: float, validation: float | None) -> None:
        """The mean loss of the last updates, and that of the last validation."""
        ...


class Watch(TrainerCallback):  # type: ignore[misc]  # the library is not typed here
    """Tells of progress and keeps models; stops a run whose loss is no number."""

    def __init__(
        self, progress: TrainProgress | None, keep_at: Collection[int], keep: Callable[[], None] | None
    ) -> None:
        self._progress, self._keep_at, self._keep = progress, frozenset(keep_at), keep
        self._validation: float | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After each update."""
        if self._progress is not None:
            self._progress.advance(1)
        if self._keep is not None and state.global_step in self._keep_at:
            self._keep()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """After some updates."""
        if logs is None or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"the loss is {logs['loss']} at update {state.global_step}",
                remedy="use a lower learning rate, a higher temperature, or --precision fp32",
            )
        if self._progress is not None:
            self._progress.loss(logs["loss"], self._validation)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        """After a validation."""
        self._validation = metrics.get("eval_loss", self._validation)


def marker(checkpoint: Path, process: int) -> Path:
    """The file that tells that a process has written its part of a checkpoint."""
    return checkpoint / f"complete-{process}.json"


class Complete(TrainerCallback):  # type: ignore[misc]
    """Marks checkpoints that were written whole, and carries over what the library's state does not.

    Args:
        process: number of this process.
        since: what an earlier start left: tokens of this process, seconds, updates at which the run went on.
    """

    def __init__(self, process: int, since: dict[str, Any] | None) -> None:
        self._process, self._since = process, since or {"tokens": 0, "seconds": 0.0, "resumed_at": []}
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time of all starts."""
        return float(self._since["seconds"]) + time.perf_counter() - self._begin

    @property
    def resumed_at(self) -> list[int]:
        """Updates at which the run went on."""
        return list(self._since["resumed_at"])

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The library restores the state of process 0 in every process: the tokens are each one's own."""
        state.num_input_tokens_seen = int(self._since["tokens"])

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After this process has written its part."""
        facts = {"tokens": state.num_input_tokens_seen, "seconds": self.seconds, "resumed_at": self.resumed_at}
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_text(marker(checkpoint, self._process), json.dumps(facts) + "\n")
