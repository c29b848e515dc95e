"""From vectors to ranks and metrics, against the bare matrix product, in one process.

    python -m tests.benchmarks.bench_ranks [--runs 5]

Prints the seconds of each, their ratio, and the peak memory of the process. With XQR_BENCH_DATA set (and real
vectors beside it) it scores real MiniLM vectors of XQuAD-R; elsewhere random vectors over pools of the same sizes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.benchmarks.runner import options, peak, take_turns
from tests.conftest import VECTORS
from tests.kit import small_task, vectors
from tests.tasks.test_load import XQUAD
from xqr_bench.core.types import TaskData
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.product import unit_vectors
from xqr_bench.tasks import load_spec, load_task

QUESTIONS = 1190
DIMENSIONS = 384


def real() -> tuple[TaskData, np.ndarray, np.ndarray] | None:
    if not VECTORS.is_dir():
        return None
    from xqr_bench.encode import embed_tasks, load_encoder

    data = load_task("xquad-r")
    found = embed_tasks(load_encoder(f"precomputed:{VECTORS}"), [data])["xquad-r"]
    return data, found.queries, found.candidates


def synthetic() -> tuple[TaskData, np.ndarray, np.ndarray]:
    data = replace(small_task(QUESTIONS, XQUAD), name="xquad-r")
    return data, *(vectors(len(items), 0, dimensions=DIMENSIONS) for items in (data.queries, data.candidates))


def bare_product(queries: np.ndarray, candidates: np.ndarray) -> None:
    out = np.empty((1024, len(candidates)), dtype=np.float32)
    for start in range(0, len(queries), 1024):
        block = queries[start : start + 1024]
        np.matmul(block, candidates.T, out=out[: len(block)])


def main() -> None:
    runs = options(__doc__, runs=5).runs
    found = real()
    data, queries, candidates = found or synthetic()
    spec = load_spec("xquad-r")
    unit_queries, unit_candidates = unit_vectors(queries), unit_vectors(candidates)

    strict = replace(data, relevance=())
    ranks = exact_ranks(strict, queries, candidates)  # compiles, or loads the compiled kernels
    works: dict[str, Callable[[], object]] = {
        "product": lambda: bare_product(unit_queries, unit_candidates),
        "strict": lambda: exact_ranks(strict, queries, candidates),
        "metrics": lambda: score(all_per_query(ranks, spec.metrics, spec.settings), {}),
        "all": lambda: exact_ranks(data, queries, candidates),
    }
    for name in ("product", "strict", "metrics"):
        works[name]()
    of_settings = peak()
    seconds = {name: [one.wall for one in spent] for name, spent in take_turns(works, runs).items()}
    kind = "real MiniLM" if found else "random"
    print(f"{kind} vectors, {len(data.queries)} x {len(data.candidates)} x {queries.shape[1]}; medians of {runs} runs")
    rows = {
        "bare matrix product": ["product"],
        "ranks": ["strict"],
        "ranks and metrics, 132 settings": ["strict", "metrics"],
        "with the further rules of relevance counted too": ["all", "metrics"],
    }
    for label, parts in rows.items():
        spent = [sum(run) for run in zip(*(seconds[part] for part in parts), strict=True)]
        ratios = [a / b for a, b in zip(spent, seconds["product"], strict=True)]
        print(
            f"{label:50} {statistics.median(spent):6.3f} s  {statistics.median(ratios):5.2f} (least {min(ratios):.2f})"
        )
    print(f"peak memory: {of_settings / 1e6:.0f} MB for the 132 settings, {peak() / 1e6:.0f} MB in all")


if __name__ == "__main__":
    main()
