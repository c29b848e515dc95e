"""The script that tells how many ranks differ between kinds of processors, on a task that is there everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tests.benchmarks.bench_processors import counted_with, differences
from tests.kit import vectors
from xqr_bench.tasks import load_task

OWN = next((one["architecture"] for one in threadpool_info() if one["internal_api"] == "openblas"), None)
pytestmark = pytest.mark.skipif(OWN is None, reason="numpy multiplies with another library than OpenBLAS here")


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    data = load_task("mini")
    (tmp_path / "made" / "mini").mkdir(parents=True)
    of_items = {"queries": [one.id for one in data.queries], "candidates": [one.id for one in data.candidates]}
    for seed, (name, items) in enumerate(of_items.items()):
        np.save(tmp_path / "made" / "mini" / f"{name}.npy", vectors(len(items), seed, dimensions=96))
        ids = "".join(f"{item}\n" for item in items)
        (tmp_path / "made" / "mini" / f"{name}.ids.txt").write_text(ids, encoding="utf-8")
    return ["--vectors", str(tmp_path / "made"), "--task", "mini"]


def test_the_same_loops_twice_have_the_same_ranks(arguments: list[str], tmp_path: Path) -> None:
    one, other = (counted_with(str(OWN), arguments, str(tmp_path)) for _ in range(2))
    assert differences(one, other) == {"pool": (0, 0), "own": (0, 0)}
    other["pool"][:3] += [1, 0, 2]
    assert differences(one, other) == {"pool": (2, 2), "own": (0, 0)}
    assert one["pool"].size == sum(map(len, load_task("mini").relevants))


def test_loops_that_openblas_does_not_take_are_refused(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="asked for the loops of Abacus, this processor took"):
        counted_with("Abacus", arguments, str(tmp_path))
