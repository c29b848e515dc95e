"""Ranks on disk: those of a record, and those under other rules of relevance beside them."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_parquet
from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import atomic_path
from xqr_bench.core.jit import compiled
from xqr_bench.core.types import LEAVING, N_HITS, STRICT, Counts, Hits, IntArray, Ranks, Texts
from xqr_bench.rank.rules import what_is_left, with_paragraphs

# Ranks in Parquet: one row per (query, relevant), and a digest of the canonical columns. Those of a submission are
# pooled: counts of the whole pool and of the relevant's own language, from which every figure follows, and not of each
# language. They weigh a fifth: the counts of the own language are taken off those of the pool, the bytes of a number
# are kept apart, and nothing stands in dictionaries, so that what recurs with each query language is stored once.

#
# Collapsed ranks, of more than MOST_COLUMNS languages, are pooled ones that tell in two columns what stands first, and
# have counts of the query's own language.

FORMAT = "xqr-bench ranks 1"
POOLED_FORMAT = "xqr-bench ranks 2"
COLLAPSED_FORMAT = "xqr-bench ranks 3"
_OWN = ("own_gt", "own_eq")
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
    counts += [(name, getattr(ranks, name)) for name in (*_OWN, *_QUERY)]
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


def _small(split: Iterable[str]) -> dict[str, Any]:
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

    packing = {} if ranks.by_language else _small(_PACKED)
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
        **dict.fromkeys([*counts, *_OWN, *(_QUERY if collapsed else ()), *tops], "integer"),
        **dict.fromkeys(_HITS, "text"),
    }


def _ranks(table: strict_parquet.Table) -> Ranks:
    facts, numbers, texts = table.facts, table.numbers, table.texts
    columns = tuple(facts["columns"])
    pooled, collapsed = facts["format"] != FORMAT, facts["format"] == COLLAPSED_FORMAT
    tops = list(_OWN_TOP) if collapsed else [f"{_TOP}{name}" for name in columns]
    optional_groups = (() if collapsed else tops, () if pooled else _OWN, _QUERY if collapsed else (), _HITS)
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
    optional: dict[str, Any] = {name: numbers(name, np.int32) for name in (*_OWN, *_QUERY) if name in table.names}
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


def check_possible(ranks: Ranks) -> None:
    """Check that the counts can be ranks: each of them alone, and the relevants of a query against each other.

    Raises:
        RecordError: a count is negative, larger than its pool or beyond the depth, a relevant does not tie with itself,
            or two contradict each other (`contradictions`); names the first query and relevant.
    """
    for part in ranks.parts(ROWS_AT_ONCE):  # nothing is of two queries
        _check_possible(part)


def _check_possible(ranks: Ranks) -> None:
    sizes, each = ranks.column_sizes, (np.arange(ranks.n_relevants), ranks.relevant_columns)
    pools, itself = (sizes, ranks.eq[each]) if ranks.by_language else (sizes.sum(), ranks.eq[:, 0])
    ranked, above = (ranks.gt >= 0).all(axis=1), ranks.gt.astype(np.int64) + ranks.eq
    unranked = (ranks.gt == -1).all(axis=1) & (ranks.eq == 0).all(axis=1) & (ranks.depth is not None)
    deepest = np.iinfo(np.int64).max if ranks.depth is None else ranks.depth
    problems = {
        "a count is negative": (ranks.eq < 0).any(axis=1) | ~(ranked | unranked),
        "counts exceed the pool": ranked & (above > pools).any(axis=1),
        "counts exceed the depth the ranking is cut at": ranked & (above > deepest).any(axis=1),
        "a relevant does not tie with itself": ranked & (itself < 1),
        "a gain is not positive": ~((ranks.gains > 0) & np.isfinite(ranks.gains)),
    }
    if ranks.own_gt is not None and ranks.own_eq is not None:
        listed, above = ranks.own_gt >= 0, ranks.own_gt.astype(np.int64) + ranks.own_eq
        unlisted = (ranks.own_gt == -1) & (ranks.own_eq == 0) & (ranks.depth is not None)
        problems |= {
            "a count is negative in the own language": ~(listed | unlisted),
            "counts within the own language exceed its pool": listed & (above > sizes[ranks.relevant_columns]),
            "counts within the own language exceed the depth": listed & (above > deepest),
            "a relevant does not tie with itself within its own language": listed & (ranks.own_eq < 1),
        }
        if ranks.own_parts:
            problems |= _more_than_the_pool(ranks)
        if ranks.query_gt is not None and ranks.query_eq is not None:
            problems |= _of_query_language(ranks, ranks.query_gt, ranks.query_eq)
    counted = ranks.top if ranks.own_top is None else ranks.own_top
    if counted is not None:
        top, most = counted[ranks.row_queries], sizes if ranks.own_top is None else _own_and_other_sizes(ranks)
        first = ranked & (ranks.gt.sum(axis=1) == 0)
        problems["more candidates stand first than there are"] = (top < 0).any(axis=1) | (top > most).any(axis=1)
        if not ranks.by_language:
            top = top.sum(axis=1, keepdims=True)
        problems |= {
            "nothing stands first": ranked & (top.sum(axis=1) < 1),
            "a relevant that stands first ties with others than those that do": first & (ranks.eq != top).any(axis=1),
            "a relevant has what stands first below it": ranked & ~first & (ranks.gt < top).any(axis=1),
        }
        if ranks.own_parts and ranks.own_gt is not None and ranks.own_eq is not None:
            told = ranked
            if ranks.own_top is None:
                of_own = counted[ranks.row_queries, ranks.relevant_columns]
            else:  # known of the query's language alone
                of_own, told = ranks.own_top[ranks.row_queries, 0], ranked & _in_own_language(ranks)
            other = np.where(first, ranks.own_eq != of_own, ranks.own_gt < of_own)
            problems["other candidates of the own language stand first"] = told & other
    if ranks.hits is not None:
        problems |= _impossible_hits(ranks, ranks.hits)
    refuse_impossible(ranks, problems)
    own = ranks.relevant_columns if ranks.by_language else None
    refuse_impossible(ranks, contradictions(ranks.row_queries, ranks.gt, ranks.eq, own))
    if ranks.own_gt is not None:
        for found in _of_own_language(ranks, parts=ranks.own_parts):
            refuse_impossible(ranks, found)


def _impossible_hits(ranks: Ranks, hits: Hits) -> dict[str, NDArray[np.bool_]]:
    """Which relevants contradict the best candidates of their query: problem -> bool `[relevants]`."""
    there = hits.columns >= 0
    n, more = there.sum(axis=1), hits.beyond.sum(axis=1, dtype=np.int64)
    sizes, reached = ranks.column_sizes, np.minimum(ranks.column_sizes.sum(), hits.columns.shape[1])
    inside = np.stack([(hits.columns == column).sum(axis=1) for column in range(len(sizes))], axis=1)
    of_queries = {
        "there are fewer best candidates than could be": (n < reached) & (ranks.depth is None),
        "there are more best candidates than there are": (hits.beyond < 0).any(axis=1)
        | (inside + hits.beyond > sizes).any(axis=1)
        | ((more > 0) & (n < hits.columns.shape[1])),
        "the best candidates tie with nothing above them": hits.tied[:, 0],
    }
    if ranks.top is not None:
        first = np.cumsum(~hits.tied & there, axis=1) == 1  # the hits that tie with the first
        whole = (first | ~there).all(axis=1)  # and with what is beyond them
        tops = np.stack([((hits.columns == column) & first).sum(axis=1) for column in range(len(sizes))], axis=1)
        stated = tops + np.where(whole[:, None], hits.beyond, 0)
        of_queries["the best candidates do not begin with what stands first"] = (stated != ranks.top).any(axis=1)
    rows = ranks.row_queries
    problems = {name: wrong[rows] for name, wrong in of_queries.items()}
    # what stands above and beside a relevant among the hits, in all languages and in its own
    gt, eq, own_gt, own_eq = (values.astype(np.int64) for values in ranks.counts)
    k, of_own = hits.columns.shape[1], hits.columns[rows] == ranks.relevant_columns[:, None]
    places, tied = np.arange(k), hits.tied[rows]
    ranked, high = gt >= 0, (gt >= 0) & (gt < n[rows])
    last = gt + eq >= np.minimum(n[rows], k)  # its block holds the last of the hits
    above, block = places < gt[:, None], (places >= gt[:, None]) & (places < (gt + eq)[:, None]) & there[rows]
    begins = ~np.take_along_axis(tied, np.clip(gt, 0, k - 1)[:, None], axis=1)[:, 0]
    held = (tied | (places == gt[:, None]) | ~block).all(axis=1)
    ends = (gt + eq >= k) | ~np.take_along_axis(tied, np.clip(gt + eq, 0, k - 1)[:, None], axis=1)[:, 0]
    size = block.sum(axis=1) + np.where(last, more[rows], 0)
    deep = ranked & ~high
    problems |= {
        "a relevant ties with other best candidates than it says": high & ~(begins & held & ends & (size == eq)),
        "a relevant stands above the best candidates that it is none of": deep & (gt < (n + more)[rows]),
    }
    if not ranks.own_lists:
        own_beyond = hits.beyond[rows, ranks.relevant_columns]
        own_above, own_beside = (above & of_own).sum(axis=1), (block & of_own).sum(axis=1)
        own_beside = own_beside + np.where(last, own_beyond, 0)
        problems["the best candidates of its own language are others than a relevant says"] = (
            high & ((own_gt != own_above) | (own_eq != own_beside))
        ) | (deep & (own_gt < of_own.sum(axis=1) + own_beyond))
    return problems


def _more_than_the_pool(ranks: Ranks) -> dict[str, NDArray[np.bool_]]:
    """Which relevants have more above or beside them in their own language than in the pool that it is a part of."""
    gt, eq, own_gt, own_eq = ranks.counts
    more = (own_gt > gt) | (own_eq > eq) | ((gt < 0) != (own_gt < 0))
    return {"the own language has more than the pool": more}


def _in_own_language(ranks: Ranks) -> NDArray[np.bool_]:
    """Which relevants are in the language of their query."""
    return np.asarray(ranks.query_numbers[ranks.row_queries] == ranks.relevant_columns)


def _own_and_other_sizes(ranks: Ranks) -> IntArray:
    """For each relevant the candidates in the query's own language, and all others, int64 `[relevants, 2]`."""
    sizes = np.append(ranks.column_sizes, np.zeros(len(ranks.all_languages) - len(ranks.columns), dtype=np.int64))
    own = sizes[ranks.query_numbers][ranks.row_queries]
    return np.column_stack([own, sizes.sum() - own])


