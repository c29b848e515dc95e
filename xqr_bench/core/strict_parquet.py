"""Parquet files that somebody else may have written: nothing is unpacked before it is known how much it will be.

A footer may claim any size, and a page of some bytes may unpack to gigabytes. So the names and types of the columns are
checked first, and the header of every page is read: it says how many bytes the page unpacks to, the decoder allocates
just so many, and a page that holds more is refused by it. Only encodings whose output is bounded by these bytes and by
the number of rows are let through.

The footer itself unpacks too: a list in it may claim a million structs, and the schema of Arrow that it may carry is a
flatbuffer, in which one long text can stand behind any number of references. So the footer is bounded, and that schema,
which says nothing that is needed, is hidden from the decoder.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_json
from xqr_bench.core.files import stored
from xqr_bench.core.types import Texts

Kind = Literal["integer", "float", "text"]
KEY = b"xqr_bench"
MAX_UNPACKED = 128 * 2**20
MAX_UNPACKED_ROWS = 4 * 2**30
"""The same of a file whose rows were known before, such as the ranks of a hundred languages."""
MAX_RATIO = 64
_WRITER = "parquet-cpp-arrow"  # its pages stand where the footer says; other writers' lengths are read with a margin
_PHYSICAL = {"integer": "INT32", "float": "DOUBLE", "text": "BYTE_ARRAY"}
# PLAIN, PLAIN_DICTIONARY, RLE, RLE_DICTIONARY, BYTE_STREAM_SPLIT: others rebuild texts from parts of earlier ones
_ENCODINGS = frozenset({0, 2, 3, 8, 9})
_HEADER = 2**16
_FOOTER = 2**20
_TAIL = 8  # the length of the footer and the name of the format, after it
_VALUE = 8  # what a value takes when it was read
_TEXT = 64  # what a text takes beside, as an object of Python; one that stands in a dictionary is one object
_PLAIN, _DICTIONARY_PAGE = 0, 7
_LONGEST_LIST = 2**16  # of structs of nearly a kilobyte, which the decoder makes before it reads them
_ARROW_SCHEMA, _HIDDEN = b"ARROW:schema", b"ARROW-schema"


class Table:
    """The columns of a file, as numpy arrays and lists.

    Attributes:
        facts: the JSON object that the file carries under `xqr_bench`.
        names: of the columns, in order.
        rows: how many there are.
    """

    def __init__(self, table: Any, facts: dict[str, Any], limit: int) -> None:
        self._table = table
        self._limit = limit
        self.facts = facts
        self.names: list[str] = table.column_names
        self.rows: int = table.num_rows

    def numbers(self, name: str, dtype: Any) -> NDArray[Any]:
        """A column of numbers.

        Raises:
            ValueError: it has empty values.
            TypeError: its numbers do not fit `dtype`.
        """
        column = self._table.column(name)
        if column.null_count:
            raise ValueError(f"{name} holds empty values")
        return np.asarray(column.to_numpy()).astype(dtype, casting="same_kind")

    def texts(self, name: str) -> Texts:
        """A column of texts; each distinct text is read once.

        Raises:
            ValueError: it has empty values or values that are not in its dictionary, or all its texts together are
                larger than the limit.
        """
        import pyarrow.compute as pc

        column = self._table.column(name)
        if column.null_count:
            raise ValueError(f"{name} holds empty values")
        if not column.num_chunks:
            return Texts([], np.zeros(0, dtype=np.int32))
        for chunk in column.chunks:  # the decoder does not look, and what joins the chunks reads memory at any index
            indices = chunk.indices.to_numpy()
            if len(indices) and not 0 <= indices.min() <= indices.max() < len(chunk.dictionary):
                raise ValueError(f"{name} has values that are not in its dictionary")
        column = column.unify_dictionaries().combine_chunks()
        indices = column.indices.to_numpy()
        lengths = np.asarray(pc.binary_length(column.dictionary).to_numpy(), dtype=np.int64)
        if lengths[indices].sum() > self._limit:
            raise ValueError(f"the texts of {name} are too large together")
        number: dict[str, int] = {}  # a dictionary may hold a text twice
        places = [number.setdefault(text, len(number)) for text in column.dictionary.to_pylist()]
        return Texts(list(number), np.array(places, dtype=np.int32)[indices])


def read(
    path: Path,
    columns: Callable[[dict[str, Any]], Mapping[str, Kind]],
    *,
    rows: int | None = None,
    most: Callable[[dict[str, Any]], int] = lambda facts: MAX_UNPACKED,
    key: bytes = KEY,
) -> Table:
    """Read a flat table whose columns are known.

    Args:
        path: the file.
        columns: from the facts to the columns the file may have; those it has must stand in this order.
        rows: how many rows it must have; None: any number.
        most: from the facts to how many bytes it may unpack to, and 64 times its size.
        key: the facts stand under it.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or unpacks to more than that.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = _content(path)

    def opened(**options: Any) -> Any:
        return pq.ParquetFile(pa.BufferReader(content), thrift_container_size_limit=_LONGEST_LIST, **options)

    try:
        with opened() as file:
            facts = strict_json.parse((file.schema_arrow.metadata or {}).get(key, b"null"))
            if not isinstance(facts, dict):
                raise ValueError("it carries no facts of xqr-bench")
            kinds, limit = columns(facts), most(facts) + MAX_RATIO * len(content)
            names = file.schema_arrow.names
            _check_columns(file, [name for name in kinds if name in names], kinds)
            if rows is not None and file.metadata.num_rows != rows:
                raise ValueError(f"it holds {file.metadata.num_rows:,} rows instead of {rows:,}")
            _check_sizes(io.BytesIO(content), file.metadata, limit, [kinds[name] == "text" for name in names])
        texts = [name for name in names if kinds[name] == "text"]
        with opened(read_dictionary=texts, pre_buffer=False) as file:
            return Table(file.read(use_threads=False), facts, limit)
    except (pa.ArrowException, RecursionError) as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def _content(path: Path) -> bytes:
    """The bytes of the file, without the schema of Arrow in its footer.

    Raises:
        OSError: it cannot be read.
        ValueError: its footer is larger than that of any ranks.
    """
    content = stored(path).read_bytes()
    length = int.from_bytes(content[-_TAIL:][:4], "little")
    if length > _FOOTER:
        raise ValueError(f"its footer has {length:,} bytes, more than the {_FOOTER:,} allowed")
    start = max(0, len(content) - _TAIL - length)
    return content[:start] + content[start:].replace(_ARROW_SCHEMA, _HIDDEN)


