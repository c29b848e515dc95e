"""How many ranks differ between kinds of processors: counted with the loops that OpenBLAS has for each, on one machine.

    python -m tests.benchmarks.bench_processors [--vectors FOLDER] [--task xquad-r] [--limit 0]
                                                [--loops Haswell,SkylakeX,Sandybridge]

Each kind in a process of its own (OPENBLAS_CORETYPE), which counts the same vectors: those in FOLDER, as `precomputed:`
reads them (default: multilingual-e5-small's beside XQR_BENCH_DATA). Prints the table of docs/scale.md, and below it
what `xqr-bench reproduce` and the scores make of the differences. A processor cannot run the loops of a newer one:
OpenBLAS takes others then, and the script refuses.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.benchmarks.runner import options
from tests.conftest import VECTORS
from xqr_bench.encode import embed_tasks, load_encoder
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.tasks import Selection, load_spec

Found = dict[str, np.ndarray]


def count(vectors: str, task: str, limit: int, path: Path) -> None:
    """Count in this process; what is compared, and the loops that OpenBLAS took, into a file."""
    from threadpoolctl import threadpool_info

    data = Selection(limit=limit or None).load(load_spec(task))
    made = embed_tasks(load_encoder(f"precomputed:{vectors}"), [data])[data.name]
    ranks = exact_ranks(data, made.queries, made.candidates)
    blas = [one for one in threadpool_info() if one["internal_api"] == "openblas"]
    # scipy may have loaded one of its own: numpy's is the one that multiplies
    of_numpy = [one for one in blas if "numpy" in Path(one["filepath"]).parent.name] or blas
    loops = of_numpy[0]["architecture"] if of_numpy else "none of OpenBLAS"
    np.savez(path, pool=ranks.counts.gt, own=ranks.counts.own_gt, loops=np.array(loops), queries=ranks.n_queries)


def counted_with(loops: str, arguments: list[str], folder: str) -> Found:
    """The counts of a process that OpenBLAS is told which loops to take in."""
    path = Path(folder) / f"{loops}.npz"
    environment = {**os.environ, "OPENBLAS_CORETYPE": loops}
    command = [sys.executable, "-m", "tests.benchmarks.bench_processors", *arguments, "--count", str(path)]
    subprocess.run(command, check=True, env=environment)
    found: Found = dict(np.load(path))
    if str(found["loops"]).lower() != loops.lower():
        raise SystemExit(f"asked for the loops of {loops}, this processor took {found['loops']}: leave them out")
    return found


def differences(one: Found, other: Found) -> dict[str, tuple[int, int]]:
    """Of the ranks in the pool and in one language: how many differ, and by how much at most."""
    gaps = {name: np.abs(one[name].astype(np.int64) - other[name]) for name in ("pool", "own")}
    return {name: (int((gap > 0).sum()), int(gap.max(initial=0))) for name, gap in gaps.items()}


def main() -> None:
    of_e5 = str(VECTORS.parent / "multilingual-e5-small-q4")
    given = options(__doc__, vectors=of_e5, task="xquad-r", limit=0, loops="Haswell,SkylakeX,Sandybridge", count=None)
    if given.count:
        count(given.vectors, given.task, given.limit, Path(given.count))
        return
    if not Path(given.vectors).is_dir():
        raise SystemExit("set XQR_BENCH_DATA to real data with vectors beside it, or give --vectors FOLDER")
    arguments = ["--vectors", given.vectors, "--task", given.task, "--limit", str(given.limit)]
    with TemporaryDirectory() as folder:
        found = {loops: counted_with(loops, arguments, folder) for loops in given.loops.split(",")}
    first = next(iter(found.values()))
    number = first["pool"].size
    print(f"{Path(given.vectors).name}, {given.task}: {number:,} relevants of {int(first['queries']):,} questions\n")
    print("| loops | ranks in the pool that differ | ranks in one language that differ | greatest difference |")
    print("|---|---|---|---|")
    moved, largest = 0, 0.0
    for (name, one), (other_name, other) in itertools.combinations(found.items(), 2):
        made = differences(one, other)
        shares = [f"{differing:,} ({differing / number:.2%})" for differing, _ in made.values()]
        print(f"| {name} and {other_name} | {' | '.join(shares)} | {max(gap for _, gap in made.values())} |")
        for ranks in ("pool", "own"):
            before, after = 1.0 + one[ranks], 1.0 + other[ranks]
            moved += int((np.abs(before - after) > 1 + 0.01 * before).sum())
            largest = max(largest, abs(float((1 / before).mean() - (1 / after).mean())))
    print(f"\nranks that moved by more than 1 + 1%: {moved}; mean reciprocal rank moved by at most {largest:.1e}")


if __name__ == "__main__":
    main()
