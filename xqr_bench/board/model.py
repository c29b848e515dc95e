"""The leaderboard JSON: everything a reader or a site shows, computed once (docs/leaderboard.md describes it)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, PlainSerializer

from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import CROSS_LINGUAL, MAIN_METRIC
from xqr_bench.measure.linear import LEVEL
from xqr_bench.measure.scores import Figure, Interval
from xqr_bench.record.exposure import Exposure
from xqr_bench.record.model import schema_text

LEADERBOARD_VERSION = 1
PROVED = "proved, computed anew from the stored ranks: every figure, interval and test of a submission"
DECLARED = (
    "declared by the submitters, not proved: the model and its identity, training, exposure, protocol (a transform, an "
    "index or a context that is not declared cannot be seen in ranks), warnings, diagnostics and provenance"
)
"""What of a row no rank can prove."""


def signed_by(by: str, key: str | None) -> str:
    """Who attests a reproduction, on one line, and whether it is signed."""
    return shown_line(f"{by} ({'unsigned' if key is None else f'signed with the key {key}'})")


Status = Literal["published", "recomputed", "reproduced"]
Kind = Literal["encoder", "run", "baseline", "floor", "ceiling"]
ExposureClass = Literal["unexposed", "unknown", "exposed"]
Verdict = Literal["best", "not below the best", "question level only", "too few articles", "below the best"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


# A figure of a record with 7 significant digits, as the JSON has it: these fields, an interval as [low, high].

_SHOWN = (
    "value",
    "n",
    "undefined_reason",
    "pessimistic",
    "interval",
    "article_interval",
    "random_reference",
    "ratio_to_random",
    "floor",
    "ceiling",
    "p",
    "p_article",
)
_INTERVALS = {"interval": "question", "article_interval": "article"}


def shortened(value: Any) -> Any:
    """A figure, interval or number with 7 significant digits; anything else as it is."""
    if isinstance(value, Figure | Interval):
        return value.model_copy(update={name: shortened(part) for name, part in value})
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _write_figure(figure: Figure) -> dict[str, Any]:
    """What is absent is left out; a value that cannot be computed is null, behind its reason."""
    parts = {name: getattr(figure, name) for name in _SHOWN}
    if figure.value is not None and not figure.n:
        del parts["n"]  # printed in a paper: nobody knows of how many values
    data = {name: [part.low, part.high] if name in _INTERVALS and part else part for name, part in parts.items()}
    data = {name: part for name, part in data.items() if part is not None}
    if any(figure.thin):
        data["thin"] = [name for name, thin in zip(_INTERVALS, figure.thin, strict=True) if thin]
    return data if figure.value is not None else {**data, "value": None}


def _read_figure(data: Any) -> Any:
    """What the JSON leaves out of an interval is the same for all: its level and its unit."""
    if not isinstance(data, dict):
        return data
    if unknown := data.keys() - {*_SHOWN, "thin"}:
        raise ValueError(f"a figure has no {min(unknown)}")
    data = {"n": 0, **{name: part for name, part in data.items() if name != "thin"}}
    for name, unit in _INTERVALS.items():
        if (pair := data.get(name)) is not None:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise ValueError(f"{name} is not [low, high]")
            ends = {"low": pair[0], "high": pair[1]}
            data[name] = {**ends, "level": LEVEL, "unit": unit, "method": "", "n_units": data["n"]}
    return data


class _FigureSchema:
    """The JSON Schema of a figure as it is written."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        reference = handler(schema)
        definition = handler.resolve_ref_schema(reference)
        pair = {"type": "array", "prefixItems": [{"type": "number"}] * 2, "minItems": 2, "maxItems": 2}
        properties = {name: dict(definition["properties"][name]) for name in _SHOWN}
        for name in _INTERVALS:
            properties[name]["anyOf"] = [pair, {"type": "null"}]
        properties["thin"] = {
            "type": "array",
            "items": {"enum": list(_INTERVALS)},
            "description": "intervals that are no measure of certainty: without width, or of fewer than 10 units",
        }
        definition.update(properties=properties, required=["value"])
        return reference


Figures = dict[
    str,
    Annotated[Figure, BeforeValidator(_read_figure), PlainSerializer(_write_figure, dict[str, Any]), _FigureSchema()],
]


class _Averages(_Part):
    macro: Figures = Field(default_factory=dict, description="metric -> macro average")
    by_query_language: dict[str, Figures] = Field(default_factory=dict, description="language -> metric -> figure")
    by_group: dict[str, Figures] = Field(
        default_factory=dict, description="group (cross-lingual: group:into, :out-of, :within) -> metric -> figure"
    )


