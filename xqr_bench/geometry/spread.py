"""Distances and cosines of vectors: alignment, uniformity, mean cosines, IsoScore.

All on vectors of length 1, float64 `[n, d]`; what is zero has no direction and must be left out before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from xqr_bench.types import FloatArray

TILE = 1024
HEAT = 2.0


def squared_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Of rows that belong together: |a_i - b_i|^2, float64 `[n]`, 0 .. 4 for vectors of length 1."""
    found: FloatArray = np.square(a - b).sum(axis=1)
    return found


def mean_distance_of_others(a: FloatArray, b: FloatArray, together: FloatArray) -> float | None:
    """Mean of |a_i - b_j|^2 over all i, j that do not belong together; None where there are none.

    For vectors of length 1 the mean over all pairs is 2 - 2 m_a'm_b with the mean vectors.

    Args:
        a, b: float64 `[n_a, d]`, `[n_b, d]`.
        together: squared distances of the pairs left out, float64 `[pairs]`.
    """
    pairs = len(a) * len(b)
    if pairs == len(together):
        return None
    total = pairs * (2.0 - 2.0 * float(a.mean(axis=0) @ b.mean(axis=0)))
    return (total - float(together.sum())) / (pairs - len(together))


def uniformity(vectors: FloatArray) -> float | None:
    """log of the mean of exp(-2 |x - y|^2) over all pairs of different rows; None for fewer than two rows.

    Wang & Isola 2020 ("Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere"), t = 2. 0: all vectors are one; -4: as far as many directions at right angles go.
    """
    n = len(vectors)
    if n < 2:
        return None
    rows = vectors.astype(np.float32)
    total = 0.0
    for start in range(0, n, TILE):
        block = rows[start : start + TILE]
        # |x - y|^2 = 2 - 2 x'y; each pair once, above the diagonal
        cosines = block @ rows[start:].T
        np.exp(2 * HEAT * (cosines - 1), out=cosines)
        total += float(cosines[:, len(block) :].sum(dtype=np.float64))
        total += float(np.triu(cosines[:, : len(block)], 1).sum(dtype=np.float64))
    return math.log(total / (n * (n - 1) / 2))


def mean_cosine(vectors: FloatArray) -> float | None:
    """Mean cosine of two different rows: (|sum of rows|^2 - n) / (n (n - 1)); None for fewer than two rows.

    Ethayarajh 2019 ("How Contextual are Contextualized Word Representations?") calls it anisotropy, from samples.
    """
    n = len(vectors)
    if n < 2:
        return None
    total = vectors.sum(axis=0)
    return (float(total @ total) - n) / (n * (n - 1))


def mean_cosine_between(groups: Sequence[FloatArray]) -> float | None:
    """Mean cosine of two rows of different groups; None where there is only one group."""
    sums = np.array([group.sum(axis=0) for group in groups if len(group)])
    sizes = np.array([len(group) for group in groups if len(group)], dtype=np.float64)
    pairs = sizes.sum() ** 2 - np.square(sizes).sum()
    if not pairs:
        return None
    whole = sums.sum(axis=0)
    return (float(whole @ whole) - float(np.square(sums).sum())) / float(pairs)


def isoscore(vectors: FloatArray) -> float | None:
    """Share of the dimensions that the vectors use evenly, 0 .. 1; None for fewer than two rows or dimensions.

    Rudman, Gillman, Rayne & Eickhoff 2022 ("IsoScore: Measuring the Uniformity of Embedding Space Utilization"): with
    the variances s along the principal axes, scaled to the length of a vector of ones,
    delta = |s - 1| / sqrt(2 (d - sqrt d)), phi = (d - delta^2 (d - sqrt d))^2 / d^2, score = (d phi - 1) / (d - 1).
    """
    n, d = vectors.shape
    if n < 2 or d < 2:
        return None
    centred = vectors - vectors.mean(axis=0)
    gram = centred.T @ centred if d <= n else centred @ centred.T
    variances = np.zeros(d)
    values = np.linalg.eigvalsh(gram)
    variances[: len(values)] = np.clip(values, 0.0, None)
    length = float(np.linalg.norm(variances))
    if length == 0.0:
        return None
    scaled = math.sqrt(d) * variances / length
    defect: float = float(np.linalg.norm(scaled - 1)) / math.sqrt(2 * (d - math.sqrt(d)))
    share: float = (d - defect * defect * (d - math.sqrt(d))) / d
    return float((d * share * share - 1) / (d - 1))