def _check_columns(file: Any, wanted: list[str], kinds: Mapping[str, Kind]) -> None:
    import pyarrow as pa

    names = file.schema_arrow.names
    if names != wanted or len(file.schema) != len(names):
        strange = [name for name in names if name not in kinds]
        raise ValueError(f"it has the unknown column {strange[0]!r}" if strange else "its columns are in another order")
    for index, name in enumerate(names):
        column, type_ = file.schema.column(index), file.schema_arrow.field(name).type
        fits = {
            "integer": pa.types.is_signed_integer(type_),
            "float": type_ == pa.float64(),
            "text": type_ in (pa.string(), pa.dictionary(pa.int32(), pa.string())),
        }[kinds[name]]
        flat = column.max_repetition_level == 0 and column.max_definition_level <= 1 and column.path == name
        if column.physical_type != _PHYSICAL[kinds[name]] or not fits or not flat:
            raise ValueError(f"the column {name!r} is of the type {type_}, not {kinds[name]}")


def _check_sizes(stream: IO[bytes], facts: Any, limit: int, of_texts: list[bool]) -> None:
    if not str(facts.created_by).startswith(_WRITER):
        raise ValueError("it was not written by xqr-bench")
    unpacked = 0
    groups = [facts.row_group(i) for i in range(facts.num_row_groups)]
    if any(group.num_rows < 0 for group in groups) or sum(group.num_rows for group in groups) != facts.num_rows:
        raise ValueError("its rows are not as many as it says")
    for group in groups:
        for index in range(group.num_columns):
            column = group.column(index)
            if column.num_values != group.num_rows or column.file_path:
                raise ValueError(f"the column {column.path_in_schema!r} has not as many values as there are rows")
            pages, values = _unpacked(stream, column)
            unpacked += _VALUE * group.num_rows + pages + _TEXT * values * of_texts[index]
            if unpacked > limit:
                raise ValueError(f"it unpacks to more than {limit:,} bytes")


def _unpacked(stream: IO[bytes], column: Any) -> tuple[int, int]:
    """What the pages of a column chunk unpack to, by their own headers: bytes, and values that are no indices."""
    first = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < first:
        first = column.dictionary_page_offset
    place, end, total, values = first, first + column.total_compressed_size, 0, 0
    if first < 0 or column.total_compressed_size < 0:
        raise ValueError("its pages stand outside of the file")
    while place < end:
        stream.seek(place)
        header, length = _struct(stream.read(_HEADER))
        unpacked, packed = header.get(2, -1), header.get(3, -1)
        pages = [header[field] for field in (5, _DICTIONARY_PAGE, 8) if isinstance(header.get(field), dict)]
        sizes = (unpacked, packed, *(page.get(1, 0) for page in pages))
        if len(pages) != 1 or not all(type(size) is int and size >= 0 for size in sizes):
            raise ValueError("the header of a page cannot be read")
        encoding = pages[0].get(4 if pages[0] is header.get(8) else 2)
        if encoding not in _ENCODINGS:
            raise ValueError("a page has an encoding that xqr-bench does not write")
        dictionary = header.get(_DICTIONARY_PAGE)
        values += sizes[2] if encoding == _PLAIN or dictionary is not None else 0
        if isinstance(dictionary, dict) and not 0 <= (dictionary.get(1) or 0) <= unpacked:
            raise ValueError("a dictionary has more values than bytes")
        total += unpacked
        place += length + packed
    if place != end:
        raise ValueError("its pages are not as long as it says")
    return total, values


def _struct(data: bytes) -> tuple[dict[int, Any], int]:
    """Decode a struct of Thrift's compact protocol: field -> value (numbers and structs), and its length in bytes."""
    try:
        return _Thrift(data).struct(0)
    except IndexError:
        raise ValueError("the header of a page cannot be read") from None


class _Thrift:
    """As much of Thrift's compact protocol as page headers need."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int) -> tuple[dict[int, Any], int]:
        values: dict[int, Any] = {}
        field = 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._number()
            # the decoder counts fields in 16 bits, and skips a second one of another type
            if field in values or not 0 < field < 2**15:
                raise ValueError("the header of a page has a field that page headers do not have")
            values[field] = self._value(kind & 15, depth)
        return values, self._at

    def _value(self, kind: int, depth: int) -> Any:
        if depth > 8:
            raise ValueError("the header of a page is nested too deeply")
        if kind in (1, 2):
            return kind == 1
        if kind in (4, 5, 6):
            return self._number()
        if kind in (3, 7):  # a byte, a double
            self._at += 1 if kind == 3 else 8
            return None
        if kind == 8:
            length = self._varint()
            self._at += length
            return None
        if kind == 12:
            return self.struct(depth + 1)[0]
        raise ValueError("the header of a page has a value that page headers do not have")

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("the header of a page cannot be read")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
