"""The maps against their literal definitions, and what must hold for any vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from xqr_bench.core.types import FloatArray
from xqr_bench.encode.transform import Map, estimate

NAMES = {"center": None, "whiten": None, "remove-1": 1, "remove-3": 3}


def cloud(n: int, d: int, seed: int = 0) -> FloatArray:
    """Vectors around an offset, with unequal spread, correlated."""
    draw = np.random.default_rng(seed)
    return draw.standard_normal((n, d)) @ draw.standard_normal((d, d)) + 3 * draw.standard_normal(d)


def of(name: str, vectors: FloatArray) -> Map:
    return estimate(name, NAMES[name], vectors)


def literally(name: str, x: FloatArray) -> FloatArray:
    """The definitions of `maps`, by the most direct routines."""
    n, d = x.shape
    k = NAMES[name]
    if k is not None:
        _, _, right = np.linalg.svd(x, full_matrices=False)
        return np.array([row - sum((row @ direction) * direction for direction in right[:k]) for row in x])
    centred = np.array([row - x.sum(axis=0) / n for row in x])
    if name == "center":
        return centred
    covariance = sum(np.outer(row, row) for row in centred) / n
    # Ledoit & Wolf 2004, section 3.3: a^2 = b^2 / d^2 with m the mean eigenvalue, norms per dimension
    m = np.trace(covariance) / d
    spread = np.square(covariance - m * np.eye(d)).sum() / d
    error = sum(np.square(np.outer(row, row) - covariance).sum() for row in centred) / d / n**2
    a = min(error, spread) / spread
    shrunk = (1 - a) * covariance + a * m * np.eye(d)
    values, vectors = np.linalg.eigh(shrunk)
    return centred @ vectors @ np.diag(values**-0.5) @ vectors.T


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "d"), [(60, 5), (40, 12), (9, 30)])
def test_the_definition(name: str, n: int, d: int) -> None:
    x = cloud(n, d)
    assert_allclose(of(name, x).apply(x), literally(name, x), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("n", "d"), [(60, 5), (9, 30)])
def test_whitening_other_vectors_than_those_it_was_estimated_on(n: int, d: int) -> None:
    """Where n < d the new vectors leave the space that the estimate has seen."""
    from sklearn.covariance import ledoit_wolf

    x, new = cloud(n, d), cloud(7, d, seed=1)
    covariance, shrinkage = ledoit_wolf(x - x.mean(axis=0), assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    expected = (new - x.mean(axis=0)) @ vectors @ np.diag(values**-0.5) @ vectors.T
    found = of("whiten", x)
    assert found.shrinkage == pytest.approx(shrinkage)
    assert_allclose(found.apply(new), expected, rtol=1e-7, atol=1e-9)


def test_hand_worked() -> None:
    x = np.array([[3.0, 1.0], [3.0, -1.0]])
    assert_array_equal(of("center", x).apply(x), [[0, 1], [0, -1]])
    # X'X = diag(18, 2): the shared direction is the first axis
    assert_allclose(of("remove-1", x).apply(x), [[0, 1], [0, -1]], atol=1e-15)
    square = np.array([[4.0, 1.0], [4.0, -1.0], [2.0, 1.0], [2.0, -1.0]])
    # centred: (+-1, +-1), covariance the identity: whitening only centres
    assert_allclose(of("whiten", square).apply(square), [[1, 1], [1, -1], [-1, 1], [-1, -1]], atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_rows_and_sign_of_directions_do_not_matter(name: str) -> None:
    x = cloud(50, 8)
    order = np.random.default_rng(1).permutation(len(x))
    assert_allclose(of(name, x[order]).apply(x), of(name, x).apply(x), rtol=1e-8, atol=1e-10)
    found = of(name, x)
    turned = Map(found.mean, -found.basis, found.scales, found.rest, found.shrinkage)
    assert_array_equal(turned.apply(x), found.apply(x))


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), copies=st.integers(2, 40))
def test_equal_vectors_stay_equal_and_zeros_stay_zero(name: str, seed: int, copies: int) -> None:
    draw = np.random.default_rng(seed)
    x = cloud(30, 9, seed)
    rows = np.concatenate([x, np.zeros((2, 9)), np.repeat(x[:1], copies, axis=0)])[draw.permutation(32 + copies)]
    result = of(name, x).apply(rows)
    same = (rows == x[0]).all(axis=1)
    assert same.sum() == copies + 1
    assert_array_equal(result[same], np.repeat(result[same][:1], copies + 1, axis=0))
    assert_array_equal(result.any(axis=1), rows.any(axis=1))


@pytest.mark.parametrize("name", NAMES)
def test_one_vector_for_everything_leaves_nothing(name: str) -> None:
    """Not the rounding errors of the mean, which would have directions and ranks."""
    x = np.repeat(cloud(1, 9), 57, axis=0)
    noise = np.random.default_rng(0).standard_normal(x.shape)
    for vectors in (x, x * (1 + 1e-8 * noise)):
        assert not of(name, vectors).apply(vectors).any()


def test_turning_all_vectors_turns_the_result() -> None:
    """No axis is special: a rotation before is a rotation after, for every map; so no score changes."""
    x = cloud(80, 6)
    turn, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((6, 6)))
    for name in NAMES:
        assert_allclose(of(name, x @ turn).apply(x @ turn), of(name, x).apply(x) @ turn, rtol=1e-7, atol=1e-9)


def test_equally_strong_directions_are_told() -> None:
    x = np.diag([2.0, 1.0, 1.0])
    assert estimate("remove-1", 1, x).arbitrary is False
    assert estimate("remove-2", 2, x).arbitrary is True
    assert estimate("remove-2", 2, np.diag([3.0, 2.0, 1.0])).arbitrary is False


def test_fewer_directions_than_asked_for() -> None:
    x = np.array([[1.0, 2.0, 2.0], [2.0, 4.0, 4.0], [3.0, 6.0, 6.0], [1.0, 2.0, 2.0]])
    assert of("remove-3", x).basis.shape == (3, 1)
    assert not of("remove-3", x).apply(x).any()


def test_no_such_map() -> None:
    with pytest.raises(ValueError, match="no such transform: rotate"):
        estimate("rotate", None, cloud(3, 2))
