"""What a reader of training data is, how lines are read, and how questions become `ParallelData`, with every check."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np

from xqr_bench.core.errors import DataError, UsageError
from xqr_bench.core.files import opened, sha256_of
from xqr_bench.core.languages import check_code
from xqr_bench.core.printable import has_text
from xqr_bench.core.registry import Registry
from xqr_bench.core.types import IntArray
from xqr_bench.tasks.assemble import number_components
from xqr_bench.train.types import ParallelData

Cell = TypeVar("Cell")

# What a reader of training data is, and the registry that finds one for a source.


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a reader.

    Attributes:
        source: the path (or name) as given, without a format in front.
        languages: keep only these, in this order; None: all there are.
        data_dir: the folder of data files, as for tasks; None: XQR_BENCH_DATA, else the cache.
        limit: keep only the first so many questions; None: all.
        options: of the format, such as `negatives` of mMARCO.
    """

    source: str
    languages: tuple[str, ...] | None = None
    data_dir: Path | None = None
    limit: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The source as a path."""
        return Path(self.source).expanduser()

    def chosen(self, there: Collection[str]) -> tuple[str, ...]:
        """The languages to keep of those that are there, in the order asked for.

        Raises:
            UsageError: one asked for is not there, or named twice.
        """
        if self.languages is None:
            return tuple(there)
        missing = [code for code in self.languages if code not in there]
        if missing:
            raise UsageError(
                f"{self.source} has no language {', '.join(missing)}",
                found=f"languages: {', '.join(there)}",
                remedy="name some of these",
            )
        if not self.languages or len(set(self.languages)) < len(self.languages):
            raise UsageError("name each language once, and at least one", found=", ".join(self.languages) or "none")
        return self.languages

    def left_out(self, there: Collection[str]) -> dict[str, object]:
        """What is not read of a source in the languages `there`: `partial` of its data."""
        some = self.languages is not None and set(self.languages) != set(there)
        partial = {"languages": list(self.languages or ()) if some else None, "limit": self.limit}
        return {name: value for name, value in partial.items() if value is not None}


class DataReader(Protocol):
    """Reads one format of training data.

    `claims` tells from the outside (name, suffix, files of a folder) whether a source is in this format; `read` reads
    it, checking everything it relies on, and names file and line of what is wrong.
    """

    summary: str

    def claims(self, request: Request) -> bool:  # noqa: D102
        ...

    def read(self, request: Request) -> ParallelData:  # noqa: D102
        ...


FORMATS: Registry[DataReader] = Registry("format of training data", "xqr_bench.training_data")


# Text files line by line, with their digest, and the place of what is wrong.


class Lines:
    """The lines of a file (also .gz) as bytes, numbered from 1, without their ends; `digest` once all are read.

    The digest is of the file's own bytes, compressed or not.

    Raises:
        DataError: the file is missing or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest = ""

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Give each line with its number."""
        try:
            with opened(self.path) as stream:
                for number, line in enumerate(stream, start=1):
                    yield number, line.removesuffix(b"\n").removesuffix(b"\r")
            self.digest = sha256_of(self.path)
        except FileNotFoundError as error:
            raise DataError(f"there is no file {self.path}", remedy="check the path") from error
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be read: {error}", remedy="take the file from its source again"
            ) from error

    def texts(self) -> Iterator[tuple[int, str]]:
        """Give each line as text.

        Raises:
            DataError: as above, or a line is not UTF-8.
        """
        for number, line in self:
            yield number, self.decode(number, line)

    def decode(self, number: int, line: bytes) -> str:
        """A line, or a part of it, as text."""
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail(number, "not UTF-8 text", found=str(error), remedy="save the file as UTF-8") from error

    def fail(self, number: int, problem: str, *, found: str | None = None, remedy: str) -> DataError:
        """The error for a line."""
        return DataError(f"{self.path}, line {number}: {problem}", found=found, remedy=remedy)


def files_by_language(folder: Path, suffix: str) -> dict[str, Path]:
    """Files of a folder named `<language><suffix>`, by language, in order; others are left aside."""
    paths: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*{suffix}")) if folder.is_dir() else []:
        with suppress(UsageError):
            paths[check_code(path.name.removesuffix(suffix))] = path
    return paths


# From a reader's questions to `ParallelData`: columns, numbers for articles and paragraphs, and every check.


@dataclass(frozen=True, slots=True)
class Entry:
    """A question in one language.

    Attributes:
        query, passage: texts.
        passage_id: identity of the passage within its language.
        article, paragraph: the places it stands in, in this language; "" where not known.
        title: of the article; "" where not known.
        negatives: passages known not to answer it.
        also: identities of further passages of this language that answer it.
    """

    query: str
    passage: str
    passage_id: str
    article: str = ""
    paragraph: str = ""
    negatives: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A question in all its languages, and where it stands in its source, for messages."""

    id: str
    entries: Mapping[str, Entry]
    place: str = ""


