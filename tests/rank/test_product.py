"""Equal vectors get equal scores, wherever they stand and whichever processor multiplies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xqr_bench.rank.product import product

SPREAD = """
import numpy as np
from xqr_bench.rank.product import product

generator = np.random.default_rng(0)
one, many = generator.standard_normal((1, 384)), generator.standard_normal((34, 384))
candidates = many.astype(np.float32)
candidates[::3] = one
queries = generator.standard_normal((18, 384)).astype(np.float32)
for _, parts in product(queries, candidates):
    for _, scores in parts:
        print((scores[:, ::3] == scores[:, :1]).all())
"""


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 70), st.integers(1, 20), st.integers(0, 10**6), st.sampled_from([1, 2**30]))
def test_scores_are_the_product_and_equal_columns_are_equal(
    rows: int, width: int, distinct: int, seed: int, memory: int
) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((distinct, 24)).astype(np.float32)
    chosen = generator.integers(0, distinct, size=width)
    candidates, queries = vectors[chosen], generator.standard_normal((rows, 24)).astype(np.float32)
    for start, parts in product(queries, candidates, memory):
        scores = np.concatenate([part.copy() for _, part in parts], axis=1)
        expected = queries[start : start + len(scores)] @ candidates.T
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
        for vector in range(distinct):
            same = scores[:, chosen == vector]
            assert (same == same[:, :1]).all()


@pytest.mark.parametrize("core", [None, "Haswell", "Zen", "SkylakeX", "Nehalem"])
def test_equal_scores_on_other_processors(core: str | None) -> None:
    """OPENBLAS_CORETYPE picks another processor's kernels; some give equal columns other bits (ignored elsewhere)."""
    environment = dict(os.environ)
    if core is not None:
        environment["OPENBLAS_CORETYPE"] = core
    done = subprocess.run([sys.executable, "-c", SPREAD], env=environment, capture_output=True, text=True, timeout=120)
    if core is not None and done.returncode == -signal.SIGILL:
        pytest.skip(f"this processor lacks the instructions of {core}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"]


def test_signed_zeros_are_one_vector() -> None:
    candidates = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 1.0]], dtype=np.float32)
    for _, parts in product(np.array([[0.3, 0.7]], dtype=np.float32), candidates):
        for _, scores in parts:
            assert scores[0, 0] == scores[0, 1]