class SettingFigures(_Averages):
    """One family of settings: metric -> figure, and the parts it is made of."""

    by_language_pair: dict[str, dict[str, float | None]] = Field(
        default_factory=dict,
        description="cross-lingual only: 'query>candidates' -> metric -> value, for map, mrr and recall@1",
    )


class RelevanceFigures(_Part):
    """The figures under another rule of relevance, or why there are none."""

    scores: dict[str, Figures] = Field(default_factory=dict, description="setting -> metric -> macro average")
    undefined_reason: str | None = None


class Bias(_Averages):
    """How language moves the multilingual ranks; never to be read without MAP and the random reference."""

    language_position: dict[str, dict[str, float | None]] = Field(
        default_factory=dict,
        description="query language -> candidate language -> mean place among the relevants, 0 first .. 1 last",
    )


class Standing(_Part):
    """How a row compares with the best of its contest in one setting and metric, from the stored ranks."""

    place: int = Field(description="1 for the highest value of the contest")
    verdict: Verdict
    tied_with_best: bool = Field(
        description="cannot be told apart from the best: not significantly below it by question and by article"
    )
    best: str = Field(description="id of the row with the highest value")
    difference: float = Field(description="value of the best minus this value")
    p_adjusted: float | None = Field(default=None, description="by question, over all pairs and settings")
    p_article: float | None = Field(default=None, description="by article, adjusted in the same way")


class Protocol(_Part):
    """How the figures were made, as far as it can change them; rows are compared only within one protocol."""

    name: str = Field(description="'standard', or what departs from it, such as 'paragraph context, index hnsw'")
    candidate_context: str | None = Field(default=None, description="template of sentence and paragraph")
    transform: str | None = Field(default=None, description="what was done to the vectors, where something was")
    index: str | None = Field(
        default=None, description="the approximate index, where one was used; an exact one is no departure"
    )
    depth: int | None = Field(default=None, description="where the ranking was cut; absent: exact, full depth")
    settings: list[str]
    partial: bool = False


class Reproduce(_Part):
    """How to make the record again."""

    command: str
    needs: str | None = Field(default=None, description="what the command needs that cannot be fetched")


class AttestationSummary(_Part):
    """What a reproduction found: the statement of whoever ran it."""

    by: str = Field(description="who ran the encoder again, as they name themselves: untrusted text")
    date: str
    key: str | None = Field(default=None, description="minisign public key it is signed with; absent: unsigned")
    relevants: int
    share_moved: float = Field(description="share of the relevants whose rank moved beyond the tolerance")
    max_score_difference: float
    file: str = Field(description="path below the leaderboard folder")


class ProvenanceSummary(_Part):
    """Where the record comes from."""

    created: str
    code_version: str
    commit: str | None = None
    dirty: bool | None = None
    python: str
    packages: dict[str, str]
    hardware: dict[str, Any]
    seconds: dict[str, float]


class Representation(_Part):
    """How well an encoder tells the queries, or the candidates, of a language apart (docs/record.md)."""

    texts: int = Field(description="distinct texts")
    vectors: int = Field(description="distinct vectors of these texts")
    distinct_share: float | None = Field(default=None, description="vectors / texts")
    unknown_share: float | None = Field(default=None, description="unknown tokens / tokens; absent: no tokenizer")
    tokens_per_character: float | None = None


class LanguageTexts(_Part):
    """What happened to the texts of a language."""

    truncated_queries: int | None = None
    truncated_candidates: int | None = None
    queries: Representation | None = None
    candidates: Representation | None = None


class Row(_Part):
    """A submission: one model on one task, with ranks."""

    id: str = Field(description="path of the record below the leaderboard folder, without .json")
    task: str
    model: str = Field(description="as the submitter named it: untrusted text")
    folder: str = Field(description="the model's folder name, safe in paths and addresses")
    version: str = Field(description="folder name of revision or digest")
    revision: str | None = None
    kind: Kind
    status: Status
    attestation: AttestationSummary | None = None
    identity: dict[str, Any] = Field(description="the record's model identity, absent fields left out")
    protocol: Protocol
    contest: bool = Field(description="whether it competes: encoders, runs and baselines, not floor and ceiling")
    scores: dict[str, SettingFigures] = Field(description="setting -> scores")
    bias: Bias
    relevance: dict[str, RelevanceFigures] = Field(
        default_factory=dict, description="rule of relevance beside the strict one -> figures"
    )
    standing: dict[str, dict[str, Standing]] = Field(
        default_factory=dict, description="setting -> metric (map) -> standing; empty outside the contest"
    )
    provenance: ProvenanceSummary
    reproduce: Reproduce
    record: str = Field(description="path below the leaderboard folder")
    ranks: str
    ranks_digest: str
    warnings: list[str] = Field(default=[], description="of the record")
    notes: list[str] = Field(default=[], description="what the leaderboard adds")
    training: dict[str, Any] | None = None
    exposure: Exposure = Field(
        default_factory=Exposure,
        description="what the encoder may have seen of the task; `unknown` where none is declared",
    )
    exposure_class: ExposureClass = Field(
        default="unknown", description="unexposed: none declared or language only; exposed: same source or the texts"
    )
    transform: dict[str, Any] | None = Field(default=None, description="what was done to the vectors before ranking")
    diagnostics: dict[str, LanguageTexts] = Field(default_factory=dict, description="language -> what is known")
    unrepresented: list[str] = Field(
        default=[], description="languages with less than 95% distinct query vectors: their scores say little"
    )
    quantization: dict[str, Any] | None = Field(default=None, description="how vectors were quantised before ranking")
    index: dict[str, Any] | None = None
    run_group: dict[str, Any] | None = None


