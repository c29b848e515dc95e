"""The format of BEIR (Thakur et al. 2021, arXiv 2104.08663), a section of three files.

    corpus   JSON lines: {"_id": str, "title": str, "text": str}
    queries  JSON lines: {"_id": str, "text": str}
    qrels    tab-separated: query-id, corpus-id, score; with this heading or without

Also read are the names that others give to the same: `id`, `docid` and `qid`, `query`, judgements as JSON lines (`qid`,
`docid`, `relevance`: FlagEmbedding). A line may name its language (`lang` or `language`). `judged.py` has the rules.
"""

from __future__ import annotations

from xqr_bench.tasks.readers import DataFile, SourceData, reader
from xqr_bench.tasks.readers.judged import PARTS, items, join, judgements


@reader("beir", parts=PARTS, several=True, tells_languages=True)
def read(corpus: DataFile, queries: DataFile, qrels: DataFile) -> SourceData:
    """Read one section.

    Raises:
        DataError: a line breaks a rule of the format; names file, line and remedy.
    """
    return join(items(corpus), items(queries), judgements(qrels))
