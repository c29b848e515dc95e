"""The maps: estimated from vectors of one language, applied to vectors of that language.

X has the n vectors of the estimate as rows, of d columns; m is their mean.

- center:   y = x - m
- remove-k: y = x - B B'x, where the columns of B are the first k right singular vectors of X *as it is*, not centred:
            the directions that the vectors of the language share most. Yang, Yang, Cer & Darve 2021 ("A Simple and
            Effective Method To Eliminate the Self Language Bias in Multilingual Representations").
- whiten:   y = S^(-1/2) (x - m), the symmetric root (ZCA), S = (1 - a) C + a (tr C / d) I, C = (X - m)'(X - m) / n,
            a after Ledoit & Wolf 2004 ("A well-conditioned estimator for large-dimensional covariance matrices").
            Whitening of sentence vectors: Su et al. 2021, Huang et al. 2021. They rotate into the principal axes, which
            would give every language axes of its own; the symmetric root stays nearest to the vectors as they were
            (Kessy, Lewin & Strimmer 2018), as languages are whitened apart by Artetxe et al. 2018.

Signs and order of singular vectors do not matter: they enter as B B' and as V f(e) V'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xqr_bench.transform.options import CENTER, WHITEN
from xqr_bench.types import FloatArray

NEGLIGIBLE = 1e-12
"""Eigenvalues below this share of the largest count as none."""
LEAST_RESIDUAL = 1e-6
"""What is left of a vector counts as nothing below this share of its length: float32 noise has no direction."""
EQUALLY_STRONG = 1e-9


@dataclass(frozen=True)
class Map:
    """y = rest * z + V (scales - rest) V'z with z = x - mean.

    Attributes:
        mean: float64 `[d]`.
        basis: V, orthonormal columns, float64 `[d, r]`.
        scales: factor along each column of V, float64 `[r]`.
        rest: factor across them.
        shrinkage: a of `whiten`.
        arbitrary: `remove-k`: the k-th direction is as strong as the next, so that either could be removed.
    """

    mean: FloatArray
    basis: FloatArray
    scales: FloatArray
    rest: float = 1.0
    shrinkage: float | None = None
    arbitrary: bool = False

    def apply(self, vectors: FloatArray) -> FloatArray:
        """float64 `[n, d]` -> float64 `[n, d]`; rows of zeros stay zeros, equal rows stay equal.

        A row of which nothing is left but rounding (LEAST_RESIDUAL) becomes zeros.
        """
        # a product does not always give equal rows equal bits: each distinct row goes through it once
        distinct, where = _distinct(vectors)
        z = distinct - self.mean
        inside = z @ self.basis
        result = self.rest * z + (inside * (self.scales - self.rest)) @ self.basis.T
        left = z if self.shrinkage is not None else result
        nothing = np.linalg.norm(left, axis=1) <= LEAST_RESIDUAL * np.linalg.norm(distinct, axis=1)
        result[nothing | ~distinct.any(axis=1)] = 0.0
        found: FloatArray = result[where]
        return found


def estimate(name: str, directions: int | None, vectors: FloatArray) -> Map:
    """The map of one language and role.

    Args:
        name: center, whiten or remove-k.
        directions: k of remove-k.
        vectors: float64 `[n, d]`, n at least 1, none of them zero.
    """
    n, d = vectors.shape
    none = np.empty((d, 0)), np.empty(0)
    if directions is not None:
        basis, arbitrary = _shared(vectors, directions)
        return Map(np.zeros(d), basis, np.zeros(basis.shape[1]), arbitrary=arbitrary)
    mean = vectors.mean(axis=0)
    if name == CENTER:
        return Map(mean, *none)
    if name != WHITEN:
        raise ValueError(f"no such transform: {name}")
    centred = vectors - mean
    if np.linalg.norm(centred) <= LEAST_RESIDUAL * np.linalg.norm(vectors):
        return Map(mean, *none, rest=0.0, shrinkage=1.0)  # all vectors are the same: no covariance
    shrinkage = _shrinkage(centred)
    level = float(np.square(centred).sum()) / (n * d)
    variances, basis = _spectrum(centred)
    scales = 1.0 / np.sqrt((1.0 - shrinkage) * variances + shrinkage * level)
    # across all that varies, the shrunk covariance is that of the identity; without shrinkage there is nothing
    rest = 1.0 / math.sqrt(shrinkage * level) if shrinkage > 0 else 0.0
    return Map(mean, basis, scales, rest, shrinkage)


def _shrinkage(centred: FloatArray) -> float:
    from sklearn.covariance import ledoit_wolf_shrinkage

    if len(centred) == 1:
        return 1.0
    return float(ledoit_wolf_shrinkage(centred, assume_centered=True))


def _spectrum(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues float64 `[r]` of X'X / n that are not negligible, and their vectors float64 `[d, r]`."""
    n, d = centred.shape
    if d <= n:
        values, basis = np.linalg.eigh(centred.T @ centred / n)
    else:
        values, left = np.linalg.eigh(centred @ centred.T / n)
    kept = values > NEGLIGIBLE * values[-1]
    values = values[kept]
    if d <= n:
        return values, basis[:, kept]
    return values, centred.T @ (left[:, kept] / np.sqrt(n * values))


def _shared(vectors: FloatArray, directions: int) -> tuple[FloatArray, bool]:
    """The first right singular vectors, float64 `[d, k]`, and whether the last is as strong as the next.

    Fewer than k where the vectors have no further direction.
    """
    from scipy.linalg import eigh

    n, d = vectors.shape
    gram = vectors.T @ vectors if d <= n else vectors @ vectors.T
    size = len(gram)
    wanted = min(directions + 1, size)
    values, found = eigh(gram, subset_by_index=(size - wanted, size - 1))
    values, found = values[::-1], found[:, ::-1]
    kept = values[:directions] > NEGLIGIBLE * values[0]
    basis = found[:, :directions][:, kept]
    if d > n:
        basis = vectors.T @ (basis / np.sqrt(values[:directions][kept]))
    last = int(kept.sum())
    next_ = values[last] if last < len(values) else 0.0
    arbitrary = last == directions and next_ > (1 - EQUALLY_STRONG) * values[last - 1]
    return basis, bool(arbitrary)


def _distinct(vectors: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """The distinct rows, and for each row which of them it is."""
    rows = np.ascontiguousarray(vectors + 0.0)  # -0.0 and 0.0 are equal but not the same bits
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, where = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], where.reshape(-1).astype(np.int64)
