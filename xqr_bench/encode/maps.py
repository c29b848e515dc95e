"""The maps of docs/transforms.md: estimated from the vectors of languages, applied to those of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.types import FloatArray

# X has the n vectors of one language as rows, of d columns; m is their mean, a their strength from 0 to 1. At a = 0
# every map is the identity, at a = 1 it is the published one.
#
# - center:    y = x - a m
# - remove-k:  y = x - a B B'x, where the columns of B are the first k right singular vectors of X *as it is*, not
#              centred: the directions that the vectors of the language share most. Yang, Yang, Cer & Darve 2021 ("A
#              Simple and Effective Method To Eliminate the Self Language Bias in Multilingual Representations").
# - whiten:    y = S^(-a/2) (x - a m), the symmetric root (ZCA), S the covariance of X, shrunk (see below).
#              Whitening of sentence vectors: Su et al. 2021, Huang et al. 2021. They rotate into the principal axes,
#              which would give every language axes of its own; the symmetric root stays nearest to the vectors as they
#              were (Kessy, Lewin & Strimmer 2018), as languages are whitened apart by Artetxe et al. 2018.
# - shift-t:   y = x - a (m - m_t), of candidates alone, m_t the mean of the candidates in the language t. Jang, Hong,
#              Moon & Lim 2026 ("Shift: Semantic Harmonization via Index-side Feature Transformation for Multilingual
#              Information Retrieval", arXiv 2606.18801).
# - leace:     y = x - a W^+ P W (x - u), where u and S are mean and shrunk covariance of the vectors of *all*
#              languages, W = S^(-1/2), and P projects on the columns of W C, C the covariance of vectors and the 0-1
#              columns of the languages. After it no linear function of the vectors predicts the language; without
#              shrinkage no other affine map that does as much changes the vectors less. Belrose et al. 2023 ("LEACE:
#              Perfect linear concept erasure in closed form", theorem 4.3); it is one map for all languages.
# - transport-t: y = (1 - a) x + a (m_t + A (x - m)), A = S^(-1/2) (S^(1/2) S_t S^(1/2))^(1/2) S^(-1/2): the optimal
#              transport, by squared distance, of the normal distribution with mean m and covariance S to that of the
#              language t, and the way to it (Knott & Smith 1984, "On the optimal mapping of distributions"; McCann
#              1997, "A convexity principle for interacting gases").
#
# Covariances are shrunk, S = (1 - b) C + b (tr C / d) I with C = (X - m)'(X - m) / n and b after Ledoit & Wolf 2004
# ("A well-conditioned estimator for large-dimensional covariance matrices").
#
# Signs and order of eigenvectors do not matter: they enter as B B' and as V f(e) V'.

NEGLIGIBLE = 1e-12
"""Eigenvalues below this share of the largest count as none."""
LEAST_RESIDUAL = 1e-6
"""What is left of a vector counts as nothing below this share of its length: float32 noise has no direction."""
EQUALLY_STRONG = 1e-9
UNCORRELATED = 1e-8
"""Whitened covariances with the languages below this, in standard deviations of a vector, are rounding."""


class SingularError(EncoderError):
    """A covariance that has no inverse, shrunk as it is, where one is needed."""

    @classmethod
    def of(cls, dimensions: int, varying: int) -> SingularError:
        """That of vectors which vary in fewer directions than they have dimensions."""
        return cls(f"their covariance is singular: of {dimensions} directions they vary in {varying}")


@dataclass(frozen=True)
class Map:
    """y = offset + rest * z + U (scales - rest) V'z with z = x - mean.

    Attributes:
        mean: float64 `[d]`.
        basis: V, float64 `[d, r]`; orthonormal columns, but of `leace` and `transport`.
        scales: factor along each column of V, float64 `[r]`.
        rest: factor across them.
        shrinkage: b of the covariance, where there is one.
        arbitrary: `remove-k`: the k-th direction is as strong as the next, so that either could be removed.
        back: U, float64 `[d, r]`; None: V.
        offset: float64 `[d]`; None: zeros.
        rescales: whether the lengths of its results say nothing of what is left of a vector.
    """

    mean: FloatArray
    basis: FloatArray
    scales: FloatArray
    rest: float = 1.0
    shrinkage: float | None = None
    arbitrary: bool = False
    back: FloatArray | None = None
    offset: FloatArray | None = None
    rescales: bool = False

    def apply(self, vectors: FloatArray) -> FloatArray:
        """float64 `[n, d]` -> float64 `[n, d]`; rows of zeros stay zeros, equal rows stay equal.

        A row of which nothing is left but rounding (LEAST_RESIDUAL) becomes zeros.
        """
        # a product does not always give equal rows equal bits: each distinct row goes through it once
        distinct, where = _distinct(vectors)
        z = distinct - self.mean
        inside = z @ self.basis
        back = self.basis if self.back is None else self.back
        result = self.rest * z + (inside * (self.scales - self.rest)) @ back.T
        if self.offset is not None:
            result += self.offset
        left = z if self.rescales else result
        nothing = np.linalg.norm(left, axis=1) <= LEAST_RESIDUAL * np.linalg.norm(distinct, axis=1)
        result[nothing | ~distinct.any(axis=1)] = 0.0
        rows: FloatArray = result[where]
        return rows


def vary(vectors: FloatArray) -> bool:
    """Whether vectors, float64 `[n, d]`, are not all the same but for rounding: without that there is no covariance."""
    return bool(np.linalg.norm(vectors - vectors.mean(axis=0)) > LEAST_RESIDUAL * np.linalg.norm(vectors))


def center(vectors: FloatArray, strength: float = 1.0) -> Map:
    """Of one language, from its vectors, float64 `[n, d]`, n at least 1, none of them zero."""
    return _moved(strength * vectors.mean(axis=0))


def remove(directions: int, vectors: FloatArray, strength: float = 1.0) -> Map:
    """Of one language, from its vectors as for `center`; the first `directions` of them."""
    basis, arbitrary = _strongest(vectors, directions)
    return Map(np.zeros(vectors.shape[1]), basis, np.full(basis.shape[1], 1.0 - strength), arbitrary=arbitrary)


def whiten(vectors: FloatArray, strength: float = 1.0) -> Map:
    """Of one language, from its vectors as for `center`; where they do not vary, all become zeros.

    Raises:
        SingularError: a strength below 1 where a direction does not vary: what whitening it in part is, is not defined.
    """
    n, d = vectors.shape
    mean = vectors.mean(axis=0)
    nothing = _moved(strength * mean)
    if not vary(vectors):
        return replace(nothing, rest=0.0, shrinkage=1.0, rescales=True)
    centred = vectors - mean
    shrinkage = _shrinkage(centred)
    level = float(np.square(centred).sum()) / (n * d)
    variances, basis = _spectrum(centred)
    if strength < 1 and shrinkage == 0 and len(variances) < d:
        raise SingularError.of(d, len(variances))
    scales = (1.0 / np.sqrt((1.0 - shrinkage) * variances + shrinkage * level)) ** strength
    # across all that varies, the shrunk covariance is that of the identity; without shrinkage there is nothing
    rest = (1.0 / math.sqrt(shrinkage * level)) ** strength if shrinkage > 0 else 0.0
    return Map(strength * mean, basis, scales, rest, shrinkage, rescales=True)


def shift(mean: FloatArray, toward: FloatArray, strength: float = 1.0) -> Map:
    """Of the candidates of one language, from their mean and that of the language `toward`, both float64 `[d]`."""
    return _moved(strength * (mean - toward))


def erase(samples: Sequence[FloatArray], strength: float = 1.0) -> Map:
    """LEACE, the same for all languages, from the vectors of each: at least two, each float64 `[n, d]`."""
    together = np.concatenate(samples)
    mean = together.mean(axis=0)
    together -= mean
    shrinkage = _shrinkage(together)
    covariance = _shrunk(together, shrinkage)
    n = len(together)
    shared = np.stack([len(one) / n * (one.mean(axis=0) - mean) for one in samples], axis=1)
    values, axes = np.linalg.eigh(covariance)
    there = values > NEGLIGIBLE * values[-1]
    axes, deviations = axes[:, there], np.sqrt(values[there])
    left, strengths, _ = np.linalg.svd(axes.T @ shared / deviations[:, None], full_matrices=False)
    left = left[:, strengths > UNCORRELATED]
    onto, back = axes @ (left / deviations[:, None]), axes @ (left * deviations[:, None])
    return Map(mean, onto, np.full(left.shape[1], 1.0 - strength), shrinkage=shrinkage, back=back, offset=mean)


@dataclass(frozen=True)
class Normal:
    """A normal distribution.

    Attributes:
        mean: float64 `[d]`.
        covariance: float64 `[d, d]`, shrunk.
        shrinkage: its b.
    """

    mean: FloatArray
    covariance: FloatArray
    shrinkage: float

    @classmethod
    def of(cls, vectors: FloatArray) -> Normal:
        """That of vectors, float64 `[n, d]`, which vary."""
        mean = vectors.mean(axis=0)
        centred = vectors - mean
        shrinkage = _shrinkage(centred)
        return cls(mean, _shrunk(centred, shrinkage), shrinkage)


def transport(of: Normal, to: Normal, strength: float = 1.0) -> Map:
    """From one normal distribution to another.

    Raises:
        SingularError: the first has no density.
    """
    values, axes = np.linalg.eigh(of.covariance)
    if values[0] <= NEGLIGIBLE * values[-1]:
        raise SingularError.of(len(values), int((values > NEGLIGIBLE * values[-1]).sum()))
    root, inverse = ((axes * values**power) @ axes.T for power in (0.5, -0.5))
    inner, inner_axes = np.linalg.eigh(root @ to.covariance @ root)
    rest = 1.0 - strength
    scales = rest + strength * np.sqrt(np.maximum(inner, 0.0))
    offset = of.mean + strength * (to.mean - of.mean)
    return Map(of.mean, inverse @ inner_axes, scales, rest, of.shrinkage, offset=offset)


def _moved(by: FloatArray) -> Map:
    """y = x - by."""
    return Map(by, np.empty((len(by), 0)), np.empty(0))


def _shrinkage(centred: FloatArray) -> float:
    """b of Ledoit and Wolf, of vectors with mean 0, float64 `[n, d]`."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    return float(ledoit_wolf_shrinkage(centred, assume_centered=True))


