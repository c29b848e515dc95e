"""The command on collections in shards, as docs/scale.md has it: memory and time by the number of passages.

    python -m tests.benchmarks.bench_collection --folder FOLDER                 # all sizes, with `precomputed:` vectors
    python -m tests.benchmarks.bench_collection --folder FOLDER --sizes 500000 --letters 700 --kind texts

FOLDER gets a task of the format `trec`: passages of words in 12 languages, 1,000 questions, and vectors of 64 numbers
from an explicit generator. `evaluate --shard I/N --wait` runs in N processes of one core each, then `merge` where it is
asked for. Printed are the greatest memory of a shard, the processor time of all shards, and that of `merge`. With
`--kind texts` an encoder of this module makes the vectors from the texts; it counts no tokens.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.runner import options
from xqr_bench.rank.product import unit_vectors

LANGUAGES = ("ar", "bn", "de", "en", "es", "fa", "fi", "fr", "hi", "id", "ja", "ko")
QUESTIONS, DIMENSIONS, PIECE, SEED = 1_000, 64, 2**14, 0
HERE = Path(__file__).resolve().parents[2]


class Sums:
    """Vectors that cost next to nothing, from the first letters of a text."""

    name = "sums"
    revision = "1"
    similarity = "cosine"

    def encode(self, texts: Sequence[str]) -> Any:
        """Products of the first letters with fixed numbers, float32 `[texts, DIMENSIONS]`."""
        letters = np.zeros((len(texts), 32), dtype=np.float32)
        for row, text in enumerate(texts):
            some = text[:32].encode("ascii", "replace")
            letters[row, : len(some)] = np.frombuffer(some, dtype=np.uint8)[:32]
        numbers = np.random.Generator(np.random.PCG64(SEED)).standard_normal((32, DIMENSIONS), dtype=np.float32)
        return letters @ numbers


def passages(code: int, size: int, letters: int) -> Iterator[str]:
    """Texts of about so many letters, of words that are drawn."""
    draws = np.random.Generator(np.random.PCG64([SEED, code]))
    words = ["".join(map(chr, draws.integers(97, 123, length))) for length in draws.integers(2, 10, 20_000)]
    for start in range(0, size, PIECE):
        counts = np.maximum(draws.normal(letters / 6.5, letters / 20, min(PIECE, size - start)), 2).astype(int)
        chosen = draws.integers(0, len(words), int(counts.sum())).tolist()
        for stop, count in zip(np.cumsum(counts).tolist(), counts.tolist(), strict=True):
            yield " ".join([words[word] for word in chosen[stop - count : stop]])


def write(folder: Path, size: int, letters: int) -> Path:
    """The files of a task, and vectors of its texts; the path of the task file."""
    task = folder / "made.toml"
    if task.exists():
        return task
    folder.mkdir(parents=True, exist_ok=True)
    of_language, asked = size // len(LANGUAGES), -(-QUESTIONS // len(LANGUAGES))
    draws = np.random.Generator(np.random.PCG64([SEED, size]))
    said = [f"languages = {list(LANGUAGES)}".replace("'", '"'), 'settings = ["monolingual", "multilingual"]']
    ids: dict[str, list[str]] = {"queries": [], "candidates": []}
    for number, code in enumerate(LANGUAGES):
        parts = {part: f"{code}.{part}" for part in ("corpus", "queries", "qrels")}
        with (folder / parts["corpus"]).open("w", encoding="utf-8") as file:
            for row, text in enumerate(passages(number, of_language, letters)):
                file.write(f"{code}{row}\t{text}\n")
        ids["candidates"] += [f"{code}:{code}{row}" for row in range(of_language)]
        answers = draws.integers(0, of_language, asked).tolist()
        for part, line in (("queries", "q{0}\tquestion {0} of {2}\n"), ("qrels", "q{0} 0 {2}{1} 1\n")):
            lines = (line.format(at, answer, code) for at, answer in enumerate(answers))
            (folder / parts[part]).write_text("".join(lines), encoding="utf-8")
        ids["queries"] += [f"{code}:q{at}" for at in range(asked)]
        said += [f"[files.{code}]", *(f'{part} = {{ path = "{name}" }}' for part, name in parts.items())]
    vectors = folder / "vectors" / "made"
    vectors.mkdir(parents=True)
    for role, of_role in ids.items():
        (vectors / f"{role}.ids.txt").write_text("\n".join(of_role) + "\n", encoding="utf-8")
        shape = (len(of_role), DIMENSIONS)
        stored = np.lib.format.open_memmap(vectors / f"{role}.npy", mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, len(of_role), PIECE):
            some = stored[start : start + PIECE]
            some[:] = unit_vectors(draws.standard_normal(some.shape, dtype=np.float32))
        stored.flush()
    head = ['name = "made"', 'format = "trec"', "parallel = false"]
    task.write_text("\n".join([*head, *said]), encoding="utf-8")
    return task


def spent(process: subprocess.Popen[Any]) -> tuple[float, float]:
    """The greatest memory of a process, in GB, and its processor time in seconds, once it has ended."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{process.args} failed")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak / 1e9, used.ru_utime + used.ru_stime


def started(*arguments: str, core: int | None = None) -> subprocess.Popen[Any]:
    """The command, perhaps on one core."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    environment = {**os.environ, **(single if core is not None else {}), "PYTHONPATH": str(HERE)}
    process = subprocess.Popen(
        [sys.executable, "-m", "xqr_bench", *arguments],
        env=environment,
        cwd=HERE,
        stdout=subprocess.DEVNULL,
    )
    if core is not None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(process.pid, {cores[core % len(cores)]})
    return process


def main() -> None:
    given = options(
        __doc__,
        folder="collections",
        sizes="500000,1000000,2000000,5000000",
        letters=60,
        shards=2,
        kind=("precomputed", "texts"),
        merge=False,
    )
    rows = []
    print("passages   GB a shard   s of all shards   s of merge")
    for size in map(int, given.sizes.split(",")):
        folder = Path(given.folder).absolute() / f"{size}-{given.letters}"
        task, run = write(folder, size, given.letters), folder / f"run-{os.getpid()}"
        model = f"precomputed:{folder / 'vectors'}" if given.kind == "precomputed" else f"{Path(__file__)}:Sums"
        told = ["evaluate", model, "--task", str(task), "--data-dir", str(folder), "--quiet", "--output", str(run)]
        shards = [
            started(*told, "--wait", "3600", "--shard", f"{number + 1}/{given.shards}", core=number)
            for number in range(given.shards)
        ]
        memory, seconds = zip(*map(spent, shards), strict=True)
        merged = "–"
        if given.merge:
            peak, took = spent(started("merge", str(run), "--data-dir", str(folder), "--output", str(run / "merged")))
            merged = f"{took:.1f} ({peak:.2f} GB)"
        rows.append((size, sum(seconds)))
        print(f"{size:9,} {max(memory):10.2f} {sum(seconds):17.1f}   {merged}", flush=True)
    if len(rows) > 1:
        print(f"slope of the seconds against the passages, in logarithms: {np.polyfit(*np.log(rows).T, 1)[0]:.2f}")


if __name__ == "__main__":
    main()
