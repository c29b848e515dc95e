"""What a comparison is asked for, the confirmatory family and other cells, and the form of what it found."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, computed_field, field_serializer

from xqr_bench.analysis.asked import Choice
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.languages import GROUPS
from xqr_bench.core.types import MAIN_METRIC, PREFERENCE, RULES
from xqr_bench.measure.certainty import GAP, MACRO, PARTS, FigureName
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import FEW, Interval, is_thin
from xqr_bench.rank.rules import variant_metrics
from xqr_bench.record import TaskInfo

# What a comparison found: the form that tables, plots and `--json` read.


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Found = TypeVar("_Found", bound=_Frozen)


class Without(_Frozen):
    """An article that holds half of the spread of a difference or more, and the difference without its questions."""

    share: float
    difference: float = Field(description="b - a on the questions of the other articles")
    p_article: float = Field(description="of that difference, not adjusted")


class Comparison(_Frozen):
    """One figure of two records, b minus a."""

    task: str
    a: str = Field(description="label of the first record")
    b: str = Field(description="label of the second record")
    setting: str
    metric: str
    scope: str = Field(description="macro, by_query_language, by_language_pair, by_group or gap")
    key: str = Field(description="language, language pair, group or gap; empty for the macro average")
    family: str = Field(description="confirmatory or exploratory")
    value_a: float
    value_b: float
    difference: float = Field(description="b - a")
    interval: Interval | None = Field(description="of the difference, from resampled questions")
    article_interval: Interval | None = Field(description="of the difference, from articles")
    effect_size: float = Field(description="difference / standard deviation of the questions' differences (d_z)")
    p: float = Field(description="paired randomisation, one sign per question")
    p_t: float | None = Field(description="t test on the same differences; null: fewer than two questions")
    p_article: float = Field(description="studentised bootstrap over articles")
    p_article_t: float | None = Field(description="null: fewer than two articles")
    p_tukey: float | None = Field(default=None, description="randomised two-way Tukey HSD over all pairs, by question")
    p_article_tukey: float | None = Field(default=None, description="the same by article")
    p_adjusted: float
    p_article_adjusted: float = Field(description="p_article adjusted in the same way")
    adjustment: str = Field(description="how p_adjusted was made from p, and over what")
    verdict: str = Field(
        description="significant, question level only, too few articles (G) to judge by article, or not distinguishable"
    )
    largest_article: Without | None = Field(
        default=None, description="the article that holds half of the spread or more; no part of the verdict"
    )
    n_varying: int = Field(description="questions whose difference is not the commonest one; below 10: flagged")
    n_varying_articles: int = Field(description="articles that hold such a question")
    n_questions: int
    n_articles: int
    seed: int
    resamples: int

    @property
    def thin(self) -> tuple[bool, bool]:
        """Whether the interval, and the one from articles, is no measure of certainty."""
        both = (self.interval, self.n_varying), (self.article_interval, self.n_varying_articles)
        few, few_articles = (interval is not None and (n < FEW or is_thin(interval)) for interval, n in both)
        return few, few_articles

    @field_serializer("effect_size", when_used="json")
    def _finite(self, value: float) -> float | None:
        """JSON has no infinity: an effect size without any spread is null."""
        return value if math.isfinite(value) else None


class RecordLabel(_Frozen):
    """A record as the output names it."""

    label: str
    model: str
    path: str
    ranks_digest: str


class GroupFigure(_Frozen):
    """A group mean or gap of one record."""

    record: str
    setting: str
    metric: str
    scope: str
    key: str
    value: float
    interval: Interval | None
    article_interval: Interval | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def thin(self) -> tuple[bool, bool]:
        """Whether the interval, and the one from articles, is no measure of certainty."""
        value = None if self.scope == GAP else self.value
        return is_thin(self.interval, value), is_thin(self.article_interval, value)


class Display(_Frozen):
    """All records in one setting, best first; records that share a letter are not distinguishable."""

    task: str
    setting: str
    metric: str
    adjustment: str
    records: tuple[str, ...]
    values: tuple[float, ...]
    letters: tuple[str, ...]


class WorstLanguage(_Frozen):
    """The worst query language of one record in one setting, and how far apart its languages are. No test."""

    task: str
    record: str
    setting: str
    metric: str
    worst: str
    values: dict[str, float]
    worst_share: dict[str, float] = Field(
        description="language -> share of resamples of questions in which it is the worst"
    )
    worst_share_article: dict[str, float] = Field(description="the same of articles")
    spread: float = Field(description="highest minus lowest")
    deviation: float = Field(description="standard deviation over languages")


class Detectable(_Frozen):
    """The smallest true difference of two such records that one unadjusted t-test finds with the given power."""

    task: str
    a: str
    b: str
    setting: str
    metric: str
    question: float | None = Field(description="by question; null where the records do not differ at all")
    article: float | None = Field(description="by article")
    power: float
    alpha: float


class OverSeeds(_Frozen):
    """Two arms of several training runs each, b minus a, over seeds and questions (articles) together."""

    task: str
    a: str = Field(description="what tells the first arm from the others, of its run_group")
    b: str
    seeds_a: int
    seeds_b: int
    setting: str
    metric: str
    value_a: float = Field(description="mean over the seeds")
    value_b: float
    difference: float
    interval: tuple[float, float] = Field(description="95%, seeds and questions")
    article_interval: tuple[float, float] = Field(description="95%, seeds and articles")
    p: float = Field(description="t test, seeds and questions")
    p_article: float
    p_adjusted: float = Field(description="Holm over all pairs of arms and settings")
    p_article_adjusted: float
    verdict: str


class TaskComparison(_Frozen):
    """Everything found for the records of one task."""

    task: str
    title: str
    records: tuple[RecordLabel, ...]
    n_questions: int
    n_articles: int
    relevance: str = Field(default="strict", description="the rule of relevance everything is compared under")
    demonstration: bool
    partial: dict[str, Any]
    comparisons: tuple[Comparison, ...] = Field(description="the confirmatory ones first")
    displays: tuple[Display, ...] = Field(description="with more than two records: compact letters")
    groups: tuple[GroupFigure, ...] = Field(description="with more than two records: group means and gaps to English")
    over_seeds: tuple[OverSeeds, ...] = Field(
        default=(), description="where records share a run_group but for its seed"
    )
    languages: tuple[WorstLanguage, ...]
    power: tuple[Detectable, ...]
    notes: tuple[str, ...]
    seed: int
    resamples: int
    asked: bool = Field(default=False, description="whether exploratory cells were asked for")

    def family(self, name: str) -> list[Comparison]:
        """The comparisons of one family, in order."""
        return [comparison for comparison in self.comparisons if comparison.family == name]

    def called(self, names: Mapping[str, str]) -> TaskComparison:
        """The same, with the records called by other names (label -> name)."""

        def renamed(ones: Iterable[_Found], *fields: str) -> tuple[_Found, ...]:
            return tuple(one.model_copy(update={name: names[getattr(one, name)] for name in fields}) for one in ones)

        displays = [
            one.model_copy(update={"records": tuple(map(names.__getitem__, one.records))}) for one in self.displays
        ]
        return self.model_copy(
            update={
                "records": renamed(self.records, "label"),
                "comparisons": renamed(self.comparisons, "a", "b"),
                "displays": tuple(displays),
                "groups": renamed(self.groups, "record"),
                "languages": renamed(self.languages, "record"),
                "power": renamed(self.power, "a", "b"),
            }
        )


# Which figures are compared: the confirmatory family, and the exploratory cells that were asked for.

ALL = "all"


@dataclass(frozen=True)
class Cells:
    """The figures of one task that are compared.

    Attributes:
        metrics, settings: theirs.
        parts: the parts of a record that hold some.
        holds: whether a figure of these parts is one of them.
    """

    metrics: tuple[str, ...]
    settings: tuple[str, ...]
    parts: tuple[str, ...] = (MACRO,)
    holds: Callable[[FigureName], bool] = lambda name: True


def check_names(choice: Choice, tasks: Sequence[TaskInfo]) -> None:
    """Raise UnknownNameError unless every name of the choice is known in one of the tasks; metrics in all records."""
    if choice.relevance not in RULES:
        raise UnknownNameError("rule of relevance", choice.relevance, RULES)
    for name in choice.metrics:
        if name == ALL:
            continue
        metric = parse_metric(name).name
        for info in tasks:
            held = variant_metrics(choice.relevance, info.metrics)
            if metric not in held:
                raise UsageError(
                    f"not every record holds the metric {metric!r} of {choice.relevance} relevance",
                    found=f"a record of {info.name} holds {', '.join(held)}",
                    remedy="choose a metric that all records hold, or evaluate again with --metrics",
                )
    pairs = {f"{query}>{candidate}" for info in tasks for query in info.all_languages for candidate in info.languages}
    allowed = {
        "setting": {name for info in tasks for name in info.settings},
        "language pair": pairs,
        "language": {name for info in tasks for name in info.all_languages},
        "language group": {name for info in tasks for name in info.groups},
    }
    chosen = [("setting", name) for name in choice.settings]
    chosen += [("language pair" if ">" in name else "language", name) for name in choice.languages]
    chosen += [("language group", name) for name in choice.groups]
    for kind, name in chosen:
        if name != ALL and name not in allowed[kind]:
            some = f"choose one of: {', '.join(sorted(allowed[kind]))}" if len(allowed[kind]) < 40 else "choose another"
            raise UnknownNameError(kind, name, allowed[kind], remedy=f"{some}, or all")


def cells_of(
    choice: Choice, info: TaskInfo, groups: Collection[str], left_out: Mapping[str, str], *, usual_groups: bool
) -> tuple[Cells, list[str]]:
    """The choice as it applies to one task, and notes on what of it this task does not have.

    Args:
        choice: with names that `check_names` has seen.
        info: the task, as its records hold it.
        groups: groups that can be shown.
        left_out: why others cannot.
        usual_groups: whether all of them are chosen where nothing is asked for.
    """
    settings = tuple(name for name in info.settings if not choice.settings or _chosen(name, choice.settings))
    held = variant_metrics(choice.relevance, info.metrics)
    named = held if ALL in choice.metrics else dict.fromkeys(parse_metric(name).name for name in choice.metrics)
    usual = (MAIN_METRIC,) if choice.explicit else (MAIN_METRIC, PREFERENCE)
    metrics = tuple(named) or tuple(name for name in usual if name in info.metrics)
    macro = set(metrics) - {MAIN_METRIC}  # macro averages of MAP stand in the confirmatory family already
    languages = set(choice.languages) & {*info.all_languages, *(name for name in choice.languages if ">" in name)}
    if ALL in choice.languages:
        languages |= set(info.all_languages)
    wanted = choice.groups if choice.explicit or not usual_groups else (ALL,)
    members = {name for name in groups if _chosen(name, wanted)}
    notes = [
        f"{info.name} has no {name}"
        for name in choice.languages
        if name != ALL and not set(name.split(">")) <= set(info.all_languages)
    ]
    for name in sorted(name for name in info.groups if _chosen(name, wanted)):
        if name not in groups:
            notes.append(f"the group {name} is left out: {left_out[name]}")
        elif reason := info.groups[name].undefined_reason:
            notes.append(f"{name}: {reason}")
        elif name in GROUPS and GROUPS[name].unseen_by:
            notes.append(f"{name}: {GROUPS[name].description}, whatever others were trained on")
    keys = {MACRO: macro, "by_query_language": languages, "by_language_pair": languages}
    keys |= {"by_group": members, GAP: languages | members}

    def holds(name: FigureName) -> bool:
        key = name.metric if name.part == MACRO else name.key.split(" - ")[0]
        return key in keys[name.part] or (name.part in ("by_group", GAP) and key.partition(":")[0] in members)

    return Cells(metrics, settings, tuple(part for part in PARTS if keys[part]), holds), notes


def _chosen(name: str, wanted: Collection[str]) -> bool:
    return ALL in wanted or name in wanted
