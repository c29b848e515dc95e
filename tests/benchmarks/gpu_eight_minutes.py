"""What one GPU does in an evaluation, in eight minutes: where the time goes, and how far it is from its goals.

    python -m tests.benchmarks.gpu_eight_minutes --model MODEL [--device cuda] [--task xquad-r] [--limit 0] [--output F]

Measured: a whole `evaluate` in a process of its own, cold; the imports alone; the encoding, with the share of it in
forward passes, in the tokenizer and in copies; the counting on the device, beside the bare product there and the
counting on the processor. Goals, for XQuAD-R with all-MiniLM-L6-v2: 12 s whole, 90% of the encoding in forward passes,
counting at most 20 times the product and no slower than the processor. With `--device cpu --limit 20` it runs anywhere
in a minute, where forward passes are counted over as many threads as encode; only a GPU is held to the goals. Writes
JSON to F.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tests.benchmarks.runner import options, timed
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.encode.checks import as_numpy
from xqr_bench.rank.counting import counting_device, device_name
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.product import TILE_ROWS, unit_vectors
from xqr_bench.tasks import Selection, load_spec

GOALS = {"whole_seconds": 12.0, "forward_share": 0.9, "counting_to_product": 20.0, "counting_to_processor": 1.0}
RUNS = 5


def whole(model: str, device: str, task: str, limit: int) -> dict[str, Any]:
    """A cold `evaluate` from the command to its record, and the imports that it needs, alone."""
    with TemporaryDirectory() as folder:
        command = ["-m", "xqr_bench", "evaluate", model, "--task", task, "--device", device, "--no-cache"]
        command += ["--output", folder, *(["--limit", str(limit)] if limit else [])]
        spent, _ = timed(lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True))
        record = next(path for path in Path(folder).rglob("*.json"))
        phases = json.loads(record.read_text(encoding="utf-8"))["provenance"]["seconds"]
    imports, _ = timed(
        lambda: subprocess.run([sys.executable, "-c", "import sentence_transformers, xqr_bench"], check=True)
    )
    return {"whole_seconds": spent.wall, "phases": phases, "import_seconds": imports.wall}


class Watch:
    """Seconds in calls of functions, of all threads together; on a GPU those that it computes."""

    def __init__(self, cuda: bool) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._events: list[tuple[str, Any, Any]] = []
        self._cuda, self._lock, self._within = cuda, threading.Lock(), threading.local()

    def around(self, thing: Any, name: str, what: str, *, on_device: bool = False) -> None:
        """Time a method of an object."""
        plain: Callable[..., Any] = getattr(thing, name)

        def timed_call(*arguments: Any, **named: Any) -> Any:
            if getattr(self._within, "inside", False):
                return plain(*arguments, **named)
            self._within.inside = True
            events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if self._cuda and on_device else []
            begun = time.perf_counter()
            try:
                if events:
                    events[0].record()
                made = plain(*arguments, **named)
                if events:
                    events[1].record()
                return made
            finally:
                self._within.inside = False
                with self._lock:
                    if events:
                        self._events.append((what, *events))
                    else:
                        self.seconds[what] += time.perf_counter() - begun

        setattr(thing, name, timed_call)

    def read(self) -> dict[str, float]:
        if self._cuda:
            torch.cuda.synchronize()
        for what, first, last in self._events:
            self.seconds[what] += first.elapsed_time(last) / 1e3
        self._events = []
        return dict(self.seconds)


def encoding(encoder: Any, data: Any, cuda: bool) -> tuple[dict[str, Any], Any]:
    """Encode twice, the second time watched."""
    embed_tasks(encoder, [data])
    watch = Watch(cuda)
    for name in ("tokenize", "preprocess"):
        if hasattr(encoder.model, name):
            watch.around(encoder.model, name, "tokenizer")
    watch.around(encoder.model, "forward", "forward", on_device=True)
    watch.around(encoder, "matrix", "copies and checks")
    spent, made = timed(lambda: embed_tasks(encoder, [data])[data.name])
    seconds = watch.read()
    lanes = 1 if cuda else encoder.lanes.number
    share = seconds["forward"] / lanes / spent.wall
    return {"seconds": spent.wall, "lanes": encoder.lanes.number, "of_them": seconds, "forward_share": share}, made


def counting(data: Any, vectors: Any, device: str) -> dict[str, Any]:
    """Counting on the device and on the processor, and the product alone on the device; medians, taking turns."""
    queries, candidates = (
        torch.from_numpy(unit_vectors(one)).to(device) for one in (vectors.queries, vectors.candidates)
    )

    def product() -> None:
        for start in range(0, len(queries), TILE_ROWS):
            made = queries[start : start + TILE_ROWS] @ candidates.T
        as_numpy(made[:1, :1])  # waits

    def count(on: str) -> Any:
        return exact_ranks(data, vectors.queries, vectors.candidates, device=on)

    works = {"product": product, "device": lambda: count(device), "processor": lambda: count("cpu")}
    found: dict[str, list[float]] = {name: [] for name in works}
    ranks = {name: work() for name, work in works.items()}  # compiles and loads
    for _ in range(RUNS):
        for name, work in works.items():
            found[name].append(timed(work)[0].wall)
    seconds = {name: statistics.median(some) for name, some in found.items()}
    return {
        "seconds": seconds,
        "counting_to_product": seconds["device"] / seconds["product"],
        "counting_to_processor": seconds["device"] / seconds["processor"],
        "counts_that_differ": int(np.sum(ranks["device"].gt != ranks["processor"].gt)),
    }


def main() -> None:
    given = options(__doc__, model="all-MiniLM-L6-v2", device="cuda", task="xquad-r", limit=0, output=None)
    cuda = given.device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device; --device cpu --limit 20 tries the script")
    begun = time.perf_counter()
    device = counting_device(given.device) if cuda else given.device
    facts: dict[str, Any] = {"device": device_name(device), "model": given.model, "task": given.task}
    facts |= {"limit": given.limit, "torch": torch.__version__, **whole(given.model, device, given.task, given.limit)}
    data = Selection(limit=given.limit or None).load(load_spec(given.task))
    encoder = load_encoder(given.model, EncoderOptions(device=device))
    facts["encoding"], vectors = encoding(encoder, data, cuda)
    facts["counting"] = counting(data, vectors, device)
    reached = {
        "whole_seconds": facts["whole_seconds"],
        "forward_share": facts["encoding"]["forward_share"],
        **{name: facts["counting"][name] for name in ("counting_to_product", "counting_to_processor")},
    }
    facts["goals"] = {name: {"goal": goal, "reached": reached[name]} for name, goal in GOALS.items()}
    facts["took_seconds"] = time.perf_counter() - begun
    for name, goal in GOALS.items():
        well = reached[name] >= goal if name == "forward_share" else reached[name] <= goal
        verdict = ("reached" if well else "missed") if cuda else "not held to it"
        print(f"{name:22} {reached[name]:8.3f}  goal {goal:5}  {verdict}")
    text = json.dumps(facts, indent=1)
    if given.output:
        Path(given.output).write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
