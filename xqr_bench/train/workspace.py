"""Where a run writes, what several runs of one process share, and which of several processes this is."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

from xqr_bench.core import strict_json
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.files import refuse_unwritable, write_text

# Where a run writes: an unfinished folder beside the output, moved into its place when all is done.

UNFINISHED = ".unfinished"
RUNNING = "running.json"


class Workspace:
    """The folders of one run.

    `<output>.unfinished/` holds `run.json` (what the run was asked for), `running.json` (which process was at it last),
    `<stage>/checkpoint-<update>/` to resume from, and `model/`, which becomes the output.

    Args:
        output: folder of the model.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(output.name + UNFINISHED)
        self.model = self.folder / "model"

    def check(self, *, resume: bool) -> None:
        """Refuse a place that is taken.

        Raises:
            UsageError: the output exists, or an unfinished run of it that is not to be resumed.
        """
        if self.output.exists():
            raise UsageError(
                f"the output folder {self.output} exists", remedy="name another with --output, or remove it first"
            )
        if self.folder.exists() and not resume:
            raise UsageError(
                f"{self.folder} holds an unfinished run of this output",
                remedy="give --resume to go on with it, or remove the folder",
            )

    @contextmanager
    def begun(self, asked: dict[str, Any]) -> Iterator[None]:
        """Make the folder, or check that the run in it was asked for the same: all that the weights depend on.

        As long as the block lasts no other process can begin there; the system lets go of a process that was killed.

        Raises:
            UsageError: the unfinished run was asked for something else, or another process is at it.
            XqrBenchError: the folder cannot be made or written.
        """
        from filelock import FileLock, Timeout

        refuse_unwritable(self.folder / RUNNING)
        self._lock = FileLock(self.folder / "lock")
        try:
            with suppress(NotImplementedError):  # a file system without locks
                self._lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"another process is at the run in {self.folder}",
                found=f"process {' on '.join(self._running())}",
                remedy="wait until it has ended, or stop it; then go on with --resume",
            ) from None
        try:
            if self.output.exists():  # made by the process that held it until now
                raise UsageError(f"the output folder {self.output} exists", remedy="name another with --output")
            self._begin(json.loads(json.dumps(asked)))
            write_text(self.folder / RUNNING, json.dumps([str(os.getpid()), platform.node()]) + "\n")
            yield
        finally:
            self._lock.release()

    def _running(self) -> list[str]:
        try:
            return [str(part) for part in strict_json.read(self.folder / RUNNING)]
        except (OSError, ValueError, TypeError):
            return ["unknown"]

    def _begin(self, asked: dict[str, Any]) -> None:
        try:
            before = strict_json.read(self.folder / "run.json")
        except FileNotFoundError:
            write_text(self.folder / "run.json", json.dumps(asked, indent=1) + "\n")
            return
        except ValueError:
            before = {}
        changed = sorted(name for name in {*before, *asked} if before.get(name) != asked.get(name))
        if changed:
            raise UsageError(
                f"the unfinished run in {self.folder} was asked for something else",
                found="; ".join(f"{name}: {before.get(name)} then, {asked.get(name)} now" for name in changed),
                remedy="resume it with the same arguments, or remove the folder",
            )

    def discard(self) -> None:
        """Remove all of it: nothing is kept of the run here."""
        self._lock.release()
        shutil.rmtree(self.folder)

    def finish(self) -> Path:
        """Move the model into its place and remove the rest."""
        if self.output.exists():
            raise XqrBenchError(
                f"the output folder {self.output} was made while the run went on",
                found=f"the model is in {self.model}",
                remedy="move it by hand",
            )
        self.model.replace(self.output)
        self._lock.release()  # a file that is open cannot be removed everywhere
        shutil.rmtree(self.folder)
        return self.output


# What several runs of one process can share: read data, vocabularies, tokens, aligned weights.

T = TypeVar("T")


class TrainCache:
    """Keeps the last few things made of each kind; pass one to several calls of `train`.

    What it gives back is shared: a run must not change it.

    Args:
        size: things kept of each kind.
    """

    def __init__(self, size: int = 8) -> None:
        self._size = size
        self._made: dict[str, OrderedDict[Hashable, Any]] = {}

    def get(self, kind: str, key: Hashable, make: Callable[[], T]) -> T:
        """What was made under this key, or what `make` makes now."""
        made = self._made.setdefault(kind, OrderedDict())
        if key not in made:
            made[key] = make()
            while len(made) > self._size:
                made.popitem(last=False)
        made.move_to_end(key)
        return cast(T, made[key])

    def known(self, kind: str, key: Hashable) -> Any:
        """What was made under this key; None: nothing."""
        made = self._made.get(kind)
        return None if made is None else made.get(key)


# Several processes that train one model (torchrun, accelerate launch): which this is, and how many there are.


def need_accelerate() -> None:
    """Check that the package is there that the trainer of sentence-transformers needs.

    Raises:
        UsageError: it is not.
    """
    if find_spec("accelerate") is None:
        raise UsageError("training needs the package accelerate", remedy="pip install 'xqr-bench[train]'")


def is_first() -> bool:
    """Whether this is the process that writes and tells; the only one where there are no others."""
    return of_launcher("RANK", 0) == 0


def of_launcher(variable: str, alone: int) -> int:
    """What torchrun or accelerate say of this process, or of how many there are; `alone` where it was not started so.

    Raises:
        UsageError: that is no number.
    """
    value = os.environ.get(variable) or str(alone)
    if not value.isdecimal():
        raise UsageError(f"{variable} is {value!r}, which is no number", remedy=f"unset {variable}")
    return int(value)


def on_cpu(device: str | None) -> bool:
    """Whether training on this device is training on the CPU; None: the best device there is."""
    import torch

    return device == "cpu" or (device is None and not torch.accelerator.is_available())


def count(device: str | None) -> int:
    """Number of processes that train together on such devices; joins them.

    Without a GPU, accelerate takes processes for separate ones unless it is told to use the CPU.
    """
    from accelerate import PartialState

    return int(PartialState(cpu=on_cpu(device)).num_processes)
