"""Rankings rebuilt from counts: pytrec_eval says the same, or the check says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.measure.lists import TiedList, pooled, ranks_of
from tests.rank.small import blocks, scores, task
from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import MULTILINGUAL, SETTINGS, Ranks
from xqr_bench.measure.peers import cross_check, rebuild
from xqr_bench.rank.exact import ranks_of_scores

METRICS = ["map", "mrr", "recall@2", "success@2", "ndcg@3", "rank_distance"]


def ranks(levels: int | None) -> Ranks:
    data = task()
    return ranks_of_scores(data, blocks(scores(data, levels=levels)))


def test_places() -> None:
    lists = pooled(TiedList((((0, 0.0),), ((0, 1.0), (1, 2.0), (2, 0.0)), ((1, 0.0),), ((2, 1.0),))))
    best, gains = rebuild(lists, 0, best=True)
    worst, _ = rebuild(lists, 0, best=False)
    high = next(name for name, gain in gains.items() if gain == 2)
    low, last = (name for name, gain in gains.items() if gain == 1)
    assert best == ["other-0", high, low, "other-3", "other-4", last]
    assert worst == ["other-0", "other-1", low, high, "other-4", last]


@pytest.mark.parametrize("levels", [None, 1, 2, 5])
@pytest.mark.parametrize("sample", [0, 7])
def test_it_agrees(levels: int | None, sample: int) -> None:
    found = cross_check(ranks(levels), METRICS, SETTINGS, sample=sample)
    assert {row.metric for row in found} == set(METRICS) - {"rank_distance"}
    assert all(row.agrees for row in found)
    assert {row.lists for row in found} == ({7} if sample else {11, 20})
    for row in found:
        assert row.their_worst - 1e-12 <= row.expected <= row.their_best + 1e-12
    if levels == 1:
        assert found[0].worst < found[0].expected < found[0].best


def test_gains_and_relevants_without_a_rank() -> None:
    made = ranks_of([TiedList((((0, 0.0), (1, 1.0)), ((1, 2.0), (0, 1.0)), ((2, 3.0), (2, 0.0), (0, 0.0))))])
    gt, eq = made.gt.copy(), made.eq.copy()
    gt[-1], eq[-1] = -1, 0
    for found in (made, replace(made, gt=gt, eq=eq, depth=4)):
        assert all(row.agrees for row in cross_check(found, METRICS, (MULTILINGUAL,)))


def test_the_seed_draws_the_lists() -> None:
    found = ranks(None)
    first, again, other = (cross_check(found, ["map"], SETTINGS, sample=3, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_what_cannot_be_checked() -> None:
    with pytest.raises(UsageError, match="--sample cannot be -1"):
        cross_check(ranks(None), METRICS, SETTINGS, sample=-1)
    made = ranks(None)
    half = replace(made, gains=np.full(made.n_relevants, 0.5))
    with pytest.raises(UsageError, match="gains that are no whole numbers"):
        cross_check(half, METRICS, SETTINGS)
