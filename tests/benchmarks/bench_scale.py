"""Memory and time of exact ranks on pools far beyond the tasks': a million candidates, and how time grows.

    python -m tests.benchmarks.bench_scale [--candidates 1000000] [--queries 10000] [--memory 256] [--no-slope]
    python -m tests.benchmarks.bench_scale --files [--candidates 1000000] [--queries 10000] [--memory 256]

Random float32 vectors of 384 dimensions in 12 languages, one candidate in a hundred a repetition; each query has a
relevant in every language. Ranks and all metrics are computed in a process of its own, whose peak memory is printed
with the parts that do not depend on this program: the vectors themselves and the task's texts.
With `--files` the vectors stand in files, in another order than the texts, and everything that `evaluate` does with
them is measured: matched by id, checked, counted, and looked at for texts that share a vector.
The slope is that of log(seconds) against log(queries x candidates): 1 where time grows in proportion to the work.
A million by ten thousand is 15 TFLOP (each score is computed twice where the pool is larger than the budget, first
for the thresholds): some minutes on two cores.
"""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.benchmarks.runner import apart, options, peak, timed
from xqr_bench.core.types import Candidate, Query, TaskData
from xqr_bench.encode import embedder_of, load_encoder
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.record.describe import language_diagnostics
from xqr_bench.tasks import load_spec

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh", "fr")
DIMENSIONS = 384
CHUNK = 65536
STEPS = {"texts": "with the texts", "lookup": "once looked up", "ranking": "once ranked", "peak": "in the end"}


def synthetic_task(n_queries: int, n_candidates: int) -> TaskData:
    """Candidates and queries shared out among the languages; every query has one relevant in each."""
    edges = np.linspace(0, n_candidates, len(LANGUAGES) + 1).astype(int).tolist()
    each = -(-n_queries // len(LANGUAGES))
    queries = [Query(f"{name}:{i}", name, str(i), "") for name in LANGUAGES for i in range(each)][:n_queries]
    candidates = (
        Candidate(f"{name}:{i // 200}:{i // 5 % 40}:{i % 5}", name, f"sentence {i} of {name}")
        for name, (low, high) in zip(LANGUAGES, pairwise(edges), strict=True)
        for i in range(high - low)
    )
    # questions lie spread over the pool, as in a real collection
    relevants = tuple(
        tuple(low + int(query.question) * (high - low) // each for low, high in pairwise(edges)) for query in queries
    )
    return TaskData("scale", LANGUAGES, tuple(queries), tuple(candidates), relevants, (0,) * n_queries)


def synthetic_vectors(rows: int, seed: int) -> np.ndarray:
    """Random rows, filled in pieces; one in a hundred is a row before it."""
    generator = np.random.default_rng(seed)
    vectors = np.empty((rows, DIMENSIONS), dtype=np.float32)
    for start in range(0, rows, CHUNK):
        generator.standard_normal(dtype=np.float32, out=vectors[start : start + CHUNK])
    repeated = np.arange(100, rows, 100)
    vectors[repeated] = vectors[repeated - 1 - generator.integers(0, 99, size=len(repeated))]
    return vectors


def one(n_queries: int, n_candidates: int, memory: int, metrics: bool) -> dict[str, float]:
    """Rank, and score; called in a process of its own."""
    data = synthetic_task(n_queries, n_candidates)
    texts = peak()
    queries, candidates = synthetic_vectors(n_queries, 0), synthetic_vectors(n_candidates, 1)
    exact_ranks(synthetic_task(12, 12), queries[:12], candidates[:12])  # compiles, or loads what is compiled
    before = peak()
    spent, ranks = timed(lambda: exact_ranks(data, queries, candidates, memory=memory))
    facts = {
        "queries": n_queries,
        "candidates": n_candidates,
        "seconds": spent.wall,
        "cpu_seconds": spent.cpu,
        "texts": texts,
        "vectors": queries.nbytes + candidates.nbytes,
        "before": before,
        "peak": peak(),
    }
    if metrics:
        spec = load_spec("xquad-r")
        spent, _ = timed(lambda: score(all_per_query(ranks, spec.metrics, spec.settings), {}))
        facts |= {"metric_seconds": spent.wall, "peak_with_metrics": peak()}
    return facts


def write_files(folder: Path, n_queries: int, n_candidates: int) -> None:
    """Precomputed vectors of `synthetic_task`, the last text first, written some thousands at a time."""
    data = synthetic_task(n_queries, n_candidates)
    (folder / data.name).mkdir(parents=True)
    for name, items in (("queries", data.queries), ("candidates", data.candidates)):
        path = folder / data.name / f"{name}.npy"
        path.with_suffix(".ids.txt").write_text("".join(f"{item.id}\n" for item in reversed(items)), encoding="utf-8")
        with path.open("wb") as file:
            shape = (len(items), DIMENSIONS)
            np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
            for start in range(0, len(items), CHUNK):
                synthetic_vectors(min(CHUNK, len(items) - start), start).tofile(file)


def of_files(folder: Path, n_queries: int, n_candidates: int, memory: int) -> dict[str, Any]:
    """Look vectors up, rank them and describe them, as `evaluate` does; called in a process of its own."""
    data = synthetic_task(n_queries, n_candidates)
    queries, candidates = synthetic_vectors(12, 0), synthetic_vectors(12, 1)
    exact_ranks(synthetic_task(12, 12), queries, candidates)  # compiles, or loads what is compiled
    texts = peak()
    encoder = load_encoder(f"precomputed:{folder}")
    embedder = embedder_of(encoder, memory=memory)
    looked_up, [vectors] = timed(lambda: list(embedder.embed([data])))
    after_lookup = peak()
    ranked, ranks = timed(lambda: exact_ranks(data, vectors.queries, vectors.candidates, memory=memory, device="cpu"))
    after_ranking = peak()
    described, facts = timed(lambda: language_diagnostics(data, vectors, encoder))
    digest = sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in (ranks.gt, ranks.eq)))
    digest.update(repr(facts).encode())
    return {
        "digest": digest.hexdigest(),
        "texts": texts,
        "vectors": 4 * DIMENSIONS * (n_queries + n_candidates),
        "lookup": after_lookup,
        "ranking": after_ranking,
        "peak": peak(),
        "seconds": [looked_up.wall, ranked.wall, described.wall],
    }


