"""Equal sub-pools: the closed forms against every sub-pool there is, simulation, and exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest

from tests.analysis.small import small_ranks
from xqr_bench.analysis.pools import (
    _reciprocals,
    equal_values,
    expected_rank,
    expected_reciprocal_rank,
    expected_success,
    left_out,
)
from xqr_bench.measure.scores import all_per_query


def one(value: int) -> np.ndarray:
    return np.array([value])


@pytest.mark.parametrize(("size", "above", "tied"), [(6, 0, 1), (6, 2, 3), (7, 3, 1), (6, 0, 6), (5, 4, 1), (1, 0, 1)])
def test_every_sub_pool_and_every_order_of_ties(size: int, above: int, tied: int) -> None:
    """Others 0 .. above-1 score higher, the next tied-1 the same."""
    for keep in range(1, size + 1):
        ranks: list[Fraction] = []
        inverse: list[Fraction] = []
        hits = {k: Fraction(0) for k in (1, 2, 3)}
        pools = list(combinations(range(size - 1), keep - 1))
        for pool in pools:
            higher = sum(other < above for other in pool)
            beside = sum(above <= other < above + tied - 1 for other in pool)
            places = [higher + 1 + i for i in range(beside + 1)]  # the relevant is at each with the same chance
            ranks.append(Fraction(sum(places), len(places)))
            inverse.append(sum((Fraction(1, place) for place in places), Fraction(0)) / len(places))
            for k in hits:
                hits[k] += Fraction(sum(place <= k for place in places), len(places))
        args = (one(above), one(tied), size, keep)
        assert expected_rank(*args)[0] == pytest.approx(float(sum(ranks) / len(pools)), abs=1e-14)
        assert expected_reciprocal_rank(*args)[0] == pytest.approx(float(sum(inverse) / len(pools)), abs=1e-14)
        for k, total in hits.items():
            assert expected_success(*args, k)[0] == pytest.approx(float(total / len(pools)), abs=1e-13)


@pytest.mark.parametrize(("size", "keep"), [(1276, 852), (1276, 1), (1276, 1276), (5000, 3), (852, 851)])
def test_the_closed_form_in_exact_fractions(size: int, keep: int) -> None:
    """1e-13 relative at every rank, where binomials have hundreds of digits."""
    table = _reciprocals(size, keep)
    for before in (0, 1, 2, 50, size // 2, size - keep, size - keep + 1, size - 2, size - 1):
        if 0 <= before < size:
            missed = Fraction(comb(size - 1 - before, keep), comb(size, keep))
            assert table[before] == pytest.approx(float(Fraction(size, keep * (before + 1)) * (1 - missed)), rel=1e-12)


def test_the_whole_pool_gives_the_usual_figures() -> None:
    ranks = small_ranks(seed=1)
    keep = int(ranks.column_sizes.min())
    found = equal_values(ranks, keep)
    usual = all_per_query(ranks, ["mrr", "success@10"])
    for setting, values in found.items():
        for name in ("mrr", "success@10"):
            single = np.isin(
                usual[setting][name].queries * 100 + usual[setting][name].cell,
                values[name].queries * 100 + values[name].cell,
            )
            np.testing.assert_allclose(values[name].values, usual[setting][name].values[single], atol=1e-12)
        smallest = [i for i, cell in enumerate(values["mrr"].cells) if cell.candidate == ranks.columns[0]]
        assert ranks.column_sizes[0] == keep
        rows = np.isin(values["mrr"].cell, smallest)
        np.testing.assert_allclose(values["equal mrr"].values[rows], values["mrr"].values[rows], atol=1e-12)
        assert (values["equal mrr"].values >= values["mrr"].values - 1e-12).all()
        assert (values["equal rank"].values <= values["rank"].values + 1e-12).all()
    assert left_out(ranks) > 0
