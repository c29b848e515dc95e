"""The maps against their literal definitions, and what must hold for any vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from xqr_bench.core.types import FloatArray
from xqr_bench.encode import maps
from xqr_bench.encode.maps import Map, Normal, SingularError

NAMES = {"center": None, "whiten": None, "remove-1": 1, "remove-3": 3}
STRENGTHS = [0.0, 0.3, 1.0]


def cloud(n: int, d: int, seed: int = 0) -> FloatArray:
    """Vectors around an offset, with unequal spread, correlated."""
    draw = np.random.default_rng(seed)
    return draw.standard_normal((n, d)) @ draw.standard_normal((d, d)) + 3 * draw.standard_normal(d)


def of(name: str, vectors: FloatArray, strength: float = 1.0) -> Map:
    directions = NAMES[name]
    if directions is not None:
        return maps.remove(directions, vectors, strength)
    return {"center": maps.center, "whiten": maps.whiten}[name](vectors, strength)


def shrunk(x: FloatArray) -> FloatArray:
    """The covariance of Ledoit and Wolf, by their formulas."""
    n, d = x.shape
    centred = x - x.mean(axis=0)
    covariance = sum(np.outer(row, row) for row in centred) / n
    # Ledoit & Wolf 2004, section 3.3: a^2 = b^2 / d^2 with m the mean eigenvalue, norms per dimension
    m = np.trace(covariance) / d
    spread = np.square(covariance - m * np.eye(d)).sum() / d
    error = sum(np.square(np.outer(row, row) - covariance).sum() for row in centred) / d / n**2
    a = min(error, spread) / spread
    return (1 - a) * covariance + a * m * np.eye(d)


def power(matrix: FloatArray, exponent: float) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(values**exponent) @ vectors.T


def literally(name: str, x: FloatArray, strength: float = 1.0) -> FloatArray:
    """The definitions of `maps`, by the most direct routines."""
    k = NAMES[name]
    if k is not None:
        _, _, right = np.linalg.svd(x, full_matrices=False)
        return np.array([row - strength * sum((row @ direction) * direction for direction in right[:k]) for row in x])
    moved = np.array([row - strength * x.sum(axis=0) / len(x) for row in x])
    return moved if name == "center" else moved @ power(shrunk(x), -strength / 2)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "d"), [(60, 5), (40, 12), (9, 30)])
def test_the_definition(name: str, n: int, d: int, strength: float) -> None:
    x = cloud(n, d)
    found = of(name, x, strength).apply(x)
    assert_allclose(found, literally(name, x, strength), rtol=1e-7, atol=1e-9)
    if strength == 0:
        assert_array_equal(found, x)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_shift(strength: float) -> None:
    x, target = cloud(20, 6), cloud(30, 6, seed=1)
    found = maps.shift(x.mean(axis=0), target.mean(axis=0), strength).apply(x)
    assert_allclose(found, [row - strength * (x.sum(axis=0) / 20 - target.sum(axis=0) / 30) for row in x])


def languages(d: int, counts: tuple[int, ...] = (70, 50, 30)) -> list[FloatArray]:
    return [cloud(n, d, seed) for seed, n in enumerate(counts)]


def one_hot(samples: list[FloatArray]) -> FloatArray:
    return np.repeat(np.eye(len(samples)), [len(one) for one in samples], axis=0)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("d", "counts"), [(6, (70, 50, 30)), (20, (4, 5, 3))])
def test_leace(strength: float, d: int, counts: tuple[int, ...]) -> None:
    """Belrose et al. 2023, theorem 4.3, with the pseudo-inverse and the projection written out."""
    samples = languages(d, counts)
    x, z = np.concatenate(samples), one_hot(samples)
    covariance = shrunk(x)
    with_z = sum(np.outer(a - x.mean(axis=0), b - z.mean(axis=0)) for a, b in zip(x, z, strict=True)) / len(x)
    w = power(covariance, -0.5)
    projection = w @ with_z @ np.linalg.pinv(w @ with_z, rcond=1e-10)
    erased = [row - strength * power(covariance, 0.5) @ projection @ w @ (row - x.mean(axis=0)) for row in x]
    found = maps.erase(samples, strength)
    assert found.basis.shape == (d, len(counts) - 1)
    assert_allclose(found.apply(x), erased, rtol=1e-7, atol=1e-8)
    if strength == 1:  # what it is for: no language has a mean of its own
        assert_allclose([found.apply(one).mean(axis=0) for one in samples], [x.mean(axis=0)] * len(counts), atol=1e-9)


@pytest.mark.parametrize("counts", [(700, 500, 300), (400, 2_000)])
def test_leace_against_the_library_of_its_authors(counts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both without shrinkage: theirs is another estimator."""
    import torch
    from concept_erasure import LeaceEraser

    samples = languages(8, counts)
    x, z = np.concatenate(samples), one_hot(samples)
    monkeypatch.setattr(maps, "_shrinkage", lambda centred: 0.0)
    found = maps.erase(samples).apply(x)
    options = {"shrinkage": False, "constrain_cov_trace": False, "svd_tol": 1e-9}
    theirs = LeaceEraser.fit(torch.from_numpy(x), torch.from_numpy(z), **options)
    assert_allclose(found, theirs(torch.from_numpy(x)).numpy(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("n", "d"), [(60, 5), (9, 30)])
def test_transport(n: int, d: int, strength: float) -> None:
    """Knott and Smith 1984, with the square roots of scipy."""
    from scipy.linalg import inv, sqrtm

    x, target = cloud(n, d), cloud(n + 5, d, seed=1)
    root = sqrtm(shrunk(x)).real
    a = inv(root) @ sqrtm(root @ shrunk(target) @ root).real @ inv(root)
    expected = [(1 - strength) * row + strength * (target.mean(axis=0) + a @ (row - x.mean(axis=0))) for row in x]
    found = maps.transport(Normal.of(x), Normal.of(target), strength)
    assert_allclose(found.apply(x), expected, rtol=1e-6, atol=1e-8)
    if strength == 1:
        from ot.gaussian import bures_wasserstein_mapping

        of_x, to = Normal.of(x), Normal.of(target)
        theirs, offset = bures_wasserstein_mapping(of_x.mean, to.mean, of_x.covariance, to.covariance)
        assert_allclose(found.apply(x), x @ theirs + offset, rtol=1e-7, atol=1e-9)
        # what it is for: the covariance is that of the target, by the covariance it was estimated with
        turned = found.basis @ np.diag(found.scales) @ found.basis.T
        assert_allclose(turned @ shrunk(x) @ turned, shrunk(target), rtol=1e-6, atol=1e-8)


def test_transport_between_equals_and_without_a_density() -> None:
    x = cloud(40, 6)
    assert_allclose(maps.transport(Normal.of(x), Normal.of(x)).apply(x), x, rtol=1e-9, atol=1e-9)
    flat = Normal(np.zeros(3), np.diag([2.0, 1.0, 0.0]), 0.0)
    with pytest.raises(SingularError, match="of 3 directions they vary in 2"):
        maps.transport(flat, Normal.of(cloud(9, 3)))
    maps.transport(Normal.of(cloud(9, 3)), flat)  # into fewer directions there is a way


def test_whitening_in_part_what_does_not_vary() -> None:
    two = np.array([[1.0, 2.0, 2.0], [1.0, 4.0, 2.0]])  # Ledoit and Wolf shrink the covariance of two vectors by 0
    with pytest.raises(SingularError, match="of 3 directions they vary in 1"):
        maps.whiten(two, 0.5)
    assert maps.whiten(two).rest == 0


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
    turned = replace(found, basis=-found.basis)
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
    assert maps.remove(1, x).arbitrary is False
    assert maps.remove(2, x).arbitrary is True
    assert maps.remove(2, np.diag([3.0, 2.0, 1.0])).arbitrary is False


def test_fewer_directions_than_asked_for() -> None:
    x = np.array([[1.0, 2.0, 2.0], [2.0, 4.0, 4.0], [3.0, 6.0, 6.0], [1.0, 2.0, 2.0]])
    assert of("remove-3", x).basis.shape == (3, 1)
    assert not of("remove-3", x).apply(x).any()
