"""What an encoder may have seen of a task: levels, what a search found, and declarations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError, model_validator

from xqr_bench.core import strict_json
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.fields import OneLine
from xqr_bench.encode.bound import DeclaredTraining

# How much of a task an encoder may have seen before: the levels, and what a record says of it.

Level = Literal["evaluation text", "same source", "language only", "none declared", "unknown"]
LEVELS: tuple[Level, ...] = get_args(Level)
EVALUATION_TEXT, SAME_SOURCE, LANGUAGE_ONLY, NONE_DECLARED, UNKNOWN = LEVELS
MEANING: dict[Level, str] = {
    EVALUATION_TEXT: "trained on questions, sentences or paragraphs of the task, in any language",
    SAME_SOURCE: "trained on data of the task's kind and source (SQuAD, questions over Wikipedia), not on its texts",
    LANGUAGE_ONLY: "trained on the task's languages, on nothing of its kind or source",
    NONE_DECLARED: "the submitter knows all of its training, if it had any, and declares none of the above",
    UNKNOWN: "nothing is declared, or it cannot be known",
}


# What a search for evaluation texts found.

KINDS = ("question", "sentence", "paragraph", "title")
Kind = Annotated[str, Field(pattern=f"^({'|'.join(KINDS)})$")]
EXCERPT = 200


class Match(NamedTuple):
    """An evaluation text and its best place: exact before overlap, then the first."""

    kind: str
    language: str
    id: str
    """A question's id; `lang:article:paragraph:sentence` of a sentence, `lang:article:paragraph`, `lang:article`."""
    exact: bool
    overlap: float
    place: str
    evaluation_text: str
    text: str
    """The text it was found in, whole."""


class KindCounts(BaseModel):
    """How many evaluation texts of one kind were found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    total: NonNegativeInt = Field(
        description="texts of this kind that the task has, in all languages that were looked for"
    )
    exact: NonNegativeInt = Field(description="found as they are, after normalisation")
    near: NonNegativeInt = Field(
        description="found with at least the share `near` of their grams; the exact ones are not counted"
    )
    touched: NonNegativeInt = Field(description="found with fewer, but at least one run of 8 words")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.found > self.total:
            raise ValueError(f"more texts were found than the {self.total} that there are")
        return self

    @property
    def found(self) -> int:
        """How many were found, in any way."""
        return self.exact + self.near + self.touched


def _level_of(counts: Mapping[str, KindCounts]) -> Level | None:
    some = any(found.exact + found.near for kind, found in counts.items() if kind != "title")
    return EVALUATION_TEXT if some else None


@dataclass(frozen=True)
class Findings:
    """All that was found of a task.

    Attributes:
        task: its name.
        languages: those looked for.
        n_texts: texts searched.
        near: the share of grams from which a text is nearly the same.
        totals: kind -> language -> number of evaluation texts.
        found: ordered by kind, language and id.
    """

    task: str
    languages: tuple[str, ...]
    n_texts: int
    near: float
    totals: Mapping[str, Mapping[str, int]]
    found: tuple[Match, ...]

    def counts(self, language: str | None = None) -> dict[str, KindCounts]:
        """Kind -> counts, over all languages or in one."""
        table = {}
        for kind in KINDS:
            here = [match for match in self.found if match.kind == kind and language in (None, match.language)]
            exact = sum(match.exact for match in here)
            near = sum(not match.exact and match.overlap >= self.near for match in here)
            of_kind = self.totals[kind]
            total = sum(of_kind.values()) if language is None else of_kind[language]
            table[kind] = KindCounts(total=total, exact=exact, near=near, touched=len(here) - exact - near)
        return table

    @property
    def level(self) -> Level | None:
        """`evaluation text` where a question, sentence or paragraph was found, exactly or nearly; else None.

        A search proves what is there and not what is not: it knows the texts it was given, not what was done with
        translations of them, and says nothing about the source or the languages of the rest. Titles and single
        runs of words are no texts.
        """
        return _level_of(self.counts())

    def examples(self, limit: int = 3) -> list[Match]:
        """Of each kind the first few, the best first."""
        chosen: list[Match] = []
        for kind in KINDS:
            of_kind = [match for match in self.found if match.kind == kind]
            chosen += sorted(of_kind, key=lambda match: (not match.exact, -match.overlap))[:limit]
        return chosen

    def to_json(self, limit: int = 3) -> dict[str, Any]:
        """Counts, and examples, for a file: `FoundTexts`, as data."""
        examples = [
            {
                **match._asdict(),
                "overlap": round(match.overlap, 4),
                "evaluation_text": excerpt(match.evaluation_text),
                "text": excerpt(match.text),
            }
            for match in self.examples(limit)
        ]
        return FoundTexts(
            task=self.task,
            languages=list(self.languages),
            texts_searched=self.n_texts,
            near=self.near,
            level=self.level,
            counts=self.counts(),
            by_language={code: self.counts(code) for code in self.languages},
            examples=examples,
        ).model_dump()


def excerpt(text: str) -> str:
    """The first characters of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


