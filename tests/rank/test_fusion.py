"""Rounding to 32 bits and fusion against their literal definitions, in fractions, and against ranx."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import ranx
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from tests.rank.small import scores, task
from xqr_bench.core.errors import RanksError
from xqr_bench.rank.fusion import in_32_bits, middle_ranks, normalised_sums, reciprocal_ranks

ONE = 1.0
CLOSE = [
    -np.inf,
    -1e-300,
    -0.0,
    0.0,
    5e-324,
    1e-300,
    ONE,
    ONE + 2e-16,
    ONE + 4e-16,
    ONE - 1e-16,
    1 + 1e-7,
    -ONE - 1e-12,
    3e38,
]


@pytest.mark.parametrize("levels", [None, 1, 3])
def test_middle_ranks_are_those_of_scipy(levels: int | None) -> None:
    values = scores(task(), levels=levels)
    np.testing.assert_array_equal(middle_ranks(values), rankdata(-values, axis=1))


def same_order(rounded: np.ndarray, values: list) -> None:
    """Whether each pair compares as it should."""
    for a, x in zip(rounded.tolist(), values, strict=True):
        for b, y in zip(rounded.tolist(), values, strict=True):
            assert ((a > b), (a == b)) == ((x > y), (x == y)), (a, b, x, y)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(CLOSE) | st.floats(-1e30, 1e30), min_size=1, max_size=12))
def test_order_and_ties_of_64_bits_are_kept(values: list[float]) -> None:
    rounded = in_32_bits(np.array([values, values[::-1]]))
    assert rounded.dtype == np.float32
    for row, of_row in zip(rounded, (values, values[::-1]), strict=True):
        same_order(row, of_row)
        near = np.array(of_row)[np.isfinite(of_row)]
        np.testing.assert_allclose(row[np.isfinite(row)], near, rtol=2e-6, atol=1e-40)


def test_what_rounding_leaves_apart_is_only_rounded() -> None:
    values = np.random.default_rng(0).normal(size=(5, 50))
    np.testing.assert_array_equal(in_32_bits(values), values.astype(np.float32))
    for much in (1e39, -1e39, np.inf, np.nextafter(float(np.finfo(np.float32).max), np.inf)):
        with pytest.raises(RanksError, match="32-bit"):
            in_32_bits(np.array([[0.0, float(np.finfo(np.float32).max), much]]))


DRAWN = st.sampled_from([-np.inf, -2.5, 0.0, 0.25, 0.5, 1.0, 3.0])


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.integers(1, 12), st.integers(0, 60), st.data())
def test_fusions_are_their_definitions_in_fractions(n: int, width: int, k: int, data: st.DataObject) -> None:
    rankings = [data.draw(st.lists(DRAWN, min_size=width, max_size=width)) for _ in range(n)]
    weights = data.draw(st.lists(st.sampled_from([1.0, 0.3, 2.5]), min_size=n, max_size=n))
    arrays = [np.array([values], dtype=np.float32) for values in rankings]
    reciprocal, summed = [], []
    for i in range(width):
        of_ranks, of_scores, anywhere = Fraction(0), Fraction(0), False
        for values, weight in zip(rankings, weights, strict=True):
            if values[i] == -np.inf:
                continue
            anywhere = True
            above, same = (sum(test) for test in zip(*((x > values[i], x == values[i]) for x in values), strict=True))
            of_ranks += Fraction(weight) / (k + Fraction(2 * above + same + 1, 2))
            there = [Fraction(x) for x in values if x > -np.inf]
            if max(there) > min(there):
                of_scores += Fraction(weight) * (Fraction(values[i]) - min(there)) / (max(there) - min(there))
        reciprocal.append(of_ranks if anywhere else -np.inf)
        summed.append(of_scores if anywhere else -np.inf)
    same_order(reciprocal_ranks(arrays, weights, k)[0], reciprocal)
    same_order(normalised_sums(arrays, weights)[0], summed)
    for made, exact in ((reciprocal_ranks(arrays, weights, k), reciprocal), (normalised_sums(arrays, weights), summed)):
        np.testing.assert_allclose(made[0], np.array(exact, dtype=float), rtol=1e-5, atol=1e-30)


def test_sums_that_differ_beyond_64_bits_do_not_tie() -> None:
    """1 and 1 - 8e-18, which 64 bits round to 1."""
    first = np.array([[1.0, 0.25, -2.5, -np.inf]], dtype=np.float32)
    second = np.array([[-np.inf, 0.0, 1.0, -2.5]], dtype=np.float32)
    made = normalised_sums([first, second], [1.0, 0.3])[0]
    least = Fraction(0.3) * Fraction(5, 7) + Fraction(11, 14)
    assert float(least) == 1.0
    assert least < 1
    assert made[1] < made[0]
    assert made[0] - made[1] < 1e-6


@pytest.mark.parametrize("method", ["rrf", "sum"])
def test_fusions_are_those_of_ranx_where_nothing_ties(method: str) -> None:
    generator = np.random.default_rng(3)
    rankings = [generator.permuted(np.tile(np.linspace(0, 9, 40), (6, 1)), axis=1).astype(np.float32) for _ in range(3)]
    runs = [
        ranx.Run({f"q{i}": {f"d{j}": float(x) for j, x in enumerate(row)} for i, row in enumerate(one)})
        for one in rankings
    ]
    if method == "rrf":
        theirs = ranx.fuse(runs=runs, method="rrf", params={"k": 60})
        ours = reciprocal_ranks(rankings, [1.0] * 3, 60)
    else:
        theirs = ranx.fuse(runs=runs, norm="min-max", method="sum")
        ours = normalised_sums(rankings, [1.0] * 3)
    expected = np.array([[theirs.run[f"q{i}"][f"d{j}"] for j in range(40)] for i in range(6)])
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)
