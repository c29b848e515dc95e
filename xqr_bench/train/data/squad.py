"""SQuAD-like JSON, a file a language in one folder: with sentences (XQuAD-R), or plain, where the paragraph answers."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from xqr_bench.core import strict_json
from xqr_bench.core.errors import DataError
from xqr_bench.core.files import sha256_of
from xqr_bench.core.printable import has_text
from xqr_bench.tasks.readers import DataFile, lareqa
from xqr_bench.train.data.base import FORMATS, Entry, Item, Request, build, files_by_language
from xqr_bench.train.types import ParallelData


class SquadFolder:
    """`<language>.json` files that share question ids; query: the question.

    Passage: the sentence in which the answer starts where paragraphs have `sentences` (the format of XQuAD-R, read by
    the tasks' own reader), else the paragraph (SQuAD 1.1; unanswerable questions of SQuAD 2 are left out).
    """

    summary = "a folder of SQuAD-like <language>.json that share question ids"

    def claims(self, request: Request) -> bool:
        """Whether it is a folder with a `<language>.json`."""
        return bool(files_by_language(request.path, ".json"))

    def read(self, request: Request) -> ParallelData:
        """Read the chosen languages' files."""
        paths = files_by_language(request.path, ".json")
        if not paths:
            raise DataError(
                f"{request.source} has no file <language>.json", remedy="name a folder with one file a language"
            )
        languages = request.chosen(paths)
        files: dict[str, str] = {}
        entries: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
        for code in languages:
            with DataFile(str(paths[code]), paths[code]).stream() as stream:
                content = stream.read()
            files[paths[code].name] = sha256_of(paths[code])
            for question, entry in _entries(content, paths[code]).items():
                entries[question][code] = entry
        items = [Item(key, by_language, f"{request.source}: question {key}") for key, by_language in entries.items()]
        return build(
            items[: request.limit],
            languages,
            name=request.path.name,
            source=request.source,
            files=files,
            partial=request.left_out(paths),
        )


FORMATS.register("squad")(SquadFolder())


def _entries(content: bytes, path: Path) -> dict[str, Entry]:
    if b'"sentence_breaks"' in content:
        data = lareqa.read(DataFile(str(path), content))
        entries = {}
        for question in data.questions:
            first, *others = (data.candidates[index] for index in question.gains)
            also, title = tuple(other.id for other in others), data.titles.get(first.cluster, "")
            texts = question.text, first.text
            entries[question.id] = Entry(*texts, first.id, first.cluster, first.group, also=also, title=title)
        return entries
    return _plain(content, path)


def _plain(content: bytes, path: Path) -> dict[str, Entry]:
    place = "top level"
    entries: dict[str, Entry] = {}
    try:
        for a, article in enumerate(strict_json.parse(content)["data"]):
            for p, paragraph in enumerate(article["paragraphs"]):
                for q, qa in enumerate(paragraph["qas"]):
                    place = f"article {a}, paragraph {p}, question {q}"
                    answers = qa["answers"]["text"] if isinstance(qa["answers"], dict) else qa["answers"]
                    if qa.get("is_impossible") or not answers:
                        continue
                    key = _text(qa["id"])
                    if key in entries:
                        raise ValueError(f"the id {key!r} occurs twice in this language")
                    texts = _text(qa["question"]), _text(paragraph["context"])
                    title = article["title"] if isinstance(article.get("title"), str) else ""
                    entries[key] = Entry(*texts, f"{a}:{p}", str(a), f"{a}:{p}", title=title)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"{path}: {place}: not SQuAD-like JSON: {what}",
            remedy='write {"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers"}]}]}]}',
        ) from error
    return entries


def _text(value: Any) -> str:
    if not isinstance(value, str) or not has_text(value):
        raise ValueError(f"{value!r} stands where a text is needed")
    return value
