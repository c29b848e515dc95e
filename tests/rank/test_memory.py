"""Memory: what ranking adds to the vectors stays within the budget, however large the pool."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xqr_bench.rank.product as product
from tests.benchmarks.bench_scale import write_files
from tests.benchmarks.runner import apart
from tests.kit import small_task, vectors
from xqr_bench.core.errors import RanksError
from xqr_bench.rank.counting import share
from xqr_bench.rank.exact import exact_ranks

BUDGET = 48 * 2**20
MEASURED = """
import json, resource, sys
from tests.benchmarks.bench_scale import one

# few queries: the product itself stays quick
print(json.dumps(one(120, int(sys.argv[1]), int(sys.argv[2]), False)))
"""


def added(candidates: int) -> tuple[int, int]:
    """Bytes that ranking adds in a process of its own, and the bytes of the vectors it is given."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(candidates), str(BUDGET)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    return facts["peak"] - facts["before"], facts["vectors"]


@pytest.mark.skipif(sys.platform == "win32", reason="reads ru_maxrss")
def test_memory_stays_within_the_budget() -> None:
    """One copy of the larger pool's vectors would already be over the bound. Counts and sums of bits (some bytes a
    candidate) and the threads' own memory are the allowance."""
    small, _ = added(20_000)
    large, vectors_given = added(90_000)
    allowance = 90_000 * 60 + 24 * 2**20
    assert BUDGET + allowance < vectors_given
    assert small < BUDGET + allowance
    assert large < BUDGET + allowance


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="pages of files are released where Linux is")
def test_vectors_in_files_are_not_held(tmp_path: Path) -> None:
    """Looked up in another order, ranked and described within a budget of a third of the vectors; what is imported for
    the description and the ids of the texts are the allowance."""
    rows = 100_000
    write_files(tmp_path, 120, rows)
    sizes = f"120,{rows},{BUDGET}"
    done = apart("bench_scale", "--folder", str(tmp_path), "--one", sizes)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["vectors"] > 3 * BUDGET
    assert facts["peak"] - facts["texts"] < BUDGET + rows * 100 + 40 * 2**20 < facts["vectors"]


def test_too_small_a_budget_is_refused() -> None:
    data = small_task(2, {"a": 9000})
    with pytest.raises(
        RanksError, match=r"budget of 1 MiB is too small to rank 9,000 vectors of 8 dimensions\n  to do"
    ):
        exact_ranks(data, vectors(2, 0), vectors(9000, 1), memory=2**20)


@pytest.mark.parametrize("dimensions", [8, 384, 4096])
@pytest.mark.parametrize("columns", [100, 13_014, 1_000_000])
@pytest.mark.parametrize("cores", [1, 2, 16, 64])
def test_a_share_fits(monkeypatch: pytest.MonkeyPatch, dimensions: int, columns: int, cores: int) -> None:
    import os

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    for memory in (256 * 2**20, 2**30, 2**34):
        workers, width = share(columns, dimensions, memory)
        assert 1 <= workers <= min(cores, 16)
        assert width >= min(columns, product.TILE_COLUMNS)
        assert 4 * width * (product.TILE_ROWS * workers + dimensions) <= memory


def test_repeated_vectors_need_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every vector twice, far apart: groups are cut into panels like candidates, and counts are those of one panel."""
    monkeypatch.setattr(product, "TILE_ROWS", 16)
    monkeypatch.setattr(product, "TILE_COLUMNS", 32)
    data = small_task(20, {"a": 150, "b": 150})
    queries, half = vectors(40, 0, dimensions=48), vectors(150, 1, dimensions=48)
    candidates = np.concatenate([half, half[::-1]])
    whole = exact_ranks(data, queries, candidates)
    parts = exact_ranks(data, queries, candidates, memory=4 * 32 * (16 + 48))
    np.testing.assert_array_equal(parts.gt, whole.gt)
    np.testing.assert_array_equal(parts.eq, whole.eq)
    assert (whole.eq == 1).all()  # one of the pair in each language
    np.testing.assert_array_equal(whole.gt[:, 0], whole.gt[:, 1])