def one_apart(n_queries: int, n_candidates: int, memory: int, *, metrics: bool = False) -> dict[str, float]:
    """`one` in a new process."""
    sizes = f"{n_queries},{n_candidates},{memory}"
    done = apart("bench_scale", "--one", sizes, *(["--metrics"] if metrics else []))
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def slope(memory: int) -> None:
    """Time against work, the pool growing, then the queries."""
    sizes = [(2048, 60_000), (2048, 120_000), (2048, 240_000), (2048, 480_000), (4096, 120_000), (8192, 120_000)]
    found = [one_apart(*size, memory) for size in sizes]
    work = np.log([fact["queries"] * fact["candidates"] for fact in found])
    seconds = np.log([fact["seconds"] for fact in found])
    for fact in found:
        per = fact["seconds"] / (fact["queries"] * fact["candidates"]) * 1e9
        line = f"{fact['queries']:>6,} x {fact['candidates']:>9,}  {fact['seconds']:7.2f} s"
        print(f"{line}  {per:.2f} ns a score  {(fact['peak'] - fact['before']) / 1e6:5.0f} MB to work in")
    print(f"slope of log seconds against log(queries x candidates): {np.polyfit(work, seconds, 1)[0]:.2f}")


def report_of_files(n_queries: int, n_candidates: int, memory: int) -> str:
    """What vectors in files take, in lines."""
    with TemporaryDirectory() as folder:
        write_files(Path(folder), n_queries, n_candidates)
        done = apart("bench_scale", "--folder", folder, "--one", f"{n_queries},{n_candidates},{memory}")
    if done.returncode:
        raise SystemExit(done.stderr)
    fact = json.loads(done.stdout.splitlines()[-1])
    lines = [f"{n_queries:,} queries x {n_candidates:,} candidates x {DIMENSIONS}, vectors in files"]
    lines += [f"{fact[name] / 1e9:5.2f} GB peak {what}" for name, what in STEPS.items()]
    lines += [f"{fact['vectors'] / 1e9:5.2f} GB are the vectors", f"digest of counts and facts {fact['digest'][:16]}"]
    return "\n".join(
        [*lines, "seconds of look-up, ranking, description: " + ", ".join(f"{s:.1f}" for s in fact["seconds"])]
    )


def main() -> None:
    sizes = {"candidates": 1_000_000, "queries": 10_000, "memory": 256}  # memory: MiB to work in
    given = options(
        __doc__, **sizes, no_slope=False, only_slope=False, files=False, one=None, metrics=False, folder=None
    )
    if given.folder:
        print(json.dumps(of_files(Path(given.folder), *(int(number) for number in given.one.split(",")))))
        return
    if given.one:
        print(json.dumps(one(*(int(number) for number in given.one.split(",")), given.metrics)))
        return
    memory = given.memory * 2**20
    if given.files:
        print(report_of_files(given.queries, given.candidates, memory))
        return
    if not given.only_slope:
        fact = one_apart(given.queries, given.candidates, memory, metrics=True)
        print(f"{given.queries:,} queries x {given.candidates:,} candidates x {DIMENSIONS}, {len(LANGUAGES)} languages")
        print(f"ranks    {fact['seconds']:7.1f} s ({fact['cpu_seconds']:.1f} CPU s), within {given.memory} MiB")
        print(f"metrics  {fact['metric_seconds']:7.1f} s")
        print(f"peak     {fact['peak_with_metrics'] / 1e9:7.2f} GB, of it")
        print(f"  vectors given     {fact['vectors'] / 1e9:.2f} GB")
        print(f"  program and texts {fact['texts'] / 1e9:.2f} GB")
        print(f"  added by ranking  {(fact['peak'] - fact['before']) / 1e9:.2f} GB")
    if not given.no_slope:
        slope(memory)


if __name__ == "__main__":
    main()
