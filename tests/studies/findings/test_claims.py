"""The rule by which claims are judged, on figures whose verdict is plain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tests.studies.findings.made import DISTANCE, MULTI_MAP, MULTI_OTHER, main_arms, paper_like, replicates
from xqr_bench.studies.ratio.claims import claims, difference, outcome, verdict
from xqr_bench.studies.ratio.form import ClaimPart, Contrast


def contrast(low: float, high: float, t_low: float | None, t_high: float | None) -> Contrast:
    return Contrast(estimate=(low + high) / 2, low=low, high=high, t_low=t_low, t_high=t_high, seeds=5)


@pytest.mark.parametrize(
    ("low", "high", "t_low", "t_high", "told"),
    [
        (0.1, 0.2, 0.1, 0.3, "holds"),
        (-0.2, -0.1, -0.3, -0.1, "does not"),
        (-0.1, 0.1, 0.1, 0.3, "cannot be told"),
        (0.1, 0.2, -0.1, 0.3, "cannot be told"),
        (0.1, 0.2, -0.3, -0.1, "cannot be told"),
        (0.1, 0.2, None, None, "cannot be told"),  # one seed
        (0.0, 0.2, 0.1, 0.3, "cannot be told"),
    ],
)
def test_one_contrast(low: float, high: float, t_low: float | None, t_high: float | None, told: str) -> None:
    assert outcome(contrast(low, high, t_low, t_high)) == told


def test_an_estimate_below_the_smallest_detectable_difference_cannot_be_told() -> None:
    """As the plan has it: an interval that leaves out 0 is not enough."""
    one = contrast(0.1, 0.2, 0.1, 0.3)
    assert outcome(one.model_copy(update={"detectable": 0.1499})) == "holds"
    assert outcome(one.model_copy(update={"detectable": 0.1501})) == "cannot be told"
    # normal replicates of standard error e: 0 is left out from 1.96 e on, detected with 80% power from 2.8 e on
    for errors, told in ((2.4, "cannot be told"), (3.6, "holds")):
        found = replicates(paper_like(other=main_arms(0.2, 0.25, 0.1)), seeds=400, spread=0.05)
        k, hybrid = found.place(MULTI_OTHER.text, "alpha-0.5")
        gaps = found.both[:, k, hybrid] - found.both[:, k, 0]
        shift = errors * gaps.std(ddof=1) - gaps.mean()
        for values in (found.both[:, k, hybrid], found.by_seed[k, hybrid]):
            values += shift
        found = replace(found, articles_only=np.zeros_like(found.both))  # more seeds would help
        part = next(claim for claim in claims(found) if claim.number == "4b").parts[0]
        assert min(part.effect.low, part.effect.t_low or 0) > 0
        assert part.outcome == told
        assert (part.seeds_needed or 0) > 400 if told == "cannot be told" else part.seeds_needed is None


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([("holds", True), ("holds", True)], "holds"),
        ([("holds", True), ("cannot be told", True)], "cannot be told"),
        ([("holds", True), ("cannot be told", True), ("does not", True)], "does not"),
        ([("holds", True), ("does not", False)], "holds"),
        ([("holds", False)], "cannot be told"),
    ],
)
def test_a_claim_follows_from_the_contrasts_that_count(parts: list[tuple[str, bool]], told: str) -> None:
    one = contrast(0, 1, 0, 1)
    made = [ClaimPart(text="", effect=one, outcome=outcome, counts=counts) for outcome, counts in parts]
    assert verdict(made) == told


def verdicts(**changes: dict[str, float]) -> dict[str, str]:
    return {claim.number: claim.verdict for claim in claims(replicates(paper_like(**changes)))}


def test_every_claim_holds_on_figures_like_the_papers() -> None:
    assert verdicts() == dict.fromkeys(("1", "2", "3", "4a", "4b"), "holds")


def test_close_to_the_best_is_the_plans_margin() -> None:
    # 98% of .3 is .294
    assert verdicts(multi=main_arms(0.3, 0.2941, 0.2))["1"] == "holds"
    assert verdicts(multi=main_arms(0.3, 0.2939, 0.2))["1"] == "does not"
    assert verdicts(multi=main_arms(0.2, 0.2939, 0.3))["1"] == "does not"


def test_each_claim_can_fail() -> None:
    assert verdicts(mono=main_arms(0.61, 0.6, 0.6))["2"] == "does not"
    assert verdicts(multi=main_arms(0.2, 0.3, 0.21))["2"] == "does not"
    assert verdicts(distance=main_arms(101.0, 70.0, 100.0))["2"] == "does not"
    assert verdicts(distance=main_arms(60.0, 101.0, 100.0))["3"] == "does not"
    assert verdicts(other=main_arms(0.3, 0.25, 0.1)) | {"4b": "?"} == dict(verdicts(), **{"4b": "?"})
    assert verdicts(other=main_arms(0.3, 0.25, 0.1))["4b"] == "does not"
    assert verdicts(other=main_arms(0.2, 0.25, 0.3))["4a"] == "does not"
    noisy = claims(replicates(paper_like(other=main_arms(0.2499, 0.25, 0.1)), spread=0.05))
    assert {claim.number: claim.verdict for claim in noisy}["4b"] == "cannot be told"


def test_what_is_not_there_is_said() -> None:
    without = {key: {arm: v for arm, v in of.items() if arm != "alpha-1"} for key, of in paper_like().items()}
    found = claims(replicates(without))
    assert {(claim.verdict, claim.reason) for claim in found} == {("cannot be told", "no results of alpha-1")}
    same = {key: of for key, of in paper_like().items() if key.part == "all"}
    last = claims(replicates(same))[-2:]
    assert [claim.number for claim in last] == ["4a", "4b"]
    assert {claim.reason for claim in last} == {"all languages of this condition have the same level"}


def test_the_share_of_the_rank_distance_and_its_t() -> None:
    found = replicates(paper_like(), spread=0.01)
    third = next(claim for claim in claims(found) if claim.number == "3")
    share = third.parts[1].effect
    k = found.names.index(DISTANCE.text)
    assert share.estimate == pytest.approx(0.3)
    assert (share.low, share.high) == pytest.approx(
        np.quantile(1 - found.both[:, k, 1] / found.both[:, k, 2], [0.025, 0.975]), rel=1e-6
    )
    one = difference(found, MULTI_MAP.text, "alpha-0.5", "alpha-0")
    m = found.names.index(MULTI_MAP.text)
    interval = scipy_stats.ttest_1samp(found.by_seed[m, 1] - found.by_seed[m, 0], 0).confidence_interval(0.95)
    assert (one.t_low, one.t_high) == pytest.approx(tuple(interval), rel=1e-5)
    assert MULTI_OTHER.text in found.names
