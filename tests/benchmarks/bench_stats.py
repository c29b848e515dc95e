"""Cost of the statistics as a ratio to the matrix product that makes the scores. Run by hand.

    XQR_BENCH_DATA=... python -m tests.benchmarks.bench_stats [xquad-r|mlqa-r]

Prints the best of three. Expected on 2 free cores: all 132 settings of XQuAD-R with 10,000 resamples by question and
10,000 by article below 1 s.
"""

from __future__ import annotations

import sys

import numpy as np

from tests.benchmarks.runner import take_turns
from tests.conftest import VECTORS
from xqr_bench import evaluate
from xqr_bench.encode import EncoderOptions
from xqr_bench.measure.certainty import attach_certainty, figures_of
from xqr_bench.measure.paired import compare_pairs
from xqr_bench.measure.panel import sampling_units
from xqr_bench.measure.scores import all_per_query, score


def main(task: str) -> None:
    a, b = (evaluate(f"precomputed:{VECTORS}", task, options=EncoderOptions(truncate_dim=k)) for k in (256, None))
    units, groups, metrics = sampling_units(a.ranks), a.task.groups, a.task.metrics
    values_a, values_b = (all_per_query(record.ranks, metrics) for record in (a, b))
    queries = np.load(VECTORS / task / "queries.npy").astype(np.float32)
    candidates = np.load(VECTORS / task / "candidates.npy").astype(np.float32)
    scores, _ = score(values_b, groups)

    def compare(chosen: list[str] | None, intervals: bool) -> object:
        sides = [figures_of(values, units, groups, metrics=chosen) for values in (values_a, values_b)]
        return compare_pairs(sides, units, intervals=intervals)

    rows = {
        "matrix product of the scores": lambda: queries @ candidates.T,
        "MAP, all figures and gaps: 10,000 signs by question, by article, max-T": lambda: compare(["map"], False),
        "the same with intervals (2,000 resamples)": lambda: compare(["map"], True),
        "all metrics, all figures: the same": lambda: compare(None, True),
        "intervals and order tests of a record": lambda: attach_certainty(scores, values_b, b.ranks, groups),
    }
    best = {name: min(one.wall for one in spent) for name, spent in take_turns(rows, 3, warm=0).items()}
    product = best["matrix product of the scores"]
    for name, seconds in best.items():
        print(f"{seconds:8.3f} s  {seconds / product:6.2f} x  {name}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "xquad-r")
