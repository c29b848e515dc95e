"""Ranks under another rule of relevance in a Parquet file, as what has to be added to the strict ranks."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_parquet
from xqr_bench.core.errors import RecordError
from xqr_bench.core.types import LEAVING, Counts, Ranks
from xqr_bench.rank.rules import what_is_left, with_paragraphs
from xqr_bench.record.rank_checks import (
    NO_SUM,
    contradictions,
    more_than_the_pool,
    no_sum,
    of_own_language,
    refuse_impossible,
)
from xqr_bench.record.rank_files import OWN, PACKED, columns_digest, packed_small, write_columns

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
            columns |= {kind: getattr(strict, kind) - getattr(variant, kind) for kind in OWN}
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
        for key in PACKED:
            columns[key] = columns[key] - np.where(new, np.int32(0), np.append(np.int32(0), columns[key][:-1]))
        packing = {
            "use_dictionary": [key for key in columns if key not in PACKED],
            "column_encoding": dict.fromkeys(PACKED, "BYTE_STREAM_SPLIT"),
        }
    if not strict.by_language:
        packing = packed_small(() if name in LEAVING else PACKED)
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
    own = () if strict.own_gt is None else OWN
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
            **(more_than_the_pool(variant) if strict.own_parts else {}),
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
            yield {NO_SUM: no_sum(variant)}


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
    yield from of_own_language(variant, parts=not strict.own_lists)
