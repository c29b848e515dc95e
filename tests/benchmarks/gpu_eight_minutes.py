"""What one GPU does in an evaluation, in eight minutes: where the time goes, and how far it is from its goals.

    python -m tests.benchmarks.gpu_eight_minutes --model MODEL [--device cuda] [--task xquad-r] [--limit 0] [--output F]

Measured: a whole `evaluate` in a process of its own, cold; the imports alone; the encoding, with the share of it in
forward passes, in the tokenizer and in copies, and what is saved by having batches under way together; the counting on
the device, beside the bare product there and the counting on the processor. Goals, for XQuAD-R with all-MiniLM-L6-v2:
12 s whole, 90% of the encoding in forward passes, counting at most 20 times the product; and where it is slower than
the processor, how large a block of scores would have to be (`LEAST_OF_BLOCK` in xqr_bench/rank/counting.py). With
`--device cpu --limit 20` it runs anywhere in minutes, where the forward passes of batches that overlap stand in line
as on a GPU; only a GPU is held to the goals. Writes JSON to F.
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

from tests.benchmarks.runner import options, take_turns, timed
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.encode.bound import Lanes
from xqr_bench.encode.checks import as_numpy
from xqr_bench.encode.hardware import DEVICE_LANES, Transfers
from xqr_bench.rank.counting import LEAST_OF_BLOCK, counting_device, device_name, multiplications
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.product import TILE_ROWS, unit_vectors
from xqr_bench.tasks import Selection, load_spec

GOALS = {"whole_seconds": 12.0, "forward_share": 0.9, "counting_to_product": 20.0, "counting_to_processor": 1.0}
RUNS, TURNS = 5, 3


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
    """Encode, side by side and one batch after another, then once more, watched.

    Seconds of the parts are of all threads together, of which there are `lanes`; `rest` is what they waited, for one
    another and for the GPU. Those of forward passes are the GPU's own, where there is one.
    """
    saved = overlap(encoder, data, cuda)
    watch = Watch(cuda)
    watch.around(encoder, "measure", "tokens counted before")
    watch.around(encoder.model, "preprocess", "tokenizer")
    watch.around(encoder.model, "forward", "forward", on_device=True)
    watch.around(encoder._transfers, "there", "copies there")
    watch.around(encoder._transfers, "here", "copies back")
    watch.around(encoder, "matrix", "checks")
    spent, made = timed(lambda: embed_tasks(encoder, [data])[data.name])
    seconds, lanes = watch.read(), encoder.lanes.number
    share = seconds["forward"] / (1 if cuda else lanes) / spent.wall
    seconds["rest"] = lanes * spent.wall - sum(seconds.values())
    facts = {"seconds": spent.wall, "lanes": lanes, "of_them": seconds, "forward_share": share, "overlap": saved}
    return facts, made


def overlap(encoder: Any, data: Any, cuda: bool) -> dict[str, float]:
    """Seconds of encoding with batches under way together, as on a GPU, and of one after the other; their ratio.

    Without a GPU forward passes stand in line for one thread, so what is saved is what else is done for a batch.
    """
    before, threads, plain = encoder.lanes, torch.get_num_threads(), encoder.model.forward
    ways = {
        "together": Lanes(DEVICE_LANES, around=Transfers(encoder.model).around),
        "one after another": Lanes(),
    }
    line = threading.Lock()

    def in_line(*arguments: Any, **named: Any) -> Any:
        with line:
            return plain(*arguments, **named)

    def encode(way: str) -> None:
        encoder.lanes = ways[way]
        embed_tasks(encoder, [data])

    try:
        if not cuda:
            torch.set_num_threads(1)
            encoder.model.forward = in_line
        spent = take_turns({way: lambda way=way: encode(way) for way in ways}, TURNS)  # type: ignore[misc]
    finally:
        torch.set_num_threads(threads)
        encoder.lanes = before
        vars(encoder.model).pop("forward", None)
    ratios = [one.wall / other.wall for one, other in zip(*spent.values(), strict=True)]
    medians = {way: statistics.median(one.wall for one in runs) for way, runs in spent.items()}
    return {**medians, "ratio": statistics.median(ratios)}


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
    a_block = multiplications([(len(queries), len(candidates))], queries.shape[1])
    return {
        "seconds": seconds,
        "multiplications_of_a_block": a_block,
        # a block takes a GPU about as long whatever its size, and processors in proportion to it
        "least_of_block": a_block * seconds["device"] / seconds["processor"],
        "least_of_block_now": LEAST_OF_BLOCK,
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
    print(
        f"batches under way together: {facts['encoding']['overlap']['ratio']:.3f} of the time of one after another; "
        f"counting pays from {facts['counting']['least_of_block']:.2g} multiplications a block (the limit is "
        f"{LEAST_OF_BLOCK:.2g})"
    )
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
