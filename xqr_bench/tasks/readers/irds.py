"""Data sets of the library ir_datasets: documents, queries and judgements, by the id that it calls them by.

Where the path of a section would be stands the id, such as `beir/scifact/test`; the library downloads and keeps the
files. `judged.py` has the rules. Documents and queries are the text that the library makes of each (`default_text`),
else title and text. A grade below 0, as TREC has it for junk, is read as 0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from xqr_bench.core.errors import DataError, UsageError, closest
from xqr_bench.tasks.readers import DataFile, SourceData, reader
from xqr_bench.tasks.readers.judged import At, Item, Judgement, join

PREFIX = "irds:"
_PARTS = ("docs", "queries", "qrels")


def load_dataset(name: str) -> Any:
    """The data set that the library calls so.

    Raises:
        UsageError: the library is not installed.
        DataError: it has no such data set, or one without documents, queries or judgements.
    """
    try:
        import ir_datasets
    except ImportError as error:
        problem = f"{PREFIX}{name} needs the library ir_datasets"
        raise UsageError(problem, found=str(error), remedy="pip install 'xqr-bench[irds]'") from None
    try:
        found = ir_datasets.load(name)
    except KeyError:
        known = [str(one) for one in getattr(ir_datasets, "registry", ())]
        raise DataError(
            f"ir_datasets has no data set {name!r}",
            found=closest(name, known),
            remedy="https://ir-datasets.com lists them",
        ) from None
    if lacking := [part for part in _PARTS if not getattr(found, f"has_{part}")()]:
        raise DataError(
            f"the data set {name} of ir_datasets has no {' and no '.join(lacking)}",
            remedy="name one with queries and judgements, such as its dev or test part",
        )
    return found


def languages_of(name: str) -> tuple[str | None, str | None]:
    """The languages of a data set's queries and documents, as the library states them; None where it states none."""
    found = load_dataset(name)
    return found.queries_lang(), found.docs_lang()


@reader("irds", of_library=True)
def read(file: DataFile) -> SourceData:
    """Read one data set; `file.name` is its id.

    Raises:
        UsageError, DataError: as `load_dataset`; or an item breaks a rule, which the message names with its place.
    """
    found = load_dataset(file.name)
    junk = 0

    def judgements() -> Iterator[Judgement]:
        nonlocal junk
        for number, one in enumerate(found.qrels_iter(), 1):
            junk += one.relevance < 0
            at = At(f"{file.name} qrels", number, "row")
            yield Judgement(at, one.query_id, one.doc_id, float(max(0, one.relevance)))

    data = join(
        _items(f"{file.name} docs", found.docs_iter(), "doc_id"),
        _items(f"{file.name} queries", found.queries_iter(), "query_id"),
        judgements(),
    )
    return replace(data, notes=(*data.notes, f"{junk:,} grades below 0 are read as 0")) if junk else data


def _items(name: str, rows: Any, key: str) -> Iterator[Item]:
    for number, row in enumerate(rows, 1):
        if hasattr(row, "default_text"):
            text = row.default_text()
        else:
            text = " ".join(getattr(row, part) for part in ("title", "text") if getattr(row, part, ""))
        yield Item(At(name, number, "row"), getattr(row, key), text.strip())


def content_digest(data: SourceData) -> str:
    """SHA-256 of what was read: there is no file to have one."""
    digest = hashlib.sha256()
    for one in data.candidates:
        digest.update(json.dumps([one.id, one.text]).encode())
    for question in data.questions:
        grades = [*sorted(question.gains.items()), *((place, 0) for place in question.irrelevant)]
        digest.update(json.dumps([question.id, question.text, grades]).encode())
    return digest.hexdigest()
