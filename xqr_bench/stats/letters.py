"""Compact letter display: systems that share a letter do not differ significantly."""

from __future__ import annotations

from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from xqr_bench.types import FloatArray


def compact_letters(p: FloatArray, means: FloatArray, alpha: float = 0.05) -> list[str]:
    """Letters of each system by insert and absorb (Piepho 2004, J. Comput. Graph. Stat. 13).

    Two systems share a letter if and only if their difference is not significant (p > alpha). Letters run from the
    highest mean down.

    Args:
        p: pairwise p-values, `[systems, systems]`, symmetric.
        means: `[systems]`.
        alpha: level.
    """
    different = np.asarray(p) <= alpha
    columns = insert_and_absorb(different)
    order = np.argsort(-np.asarray(means), kind="stable")
    place = {int(system): rank for rank, system in enumerate(order)}
    columns.sort(key=lambda column: sorted(place[system] for system in column))
    letters = [""] * len(different)
    for index, column in enumerate(columns):
        for system in column:
            letters[system] += letter(index)
    return letters


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
            kept = [found for found in sets if not (i in found and j in found)]
            split = [found - {out} for found in sets if i in found and j in found for out in (i, j)]
            for candidate in split:
                if not any(candidate <= other for other in kept):
                    kept = [other for other in kept if not other < candidate]
                    kept.append(candidate)
            sets = kept
    return sets


def letter(index: int) -> str:
    """a .. z, then (a1), (b1) .. (z1), (a2) .., in brackets so that each is read as one letter."""
    again, place = divmod(index, len(ascii_lowercase))
    return f"({ascii_lowercase[place]}{again})" if again else ascii_lowercase[place]


def below_best(p: FloatArray, means: FloatArray, alpha: float = 0.05) -> list[bool]:
    """Whether each system differs significantly from the one with the highest mean."""
    best = int(np.argmax(means))
    return [bool(value <= alpha) for value in np.asarray(p)[best]]