def _of_query_language(
    ranks: Ranks, of_gt: NDArray[np.int32], of_eq: NDArray[np.int32]
) -> dict[str, NDArray[np.bool_]]:
    """Which relevants have counts of the query's own language (above, beside) that cannot be, with the others."""
    gt, eq, own_gt, own_eq = ranks.counts
    ranked = gt >= 0
    same, (own, _) = _in_own_language(ranks), _own_and_other_sizes(ranks).T
    within = np.where(same | ranks.own_lists, 0, 1)  # two languages of one pool: no more than it has
    more = (of_gt + within * own_gt > gt) | (of_eq + within * own_eq > eq) | (of_gt + of_eq > own)
    differs = same & (not ranks.own_lists) & ((of_gt != own_gt) | (of_eq != own_eq))
    unranked = np.where(ranked, (of_gt < 0) | (of_eq < 0), (of_gt != -1) | (of_eq != 0))
    return {
        "the query's language has more than the pool": ranked & more,
        "the query's language has other counts than the relevant's, which is the same": differs,
        "a count is negative in the query's language": unranked,
    }


def _of_own_language(ranks: Ranks, *, parts: bool) -> Iterator[dict[str, NDArray[np.bool_]]]:
    """What contradicts itself in the lists of single languages, each possible by itself.

    Args:
        ranks: with counts of the own language.
        parts: whether its list is a part of the pool's, so that what stands in other languages is known too.
    """
    gt, eq, own_gt, own_eq = ranks.counts
    above, beside = [own_gt], [own_eq]
    if parts:
        above, beside = [*above, gt - own_gt], [*beside, eq - own_eq]
    itself = np.zeros(len(gt), dtype=np.int64)
    lists = ranks.row_queries * len(ranks.columns) + ranks.relevant_columns
    yield contradictions(lists, np.column_stack(above), np.column_stack(beside), itself)
    if parts:
        yield {_NO_SUM: _no_sum(ranks)}


