"""The versioned result record: one encoder on one task."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, overload

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    model_validator,
)

from xqr_bench.core.errors import RecordError, UnknownNameError
from xqr_bench.core.fields import OneLine
from xqr_bench.core.frames import Backend, columns_of, data_frame, with_ends
from xqr_bench.core.names import MAX_NAME
from xqr_bench.core.types import MAIN_METRIC, STRICT, Ranks
from xqr_bench.encode import ModelIdentity
from xqr_bench.encode.providers import EndpointUse
from xqr_bench.encode.transform import TransformFacts
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import Group, SettingScores
from xqr_bench.rank.index import IndexFacts
from xqr_bench.rank.quantize import QuantizationFacts
from xqr_bench.record.exposure import Exposure

if TYPE_CHECKING:
    import pandas
    import polars

    from xqr_bench import Result

SCHEMA_VERSION = 1
SHORT_VERSION = 2
"""Of submissions: macro averages only, and pooled ranks, from which all other figures follow."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _distinct(names: list[str]) -> list[str]:
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]!r} stands there twice")
    return names


def _moment(text: str) -> str:
    datetime.fromisoformat(text)  # ValueError: no such day or hour
    return text


Names = Annotated[list[str], AfterValidator(_distinct)]
Setting = Annotated[str, Field(pattern=r"^(monolingual|cross-lingual|multilingual)$")]
Rule = Annotated[str, Field(pattern=r"^(lenient|paragraph|judged)$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Version = Annotated[str, Field(pattern=r"^\d+(\.\d+)+[0-9A-Za-z.+-]*$", max_length=64)]
Packages = dict[
    Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]*$", max_length=100)],
    Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.!+_-]*$", max_length=64)],
]
Hardware = dict[
    Annotated[str, Field(pattern="^[a-z_]{1,40}$")], Annotated[str, Field(max_length=MAX_NAME)] | float | None
]
"""What a record on the board says of a machine, and an attestation."""
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Moment = Annotated[
    str, Field(pattern=r"^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(\+00:00|Z)$"), AfterValidator(_moment)
]


class LanguageCounts(_Part):
    """How much of a language the task holds."""

    queries: NonNegativeInt
    candidates: NonNegativeInt


class TaskInfo(_Part):
    """The task as it was scored."""

    name: OneLine
    title: OneLine
    languages: Names = Field(description="of the candidates, in the order of the pool")
    query_languages: Names | None = Field(default=None, description="of the queries; absent: those of the candidates")
    settings: Annotated[list[Setting], AfterValidator(_distinct)] = Field(min_length=1)
    metrics: Names = Field(min_length=1)
    groups: dict[str, Group]
    counts: dict[str, LanguageCounts] = Field(description="language -> queries and candidates")
    n_questions: NonNegativeInt
    n_articles: NonNegativeInt
    demonstration: bool = Field(default=False, description="a task for trying out, not for conclusions")
    partial: dict[str, Any] = Field(
        default_factory=dict,
        description="what was left out (`languages`, `limit`); such a record cannot be submitted",
    )
    files: dict[str, Digest] = Field(description="data file -> SHA-256")
    revision: str | None = Field(default=None, description="upstream revision of the data")
    relevant_from: PositiveFloat | None = Field(
        default=None, description="the lowest gain of a relevant for metrics that do not read gains; absent: every gain"
    )
    segmenter: OneLine | None = Field(
        default=None, description="what cut its paragraphs into sentences, and its version"
    )

    @property
    def all_languages(self) -> list[str]:
        """The languages of the candidates, then those that only queries have."""
        return list(dict.fromkeys([*self.languages, *(self.query_languages or ())]))

    @property
    def demonstration_note(self) -> str:
        """What every report says of a demonstration."""
        return f"{self.name} is a small demonstration: draw conclusions from xquad-r and mlqa-r"


class ModelInfo(_Part):
    """The encoder."""

    name: OneLine
    identity: ModelIdentity = Field(description="what its vectors depend on")


