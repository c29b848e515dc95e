"""Parallel question-passage data of one's own: a JSON object a line, a question in all its languages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from xqr_bench.core import strict_json
from xqr_bench.core.errors import UnknownNameError
from xqr_bench.core.languages import check_code
from xqr_bench.train.data.base import FORMATS, Entry, Item, Lines, Origin, Request, build
from xqr_bench.train.types import ParallelData

KEYS = ("id", "languages", "article", "paragraph")
TEXTS = ("query", "passage", "passage_id", "negatives")
EXAMPLE = '{"id": "q1", "languages": {"en": {"query": "...", "passage": "..."}, "de": {...}}}'


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
        found = dict.fromkeys(code for item in items for code in item.entries)
        chosen = request.chosen(sorted(found))
        kept = [
            Item(item.id, {code: item.entries[code] for code in chosen if code in item.entries}, item.place)
            for item in items
        ]
        partial: dict[str, object] = {}
        if set(chosen) != set(found):
            partial["languages"] = list(chosen)
        if request.limit is not None:
            partial["limit"] = request.limit
        digest = lines.digest
        assert digest is not None
        origin = Origin(
            request.path.name.removesuffix(".gz").removesuffix(".jsonl"),
            source=request.source,
            files={request.path.name: digest},
            partial=partial,
        )
        return build([item for item in kept if item.entries], chosen, origin)


FORMATS.register("jsonl")(JsonLines())


def _items(lines: Lines, limit: int | None) -> Iterator[Item]:
    n = 0
    for number, line in lines:
        if not line.strip() or (limit is not None and n >= limit):
            continue  # read on: the digest is of the whole file
        n += 1
        try:
            value = strict_json.parse(line)
        except json.JSONDecodeError as error:
            raise lines.fail(
                number, f"not JSON: {error.msg} at character {error.pos + 1}", remedy=f"write {EXAMPLE}"
            ) from error
        except ValueError as error:
            raise lines.fail(number, f"not JSON: {error}", remedy=f"write {EXAMPLE}") from error
        yield _item(value, lines, number)


def _item(value: Any, lines: Lines, number: int) -> Item:
    def text(holder: dict[str, Any], key: str, what: str, default: str | None = None) -> str:
        found = holder.get(key, default)
        if not isinstance(found, str) or (default is None and not found.strip()):
            raise lines.fail(
                number,
                f"{what} {key!r} is {'missing' if key not in holder else 'empty or no text'}",
                found=repr(found)[:80] if key in holder else None,
                remedy=f"write {EXAMPLE}",
            )
        return found

    def known(holder: Any, keys: tuple[str, ...], what: str) -> dict[str, Any]:
        if not isinstance(holder, dict):
            raise lines.fail(number, f"{what} is no object", found=repr(holder)[:80], remedy=f"write {EXAMPLE}")
        strange = sorted(set(holder) - set(keys))
        if strange:
            raise lines.fail(
                number, f"{what} has the unknown key {strange[0]!r}", remedy=f"use these keys: {', '.join(keys)}"
            )
        return holder

    row = known(value, KEYS, "the line")
    key = text(row, "id", "the question's")
    languages = row.get("languages")
    if not isinstance(languages, dict) or not languages:
        raise lines.fail(number, f"question {key!r} is in no language", remedy=f"write {EXAMPLE}")
    article, paragraph = (text(row, name, "the question's", "") for name in ("article", "paragraph"))
    entries = {}
    for code, given in languages.items():
        try:
            check_code(code)
        except UnknownNameError as error:
            raise lines.fail(number, error.problem, found=error.found, remedy=error.remedy or "") from error
        one = known(given, TEXTS, f"question {key!r} in {code}")
        passage = text(one, "passage", f"in {code} the")
        negatives = one.get("negatives", [])
        if not isinstance(negatives, list) or not all(isinstance(each, str) and each.strip() for each in negatives):
            raise lines.fail(number, f"in {code} the negatives are no list of texts", remedy='write ["...", "..."]')
        entries[code] = Entry(
            text(one, "query", f"in {code} the"),
            passage,
            text(one, "passage_id", f"in {code} the", "") or passage,
            article,
            paragraph and f"{article}\0{paragraph}",
            tuple(negatives),
            title=article,
        )
    return Item(key, entries, f"{lines.path}, line {number}")
