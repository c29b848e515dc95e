"""Figures and labels."""

from __future__ import annotations

import math

import pytest

from xqr_bench.board.site.html import group_label, metric_label, number, p_value, short_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.41234, "0.412"),
        (0.0625, "0.063"),
        (0.00341, "0.0034"),
        (-0.0034, "−0.0034"),
        (1.0, "1.000"),
        (0.0, "0"),
        (12.345, "12.35"),
        (361.49, "361.5"),
        (10846.4, "10,846"),
        (1234567.0, "1,234,567"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_three_or_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.4126, ".413"), (0.0, ".000"), (1.0, "1.00"), (None, "–")])
def test_the_cells_of_a_heat_map_are_short(value: float | None, text: str) -> None:
    assert short_number(value) == text


def test_p_values() -> None:
    assert [p_value(p) for p in (0.0001, 0.0123, 1.0, None)] == ["<0.001", "0.012", "1.000", "–"]


def test_labels() -> None:
    names = ["map", "mrr", "recall@10", "ndcg@10", "rank_distance", "language_order_w"]
    assert [metric_label(name) for name in names] == [
        "MAP",
        "MRR",
        "Recall@10",
        "nDCG@10",
        "Rank distance",
        "Language order W",
    ]
    assert group_label("joshi-3:out-of") == "joshi-3, out of"
    assert group_label("joshi-3") == "joshi-3"
