"""The floor and the ceiling."""

from __future__ import annotations

import numpy as np
import pytest

from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.evaluation.baselines import baseline_of, random_ranker, random_ranks
from xqr_bench.evaluation.evaluate import evaluate as evaluate_tasks
from xqr_bench.tasks import load_task


def test_random_vectors_are_no_better_than_chance() -> None:
    assert np.mean([mean_place(seed) for seed in range(5)]) == pytest.approx(0.5, abs=0.02)


def mean_place(seed: int) -> float:
    """The mean place of the relevants in the pool, 0 first .. 1 last."""
    ranks = random_ranks(load_task("mini"), seed)
    return float((ranks.gt.sum(axis=1) / ranks.column_sizes.sum()).mean())


def test_a_seed_makes_it_repeatable() -> None:
    data = load_task("mini")
    first, second, other = random_ranks(data, 0), random_ranks(data, 0), random_ranks(data, 1)
    np.testing.assert_array_equal(first.gt, second.gt)
    assert (first.gt != other.gt).any()
    with pytest.raises(UsageError, match="--seed cannot be -1"):
        random_ranker(-1)


def test_random_bias_is_its_reference() -> None:
    scores = evaluate_tasks("random")[0].scores["multilingual"].macro
    assert scores["rank_distance"].ratio_to_random == pytest.approx(1, abs=0.05)
    assert scores["own_language_first"].value == pytest.approx(1 / 11, abs=0.06)


def test_again() -> None:
    record = evaluate_tasks("random:2", metrics=["map"])[0]
    new = evaluate_tasks(baseline_of(record.model.identity), metrics=["map"])[0]
    assert new.ranks_file.digest == record.ranks_file.digest
    strange = record.model.identity.model_copy(update={"name": "dice"})
    with pytest.raises(UnknownNameError, match="no baseline named 'dice'"):
        baseline_of(strange)
