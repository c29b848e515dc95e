"""The ranks of a record in a Parquet file, and their digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_parquet
from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import atomic_path
from xqr_bench.core.types import N_HITS, Hits, IntArray, Ranks, Texts

# One row per (query, relevant), and a digest of the canonical columns. Those of a submission are
# pooled: counts of the whole pool and of the relevant's own language, from which every figure follows, and not of each
# language. They weigh a fifth: the counts of the own language are taken off those of the pool, the bytes of a number
# are kept apart, and nothing stands in dictionaries, so that what recurs with each query language is stored once.
#
# Collapsed ranks, of more than MOST_COLUMNS languages, are pooled ones that tell in two columns what stands first, and
# have counts of the query's own language.

FORMAT = "xqr-bench ranks 1"
POOLED_FORMAT = "xqr-bench ranks 2"
COLLAPSED_FORMAT = "xqr-bench ranks 3"
OWN = ("own_gt", "own_eq")
PACKED = ("own_gt", "gt")
_QUERY = ("query_gt", "query_eq")
_TOP = "top_"
_OWN_TOP = ("top_own", "top_others")
ROWS_AT_ONCE = 2**20
"""Rows of a group in a file, which is made and written before the next."""
_HITS = ("best", "beyond")
_KEYS: dict[str, strict_parquet.Kind] = {
    "query_language": "text",
    "question": "text",
    "article": "integer",
    "candidate": "text",
    "candidate_language": "text",
    "gain": "float",
}


Values = NDArray[Any] | Texts


def _canonical(ranks: Ranks) -> Iterator[tuple[str, Values]]:
    """The columns of the file by name, in order, one at a time."""
    rows = ranks.row_queries
    for name, values in _keys(ranks, rows):
        yield name, values
    counts: list[tuple[str, NDArray[Any] | None]] = [("gt", ranks.gt[:, 0]), ("eq", ranks.eq[:, 0])]
    if ranks.by_language:
        counts = [
            (f"{kind}_{language}", getattr(ranks, kind)[:, column])
            for column, language in enumerate(ranks.columns)
            for kind in ("gt", "eq")
        ]
    counts += [(name, getattr(ranks, name)) for name in (*OWN, *_QUERY)]
    yield from ((name, values.astype(np.int32, copy=False)) for name, values in counts if values is not None)
    for name, column, top in _tops(ranks):
        yield name, top[rows, column].astype(np.int32)
    if ranks.hits is not None:
        for name, of_queries in zip(_HITS, _hit_texts(ranks.hits, ranks.columns), strict=True):
            yield name, Texts.of(of_queries).take(rows)


def _tops(ranks: Ranks) -> list[tuple[str, int, NDArray[np.int32]]]:
    """The columns of what stands first: name, and where it is in which array."""
    if ranks.own_top is not None:
        return [(name, column, ranks.own_top) for column, name in enumerate(_OWN_TOP)]
    if ranks.top is not None:
        return [(f"{_TOP}{code}", column, ranks.top) for column, code in enumerate(ranks.columns)]
    return []


def _keys(ranks: Ranks, rows: IntArray) -> Iterator[tuple[str, Values]]:
    """What the rows of the file are of."""
    yield "query_language", Texts.of(ranks.query_languages).take(rows)
    yield "question", Texts.of(ranks.question_ids).take(rows)
    yield "article", ranks.articles[rows].astype(np.int32)
    yield "candidate", Texts.of(ranks.relevant_ids)
    yield "candidate_language", Texts(ranks.columns, ranks.relevant_columns)
    yield "gain", ranks.gains.astype(np.float64, copy=False)


# The best candidates of a query in two texts, "en>en=de" and "de:3 fr:1": the language of each, best first, with ">"
# before one that scores less and "=" before one that scores the same; and how many more score as the last of them does.


def _hit_texts(hits: Hits, languages: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both texts of each query."""
    marked = [[f"{mark}{code}" for code in languages] for mark in ">="]
    best = [
        "".join([marked[same][column] for column, same in zip(*of_query, strict=True) if column >= 0])[1:]
        for of_query in zip(hits.columns.tolist(), hits.tied.tolist(), strict=True)
    ]
    beyond = [""] * len(best)
    for query in np.flatnonzero(hits.beyond.any(axis=1)).tolist():
        counted = zip(languages, hits.beyond[query].tolist(), strict=True)
        beyond[query] = " ".join(f"{code}:{n}" for code, n in counted if n)
    return best, beyond


