"""A score against the ratio, with its band."""

from __future__ import annotations

from dataclasses import dataclass

from xqr_bench.report.ratio.model import BASE_ARM, Condition, Score


@dataclass(frozen=True)
class Curve:
    """Points of a line over the ratio and its band."""

    alphas: list[float]
    values: list[float]
    low: list[float]
    high: list[float]


def curve(condition: Condition, score: Score | None, *, minus: bool = False) -> Curve | None:
    """A score against alpha; `minus`: its difference from alpha .5, whose band is that of the pairs."""
    if score is None:
        return None
    made = Curve([], [], [], [])
    for arm in condition.arms:
        found = score.arms.get(arm.name)
        if arm.alpha is None or found is None:
            continue
        shown = (found.value, found.low, found.high)
        if minus:
            gap = found.difference
            if gap is None and arm.name != BASE_ARM:
                continue
            shown = (0.0, 0.0, 0.0) if gap is None else (gap.estimate, gap.low, gap.high)
        made.alphas.append(arm.alpha)
        for values, value in zip((made.values, made.low, made.high), shown, strict=True):
            values.append(value)
    return made if made.alphas else None