def build(
    items: Iterable[Item],
    languages: Sequence[str],
    *,
    name: str,
    source: str = "",
    kind: Literal["retrieval", "bitext"] = "retrieval",
    files: Mapping[str, str] | None = None,
    partial: Mapping[str, object] | None = None,
) -> ParallelData:
    """Check the questions and put them in columns.

    Articles and paragraphs are the connected components that shared questions make of (language, place): the
    translations of an article have other titles and positions (MEASURES.md, 5).

    Args:
        items: the questions.
        languages: of the columns, in order.
        name, source, kind, files, partial: as in `ParallelData`; no source: the name.

    Raises:
        DataError: no question; an id twice; a text that is empty; a passage among its own negatives; a language
            without a question.
        UsageError: a language code that is none.
    """
    for code in languages:
        check_code(code)
    questions = list(items)
    if not questions:
        raise DataError(f"{name} has no question to train on", remedy="name data with at least two questions")
    places: dict[str, str] = {}
    for item in questions:
        place = item.place or f"{name}: question {item.id}"
        if item.id in places:
            raise DataError(
                f"{place}: the question id {item.id!r} occurs twice",
                found=f"first at {places[item.id]}",
                remedy="an id names one question in all its languages",
            )
        places[item.id] = place
        _check(item, place)
    columns = [[item.entries.get(code) for item in questions] for code in languages]
    for code, column in zip(languages, columns, strict=True):
        if not any(column):
            raise DataError(f"{name} has no question in {code}", remedy=f"complete it, or leave {code} out")

    def table(what: str, empty: Cell) -> tuple[tuple[Cell, ...], ...]:
        return tuple(tuple(getattr(entry, what) if entry else empty for entry in column) for column in columns)

    no_texts: tuple[str, ...] = ()
    negatives = table("negatives", no_texts)
    titles = tuple(tuple(dict.fromkeys(e.title for e in item.entries.values() if e.title)) for item in questions)
    articles = _numbers(questions, "article")
    unknown = articles < 0
    articles[unknown] = articles.max() + 1 + np.arange(int(unknown.sum()))
    return ParallelData(
        name=name,
        languages=tuple(languages),
        ids=tuple(places),
        queries=table("query", ""),
        passages=table("passage", ""),
        passage_ids=table("passage_id", ""),
        relevant_keys=tuple(_keys(item) for item in questions),
        articles=articles,
        paragraphs=_numbers(questions, "paragraph"),
        negatives=negatives if any(texts for column in negatives for texts in column) else None,
        titles=titles if any(titles) else (),
        kind=kind,
        source=source or name,
        files=dict(files or {}),
        partial=dict(partial or {}),
    )


def _check(item: Item, place: str) -> None:
    if not item.entries:
        raise DataError(f"{place}: it is in no language", remedy="give it a text and a passage in at least one")
    for code, entry in item.entries.items():
        texts = {"query": [entry.query], "passage": [entry.passage], "negative": entry.negatives}
        for what, of_kind in texts.items():
            if not all(map(has_text, of_kind)):
                raise DataError(
                    f"{place}: the {what} in {code} is empty",
                    remedy="give it a text, or leave this language of the question out",
                )
        if entry.passage in entry.negatives:
            raise DataError(f"{place}: the passage in {code} is also one of its negatives", remedy="take it out there")


def _keys(item: Item) -> tuple[str, ...]:
    """What identifies every passage that answers the question, in any language."""
    keys = {(code, key) for code, entry in item.entries.items() for key in (entry.passage_id, *entry.also) if key}
    return tuple(sorted(f"{code}:{key}" for code, key in keys))


def _numbers(items: Sequence[Item], what: str) -> IntArray:
    """Number of each question's article or paragraph, int64 `[questions]`; -1 where it is not known."""
    pairs = [
        ((code, place), index)
        for index, item in enumerate(items)
        for code, entry in item.entries.items()
        if (place := getattr(entry, what))
    ]
    numbers = np.full(len(items), -1, dtype=np.int64)
    for (_, index), number in zip(pairs, number_components(pairs), strict=True):
        numbers[index] = number
    return numbers