class TextDiagnostics(_Part):
    """How well the encoder can tell the queries, or the candidates, of a language apart (docs/record.md)."""

    texts: NonNegativeInt = Field(description="distinct texts")
    vectors: NonNegativeInt = Field(description="distinct vectors of these texts; two that differ by rounding are one")
    sharing: NonNegativeInt = Field(description="texts whose vector is also that of another text")
    characters: NonNegativeInt = Field(description="of the distinct texts, Unicode code points")
    tokens: NonNegativeInt | None = Field(
        default=None, description="without prompt and special ones, before truncation; absent: no tokenizer is known"
    )
    unknown_tokens: NonNegativeInt | None = Field(
        default=None, description="those that stand for what the tokenizer cannot spell"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        alone = self.texts - self.sharing
        if not alone + min(self.sharing, 1) <= self.vectors <= alone + self.sharing // 2:
            raise ValueError(
                f"{self.texts} texts, of which {self.sharing} share a vector, cannot have {self.vectors} vectors"
            )
        if (self.tokens is None) != (self.unknown_tokens is None) or (self.unknown_tokens or 0) > (self.tokens or 0):
            raise ValueError(f"{self.unknown_tokens} of {self.tokens} tokens cannot be unknown")
        return self

    @property
    def distinct_share(self) -> float | None:
        """Distinct vectors over distinct texts; None without texts."""
        return self.vectors / self.texts if self.texts else None

    @property
    def unknown_share(self) -> float | None:
        """Unknown tokens over tokens; None where they are not known, or there are none."""
        return self.unknown_tokens / self.tokens if self.tokens and self.unknown_tokens is not None else None

    @property
    def tokens_per_character(self) -> float | None:
        """Tokens over characters; None where they are not known."""
        return self.tokens / self.characters if self.tokens is not None and self.characters else None


class LanguageDiagnostics(_Part):
    """What happened to the texts of a language."""

    truncated_queries: NonNegativeInt | None = Field(default=None, description="null: the encoder does not tell")
    truncated_candidates: NonNegativeInt | None = None
    zero_queries: NonNegativeInt = 0
    zero_candidates: NonNegativeInt = 0
    queries: TextDiagnostics | None = Field(default=None, description="absent: not known, as in older records")
    candidates: TextDiagnostics | None = None


class RanksInfo(_Part):
    """The ranks the scores follow from."""

    file: str | None = Field(description="name of the Parquet file beside the record")
    digest: Digest = Field(description="SHA-256 over the canonical columns")
    n_queries: NonNegativeInt
    n_relevants: NonNegativeInt
    depth: PositiveInt | None = Field(default=None, description="where the ranking was cut; null: full depth")

    @classmethod
    def of(cls, ranks: Ranks, digest: str) -> Self:
        """Of ranks that have no file yet."""
        sizes: dict[str, Any] = {name: getattr(ranks, name) for name in ("n_queries", "n_relevants", "depth")}
        return cls(file=None, digest=digest, **sizes)


class TopInfo(_Part):
    """The best candidates of each query, with their ids and scores."""

    file: str | None = Field(description="name of the Parquet file beside the record")
    digest: Digest = Field(description="SHA-256 over its columns")


class RelevanceInfo(_Part):
    """The scores under another rule of relevance, or why there are none."""

    scores: dict[str, SettingScores] = Field(
        default_factory=dict, description="setting -> scores, without those of single language pairs"
    )
    ranks_file: RanksInfo | None = Field(default=None, description="what the ranks under this rule add to the strict")
    questions: PositiveInt | None = Field(
        default=None,
        description="scores and ranks are of so many questions, whose ids have the smallest SHA-256; null: of all",
    )
    undefined_reason: OneLine | None = None

    @model_validator(mode="after")
    def _scores_or_a_reason(self) -> Self:
        if self.ranks_file is None and (self.scores or not self.undefined_reason):
            raise ValueError("scores without their ranks, or neither scores nor a reason why there are none")
        if self.ranks_file is not None and self.undefined_reason is not None:
            raise ValueError("a reason why there are no scores stands beside ranks")
        return self


class TextCounts(_Part):
    """How many texts of the task differ, and of how many the vectors were there already."""

    distinct: NonNegativeInt
    from_store: NonNegativeInt = Field(
        description="vectors of an earlier run with the same encoder; the others were encoded"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.from_store > self.distinct:
            raise ValueError(f"{self.from_store} of {self.distinct} texts cannot come from the store")
        return self


class Provenance(_Part):
    """Where the record comes from."""

    created: Moment = Field(description="UTC, ISO 8601")
    code_version: Version
    commit: Commit | None = Field(default=None, description="git commit of the code, where it runs from a checkout")
    dirty: bool | None = Field(default=None, description="whether that checkout had uncommitted changes")
    python: Version
    packages: Packages
    hardware: dict[str, Any]
    arguments: dict[str, Any] = Field(description="arguments as given")
    settings: dict[str, Any] = Field(description="arguments with their defaults")
    seconds: dict[str, NonNegativeFloat] = Field(description="wall time of each phase")
    texts: TextCounts | None = Field(default=None, description="null: no encoder, or an older record")
    endpoint: EndpointUse | None = Field(default=None, description="what an endpoint was asked in this run; null: none")


def macro_averages(scores: dict[str, SettingScores]) -> dict[str, SettingScores]:
    """The scores without the parts that they are made of."""
    return {setting: SettingScores(**of_setting.macro) for setting, of_setting in scores.items()}  # type: ignore[arg-type]


@dataclass(frozen=True)
class ReadFrom:
    """The file that a record was read from; records are equal wherever they lie.

    Attributes:
        path: None: it was made, not read.
    """

    path: Path | None = field(default=None, compare=False)


class Record(_Part):
    """One encoder on one task: what was measured, how, and from which ranks.

    A notebook shows its main figures; `print(record)` gives one line, `record.to_frame()` all figures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, title="xqr-bench record")

    schema_version: int = Field(
        default=SCHEMA_VERSION, description="1, or 2 of a submission, whose file holds macro averages only"
    )
    task: TaskInfo
    model: ModelInfo
    scores: dict[str, SettingScores] = Field(description="setting -> scores")
    relevance: dict[Rule, RelevanceInfo] = Field(
        default_factory=dict,
        description="rule of relevance beside the strict one (lenient, paragraph, judged) -> scores",
    )
    diagnostics: dict[str, LanguageDiagnostics] = Field(default_factory=dict, description="by language")
    warnings: list[OneLine] = Field(default_factory=list)
    ranks_file: RanksInfo
    top_file: TopInfo | None = Field(
        default=None, description="null: of a submission, of short lists, or an older record"
    )
    provenance: Provenance
    training: dict[str, Any] | None = Field(default=None, description="how the encoder was trained, if known")
    exposure: Exposure | None = Field(default=None, description="what it may have seen of the task")
    transform: TransformFacts | None = Field(
        default=None, description="what was done to the vectors before they were ranked, if anything was"
    )
    quantization: QuantizationFacts | None = Field(
        default=None, description="how the vectors were quantised before they were ranked, if they were"
    )
    index: IndexFacts | None = Field(default=None, description="the FAISS index the ranks come from, if one was used")
    run_group: dict[str, Any] | None = Field(default=None, description="the study and arm this run belongs to")
    _read_from: ReadFrom = PrivateAttr(default=ReadFrom())

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        found = None if self.exposure is None else self.exposure.found
        if found is not None and found.task != self.task.name:
            raise ValueError(f"the texts that were found are of the task {found.task!r}")
        if self.index is not None and self.index.depth != self.ranks_file.depth:
            raise ValueError(f"the index is cut at {self.index.depth}, the ranks at {self.ranks_file.depth}")
        return self

    @property
    def short(self) -> bool:
        """Whether its file holds macro averages only."""
        return self.schema_version == SHORT_VERSION

    def stored(self) -> Self:
        """The record as its file holds it."""
        if not self.short:
            return self
        under = {
            name: info.model_copy(update={"scores": macro_averages(info.scores)})
            for name, info in self.relevance.items()
        }
        return self.model_copy(update={"scores": macro_averages(self.scores), "relevance": under})

    def scores_under(self, relevance: str) -> dict[str, SettingScores]:
        """Scores by setting under a rule of relevance; strict: the scores of the record.

        Raises:
            RecordError: the record has none under this rule; says why.
        """
        if relevance == STRICT:
            return self.scores
        info = self.relevance.get(relevance)
        if info is None or info.ranks_file is None:
            reason = "it is older, or was made with --no-relevance" if info is None else info.undefined_reason
            raise RecordError(
                f"the record of {self.model.name} on {self.task.name} has no {relevance} relevance",
                found=reason,
                remedy="evaluate it again, or compare by strict relevance",
            )
        return info.scores

    @property
    def read_from(self) -> ReadFrom:
        """Where it was read from."""
        return self._read_from

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """A line: all of it would be thousands."""
        yield "model", self.model.name
        yield "task", self.task.name
        figures = {setting: scores.macro.get(MAIN_METRIC) for setting, scores in self.scores.items()}
        values = {setting: figure.value for setting, figure in figures.items() if figure is not None}
        yield MAIN_METRIC, {name: None if value is None else round(value, 4) for name, value in values.items()}

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from xqr_bench import record_html

        return record_html(self)

    def with_ranks(self) -> Result:
        """The record with its ranks, read from beside the file that the record was read from.

        Raises:
            RecordError: it was read from no file, that file has changed since, or the ranks cannot be read.
        """
        from xqr_bench import record_with_ranks

        return record_with_ranks(self)

    def save(self, path: Path | str, *, overwrite: bool = False) -> Path:
        """Write the record, whole or not at all, with its ranks and best candidates beside it.

        Where the file holds the same figures of the same ranks already, it stays as it is. A record without ranks (one
        that was neither evaluated here nor read from a file that has them) is written alone, and a warning says what
        cannot be done with it.

        Args:
            path: a name that ends in `.json`, or the folder of results: the record then stands at
                `<path>/<model>/<task>.json`, as `xqr-bench evaluate --output` puts it.
            overwrite: replace what is there, whatever it is.

        Returns:
            the file of the record.

        Raises:
            RecordError: the file holds something else, or the ranks cannot be read.
            XqrBenchError: it cannot be written there.
        """
        from xqr_bench import keep_record

        return keep_record(self, Path(path), overwrite=overwrite)

    @overload
    def to_frame(self, backend: Literal["pandas"] = "pandas") -> pandas.DataFrame: ...
    @overload
    def to_frame(self, backend: Literal["polars"]) -> polars.DataFrame: ...
    def to_frame(self, backend: Backend = "pandas") -> pandas.DataFrame | polars.DataFrame:
        """All figures as a data frame, one row a figure.

        Columns: task, model, setting, part (`macro`, `by_query_language`, `by_language_pair`, `by_group`), key (the
        language, pair `query>candidate` or group; empty for a macro average), metric, then the fields of `Figure`;
        intervals as `interval_low` and so on, `interval_thin` where one is no measure of certainty (docs/record.md).

        Args:
            backend: the library that holds it: pandas, or polars (`pip install polars`).

        Raises:
            UsageError: there is no such library, or it is not installed.
        """
        rows = []
        names = {"task": self.task.name, "model": self.model.name}
        for setting, scores in self.scores.items():
            for part, key, metric, figure in scores.items():
                row: dict[str, Any] = {**names, "setting": setting, "part": part, "key": key, "metric": metric}
                row |= with_ends(figure)
                row["interval_thin"], row["article_interval_thin"] = figure.thin
                rows.append(row)
        return data_frame(columns_of(rows), backend)

    @overload
    def language_frame(
        self, metrics: Sequence[str] | None = None, backend: Literal["pandas"] = "pandas"
    ) -> pandas.DataFrame: ...
    @overload
    def language_frame(
        self, metrics: Sequence[str] | None = None, *, backend: Literal["polars"]
    ) -> polars.DataFrame: ...
    def language_frame(
        self, metrics: Sequence[str] | None = None, backend: Backend = "pandas"
    ) -> pandas.DataFrame | polars.DataFrame:
        """The figures of each query language, one row a language and setting.

        Columns: task, model, language, queries and candidates (of that language, in the task), setting, then a column
        for each metric, empty where it has no value there.

        Args:
            metrics: names, such as `["map", "recall@10"]`; default: all of the record.
            backend: the library that holds it: pandas, or polars (`pip install polars`).

        Raises:
            UsageError: the record does not hold a metric; there is no such library, or it is not installed.
            RecordError: it is a submission that was not loaded whole.
        """
        names = self.task.metrics if metrics is None else [parse_metric(name).name for name in metrics]
        for name in names:
            if name not in self.task.metrics:
                raise UnknownNameError("metric in this record", name, self.task.metrics)
        rows = []
        for language, counts in self.task.counts.items():
            for setting, scores in self.scores.items():
                figures = scores.by_query_language.get(language)
                if figures is not None:
                    row = {"task": self.task.name, "model": self.model.name, "language": language, **dict(counts)}
                    values = {name: figures[name].value if name in figures else None for name in names}
                    rows.append({**row, "setting": setting, **values})
        if not rows:
            raise RecordError(
                f"the record of {self.model.name} on {self.task.name} holds no figures of single languages",
                remedy="load it with load_record(path), which computes what a submission leaves out",
            )
        return data_frame(columns_of(rows), backend)


def schema_text(model: type[BaseModel] = Record) -> str:
    """The JSON Schema (draft 2020-12) of a model: `python -m xqr_bench.record.model > leaderboard/schema.json`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