class Source(_Part):
    """Where published figures stand."""

    citation: str
    url: str | None = None


class PublishedRow(_Part):
    """Figures from a paper, without ranks: no interval, no test, no tied group."""

    id: str
    task: str
    model: str
    variant: str = Field(description="how it was trained, in the paper's words")
    status: Literal["published"] = "published"
    source: Source
    scores: dict[str, SettingFigures] = Field(description="as in rows; only values")
    bias: Bias
    notes: list[str] = []


class LanguageFacts(_Part):
    """A language of a task."""

    code: str
    name: str
    script: str | None = Field(default=None, description="ISO 15924")
    right_to_left: bool = False
    resource_class: int | None = Field(default=None, description="Joshi et al. 2020, 0 .. 5")
    cc100_gib: float | None = Field(default=None, description="GiB in CC-100 (Conneau et al. 2020)")
    wikipedia_articles: int | None = Field(default=None, description="articles of its Wikipedia, August 2020")
    queries: int
    candidates: int


class GroupFacts(_Part):
    """A language group within a task."""

    description: str
    languages: list[str]
    missing: list[str] = []
    undefined_reason: str | None = None


class TaskFacts(_Part):
    """A task of the board."""

    title: str
    description: str
    settings: list[str]
    metrics: list[str]
    languages: list[LanguageFacts] = Field(description="in the order of the pool columns")
    groups: dict[str, GroupFacts]
    n_questions: int
    n_articles: int
    n_queries: int
    n_candidates: int
    n_relevants: int = Field(description="(query, relevant) pairs")
    revision: str | None = None
    licence: dict[str, str] | None = None


class MetricFacts(_Part):
    """A metric or bias measure."""

    kind: Literal["score", "bias"] = Field(description="score: higher is better; bias: describes")
    summary: str
    settings: list[str]


class Tests(_Part):
    """How standings were found."""

    metric: str
    alpha: float
    resamples: int
    seed: int
    method: str


class Refused(_Part):
    """A submission that stands in the folder and is not shown."""

    path: str
    fault: str


class Leaderboard(_Part):
    """All that the leaderboard shows; the same folder gives the same bytes."""

    model_config = ConfigDict(extra="forbid", title="xqr-bench leaderboard")

    leaderboard_version: int = LEADERBOARD_VERSION
    interval_level: float = Field(default=0.95, description="confidence level of all intervals")
    tasks: dict[str, TaskFacts]
    metrics: dict[str, MetricFacts]
    tests: Tests
    rows: list[Row] = Field(description="by task, then falling MAP (multilingual, where the task has it), then id")
    published: list[PublishedRow]
    refused: list[Refused] = []

    def left_out(self, task: str) -> str:
        """Of how many of how many values the cross-lingual means of a task are; empty where that is all of them.

        Asked for are those between languages that share a question.
        """
        facts = self.tasks[task]
        scored = [row.scores[CROSS_LINGUAL] for row in self.rows if row.task == task and CROSS_LINGUAL in row.scores]
        pairs = {pair for figures in scored for pair in figures.by_language_pair}
        queries = {language.code: language.queries for language in facts.languages}
        asked = sum(queries.get(pair.partition(">")[0], 0) for pair in pairs)
        values = max(
            (figures.macro[MAIN_METRIC].n for figures in scored if MAIN_METRIC in figures.macro), default=asked
        )
        if values >= asked:  # of many languages no single pairs are told
            return ""
        of_how_many = f"{values:,} of {asked:,} pairs of a query and another language"
        return f"cross-lingual means are over the {of_how_many} that have an answer"


if __name__ == "__main__":  # python -m xqr_bench.board.model > leaderboard/leaderboard.schema.json
    print(schema_text(Leaderboard), end="")
