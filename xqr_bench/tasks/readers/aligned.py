"""Text aligned by line, as NTREX and FLORES are: line n of every file is the same sentence in another language.

A section has one file, `text`, with a sentence a line, and may have another, `documents`, that names the document of
each line. A sentence is a candidate and a question, with the number of its line, from 0, as id; its cluster is its
document. Lines without text are left out of their own language only, and counted.

A sentence cannot be looked for among those of its own language, itself being the best answer there and wherever that
language is in the pool. So the format has the cross-lingual setting only.

Where each language has a translation of its own, as Tatoeba has an English side for each, the format is
`aligned-pairs`: a section has a file of questions, `text`, and one of candidates, `translation`, and line n of the
second is the relevant of line n of the first. Pairs with equal translations are one cluster, in all languages. Lines
without text or translation are left out, and counted. Equal translations of several sections would stand in a pool of
all as often as they occur there, and one of them would be the right one: cross-lingual only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sized

from xqr_bench.core.errors import DataError
from xqr_bench.core.printable import stripped
from xqr_bench.core.types import CROSS_LINGUAL
from xqr_bench.tasks.readers import DataFile, SourceCandidate, SourceData, SourceQuestion, reader


@reader("aligned", parts=("text", "documents"), optional=("documents",), settings=(CROSS_LINGUAL,))
def read(text: DataFile, documents: DataFile | None = None) -> SourceData:
    """Read one language.

    Raises:
        DataError: the two files have different numbers of lines, or a file cannot be read.
    """
    texts = [stripped(line) for _, line in text.lines()]
    clusters = [""] * len(texts) if documents is None else [line.strip() for _, line in documents.lines()]
    if documents is not None:
        _check_lengths((text, texts), (documents, clusters), "line n names the document of line n")
    candidates: list[SourceCandidate] = []
    questions: list[SourceQuestion] = []
    for number, (sentence, cluster) in enumerate(zip(texts, clusters, strict=True)):
        if sentence:
            questions.append(SourceQuestion(str(number), sentence, {len(candidates): 1.0}, cluster))
            candidates.append(SourceCandidate(str(number), sentence, cluster=cluster))
    return SourceData(tuple(candidates), tuple(questions), notes=_left_out(texts), lines=len(texts))


@reader("aligned-pairs", parts=("text", "translation"), settings=(CROSS_LINGUAL,), local_ids=True)
def read_pairs(text: DataFile, translation: DataFile) -> SourceData:
    """Read one language and its translation.

    Raises:
        DataError: the two files have different numbers of lines, or a file cannot be read.
    """
    texts, translations = ([stripped(line) for _, line in file.lines()] for file in (text, translation))
    _check_lengths((text, texts), (translation, translations), "line n is the translation of line n")
    candidates: list[SourceCandidate] = []
    questions: list[SourceQuestion] = []
    for number, (sentence, translated) in enumerate(zip(texts, translations, strict=True)):
        if sentence and translated:
            cluster = hashlib.sha256(translated.encode()).hexdigest()[:16]
            questions.append(SourceQuestion(str(number), sentence, {len(candidates): 1.0}, cluster))
            candidates.append(SourceCandidate(str(number), translated, cluster=cluster))
    return SourceData(
        tuple(candidates), tuple(questions), notes=_left_out(map(all, zip(texts, translations, strict=True)))
    )


def _check_lengths(first: tuple[DataFile, Sized], second: tuple[DataFile, Sized], remedy: str) -> None:
    (one, lines), (other, others) = first, second
    if len(lines) != len(others):
        raise DataError(
            f"{other.name}: not as many lines as {one.name}",
            found=f"{len(others):,} lines and {len(lines):,}",
            remedy=remedy,
        )


def _left_out(lines: Iterable[object]) -> tuple[str, ...]:
    """How many lines have nothing to read."""
    empty = [number for number, line in enumerate(lines, 1) if not line]
    return (f"{len(empty):,} lines without text are left out, such as line {empty[0]}",) if empty else ()
