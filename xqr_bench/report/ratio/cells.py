"""Cells of the ratio study's tables: which scores, and how a figure is written."""

from __future__ import annotations

from xqr_bench.report.figures import signed
from xqr_bench.report.ratio.model import ArmFigure, Contrast
from xqr_bench.report.terminal import number

MAIN = (
    ("monolingual", "map"),
    ("cross-lingual", "map"),
    ("multilingual", "map"),
    ("multilingual", "rank_distance"),
    ("multilingual", "own_language_first"),
)
SHORT = {
    ("monolingual", "map"): "mono MAP",
    ("cross-lingual", "map"): "cross MAP",
    ("multilingual", "map"): "multi MAP",
    ("multilingual", "rank_distance"): "rank distance",
    ("multilingual", "own_language_first"): "own language first",
}
CENTRED_ENDS = "In brackets: 95% intervals, seeds and articles drawn again."
EXPLORATORY = "Exploratory: no claim of significance."


def span(low: float, high: float) -> str:
    """`[.0123, .0345]`."""
    return f"[{number(low)}, {number(high)}]"


def figure(found: ArmFigure | None) -> str:
    """An arm's score with its interval."""
    return "–" if found is None else f"{number(found.value)} {span(found.low, found.high)}"


def gap(found: Contrast | None) -> str:
    """A difference with its interval; of ranks, whose interval goes beyond 10, without decimals."""
    if found is None:
        return "–"
    if max(abs(found.low), abs(found.high)) >= 10:
        return f"{round(found.estimate):+,d} [{round(found.low):,d}, {round(found.high):,d}]"
    return f"{signed(found.estimate)} {span(found.low, found.high)}"


def least(value: float | None) -> str:
    """A smallest detectable difference."""
    return "–" if value is None else number(value)