def _no_sum(ranks: Ranks) -> NDArray[np.bool_]:
    """Which relevants of a pool have counts that no candidates of the single languages add up to.

    How many candidates of a language stand above a place of the pool is known at its own relevants. Elsewhere it is at
    least what is known further up, and at most what is known further down, or all that there are.
    """
    counts, wrong = ranks.counts, np.zeros(ranks.n_relevants, dtype=np.bool_)
    rows = np.flatnonzero(counts.gt >= 0)
    queries = ranks.row_queries[rows]
    order = rows[np.argsort(queries * (int(counts.gt.max(initial=0)) + 1) + counts.gt[rows], kind="stable")]
    gt, eq, own_gt, own_eq = (values.astype(np.int64) for values in counts.take(order))
    left = 0 if ranks.removed is None else ranks.removed
    sizes = np.broadcast_to(ranks.column_sizes - left, (ranks.n_queries, len(ranks.columns))).astype(np.int64)
    tops = np.zeros_like(sizes) if ranks.top is None else ranks.top.astype(np.int64)
    if ranks.own_top is not None:
        own = np.flatnonzero(ranks.query_numbers < len(ranks.columns))
        tops[own, ranks.query_numbers[own]] = ranks.own_top[own, 0]
    of, columns = ranks.row_queries[order], ranks.relevant_columns[order].astype(np.int64)
    wrong[order] = _add_up_wrongly(of, columns, gt, eq, own_gt, own_eq, sizes, tops)
    return wrong


