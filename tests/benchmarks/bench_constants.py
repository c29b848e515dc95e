"""What a passage costs: bytes as text, in memory, as a vector, in files of shards; seconds to read, encode, count.

    python -m tests.benchmarks.bench_constants --model MODEL [--task afriqa] [--texts 96]

The constants of docs/examples/scale.py, which docs/scale.md reckons with. CPU seconds of one thread, so that other work
on the machine changes them little. MODEL is a sentence-transformers folder or hub name; it encodes the first `--texts`
passages of the task. Vectors in the store and in shards are of random numbers in 384 columns, on XQuAD-R. Counting is
of 2,048 queries x 60,000 candidates x 384.
"""

from __future__ import annotations

import os
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from tests.benchmarks.bench_scale import DIMENSIONS, one_apart
from tests.benchmarks.runner import options
from xqr_bench.core.observe import Observer
from xqr_bench.encode import embed_tasks, load_encoder, vector_store
from xqr_bench.encode.texts import plan_groups
from xqr_bench.evaluation.evaluate import opened
from xqr_bench.evaluation.ranker import Task
from xqr_bench.evaluation.shard_files import ENCODED, MEASURED
from xqr_bench.evaluation.shards import ShardedRun
from xqr_bench.tasks import load_task, resolve_task

SAMPLED = 20_000
"""Texts at most that are tokenised."""


class Numbers:
    """Vectors that cost next to nothing."""

    revision = "1"
    name = "numbers"

    def encode(self, texts: list[str]) -> Any:
        """A row of numbers drawn from the first characters and the length of each text."""
        seeds = [hash((len(text), text[:40])) % 2**32 for text in texts]
        return np.array([np.random.default_rng(seed).standard_normal(DIMENSIONS, np.float32) for seed in seeds])


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and what it gave."""
    before = process_time()
    made = work()
    return process_time() - before, made


def bytes_below(folder: Path) -> dict[str, int]:
    """Bytes of each file."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def of_texts(name: str) -> dict[str, float]:
    """Bytes of passages as text and in memory, and the seconds to read them."""
    load_task(name)  # what is loaded at the first call
    seconds, task = spent(lambda: load_task(name))
    candidates = task.candidates
    tracemalloc.start()
    again = load_task(name)
    tracemalloc.reset_peak()
    plan_groups([again], symmetric=False)
    _, most = tracemalloc.get_traced_memory()  # what is held of the task, and what planning takes
    tracemalloc.stop()
    read = sum(len(one.text.encode()) for one in (*candidates, *task.queries))
    return {
        "text_bytes": sum(len(one.text.encode()) for one in candidates) / len(candidates),
        "id_bytes": sum(len(one.id.encode()) for one in candidates) / len(candidates),
        "task_bytes": most / len(candidates),
        "read_seconds_per_megabyte": seconds / read * 1e6,
    }


def of_model(model: str, name: str, texts: int) -> dict[str, float]:
    """Tokens of passages, and the seconds to tokenise and to encode them."""
    passages = [one.text for one in load_task(name).candidates]
    encoder: Any = load_encoder(model)
    encoder.measure("candidate", passages[:8])
    some = passages[:SAMPLED]
    tokenising, lengths = spent(lambda: encoder.measure("candidate", some))
    encoder.encode_candidates(passages[:8])
    chosen = sorted(passages[:texts], key=len)
    encoding, _ = spent(lambda: [encoder.encode_candidates(chosen[at : at + 8]) for at in range(0, len(chosen), 8)])
    return {
        "passage_tokens": float(np.mean(lengths)),
        "tokenise_seconds": tokenising / len(some),
        "encode_seconds": encoding / len(chosen),
    }


def of_store() -> dict[str, float]:
    """Bytes of a vector in the store and in the files of shards, and the seconds to read one."""
    with tempfile.TemporaryDirectory() as place:
        folder, task = Path(place), load_task("xquad-r")
        encoder = load_encoder("tests.benchmarks.bench_constants:Numbers")  # by name: objects are not kept
        store = vector_store(folder / "store")
        made = embed_tasks(encoder, [task], store=store)[task.name]
        kept = sum(bytes_below(folder / "store").values())
        seconds, again = spent(lambda: embed_tasks(encoder, [task], store=store)[task.name])
        assert again.stored_texts == again.distinct_texts
        encoder.measure = lambda role, some: np.array(list(map(len, some)))  # type: ignore[attr-defined]
        with opened(encoder) as ranker:
            run = ShardedRun(ranker, [Task(resolve_task("xquad-r"), task)], folder / "run", 2)
            for number in (1, 2, 1):
                run.go_on(number, Observer(), ENCODED)
        sizes = bytes_below(folder / "run")
        beside = sum(size for name, size in sizes.items() if name.endswith((f".{MEASURED}", f".{ENCODED}")))
        return {
            "stored_bytes": kept / made.distinct_texts,
            "store_read_seconds": seconds / made.distinct_texts,
            "shard_bytes_beside_vectors": beside / made.distinct_texts,
        }


def main() -> None:
    given = options(__doc__, model=None, task="afriqa", texts=96)
    found = of_texts(given.task) | of_store()
    if given.model:
        found |= of_model(given.model, given.task, given.texts)
    counted = one_apart(2048, 60_000, 256 * 2**20)
    found["count_nanoseconds"] = counted["cpu_seconds"] / (2048 * 60_000 * DIMENSIONS) * 1e9
    for name, value in found.items():
        print(f"{name:28} {value:12.4g}")


if __name__ == "__main__":
    main()
