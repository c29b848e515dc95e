"""The design is that of docs/ratio-study-plan.md; folds share no article."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from tests.kit import ROOT
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.studies.ratio.design import (
    ARMS,
    CONDITIONS,
    FOLD_SEED,
    Condition,
    Numbers,
    Run,
    alpha_of,
    list_runs,
    read_checkpoints,
)
from xqr_bench.studies.ratio.scoring import run_data
from xqr_bench.train import TrainCache, TrainConfig, get_recipe
from xqr_bench.train.data import load_training_data

PLAN = ROOT / "docs" / "ratio-study-plan.md"


def numbers(updates: int = 8) -> Numbers:
    return Numbers("static", get_recipe("static", updates=updates, batch_size=4, vocabulary=400, dimensions=8), 2)


def test_the_arms_are_those_of_the_plan() -> None:
    table = PLAN.read_text(encoding="utf-8").split("## Arms")[1].split("## ")[0]
    names = [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(.*?)`", row)]
    named = [name if not name.startswith("-") else f"alpha{name}" for name in names]
    assert sorted(named) == sorted(ARMS)


def test_every_arm_is_a_training_that_can_be_meant() -> None:
    for arm in ARMS.values():
        if arm.plan is not None:
            TrainConfig(data=["mini"], **arm.plan)


def test_runs_of_a_condition() -> None:
    runs = list_runs(["S1b"], None, range(10))
    assert len(runs) == 16 * 10  # two of the 18 arms are checkpoints of others
    assert len({run.id for run in runs}) == len(runs)
    assert runs[3].id == "S1b/alpha-0.5/seed-00"
    assert len(list_runs(["S1a"], None, [0])) == 15  # aligned and untrained are one
    assert [run.id for run in list_runs(["S1a"], ["aligned"], [4])] == ["S1a/untrained/seed-04"]
    assert [run.id for run in list_runs(["S1b"], ["alpha-1-half"], [4])] == ["S1b/alpha-1/seed-04"]
    assert [run.fold for run in list_runs(["S2"], ["x-x"], [0])] == [0, 1, 2, 3]


def test_any_ratio_is_an_arm() -> None:
    (run,) = list_runs(["S1b"], ["alpha-0.3"], [4])
    assert (run.id, run.arm.plan) == ("S1b/alpha-0.3/seed-04", {"strategy": "hybrid", "alpha": 0.3})
    assert [alpha_of(name) for name in ("alpha-0.3", "alpha-1", "alpha-1-half", "x-x")] == [0.3, 1.0, None, None]


def test_a_run_goes_to_its_last_checkpoint() -> None:
    assert numbers().most_updates == 16
    assert dataclasses.replace(numbers(), checkpoints=read_checkpoints("100,50")).most_updates == 8


def test_rotation_holds_every_language_out_once_in_four_seeds_of_a_fold() -> None:
    condition = CONDITIONS["S2"]
    for fold in range(4):
        out = [code for seed in range(4) for code in condition.languages_out(seed, fold)]
        assert len(out) == len(set(out)) == 11
    for seed in range(4):
        assert len({code for fold in range(4) for code in condition.languages_out(seed, fold)}) == 11
    assert condition.languages_out(1, 0) == ("de", "tr", "hi")  # group (f + r) mod 4
    assert condition.languages_out(5, 3) == ("ar", "th", "en")


def test_wrong_names_and_numbers() -> None:
    with pytest.raises(UnknownNameError, match="S1b"):
        list_runs(["S1"], None, [0])
    for name in ("alpha-0.50", "alpha-1.1", "alpha-", "alpha-1e-3", "alpha-0.3-half"):
        with pytest.raises(UnknownNameError, match=r"alpha-0\.5"):
            list_runs(["S1b"], [name], [0])
    with pytest.raises(UsageError, match="-1"):
        list_runs(["S1b"], None, [-1])
    with pytest.raises(UsageError, match="multiple of 4"):
        numbers(10)
    for text in ("", "a", "0,100", "100,-5"):
        with pytest.raises(UsageError, match="--checkpoints"):
            read_checkpoints(text)
    for percents in ((50,), (100, 100)):
        with pytest.raises(UsageError, match="100 among them"):
            dataclasses.replace(numbers(), checkpoints=percents)
    with pytest.raises(UsageError, match="constant"):
        dataclasses.replace(numbers(), recipe=get_recipe("paper", updates=8))


def test_folds_share_no_article_and_no_held_out_language() -> None:
    condition = Condition("t", "mini", "mini", None, aligned=False, folds=3, held_out=(("de",), ("th",), ("en",)))
    cache = TrainCache()
    everything = load_training_data("mini")
    seen: list[str] = []
    for fold in range(3):
        found = run_data(Run(condition, ARMS["alpha-0"], 1, fold), cache)
        trained, asked = set(found.train.ids), {query.question for query in found.task.queries}
        assert not trained & asked
        assert trained | asked == set(everything.ids)
        articles = {everything.articles[everything.ids.index(name)] for name in trained}
        assert not articles & {everything.articles[everything.ids.index(name)] for name in asked}
        assert set(condition.held_out[(fold + 1) % 3]) == set(everything.languages) - set(found.train.languages)
        assert set(found.task.languages) == set(everything.languages)
        passages = {text for column in found.train.passages for text in column}
        assert not passages & {candidate.text for candidate in found.task.candidates}
        assert len(found.articles) == len(found.task.queries)
        seen += asked
    assert sorted(seen) == sorted(everything.ids)
    assert condition.fold_seed == FOLD_SEED


def test_articles_keep_the_numbers_of_the_whole_task() -> None:
    condition = Condition("t", "mini", "mini", None, aligned=False, folds=3)
    cache = TrainCache()
    whole = run_data(Run(CONDITIONS["demo"], ARMS["alpha-0"], 0), cache)
    number = {query.id: article for query, article in zip(whole.task.queries, whole.articles, strict=True)}
    for fold in range(3):
        found = run_data(Run(condition, ARMS["alpha-0"], 0, fold), cache)
        assert [number[query.id] for query in found.task.queries] == found.articles.tolist()
        assert found.n_articles == whole.n_articles == int(np.max(whole.articles)) + 1
