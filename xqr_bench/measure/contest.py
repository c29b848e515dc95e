"""Max-T over all pairs of many records: the p-values of `paired`, in memory that grows with the records.

`paired` holds the differences of every pair, question by question. A signed or weighted sum of differences is the
difference of two sums, so that one of each record is enough; what a pair needs beside is its spread, which for random
signs is one number, and for articles drawn anew is a weighted sum of squares, found for some pairs at a time. Pairs are
gone through from the smallest observed |t| to the greatest, with the greatest |t| of each resample so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xqr_bench.core.errors import UsageError
from xqr_bench.core.jit import compiled
from xqr_bench.core.types import FloatArray, IntArray
from xqr_bench.measure.certainty import Figures
from xqr_bench.measure.linear import presence, shares
from xqr_bench.measure.paired import verdict
from xqr_bench.measure.panel import Units
from xqr_bench.measure.resampling import (
    BLOCK,
    RESAMPLES,
    TOLERANCE,
    coin_blocks,
    holm,
    multinomial_weights,
    on_grid,
    p_value,
    signed_sums,
)

PAIRS_AT_ONCE = 1024


class Contribution(NamedTuple):
    """What each question adds to the figures of a record, and whether it has a value: `[questions, figures]`."""

    shares: FloatArray
    present: FloatArray

    @classmethod
    def of(cls, figures: Figures) -> Contribution:
        """From figures that are means, such as MAP, and no statistics of sets."""
        parts = [(contrasts.apply(shares(panel)), presence(panel, contrasts)) for panel, contrasts in figures.values()]
        return cls(*(np.hstack(part) for part in zip(*parts, strict=True)))


class ContestTest(NamedTuple):
    """p of a figure of two records, adjusted over all figures of all pairs, and the verdict on it."""

    p: float
    p_article: float
    verdict: str


@dataclass(frozen=True)
class ContestTests:
    """Every figure of every pair of records: p by question and by article, adjusted, `[pairs, figures]`.

    Attributes:
        n: records.
        p, p_article: by question, by article.
        n_articles: with a value, `[figures]`.
    """

    n: int
    p: FloatArray
    p_article: FloatArray
    n_articles: IntArray

    def test(self, a: int, b: int, figure: int) -> ContestTest:
        """That of two records in a figure."""
        low, high = min(a, b), max(a, b)
        place = low * (2 * self.n - low - 1) // 2 + high - low - 1
        p, p_article = float(self.p[place, figure]), float(self.p_article[place, figure])
        return ContestTest(p, p_article, verdict(p, p_article, int(self.n_articles[figure]), self.p.size))


def contest_tests(
    records: Sequence[Contribution], units: Units, seed: int = 0, resamples: int = RESAMPLES
) -> ContestTests:
    """What `confirm(compare_pairs(...together=True))` finds of the same figures: Holm for two records, else max-T.

    Args:
        records: of each record the same figures, over the same questions.
        units, seed, resamples: as of `compare_pairs`.

    Raises:
        UsageError: a record does not have values for the same questions.
    """
    present = records[0].present
    if any(not np.array_equal(of_record.present, present) for of_record in records):
        raise UsageError(
            "the records do not have values for the same questions", remedy="compare records of the same task data"
        )
    n, n_figures = len(records), present.shape[1]
    there = (units.by_article(present) > 0).astype(np.float64)

    def tested(figures: slice) -> tuple[FloatArray, FloatArray]:
        rows = np.hstack([of_record.shares[:, figures] for of_record in records])
        k = rows.shape[1] // n
        a, b = np.triu_indices(n, 1)  # pair by pair, and of each the figures
        pairs = (np.stack([a, b], axis=1)[:, None, :] * k + np.arange(k)[:, None]).reshape(-1, 2)
        by_question, by_article, *_ = np.random.Generator(np.random.PCG64(seed)).spawn(4)  # as `paired` does
        p = _by_signs(rows, present[:, figures].sum(axis=0), pairs, by_question, resamples)
        p_article = _by_articles(units.by_article(rows), there[:, figures], pairs, by_article, resamples)
        return p.reshape(-1, k), p_article.reshape(-1, k)

    if n > 2:
        found = tested(slice(None))
    else:
        alone = zip(*(tested(slice(f, f + 1)) for f in range(n_figures)), strict=True)
        p, p_article = (holm(np.hstack(of_figures)[0])[None] for of_figures in alone)
        found = p, p_article
    return ContestTests(n, *found, there.sum(axis=0).astype(np.int64))


def _by_signs(
    rows: FloatArray, n_units: FloatArray, pairs: IntArray, generator: np.random.Generator, resamples: int
) -> FloatArray:
    """See `paired._randomise`.

    Args:
        rows: what each question adds to each figure of each record, `[questions, columns]`.
        n_units: questions that have a value, `[figures]`.
        pairs: columns, `[pairs, 2]`.
        generator: source of signs.
        resamples: B.
    """
    rows = on_grid(rows, 4.0 * np.abs(rows).sum(axis=0).max())
    scale, squares, _ = _sizes(np.ascontiguousarray(rows.T), pairs)
    total = rows.sum(axis=0)
    n = np.maximum(n_units, 2.0)[pairs[:, 0] % len(n_units)]
    # with t^2 = T^2 (n - 1) / (n q - T^2) = T^2 / ((q - T^2 / n) n / (n - 1))
    least = np.where(scale > 0, 1e-12 * np.maximum(n * squares, 1e-300) * (n - 1) / n, np.inf)
    seen = np.maximum(np.abs(total[pairs[:, 1]] - total[pairs[:, 0]]) - TOLERANCE * scale, 0.0)
    observed = seen**2 / (np.maximum(squares - seen**2 / n, least) * n / (n - 1))
    order = np.argsort(observed, kind="stable")
    a, b = np.ascontiguousarray(pairs[order].T)
    figure = a % len(n_units)
    count = np.zeros(len(pairs))
    drawn = np.repeat(np.maximum(n_units, 2.0)[:, None], BLOCK, axis=1)
    for coins in coin_blocks(len(rows), resamples, generator):
        sums = np.ascontiguousarray(signed_sums(rows, coins).T)
        greatest = np.zeros(len(coins))
        _step(
            sums,
            a,
            b,
            figure,
            1 / drawn,
            drawn / (drawn - 1),
            squares[order, None],
            least[order],
            observed[order],
            greatest,
            count,
        )
    return _adjusted(count, order, resamples)


def _by_articles(
    rows: FloatArray, present: FloatArray, pairs: IntArray, generator: np.random.Generator, resamples: int
) -> FloatArray:
    """See `paired.bootstrap_t`.

    Args:
        rows: what each article adds to each figure of each record, `[articles, columns]`.
        present: 1.0 where it has a value, `[articles, figures]`.
        pairs: columns, `[pairs, 2]`.
        generator: source of draws.
        resamples: B.
    """
    n, n_figures = present.shape
    m = present.sum(axis=0)
    figures = np.arange(rows.shape[1]) % n_figures
    total = rows.sum(axis=0)
    size, *_ = _sizes(np.ascontiguousarray(rows.T), pairs)
    centred = present[:, figures] * (rows - total / np.maximum(m, 1)[figures])
    centred = on_grid(centred, 2.0 * n * np.abs(centred).max(initial=0.0))
    columns = np.ascontiguousarray(centred.T)
    spread, squares, largest = _sizes(columns, pairs)
    # articles that all add the same have no spread but rounding
    still = spread <= TOLERANCE * size
    figure = pairs[:, 0] % n_figures
    difference = np.abs(total[pairs[:, 1]] - total[pairs[:, 0]])
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = difference / np.sqrt(squares * (m / np.maximum(m - 1, 1))[figure])
    observed[still] = np.inf
    observed[difference <= TOLERANCE * size] = 0.0
    observed *= 1.0 - TOLERANCE
    order = np.argsort(observed, kind="stable")
    a, b = np.ascontiguousarray(pairs[order].T)
    observed, figure = observed[order] ** 2, figure[order]
    least = np.where(still, np.inf, 1e-12 * squares)[order]
    # a power of two, so that sums of squares are exact: see `on_grid`
    _, exponent = np.frexp(n * largest[order] ** 2)
    unit = np.ldexp(1.0, np.where(largest[order] > 0, 52 - exponent, 0))
    count = np.zeros(len(pairs))
    for start in range(0, resamples, BLOCK):
        weights = multinomial_weights(n, min(BLOCK, resamples - start), generator)
        sums = np.ascontiguousarray((weights @ centred).T)
        drawn = np.ascontiguousarray(np.maximum(weights @ present, 1).T)
        factor = drawn / np.maximum(drawn - 1, 1)
        greatest = np.zeros(len(weights))
        for first in range(0, len(pairs), PAIRS_AT_ONCE):
            some = slice(first, first + PAIRS_AT_ONCE)
            of_pairs = _squares(columns, a[some], b[some], unit[some]) @ weights.T
            _step(
                sums,
                a[some],
                b[some],
                figure[some],
                1 / drawn,
                factor,
                of_pairs,
                least[some],
                observed[some],
                greatest,
                count[some],
            )
    floor = np.where(size == 0, 1.0, 2.0 ** (1 - np.maximum(m, 1))[pairs[:, 0] % n_figures])
    return np.maximum(_adjusted(count, order, resamples), floor)


def _adjusted(count: FloatArray, order: IntArray, resamples: int) -> FloatArray:
    """As `resampling.StepDown`: from the largest |t| down, a p-value is never smaller than the one before it."""
    p = np.empty(len(order))
    p[order] = np.maximum.accumulate(p_value(count, resamples)[::-1])[::-1]
    return p


@compiled()
def _sizes(columns: FloatArray, pairs: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of each pair's differences: the sum of absolute values, that of squares, and the greatest absolute value."""
    absolute, squares, greatest = np.zeros(len(pairs)), np.zeros(len(pairs)), np.zeros(len(pairs))
    for pair in range(len(pairs)):
        a, b = columns[pairs[pair, 0]], columns[pairs[pair, 1]]
        for unit in range(len(a)):
            value = abs(b[unit] - a[unit])
            absolute[pair] += value
            squares[pair] += value * value
            greatest[pair] = max(greatest[pair], value)
    return absolute, squares, greatest


