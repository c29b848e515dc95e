"""A small made-up `ratios.json`: three alphas, two languages, raw and centred."""

from __future__ import annotations

from typing import Literal

from xqr_bench.studies.ratio.form import (
    ArmFigure,
    ArmInfo,
    Condition,
    Contrast,
    LanguageInfo,
    Part,
    Ratios,
    Score,
    View,
)

VALUES = {"alpha-0": 0.25, "alpha-0.5": 0.3, "alpha-1": 0.2}


def _score(setting: str, metric: str, part: Part, name: str, scale: float) -> Score:
    arms = {
        arm: ArmFigure(
            value=value * scale,
            low=(value - 0.1) * scale,
            high=(value + 0.1) * scale,
            deviation=0.01,
            difference=None
            if arm == "alpha-0.5"
            else Contrast(
                estimate=(value - 0.3) * scale, low=(value - 0.31) * scale, high=(value - 0.29) * scale, seeds=10
            ),
        )
        for arm, value in VALUES.items()
    }
    return Score(setting=setting, metric=metric, part=part, name=name, arms=arms)


PARTS: tuple[tuple[Part, str], ...] = (
    ("all", ""),
    ("level", "retrieval-trained"),
    ("language", "el"),
    ("language", "en"),
)


def _view(view: Literal["raw", "centred"], scale: float) -> View:
    scores = [
        _score(setting, metric, part, name, scale * (10_000 if metric == "rank_distance" else 1))
        for setting, metric in (("monolingual", "map"), ("multilingual", "map"), ("multilingual", "rank_distance"))
        for part, name in PARTS
    ]
    return View(view=view, percent=100, scores=scores)


def made_up() -> Ratios:
    """Two conditions, the second without languages of its own."""
    languages = [
        LanguageInfo(code="el", name="Greek", level="aligned only", joshi=3),
        LanguageInfo(code="en", name="English", level="retrieval-trained", joshi=5),
    ]
    arms = [ArmInfo(name=name, about=name, alpha=float(name.removeprefix("alpha-"))) for name in VALUES]
    conditions = [
        Condition(
            name=name,
            about="made up",
            train="a",
            evaluate="b",
            seeds=list(range(10)),
            plans={"f" * 64: 30},
            articles=5,
            arms=arms,
            languages=languages,
            views=[_view("raw", scale), _view("centred", 0.9 * scale)],
        )
        for name, scale in (("S1b", 1.0), ("S3", 0.5))
    ]
    return Ratios(
        study="ratio",
        plan="f" * 64,
        seed=0,
        resamples=100,
        level=0.95,
        margin=0.02,
        numbers={},
        chosen_by="recipe",
        code_version="0",
        conditions=conditions,
    )
