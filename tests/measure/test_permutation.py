"""The exact permutation test against its definition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from xqr_bench.core.errors import UsageError
from xqr_bench.measure.permutation import compare_split


def test_it_counts_every_split() -> None:
    values = dict(zip("abcdefg", np.random.default_rng(3).normal(size=7), strict=True))
    chosen = {"b", "d", "g"}
    far, total = 0, 0
    observed = np.mean([values[name] for name in chosen]) - np.mean([values[name] for name in "acef"])
    for group in combinations("abcdefg", 3):
        rest = set("abcdefg") - set(group)
        difference = np.mean([values[name] for name in group]) - np.mean([values[name] for name in rest])
        far += abs(difference) >= abs(observed) - 1e-12
        total += 1
    found = compare_split(values, chosen)
    assert (found.as_far, found.splits) == (far, total)
    assert found.difference == pytest.approx(observed)
    assert found.p == far / total


def test_the_most_extreme_split_has_the_smallest_p() -> None:
    found = compare_split({"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0}, ["a", "b"])
    assert (found.difference, found.as_far, found.splits) == (2.0, 2, 6)  # its mirror image is as far


def test_equal_values_are_all_as_far() -> None:
    assert compare_split(dict.fromkeys("abcd", 0.1), ["a"]).p == 1.0


@pytest.mark.parametrize("chosen", [[], ["a", "b"], ["z"]])
def test_a_group_without_units_is_refused(chosen: list[str]) -> None:
    with pytest.raises(UsageError, match="both groups"):
        compare_split({"a": 1.0, "b": 2.0}, chosen)
