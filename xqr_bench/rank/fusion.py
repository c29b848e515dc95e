"""Scores of several rankings made one, and scores of 64 bits counted as exactly as those of 32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from xqr_bench.core.errors import RanksError
from xqr_bench.core.types import FloatArray
from xqr_bench.rank.product import Vectors

_INFINITY = 0x7F800000  # its bits


@dataclass(frozen=True)
class Exact:
    """What scores would be without rounding to 64 bits.

    Attributes:
        score: of a row and a column.
        made_of: what scores are made of, float32 `[rankings, rows, candidates]`: equal where all of it is.
    """

    score: Callable[[int, int], Fraction]
    made_of: Vectors


_CLOSE = 1e-14
"""How far rounding to 64 bits may take sums from what they are, of the sums; what is as close is compared exactly."""


def in_32_bits(scores: FloatArray, exact: Exact | None = None) -> Vectors:
    """Scores rounded to 32 bits, each row in the order that it had, with the ties that it had and no others.

    Where rounding makes two different scores equal, the higher one gets the next float, so that a row moves by a few
    units in the last place. -inf stays.

    Args:
        scores: float64 `[rows, candidates]`, without NaN.
        exact: what they would be without rounding to 64 bits; None: the same.

    Returns:
        float32 of the same shape.

    Raises:
        RanksError: a score is too large for 32 bits.
    """
    with np.errstate(over="ignore"):
        result = scores.astype(np.float32)
    for number, (row, values) in enumerate(zip(result, scores, strict=True)):
        order = np.argsort(values)
        order = order[np.searchsorted(values, -np.inf, side="right", sorter=order) :]
        ascending = values[order]
        steps = ascending[1:] > ascending[:-1]
        if exact is not None:
            close = ascending[1:] - ascending[:-1] <= _CLOSE * np.abs(ascending[1:])
            made_of = exact.made_of[:, number, order]
            unsure = close & (made_of[:, 1:] != made_of[:, :-1]).any(axis=0)
            ends = np.append(np.flatnonzero(~close) + 1, len(order))  # of the runs of what is close
            for stop in np.unique(ends[np.searchsorted(ends, np.flatnonzero(unsure), side="right")]).tolist():
                start = int(np.append(0, ends)[np.searchsorted(ends, stop)])
                columns = order[start:stop].tolist()
                of_column = {column: exact.score(number, column) for column in columns}
                columns.sort(key=of_column.__getitem__)
                order[start:stop] = columns
                steps[start : stop - 1] = [of_column[one] < of_column[two] for one, two in pairwise(columns)]
                row[columns] = row[columns].min()
        rounded = row[order]
        if not np.isfinite(rounded).all():
            raise RanksError("scores do not fit a 32-bit float", found=f"{np.abs(ascending).max():.3g}")
        if (rounded[1:] > rounded[:-1])[steps].all():
            continue
        above = np.append(0, np.cumsum(steps))
        bits = rounded.view(np.int32).astype(np.int64)
        places = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)  # in the order of the scores; one more: the next float
        places = np.maximum.accumulate(places - above) + above
        if places[-1] >= _INFINITY:
            raise RanksError("scores do not fit a 32-bit float", found=f"{ascending[-1]:.3g}")
        row[order] = np.where(places < 0, 0x80000000 - places, places).astype(np.uint32).view(np.float32)
    return result


def middle_ranks(scores: Vectors) -> Vectors:
    """Rank of each score in its row, 1 the highest, equal ones at the middle of theirs; float32 `[rows, n]`."""
    n = scores.shape[1]
    order = np.argsort(-scores, axis=1)
    in_order = np.take_along_axis(scores, order, axis=1)
    begins = np.ones(scores.shape, dtype=np.bool_)
    begins[:, 1:] = in_order[:, 1:] != in_order[:, :-1]
    first = np.maximum.accumulate(np.where(begins, np.arange(n), 0), axis=1)
    ends = np.append(begins[:, 1:], np.ones((len(scores), 1), dtype=np.bool_), axis=1)
    last = np.minimum.accumulate(np.where(ends, np.arange(n), n)[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty_like(scores)
    np.put_along_axis(ranks, order, ((first + last) / 2 + 1).astype(np.float32), axis=1)
    return ranks


def reciprocal_ranks(rankings: Sequence[Vectors], weights: Sequence[float], k: int) -> Vectors:
    """Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009): the sum over the rankings of weight / (k + rank).

    Tied candidates have the middle of their ranks; a ranking gives nothing to a candidate that it did not retrieve.

    Args:
        rankings: of each its scores, float32 `[rows, candidates]`; -inf: not retrieved.
        weights: of each ranking, above 0.
        k: not negative.

    Returns:
        float32 `[rows, candidates]`, in the order and with the ties of the exact sums (`in_32_bits`).
    """
    ranks = [middle_ranks(scores) for scores in rankings]

    def exactly(row: int, column: int) -> Fraction:
        parts = zip(rankings, weights, ranks, strict=True)
        of_ranking = (
            Fraction(weight) / (k + Fraction(float(each[row, column])))
            for scores, weight, each in parts
            if scores[row, column] > -np.inf
        )
        return sum(of_ranking, Fraction(0))

    parts = [
        np.where(scores > -np.inf, weight / (k + each.astype(np.float64)), 0.0)
        for scores, weight, each in zip(rankings, weights, ranks, strict=True)
    ]
    return _summed(rankings, parts, exactly)


def normalised_sums(rankings: Sequence[Vectors], weights: Sequence[float]) -> Vectors:
    """CombSUM (Fox & Shaw 1994) of scores that begin at 0, the lowest of a row, and end at 1, its highest (Lee 1997).

    Where all candidates of a row tie, a ranking gives nothing; nor does it to a candidate that it did not retrieve.

    Args:
        rankings: of each its scores, float32 `[rows, candidates]`; -inf: not retrieved.
        weights: of each ranking, above 0.

    Returns:
        float32 `[rows, candidates]`, in the order and with the ties of the exact sums (`in_32_bits`).
    """
    lows = [scores.min(axis=1, initial=np.inf, where=scores > -np.inf) for scores in rankings]
    highs = [scores.max(axis=1) for scores in rankings]

    def exactly(row: int, column: int) -> Fraction:
        whole = Fraction(0)
        for scores, weight, low, high in zip(rankings, weights, lows, highs, strict=True):
            if scores[row, column] > low[row]:
                score, least, most = (Fraction(float(one)) for one in (scores[row, column], low[row], high[row]))
                whole += Fraction(weight) * (score - least) / (most - least)
        return whole

    parts = []
    for scores, weight, low, high in zip(rankings, weights, lows, highs, strict=True):
        least, span = low[:, None].astype(np.float64), high[:, None].astype(np.float64) - low[:, None]
        above = np.where(scores > least, scores - least, 0.0)
        parts.append(weight * (above / np.where(span > 0, span, 1.0)))
    return _summed(rankings, parts, exactly)


def _summed(
    rankings: Sequence[Vectors], parts: Sequence[FloatArray], exactly: Callable[[int, int], Fraction]
) -> Vectors:
    """The sums of what each ranking gives; -inf where none retrieved the candidate."""
    # in the order of their size: candidates that are given the same, by whichever ranking, have the same sum
    sums: FloatArray = np.sort(np.stack(parts), axis=0).sum(axis=0)
    retrieved = np.logical_or.reduce([scores > -np.inf for scores in rankings])
    return in_32_bits(np.where(retrieved, sums, -np.inf), Exact(exactly, np.stack(rankings)))