@compiled()
def _add_up_wrongly(
    queries: IntArray,
    columns: IntArray,
    gt: IntArray,
    eq: IntArray,
    own_gt: IntArray,
    own_eq: IntArray,
    sizes: IntArray,
    tops: IntArray,
) -> NDArray[np.bool_]:
    """See `_no_sum`: of relevants ordered by query and `gt`.

    A relevant has two places: above all that tie with it, and below them.

    Args:
        queries, columns, gt, eq, own_gt, own_eq: of the relevants.
        sizes: of each language's pool, `[queries, languages]`.
        tops: how many candidates of it stand first, `[queries, languages]`.
    """
    wrong = np.zeros(len(gt), dtype=np.bool_)
    known, counted = np.empty(sizes.shape[1], dtype=np.int64), np.empty(sizes.shape[1], dtype=np.int64)
    total, topped, over = (
        0,
        False,
        -1,
    )  # of `known`; whether it holds what stands first; a language known beyond its pool
    first = 0
    while first < len(gt):  # downwards: at least so many
        if first == 0 or queries[first] != queries[first - 1]:
            known[:] = 0
            total, topped = 0, False
        last = first + 1
        while last < len(gt) and queries[last] == queries[first] and gt[last] == gt[first]:
            last += 1
        for below in range(2):
            for one in range(first, last):
                stated, own = gt[one] + below * eq[one], own_gt[one] + below * own_eq[one]
                if stated > 0 and not topped:
                    topped, total = True, 0
                    for language in range(len(known)):
                        known[language] = max(known[language], tops[queries[one], language])
                        total += known[language]
                more = max(own - known[columns[one]], 0)
                known[columns[one]] += more
                total += more
                wrong[one] |= total > stated
        counted[:] = 0  # those that tie, each language once
        beside = 0
        for one in range(first, last):
            if counted[columns[one]] == 0:
                counted[columns[one]] = own_eq[one]
                beside += own_eq[one]
        for one in range(first, last):
            wrong[one] |= beside > eq[one]
        first = last
    last, anew = len(gt), True
    while last > 0:  # upwards: at most so many
        if last == len(gt) or queries[last] != queries[last - 1]:
            total, over, anew = 0, -1, True
            for language in range(len(known)):
                known[language] = sizes[queries[last - 1], language]
                total += known[language]
        first = last - 1
        while first > 0 and queries[first - 1] == queries[last - 1] and gt[first - 1] == gt[last - 1]:
            first -= 1
        for below in range(1, -1, -1):
            for one in range(last - 1, first - 1, -1):
                language, own = columns[one], own_gt[one] + below * own_eq[one]
                if over not in (-1, language):
                    less = known[over] - sizes[queries[one], over]
                    known[over] -= less
                    total -= less
                    over = -1
                if anew or own < known[language]:
                    total += own - known[language]
                    known[language] = own
                    over = language if own > sizes[queries[one], language] else -1
                    anew = False
                wrong[one] |= total < gt[one] + below * eq[one]
        last = first
    return wrong


_NO_SUM = "the counts of the languages do not add up to those of the pool"