def _hits(best: list[str], beyond: list[str], languages: Sequence[str]) -> Hits:
    """What `_hit_texts` was given; ValueError (or KeyError) where it writes no such texts."""
    number = {code: index for index, code in enumerate(languages)}
    columns = np.full((len(best), N_HITS), -1, dtype=np.int16)
    tied = np.zeros(columns.shape, dtype=np.bool_)
    more = np.zeros((len(best), len(languages)), dtype=np.int32)
    for query, (text, rest) in enumerate(zip(best, beyond, strict=True)):
        hits = re.findall("([>=])([^>=]*)", f">{text}") if text else []
        if len(hits) > N_HITS:
            raise ValueError(f"more than {N_HITS} best candidates of a query")
        columns[query, : len(hits)] = [number[code] for _, code in hits]
        tied[query, : len(hits)] = [mark == "=" for mark, _ in hits]
        for item in rest.split(" ") if rest else ():
            code, _, n = item.partition(":")
            more[query, number[code]] = int(n) if re.fullmatch("[1-9][0-9]{0,8}", n) else -1
    made = Hits(columns, tied, more)
    if _hit_texts(made, languages) != (best, beyond):
        raise ValueError("the best candidates of a query are not as xqr-bench writes them")
    return made


def _facts(ranks: Ranks) -> dict[str, Any]:
    pooled = POOLED_FORMAT if ranks.own_top is None else COLLAPSED_FORMAT
    return {
        "format": FORMAT if ranks.by_language else pooled,
        "task": ranks.task,
        "columns": list(ranks.columns),
        "column_sizes": [int(size) for size in ranks.column_sizes],
        "depth": ranks.depth,
        **({} if ranks.by_language else {"own_lists": ranks.own_lists}),
        **({"separate": True} if ranks.separate else {}),
    }


def ranks_digest(ranks: Ranks) -> str:
    """SHA-256 over the facts and the canonical columns: the same for the same ranks, however the file is packed."""
    return columns_digest(_facts(ranks), _canonical(ranks))


def columns_digest(facts: dict[str, Any], columns: Iterable[tuple[str, Values]]) -> str:
    """SHA-256 over the facts and the columns."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, values in columns:
        digest.update(f"\n{name}\n".encode())
        if isinstance(values, Texts):
            for piece in _json_texts(values):
                digest.update(piece.encode())
        else:
            digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _json_texts(values: Texts) -> Iterator[str]:
    """`json.dumps(values, ensure_ascii=False)`, piece by piece; each distinct text is written once."""
    written = [json.dumps(text, ensure_ascii=False) for text in values.distinct]
    yield "["
    for start in range(0, len(values), ROWS_AT_ONCE):
        places = values.places[start : start + ROWS_AT_ONCE].tolist()
        yield (", " if start else "") + ", ".join([written[place] for place in places])
    yield "]"


def write_columns(facts: dict[str, Any], groups: Iterable[Mapping[str, Values]], path: Path, **packing: Any) -> None:
    """Write groups of rows to a file, whole or not at all; each is made when it is written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as file,
        ExitStack() as stack,
    ):  # whose name need not be text
        writer = None
        for columns in groups:
            table = pa.Table.from_arrays([_arrow(values) for values in columns.values()], names=list(columns))
            table = table.replace_schema_metadata({"xqr_bench": json.dumps(facts, sort_keys=True)})
            if writer is None:
                how = {"compression": "zstd", "compression_level": 9, **packing}
                writer = stack.enter_context(pq.ParquetWriter(file, table.schema, **how))
            writer.write_table(table)


