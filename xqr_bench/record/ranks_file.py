"""Ranks in Parquet: one row per (query, relevant), and a digest of the canonical columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench import strict_parquet
from xqr_bench.errors import RecordError
from xqr_bench.files import atomic_path
from xqr_bench.types import Ranks

FORMAT = "xqr-bench ranks 1"
_OWN = ("own_gt", "own_eq")
_TOP = "top_"
_KEYS: dict[str, strict_parquet.Kind] = {
    "query_language": "text",
    "question": "text",
    "article": "integer",
    "candidate": "text",
    "candidate_language": "text",
    "gain": "float",
}


def _canonical(ranks: Ranks) -> dict[str, NDArray[Any]]:
    """The columns of the file by name, in order; strings as object arrays."""
    rows = ranks.row_queries
    named: dict[str, NDArray[Any]] = {
        "query_language": np.array(ranks.query_languages, dtype=object)[rows],
        "question": np.array(ranks.question_ids, dtype=object)[rows],
        "article": ranks.articles[rows].astype(np.int32),
        "candidate": np.array(ranks.relevant_ids, dtype=object),
        "candidate_language": np.array(ranks.columns, dtype=object)[ranks.relevant_columns],
        "gain": ranks.gains.astype(np.float64),
    }
    for column, language in enumerate(ranks.columns):
        named[f"gt_{language}"] = ranks.gt[:, column].astype(np.int32)
        named[f"eq_{language}"] = ranks.eq[:, column].astype(np.int32)
    if ranks.own_gt is not None and ranks.own_eq is not None:
        named |= {"own_gt": ranks.own_gt.astype(np.int32), "own_eq": ranks.own_eq.astype(np.int32)}
    if ranks.top is not None:
        for column, language in enumerate(ranks.columns):
            named[f"{_TOP}{language}"] = ranks.top[rows, column].astype(np.int32)
    return named


def _facts(ranks: Ranks) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "task": ranks.task,
        "columns": list(ranks.columns),
        "column_sizes": [int(size) for size in ranks.column_sizes],
        "depth": ranks.depth,
    }


def ranks_digest(ranks: Ranks) -> str:
    """SHA-256 over the facts and the canonical columns: the same for the same ranks, however the file is packed."""
    digest = hashlib.sha256(json.dumps(_facts(ranks), sort_keys=True).encode())
    for name, values in _canonical(ranks).items():
        digest.update(f"\n{name}\n".encode())
        if values.dtype == object:
            digest.update(json.dumps(values.tolist(), ensure_ascii=False).encode())
        else:
            digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def save_ranks(ranks: Ranks, path: Path) -> None:
    """Write the ranks to `path` (Parquet, zstd), whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        name: pa.array(values, type=pa.string()).dictionary_encode() if values.dtype == object else pa.array(values)
        for name, values in _canonical(ranks).items()
    }
    table = pa.table(columns).replace_schema_metadata({"xqr_bench": json.dumps(_facts(ranks), sort_keys=True)})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=9)


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
        table = strict_parquet.read(path, _known_columns, rows=rows)
        return _ranks(table)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} is not a ranks file: {error}", remedy=remedy) from error


def _known_columns(facts: Mapping[str, Any]) -> dict[str, strict_parquet.Kind]:
    """The columns that a ranks file with these facts may have, in order.

    Raises:
        ValueError: the facts are of another format, or not as they are written.
    """
    if facts.get("format") != FORMAT:
        raise ValueError(f"its format is {str(facts.get('format'))[:40]!r}, not {FORMAT!r}")
    languages, sizes, depth = facts.get("columns"), facts.get("column_sizes"), facts.get("depth")
    if (
        not isinstance(facts.get("task"), str)
        or not isinstance(languages, list)
        or not isinstance(sizes, list)
        or not languages
        or len(set(map(str, languages))) != len(sizes)
        or not all(isinstance(code, str) for code in languages)
        or not all(type(size) is int and 0 <= size < 2**31 for size in sizes)
        or not (depth is None or isinstance(depth, int))
    ):
        raise ValueError("its facts are not as xqr-bench writes them")
    counts = [f"{kind}_{code}" for code in languages for kind in ("gt", "eq")]
    tops = [f"{_TOP}{code}" for code in languages]
    return {**_KEYS, **dict.fromkeys([*counts, *_OWN, *tops], "integer")}


