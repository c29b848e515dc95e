"""Parallel question-passage data of one's own: a JSON object a line, a question in all its languages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from xqr_bench.core import strict_json
from xqr_bench.core.errors import UsageError
from xqr_bench.core.languages import check_code
from xqr_bench.core.printable import has_text
from xqr_bench.train.data.base import FORMATS, Entry, Item, Lines, Request, build
from xqr_bench.train.types import ParallelData

EXAMPLE = '{"id": "q1", "languages": {"en": {"query": "...", "passage": "..."}, "de": {...}}}'


def _filled(text: str) -> str:
    if not has_text(text):
        raise ValueError("the text is empty")
    return text


Text = Annotated[str, AfterValidator(_filled)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Texts(_Form):
    query: Text
    passage: Text
    passage_id: str = ""
    negatives: list[Text] = []


class _Line(_Form):
    id: Text
    languages: dict[str, _Texts] = Field(min_length=1)
    article: str = ""
    paragraph: str = ""


class JsonLines:
    """One question a line: `{"id", "languages": {code: {"query", "passage", ...}}, "article", "paragraph"}`.

    `article` and `paragraph` are optional texts: the unit of held-out parts, and the place of the passage. In a
    language, `passage_id` (default: the passage's text) says that two questions have one passage, and `negatives`
    is a list of passages known not to answer the question.
    """

    summary = "parallel questions and passages of your own, JSON lines (.jsonl, .jsonl.gz)"

    def claims(self, request: Request) -> bool:
        """Whether its name ends so."""
        return request.path.name.endswith((".jsonl", ".jsonl.gz"))

    def read(self, request: Request) -> ParallelData:
        """Read the file."""
        lines = Lines(request.path)
        items = list(_items(lines, request.limit))
        there = sorted({code for item in items for code in item.entries})
        languages = request.chosen(there)
        chosen = (
            replace(item, entries={code: item.entries[code] for code in languages if code in item.entries})
            for item in items
        )
        return build(
            (item for item in chosen if item.entries),
            languages,
            name=request.path.name.removesuffix(".gz").removesuffix(".jsonl"),
            source=request.source,
            files={request.path.name: lines.digest},
            partial=request.left_out(there),
        )


FORMATS.register("jsonl")(JsonLines())


def _items(lines: Lines, limit: int | None) -> Iterator[Item]:
    n = 0
    for number, text in lines.texts():
        if not text.strip() or (limit is not None and n >= limit):
            continue  # read on: the digest is of the whole file
        n += 1
        try:
            line = _Line.model_validate(strict_json.parse(text))
            entries = {check_code(code): _entry(line, texts) for code, texts in line.languages.items()}
        except UsageError as error:
            raise lines.fail(number, error.problem, found=error.found, remedy=error.remedy or "") from error
        except ValidationError as error:
            raise lines.fail(number, strict_json.first_fault(error), remedy=f"write {EXAMPLE}") from error
        except ValueError as error:
            raise lines.fail(number, f"not JSON: {error}", remedy=f"write {EXAMPLE}") from error
        yield Item(line.id, entries, f"{lines.path}, line {number}")


def _entry(line: _Line, texts: _Texts) -> Entry:
    return Entry(
        texts.query,
        texts.passage,
        texts.passage_id or texts.passage,
        line.article,
        line.paragraph and f"{line.article}\0{line.paragraph}",
        tuple(texts.negatives),
        title=line.article,
    )
