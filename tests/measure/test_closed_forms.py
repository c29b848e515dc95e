"""Every closed form equals the mean of its literal definition over all orders of the tied candidates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import factorial, prod

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import comb

from tests.measure import lists as literal
from tests.measure.lists import TiedList, mean_over_orders, pooled
from xqr_bench.measure.metrics import RankedLists, metric_names, parse_metric
from xqr_bench.measure.metrics.average_precision import average_precision
from xqr_bench.measure.metrics.reciprocal_rank import reciprocal_rank
from xqr_bench.measure.scores import all_per_query
from xqr_bench.rank.rules import variant_metrics
from xqr_bench.record import Result

SCORES: dict[str, Callable[[literal.Order], float]] = {
    "map": literal.literal_ap,
    "mrr": literal.literal_rr,
    **{f"recall@{k}": partial(literal.literal_recall, k=k) for k in (1, 3, 100)},
    **{f"success@{k}": partial(literal.literal_success, k=k) for k in (1, 3, 100)},
    **{f"ndcg@{k}": partial(literal.literal_ndcg, k=k) for k in (1, 3, 10)},
    **{f"complete@{k}": partial(literal.literal_complete, k=k) for k in (1, 3, 4, 10)},
}
LANGUAGE_AWARE: dict[str, Callable[[literal.Order], float]] = {
    f"language_ndcg@{k}": partial(literal.literal_language_ndcg, k=k) for k in (1, 3, 10)
}
TOP: dict[str, Callable[[literal.Order], float]] = {
    "top_right_own": partial(literal.literal_top, right=True, own=True),
    "top_right_other": partial(literal.literal_top, right=True, own=False),
    "top_wrong_own": partial(literal.literal_top, right=False, own=True),
    "top_wrong_other": partial(literal.literal_top, right=False, own=False),
}
BIAS: dict[str, Callable[[literal.Order], float]] = {
    "rank_distance": literal.literal_rank_distance,
    "max_rank": literal.literal_max_rank,
    **{f"other_language_recall@{k}": partial(literal.literal_other_language_recall, k=k) for k in (1, 3, 10)},
    "rank_variance": literal.literal_rank_variance,
    "rank_variance_raw": literal.literal_raw_variance,
    "own_language_first": literal.literal_own_first,
}


def kernel_of(name: str) -> Callable[[RankedLists], np.ndarray]:
    found = parse_metric(name).kernel
    assert found is not None
    return found


@st.composite
def tied_lists(draw: st.DrawFn, graded: bool = False) -> TiedList:
    gains = [0.0, 0.0, 1.0] if not graded else [0.0, 1.0, 2.0, 3.5]
    item = st.tuples(st.integers(0, 2), st.sampled_from(gains))
    blocks = draw(st.lists(st.lists(item, min_size=1, max_size=4), min_size=1, max_size=3))
    made = TiedList(tuple(tuple(block) for block in blocks))
    assume(made.n > 0 and prod(factorial(len(block)) for block in blocks) <= 600)  # every order is looked at
    return made


@pytest.mark.parametrize("name", [*SCORES, *LANGUAGE_AWARE, *TOP])
@settings(max_examples=120, deadline=None)
@given(found=tied_lists())
def test_score_is_its_mean_over_orders(name: str, found: TiedList) -> None:
    kernel = kernel_of(name)
    literal_form = (SCORES | LANGUAGE_AWARE | TOP)[name]
    assert kernel(pooled(found))[0] == pytest.approx(mean_over_orders(found, literal_form), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 100])
@settings(max_examples=80, deadline=None)
@given(found=tied_lists())
def test_a_cut_is_the_mean_of_the_cut_orders(found: TiedList, k: int) -> None:
    def cut_ap(order: literal.Order) -> float:
        ranks = literal.places(order)
        return sum(i / rank for i, rank in enumerate(ranks, start=1) if rank <= k) / len(ranks)

    def cut_rr(order: literal.Order) -> float:
        return literal.literal_rr(order) if literal.places(order)[0] <= k else 0.0

    for kernel, literal_form in ((average_precision, cut_ap), (reciprocal_rank, cut_rr)):
        assert kernel(pooled(found), k=k)[0] == pytest.approx(mean_over_orders(found, literal_form), abs=1e-12)


@settings(max_examples=120, deadline=None)
@given(found=tied_lists(graded=True))
def test_graded_ndcg_is_its_mean_over_orders(found: TiedList) -> None:
    for k in (1, 2, 10):
        kernel = kernel_of(f"ndcg@{k}")
        expected = mean_over_orders(found, partial(literal.literal_ndcg, k=k))
        assert kernel(pooled(found))[0] == pytest.approx(expected, abs=1e-12)
        kernel = kernel_of(f"language_ndcg@{k}")
        expected = mean_over_orders(found, partial(literal.literal_language_ndcg, k=k))
        assert kernel(pooled(found))[0] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(found=tied_lists())
def test_the_four_shares_sum_to_one(found: TiedList) -> None:
    lists = pooled(found)
    metrics = [parse_metric(name) for name in TOP]
    assert sum(m.kernel(lists)[0] for m in metrics if m.kernel) == pytest.approx(1.0, abs=1e-12)
    chance = [m.random_reference(lists)[0] for m in metrics if m.random_reference]
    one_block = pooled(TiedList((tuple(found.items),)))
    assert chance == pytest.approx([m.kernel(one_block)[0] for m in metrics if m.kernel], abs=1e-12)


@pytest.mark.parametrize("name", LANGUAGE_AWARE)
@settings(max_examples=80, deadline=None)
@given(found=tied_lists())
def test_language_aware_bounds(name: str, found: TiedList) -> None:
    kernel = kernel_of(name)
    lists = pooled(found)
    values = [LANGUAGE_AWARE[name](order) for order in found.orders()]
    assert kernel(lists.pessimistic())[0] == pytest.approx(min(values), abs=1e-12)
    assert kernel(lists.optimistic())[0] == pytest.approx(max(values), abs=1e-12)


@pytest.mark.parametrize("name", SCORES)
@settings(max_examples=80, deadline=None)
@given(found=tied_lists(graded=True))
def test_pessimistic_and_optimistic_bound_every_order(name: str, found: TiedList) -> None:
    kernel = kernel_of(name)
    lists = pooled(found)
    values = [SCORES[name](order) for order in found.orders()]
    assert kernel(lists.pessimistic())[0] == pytest.approx(min(values), abs=1e-12)
    assert kernel(lists.optimistic())[0] == pytest.approx(max(values), abs=1e-12)


@pytest.mark.parametrize("name", BIAS)
@settings(max_examples=120, deadline=None)
@given(found=tied_lists())
def test_bias_is_its_mean_over_orders(name: str, found: TiedList) -> None:
    own = any(gain > 0 and language == 0 for language, gain in found.items)
    kernel = kernel_of(name)
    value = kernel(pooled(found))[0]
    if name == "max_rank" or "recall" in name:  # of a single relevant too; NaN where no other language has one
        assert value == pytest.approx(mean_over_orders(found, BIAS[name]), abs=1e-11, nan_ok=True)
    elif found.n == 1 or (name == "own_language_first" and not own):
        assert np.isnan(value)
    elif name == "rank_variance" and found.n == len(found.items):
        assert np.isnan(value)  # no irrelevant candidate: ln(1 + N - n) is 0
    else:
        assert value == pytest.approx(mean_over_orders(found, BIAS[name]), abs=1e-11)


@settings(max_examples=80, deadline=None)
@given(found=tied_lists())
def test_language_position_is_its_mean_over_orders(found: TiedList) -> None:
    own = any(gain > 0 and language == 0 for language, gain in found.items)
    assume(found.n > 1 and own)
    lists = pooled(found)
    kernel = kernel_of("language_position")
    mine = kernel(lists)[lists.columns == 0].mean()
    assert mine == pytest.approx(mean_over_orders(found, literal.literal_own_position), abs=1e-12)


WITH_CHANCE = [*BIAS, *(name for name in SCORES if name.startswith("complete"))]


@pytest.mark.parametrize("name", WITH_CHANCE)
def test_random_reference_is_the_value_of_one_block(name: str) -> None:
    """A ranking that ties everything is a random ranking."""
    one_block = TiedList((((0, 1.0), (1, 1.0), (2, 1.0), (0, 0.0), (1, 0.0), (2, 0.0), (2, 0.0)),))
    metric = parse_metric(name)
    lists = pooled(one_block)
    assert metric.random_reference(lists)[0] == pytest.approx(metric.kernel(lists)[0], rel=1e-12)
    assert metric.kernel(lists)[0] == pytest.approx(mean_over_orders(one_block, (BIAS | SCORES)[name]), rel=1e-12)


@pytest.mark.parametrize("name", ["max_rank", "complete@1", "complete@3", "other_language_recall@1"])
@settings(max_examples=40, deadline=None)
@given(found=tied_lists())
def test_no_order_is_beyond_floor_or_ceiling(name: str, found: TiedList) -> None:
    metric, lists = parse_metric(name), pooled(found)
    values = [(BIAS | SCORES)[name](order) for order in TiedList((tuple(found.items),)).orders()]
    if metric.floor is not None:
        assert metric.floor(lists)[0] == min(values)
    if metric.ceiling is not None:
        assert metric.ceiling(lists)[0] == pytest.approx(max(values), nan_ok=True)


def test_large_blocks_keep_their_precision() -> None:
    """One vector for everything: AP, RR and variance over a block of 2,000 against direct sums."""
    size, n = 2000, 11
    found = TiedList((tuple((0, 1.0) for _ in range(n)) + tuple((0, 0.0) for _ in range(size - n)),))
    lists = pooled(found, 1)
    i = np.arange(1, size + 1)
    slope = (n - 1) / (size - 1)
    ap = ((1 + (i - 1) * slope) / i).sum() / size
    kernel = kernel_of("map")
    assert kernel(lists)[0] == pytest.approx(ap, abs=1e-12)
    kernel = kernel_of("mrr")
    first = np.arange(size - n + 1)
    # P(the first relevant is at place j + 1) = C(size - j - 1, n - 1) / C(size, n)
    probability = comb(size - first - 1, n - 1) / comb(size, n)
    assert kernel(lists)[0] == pytest.approx((probability / (first + 1)).sum(), abs=1e-10)
    kernel = kernel_of("rank_distance")
    assert kernel(lists)[0] == pytest.approx((n - 1) * (size + 1) / (n + 1), rel=1e-12)


def test_values_do_not_depend_on_how_many_lists_are_computed_at_once(
    record: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [name.replace("@k", "@10") for name in metric_names()]
    for ranks in (record.ranks, *record.ranks.variants.values()):
        asked = variant_metrics("strict" if ranks is record.ranks else "paragraph", names)
        whole = all_per_query(ranks, asked)
        with monkeypatch.context() as patch:
            patch.setattr("xqr_bench.measure.metrics.per_query.ROWS_AT_ONCE", 17)
            parts = all_per_query(ranks, asked)
        for setting, of_metric in whole.items():
            for name, values in of_metric.items():
                other = parts[setting][name]
                for field in ("values", "features", "pessimistic", "random_reference", "floor", "ceiling"):
                    np.testing.assert_array_equal(getattr(values, field), getattr(other, field), f"{name} {field}")
