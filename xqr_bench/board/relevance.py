"""The ranks of a submission under other rules of relevance: whether they are of its task."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from xqr_bench.board.files import check_file, max_ranks
from xqr_bench.errors import RecordError
from xqr_bench.record import Record, relevance_ranks
from xqr_bench.search.variants import paragraph_relevants
from xqr_bench.types import LENIENT, PARAGRAPH, IntArray, Ranks, TaskData

_REMEDY = "submit what xqr-bench evaluate wrote"


class KnownRelevance(BaseModel):
    """What is known of a rule of relevance of a task.

    Attributes:
        rows: of its file.
        structure: SHA-256 over what no encoder changes: how many candidates of each language leave each query's
            ranking (lenient), or are relevant to it (paragraph).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    structure: str


def known_relevance(data: TaskData) -> dict[str, KnownRelevance]:
    """Read it off the data, for each rule that the task declares."""
    n_relevants = sum(len(found) for found in data.relevants)
    found = {}
    if LENIENT in data.relevance and data.echoes is not None:
        found[LENIENT] = KnownRelevance(rows=n_relevants, structure=_digest(_per_language(data, data.echoes)))
    if PARAGRAPH in data.relevance:
        paragraphs = paragraph_relevants(data)
        others = sum(len(members) for members in paragraphs) - n_relevants
        found[PARAGRAPH] = KnownRelevance(rows=others, structure=_digest(_per_language(data, paragraphs)))
    return found


def _per_language(data: TaskData, chosen: list[tuple[int, ...]] | tuple[tuple[int, ...], ...]) -> IntArray:
    """How many of the candidates chosen for each query are in each language, int64 `[queries, languages]`."""
    column = np.repeat(np.arange(len(data.languages)), data.column_sizes)
    counts = np.zeros((len(data.queries), len(data.languages)), dtype=np.int64)
    for row, indices in enumerate(chosen):
        np.add.at(counts[row], column[list(indices)], 1)
    return counts


def _structure(name: str, variant: Ranks) -> str:
    n = len(variant.columns)
    if name == LENIENT:
        return _digest(np.zeros(0) if variant.removed is None else variant.removed)
    found = np.bincount(variant.row_queries * n + variant.relevant_columns, minlength=variant.n_queries * n)
    return _digest(found.reshape(-1, n))


def _digest(counts: np.ndarray) -> str:
    return hashlib.sha256(json.dumps(counts.tolist()).encode()).hexdigest()


def check_relevance_files(path: Path, record: Record, known: dict[str, KnownRelevance]) -> None:
    """Check the files of a record's rules of relevance, of which no byte is believed before.

    Args:
        path: the record.
        record: with its strict ranks, checked.
        known: the rules that the task has.

    Raises:
        RecordError: a rule that the task has not; a file that is missing, too large, or not of the task; scores
            without ranks.
    """
    for name, info in record.relevance.items():
        if name not in known:
            raise RecordError(
                f"{record.task.name} has no {name} relevance", found=", ".join(known) or "strict only", remedy=_REMEDY
            )
        if info.ranks_file is None:
            if info.scores or not info.undefined_reason:
                raise RecordError(f"the record has scores of {name} relevance without their ranks", remedy=_REMEDY)
            continue
        there = path.with_suffix(f".{name}.parquet")
        if info.ranks_file.file != there.name:
            raise RecordError(
                f"the record names another file for {name} relevance", found=repr(info.ranks_file.file), remedy=_REMEDY
            )
        check_file(there, max_ranks(record.task.name))
        added = info.ranks_file.n_relevants - (0 if name == LENIENT else record.ranks_file.n_relevants)
        if added != known[name].rows:
            raise RecordError(
                f"{there} does not hold all ranks of {name} relevance",
                found=f"{added:,} rows instead of {known[name].rows:,}",
                remedy=_REMEDY,
            )
        try:
            variant = relevance_ranks(record, name)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise RecordError(
                f"{there} is not as xqr-bench writes it", found=f"{type(error).__name__}: {error}", remedy=_REMEDY
            ) from error
        if _structure(name, variant) != known[name].structure:
            raise RecordError(f"{there} is not of {record.task.name}", remedy=_REMEDY)
        stated = (info.ranks_file.n_queries, info.ranks_file.n_relevants, info.ranks_file.depth)
        if stated != (variant.n_queries, variant.n_relevants, variant.depth):
            raise RecordError(f"the record states other counts of {name} relevance than its ranks have", remedy=_REMEDY)