def packed_small(split: Iterable[str]) -> dict[str, Any]:
    """How the files of a submission are packed; the bytes of the columns in `split` are kept apart."""
    return {
        "compression_level": 19,
        "use_dictionary": False,
        "column_encoding": dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
        "data_page_size": 2**26,  # what recurs is found within a page
    }


def _arrow(values: Values) -> Any:
    """The column for pyarrow, texts as a dictionary; from its bytes, as pyarrow's own conversion imports pandas."""
    import pyarrow as pa

    if not isinstance(values, Texts):
        kind = pa.int32() if values.dtype == np.int32 else pa.float64()
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])
    used, first, places = np.unique(values.places, return_index=True, return_inverse=True)
    order = np.argsort(first)  # numbered by first appearance
    number = np.empty(len(order), dtype=np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    distinct = [values.distinct[place].encode() for place in used[order].tolist()]
    ends = np.cumsum([0, *map(len, distinct)], dtype=np.int32)
    texts = pa.Array.from_buffers(
        pa.string(), len(distinct), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(distinct))]
    )
    return pa.DictionaryArray.from_arrays(_arrow(number[places]), texts)


def save_ranks(ranks: Ranks, path: Path) -> None:
    """Write the ranks to `path` (Parquet, zstd), whole or not at all."""

    def groups() -> Iterator[dict[str, Values]]:
        for part in ranks.parts(ROWS_AT_ONCE):
            columns = dict(_canonical(part))
            if not part.by_language:
                columns |= {kind: columns[kind] - columns[f"own_{kind}"] for kind in ("gt", "eq")}  # type: ignore[operator]
            yield columns

    packing = {} if ranks.by_language else packed_small(PACKED)
    if ranks.own_top is not None:  # millions of rows: texts by their indices, and packed within minutes
        texts = [name for name, kind in _KEYS.items() if kind == "text"]
        packing |= {"use_dictionary": texts, "compression_level": 9}
    write_columns(_facts(ranks), groups(), path, **packing)


def load_ranks(path: Path, rows: int | None = None) -> Ranks:
    """Read ranks back.

    Args:
        path: the file; nobody needs to have checked it.
        rows: how many rows it must have; None: any number.

    Raises:
        RecordError: the file is missing, is not a ranks file, or its columns do not fit together.
    """
    remedy = "evaluate again with --overwrite, or get the ranks file that belongs to the record"
    if not path.is_file():
        raise RecordError(f"there is no ranks file {path}", remedy=remedy)
    try:
        table = strict_parquet.read(path, _known_columns, rows=rows, most=lambda facts: _most_unpacked(facts, rows))
        return _ranks(table)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} is not a ranks file: {error}", remedy=remedy) from error


def _most_unpacked(facts: Mapping[str, Any], rows: int | None) -> int:
    """Bytes that a ranks file may unpack to; collapsed ones, of very many rows, more where these were known before."""
    many = facts.get("format") == COLLAPSED_FORMAT and rows is not None
    return strict_parquet.MAX_UNPACKED_ROWS if many else strict_parquet.MAX_UNPACKED


def _known_columns(facts: Mapping[str, Any]) -> dict[str, strict_parquet.Kind]:
    """The columns of a ranks file with these facts, in order; ValueError where they are not as they are written."""
    form = facts.get("format")
    pooled, collapsed = form in (POOLED_FORMAT, COLLAPSED_FORMAT), form == COLLAPSED_FORMAT
    if form != FORMAT and not pooled:
        raise ValueError(f"its format is {str(form)[:40]!r}, not {FORMAT!r}, {POOLED_FORMAT!r} or {COLLAPSED_FORMAT!r}")
    languages, sizes, depth = facts.get("columns"), facts.get("column_sizes"), facts.get("depth")
    if (
        facts.keys() - ({"separate"} if pooled else set())
        != {"format", "task", "columns", "column_sizes", "depth", *(["own_lists"] if pooled else [])}
        or facts.get("separate", True) is not True
        or not isinstance(facts.get("own_lists", False), bool)
        or not isinstance(facts.get("task"), str)
        or not isinstance(languages, list)
        or not isinstance(sizes, list)
        or not languages
        or len(set(map(str, languages))) != len(sizes)
        or not all(isinstance(code, str) for code in languages)
        or not all(type(size) is int and 0 <= size < 2**31 for size in sizes)
        or not (depth is None or (type(depth) is int and depth >= 1))
    ):
        raise ValueError("its facts are not as xqr-bench writes them")
    counts = ["gt", "eq"] if pooled else [f"{kind}_{code}" for code in languages for kind in ("gt", "eq")]
    tops = _OWN_TOP if collapsed else [f"{_TOP}{code}" for code in languages]
    return {
        **_KEYS,
        **dict.fromkeys([*counts, *OWN, *(_QUERY if collapsed else ()), *tops], "integer"),
        **dict.fromkeys(_HITS, "text"),
    }


