"""Kendall's W against scipy's Friedman test and hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, rankdata

from tests.measure.lists import TiedList, ranks_of
from xqr_bench.core.types import MULTILINGUAL
from xqr_bench.measure.metrics import multilingual_lists, parse_metric
from xqr_bench.measure.metrics.per_query import per_query, setting_views
from xqr_bench.measure.tukey import order_test


def lists_of(places: np.ndarray) -> list[TiedList]:
    """One query per row of `places`: language j stands in block `places[i, j]`."""
    found = []
    for row in places:
        blocks = [tuple((j, 1.0) for j in np.flatnonzero(row == value)) for value in np.unique(row)]
        found.append(TiedList(tuple(blocks)))
    return found


def value(name: str, places: np.ndarray) -> float:
    ranks = ranks_of(lists_of(places), places.shape[1])
    statistic = parse_metric(name).set_statistic
    lists = multilingual_lists(ranks)
    assert statistic.why_undefined(lists) is None
    sums = statistic.features(lists).sum(axis=0)
    return float(statistic.value(sums, np.array(float(len(places)))))


@pytest.mark.parametrize("levels", [3, 4, 100])
def test_w_is_friedmans_chi_square(levels: int) -> None:
    """Friedman's statistic is n (m - 1) W, both with tie correction."""
    generator = np.random.default_rng(levels)
    places = generator.integers(0, levels, size=(40, 5)) + np.array([0, 0, 0, 1, 1])
    expected = friedmanchisquare(*places.T).statistic / (40 * 4)
    assert value("language_order_w", places) == pytest.approx(expected, abs=1e-12)


def test_the_same_order_everywhere_is_one() -> None:
    places = np.tile([2, 0, 1], (7, 1))
    assert value("language_order_w", places) == pytest.approx(1.0)
    assert value("language_order_w_corrected", places) == pytest.approx(1.0)


def test_corrected_w_is_zero_on_average_without_preference() -> None:
    generator = np.random.default_rng(5)
    drawn = [
        value("language_order_w_corrected", np.array([generator.permutation(4) for _ in range(12)])) for _ in range(400)
    ]
    assert abs(np.mean(drawn)) < 4 * np.std(drawn) / 20


def test_others_leave_the_own_language_out() -> None:
    """Own language (0) anywhere, ties included: W of the others is W of their own ranking."""
    generator = np.random.default_rng(1)
    places = generator.integers(0, 4, size=(30, 4))
    others = places[:, 1:]
    chi = friedmanchisquare(*others.T).statistic
    w = chi / (30 * 2)
    assert value("language_order_w_others", places) == pytest.approx((30 * w - 1) / 29, abs=1e-12)
    assert rankdata(others[0]).sum() == 6


def test_absent_with_a_reason() -> None:
    def reason(found: list[TiedList]) -> str | None:
        ranks = ranks_of(found)
        view = setting_views(ranks, (MULTILINGUAL,))[MULTILINGUAL]
        return per_query(parse_metric("language_order_w"), view).undefined_reason

    partial = [
        TiedList((((0, 1.0),), ((1, 1.0),), ((2, 0.0),))),
        TiedList((((0, 1.0),), ((1, 0.0),), ((2, 1.0),))),
    ]
    assert reason(partial) == "the questions do not all have the same languages"
    double = [TiedList((((0, 1.0),), ((0, 1.0),), ((1, 1.0),)))]
    assert reason(double) == "a question has several relevants in one language"
    assert reason([TiedList((((0, 1.0),), ((1, 1.0),), ((2, 1.0),)))]) is None


def test_all_tied_is_undefined() -> None:
    assert np.isnan(value("language_order_w", np.zeros((5, 3), dtype=int)))


@pytest.mark.parametrize("preference", [0.0, 0.15, 0.4, 3.0])
@pytest.mark.parametrize("languages", [2, 6])
def test_the_order_test_draws_and_counts_as_written_out(preference: float, languages: int) -> None:
    """Also where a preference is so clear that most numbers are jumped over."""
    source = np.random.default_rng(int(100 * preference))
    places = rankdata(source.random((40, languages)).round(1) + preference * np.arange(languages) / languages, axis=1)
    generator = np.random.default_rng(7)
    reached = 0
    for _ in range(199):
        totals = np.zeros(languages)
        for unit in places:
            row = unit.copy()
            for j in range(languages - 1, 0, -1):
                k = int(generator.random() * (j + 1))
                totals[j] += row[k]
                row[k] = row[j]
            totals[0] += row[0]
        reached += (totals**2).sum() >= (places.sum(axis=0) ** 2).sum()
    assert order_test(places, np.random.default_rng(7), 199) == (1 + reached) / 200
