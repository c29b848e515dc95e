"""Damage to files as strategies of hypothesis: bytes, JSON, Parquet, NumPy, gzip and lines of text."""

from __future__ import annotations

import copy
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

TEXTS = (
    *("", " ", "\0", "\x1b[2J", "\u202e", "\u200b", "a/b", "../../x", "x" * 300, "x" * 5000, "-rf", "CON", "NaN", "1"),
    *("a,b", "e\u0301", "\ufeff", "\ud800", "\ufffd", "{}", "null", "hybrid", "en", "map", "run:", "precomputed:", "~"),
    "<script>alert(1)</script>",
)
NUMBERS = (0, -1, 1, 2, 255, 2**31 - 1, 2**31, -(2**31), 2**53, 2**63 - 1, -(2**63), 0.5, -0.5, 1e308, 1e-308)
VALUES = (None, True, False, [], {}, [None], [[]], {"a": 1}, *NUMBERS, *TEXTS)
RAW = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "[" * 70 + "]" * 70, "[" * 100_000, '"\\ud800"', "x", "")
CHUNKS = (
    *(b"", b"\0", b"\n", b"\r", b"\t", b" ", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc0\x80", b"\xed\xa0\x80"),
    *(b'"', b"{", b"[", b"]]]", b"[" * 5000, b"NaN", b"1e999", b"9" * 5000, b"-1", b"\x1f\x8b\x08", b"PK\x03\x04"),
    *(b"\0" * 64, b"\xff" * 64, b"\x7f" * 8, b"\xc2\xa0", b"\xe2\x80\xa8", b"x" * 70_000),
)
_PLACE = "\ue000raw\ue000"
_WORDS = (
    b"\xff" * 4,
    b"\xff" * 8,
    b"\0" * 8,
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"\0\0\0\0\0\1\0\0",
    b"\xff" * 7 + b"\x7f",
)


def damaged(draw: Draw, content: bytes) -> bytes:
    """Bytes flipped, cut, put in, taken out, doubled, or numbers of 4 and 8 bytes replaced; in one to three places."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        if draw(st.booleans()):  # headers and footers are looked at most
            at = min(at % 200, len(data)) if draw(st.booleans()) else max(len(data) - at % 600, 0)
        how = draw(st.sampled_from(("flip", "cut", "insert", "drop", "double", "number")))
        if how == "flip" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del data[at:]
        elif how == "insert":
            data[at:at] = draw(st.sampled_from(CHUNKS))
        elif how == "drop":
            del data[at : at + draw(st.integers(1, 64))]
        elif how == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 256))]
        else:
            word = draw(st.sampled_from(_WORDS))
            data[at : at + len(word)] = word
    return bytes(data)


def edited(draw: Draw, data: Any) -> str:
    """A value of JSON with one to three of its parts replaced, removed, moved, given twice, or made no JSON at all."""
    raw = ""
    for _ in range(draw(st.integers(1, 3))):
        place: Any = None
        inside, keys = data, []
        while isinstance(inside, dict | list) and inside and (place is None or draw(st.integers(0, 3))):
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            place, key = inside, draw(st.sampled_from(keys))
            inside = place[key]
        if place is None:
            return str(draw(st.sampled_from(RAW)))
        how = draw(st.sampled_from(("value", "value", "value", "remove", "other", "new", "raw", "near")))
        if how == "value":
            place[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif how == "remove":
            del place[key]
        elif how == "other":
            place[key] = copy.deepcopy(place[draw(st.sampled_from(keys))])
        elif how == "new" and isinstance(place, dict):
            place[draw(st.sampled_from(TEXTS))] = copy.deepcopy(inside)
        elif how == "raw":
            raw = draw(st.sampled_from(RAW))
            place[key] = _PLACE
        elif isinstance(inside, bool | None):
            place[key] = not inside
        elif isinstance(inside, int | float):
            place[key] = draw(st.sampled_from((-inside, inside + 1, inside * 1.0001, float(inside), str(inside))))
        elif isinstance(inside, str):
            place[key] = draw(
                st.sampled_from((inside + "\n", inside.upper(), inside[:-1], [inside], inside + "\u200b"))
            )
        elif isinstance(place, list):
            place.append(copy.deepcopy(inside))
    return json.dumps(data).replace(json.dumps(_PLACE), raw)


def json_file(draw: Draw, content: bytes) -> bytes:
    """A file of JSON."""
    if not draw(st.integers(0, 4)):
        return damaged(draw, content)
    return edited(draw, json.loads(content)).encode("utf-8", "surrogatepass")


def lines_file(draw: Draw, content: bytes) -> bytes:
    """Lines of JSON, of TOML, of columns, or of ids."""
    if draw(st.booleans()):
        return damaged(draw, content)
    lines = content.split(b"\n")
    at = draw(st.integers(0, max(len(lines) - 2, 0)))
    line = lines[at]
    if line.startswith(b"{"):
        lines[at] = edited(draw, json.loads(line)).encode("utf-8", "surrogatepass")
    elif b" = " in line and draw(st.booleans()):
        value = draw(st.sampled_from([*RAW, *(json.dumps(value) for value in VALUES)]))
        lines[at] = line.partition(b" = ")[0] + b" = " + value.encode()
    else:
        parts = line.split(draw(st.sampled_from((b" ", b"\t", b"."))))
        word = draw(st.sampled_from([*TEXTS, *RAW, *map(str, NUMBERS)])).encode("utf-8", "surrogatepass")
        parts[draw(st.integers(0, len(parts) - 1))] = word
        lines[at] = draw(st.sampled_from((b" ", b"\t", b"\xc2\xa0"))).join(parts)
    how = draw(st.sampled_from(("as it is", "twice", "without", "swapped")))
    if how == "twice":
        lines.insert(at, lines[at])
    elif how == "without":
        del lines[at]
    elif how == "swapped":
        lines[at], lines[0] = lines[0], lines[at]
    return b"\n".join(lines)


def packed_file(draw: Draw, content: bytes) -> bytes:
    """A gzip file: damaged, or packed again with other lines."""
    if draw(st.booleans()):
        return damaged(draw, content)
    return gzip.compress(lines_file(draw, gzip.decompress(content)), 1, mtime=0)


def _column(draw: Draw, values: Any) -> Any:
    """The values of a column, some of them or all replaced by what does not belong there."""
    kind = draw(st.sampled_from(("some", "null", "texts", "lists", "structs", "wide", "floats", "bytes", "no utf-8")))
    n = len(values)
    if kind == "null":
        return pa.nulls(n, draw(st.sampled_from((pa.null(), pa.string(), pa.int32(), pa.float64()))))
    if kind == "texts":
        return pa.array([draw(st.sampled_from(("x", "1", "", "x" * 300)))] * n, pa.string())
    if kind == "lists":
        return pa.array([[None, "x"]] * n)
    if kind == "structs":
        return pa.array([{"a": {"b": [1]}}] * n)
    if kind == "floats":
        return pa.array([draw(st.sampled_from((float("nan"), float("inf"), 1e308, -0.5)))] * n)
    if kind == "bytes":
        return pa.array([b"\xff\0"] * n, draw(st.sampled_from((pa.binary(), pa.large_binary(), pa.binary(2)))))
    if kind == "no utf-8":
        buffers = pa.array([b"\xff\xfe"] * n, pa.binary()).buffers()
        return pa.Array.from_buffers(pa.string(), n, buffers)
    if kind == "wide":
        type_ = draw(st.sampled_from((pa.int64(), pa.uint64(), pa.int8(), pa.timestamp("s"), pa.date64(), pa.bool_())))
        number = draw(st.sampled_from((0, 1, 127)))
        return pa.array(np.full(n, number), pa.int64()).cast(type_, safe=False)
    items = values.to_pylist()
    for _ in range(draw(st.integers(1, 3)) if items else 0):
        at, other = draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1))
        kind = draw(st.sampled_from(("null", "other", "number")))
        if kind == "null":
            items[at] = None
        elif kind == "other" or not isinstance(items[at], int | float):
            items[at] = items[other]
        else:
            items[at] = draw(st.sampled_from((-1, 0, 1, 2**31 - 1, -(2**31))))
    integer = pa.types.is_integer(values.type)
    return pa.array(items, pa.int64() if integer else values.type).cast(values.type, safe=False)


def parquet_file(draw: Draw, content: bytes) -> bytes:
    """A Parquet file: damaged, or written again with other facts, columns or rows."""
    if not draw(st.integers(0, 2)):
        return damaged(draw, content)
    table = pq.read_table(io.BytesIO(content))
    table = table.cast(pa.schema([pa.field(f.name, _plain(f.type)) for f in table.schema], table.schema.metadata))
    how = draw(st.sampled_from(("facts", "column", "column", "rows", "drop", "name", "add")))
    names = table.column_names
    at = draw(st.integers(0, len(names) - 1))
    if how == "facts":
        facts = {
            key: edited(draw, json.loads(value)).encode("utf-8", "surrogatepass") if value[:1] == b"{" else value
            for key, value in (table.schema.metadata or {}).items()
        }
        table = table.replace_schema_metadata(facts)
    elif how == "rows":
        rows = draw(st.lists(st.integers(0, table.num_rows - 1), max_size=2 * table.num_rows)) if table.num_rows else []
        table = table.take(pa.array(rows, pa.int64()))
    elif how == "drop":
        table = table.remove_column(at)
    elif how == "name":
        names[at] = draw(st.sampled_from(TEXTS)).encode("utf-8", "replace").decode()
        table = table.rename_columns(names)
    else:
        column = _column(draw, table.column(at).combine_chunks())
        table = table.append_column("extra", column) if how == "add" else table.set_column(at, names[at], column)
    stream = io.BytesIO()
    options: dict[str, Any] = {"compression": draw(st.sampled_from(("zstd", "none", "snappy")))}
    options |= draw(st.sampled_from(({}, {"row_group_size": 3}, {"use_dictionary": False})))
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def _plain(type_: Any) -> Any:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _other_array(draw: Draw, array: Any) -> Any:
    how = draw(st.sampled_from(("0-d", "1-d", "3-d", "empty", "type", "value", "fewer", "texts", "record")))
    if how == "0-d":
        return np.array(draw(st.sampled_from((0, 1.5, "x", True, 1j))))
    if how == "1-d":
        return array.reshape(-1)
    if how == "3-d":
        return array[..., None]
    if how == "empty":
        return np.empty(draw(st.sampled_from(((0,), (0, 0), (3, 0), (0, 3)))))
    if how == "type":
        types = ("f2", "f4", ">f8", "i1", "u8", "c16", "?", "S3", "U3", "M8[s]", "m8[s]", "V4")
        with np.errstate(all="ignore"):
            try:
                return array.astype(draw(st.sampled_from(types)))
            except (TypeError, ValueError):
                return array[:0]
    if how == "fewer":
        return array[:-1] if array.ndim else array
    if how == "texts":
        return np.full(array.shape, "x")
    if how == "record":
        return np.zeros(array.shape, dtype=[("a", "f4"), ("b", "i4")])
    changed = array.copy().reshape(-1)
    if len(changed):
        at = draw(st.integers(0, len(changed) - 1))
        values = (np.nan, np.inf, -1, 0, 1e30, 7)
        with np.errstate(all="ignore"):
            changed[at] = (
                "x" if changed.dtype.kind == "U" else np.array(draw(st.sampled_from(values))).astype(changed.dtype)
            )
    return changed.reshape(array.shape)


_HEADERS = (
    *(
        b"{",
        b"{'descr': '<f4'",
        b"'''",
        b"(((",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
        b"\xff",
        b"",
    ),
    *(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}", b"[" * 60 + b"]" * 60, b"(" * 3000, b"1" * 5000),
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000000000)}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3)}",
    b"{'descr': [('a', '<f4'), ('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
    b"{'descr': ('<f4', (2, -2)), 'fortran_order': False, 'shape': (3,)}",
    b"{'descr': '<U999999999', 'fortran_order': False, 'shape': (3,)}",
    b"{'descr': '<f4', 'fortran_order': 1, 'shape': None}",
    b"{'descr': None, 'fortran_order': False, 'shape': (3,)}",
    b"{1: 2, 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
)


def array_file(draw: Draw, content: bytes) -> bytes:
    """A `.npy` file: damaged, with another array, or with another header."""
    how = draw(st.sampled_from(("bytes", "array", "header")))
    if how == "bytes":
        return damaged(draw, content)
    if how == "array":
        return _npy(_other_array(draw, np.load(io.BytesIO(content))))
    header = draw(st.sampled_from(_HEADERS)) + b"\n"
    version = draw(st.sampled_from((1, 2, 3, 4, 255)))
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + content[-64:]


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def arrays_file(draw: Draw, content: bytes) -> bytes:
    """An `.npz` file: damaged, or with one of its arrays replaced, renamed or left out."""
    if draw(st.booleans()):
        return damaged(draw, content)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    name = draw(st.sampled_from(sorted(parts)))
    how = draw(st.sampled_from(("array", "array", "facts", "drop", "name")))
    if how == "facts" and "about.npy" in parts:
        about = str(np.load(io.BytesIO(parts["about.npy"])))
        parts["about.npy"] = _npy(np.array(edited(draw, json.loads(about)).encode("utf-8", "replace").decode()))
    elif how == "drop":
        del parts[name]
    elif how == "name":
        parts[draw(st.sampled_from(("about.npy", "raw.rows.npy", "x.npy", "x", "centred.sums.npy")))] = parts.pop(name)
    else:
        parts[name] = array_file(draw, parts[name])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))) as file:
        for part, packed in parts.items():
            file.writestr(part, packed)
    return stream.getvalue()


def tensors_file(draw: Draw, content: bytes) -> bytes:
    """A `.safetensors` file: damaged, or with another header."""
    if draw(st.booleans()):
        return damaged(draw, content)
    length = int.from_bytes(content[:8], "little")
    header = edited(draw, json.loads(content[8 : 8 + length])).encode("utf-8", "surrogatepass")
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


KINDS: dict[str, Callable[[Draw, bytes], bytes]] = {
    ".json": json_file,
    ".jsonl": lines_file,
    ".txt": lines_file,
    ".tsv": lines_file,
    ".toml": lines_file,
    ".run": lines_file,
    ".qrels": lines_file,
    ".gz": packed_file,
    ".parquet": parquet_file,
    ".npy": array_file,
    ".npz": arrays_file,
    ".safetensors": tensors_file,
}


def mutated(draw: Draw, suffix: str, content: bytes) -> bytes:
    """The content of a file whose name ends in `suffix`, damaged by what belongs to this kind of file."""
    return KINDS.get(suffix, damaged)(draw, content)