@compiled()
def _squares(columns: FloatArray, a: IntArray, b: IntArray, unit: FloatArray) -> FloatArray:
    """Squared differences of some pairs, rounded to whole parts of a unit, `[pairs, units]`."""
    squares = np.empty((len(a), columns.shape[1]))
    for pair in range(len(a)):
        for place in range(columns.shape[1]):
            value = columns[b[pair], place] - columns[a[pair], place]
            squares[pair, place] = np.rint(value * value * unit[pair]) / unit[pair]
    return squares


@compiled()
def _step(
    sums: FloatArray,
    a: IntArray,
    b: IntArray,
    figure: IntArray,
    inverse: FloatArray,
    factor: FloatArray,
    squares: FloatArray,
    least: FloatArray,
    observed: FloatArray,
    greatest: FloatArray,
    count: FloatArray,
) -> None:
    """Count, pair by pair, the resamples whose greatest t^2 so far reaches the observed one.

    Args:
        sums: of each column, `[columns, resamples]`.
        a, b: columns of each pair.
        figure: of each pair, a row of `inverse` and `factor`.
        inverse, factor: 1 / n and n / (n - 1) of the n units in each resample, `[figures, resamples]`.
        squares: sum of squares of each pair, `[pairs, resamples]`, or `[pairs, 1]` where it is the same in all.
        least: smallest spread; infinite where a pair has none: its t is 0.
        observed: t^2 of each pair.
        greatest: t^2 of each resample so far; grows.
        count: of each pair; grows.
    """
    square, spread = np.empty(len(greatest)), np.empty(len(greatest))
    same = squares.shape[1] == 1
    for pair in range(len(a)):
        one, other, low = sums[a[pair]], sums[b[pair]], least[pair]
        per_unit, times = inverse[figure[pair]], factor[figure[pair]]
        for draw in range(len(greatest)):
            square[draw] = (other[draw] - one[draw]) ** 2
            spread[draw] = square[draw] * per_unit[draw]
        if same:
            of_all = squares[pair, 0]
            for draw in range(len(greatest)):
                spread[draw] = of_all - spread[draw]
        else:
            for draw in range(len(greatest)):
                spread[draw] = squares[pair, draw] - spread[draw]
        reached, least_counted = 0, observed[pair]
        for draw in range(len(greatest)):
            t = square[draw] / ((spread[draw] if spread[draw] > low else low) * times[draw])
            greatest[draw] = t if t > greatest[draw] else greatest[draw]
            reached += greatest[draw] >= least_counted
        count[pair] += reached
