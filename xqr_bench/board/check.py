"""A submission, checked: its files, its form, its task, its ranks, its scores. The first fault ends it.

`facts.json` holds what is known of each shipped task without its data: its counts, and a digest of everything in the
ranks but the counts of candidates above and beside. `python -m xqr_bench.board.check > xqr_bench/board/facts.json`
makes it anew; a test compares it with the data.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from xqr_bench.board.files import MAX_RECORD, check_file, check_name, max_ranks, read_json
from xqr_bench.core.errors import DataError, RecordError, UnknownNameError, XqrBenchError
from xqr_bench.core.types import LENIENT, MAIN_METRIC, PARAGRAPH, IntArray, Ranks, TaskData
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.encode.trust import is_code, risky_arguments
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import Group
from xqr_bench.rank.rules import group_relevants, ranks_of
from xqr_bench.record import Record, Result, check_possible, load_record, recompute
from xqr_bench.record.rank_files import check_consistent
from xqr_bench.record.store import file_beside
from xqr_bench.tasks import TaskSpec, list_specs, load_task, pending_downloads

# The ranks of a submission under other rules of relevance: whether they are of its task.

_AS_MADE = "submit what xqr-bench evaluate wrote"


class RuleFacts(BaseModel):
    """What is known of a rule of relevance of a task.

    Attributes:
        rows: of its file.
        structure: SHA-256 over what no encoder changes: how many candidates of each language leave each query's
            ranking (lenient), or are relevant to it (paragraph).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    structure: str


def _rule_facts(data: TaskData) -> dict[str, RuleFacts]:
    """Read it off the data, for each rule that the task declares."""
    n_relevants = len(data.positions)
    found = {}
    if LENIENT in data.relevance and data.echoes is not None:
        found[LENIENT] = RuleFacts(rows=n_relevants, structure=_digest(_per_language(data, data.echoes)))
    if PARAGRAPH in data.relevance:
        paragraphs = group_relevants(data)
        others = sum(len(members) for members in paragraphs) - n_relevants
        found[PARAGRAPH] = RuleFacts(rows=others, structure=_digest(_per_language(data, paragraphs)))
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


def check_relevance_files(path: Path, record: Result, rules: dict[str, RuleFacts]) -> None:
    """Check the files of a record's rules of relevance, of which no byte is believed before.

    Args:
        path: the record.
        record: with its strict ranks, checked.
        rules: those that the task has.

    Raises:
        RecordError: a rule that the task has not; a file that is missing, too large, or not of the task; scores
            without ranks.
    """
    for name, info in record.relevance.items():
        if name not in rules:
            raise RecordError(
                f"{record.task.name} has no {name} relevance",
                found=", ".join(rules) or "strict only",
                remedy=_AS_MADE,
            )
        if info.ranks_file is None:
            if info.scores or not info.undefined_reason:
                raise RecordError(f"the record has scores of {name} relevance without their ranks", remedy=_AS_MADE)
            continue
        there = path.with_suffix(f".{name}.parquet")
        if info.ranks_file.file != there.name:
            raise RecordError(
                f"the record names another file for {name} relevance",
                found=repr(info.ranks_file.file),
                remedy=_AS_MADE,
            )
        check_file(there, max_ranks(record.task.name))
        added = info.ranks_file.n_relevants - (0 if name == LENIENT else record.ranks_file.n_relevants)
        if added != rules[name].rows:
            raise RecordError(
                f"{there} does not hold all ranks of {name} relevance",
                found=f"{added:,} rows instead of {rules[name].rows:,}",
                remedy=_AS_MADE,
            )
        try:
            variant = record.ranks_under(name)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise RecordError(
                f"{there} is not as xqr-bench writes it", found=f"{type(error).__name__}: {error}", remedy=_AS_MADE
            ) from error
        if _structure(name, variant) != rules[name].structure:
            raise RecordError(f"{there} is not of {record.task.name}", remedy=_AS_MADE)
        stated = (info.ranks_file.n_queries, info.ranks_file.n_relevants, info.ranks_file.depth)
        if stated != (variant.n_queries, variant.n_relevants, variant.depth):
            raise RecordError(
                f"the record states other counts of {name} relevance than its ranks have", remedy=_AS_MADE
            )


# The tasks of the board, and what is known of their data without having it.
#
# `facts.json` holds, for each shipped task, its counts and a digest of everything in the ranks but the counts of
# candidates above and beside: queries, articles, relevants. So a submission is checked against its task without the
# data. `python -m xqr_bench.board.check > xqr_bench/board/facts.json` makes it anew; a test compares it with the data.


class DataFacts(BaseModel):
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
    if shipped is not None and shipped.data == data_digest(spec):
        return shipped
    if pending_downloads(spec):
        raise DataError(
            f"nothing is known of the data of {spec.name} to check a submission against",
            remedy=f"fetch it: xqr-bench data fetch {spec.name}",
        )
    return from_data(spec, load_task(spec))


