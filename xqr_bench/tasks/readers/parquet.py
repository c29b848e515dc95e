"""Parquet files as MTEB and the hub of datasets have them, a section of three.

    corpus   columns `_id` or `id`, `text`, and perhaps `title`
    queries  columns `_id` or `id`, `text`
    qrels    columns `query-id`, `corpus-id`, `score`

Other columns are not read; a column `lang` or `language` is the language of the row. `judged.py` has the rules.
`core/strict_parquet.py` reads only what this package wrote; here rows come in batches, and a task file names its data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xqr_bench.core.errors import DataError
from xqr_bench.tasks.readers import DataFile, SourceData, reader
from xqr_bench.tasks.readers.judged import (
    CANDIDATES,
    GRADES,
    IDS,
    PARTS,
    QUESTIONS,
    TEXTS,
    At,
    item_of,
    join,
    judgement_of,
)

_ITEM = {*IDS, *TEXTS, "title", "lang", "language"}
_JUDGEMENT = {*QUESTIONS, *CANDIDATES, *GRADES}


@reader("parquet", parts=PARTS, several=True, tells_languages=True)
def read(corpus: DataFile, queries: DataFile, qrels: DataFile) -> SourceData:
    """Read one section.

    Raises:
        DataError: a file is not Parquet, or a row breaks a rule of the format; names file, row (from 1) and remedy.
    """
    return join(
        (item_of(at, row) for at, row in _rows(corpus, _ITEM)),
        (item_of(at, row) for at, row in _rows(queries, _ITEM)),
        (judgement_of(at, row) for at, row in _rows(qrels, _JUDGEMENT)),
    )


def _rows(file: DataFile, wanted: set[str]) -> Iterator[tuple[At, dict[str, Any]]]:
    """The rows of the wanted columns, some thousands in memory at a time."""
    for one in (file, *file.more):
        yield from _rows_of(one, wanted)


def _rows_of(file: DataFile, wanted: set[str]) -> Iterator[tuple[At, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with file.stream() as stream:
            table = pq.ParquetFile(stream)
            names = [name for name in table.schema_arrow.names if name in wanted]
            for batch in table.iter_batches(8192, columns=names):
                for row in batch.to_pylist():
                    number += 1
                    yield At(file.name, number, "row"), row
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(
            f"{file.name}: not a whole Parquet file", found=str(error)[:200], remedy="take it from its source again"
        ) from None
