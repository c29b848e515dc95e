"""What a comparison found: the form that tables, plots and `--json` read."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from xqr_bench.scores import Interval


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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
    p_t: float = Field(description="t test on the same differences")
    p_article: float = Field(description="studentised bootstrap over articles")
    p_article_t: float
    p_tukey: float | None = Field(default=None, description="randomised two-way Tukey HSD over all pairs, by question")
    p_article_tukey: float | None = Field(default=None, description="the same by article")
    p_adjusted: float
    p_article_adjusted: float = Field(description="p_article adjusted in the same way")
    adjustment: str = Field(description="how p_adjusted was made from p, and over what")
    verdict: str = Field(description="significant, question level only, or not distinguishable")
    n_questions: int
    n_articles: int
    seed: int
    resamples: int

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


class Figure(_Frozen):
    """One figure of one record."""

    record: str
    setting: str
    metric: str
    scope: str
    key: str
    value: float
    interval: Interval | None
    article_interval: Interval | None


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
    worst_share: dict[str, float] = Field(description="language -> share of resamples in which it is the worst")
    spread: float = Field(description="highest minus lowest")
    deviation: float = Field(description="standard deviation over languages")


class Detectable(_Frozen):
    """The smallest true difference that one test of two such records finds with the given power."""

    task: str
    a: str
    b: str
    setting: str
    metric: str
    question: float | None = Field(description="for the test by question; null where the records do not differ at all")
    article: float | None = Field(description="for the test by article")
    power: float
    alpha: float


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
    groups: tuple[Figure, ...] = Field(description="with more than two records: group means and gaps to English")
    languages: tuple[WorstLanguage, ...]
    power: tuple[Detectable, ...]
    notes: tuple[str, ...]
    seed: int
    resamples: int

    def family(self, name: str) -> list[Comparison]:
        """The comparisons of one family, in order."""
        return [found for found in self.comparisons if found.family == name]
