"""Numbers as tables print them."""

from __future__ import annotations

import pytest

from xqr_bench.measure.scores import Figure, Interval, is_thin
from xqr_bench.report.numbers import ends, metric_title, number, probability, signed, with_half_width


def interval(low: float, high: float) -> Interval:
    return Interval(low=low, high=high, level=0.95, unit="question", method="x", n_units=10)


@pytest.mark.parametrize(
    ("value", "printed"),
    [(0.0123, "+.0123"), (-0.0123, "-.0123"), (0.0, "0"), (0.000004, "0"), (-0.000004, "0"), (1834.3, "+1,834")],
)
def test_differences_have_signs(value: float, printed: str) -> None:
    assert signed(value) == printed


@pytest.mark.parametrize(
    ("p", "printed"), [(1 / 10001, ".0001"), (1e-5, "<.0001"), (0.05, ".0500"), (1.0, "1"), (0.99999, "1")]
)
def test_a_p_is_never_printed_as_zero(p: float, printed: str) -> None:
    assert probability(p) == printed


def test_half_widths() -> None:
    assert with_half_width(Figure(value=0.3197, n=1, interval=interval(0.31, 0.33))) == ".3197 ±.0100"
    assert with_half_width(Figure(value=10792.0, n=1, interval=interval(10700, 10880))) == "10,792 ±90"
    assert with_half_width(Figure(value=1.24e7, n=1, interval=interval(1.22e7, 1.25e7))) == "1.24e7 ±1.5e5"
    assert with_half_width(Figure(value=0.3197, n=1)) == ".3197"
    assert with_half_width(Figure(value=None, n=0)) == "–"
    assert with_half_width(None) == number(None)


def test_no_width_is_no_certainty() -> None:
    """[1, 1] says that nothing varied in what was drawn; of fewer than 10 units no interval says much."""
    sure = Interval(low=1.0, high=1.0, level=0.95, unit="question", method="x", n_units=1190)
    assert with_half_width(Figure(value=1.0, n=1190, interval=sure)) == "1.0000 ‡"
    assert ends(sure, is_thin(sure)) == "‡"
    few = interval(0.31, 0.33).model_copy(update={"n_units": 9})
    assert with_half_width(Figure(value=0.3197, n=9, interval=few)) == ".3197 ±.0100‡"
    assert ends(few, is_thin(few)) == ".3100, .3300‡"


def test_both_ends_have_the_same_digits() -> None:
    assert ends(interval(-0.71, 395.2)) == "-1, 395"
    assert ends(interval(-0.0142, 0.0006)) == "-.0142, .0006"
    assert ends(None) == "–"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("map", "MAP"),
        ("ndcg@10", "nDCG@10"),
        ("recall@10", "Recall@10"),
        ("own_language_first", "Own-language first"),
        ("language_ndcg@10", "Language nDCG@10"),
        ("language_order_w_corrected", "Language order W corrected"),
        ("bpref", "bpref"),
    ],
)
def test_metrics_are_called_as_in_papers(name: str, title: str) -> None:
    assert metric_title(name) == title
