"""Belebele (Bandarkar et al. 2024, arXiv 2308.16884), JSON lines, a file a language.

    {"link": str, "question_number": int, "flores_passage": str, "question": str, ...}

A passage is a candidate, called by its link; it is the relevant one of its questions, and their cluster. A question is
called by link and number, as its translations are. The answers to choose from are not read.
"""

from __future__ import annotations

from pydantic import BaseModel

from xqr_bench.core.errors import DataError
from xqr_bench.core.printable import has_text, is_word
from xqr_bench.tasks.readers import DataFile, SourceCandidate, SourceData, SourceQuestion, json_lines, reader


class _Line(BaseModel, strict=True):
    link: str
    question_number: int
    flores_passage: str
    question: str


@reader("belebele")
def read(file: DataFile) -> SourceData:
    """Read one language.

    Raises:
        DataError: a line breaks a rule of the format; names file, line and remedy.
    """
    places: dict[str, int] = {}
    candidates: list[SourceCandidate] = []
    questions: list[SourceQuestion] = []
    others: list[str] = []
    seen: dict[str, tuple[int, _Line]] = {}
    again: list[str] = []
    for number, line in json_lines(file, _Line):
        if not (is_word(line.link) and has_text(line.flores_passage) and has_text(line.question)):
            raise DataError(
                f"{file.name}, line {number}: the link is not one word, or passage or question is empty",
                remedy="take the file from its source again",
            )
        key = f"{line.link}#{line.question_number}"
        before, first = seen.setdefault(key, (number, line))
        if first != line:
            raise DataError(
                f"{file.name}, line {number}: the question {key} had other texts in line {before}",
                remedy="take the file from its source again",
            )
        if before != number:
            again.append(key)
            continue
        place = places.setdefault(line.link, len(candidates))
        if place == len(candidates):
            candidates.append(SourceCandidate(line.link, line.flores_passage, cluster=line.link))
        elif candidates[place].text != line.flores_passage:
            others.append(line.link)
        questions.append(SourceQuestion(key, line.question, {place: 1.0}, line.link))
    notes = []
    if others:
        what = "lines have another passage than an earlier line with the same link"
        notes.append(f"{len(others):,} {what}, such as {others[0]}; the first counts")
    if again:
        notes.append(f"{len(again):,} lines stand there again and count once, such as {again[0]}")
    return SourceData(tuple(candidates), tuple(questions), notes=tuple(notes))
