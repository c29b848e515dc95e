"""Counting on a GPU against counting on the processor: seconds, agreement, and what the scores make of it.

    python -m tests.benchmarks.bench_device [--device cuda] [--runs 7] [--model MODEL]

Real vectors of XQuAD-R (XQR_BENCH_DATA): those computed before, or what MODEL gives on the device. Each ratio is to
the bare matrix product of the same vectors on the same device, measured in the same run.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from tests.benchmarks.bench_ranks import bare_product, real
from tests.benchmarks.runner import options, take_turns
from xqr_bench.core.types import Ranks, TaskData
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.counting import counting_device, device_name
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.product import unit_vectors
from xqr_bench.tasks import load_spec, load_task


def vectors(model: str | None, device: str) -> tuple[TaskData, np.ndarray, np.ndarray]:
    if model is None:
        found = real()
        if found is None:
            raise SystemExit("set XQR_BENCH_DATA to real data with vectors beside it, or give --model")
        return found
    data = load_task("xquad-r")
    made = embed_tasks(load_encoder(model, EncoderOptions(device=device)), [data])["xquad-r"]
    return data, made.queries, made.candidates


def device_product(queries: torch.Tensor, candidates: torch.Tensor) -> None:
    out = torch.empty((1024, len(candidates)), device=candidates.device)
    for start in range(0, len(queries), 1024):
        block = queries[start : start + 1024]
        torch.matmul(block, candidates.T, out=out[: len(block)])
    torch.cuda.synchronize(candidates.device)


def agreement(ours: Ranks, other: Ranks) -> str:
    gt, eq = ours.gt != other.gt, ours.eq != other.eq
    worst = max(np.abs(ours.gt - other.gt).max(), np.abs(ours.eq - other.eq).max())
    return f"counts that differ: {gt.sum():,} above and {eq.sum():,} beside, of {gt.size:,}; at most by {worst}"


def main() -> None:
    given = options(__doc__, device="cuda", runs=7, model=None)
    if not torch.cuda.is_available() or given.device == "cpu":
        raise SystemExit("needs a CUDA device")
    device = counting_device(given.device)
    data, queries, candidates = vectors(given.model, device)
    data = replace(data, relevance=())
    spec = load_spec("xquad-r")
    torch.set_float32_matmul_precision("highest")
    unit = unit_vectors(queries), unit_vectors(candidates)
    moved = [torch.from_numpy(np.array(part)).to(device) for part in unit]

    ranks: dict[str, Ranks] = {}
    works: dict[str, Callable[[], object]] = {
        "product, processor": lambda: bare_product(*unit),
        "ranks, processor": lambda: ranks.update(cpu=exact_ranks(data, queries, candidates)),
        "product, device": lambda: device_product(*moved),
        "ranks, device": lambda: ranks.update(gpu=exact_ranks(data, queries, candidates, device=device)),
        "metrics": lambda: score(all_per_query(ranks["gpu"], spec.metrics, spec.settings), {}),
    }
    spent_by = take_turns(works, given.runs)
    size = f"{len(data.queries)} x {len(data.candidates)} x {queries.shape[1]}"
    print(f"{device_name(device)}; {size}; {given.runs} runs")
    median = {name: statistics.median(one.wall for one in spent) for name, spent in spent_by.items()}
    for name, spent in median.items():
        base = median["product, device" if "device" in name else "product, processor"]
        print(f"{name:20} {spent:8.4f} s   {spent / base:6.2f} x its product")
    whole = [median[f"ranks, {place}"] + median["metrics"] for place in ("processor", "device")]
    print(f"ranks and metrics: {whole[0]:.3f} s on the processor, {whole[1]:.3f} s with the device")
    print(agreement(ranks["cpu"], ranks["gpu"]))
    made = [score(all_per_query(found, spec.metrics, spec.settings), {})[0] for found in ranks.values()]
    print("MAP by the processor and by the device:")
    for setting in spec.settings:
        print(f"  {setting:14}", *(one[setting].macro["map"].value for one in made))


if __name__ == "__main__":
    main()