@cache
def _shipped() -> dict[str, DataFacts]:
    text = Path(__file__).with_name("facts.json").read_text(encoding="utf-8")
    return {name: DataFacts.model_validate(found) for name, found in json.loads(text).items()}


def from_data(spec: TaskSpec, data: TaskData) -> DataFacts:
    """Read it off the data."""
    empty = np.zeros((len(data.positions), len(data.languages)), dtype=np.int32)
    return DataFacts(
        data=data_digest(spec),
        queries={code: sum(query.language == code for query in data.queries) for code in data.languages},
        candidates=dict(zip(data.languages, data.column_sizes.tolist(), strict=True)),
        n_questions=len({query.question for query in data.queries}),
        n_articles=len(set(data.clusters)),
        n_relevants=len(data.positions),
        structure=structure_digest(ranks_of(data, empty, empty)),
        relevance=_rule_facts(data),
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


# A submission, checked: its files, its form, its task, its ranks, its scores. The first fault ends it.

MAX_METRICS = 64
_OWN_LISTS = ("run", "baseline")
_WHOLE = "evaluate on the whole task, unchanged"


def check_submission(path: Path, *, prove: bool = True) -> Result:
    """Read and check a record and the ranks beside it.

    Args:
        path: the record.
        prove: also compute every score anew from the ranks (seconds).

    Returns:
        the record, with its ranks.

    Raises:
        XqrBenchError: the first fault that was found.
    """
    read_json(path, MAX_RECORD)
    record = load_record(path)
    check_name(record.model.name)
    spec = find_task(record.task.name)
    facts = data_facts(spec)
    check_task(record, spec, facts)
    check_vectors(record)
    check_arguments(record)
    check_file(file_beside(path, record.ranks_file.file), max_ranks(spec.name))
    if record.ranks_file.n_relevants != facts.n_relevants:
        raise RecordError(
            f"{path} does not hold all ranks of {spec.name}",
            found=f"{record.ranks_file.n_relevants:,} instead of {facts.n_relevants:,}",
            remedy=_WHOLE,
        )
    result = load_with_ranks(path)
    check_ranks(result, facts)
    check_relevance_files(path, result, facts.relevance)
    if prove:
        prove_scores(result)
    return result


def load_with_ranks(path: Path) -> Result:
    """Read a record and its ranks, whatever the ranks file holds.

    Raises:
        RecordError: they do not fit together.
    """
    try:
        return load_record(path, ranks=True)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise RecordError(
            f"the ranks file of {path} is not as xqr-bench writes it",
            found=f"{type(error).__name__}: {error}",
            remedy="submit the file as written",
        ) from error


def check_task(record: Record, spec: TaskSpec, facts: DataFacts) -> None:
    """Check that the record is of this task, of all of it, and of the same data.

    Raises:
        RecordError: it is not.
    """
    task = record.task
    if task.demonstration:
        raise RecordError(f"{task.name} is a demonstration, too small to compare with", remedy=_WHOLE)
    if task.partial:
        raise RecordError(
            f"the record covers only a part of {task.name}",
            found=", ".join(f"{key}: {value}" for key, value in task.partial.items()),
            remedy="evaluate without --languages and --limit",
        )
    missing = [code for code in spec.languages if code not in task.languages]
    if missing or task.languages != list(spec.languages):
        raise RecordError(
            f"the record does not have the languages of {task.name}",
            found=f"{', '.join(missing)} missing" if missing else ", ".join(task.languages),
            remedy=_WHOLE,
        )
    expected = {found.path: found.sha256 for found in spec.files.values()}
    if task.files != expected:
        changed = [name for name in expected if task.files.get(name) != expected[name]] or sorted(task.files)
        raise RecordError(
            f"the record was made from other data than that of {task.name}",
            found=f"another digest of {', '.join(changed)}",
            remedy="xqr-bench data verify tells which file is wrong",
        )
    counts = {code: (found.queries, found.candidates) for code, found in task.counts.items()}
    if counts != {code: (facts.queries[code], facts.candidates[code]) for code in spec.languages}:
        raise RecordError(f"the counts per language are not those of {task.name}", remedy=_WHOLE)
    groups = {
        name: Group(languages=found.members, missing=found.absent, undefined_reason=found.reason)
        for name, found in spec.group_members().items()
    }
    for what, there, here in (
        ("title", task.title, spec.title),
        ("revision", task.revision, spec.revision or None),
        ("language groups", task.groups, groups),
        ("number of questions", task.n_questions, facts.n_questions),
        ("number of articles", task.n_articles, facts.n_articles),
    ):
        if there != here:
            raise RecordError(f"the {what} of the record is not that of {task.name}", found=str(there), remedy=_WHOLE)
    _check_measured(record, spec)
    if not set(record.diagnostics) <= set(spec.languages):
        raise RecordError(f"the record has diagnostics of languages that {task.name} has not", remedy=_WHOLE)


def _check_measured(record: Record, spec: TaskSpec) -> None:
    """The settings and metrics of the record: all settings (of a run: those it has), MAP among the metrics."""
    task = record.task
    settings = [name for name in spec.settings if name in task.settings]
    whole = settings == list(spec.settings) or (record.model.identity.kind == "run" and settings)
    if task.settings != settings or not whole or list(record.scores) != settings:
        raise RecordError(
            f"the record does not have the settings of {task.name}", found=", ".join(task.settings), remedy=_WHOLE
        )
    if MAIN_METRIC not in task.metrics or len(task.metrics) > MAX_METRICS:
        raise RecordError(
            f"the record must have {MAIN_METRIC}, and at most {MAX_METRICS} metrics",
            found=", ".join(task.metrics[:MAX_METRICS]),
            remedy=_WHOLE,
        )
    for name in task.metrics:
        parse_metric(name)


def check_vectors(record: Record) -> None:
    """Check that what the record says of its vectors can be meant.

    Raises:
        RecordError: a transform that does not exist or contradicts itself, or impossible counts of vectors.
    """
    found = record.transform
    if found is not None:
        try:
            directions = TransformOptions(found.name).directions
        except XqrBenchError as error:
            raise RecordError("the record names no transform of xqr-bench", found=found.name, remedy=_WHOLE) from error
        faults = [
            found.transductive != (found.bitext is None),
            found.removed_directions != directions,
            record.model.identity.kind in _OWN_LISTS,
            not set(found.estimated_on) <= set(record.task.languages),
        ]
        if any(faults):
            raise RecordError(
                f"the record contradicts itself about its transform {found.name}",
                found=f"estimated on {found.source}",
                remedy=_AS_MADE,
            )
    for code, told in record.diagnostics.items():
        for part, most in ((told.queries, "queries"), (told.candidates, "candidates")):
            if part is None:
                continue
            counts = record.task.counts[code]
            if not 0 <= part.vectors <= part.texts <= getattr(counts, most) or not 0 <= part.sharing <= part.texts:
                raise RecordError(
                    f"the record counts impossible numbers of vectors of {code}",
                    found=f"{part.vectors} vectors for {part.texts} distinct {most} of {getattr(counts, most)}",
                    remedy=_AS_MADE,
                )


def check_arguments(record: Record) -> None:
    """Check that running the record's encoder again runs no code that the record chooses.

    Raises:
        RecordError: arguments for the model that could, or Python code in a record of another kind.
    """
    identity, arguments = record.model.identity, record.provenance.arguments
    risky = risky_arguments(arguments.get("model_kwargs"))
    if identity.kind != "baseline":
        risky |= risky_arguments(identity.model_kwargs)
    if risky:
        raise RecordError(
            "the record has arguments for the model that can decide which code runs",
            found=", ".join(sorted(risky)),
            remedy="evaluate without these --model-kwargs; a submission may have dtype and attn_implementation",
        )
    model = str(arguments.get("model") or identity.name)
    if identity.kind != "python" and is_code(model):
        raise RecordError(f"the record names Python code as an encoder of the kind {identity.kind}", found=model)


def check_ranks(record: Result, facts: DataFacts) -> None:
    """Check that the ranks are of this task, complete, and possible at all.

    Raises:
        RecordError: they are not.
    """
    name, ranks = record.task.name, record.ranks
    if ranks.task != name:
        raise RecordError(f"these are not ranks of {name}", found=f"ranks of {ranks.task}", remedy=_WHOLE)
    if dict(zip(ranks.columns, ranks.column_sizes.tolist(), strict=True)) != facts.candidates:
        raise RecordError(f"the pools of these ranks are not those of {name}", remedy=_WHOLE)
    if structure_digest(ranks) != facts.structure:
        raise RecordError(
            f"the queries, relevants, gains or articles of these ranks are not those of {name}", remedy=_WHOLE
        )
    stated = (record.ranks_file.n_queries, record.ranks_file.n_relevants, record.ranks_file.depth)
    if stated != (ranks.n_queries, ranks.n_relevants, ranks.depth):
        raise RecordError(
            "the record states other counts than its ranks have",
            found=f"queries, relevants, depth: {stated}, the ranks: {ranks.n_queries, ranks.n_relevants, ranks.depth}",
            remedy="evaluate again",
        )
    if ranks.own_gt is not None and record.model.identity.kind not in _OWN_LISTS:
        raise RecordError(
            "these ranks have lists of their own for single languages; an encoder's are parts of the pooled one",
            remedy=_AS_MADE,
        )
    check_possible(ranks)
    check_consistent(ranks)


def prove_scores(record: Result) -> None:
    """Compute every score anew from the ranks and compare.

    Raises:
        RecordError: one does not follow.
    """
    _, differences = recompute(record)
    if differences:
        first = differences[0]
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        raise RecordError(
            f"scores do not follow from the ranks: {first.place}{more}",
            found=f"stored {first.stored}, recomputed {first.recomputed}",
            remedy="submit what xqr-bench evaluate wrote; recompute --write mends a record",
        )


if __name__ == "__main__":
    print(facts_text(), end="")
