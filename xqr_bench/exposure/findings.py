"""What a search for evaluation texts found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from xqr_bench.exposure.levels import EVALUATION_TEXT, Level

KINDS = ("question", "sentence", "paragraph", "title")
EXCERPT = 200


class Found(NamedTuple):
    """An evaluation text and its best place: exact before overlap, then the first."""

    kind: str
    language: str
    id: str
    """A question's id; `lang:article:paragraph:sentence` of a sentence, `lang:article:paragraph`, `lang:article`."""
    exact: bool
    overlap: float
    place: str
    text: str
    """The text it was found in, whole."""


class KindCounts(BaseModel):
    """How many evaluation texts of one kind were found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    total: int = Field(description="texts of this kind that the task has, in all languages that were looked for")
    exact: int = Field(description="found as they are, after normalisation")
    near: int = Field(description="found with at least the share `near` of their grams; the exact ones are not counted")
    touched: int = Field(description="found with fewer, but at least one run of 8 words")


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
        texts: (kind, language, id) -> the evaluation text, of those found.
    """

    task: str
    languages: tuple[str, ...]
    n_texts: int
    near: float
    totals: Mapping[str, Mapping[str, int]]
    found: tuple[Found, ...]
    texts: Mapping[tuple[str, str, str], str]

    def counts(self, language: str | None = None) -> dict[str, KindCounts]:
        """Kind -> counts, over all languages or in one."""
        table = {}
        for kind in KINDS:
            here = [found for found in self.found if found.kind == kind and language in (None, found.language)]
            exact = sum(found.exact for found in here)
            near = sum(not found.exact and found.overlap >= self.near for found in here)
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
        counts = self.counts()
        some = any(counts[kind].exact + counts[kind].near for kind in KINDS if kind != "title")
        return EVALUATION_TEXT if some else None

    def examples(self, limit: int = 3) -> list[Found]:
        """Of each kind the first few, the best first."""
        chosen: list[Found] = []
        for kind in KINDS:
            of_kind = [found for found in self.found if found.kind == kind]
            chosen += sorted(of_kind, key=lambda found: (not found.exact, -found.overlap))[:limit]
        return chosen

    def to_json(self, limit: int = 3) -> dict[str, Any]:
        """Counts, and examples, for a file; `Exposures` reads it."""
        return {
            "task": self.task,
            "languages": list(self.languages),
            "texts_searched": self.n_texts,
            "near": self.near,
            "level": self.level,
            "counts": {kind: counts.model_dump() for kind, counts in self.counts().items()},
            "by_language": {
                code: {kind: counts.model_dump() for kind, counts in self.counts(code).items()}
                for code in self.languages
            },
            "examples": [
                {
                    "kind": found.kind,
                    "language": found.language,
                    "id": found.id,
                    "exact": found.exact,
                    "overlap": round(found.overlap, 4),
                    "place": found.place,
                    "evaluation_text": excerpt(self.texts[found[:3]]),
                    "text": excerpt(found.text),
                }
                for found in self.examples(limit)
            ],
        }


def excerpt(text: str) -> str:
    """The first characters of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"
