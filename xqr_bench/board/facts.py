"""What is known of each shipped task without its data.

`facts.json` holds its counts, and a digest of everything in the ranks but the counts of candidates above and beside.
`python -m xqr_bench.board.facts > xqr_bench/board/facts.json` makes it anew; a test compares it with the data.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from xqr_bench.core.errors import DataError, UnknownNameError
from xqr_bench.core.observe import Notice
from xqr_bench.core.types import (
    JUDGED,
    LEAVING,
    LENIENT,
    PARAGRAPH,
    Candidate,
    IntArray,
    Query,
    Ranks,
    TaskData,
)
from xqr_bench.rank.rules import group_relevants, judged_candidates, ranks_of
from xqr_bench.record.relevance_files import sample_size, sampled_questions
from xqr_bench.tasks import TaskSpec, list_specs, load_task, pending_downloads

# What is known of the board's tasks without their data.


class RuleFacts(BaseModel):
    """What is known of a rule of relevance of a task.

    Attributes:
        rows: of its file.
        structure: SHA-256 over what no encoder changes: how many candidates of each language leave each query's
            ranking (lenient), or are relevant to it (paragraph).
        questions: how many it is of; None: all.
        sample: the same of the questions that a submission has, where it is a sample.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    structure: str
    questions: int | None = None
    sample: RuleFacts | None = None


class DataFacts(BaseModel):
    """What is known of a task's data.

    Attributes:
        data: SHA-256 over the digests of its files.
        queries, candidates: language -> how many.
        n_questions, n_articles, n_relevants: how many.
        structure: `structure_digest` of its ranks.
        texts: language -> queries and candidates -> how many distinct texts, and their characters.
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
    texts: dict[str, dict[str, tuple[int, int]]] = {}
    relevance: dict[str, RuleFacts] = {}


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


def data_facts(spec: TaskSpec) -> DataFacts:
    """What is known of the task's data: from `facts.json`, else from the data itself.

    Raises:
        DataError: neither is at hand.
    """
    shipped = _shipped().get(spec.name)
    if shipped is not None and shipped.data == _data_digest(spec):
        return shipped
    if pending_downloads(spec):
        raise DataError(
            f"nothing is known of the data of {spec.name} to check a submission against",
            remedy=f"fetch it: xqr-bench data fetch {spec.name}",
        )
    return _from_data(spec, load_task(spec))


@cache
def _shipped() -> dict[str, DataFacts]:
    text = Path(__file__).with_name("facts.json").read_text(encoding="utf-8")
    return {name: DataFacts.model_validate(facts) for name, facts in json.loads(text).items()}


def _from_data(spec: TaskSpec, data: TaskData) -> DataFacts:
    n_relevants, n_languages = len(data.positions), len(data.languages)
    empty = np.zeros((n_relevants, n_languages), dtype=np.int32)
    chosen: dict[str, Any] = {}
    if LENIENT in data.relevance and data.echoes is not None:
        chosen[LENIENT] = data.echoes
    if PARAGRAPH in data.relevance:
        chosen[PARAGRAPH] = group_relevants(data)
    if (judged := judged_candidates(data)) is not None:
        chosen[JUDGED] = judged
    rules = {}
    question_ids = [query.question for query in data.queries]
    for name, of_query in chosen.items():
        columns = data.candidate_columns[[index for indices in of_query for index in indices]]
        queries = np.repeat(np.arange(len(of_query)), [len(indices) for indices in of_query])
        counts = per_language(queries, columns, len(of_query), n_languages)
        if name in LEAVING:
            if name == JUDGED:
                counts = (data.column_sizes - np.array(counts)).tolist()
            rules[name] = RuleFacts(rows=n_relevants, structure=digest(counts))
            continue
        others = np.array([sum(of_query) for of_query in counts]) - np.diff(data.offsets)
        rules[name] = RuleFacts(rows=int(others.sum()), structure=digest(counts))
        if (n := sample_size(question_ids, others)) is not None:
            chosen_questions = sampled_questions(question_ids, n)
            inside = [question in chosen_questions for question in question_ids]
            structure = digest([of_query for of_query, holds in zip(counts, inside, strict=True) if holds])
            sample = RuleFacts(rows=int(others[inside].sum()), structure=structure, questions=n)
            rules[name] = rules[name].model_copy(update={"sample": sample})
    return DataFacts(
        data=_data_digest(spec),
        queries={code: sum(query.language == code for query in data.queries) for code in data.query_languages},
        candidates=dict(zip(data.languages, data.column_sizes.tolist(), strict=True)),
        n_questions=len({query.question for query in data.queries}),
        n_articles=len(set(data.clusters)),
        n_relevants=n_relevants,
        structure=structure_digest(ranks_of(data, empty, empty)),
        texts={code: _distinct_texts(data, code) for code in sorted({*data.query_languages, *data.languages})},
        relevance=rules,
    )


def _distinct_texts(data: TaskData, language: str) -> dict[str, tuple[int, int]]:
    of_roles: dict[str, Sequence[Query | Candidate]] = {"queries": data.queries, "candidates": data.candidates}
    texts = {role: {one.text for one in members if one.language == language} for role, members in of_roles.items()}
    return {role: (len(distinct), sum(map(len, distinct))) for role, distinct in texts.items()}


def per_language(queries: IntArray, columns: IntArray, n_queries: int, n_columns: int) -> list[list[int]]:
    """How many rows each query has in each column."""
    counts = np.bincount(queries * n_columns + columns, minlength=n_queries * n_columns)
    return counts.reshape(n_queries, n_columns).tolist()


def _data_digest(spec: TaskSpec) -> str:
    files = {source.path: source.sha256 for source in spec.files.values()}
    return digest(files, sort_keys=True)


def structure_digest(ranks: Ranks) -> str:
    """SHA-256 over everything in the ranks but the counts: the same for every encoder on the same data."""
    facts = [
        ranks.columns,
        ranks.column_sizes.tolist(),
        ranks.query_ids,
        ranks.articles.tolist(),
        ranks.offsets.tolist(),
        list(ranks.relevant_ids),
        ranks.relevant_columns.tolist(),
        ranks.gains.tolist(),
    ]
    return digest(facts, ensure_ascii=False)


def digest(data: Any, **form: Any) -> str:
    """SHA-256 over the data as JSON."""
    return hashlib.sha256(json.dumps(data, **form).encode()).hexdigest()


def facts_text() -> str:
    """`facts.json`, from the data of the tasks whose digests are known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)  # what is left out of a task is known
        facts = {
            name: _from_data(spec, load_task(spec)).model_dump(exclude_none=True)
            for name, spec in sorted(board_tasks().items())
            if spec.digests_known
        }
    return json.dumps(facts, indent=1) + "\n"


if __name__ == "__main__":
    print(facts_text(), end="")
