"""Tests over many: records by randomised two-way Tukey HSD with its letters, languages by Kendall's W."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import UsageError
from xqr_bench.core.jit import compiled
from xqr_bench.core.types import FloatArray, IntArray
from xqr_bench.measure.linear import presence, shares
from xqr_bench.measure.panel import Contrasts, Panel, Units, check_same_layout
from xqr_bench.measure.resampling import RESAMPLES, TOLERANCE, on_grid, p_value

# More than two records: randomised two-way Tukey HSD.


@dataclass(frozen=True)
class Tukey:
    """All pairs of systems on one figure.

    Attributes:
        label: what the figure is.
        means: of each system, float64 `[systems]`.
        p: by question, float64 `[systems, systems]`, symmetric, 1 on the diagonal.
        p_article: by article.
    """

    label: Any
    means: FloatArray
    p: FloatArray
    p_article: FloatArray


def tukey_hsd(
    panels: list[Panel],
    contrasts: Contrasts,
    units: Units,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> list[Tukey]:
    """Randomised two-way Tukey HSD for each figure (Carterette 2012, ACM TOIS 30(1), section 4.3).

    Under the null all systems are exchangeable within a question: each resample permutes the systems within every
    question (its translations and settings together) and keeps the range, largest minus smallest mean. A pair's p is
    the share of ranges that reach its difference, so the chance of any false difference among all pairs is kept.
    p_article permutes within articles. Of a set statistic the questions' pseudo-values are permuted.

    Args:
        panels: the same metric and setting of each system.
        contrasts: figures.
        units: questions and articles.
        generator: source of permutations; two streams are spawned from it.
        resamples: B.

    Raises:
        UsageError: fewer than two systems, or they do not have the same queries.
    """
    if len(panels) < 2:
        raise UsageError("one record cannot be compared", remedy="name two records or more")
    check_same_layout(panels)
    by_system = np.stack([contrasts.apply(shares(panel)) for panel in panels], axis=2)
    present = presence(panels[0], contrasts)
    streams = generator.spawn(2)
    result = []
    for figure, label in enumerate(contrasts.labels):
        rows = by_system[:, figure]
        result.append(
            Tukey(
                label=label,
                means=np.array([contrasts.apply(panel.estimate)[figure] for panel in panels]),
                p=range_p(rows[present[:, figure] > 0], streams[0], resamples),
                p_article=range_p(units.by_article(rows), streams[1], resamples),
            )
        )
    return result


def range_p(rows: FloatArray, generator: np.random.Generator, resamples: int = RESAMPLES) -> FloatArray:
    """p-values of all pairs of columns, float64 `[systems, systems]`.

    Args:
        rows: what each unit adds to each system's mean, `[units, systems]`.
        generator: source of permutations.
        resamples: B.
    """
    magnitude = float(np.abs(rows).max(axis=1, initial=0.0).sum())
    rows = on_grid(rows, 4.0 * magnitude)
    totals = rows.sum(axis=0)
    differences = np.abs(totals[:, None] - totals[None, :])
    scale = np.abs(rows[:, :, None] - rows[:, None, :]).sum(axis=0)
    permuted = _permuted_totals(np.ascontiguousarray(rows), generator, resamples)
    ranges = np.sort(permuted.max(axis=1) - permuted.min(axis=1))
    reached = resamples - np.searchsorted(ranges, differences - TOLERANCE * scale, side="left")
    p = p_value(reached.astype(np.float64), resamples)
    np.fill_diagonal(p, 1.0)
    return p


@compiled()
def _permuted_totals(rows: FloatArray, generator: np.random.Generator, permutations: int) -> FloatArray:
    """Column totals under random permutations (Fisher & Yates) of every row, `[permutations, columns]`."""
    units, columns = rows.shape
    row = np.empty(columns)
    totals = np.zeros((permutations, columns))
    for b in range(permutations):
        for unit in range(units):
            row[:] = rows[unit]
            for j in range(columns - 1, 0, -1):
                k = int(generator.random() * (j + 1))
                totals[b, j] += row[k]
                row[k] = row[j]
            totals[b, 0] += row[0]
    return totals


# Compact letter display: systems that share a letter do not differ significantly.


def compact_letters(p: FloatArray, means: FloatArray, alpha: float = 0.05) -> list[str]:
    """Letters of each system by insert and absorb (Piepho 2004, J. Comput. Graph. Stat. 13).

    Two systems share a letter if and only if their difference is not significant (p > alpha). Letters run from the
    highest mean down.

    Args:
        p: pairwise p-values, `[systems, systems]`, symmetric.
        means: `[systems]`.
        alpha: level.
    """
    place = np.argsort(np.argsort(-means, kind="stable"), kind="stable").tolist()
    columns = sorted(insert_and_absorb(p <= alpha), key=lambda column: sorted(place[system] for system in column))
    return ["".join(letter(i) for i, column in enumerate(columns) if system in column) for system in range(len(p))]


def insert_and_absorb(different: NDArray[np.bool_]) -> list[frozenset[int]]:
    """The largest sets of systems without a significant difference.

    Start with one set of all. For each significant pair, split every set that holds both into one without the first
    and one without the second (insert), and drop sets that lie within another (absorb). What is left is every largest
    set without a significant pair: a pair that is not significant is never split, so it always shares a set.
    """
    n = len(different)
    sets = [frozenset(range(n))]
    for i in range(n):
        for j in range(i + 1, n):
            if not different[i, j]:
                continue
            largest = [members for members in sets if not (i in members and j in members)]
            split = [members - {out} for members in sets if i in members and j in members for out in (i, j)]
            for candidate in split:
                if not any(candidate <= other for other in largest):
                    largest = [other for other in largest if not other < candidate]
                    largest.append(candidate)
            sets = largest
    return sets


def letter(index: int) -> str:
    """a .. z, then (a1), (b1) .. (z1), (a2) .., in brackets so that each is read as one letter."""
    again, place = divmod(index, len(ascii_lowercase))
    return f"({ascii_lowercase[place]}{again})" if again else ascii_lowercase[place]


# Is the order of languages systematic? A permutation test of Kendall's W.

PERMUTATIONS = 999


def order_test(rank_sums: FloatArray, generator: np.random.Generator, permutations: int = PERMUTATIONS) -> float:
    """p-value of "no language is preferred", language labels permuted within each unit.

    Under the null the labels within a unit (a question, or an article whose questions move together) are
    exchangeable. Ties and the number of questions do not change under permutation, so W grows with the sum of
    squares of the total rank sums, which is the statistic used.

    Args:
        rank_sums: float64 `[units, languages]`, the places of each language summed within the unit.
        generator: the source of permutations.
        permutations: B; p = (1 + #{as large as observed}) / (B + 1), never 0.
    """
    bits = generator.bit_generator
    if not isinstance(bits, np.random.PCG64):
        raise TypeError(f"the generator is of the kind {type(bits).__name__}, not PCG64")
    rows = np.ascontiguousarray(rank_sums)
    observed = (rows.sum(axis=0) ** 2).sum()  # sums of half-integers are exact in float64: equal means equal
    decisive, least = _decisive_units(rows)
    first, others = rows[:decisive], rows[decisive:]
    swaps, swaps_of_others = (part.size - len(part) for part in (first, others))
    count = 0
    for _ in range(permutations):
        totals = _permuted_total(first, generator.random(swaps))
        if len(others):
            if totals @ totals < least:
                bits.advance(swaps_of_others)
                continue
            totals += _permuted_total(others, generator.random(swaps_of_others))
        count += totals @ totals >= observed
    return (1 + count) / (permutations + 1)


def _decisive_units(rank_sums: FloatArray) -> tuple[int, float]:
    """How many units, once permuted, mostly show that the totals cannot get as far from their mean as those observed.

    A permutation keeps the mean of a unit, so a unit moves the totals by no more than its own distance from its mean:
    where the totals of the first units and the distances of all others together fall short of the observed distance,
    no numbers need be drawn for the others.

    Returns:
        the units, and the sum of squares of their totals from which on the others matter.
    """
    totals = rank_sums.sum(axis=0)
    away = (1 - 1e-9) * float(np.linalg.norm(totals - totals.mean()))  # a margin for rounding
    distances = np.linalg.norm(rank_sums - rank_sums.mean(axis=1, keepdims=True), axis=1)
    left = distances.sum() - np.cumsum(distances)
    # squares of random permutations add up
    enough = 2.5 * np.sqrt(np.cumsum(distances**2)) + left < away
    if not enough.any():
        return len(rank_sums), 0.0
    first = int(enough.argmax())
    mean = float(rank_sums[: first + 1].sum()) / len(totals)
    return first + 1, (away - float(left[first])) ** 2 + len(totals) * mean**2


@compiled()
def _permuted_total(rows: FloatArray, numbers: FloatArray) -> FloatArray:
    """Column totals when every row is permuted (Fisher & Yates) by numbers from 0 to 1, one for each swap."""
    units, columns = rows.shape
    row, totals = np.empty(columns), np.zeros(columns)
    swap = 0
    for unit in range(units):
        row[:] = rows[unit]
        for j in range(columns - 1, 0, -1):
            k = int(numbers[swap] * (j + 1))
            swap += 1
            totals[j] += row[k]
            row[k] = row[j]
        totals[0] += row[0]
    return totals


def sums_by_unit(places: FloatArray, units: IntArray) -> FloatArray:
    """Sum the rows of `places` by unit, float64 `[units, languages]`, units in ascending order."""
    names, number = np.unique(units, return_inverse=True)
    sums = np.zeros((len(names), places.shape[1]))
    np.add.at(sums, number, places)
    return sums