# What a record says its encoder may have seen of the task, and where that is read from.

DeclaredBy = Literal["submitter", "training record", "xqr-bench", "mteb", "nobody"]


class FoundTexts(BaseModel):
    """The result of a search for evaluation texts in training data, as `Findings.to_json` gives it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    languages: list[str] = Field(description="in which evaluation texts were looked for")
    texts_searched: NonNegativeInt
    near: float = Field(gt=0, le=1, description="share of a text's grams from which another counts as nearly the same")
    level: Level | None = Field(default=None, description="evaluation text, or absent: none was found")
    counts: dict[Kind, KindCounts] = Field(description="question, sentence, paragraph, title -> counts")
    by_language: dict[str, dict[Kind, KindCounts]] = Field(default_factory=dict)
    examples: list[dict[str, Any]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _level_is_that_of_the_counts(self) -> Self:
        if self.level != _level_of(self.counts):
            raise ValueError(f"the level {self.level!r} is not that of what was found")
        return self

    @model_validator(mode="after")
    def _parts_add_up(self) -> Self:
        if self.by_language and set(self.by_language) != set(self.languages):
            raise ValueError("it was looked for in other languages than by_language has")
        for kind, counts in self.counts.items():
            if not self.texts_searched and counts.found:
                raise ValueError("something was found in no text")
            parts = [of_language[kind] for of_language in self.by_language.values() if kind in of_language]
            for field, number in counts:
                if self.by_language and sum(getattr(part, field) for part in parts) != number:
                    raise ValueError(f"{kind} {field}: {number} is not the sum over the languages")
            examples = [example for example in self.examples if example.get("kind") == kind]
            if len(examples) > counts.found or sum(example.get("exact") is True for example in examples) > counts.exact:
                raise ValueError(f"there are more examples of a {kind} than were found")
        if strange := [example for example in self.examples if example.get("kind") not in self.counts]:
            raise ValueError(f"an example is of the kind {strange[0].get('kind')!r}, of which nothing was found")
        return self


class Exposure(BaseModel):
    """How much of a task an encoder may have seen before it was measured (docs/exposure.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Level = UNKNOWN
    declared_by: DeclaredBy = "nobody"
    note: OneLine | None = Field(default=None, description="in words, such as the data sets in question")
    sources: list[OneLine] = Field(default_factory=list, description="where that can be read: a model card, a paper")
    languages: dict[str, str] | None = Field(
        default=None,
        description="language -> trained, aligned only or untouched, by the last training, where its record is known",
    )
    found: FoundTexts | None = Field(default=None, description="evaluation texts found in the training data")

    @model_validator(mode="before")
    @classmethod
    def _older_forms(cls, data: Any) -> Any:
        """Records of before had any object here: what has no level that we know is `unknown`, and kept as a note."""
        if isinstance(data, str):
            return {"level": data, "declared_by": "submitter"}
        if isinstance(data, dict) and data.get("level", data.get("status")) not in LEVELS:
            return {"level": UNKNOWN, "note": json.dumps(data, ensure_ascii=False, sort_keys=True)} if data else {}
        if isinstance(data, dict) and "level" in data and data["level"] != UNKNOWN:
            return {"declared_by": "submitter", **data}
        return data

    @model_validator(mode="after")
    def _fits_what_was_found(self) -> Exposure:
        if self.found is not None and self.found.level == EVALUATION_TEXT and self.level != EVALUATION_TEXT:
            raise ValueError(
                f"{self.level!r} is declared, but evaluation texts were found in the training data; "
                f"the level is {EVALUATION_TEXT!r}"
            )
        trained = self.declared_by == "training record" and self.level not in (UNKNOWN, EVALUATION_TEXT)
        if trained or (self.declared_by == "nobody" and self.level != UNKNOWN):
            raise ValueError(f"{self.level!r} cannot be declared by {self.declared_by}")
        return self


OURS = Exposure(level=NONE_DECLARED, declared_by="xqr-bench", note="nothing is trained")
"""Of a record that declares nothing, where its model is built in or a baseline: they learn from no text."""


# What the ModelMeta of mteb declares: names of mteb's tasks, each for a data set of which some part was trained on.

_WIKIPEDIA_QA = r"squad|mlqa|afriqa|ty-?di|miracl|hotpotqa|triviaqa|(^|nano)nq"
_OF_MTEB: dict[str, tuple[str, str]] = {
    "xquad": ("xquad|spokensquad", _WIKIPEDIA_QA),
    "mlqa": ("mlqa", _WIKIPEDIA_QA),
    "afriqa": ("afriqa", _WIKIPEDIA_QA),
    "miracl": ("miracl", _WIKIPEDIA_QA),
    "belebele": ("belebele", "flores"),
    "ntrex": ("ntrex", "ntrex"),
    "tatoeba": ("tatoeba", "tatoeba"),
    "ciral": ("ciral", "ciral"),
    "neuclir": ("neuclir", "neuclir"),
}
"""How names of our tasks begin -> names in mteb of data sets with texts of them; of those of their kind and source."""


def declared_exposure(training: DeclaredTraining, task: str) -> Exposure:
    """What a declaration of data sets by their names in mteb means for a task.

    Names of the task's own texts are `same source`, as those of its kind are: mteb does not say which part was trained
    on, and its names stand for training parts too. No name at all is `none declared`, which is not `unknown`.

    Args:
        training: the declaration.
        task: the task's name.
    """
    if training.names is None:
        return Exposure(level=UNKNOWN, note=f"{training.source}, does not say what it was trained on")
    family = next((one for one in _OF_MTEB if task.startswith(one)), None)
    texts, source = _OF_MTEB.get(family or "", (None, None))
    own, kin = (_matching(training.similar, pattern) for pattern in (texts, source))
    listed = ", ".join(sorted(training.names, key=str.casefold)) or "nothing"
    note = f"declared as trained on: {listed}"
    if own:
        note += f"; with texts of the task, of whatever part of the data set: {', '.join(own)}"
    named = [name for name in kin if name in training.names] or kin
    if others := [name for name in named if name not in own]:
        note += f"; of its kind and source: {', '.join(others)}"
    sources = [training.source]
    if family is None and training.names:
        return Exposure(
            level=UNKNOWN, note=f"{note}; whether that has to do with {task} is not known here", sources=sources
        )
    return Exposure(level=SAME_SOURCE if own or kin else NONE_DECLARED, declared_by="mteb", note=note, sources=sources)


def _matching(names: frozenset[str], pattern: str | None) -> list[str]:
    return [] if pattern is None else sorted(name for name in names if re.search(pattern, name.casefold()))


class _Declaration(BaseModel):
    """A file of a submitter; what it says of a task is checked where it becomes that task's exposure."""

    exposure: dict[str, str | dict[str, Any]] = {}
    found: dict[str, dict[str, Any]] = {}


def read_declaration(text: str, task: str, *, note: str | None = None) -> Exposure:
    """Read what a submitter says: a level, or a JSON file.

    A file holds `{"exposure": {task: level}}`, where a level may be an object `{"level": ..., "note": ..., "sources":
    [...]}`, and optionally `"found": {task: ...}`; or it is what `xqr-bench exposure --output` wrote.

    Args:
        text: one of LEVELS, or a path.
        task: of the record.
        note: in words.

    Raises:
        UsageError, UnknownNameError: neither a level nor such a file; the file says nothing about the task, or
            something that contradicts what it found.
    """
    data: dict[str, Any] = {"level": text} if text in LEVELS else _from_file(Path(text), task)
    if note is not None:
        data["note"] = note
    try:
        return strict_json.validate(Exposure, {"declared_by": "submitter", **data})
    except ValidationError as error:
        raise UsageError(
            f"the declaration of {task} in {text} cannot be used: {strict_json.first_fault(error)}",
            remedy="docs/exposure.md shows the form",
        ) from None


def _from_file(path: Path, task: str) -> dict[str, Any]:
    levels = ", ".join(repr(level) for level in LEVELS)
    if not path.is_file():
        if path.suffix == ".json":
            raise UsageError(f"there is no file {path}", remedy=f"name a JSON file, or a level: {levels}")
        raise UnknownNameError("level of exposure", str(path), LEVELS, remedy=f"use one of {levels}, or a JSON file")
    try:
        data = strict_json.read(path)
        if isinstance(data, dict) and {"task", "counts", "texts_searched"} <= data.keys():
            data = {"found": {str(data["task"]): data}}
        declared = strict_json.validate(_Declaration, data)
    except ValidationError as error:
        raise UsageError(
            f"{path} declares no exposure: {strict_json.first_fault(error)}", remedy="docs/exposure.md shows the form"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no JSON: {error}", remedy="docs/exposure.md shows the form") from None
    stated, searched = declared.exposure.get(task), declared.found.get(task)
    if stated is None and searched is None:
        named = ", ".join([*declared.exposure, *declared.found]) or "nothing"
        raise UsageError(f"{path} says nothing about {task}", found=named, remedy=f"add {task} to it")
    made: dict[str, Any] = {"level": stated} if isinstance(stated, str) else dict(stated or {})
    level = made.get("level")
    if stated is not None and level not in LEVELS:
        raise UnknownNameError("level of exposure", str(level), LEVELS, remedy=f"use one of {levels}")
    if searched is not None:
        made["found"] = searched
        if stated is None:  # a search alone proves what is there, never what is not
            made["level"] = searched.get("level") or UNKNOWN
    return made
