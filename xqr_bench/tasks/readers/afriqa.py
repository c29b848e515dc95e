"""The gold passages of AfriQA (Ogundepo et al. 2023, arXiv 2305.06897), JSON lines, a file a language of questions.

    {"id": str, "question_lang": str, "question_translated": str, "context": str or null, "title": str or null, ...}

A question is asked in an African language; the passage that answers it is of the English or French Wikipedia, as the
task file says (`candidates_in`). `afriqa` reads the question as it was asked, `afriqa-translated` its translation by a
person into the language of the passage. Ids count from 0 in every file, so the task is not parallel. A passage that
answers several questions is one candidate, called by the SHA-256 of its title and text; its cluster is the article, by
its title. A question without a passage has no relevant candidate.
"""

from __future__ import annotations

import hashlib

from pydantic import BaseModel

from xqr_bench.core.errors import DataError
from xqr_bench.core.printable import has_text
from xqr_bench.tasks.readers import DataFile, SourceCandidate, SourceData, SourceQuestion, json_lines, reader


class _Line(BaseModel, strict=True):
    id: str
    question_lang: str
    question_translated: str
    context: str | None
    title: str | None


@reader("afriqa", local_ids=True)
def read(file: DataFile) -> SourceData:
    """The questions as they were asked."""
    return _read(file, "question_lang")


@reader("afriqa-translated", local_ids=True)
def read_translated(file: DataFile) -> SourceData:
    """The questions in the language of the passages."""
    return _read(file, "question_translated")


def _read(file: DataFile, field: str) -> SourceData:
    passages: dict[str, int] = {}
    seen: dict[str, tuple[int, _Line]] = {}
    again: list[str] = []
    candidates: list[SourceCandidate] = []
    questions: list[SourceQuestion] = []
    for number, line in json_lines(file, _Line):
        before, first = seen.setdefault(line.id, (number, line))
        if first != line:
            raise DataError(
                f"{file.name}, line {number}: the id {line.id!r} had other texts in line {before}",
                remedy="give each question an id of its own",
            )
        if before != number:
            again.append(line.id)
            continue
        context, title = line.context or "", line.title or ""
        gains = {}
        if has_text(context):
            name = hashlib.sha256(f"{title}\n{context}".encode()).hexdigest()[:16]
            if passages.setdefault(name, len(candidates)) == len(candidates):
                candidates.append(SourceCandidate(name, context, cluster=title))
            gains = {passages[name]: 1.0}
        questions.append(SourceQuestion(line.id, getattr(line, field), gains, title))
    titles = {one.cluster: one.cluster for one in candidates if one.cluster}
    notes = (f"{len(again):,} lines stand there again and count once, such as {again[0]}",) if again else ()
    return SourceData(tuple(candidates), tuple(questions), titles, notes)
