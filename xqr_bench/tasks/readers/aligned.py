"""Text aligned by line, as NTREX and FLORES are: line n of every file is the same sentence in another language.

A section has one file, `text`, with a sentence a line, and may have another, `documents`, that names the document of
each line. A sentence is a candidate and a question, with the number of its line, from 0, as id; its cluster is its
document. Lines without text are left out of their own language only, and counted.

A sentence cannot be looked for among those of its own language, itself being the best answer there and wherever that
language is in the pool. So the format has the cross-lingual setting only.
"""

from __future__ import annotations

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
    if documents is not None and len(clusters) != len(texts):
        raise DataError(
            f"{documents.name}: not as many lines as {text.name}",
            found=f"{len(clusters):,} lines and {len(texts):,}",
            remedy="line n names the document of line n",
        )
    candidates: list[SourceCandidate] = []
    questions: list[SourceQuestion] = []
    for number, (sentence, cluster) in enumerate(zip(texts, clusters, strict=True)):
        if sentence:
            questions.append(SourceQuestion(str(number), sentence, {len(candidates): 1.0}, cluster))
            candidates.append(SourceCandidate(str(number), sentence, cluster=cluster))
    empty = [number for number, sentence in enumerate(texts, 1) if not sentence]
    notes = (f"{len(empty):,} lines without text are left out, such as line {empty[0]}",) if empty else ()
    return SourceData(tuple(candidates), tuple(questions), notes=notes, lines=len(texts))