def _ranks(table: strict_parquet.Table) -> Ranks:
    facts, numbers, texts = table.facts, table.numbers, table.texts
    columns = tuple(facts["columns"])
    pooled, collapsed = facts["format"] != FORMAT, facts["format"] == COLLAPSED_FORMAT
    tops = list(_OWN_TOP) if collapsed else [f"{_TOP}{name}" for name in columns]
    optional_groups = (() if collapsed else tops, () if pooled else OWN, _QUERY if collapsed else (), _HITS)
    left_out = {name for group in optional_groups if not set(group) & set(table.names) for name in group}
    missing = [name for name in _known_columns(facts) if name not in table.names and name not in left_out]
    if missing:
        raise ValueError(f"it lacks the column {missing[0]!r}")
    languages, questions, candidate_languages = map(texts, ("query_language", "question", "candidate_language"))
    articles = numbers("article", np.int64)
    keys = languages.places.astype(np.int64) * max(1, len(questions.distinct)) + questions.places
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    if len(np.unique(keys[starts])) != len(starts):
        raise ValueError("the rows of a query do not stand together")
    lengths = np.diff(np.append(starts, len(keys)))
    position = {language: index for index, language in enumerate(columns)}
    in_columns = np.array([position.get(name, -1) for name in candidate_languages.distinct], dtype=np.int64)
    relevant_columns = in_columns[candidate_languages.places]
    if (relevant_columns < 0).any():
        first = candidate_languages[int(np.flatnonzero(relevant_columns < 0)[0])]
        raise ValueError(f"a candidate is in {first!r}, which is none of its languages")
    optional: dict[str, Any] = {name: numbers(name, np.int32) for name in (*OWN, *_QUERY) if name in table.names}
    if pooled:
        gt, eq = (numbers(kind, np.int32)[:, None] + optional[f"own_{kind}"][:, None] for kind in ("gt", "eq"))
        optional |= {"own_parts": not facts["own_lists"], "separate": "separate" in facts}
    else:
        gt, eq = (np.column_stack([numbers(f"{kind}_{name}", np.int32) for name in columns]) for kind in ("gt", "eq"))
    if tops[0] in table.names:
        counted = np.column_stack([numbers(name, np.int32) for name in tops])
        top = counted[starts]
        if (counted != np.repeat(top, lengths, axis=0)).any():
            raise ValueError("the rows of a query tell of different top results")
        optional["own_top" if collapsed else "top"] = top
    of_query, asked = list(languages.take(starts)), list(questions.take(starts))
    if _HITS[0] in table.names:
        best, beyond = (texts(name) for name in _HITS)
        for of_rows in (best, beyond):
            if (of_rows.places != np.repeat(of_rows.places[starts], lengths)).any():
                raise ValueError("the rows of a query tell of different best candidates")
        optional["hits"] = _hits(list(best.take(starts)), list(beyond.take(starts)), columns)
    return Ranks(
        task=facts["task"],
        columns=columns,
        column_sizes=np.array(facts["column_sizes"], dtype=np.int64),
        question_ids=asked,
        query_languages=of_query,
        articles=articles[starts],
        offsets=np.append(starts, len(keys)),
        relevant_ids=texts("candidate"),
        relevant_columns=relevant_columns,
        gains=numbers("gain", np.float64),
        gt=gt,
        eq=eq,
        depth=facts["depth"],
        **optional,
    )