def _ranks(table: strict_parquet.Table) -> Ranks:
    facts, numbers, strings = table.facts, table.numbers, table.texts
    missing = [name for name in _known_columns(facts) if name not in table.names and not name.startswith((*_OWN, _TOP))]
    if missing:
        raise ValueError(f"it lacks the column {missing[0]!r}")
    languages, questions = strings("query_language"), strings("question")
    articles = numbers("article", np.int64)
    keys = list(zip(languages, questions, strict=True))
    starts = [i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]]
    if len({keys[i] for i in starts}) != len(starts):
        raise ValueError("the rows of a query do not stand together")
    columns = tuple(facts["columns"])
    position = {language: index for index, language in enumerate(columns)}
    optional: dict[str, Any] = {name: numbers(name, np.int32) for name in _OWN if name in table.names}
    if f"{_TOP}{columns[0]}" in table.names:
        tops = np.column_stack([numbers(f"{_TOP}{name}", np.int32) for name in columns])
        optional["top"] = tops[starts]
        if (tops != np.repeat(optional["top"], np.diff([*starts, len(keys)]), axis=0)).any():
            raise ValueError("the rows of a query tell of different top results")
    return Ranks(
        task=facts["task"],
        columns=columns,
        column_sizes=np.array(facts["column_sizes"], dtype=np.int64),
        query_ids=[f"{languages[i]}:{questions[i]}" for i in starts],
        question_ids=[questions[i] for i in starts],
        query_languages=[languages[i] for i in starts],
        articles=articles[starts],
        offsets=np.array([*starts, len(keys)], dtype=np.int64),
        relevant_ids=strings("candidate"),
        relevant_columns=np.array([position[name] for name in strings("candidate_language")], dtype=np.int64),
        gains=numbers("gain", np.float64),
        gt=np.column_stack([numbers(f"gt_{name}", np.int32) for name in columns]),
        eq=np.column_stack([numbers(f"eq_{name}", np.int32) for name in columns]),
        depth=facts["depth"],
        **optional,
    )


def check_possible(ranks: Ranks) -> None:
    """Check that the counts can be ranks at all.

    Raises:
        RecordError: a count is negative or larger than its pool, or a relevant does not tie with itself.
    """
    sizes = ranks.column_sizes[None, :]
    ranked = (ranks.gt >= 0).all(axis=1)
    problems = {
        "a count is negative": (ranks.eq < 0).any(axis=1) | ((ranks.gt < 0).any(axis=1) & (ranks.depth is None)),
        "counts exceed the pool": ranked & (ranks.gt.astype(np.int64) + ranks.eq > sizes).any(axis=1),
        "a relevant does not tie with itself": ranked
        & (ranks.eq[np.arange(ranks.n_relevants), ranks.relevant_columns] < 1),
        "a gain is not positive": ~(ranks.gains > 0),
    }
    if ranks.own_gt is not None and ranks.own_eq is not None:
        listed = ranks.own_gt >= 0
        own_size = ranks.column_sizes[ranks.relevant_columns]
        problems["counts within the own language exceed its pool"] = listed & (
            ranks.own_gt.astype(np.int64) + ranks.own_eq > own_size
        )
        problems["a relevant does not tie with itself within its own language"] = listed & (ranks.own_eq < 1)
    if ranks.top is not None:
        top = ranks.top[ranks.row_queries]
        first = ranked & (ranks.gt.sum(axis=1) == 0)
        problems |= {
            "more candidates stand first than there are": (top < 0).any(axis=1) | (top > sizes).any(axis=1),
            "nothing stands first": ranked & (top.sum(axis=1) < 1),
            "a relevant that stands first ties with others than those that do": first & (ranks.eq != top).any(axis=1),
            "a relevant has what stands first below it": ranked & ~first & (ranks.gt < top).any(axis=1),
        }
    for problem, rows in problems.items():
        if rows.any():
            row = int(np.flatnonzero(rows)[0])
            raise RecordError(
                f"these ranks of {ranks.task} are not possible: {problem}",
                found=f"query {ranks.query_ids[int(ranks.row_queries[row])]}, relevant {ranks.relevant_ids[row]}",
                remedy="evaluate again",
            )
