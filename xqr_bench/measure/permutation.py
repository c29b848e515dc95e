"""Exact permutation test of two groups of units, all splits counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from xqr_bench.core.errors import UsageError

_EQUAL = 1e-12
"""Differences this near are equal: the order of a sum must not decide."""


@dataclass(frozen=True)
class Split:
    """Units in two groups, compared by their means with every other split into groups of these sizes.

    Attributes:
        difference: mean of the one group minus that of the other.
        as_far: splits whose difference is at least as far from 0, this one among them.
        splits: all there are.
    """

    difference: float
    as_far: int
    splits: int

    @property
    def p(self) -> float:
        """Two-sided p of the exact permutation test."""
        return self.as_far / self.splits


def compare_split(values: Mapping[str, float], chosen: Collection[str]) -> Split:
    """Compare the units in `chosen` with the others by Fisher's exact permutation test.

    Args:
        values: unit -> its value.
        chosen: units of the one group; those without a value are passed over.

    Raises:
        UsageError: a group is empty.
    """
    inside = [place for place, name in enumerate(values) if name in chosen]
    size, rest = len(inside), len(values) - len(inside)
    if not size or not rest:
        raise UsageError("a permutation test needs units in both groups", remedy="leave it out")
    numbers = np.array(list(values.values()), dtype=np.float64)
    groups = np.array(list(combinations(range(len(numbers)), size)))
    sums = numbers[groups].sum(axis=1)
    differences = sums / size - (numbers.sum() - sums) / rest
    observed = float(differences[(groups == inside).all(axis=1).argmax()])
    return Split(observed, int((np.abs(differences) >= abs(observed) - _EQUAL).sum()), len(groups))
