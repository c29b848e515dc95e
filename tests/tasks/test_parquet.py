"""Parquet files as MTEB has them."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xqr_bench.core.errors import DataError
from xqr_bench.tasks import DataFile, SourceCandidate, SourceData
from xqr_bench.tasks.readers import parquet

CORPUS = {"_id": ["d1", "d2"], "title": ["Rain", None], "text": ["It rains.", "It snows."], "unread": [[1], [2]]}
QUERIES = {"id": ["q1"], "text": ["snow?"], "language": ["en"]}
QRELS = {"query-id": ["q1", "q1"], "corpus-id": ["d1", "d2"], "score": [0, 2]}


def packed(columns: dict[str, list[object]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def read(corpus: bytes | None = None, queries: bytes | None = None, qrels: bytes | None = None) -> SourceData:
    return parquet.read(
        DataFile("corpus.parquet", corpus or packed(CORPUS)),
        DataFile("queries.parquet", queries or packed(QUERIES)),
        DataFile("qrels.parquet", qrels or packed(QRELS)),
    )


def test_rows_are_texts_and_judgements() -> None:
    data = read()
    assert data.candidates == (SourceCandidate("d1", "Rain It rains."), SourceCandidate("d2", "It snows."))
    assert [(one.id, one.text, one.language, dict(one.gains)) for one in data.questions] == [
        ("q1", "snow?", "en", {1: 2.0})
    ]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"corpus": b"no parquet"}, "corpus.parquet: not a whole Parquet file"),
        ({"corpus": packed(CORPUS)[:-20]}, "corpus.parquet: not a whole Parquet file"),
        ({"corpus": packed({"_id": ["d1"], "body": ["x"]})}, "corpus.parquet, row 1: none of text, query, contents"),
        ({"queries": packed({"_id": [None], "text": ["x"]})}, "queries.parquet, row 1: the id None is no text"),
        ({"qrels": packed(QRELS | {"score": [0, -1]})}, "qrels.parquet, row 2: the grade -1 is no gain"),
    ],
)
def test_a_fault_is_named_with_its_row(parts: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(**parts)
