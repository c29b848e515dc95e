"""`xqr-bench evaluate precomputed:...` as a user starts it, against the bare matrix product of the same vectors.

    XQR_BENCH_DATA=... python -m tests.benchmarks.bench_command [--runs 7] [--vectors DIR] [--before CHECKOUT]

The command runs in a process of its own, imports included, and takes turns with the float32 product of all queries and
candidates of XQuAD-R, in this process, its vectors in memory. Printed are medians of wall and CPU seconds, the median
and least ratio to the product of the same turn, and the greatest peak of memory of any run. `--before` names a checkout
of another state of this repository, whose command takes turns too.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.bench_ranks import bare_product
from tests.benchmarks.runner import Spent, options, take_turns
from tests.conftest import VECTORS
from xqr_bench.rank.product import unit_vectors

TASK = "xquad-r"
HERE = Path(__file__).resolve().parents[2]


def command(checkout: Path, vectors: Path, peaks: list[int]) -> None:
    """One run of the command of a checkout; its peak of memory in bytes is noted."""
    # what Python compiles is kept, as where the package is installed
    unset = {"PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["evaluate", f"precomputed:{vectors}", "--task", TASK, "--output", folder, "--no-cache"]
        process = subprocess.Popen(
            [sys.executable, "-m", "xqr_bench", *arguments],
            cwd=checkout,  # where Python looks first
            env={**environment, "PYTHONPATH": str(checkout)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the command of {checkout} failed")
    peaks.append(used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def main() -> None:
    given = options(__doc__, runs=7, vectors=str(VECTORS), before=None)
    vectors = Path(given.vectors).resolve()
    queries, candidates = (
        unit_vectors(np.load(vectors / TASK / f"{role}.npy").astype(np.float32)) for role in ("queries", "candidates")
    )
    checkouts = {"before": Path(given.before).resolve()} if given.before else {}
    checkouts["the command"] = HERE
    peaks: dict[str, list[int]] = {name: [] for name in checkouts}
    works: dict[str, Any] = {"bare matrix product": partial(bare_product, queries, candidates)}
    works |= {name: partial(command, place, vectors, peaks[name]) for name, place in checkouts.items()}
    spent = take_turns(works, given.runs)
    product = spent["bare matrix product"]
    print(f"{TASK}, {len(queries)} x {len(candidates)} x {queries.shape[1]}; medians of {given.runs} runs")
    for name, of_work in spent.items():
        wall, cpu = (statistics.median(part) for part in zip(*of_work, strict=True))
        ratios = [Spent(a.wall / b.wall, a.cpu / b.cpu) for a, b in zip(of_work, product, strict=True)]
        text = ", ".join(
            f"{kind} {statistics.median(values):5.2f} (least {min(values):5.2f})"
            for kind, values in zip(("wall", "CPU"), zip(*ratios, strict=True), strict=True)
        )
        peak = f"; peak {max(peaks[name]) / 1e6:.0f} MB" if name in peaks else ""
        print(f"{name:20} {wall:6.3f} s wall, {cpu:6.3f} s CPU; times the product: {text}{peak}")


if __name__ == "__main__":
    main()
