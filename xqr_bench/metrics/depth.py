"""Whether a ranking cut at a depth can answer what a task asks."""

from __future__ import annotations

from collections.abc import Iterable

from xqr_bench.errors import UsageError


def refuse_shallow(metrics: Iterable[str], depth: int, *, remedy: str) -> None:
    """Refuse a cut below the cutoff of a metric: recall@100 of 50 candidates would be another measure.

    Args:
        metrics: names as `parse_metric` takes them.
        depth: where the ranking is cut.
        remedy: what to do next; "{depth}" in it becomes the least depth that does.

    Raises:
        UsageError: naming the metric with the largest cutoff.
    """
    cutoffs = {name: int(cutoff) for name in metrics if (cutoff := name.partition("@")[2])}
    if cutoffs and (deepest := max(cutoffs, key=lambda name: cutoffs[name])) and cutoffs[deepest] > depth:
        raise UsageError(
            f"a ranking cut at {depth} cannot give {deepest}", remedy=remedy.replace("{depth}", str(cutoffs[deepest]))
        )
