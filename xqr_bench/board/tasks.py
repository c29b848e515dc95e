"""The tasks of the board, and what is known of their data without having it.

`facts.json` holds, for each shipped task, its counts and a digest of everything in the ranks but the counts of
candidates above and beside: queries, articles, relevants. So a submission is checked against its task without the
data. `python -m xqr_bench.board.tasks > xqr_bench/board/facts.json` makes it anew; a test compares it with the data.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from xqr_bench.board.files import check_file, max_ranks
from xqr_bench.core.errors import DataError, RecordError, UnknownNameError
from xqr_bench.core.types import LENIENT, PARAGRAPH, IntArray, Ranks, TaskData
from xqr_bench.rank.rules import group_relevants, ranks_of
from xqr_bench.record import Result
from xqr_bench.tasks import TaskSpec, list_specs, load_task, pending_downloads

# The ranks of a submission under other rules of relevance: whether they are of its task.

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
    n_relevants = len(data.positions)
    found = {}
    if LENIENT in data.relevance and data.echoes is not None:
        found[LENIENT] = KnownRelevance(rows=n_relevants, structure=_digest(_per_language(data, data.echoes)))
    if PARAGRAPH in data.relevance:
        paragraphs = group_relevants(data)
        others = sum(len(members) for members in paragraphs) - n_relevants
        found[PARAGRAPH] = KnownRelevance(rows=others, structure=_digest(_per_language(data, paragraphs)))
    return found


def _per_language(data: TaskData, chosen: list[tuple[int, ...]] | tuple[tuple[int, ...], ...]) -> IntArray:
    """How many of the candidates chosen for each query are in each language, int64 `[queries, languages]`."""
    counts = np.zeros((len(data.queries), len(data.languages)), dtype=np.int64)
    for row, indices in enumerate(chosen):
        np.add.at(counts[row], data.candidate_columns[list(indices)], 1)
    return counts


def _structure(name: str, variant: Ranks) -> str:
    n = len(variant.columns)
    if name == LENIENT:
        return _digest(np.zeros(0) if variant.removed is None else variant.removed)
    found = np.bincount(variant.row_queries * n + variant.relevant_columns, minlength=variant.n_queries * n)
    return _digest(found.reshape(-1, n))


def _digest(counts: np.ndarray) -> str:
    return hashlib.sha256(json.dumps(counts.tolist()).encode()).hexdigest()


def check_relevance_files(path: Path, record: Result, known: dict[str, KnownRelevance]) -> None:
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
            variant = record.ranks_under(name)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise RecordError(
                f"{there} is not as xqr-bench writes it", found=f"{type(error).__name__}: {error}", remedy=_REMEDY
            ) from error
        if _structure(name, variant) != known[name].structure:
            raise RecordError(f"{there} is not of {record.task.name}", remedy=_REMEDY)
        stated = (info.ranks_file.n_queries, info.ranks_file.n_relevants, info.ranks_file.depth)
        if stated != (variant.n_queries, variant.n_relevants, variant.depth):
            raise RecordError(f"the record states other counts of {name} relevance than its ranks have", remedy=_REMEDY)


# The tasks of the board, and what is known of their data without having it.
#
# `facts.json` holds, for each shipped task, its counts and a digest of everything in the ranks but the counts of
# candidates above and beside: queries, articles, relevants. So a submission is checked against its task without the
# data. `python -m xqr_bench.board.tasks > xqr_bench/board/facts.json` makes it anew; a test compares it with the data.


class Known(BaseModel):
    """What is known of a task's data.

    Attributes:
        data: SHA-256 over the digests of its files.
        queries, candidates: language -> how many.
        n_questions, n_articles, n_relevants: how many.
        structure: `structure_digest` of its ranks.
        relevance: rule of relevance beside the strict one -> what is known of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    queries: dict[str, int]
    candidates: dict[str, int]
    n_questions: int
    n_articles: int
    n_relevants: int
    structure: str
    relevance: dict[str, KnownRelevance] = {}


def board_tasks() -> dict[str, TaskSpec]:
    """The shipped tasks that a record can be submitted for, by name."""
    return {spec.name: spec for spec in list_specs() if not spec.demonstration}


def find_task(name: str) -> TaskSpec:
    """The board's task of this name.

    Raises:
        UnknownNameError: there is none.
    """
    tasks = board_tasks()
    if name not in tasks:
        raise UnknownNameError("task of the leaderboard", name, tasks)
    return tasks[name]


def known(spec: TaskSpec) -> Known:
    """What is known of the task's data: from `facts.json`, else from the data itself.

    Raises:
        DataError: neither is at hand.
    """
    shipped = _shipped().get(spec.name)
    if shipped is not None and shipped.data == data_digest(spec):
        return shipped
    if pending_downloads(spec):
        raise DataError(
            f"nothing is known of the data of {spec.name} to check a submission against",
            remedy=f"fetch it: xqr-bench data fetch {spec.name}",
        )
    return from_data(spec, load_task(spec))


@cache
def _shipped() -> dict[str, Known]:
    text = Path(__file__).with_name("facts.json").read_text(encoding="utf-8")
    return {name: Known.model_validate(found) for name, found in json.loads(text).items()}


def from_data(spec: TaskSpec, data: TaskData) -> Known:
    """Read it off the data."""
    empty = np.zeros((len(data.positions), len(data.languages)), dtype=np.int32)
    return Known(
        data=data_digest(spec),
        queries={code: sum(query.language == code for query in data.queries) for code in data.languages},
        candidates=dict(zip(data.languages, data.column_sizes.tolist(), strict=True)),
        n_questions=len({query.question for query in data.queries}),
        n_articles=len(set(data.clusters)),
        n_relevants=len(data.positions),
        structure=structure_digest(ranks_of(data, empty, empty)),
        relevance=known_relevance(data),
    )


def data_digest(spec: TaskSpec) -> str:
    """SHA-256 over the digests of the task's files."""
    files = {found.path: found.sha256 for found in spec.files.values()}
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def structure_digest(ranks: Ranks) -> str:
    """SHA-256 over everything in the ranks but the counts: the same for every encoder on the same data."""
    facts = [
        ranks.columns,
        ranks.column_sizes.tolist(),
        list(ranks.query_ids),
        ranks.articles.tolist(),
        ranks.offsets.tolist(),
        list(ranks.relevant_ids),
        ranks.relevant_columns.tolist(),
        ranks.gains.tolist(),
    ]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()


def facts_text() -> str:
    """`facts.json`, from the data."""
    found = {name: from_data(spec, load_task(spec)).model_dump() for name, spec in sorted(board_tasks().items())}
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    print(facts_text(), end="")