def _shrunk(centred: FloatArray, shrinkage: float) -> FloatArray:
    """The shrunk covariance of vectors with mean 0, float64 `[n, d]` -> `[d, d]`."""
    covariance = (1.0 - shrinkage) * (centred.T @ centred / len(centred))
    covariance.flat[:: len(covariance) + 1] += shrinkage * np.square(centred).mean()
    return covariance


def _spectrum(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues float64 `[r]` of X'X / n that are not negligible, and their vectors float64 `[d, r]`."""
    n, d = centred.shape
    if d <= n:
        values, basis = np.linalg.eigh(centred.T @ centred / n)
    else:
        values, left = np.linalg.eigh(centred @ centred.T / n)
    varies = values > NEGLIGIBLE * values[-1]
    values = values[varies]
    if d <= n:
        return values, basis[:, varies]
    return values, centred.T @ (left[:, varies] / np.sqrt(n * values))


def _strongest(vectors: FloatArray, directions: int) -> tuple[FloatArray, bool]:
    """The first right singular vectors, float64 `[d, k]`, and whether the last is as strong as the next.

    Fewer than k where the vectors have no further direction.
    """
    from scipy.linalg import eigh

    n, d = vectors.shape
    gram = vectors.T @ vectors if d <= n else vectors @ vectors.T
    size = len(gram)
    wanted = min(directions + 1, size)
    values, basis = eigh(gram, subset_by_index=(size - wanted, size - 1))
    values, basis = values[::-1], basis[:, ::-1]
    there = values[:directions] > NEGLIGIBLE * values[0]
    basis = basis[:, :directions][:, there]
    if d > n:
        basis = vectors.T @ (basis / np.sqrt(values[:directions][there]))
    last = int(there.sum())
    next_ = values[last] if last < len(values) else 0.0
    arbitrary = last == directions and next_ > (1 - EQUALLY_STRONG) * values[last - 1]
    return basis, bool(arbitrary)


def _distinct(vectors: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """The distinct rows, and for each row which of them it is."""
    rows = np.ascontiguousarray(vectors + 0.0)  # -0.0 and 0.0 are equal but not the same bits
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, where = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], where.reshape(-1).astype(np.int64)
