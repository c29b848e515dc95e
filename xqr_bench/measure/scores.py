"""PerQuery -> scores: means per language pair, macro averages, language groups; what a record holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from scipy import special

from xqr_bench.core.fields import OneLine
from xqr_bench.core.memory import give_back
from xqr_bench.core.types import CROSS_LINGUAL, MULTILINGUAL, SETTINGS, FloatArray, Ranks
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.metrics.per_query import PerQuery, per_query, setting_views

TIE_WARNING = 0.001
MOST_ROWS_AT_ONCE = 2**19
"""Relevants of ranks from which on the settings are scored one after the other: they take some 200 bytes a relevant."""
DETAILS = ("by_query_language", "by_language_pair", "by_group")
"""What a macro average is made of."""


class Interval(BaseModel, frozen=True, extra="forbid"):
    """A confidence interval of a score."""

    low: float
    high: float
    level: float = Field(description="confidence level, such as 0.95")
    unit: str = Field(description="the unit of sampling: question or article")
    method: str
    n_units: int = Field(description="questions or articles with a value in the figure")
    redrawn: int | None = Field(
        default=None, description="resamples drawn again because a setting was empty, where there were any"
    )


NO_QUERY = "no query of this task has this setting"
FEW = 10
"""Questions, or articles, that must carry a figure before an interval tells how certain it is."""


def is_thin(
    interval: Interval | None, value: float | None = None, floor: float | None = None, ceiling: float | None = None
) -> bool:
    """Whether an interval has no width, or fewer than FEW units carry the figure: it is no measure of certainty.

    Where k of n units are not at the floor (or ceiling) and the mean lies D from it with the standard error s,
    k >= (sum)^2 / sum of squares = D^2 / (s^2 + D^2/n), and k >= n D / (ceiling - floor). Both are k itself where units
    are hits or misses, so the rule needs nothing but the figure. By question both must be below FEW; of hits, where
    the second is a whole number, the first may be a third off: ends of a bootstrap interval of few hits are steps.

    Args:
        interval: None is never thin.
        value: of the figure; None: of a difference, which has no floor. Then only the units are counted.
        floor, ceiling: of the figure, where they are not 0 and 1.
    """
    if interval is None:
        return False
    n, width = interval.n_units, interval.high - interval.low
    if n < FEW or width <= 1e-12 * max(1.0, abs(interval.low)):
        return True
    least, most = floor or 0.0, 1.0 if ceiling is None else ceiling
    if value is None or value < least or interval.method.startswith("jackknife"):  # that is no mean of units
        return False
    distance = min(value - least, most - value) if value <= most else value - least
    if distance == 0.0:  # all at the floor or the ceiling, but for rounding
        return True
    if interval.method.startswith("bootstrap"):
        squared_error = (width / 2 / float(special.ndtri((1 + interval.level) / 2))) ** 2
        alike = distance**2 / (squared_error + distance**2 / n)
        hits = n * distance / max(most - least, distance)
        return hits < FEW - 0.5 and alike < (FEW - 0.5) * (4 / 3 if abs(hits - round(hits)) < 1e-6 else 1.0)
    squared_error = (width / 2 / float(special.stdtrit(n - 1, (1 + interval.level) / 2))) ** 2 * (n - 1) / n
    return distance**2 < (FEW - 0.5) * (squared_error + distance**2 / n)


class Figure(BaseModel, frozen=True, extra="forbid"):
    """One figure with what is needed to read it."""

    value: float | None = Field(
        description="expectation over a random order of tied candidates; null when it cannot be computed"
    )
    pessimistic: float | None = Field(
        default=None, description="the value with every tie broken against the relevants; scores only"
    )
    tied_fraction: float | None = Field(
        default=None, description="share of the relevants that tie with another candidate of the pool"
    )
    n: int = Field(description="number of values behind the figure")
    n_undefined: int = Field(default=0, description="values that cannot be computed, left out and counted")
    undefined_reason: OneLine | None = None
    absent: tuple[str, ...] | None = Field(
        default=None,
        description="language pairs (or languages) that a mean leaves out, as no question is there; null: none",
    )
    n_absent: int | None = Field(default=None, description="how many they are, of more than 32 languages not named")
    random_reference: float | None = Field(default=None, description="the value of a random ranking")
    ratio_to_random: float | None = Field(default=None, description="value / random_reference")
    floor: float | None = Field(default=None, description="the least possible value")
    ceiling: float | None = Field(default=None, description="the greatest possible value, where it is not 1")
    p: float | None = Field(default=None, description="p-value of the test of no preference, by question")
    p_article: float | None = Field(default=None, description="the same test, by article")
    interval: Interval | None = Field(default=None, description="interval from resampled questions")
    article_interval: Interval | None = Field(default=None, description="interval from articles")

    @property
    def thin(self) -> tuple[bool, bool]:
        """Whether the interval, and the one from articles, is no measure of certainty: see `is_thin`."""
        bounds = self.value, self.floor, self.ceiling
        return is_thin(self.interval, *bounds), is_thin(self.article_interval, *bounds)


Scores = dict[str, Figure]


class SettingScores(BaseModel, extra="allow"):
    """Scores of one family of settings: macro averages by metric name, and the parts they are made of."""

    __pydantic_extra__: dict[str, Figure] = Field(init=False)

    by_query_language: dict[str, Scores] = {}
    by_language_pair: dict[str, Scores] = {}
    by_group: dict[str, Scores] = {}

    @property
    def macro(self) -> Scores:
        """Metric name -> macro average."""
        return dict(self.__pydantic_extra__)

    def items(self) -> Iterable[tuple[str, str, str, Figure]]:
        """All scores as (part, key, metric, score); the macro averages have the part "macro" and the key ""."""
        for metric, score in self.macro.items():
            yield "macro", "", metric, score
        for part in DETAILS:
            for key, scores in getattr(self, part).items():
                for metric, score in scores.items():
                    yield part, key, metric, score


class Group(BaseModel, frozen=True, extra="forbid"):
    """The members of a language group within a task, or why it has none."""

    languages: tuple[str, ...]
    missing: tuple[str, ...] = Field(default=(), description="members of the group that the task lacks")
    undefined_reason: OneLine | None = None


_CELLS = ("cells", "absent")
_OF_QUERIES = ("pessimistic", "optimistic", "random_reference", "floor", "ceiling")


class CellValues:
    """Means of everything in a `PerQuery` over each of its cells."""

    def __init__(self, values: PerQuery, tied_fraction: FloatArray | None = None) -> None:
        self.source = values
        n_cells = len(values.cells)
        self._size = np.bincount(values.cell, minlength=n_cells)
        by_chance: FloatArray | None = None
        if values.features is None:
            usable = ~np.isnan(values.values)
            self.n = np.bincount(values.cell if usable.all() else values.cell[usable], minlength=n_cells)
            self.value = self._mean(values.values, usable)
        else:
            usable = ~np.asarray(np.isnan(values.features).any(axis=1))
            self.n = np.bincount(values.cell[usable], minlength=n_cells)
            sums = np.zeros((n_cells, values.features.shape[1]))
            for column in range(sums.shape[1]):
                sums[:, column] = np.bincount(values.cell[usable], values.features[usable, column], n_cells)
            statistic = values.metric.set_statistic
            if statistic is None:
                raise TypeError("features without a set statistic")
            self.value = np.full(n_cells, np.nan)
            some = self.n > 0
            self.value[some] = statistic.value(sums[some], self.n[some].astype(np.float64))
            if statistic.by_chance is not None:
                by_chance = np.full(n_cells, np.nan)
                by_chance[some] = statistic.by_chance(sums[some], self.n[some].astype(np.float64))
        self.n_undefined = self._size - self.n
        self.tied_fraction = self._mean(values.tied) if tied_fraction is None else tied_fraction
        self.pessimistic, self.optimistic, *references = (
            None if optional is None else self._mean(optional, ~np.isnan(optional))
            for optional in (
                values.pessimistic, values.optimistic, values.random_reference, values.floor, values.ceiling
            )
        )  # fmt: skip
        named = (self.pessimistic, self.tied_fraction, *references)
        if by_chance is not None:
            named = (*named[:2], by_chance, *named[3:])
        names = ("pessimistic", "tied_fraction", "random_reference", "floor", "ceiling")
        self._others = {name: means for name, means in zip(names, named, strict=True) if means is not None}

    @classmethod
    def joined(cls, parts: Sequence[CellValues], undefined_reason: str | None = None) -> CellValues:
        """The cells of several parts of the queries, none in two of them; `undefined_reason`: as a whole."""
        first, whole = parts[0].source, cls.__new__(cls)
        cells, absent = (tuple(chain.from_iterable(getattr(part.source, name) for part in parts)) for name in _CELLS)
        whole.source = replace(first, cells=cells, absent=absent, undefined_reason=undefined_reason)
        for name in ("_size", "n", "value", "n_undefined", "tied_fraction"):
            setattr(whole, name, np.concatenate([getattr(part, name) for part in parts]))
        if undefined_reason is not None:
            whole.n, whole.n_undefined = np.zeros_like(whole._size), whole._size
            whole.value = np.full(len(cells), np.nan)
        for name in ("pessimistic", "optimistic"):
            means = [getattr(part, name) for part in parts]
            setattr(whole, name, None if means[0] is None else np.concatenate(means))
        whole._others = {name: np.concatenate([part._others[name] for part in parts]) for name in parts[0]._others}
        return whole

    def without_queries(self) -> CellValues:
        """The same, without the arrays of single queries behind it."""
        none, no_numbers = np.zeros(0), np.zeros(0, dtype=np.int64)
        arrays = {"cell": no_numbers, "queries": no_numbers, "values": none, "tied": none, "features": None}
        self.source = replace(self.source, **arrays, **dict.fromkeys(_OF_QUERIES))  # type: ignore[arg-type]
        return self

    def _mean(self, values: FloatArray, usable: NDArray[np.bool_] | None = None) -> FloatArray:
        cell, count = self.source.cell, self._size
        if usable is not None and not usable.all():
            cell, values = cell[usable], values[usable]
            count = np.bincount(cell, minlength=len(count))
        total = np.bincount(cell, weights=values, minlength=len(count))
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def score(
        self, chosen: Sequence[int], missing: str, absent: Sequence[str] = (), *, name_absent: bool = True
    ) -> Figure:
        """The macro average over some cells: the mean of their means, undefined when one of them is.

        Args:
            chosen: indices of cells.
            missing: the reason to give when there are none.
            absent: the cells that would belong to them, and that no question has a value in.
            name_absent: whether the figure names these, or tells only how many they are.
        """
        figure = self._mean_of(chosen, missing)
        if not absent:
            return figure
        return figure.model_copy(update={"absent": tuple(absent)} if name_absent else {"n_absent": len(absent)})

    def _mean_of(self, chosen: Sequence[int], missing: str) -> Figure:
        if len(chosen) == 0:
            return Figure(value=None, n=0, undefined_reason=missing)
        if len(chosen) == 1 and not np.isnan(self.value[chosen[0]]):
            value, n, n_undefined, *others = self._rows[chosen[0]]
            return _figure(value, n, n_undefined, dict(zip(self._others, others, strict=True)))
        picked = np.array(chosen)
        n, n_undefined = int(self.n[picked].sum()), int(self.n_undefined[picked].sum())
        values = self.value[picked]
        if np.isnan(values).any():
            first = self.source.cells[int(picked[np.isnan(values)][0])].pair
            needs = self.source.metric.undefined_when or "no value is defined"
            reason = self.source.undefined_reason or f"undefined for {first}: {needs}"
            return Figure(value=None, n=n, n_undefined=n_undefined, undefined_reason=reason)
        optional = {name: float(means[picked].mean()) for name, means in self._others.items()}
        return _figure(float(values.mean()), n, n_undefined, optional)

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        columns = [self.value, self.n, self.n_undefined, *self._others.values()]
        return list(zip(*(column.tolist() for column in columns), strict=True))


def _figure(value: float, n: int, n_undefined: int, optional: dict[str, Any]) -> Figure:
    """A defined figure; a ceiling of 1 goes without saying."""
    if optional.get("random_reference"):
        optional["ratio_to_random"] = value / optional["random_reference"]
    if optional.get("ceiling") == 1.0:
        del optional["ceiling"]
    return Figure(value=value, n=n, n_undefined=n_undefined, **optional)


def _absent_cells(values: PerQuery, groups: Mapping[str, Group]) -> dict[tuple[str, str], list[str]]:
    """The names of the absent cells by the part and key of the figure they would belong to."""
    left_out = replace(values, cells=values.absent)
    parts = pick_cells(left_out)
    for name, members in groups.items():
        parts += [("by_group", key, chosen) for key, chosen in pick_group_cells(left_out, name, members.languages)]
    return {(part, key): [values.absent[i].pair for i in chosen] for part, key, chosen in parts}


def pick_cells(values: PerQuery) -> list[tuple[str, str, list[int]]]:
    """The parts of a setting: (part, key, indices of the cells averaged), the macro average first.

    A measure per candidate language (language_position, language_share) is averaged over the query's own language: its
    mean over all languages is a constant.
    """
    cells = values.cells
    own_only = values.metric.per_row or values.metric.per_column
    main = [i for i, cell in enumerate(cells) if not own_only or cell.candidate == cell.query]
    parts = [("macro", "", main)]
    of_language: dict[str, list[int]] = {cell.query: [] for cell in cells}
    for i in main:
        of_language[cells[i].query].append(i)
    parts += [("by_query_language", name, chosen) for name, chosen in of_language.items()]
    if values.metric.of_cells or values.setting == CROSS_LINGUAL:
        parts += [("by_language_pair", cell.pair, [i]) for i, cell in enumerate(cells)]
    return parts


def pick_group_cells(values: PerQuery, name: str, members: Sequence[str]) -> list[tuple[str, list[int]]]:
    """The parts of a language group: (key, indices of cells).

    Monolingual and multilingual: query languages in the group. Cross-lingual: `g:into` (only the candidates'
    language in the group), `g:out-of` (only the query's), `g:within` (both).
    """
    cells = values.cells
    main = pick_cells(values)[0][2]
    if values.setting != CROSS_LINGUAL:
        return [(name, [i for i in main if cells[i].query in members])]
    where = [(cells[i].query in members, cells[i].candidate in members) for i in main]
    directions = {"into": (False, True), "out-of": (True, False), "within": (True, True)}
    return [
        (f"{name}:{direction}", [i for i, inside in zip(main, where, strict=True) if inside == asked])
        for direction, asked in directions.items()
    ]


def all_per_query(
    ranks: Ranks, metrics: Sequence[str], settings: Sequence[str] = SETTINGS
) -> dict[str, dict[str, PerQuery]]:
    """Per-query values of every metric in every setting: setting -> metric name -> values."""
    parsed = [parse_metric(name) for name in metrics]

    def all_of(settings: tuple[str, ...]) -> dict[str, dict[str, PerQuery]]:
        views, values = setting_views(ranks, settings), {}
        for setting in tuple(views):
            view = views.pop(setting)  # what its metrics share is larger than their values, and goes with it
            values[setting] = {m.name: per_query(m, view) for m in parsed if setting in m.settings}
        return values

    # numpy lets go of the interpreter's lock; lists of one language and of the whole pool share nothing
    halves = [tuple(name for name in settings if (name == MULTILINGUAL) == pooled) for pooled in (True, False)]
    with ThreadPoolExecutor(2 if ranks.n_relevants < MOST_ROWS_AT_ONCE else 1) as pool:
        values = {setting: of_metric for half in pool.map(all_of, halves) for setting, of_metric in half.items()}
    give_back()
    return {setting: values[setting] for setting in SETTINGS if setting in values}


def score(
    values: Mapping[str, Mapping[str, PerQuery]] | Mapping[str, Mapping[str, CellValues]],
    groups: Mapping[str, Group],
    *,
    details: bool = True,
    pairs: bool = True,
) -> tuple[dict[str, SettingScores], list[str]]:
    """Average per-query values into scores.

    Args:
        values: setting -> metric -> values, or their means over cells.
        groups: language groups.
        details: also those that macro averages are made of.
        pairs: of these also single language pairs; and the pairs that a mean leaves out are named, not counted.

    Returns:
        scores by setting, and warnings where a macro average leaves out a language pair, or the order of ties moves it
        by more than 0.001.
    """
    result: dict[str, SettingScores] = {}
    warnings: list[str] = []
    for setting, of_metric in values.items():
        macro: Scores = {}
        parts: dict[str, dict[str, Scores]] = {part: {} for part in DETAILS}
        ranges: list[str] = []
        left_out: dict[tuple[bool, int, tuple[str, ...]], list[str]] = {}
        last: CellValues | None = None
        for name, given in of_metric.items():
            if isinstance(given, CellValues):
                cells, of_queries = given, given.source
            else:
                of_queries = given
                same = last is not None and last.source.tied is of_queries.tied and last.source.cell is of_queries.cell
                last = cells = CellValues(of_queries, last.tied_fraction if same and last is not None else None)
            absent = _absent_cells(of_queries, groups) if of_queries.absent else {}
            why_none = "no candidate is in the language of a query"
            if not of_queries.cells:
                why_none = of_queries.undefined_reason or NO_QUERY
            for part, key, chosen in pick_cells(of_queries)[: None if details else 1]:
                if part == "by_language_pair" and not pairs:
                    continue
                missing = absent.get((part, key), [])
                scored = cells.score(chosen, why_none, missing, name_absent=pairs)
                if part == "macro":
                    if missing:
                        of_cells = of_queries.metric.of_cells
                        left_out.setdefault((of_cells, len(chosen), tuple(missing)), []).append(name)
                    macro[name] = scored
                    ranges += _tie_range(cells, name, chosen)
                else:
                    parts[part].setdefault(key, {})[name] = scored
            for group, members in groups.items() if details else ():
                why = members.undefined_reason or f"no language pair lies so in {group}"
                for key, chosen in pick_group_cells(of_queries, group, members.languages):
                    scored = cells.score(chosen, why, absent.get(("by_group", key), ()), name_absent=pairs)
                    parts["by_group"].setdefault(key, {})[name] = scored
        result[setting] = SettingScores(**parts, **macro)  # type: ignore[arg-type]
        warnings += [
            # a measure of each language of candidates has other cells than the others of its setting
            absent_line(
                f"{setting} means{' of ' * of_cells}{', '.join(names) if of_cells else ''}",
                missing if pairs else (),
                len(missing),
                averaged,
            )
            for (of_cells, averaged, missing), names in left_out.items()
        ]
        if ranges:
            warnings.append(
                f"ties: the order of candidates with equal scores moves {setting} {', '.join(ranges)}; "
                "the figures are means over all orders"
            )
    return result, warnings


def absent_line(means: str, absent: Sequence[str], n_absent: int, averaged: int) -> str:
    """What macro averages are not over (the pairs, or none where they are not named), and over how many they are."""
    return (
        f"{means} are over {averaged:,} of {averaged + n_absent:,} language pairs: "
        f"no question has an answer in {', '.join(absent) or f'{n_absent:,} of them'}"
    )


def _tie_range(cells: CellValues, name: str, chosen: Sequence[int]) -> list[str]:
    """`name worst..best` where the order of ties moves the macro average by more than TIE_WARNING."""
    if cells.optimistic is None or cells.pessimistic is None or not len(chosen):
        return []
    worst, best = (float(values[np.array(chosen)].mean()) for values in (cells.pessimistic, cells.optimistic))
    return [f"{name} {worst:.3f}..{best:.3f}"] if best - worst > TIE_WARNING else []
