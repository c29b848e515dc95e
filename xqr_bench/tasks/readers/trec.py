"""The files of TREC, a section of three: MIRACL, CIRAL, NeuCLIR and others.

    corpus   JSON lines as in `beir`, or lines of an id, a tab and a text
    queries  the same; a tab-separated file of topics
    qrels    four columns: question, not looked at, candidate, grade

`judged.py` has the rules.
"""

from __future__ import annotations

from xqr_bench.tasks.readers import DataFile, SourceData, reader
from xqr_bench.tasks.readers.judged import PARTS, items, join, judgements


@reader("trec", parts=PARTS, several=True, tells_languages=True)
def read(corpus: DataFile, queries: DataFile, qrels: DataFile) -> SourceData:
    """Read one section.

    Raises:
        DataError: a line breaks a rule of the format; names file, line and remedy.
    """
    return join(items(corpus, columns=True), items(queries, columns=True), judgements(qrels))
