"""Ranks -> per-query metrics: one small file a metric, each a closed form over random orders of ties.

A file in this folder that registers a metric is all it takes: every module is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal

from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.registry import Registry
from xqr_bench.core.types import MULTILINGUAL, N_HITS, SETTINGS, FloatArray, IntArray
from xqr_bench.measure.metrics.lists import WHOLE_POOL, RankedLists, bilingual_lists, multilingual_lists

# Whether a ranking cut at a depth can answer what a task asks.


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


# What a metric is, and the registry that parses its name back into it.

ListFunction = Callable[..., FloatArray]
PairFunction = Callable[..., tuple[IntArray, IntArray, FloatArray, FloatArray]]


@dataclass(frozen=True)
class Metric:
    """A function from ranked lists to one value per list (or per row), and what a reader must know of it.

    Attributes:
        name: as printed and as parsed, such as `recall@10`.
        summary: one line.
        formula: in the symbols of docs/metrics.md.
        source: where the definition comes from.
        paper_name: what its paper calls it, where that is another name, in small letters and without cutoff.
        kernel: lists -> float64 `[lists]` (`per_row`: `[rows]`); NaN where the value is undefined.
        cutoff: it is registered for any k >= 1; the kernel takes `k`, and so do random_reference and ceiling.
        kind: "score" (higher is better) or "bias" (describes how language moves ranks).
        settings: the settings it is defined in.
        full_depth: whether it needs the rank of every relevant (undefined on a ranking cut at a depth).
        needs_tops: whether it needs to know what stands first (`RankedLists.tops`).
        needs_hits: whether it needs the best candidates (`RankedLists.hits`); its cutoff is then at most N_HITS.
        graded: whether it reads gains, so that it gets relevants of every gain (`Ranks.relevant_from`).
        rule: the only rule of relevance that it is defined under; "": any.
        undefined_when: when the kernel gives NaN.
        per_row: the kernel gives a value per relevant instead of per list.
        per_column: the kernel gives a value per list and language of candidates, float64 `[lists, columns]`.
        of_pairs: a function of the lists of two queries of one question, in place of a kernel: (ranks, queries) -> the
            first query of each pair, the second one, values, and those of random rankings. It needs to know which
            candidates the best ones are (`Hits.places`).
        set_statistic: a function of several lists at once, in place of a kernel and its mean.
        bounds: no ranking at all has a value below or above these.
        random_reference, floor, ceiling: lists -> the value of a random ranking, the least and the greatest
            possible value, per list (or per row).
    """

    name: str
    summary: str
    formula: str
    source: str
    kernel: ListFunction | None = None
    paper_name: str = ""
    cutoff: bool = False
    kind: Literal["score", "bias"] = "score"
    settings: tuple[str, ...] = SETTINGS
    full_depth: bool = False
    needs_tops: bool = False
    needs_hits: bool = False
    graded: bool = False
    rule: str = ""
    undefined_when: str = ""
    per_row: bool = False
    per_column: bool = False
    of_pairs: PairFunction | None = None
    set_statistic: SetStatistic | None = None
    bounds: tuple[float, float] = (0.0, 1.0)
    random_reference: ListFunction | None = None
    floor: ListFunction | None = None
    ceiling: ListFunction | None = None

    @property
    def of_cells(self) -> bool:
        """Whether a query has several values, in cells of two languages each."""
        return self.per_row or self.per_column or self.of_pairs is not None


@dataclass(frozen=True)
class SetStatistic:
    """A statistic of several lists together that depends on them through sums of features only.

    So it can be computed for any weighting of the questions (bootstrap) by one matrix product.

    Attributes:
        features: lists -> float64 `[lists, f]`, one row per list; NaN rows are left out.
        value: (sums `[..., f]`, number of lists `[...]`) -> value `[...]`, NaN where undefined.
        why_undefined: lists -> the reason why the statistic cannot be computed at all, or None.
        by_chance: (sums, number of lists) -> the value of random rankings.
        of_orders: the features are places of languages, whose order has a test of its own (`tukey.order_test`).
    """

    features: Callable[..., FloatArray]
    value: Callable[[FloatArray, FloatArray], FloatArray]
    why_undefined: Callable[[RankedLists], str | None] = lambda lists: None
    by_chance: Callable[[FloatArray, FloatArray], FloatArray] | None = None
    of_orders: bool = False


_FAMILIES: Registry[Metric] = Registry("metric")
_BIAS: dict[str, Any] = {"kind": "bias", "settings": (MULTILINGUAL,), "full_depth": True}  # MEASURES.md 4


def metric(name: str, **facts: Any) -> Callable[[ListFunction], ListFunction]:
    """Register the decorated kernel as the metric `name` (with `cutoff=True`: as `name@k` for any k >= 1).

    Args:
        name: the printed name without cutoff.
        **facts: the other fields of `Metric`.
    """

    def add(kernel: ListFunction) -> ListFunction:
        _FAMILIES.register(name)(Metric(name=name, kernel=kernel, **facts))
        return kernel

    return add


def bias(name: str, **facts: Any) -> Callable[[ListFunction], ListFunction]:
    """Register a bias measure: multilingual setting, full depth."""
    return metric(name, **_BIAS, **facts)


def register_set_statistic(name: str, statistic: SetStatistic, **facts: Any) -> None:
    """Register a bias measure that is a statistic of several lists at once."""
    _FAMILIES.register(name)(Metric(name=name, set_statistic=statistic, **_BIAS | facts))


def register_of_pairs(name: str, function: PairFunction, **facts: Any) -> None:
    """Register a bias measure of two queries of one question."""
    _FAMILIES.register(name)(
        Metric(name=name, of_pairs=function, needs_hits=True, **{**_BIAS, "full_depth": False} | facts)
    )


MAX_CUTOFF = 1_000_000
"""Kernels hold an array of so many numbers."""


def parse_metric(name: str) -> Metric:
    """Return the metric that `name` names; `parse_metric(m.name)` makes `m` again.

    Raises:
        UnknownNameError: no such metric.
        UsageError: a cutoff is missing, not wanted, or not a whole number of at least 1 and at most MAX_CUTOFF.
    """
    family_name, at, cutoff = name.partition("@")
    try:
        family = _FAMILIES.get(family_name)
    except UnknownNameError as error:
        same = [one for one in metric_names() if family_name.casefold() == _FAMILIES.get(one.split("@")[0]).paper_name]
        if family_name and same:
            raise UsageError(
                f"there is no metric named {name!r}", found=f"{same[0]} is that measure", remedy=f"write {same[0]}"
            ) from error
        raise UnknownNameError("metric", name, metric_names()) from error
    if family.cutoff != bool(at):
        raise UsageError(
            f"the metric {name!r} {'needs a cutoff' if family.cutoff else 'takes no cutoff'}",
            remedy=f"write it as {family_name}{'@10' if family.cutoff else ''}",
        )
    if not at:
        return family
    if not cutoff.isascii() or not cutoff.isdigit() or cutoff.startswith("0"):
        raise UsageError(
            f"the cutoff of the metric {name!r} is not a whole number of at least 1",
            remedy=f"write it as {family_name}@10",
        )
    most = N_HITS if family.needs_hits else MAX_CUTOFF
    if len(cutoff) > len(str(most)) or int(cutoff) > most:
        raise UsageError(f"the cutoff of the metric {name[:40]!r} is more than {most:,}", remedy="use a smaller one")
    at_k: dict[str, Any] = {
        field: partial(function, k=int(cutoff))
        for field in ("kernel", "random_reference", "ceiling", "of_pairs")
        if (function := getattr(family, field)) is not None
    }
    if (statistic := family.set_statistic) is not None:
        at_k["set_statistic"] = replace(statistic, features=partial(statistic.features, k=int(cutoff)))
    return replace(family, name=name, **at_k)


def metric_names() -> list[str]:
    """Printed names of all registered metrics, scores before bias; those with a cutoff as `name@k`."""
    families = {name: _FAMILIES.get(name) for name in _FAMILIES.names()}
    names = {f"{name}@k" if family.cutoff else name: family.kind for name, family in sorted(families.items())}
    return sorted(names, key=lambda name: names[name] == "bias")


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "WHOLE_POOL",
    "Metric",
    "RankedLists",
    "SetStatistic",
    "bilingual_lists",
    "metric_names",
    "multilingual_lists",
    "parse_metric",
]