def contradictions(
    lists: IntArray, gt: NDArray[Any], eq: NDArray[Any], own: IntArray | None = None
) -> dict[str, NDArray[np.bool_]]:
    """Which relevants contradict others of the same list: problem -> bool `[relevants]`.

    Two relevants of a list either have the same score, and then the same candidates above and beside them, or one
    stands above the other, and then everything above and beside the upper one stands above the lower one, in each
    pool. Relevants that tie are counted among the tied candidates of their own pool. Those without a rank (a `gt`
    below 0) contradict nothing.

    Args:
        lists: the list of each relevant, int64 `[relevants]`.
        gt, eq: its counts, `[relevants, pools]`.
        own: its own pool, int64 `[relevants]`; None: there is one.
    """
    gt, eq = (np.ascontiguousarray(values, dtype=np.int64) for values in (gt, eq))
    above = _all_above(gt)
    order = np.flatnonzero(above >= 0)
    # one number a row: several times as fast as two, and nothing is lost, for counts fit in 32 bits
    order = order[np.argsort(lists[order] * (int(above.max(initial=0)) + 1) + above[order], kind="stable")]
    own = np.zeros(len(lists), dtype=np.int64) if own is None else own.astype(np.int64)
    crossing, crowded = _contradict(order, lists.astype(np.int64), gt, eq, own)
    return {"two relevants contradict each other": crossing, "more relevants tie than candidates do": crowded}


@compiled()
def _all_above(gt: IntArray) -> IntArray:
    """How many candidates of all pools stand above each relevant; -1 where it has no rank."""
    above = np.zeros(len(gt), dtype=np.int64)
    for row in range(len(gt)):
        for pool in range(gt.shape[1]):
            above[row] = -1 if gt[row, pool] < 0 or above[row] < 0 else above[row] + gt[row, pool]
    return above


