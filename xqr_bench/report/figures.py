"""Numbers and names as tables and plots print them."""

from __future__ import annotations

from xqr_bench.certainty import GAP, MACRO
from xqr_bench.comparison import Comparison
from xqr_bench.report.terminal import number
from xqr_bench.scores import Interval

MINUS = " minus "


def signed(value: float) -> str:
    """A difference: `+.0123`, `-.0123`, `0`."""
    text = number(value)
    if not text.strip("-.0"):
        return "0"
    return text if value < 0 else f"+{text}"


def probability(p: float) -> str:
    """A p-value with four digits: `.0003`, `<.0001`, `1`."""
    if p < 0.00005:
        return "<.0001"
    return "1" if p > 0.99995 else number(p)


def ends(interval: Interval | None) -> str:
    """The ends of an interval: `.0123, .0345`."""
    if interval is None:
        return "–"
    both = (interval.low, interval.high)
    if max(map(abs, both)) >= 100:  # ranks: the smaller end is not worth more digits than the larger
        return f"{both[0]:,.0f}, {both[1]:,.0f}"
    return f"{number(both[0])}, {number(both[1])}"


def half_width(interval: Interval | None) -> float | None:
    """Half of an interval's width."""
    return None if interval is None else (interval.high - interval.low) / 2


def effect(value: float) -> str:
    """An effect size with two digits."""
    return number(value, digits=2) if abs(value) < 1e6 else "–"


def cell_name(comparison: Comparison) -> str:
    """What a comparison is of, without its setting and metric: `macro average`, `th`, `joshi-3:into minus en:into`."""
    if comparison.scope == MACRO:
        return "macro average"
    return comparison.key.replace(" - ", MINUS) if comparison.scope == GAP else comparison.key
