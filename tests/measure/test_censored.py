"""Rankings cut at a depth: a relevant that was not retrieved has no rank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.measure.lists import TiedList, ranks_of
from xqr_bench.core.types import MULTILINGUAL, Ranks
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.metrics.per_query import CENSORED, per_query, setting_views


@pytest.fixture
def cut() -> Ranks:
    """Relevants at 1 and 4 of 6, cut at depth 3."""
    found = TiedList((((0, 1.0),), ((1, 0.0),), ((2, 0.0),), ((1, 1.0),), ((2, 0.0),), ((0, 0.0),)))
    ranks = ranks_of([found])
    gt, eq = ranks.gt.copy(), ranks.eq.copy()
    gt[1], eq[1] = -1, 0
    return replace(ranks, gt=gt, eq=eq, depth=3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("map", 0.5),
        ("mrr", 1.0),
        ("recall@3", 0.5),
        ("recall@100", 0.5),
        ("success@1", 1.0),
        ("ndcg@10", 1.0 / (1.0 + 1.0 / np.log2(3))),
    ],
)
def test_a_missing_relevant_contributes_nothing(cut: Ranks, name: str, expected: float) -> None:
    view = setting_views(cut, (MULTILINGUAL,))[MULTILINGUAL]
    found = per_query(parse_metric(name), view)
    assert found.values == pytest.approx([expected])
    assert found.pessimistic == pytest.approx([expected])


@pytest.mark.parametrize("name", ["map", "mrr", "recall@3", "success@3", "ndcg@3"])
def test_nothing_retrieved_is_zero(cut: Ranks, name: str) -> None:
    nothing = replace(cut, gt=np.full_like(cut.gt, -1), eq=np.zeros_like(cut.eq))
    view = setting_views(nothing, (MULTILINGUAL,))[MULTILINGUAL]
    assert per_query(parse_metric(name), view).values == pytest.approx([0.0])


@pytest.mark.parametrize("name", ["rank_distance", "rank_variance", "language_position", "own_language_first"])
def test_full_depth_measures_are_undefined(cut: Ranks, name: str) -> None:
    view = setting_views(cut, (MULTILINGUAL,))[MULTILINGUAL]
    found = per_query(parse_metric(name), view)
    assert found.undefined_reason == CENSORED
    assert np.isnan(found.values).all()
