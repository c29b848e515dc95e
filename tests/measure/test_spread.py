"""Alignment, uniformity, cosines and IsoScore: hand-worked, against literal definitions and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from xqr_bench.core.types import FloatArray
from xqr_bench.measure import geometry
from xqr_bench.measure.geometry import (
    cosine_between,
    isoscore,
    mean_cosine,
    mean_distance_of_others,
    uniformity,
)

RIGHT_ANGLES = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])


def directions(n: int, d: int, seed: int = 0) -> FloatArray:
    rows = np.random.default_rng(seed).standard_normal((n, d)) + 0.7
    found: FloatArray = rows / np.linalg.norm(rows, axis=1)[:, None]
    return found


def test_hand_worked() -> None:
    assert uniformity(RIGHT_ANGLES) == pytest.approx(math.log((2 * math.exp(-4) + math.exp(-8)) / 3))
    assert mean_cosine(RIGHT_ANGLES) == pytest.approx(-1 / 3)
    assert cosine_between([RIGHT_ANGLES[:1], RIGHT_ANGLES[1:]]) == pytest.approx((0 - 1) / 2)
    # all in one place, and at right angles
    assert uniformity(np.repeat(RIGHT_ANGLES[:1], 5, axis=0)) == pytest.approx(0.0, abs=1e-6)
    assert uniformity(np.eye(6)) == pytest.approx(-4.0)


def test_isoscore_hand_worked() -> None:
    """Variances (1, 1) use both dimensions; (1, 0) one of two: score 0."""
    even = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert isoscore(even) == pytest.approx(1.0)
    assert isoscore(even[:2]) == pytest.approx(0.0, abs=1e-12)
    # variances 4 : 3, scaled (4, 3) sqrt 2 / 5 = (1.1314, .8485)
    uneven = even * [2.0, math.sqrt(3.0)]
    delta = math.hypot(1.1313708 - 1, 0.8485281 - 1) / math.sqrt(2 * (2 - math.sqrt(2)))
    phi = (2 - delta**2 * (2 - math.sqrt(2))) ** 2 / 4
    assert isoscore(uneven) == pytest.approx((2 * phi - 1) / 1, abs=1e-6)
    assert isoscore(uneven) == pytest.approx(0.96, abs=1e-6)  # phi = .98 = 1 - 1/50


@pytest.mark.parametrize(("n", "d"), [(3000, 10), (40, 7), (12, 30)])
def test_isoscore_by_its_steps(n: int, d: int) -> None:
    """Rudman et al. 2022, algorithm 1, with the covariance of the points along their principal axes."""
    from sklearn.decomposition import PCA

    x = directions(n, d)
    reoriented = PCA(n_components=min(n, d)).fit_transform(x)
    diagonal = np.zeros(d)
    diagonal[: reoriented.shape[1]] = np.diag(np.cov(reoriented.T))
    scaled = diagonal * math.sqrt(d) / np.linalg.norm(diagonal)
    delta = np.linalg.norm(scaled - np.ones(d)) / math.sqrt(2 * (d - math.sqrt(d)))
    phi = (d - delta**2 * (d - math.sqrt(d))) ** 2 / d**2
    assert isoscore(x) == pytest.approx((d * phi - 1) / (d - 1))
    assert isoscore(5 * x + 3) == pytest.approx(isoscore(x))  # neither scale nor offset matters


@pytest.mark.parametrize("tile", [1, 7, 64, 1024])
def test_uniformity_against_all_pairs(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "TILE", tile)
    x = directions(65, 5)
    assert uniformity(x) == pytest.approx(math.log(np.exp(-2 * pdist(x, "sqeuclidean")).mean()), abs=1e-5)


def test_cosines_against_all_pairs() -> None:
    x = directions(50, 6)
    assert mean_cosine(x) == pytest.approx(1 - pdist(x, "cosine").mean())
    groups = [x[:10], x[10:13], x[13:13], x[13:]]
    values = [a @ b for i, left in enumerate(groups) for right in groups[i + 1 :] for a in left for b in right]
    assert cosine_between(groups) == pytest.approx(np.mean(values))


def test_other_pairs_are_all_but_the_parallel_ones() -> None:
    a, b = directions(9, 4), directions(7, 4, seed=1)
    pairs = [(0, 3), (2, 1), (8, 6)]
    together = np.array([np.square(a[i] - b[j]).sum() for i, j in pairs])
    expected = np.mean([np.square(a[i] - b[j]).sum() for i in range(9) for j in range(7) if (i, j) not in pairs])
    assert mean_distance_of_others(a, b, together) == pytest.approx(expected)
    assert mean_distance_of_others(a[:1], b[:1], np.square(a[:1] - b[:1]).sum(axis=1)) is None


def test_too_few() -> None:
    one = RIGHT_ANGLES[:1]
    assert (uniformity(one), mean_cosine(one), cosine_between([one]), isoscore(one)) == (None,) * 4
    assert isoscore(np.repeat(one, 3, axis=0)) is None
