"""How a collection that is too large for one processor is counted in shards: seconds and memory, by size and workers.

    python -m tests.benchmarks.bench_shards FOLDER                 # the whole table, some minutes
    python -m tests.benchmarks.bench_shards FOLDER --sizes 500000,1000000 --workers 1,2

FOLDER gets vectors of unit length from an explicit generator, written in pieces: 5 million of 64 numbers are 1.3 GB.
Each worker is a process of its own, on a core; its memory is its greatest resident size (Linux tells it). Measured are
the functions that `evaluate --shard` has beneath it, on ids that are made when they are asked for: five million objects
of candidates with their texts would take more memory than all of the counting.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from xqr_bench.core.collection import number_digests
from xqr_bench.core.types import Candidate, Query, TaskData
from xqr_bench.rank.counting import Share
from xqr_bench.rank.exact import counter_on, go_through
from xqr_bench.rank.product import TILE_COLUMNS, repeats_of, row_digests, unit_vectors
from xqr_bench.rank.rules import Tally

LANGUAGES = tuple(f"l{number:02}" for number in range(12))
QUERIES, DIMENSIONS, SEED, PIECE = 1_000, 64, 0, 2**16
REPEATED = 1_000
"""So many candidates have the vector of another one."""


class Made(Sequence[Candidate]):
    """Candidates that are made when they are asked for, `size` of each language."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size * len(LANGUAGES)

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Candidate]: ...
    def __getitem__(self, index: int | slice) -> Candidate | Sequence[Candidate]:
        assert isinstance(index, int)
        code = LANGUAGES[index // self._size]
        return Candidate(f"{code}:{index}", code, "")

    def __iter__(self) -> Iterator[Candidate]:
        return (self[index] for index in range(len(self)))


def task(size: int) -> TaskData:
    """A thousand questions over the languages; each has a relevant in every language."""
    draws = np.random.Generator(np.random.PCG64([SEED, size]))
    places = draws.integers(0, size, (QUERIES, len(LANGUAGES))) + size * np.arange(len(LANGUAGES))
    asked = [LANGUAGES[number % len(LANGUAGES)] for number in range(QUERIES)]
    data = TaskData(
        name="made",
        languages=LANGUAGES,
        queries=tuple(Query(f"{code}:q{at}", code, f"q{at}", "") for at, code in enumerate(asked)),
        candidates=Made(size),  # type: ignore[arg-type]
        relevants=tuple(map(tuple, places.tolist())),
        clusters=(0,) * QUERIES,
    )
    data.__dict__["column_sizes"] = np.full(len(LANGUAGES), size)  # it would look at each candidate
    return data


def write(folder: Path, size: int) -> Path:
    """The vectors of a task, some of them equal, and digests of them, as the first pass writes them."""
    path, rows = folder / f"{size}.f32", size * len(LANGUAGES)
    if path.exists():
        return path
    draws, digests = np.random.Generator(np.random.PCG64([SEED, size])), []
    copied = draws.permutation(rows)[: 2 * REPEATED]
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        for start in range(0, rows, PIECE):
            some = unit_vectors(draws.standard_normal((min(PIECE, rows - start), DIMENSIONS), dtype=np.float32))
            file.write(some.tobytes())
    vectors = np.memmap(temporary, dtype=np.float32, mode="r+", shape=(rows, DIMENSIONS))
    vectors[copied[:REPEATED]] = vectors[copied[REPEATED:]]
    for start in range(0, rows, PIECE):
        digests.append(row_digests(unit_vectors(vectors[start : start + PIECE])))
    np.save(path.with_suffix(".npy"), np.concatenate(digests))
    del vectors
    temporary.replace(path)
    return path


class Rows:
    """Rows of a file, read when they are asked for."""

    def __init__(self, path: Path, rows: int) -> None:
        self._path, self.shape = path, (rows, DIMENSIONS)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            with self._path.open("rb") as file:
                file.seek(4 * DIMENSIONS * start)
                content = file.read(4 * DIMENSIONS * (stop - start))
            return np.frombuffer(content, dtype=np.float32).reshape(-1, DIMENSIONS)
        return np.concatenate([self[int(row) : int(row) + 1] for row in rows] or [self[0:0]])


def work(path: Path, size: int, number: int, of: int) -> dict[str, float]:
    """One worker: find and count in its share; thresholds are exchanged through files beside the vectors."""
    if hasattr(os, "sched_setaffinity"):  # a core a worker
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    warm_up()
    begun, data = time.perf_counter(), task(size)
    rows = size * len(LANGUAGES)
    candidates = Rows(path, rows)
    draws = np.random.Generator(np.random.PCG64([SEED + 1, size]))
    queries = draws.standard_normal((QUERIES, DIMENSIONS), dtype=np.float32)
    repeats = repeats_of(number_digests(np.load(path.with_suffix(".npy"))))
    total = -(-rows // TILE_COLUMNS) + -(-len(repeats.first) // TILE_COLUMNS)
    own = Share(repeats, range(total * (number - 1) // of, total * number // of))
    loaded, spent = time.perf_counter(), time.process_time()
    counter = counter_on("cpu", data.edges, queries, candidates, unit=True, memory=2**28, share=own)  # type: ignore[arg-type]
    tally = Tally(data)
    tally.begin_finding()
    go_through(tally, counter, [(True, False)], QUERIES)
    mine, part = path.with_suffix(f".found.{number}-of-{of}.npz"), path.with_suffix(f".part.{number}.npz")
    np.savez(part, **tally.found())
    part.replace(mine)
    found = waited = time.perf_counter()
    for other in range(1, of + 1):
        theirs = path.with_suffix(f".found.{other}-of-{of}.npz")
        while not theirs.exists():
            time.sleep(0.01)
        waited = time.perf_counter()
        if other != number:
            with np.load(theirs) as arrays:
                tally.take_found(dict(arrays))
    tally.refuse_unfound()
    go_through(tally, counter, [(False, True)], QUERIES)
    counted, spent = time.perf_counter(), time.process_time() - spent
    np.savez(path.with_suffix(f".counts.{number}-of-{of}.npz"), **tally.counted())
    status = Path("/proc/self/status").read_text(encoding="ascii")  # ru_maxrss holds that of the parent before exec too
    gigabytes = int(status.partition("VmHWM:")[2].split()[0]) / 2**20
    seconds = {"load": loaded - begun, "find": found - loaded, "wait": waited - found, "count": counted - waited}
    return {**seconds, "processor": spent, "gigabytes": gigabytes}


def warm_up() -> None:
    """Have the loops compiled."""
    data = replace(task(10), candidates=Made(10))  # type: ignore[arg-type]
    rows = np.ones((10 * len(LANGUAGES), DIMENSIONS), dtype=np.float32)
    rows[: len(rows) // 2, 0] = np.arange(len(rows) // 2)
    tally, share = Tally(data), Share(repeats_of(number_digests(row_digests(rows))), range(2))
    counter = counter_on("cpu", data.edges, rows[:QUERIES], rows, unit=True, memory=2**28, share=share)
    go_through(tally, counter, [(True, True)], len(rows))


def measure(folder: Path, size: int, of: int) -> dict[str, float]:
    """All workers together: seconds of the longest, and the greatest memory of one."""
    write(folder, size)
    for left in folder.glob(f"{size}.found.*.npz"):
        left.unlink()
    begun = time.perf_counter()
    command = [sys.executable, "-m", "tests.benchmarks.bench_shards", str(folder), "--work", str(size), str(of)]
    workers = [subprocess.Popen([*command, str(number + 1)], stdout=subprocess.PIPE) for number in range(of)]
    outs = [worker.communicate()[0] for worker in workers]
    seconds = time.perf_counter() - begun
    made = [json.loads(out) for out in outs]
    most = {key: max(one[key] for one in made) for key in made[0]}
    return {"candidates": size * len(LANGUAGES), "workers": of, "seconds": seconds, **most}


def same_counts(folder: Path, size: int, first: int, second: int) -> bool:
    """Whether two numbers of workers have counted the same."""
    data, sums = task(size), []
    for of in (first, second):
        tally = Tally(data)
        for number in range(1, of + 1):
            with np.load(folder / f"{size}.counts.{number}-of-{of}.npz") as arrays:
                tally.take_counted(dict(arrays))
        sums.append(tally.counted())
    return all(np.array_equal(values, sums[1][name]) for name, values in sums[0].items() if name != "at_best")


def main() -> None:
    """Print a table, and the slope of the time of finding and counting against the size, in logarithms."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", default="500000,1000000,2000000,5000000", help="candidates of all languages")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--work", nargs=3, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        size, of, number = asked.work
        print(json.dumps(work(asked.folder / f"{size}.f32", size, number, of)))
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    sizes = [int(size) // len(LANGUAGES) for size in asked.sizes.split(",")]
    workers = [int(number) for number in asked.workers.split(",")]
    print("candidates  workers  seconds   load   find  count  processor  GB a worker")
    for of in workers:
        rows = []
        for size in sizes:
            one = measure(asked.folder, size, of)
            rows.append((one["candidates"], one["processor"]))
            print(
                f"{one['candidates']:10,} {of:8} {one['seconds']:8.1f} {one['load']:6.1f} {one['find']:6.1f} "
                f"{one['count']:6.1f} {one['processor']:10.1f} {one['gigabytes']:8.2f}",
                flush=True,
            )
        if len(rows) > 1:
            slope = np.polyfit(*np.log(np.array(rows).T), 1)[0]
            print(f"slope of the processor time of a worker against size, {of} workers: {slope:.3f}")
    for of in workers[1:]:
        same = all(same_counts(asked.folder, size, workers[0], of) for size in sizes)
        print(f"counts of {workers[0]} and {of} workers: {'the same' if same else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