@compiled()
def _contradict(
    order: IntArray, lists: IntArray, gt: IntArray, eq: IntArray, own: IntArray
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """See `contradictions`: `order` has the relevants with a rank, list by list, from the upper ones on."""
    crossing, crowded = np.zeros(len(lists), dtype=np.bool_), np.zeros(len(lists), dtype=np.bool_)
    tied = np.empty(gt.shape[1], dtype=np.int64)
    first = 0
    while first < len(order):  # those that tie
        upper = order[first]
        if first > 0 and lists[order[first - 1]] == lists[upper]:
            before = order[first - 1]
            for pool in range(gt.shape[1]):
                crossing[upper] |= gt[upper, pool] < gt[before, pool] + eq[before, pool]
        tied[:] = 0
        last, alike = first, True
        while alike:
            tied[own[order[last]]] += 1
            last += 1
            alike = last < len(order) and lists[order[last]] == lists[upper]
            for pool in range(gt.shape[1] if alike else 0):
                alike &= gt[order[last], pool] == gt[upper, pool] and eq[order[last], pool] == eq[upper, pool]
        for place in range(first, last):
            pool = own[order[place]]
            crowded[order[place]] = tied[pool] > eq[order[place], pool]
        first = last
    return crossing, crowded


def refuse_impossible(ranks: Ranks, problems: Mapping[str, Any], relevance: str = STRICT) -> None:
    """Raise RecordError where a relevant has one of the problems (problem -> which relevants have it, bool)."""
    for problem, wrong in problems.items():
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            of = ranks.task if relevance == STRICT else f"{relevance} relevance"
            # the other relevants of a paragraph have no ids in its file
            relevant = f", relevant {ranks.relevant_ids[row]}" if ranks.relevant_ids else ""
            raise RecordError(
                f"these ranks of {of} are not possible: {problem}",
                found=f"query {ranks.query_ids[int(ranks.row_queries[row])]}{relevant}",
                remedy="evaluate again",
            )


# Ranks under another rule of relevance, in Parquet, as what has to be added to the strict ranks.
#
# Lenient and judged, one row a (query, relevant) as in the ranks file: how many of the candidates that leave stand
# above it (`gt_<language>`) and beside it (`eq_<language>`; `own_gt`, `own_eq` where a language's ranking is one of its
# own), and how many leave the query's ranking (`removed_<language>`).
#
# Paragraph, one row a (query, other sentence of a relevant paragraph): `query` and `column` as indices, and its counts
# in its own language (`own_gt`, `own_eq`) and in the whole pool (`gt`, `eq`), ordered by these. In the file `gt` is
# less `own_gt`, and both are differences from the row before of the same query and column, whose bytes are kept apart:
# a fifth smaller.
#
# Beside pooled ranks these files have `gt` and `eq` of the whole pool and `own_gt` and `own_eq`, and the paragraph
# file is of some questions only, and `strict` are the ranks of these.

RELEVANCE_FORMAT = "xqr-bench relevance 1"
POOLED_RELEVANCE_FORMAT = "xqr-bench relevance 2"
_COUNTS = ("own_gt", "own_eq", "gt", "eq")
_PACKED = ("own_gt", "gt")
_REMEDY = "evaluate again with --overwrite, or get the file that belongs to the record"
Columns = dict[str, NDArray[np.int32]]


def _columns(name: str, strict: Ranks, variant: Ranks) -> Columns:
    """What is to be added to the strict ranks, by name, in order."""
    columns: dict[str, NDArray[Any]]
    if name in LEAVING:
        less = {kind: getattr(strict, kind) - getattr(variant, kind) for kind in ("gt", "eq")}
        removed = np.asarray(variant.removed)[strict.row_queries]
        columns = {key: less[kind][:, i] for kind in ("gt", "eq") for i, key in enumerate(_counts(kind, strict))}
        if strict.own_gt is not None:
            columns |= {kind: getattr(strict, kind) - getattr(variant, kind) for kind in _OWN}
        columns |= {f"removed_{code}": removed[:, i] for i, code in enumerate(strict.columns)}
    else:
        counts = (variant.own_gt, variant.own_eq, variant.gt[:, 0], variant.eq[:, 0])
        columns = {"query": variant.row_queries, "column": variant.relevant_columns}
        columns |= {kind: np.asarray(values) for kind, values in zip(_COUNTS, counts, strict=True)}
        others = _others(strict, variant)
        columns = {key: values[others] for key, values in columns.items()}
    return {key: values.astype(np.int32) for key, values in columns.items()}


def _counts(kind: str, strict: Ranks) -> list[str]:
    """The columns of the counts above (`gt`) or beside (`eq`)."""
    return [f"{kind}_{code}" for code in strict.columns] if strict.by_language else [kind]


def _others(strict: Ranks, variant: Ranks) -> NDArray[np.bool_]:
    """Which rows are not among the strict relevants, which come first in each query and column, bool `[relevants]`."""
    n = len(strict.columns)
    groups = variant.row_queries * n + variant.relevant_columns
    n_strict = np.bincount(strict.row_queries * n + strict.relevant_columns, minlength=strict.n_queries * n)
    each = np.arange(len(groups))
    first = np.maximum.accumulate(np.where(np.append(True, groups[1:] != groups[:-1])[: len(groups)], each, 0))
    return np.asarray(each - first >= n_strict[groups])


def _relevance_facts(name: str, strict: Ranks) -> dict[str, Any]:
    form = RELEVANCE_FORMAT if strict.by_language else POOLED_RELEVANCE_FORMAT
    return {"format": form, "relevance": name, "task": strict.task, "columns": list(strict.columns)}


SAMPLE_ROWS = 90_000
"""At most so many rows has a paragraph file beside pooled ranks."""


def _sample_order(questions: Iterable[str]) -> list[str]:
    return sorted(set(questions), key=lambda name: hashlib.sha256(name.encode()).digest())


def sampled_questions(questions: Iterable[str], n: int) -> frozenset[str]:
    """The n questions whose ids have the smallest SHA-256: the same ones for every encoder, whoever submits it."""
    return frozenset(_sample_order(questions)[:n])


def sample_size(question_ids: Sequence[str], rows: Iterable[int]) -> int | None:
    """Of how many questions a submission holds the paragraph ranks; None: of all.

    Args:
        question_ids: of each query.
        rows: of each query, in the paragraph file.
    """
    of_question: Counter[str] = Counter()
    for question, n in zip(question_ids, rows, strict=True):
        of_question[question] += int(n)
    fits = np.cumsum([of_question[name] for name in _sample_order(of_question)]) <= SAMPLE_ROWS
    return None if fits.all() else max(1, int(fits.sum()))


def relevance_digest(name: str, strict: Ranks, variant: Ranks) -> str:
    """SHA-256 over the facts and columns: the same for the same ranks, however the file is packed."""
    return columns_digest(_relevance_facts(name, strict), _columns(name, strict, variant).items())


def save_relevance(name: str, strict: Ranks, variant: Ranks, path: Path) -> None:
    """Write the ranks under a rule to `path` (Parquet, zstd), whole or not at all.

    Args:
        name: of VARIANTS.
        strict: the strict ranks.
        variant: those under the rule.
        path: the file.
    """
    columns = _columns(name, strict, variant)
    packing: dict[str, Any] = {}
    if name not in LEAVING:
        columns["gt"] = columns["gt"] - columns["own_gt"]
        new = _new(columns)
        for key in _PACKED:
            columns[key] = columns[key] - np.where(new, np.int32(0), np.append(np.int32(0), columns[key][:-1]))
        packing = {
            "use_dictionary": [key for key in columns if key not in _PACKED],
            "column_encoding": dict.fromkeys(_PACKED, "BYTE_STREAM_SPLIT"),
        }
    if not strict.by_language:
        packing = _small(() if name in LEAVING else _PACKED)
    write_columns(_relevance_facts(name, strict), [columns], path, **packing)


def _new(columns: Columns) -> NDArray[np.bool_]:
    """Whether a row is the first of its query and column, bool `[rows]`."""
    query, column = columns["query"], columns["column"]
    return np.append(True, (query[1:] != query[:-1]) | (column[1:] != column[:-1]))[: len(query)]


def _sums(differences: NDArray[np.int32], new: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Undo the differences from row to row."""
    total = np.cumsum(differences, dtype=np.int64)
    starts = np.flatnonzero(new)
    before = (total - differences)[starts]
    return (total - np.repeat(before, np.diff(np.append(starts, len(total))))).astype(np.int32)


def load_relevance(name: str, strict: Ranks, path: Path, rows: int | None = None) -> Ranks:
    """Read ranks under a rule back.

    Args:
        name: of VARIANTS.
        strict: the strict ranks of the same record.
        path: the file; nobody needs to have checked it.
        rows: how many rows it must have; None: any number.

    Raises:
        RecordError: the file is missing, is not of this rule and task, or does not fit the strict ranks.
    """
    if not path.is_file():
        raise RecordError(f"there is no file {path} with the ranks of {name} relevance", remedy=_REMEDY)
    try:
        table = strict_parquet.read(path, lambda facts: _known_relevance_columns(name, strict, facts), rows=rows)
        columns = {key: table.numbers(key, np.int32) for key in table.names}
        made = _left(name, strict, columns) if name in LEAVING else _paragraph(strict, columns)
        check_relevance(name, strict, made)
    except KeyError as error:
        raise RecordError(f"{path} lacks the column {error}", remedy=_REMEDY) from error
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise RecordError(f"{path} cannot be read: {error}", remedy=_REMEDY) from error
    return made


def _known_relevance_columns(name: str, strict: Ranks, facts: dict[str, Any]) -> dict[str, strict_parquet.Kind]:
    """The columns that a file of this rule may have, in order; ValueError where the facts are those of another."""
    if facts != _relevance_facts(name, strict):
        raise ValueError(f"it does not hold {name} relevance of {strict.task}")
    if name not in LEAVING:
        return dict.fromkeys(["query", "column", *_COUNTS], "integer")
    counts = [*_counts("gt", strict), *_counts("eq", strict)]
    own = () if strict.own_gt is None else _OWN
    return dict.fromkeys([*counts, *own, *(f"removed_{code}" for code in strict.columns)], "integer")


def _left(name: str, strict: Ranks, columns: Columns) -> Ranks:
    names = {kind: _counts(kind, strict) for kind in ("gt", "eq")}
    names["removed"] = [f"removed_{code}" for code in strict.columns]
    less = {kind: np.column_stack([columns[key] for key in keys]) for kind, keys in names.items()}
    removed = less["removed"][strict.offsets[:-1]] if len(less["removed"]) == strict.n_relevants else None
    if removed is None or (less["removed"] != removed[strict.row_queries]).any():
        raise ValueError("the rows are not those of the ranks file")
    gt, eq = strict.gt - less["gt"], strict.eq - less["eq"]
    left = what_is_left(strict, name, gt, eq, removed)
    if strict.own_gt is None or strict.own_eq is None:
        return left
    return replace(left, own_gt=strict.own_gt - columns["own_gt"], own_eq=strict.own_eq - columns["own_eq"])


def _paragraph(strict: Ranks, columns: Columns) -> Ranks:
    query, column = columns["query"].astype(np.int64), columns["column"].astype(np.int64)
    groups = query * len(strict.columns) + column
    inside = (query >= 0) & (query < strict.n_queries) & (column >= 0) & (column < len(strict.columns))
    if not inside.all() or (groups[1:] < groups[:-1]).any():
        raise ValueError("the rows are not in the order of queries and columns")
    new = _new(columns)
    own_gt = _sums(columns["own_gt"], new)
    counts = Counts(_sums(columns["gt"], new) + own_gt, columns["eq"], own_gt, columns["own_eq"])
    return with_paragraphs(strict, query, column, counts)


def check_relevance(name: str, strict: Ranks, variant: Ranks) -> None:
    """Check that ranks under a rule can be ranks at all, and belong to the strict ones.

    Raises:
        RecordError: a count is negative or larger than its pool, or two counts contradict each other.
    """
    check = _check_left if name in LEAVING else _check_paragraph
    for problems in check(strict, variant):
        refuse_impossible(variant, problems, name)


def _check_left(strict: Ranks, variant: Ranks) -> Iterator[dict[str, Any]]:
    each = (np.arange(strict.n_relevants), strict.relevant_columns)
    removed = np.asarray(variant.removed)[strict.row_queries]
    left, own = (removed, strict.relevant_columns) if strict.by_language else (removed.sum(axis=1)[:, None], None)
    itself = variant.eq[each] if strict.by_language else variant.eq[:, 0]
    less_gt, less_eq = strict.gt - variant.gt, strict.eq - variant.eq
    unranked = (strict.gt < 0).any(axis=1)
    yield {
        "a count is negative": (((variant.gt < 0) | (variant.eq < 0)).any(axis=1) & ~unranked)
        | ((less_gt < 0) | (less_eq < 0)).any(axis=1),
        "a relevant without a rank has counts": unranked & ((less_gt != 0) | (less_eq != 0)).any(axis=1),
        "more candidates left than there are": (less_gt + less_eq > left).any(axis=1)
        | (removed > strict.column_sizes).any(axis=1),
        "a relevant does not tie with itself": (itself < 1) & ~unranked,
    }
    # those that left are candidates like any: what stood above and beside the upper relevant stood above the lower one
    counts = np.hstack([variant.gt, less_gt]), np.hstack([variant.eq, less_eq])
    yield contradictions(variant.row_queries, *counts, own)
    if strict.own_gt is not None:
        listed = strict.own_gt >= 0
        own_gt, own_eq = np.asarray(variant.own_gt), np.asarray(variant.own_eq)
        less_gt, less_eq = strict.own_gt - own_gt, np.asarray(strict.own_eq) - own_eq
        yield {
            "a count is negative in the own language": listed & ((own_gt < 0) | (own_eq < 1)),
            "more candidates left the own language than there are": (less_gt < 0)
            | (less_eq < 0)
            | (less_gt + less_eq > np.where(listed, removed[each], 0)),
            **(_more_than_the_pool(variant) if strict.own_parts else {}),
        }
        above, beside = [own_gt, less_gt], [own_eq, less_eq]
        if strict.own_parts:  # what left is a part of the pool too: in this language, and in the others
            gt, eq = variant.gt[:, 0], variant.eq[:, 0]
            other_gt, other_eq = strict.gt[:, 0] - gt - less_gt, strict.eq[:, 0] - eq - less_eq
            others = np.where(listed, removed.sum(axis=1) - removed[each], 0)
            yield {
                "more candidates left the own language than the pool": (other_gt < 0) | (other_eq < 0),
                "more candidates left the other languages than there are": other_gt + other_eq > others,
            }
            above, beside = [*above, gt - own_gt, other_gt], [*beside, eq - own_eq, other_eq]
        lists = variant.row_queries * len(strict.columns) + variant.relevant_columns
        yield contradictions(lists, np.column_stack(above), np.column_stack(beside))
        if strict.own_parts:
            yield {_NO_SUM: _no_sum(variant)}


def _check_paragraph(strict: Ranks, variant: Ranks) -> Iterator[dict[str, Any]]:
    sizes = strict.column_sizes
    gt, eq, own_gt, own_eq = (
        np.asarray(values, dtype=np.int64)
        for values in (variant.gt[:, 0], variant.eq[:, 0], variant.own_gt, variant.own_eq)
    )
    # neither cut nor without a list: every relevant has a rank
    complete = strict.depth is None and (strict.gt >= 0).all() and (strict.own_gt is None or (strict.own_gt >= 0).all())
    unranked, unlisted = (gt == -1) & (eq == 0) & (not complete), (own_gt == -1) & (own_eq == 0) & (not complete)
    yield {
        "a count is negative": (((gt < 0) | (eq < 1)) & ~unranked) | (((own_gt < 0) | (own_eq < 1)) & ~unlisted),
        "counts exceed the pool": (gt + eq > sizes.sum()) | (own_gt + own_eq > sizes[variant.relevant_columns]),
    }
    yield contradictions(variant.row_queries, gt[:, None], eq[:, None])
    if not strict.own_lists:  # the own language is a part of the pool
        yield {"the own language has more than the pool": (own_gt > gt) | (own_eq > eq) | (unranked != unlisted)}
    yield from _of_own_language(variant, parts=not strict.own_lists)
