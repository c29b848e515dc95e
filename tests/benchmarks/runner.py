"""What every benchmark does: read its options, let contenders take turns, measure, run itself in a new process."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


def options(doc: str | None, **defaults: Any) -> argparse.Namespace:
    """Options by name: False is a flag, a tuple a choice, None a text; else of the type of the default."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in defaults.items():
        flag = "--" + name.replace("_", "-")
        if value is False:
            parser.add_argument(flag, action="store_true")
        elif isinstance(value, tuple):
            parser.add_argument(flag, choices=value, default=value[0])
        else:
            parser.add_argument(flag, default=value, type=str if value is None else type(value))
    return parser.parse_args()


class Spent(NamedTuple):
    """Wall seconds, and CPU seconds of this process and those it waited for."""

    wall: float
    cpu: float


def timed(work: Callable[[], Any]) -> tuple[Spent, Any]:
    """What it took, and what it gave."""
    before = _clocks()
    result = work()
    return Spent(*(now - then for now, then in zip(_clocks(), before, strict=True))), result


def take_turns(works: Mapping[str, Callable[[], Any]], runs: int, *, warm: int = 1) -> dict[str, list[Spent]]:
    """Each work once in every run; the first `warm` runs, which compile and load, are not counted."""
    spent: dict[str, list[Spent]] = {name: [] for name in works}
    for run in range(warm + runs):
        for name, work in works.items():
            took, _ = timed(work)
            if run >= warm:
                spent[name].append(took)
    return spent


def peak() -> int:
    """Greatest memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def apart(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m tests.benchmarks.MODULE` in a process of its own."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _clocks() -> tuple[float, float]:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime
