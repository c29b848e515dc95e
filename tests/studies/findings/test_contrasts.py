"""Control arms, centring, languages, medians: small cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.studies.findings.made import DISTANCE, MULTI_MAP, main_arms, replicates
from xqr_bench.studies.ratio.claims import (
    QUESTIONS,
    Key,
    centring,
    chosen_scores,
    controls,
    language_effects,
    score_figures,
)
from xqr_bench.studies.ratio.design import ARMS
from xqr_bench.studies.ratio.findings import median_seed
from xqr_bench.studies.ratio.results import LEVELS, Results
from xqr_bench.studies.ratio.tables import detectable


def test_the_median_seed() -> None:
    assert median_seed(np.array([0.3, 0.1, 0.2])) == 2
    assert median_seed(np.array([0.3, 0.1, 0.2, 0.4])) == 2  # the lower of .2 and .3
    assert median_seed(np.array([0.2, 0.2, 0.2])) == 1
    assert median_seed(np.array([0.7])) == 0


def test_every_control_of_the_plan_answers_something() -> None:
    asked = {name for _, *arms in QUESTIONS for name in arms}
    assert asked <= set(ARMS)
    assert asked >= set(ARMS) - {"alpha-0.1", "alpha-0.25", "alpha-0.75", "alpha-0.9"}


def test_controls_read_both_ways() -> None:
    arms = {"alpha-1": 0.5, "x-x": 0.4, "alpha-0": 0.45, "untrained": 0.1, "alpha-0.5": 0.6}
    found = controls(replicates({MULTI_MAP: arms, DISTANCE: {name: 100 * value for name, value in arms.items()}}))
    by_contrast = {one.contrast: one for one in found}
    assert set(by_contrast) == {
        "alpha-1 minus x-x",
        "x-x minus alpha-0",
        "alpha-0.5 minus untrained",  # there is no alignment: untrained stands for it
    }
    assert by_contrast["alpha-1 minus x-x"].effects["multilingual/map"].estimate == pytest.approx(0.1)
    assert by_contrast["x-x minus alpha-0"].reading == "lower: multilingual MAP, rank distance"


@pytest.mark.parametrize(
    ("raw", "centred", "spread", "verdict"),
    [
        ((0.3, 0.4), (0.35, 0.45), 1e-4, "stays"),
        ((0.3, 0.4), (0.35, 0.35), 1e-4, "change of offset"),
        ((0.3, 0.3), (0.35, 0.45), 1e-4, "no effect raw"),
        ((0.3, 0.4), (0.45, 0.35), 1e-4, "turns round"),
        ((0.30, 0.306), (0.30, 0.304), 5e-3, "cannot be told"),
    ],
)
def test_centring(raw: tuple[float, float], centred: tuple[float, float], spread: float, verdict: str) -> None:
    def made(pair: tuple[float, float]) -> dict[Key, dict[str, float]]:
        return {MULTI_MAP: main_arms(pair[0], pair[1], 0.2)}

    # the spreads of one arm are the same in both, as after one draw
    before, after = replicates(made(raw), spread=spread), replicates(made(centred), spread=spread)
    if verdict == "cannot be told":
        # centred vectors with a spread of their own: the loss is not told
        noise = np.random.default_rng(8).normal(0, 0.02, after.by_seed.shape)
        after.by_seed[:] += noise - noise.mean(axis=2, keepdims=True)
    one = next(item for item in centring(before, after) if item.contrast == "alpha-0.5 minus alpha-0")
    assert one.verdict == verdict
    assert one.lost.estimate == pytest.approx(one.raw.estimate - one.centred.estimate, abs=1e-9)


def test_language_effects() -> None:
    key = Key("multilingual", "map", "language", "el")
    found = replicates({key: main_arms(0.2, 0.25, 0.1)})
    (one,) = language_effects(found, {"el": "aligned only", "xx": "untouched"}, {"el": {"XLM-R": (-0.004, 0.1)}})
    assert (one.name, one.level, one.published) == ("Greek", "aligned only", {"XLM-R": (-0.004, 0.1)})
    assert one.minus_cross.estimate == pytest.approx(0.05)
    assert one.minus_mono.estimate == pytest.approx(0.15)


def results(excluded: dict[str, str]) -> Results:
    """Three languages of levels trained, trained, other; Joshi classes 5, 5, 3."""
    codes = ("de", "en", "th")
    rows = [f"monolingual/map/{code}>{code}" for code in codes]
    rows += [f"cross-lingual/map/{a}>{b}" for a in codes for b in codes if a != b]
    rows += [f"multilingual/map/{code}" for code in codes]
    levels = [LEVELS[row.split("/")[2].startswith("th")] for row in rows]
    shape = (1, 2, len(rows), 3)
    return Results(("alpha-0.5",), (0, 1), tuple(rows), tuple(levels), np.ones(shape), np.ones(shape), excluded, {})


def test_which_scores_are_made() -> None:
    found = results({})
    chosen = {key.text: [found.rows[row] for row in rows] for key, rows in chosen_scores(found, detailed=True).items()}
    assert chosen["cross-lingual/map/level/not retrieval-trained"] == [
        "cross-lingual/map/th>de",
        "cross-lingual/map/th>en",
    ]
    assert chosen["multilingual/map/group/joshi-5"] == ["multilingual/map/de", "multilingual/map/en"]
    assert chosen["cross-lingual/map/language/en"] == ["cross-lingual/map/en>de", "cross-lingual/map/en>th"]
    assert len(chosen["cross-lingual/map/all/"]) == 6
    assert not any("language" in name or "joshi" in name for name in map(str, chosen_scores(found, detailed=False)))


def test_a_language_that_is_not_represented_has_only_its_own_figures() -> None:
    found = results({"en": "a run"})
    chosen = {key.text: [found.rows[row] for row in rows] for key, rows in chosen_scores(found, detailed=True).items()}
    assert chosen["multilingual/map/all/"] == ["multilingual/map/de", "multilingual/map/th"]
    assert chosen["cross-lingual/map/language/de"] == ["cross-lingual/map/de>th"]
    assert chosen["multilingual/map/language/en"] == ["multilingual/map/en"]


def test_an_undefined_score_is_left_out() -> None:
    found = replicates({MULTI_MAP: main_arms(0.2, 0.3, 0.1), DISTANCE: main_arms(1.0, 2.0, 3.0)})
    found.both[3, 1, 0] = np.nan
    shown = score_figures(found, {MULTI_MAP: [0], DISTANCE: [1]})
    assert [(one.setting, one.metric) for one in shown] == [("multilingual", "map")]
    assert shown[0].arms["alpha-0"].difference is not None
    assert shown[0].arms["alpha-0.5"].difference is None


def test_the_best_ratio_is_asked_among_the_five_there_are() -> None:
    values = {"alpha-0": 0.2, "alpha-0.25": 0.3, "alpha-0.5": 0.4, "alpha-0.75": 0.35, "alpha-1": 0.1, "untrained": 0.9}
    (score,) = score_figures(replicates({MULTI_MAP: values}), {MULTI_MAP: [0]})
    assert score.best == {"0.5": 1.0}
    (less,) = score_figures(replicates({MULTI_MAP: main_arms(0.2, 0.4, 0.1)}), {MULTI_MAP: [0]})
    assert less.best == {}  # three say little of a curve


def test_a_difference_of_ranks_is_shown_without_decimals() -> None:
    assert [detectable(value) for value in (73.9499, 0.01234, 1_200.4, None)] == ["74", ".0123", "1,200", "–"]
