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

from xqr_bench.board.relevance import KnownRelevance, known_relevance
from xqr_bench.data import TaskSpec, list_specs, load_task, pending_downloads
from xqr_bench.errors import DataError, UnknownNameError
from xqr_bench.search.exact import ranks_of, relevant_rows
from xqr_bench.types import Ranks, TaskData


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
    offsets, positions = relevant_rows(data)
    empty = np.zeros((len(positions), len(data.languages)), dtype=np.int32)
    return Known(
        data=data_digest(spec),
        queries={code: sum(query.language == code for query in data.queries) for code in data.languages},
        candidates=dict(zip(data.languages, data.column_sizes.tolist(), strict=True)),
        n_questions=len({query.question for query in data.queries}),
        n_articles=len(set(data.articles)),
        n_relevants=len(positions),
        structure=structure_digest(ranks_of(data, offsets, positions, empty, empty)),
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
