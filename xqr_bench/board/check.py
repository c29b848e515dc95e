"""A submission, checked: its files, its form, its task, its ranks, its scores. The first fault ends it.

`facts.json` holds what is known of each shipped task without its data: its counts, and a digest of everything in the
ranks but the counts of candidates above and beside. `python -m xqr_bench.board.check > xqr_bench/board/facts.json`
makes it anew; a test compares it with the data.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from xqr_bench.board.files import MAX_RECORD, check_file, check_name, check_versions, max_ranks, read_json
from xqr_bench.core import strict_json
from xqr_bench.core.errors import DataError, RecordError, UnknownNameError, UsageError, XqrBenchError
from xqr_bench.core.names import unseen
from xqr_bench.core.observe import Notice, Observer
from xqr_bench.core.options import line_breaks, split
from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import (
    JUDGED,
    LEAVING,
    LENIENT,
    MAIN_METRIC,
    MULTILINGUAL,
    PARAGRAPH,
    Candidate,
    IntArray,
    Query,
    Ranks,
    TaskData,
)
from xqr_bench.encode import ModelIdentity, load_encoder
from xqr_bench.encode.kinds import KINDS
from xqr_bench.encode.mteb_model import PREFIX as MTEB
from xqr_bench.encode.options import RANKED_ONLY
from xqr_bench.encode.providers import is_endpoint
from xqr_bench.encode.python_object import is_python_spec
from xqr_bench.encode.registry import ENCODERS
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.encode.trust import risky_arguments
from xqr_bench.evaluation.baselines import baseline_of
from xqr_bench.evaluation.fused import FUSE, named_parts
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.rank.index import deepest
from xqr_bench.rank.rules import group_relevants, judged_candidates, ranks_of
from xqr_bench.record import Record, Result, load_record, proved
from xqr_bench.record.describe import NONE_IRRELEVANT, NOT_COUNTED, groups_of
from xqr_bench.record.exposure import OURS, Exposure
from xqr_bench.record.model import Hardware
from xqr_bench.record.provenance import LANGUAGE_LEVELS, LanguageLevels
from xqr_bench.record.relevance_files import sample_size, sampled_questions
from xqr_bench.record.store import file_beside
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
        counts = _per_language(queries, columns, len(of_query), n_languages)
        if name in LEAVING:
            if name == JUDGED:
                counts = (data.column_sizes - np.array(counts)).tolist()
            rules[name] = RuleFacts(rows=n_relevants, structure=_digest(counts))
            continue
        others = np.array([sum(of_query) for of_query in counts]) - np.diff(data.offsets)
        rules[name] = RuleFacts(rows=int(others.sum()), structure=_digest(counts))
        if (n := sample_size(question_ids, others)) is not None:
            chosen_questions = sampled_questions(question_ids, n)
            inside = [question in chosen_questions for question in question_ids]
            structure = _digest([of_query for of_query, holds in zip(counts, inside, strict=True) if holds])
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


def _per_language(queries: IntArray, columns: IntArray, n_queries: int, n_columns: int) -> list[list[int]]:
    """How many rows each query has in each column."""
    counts = np.bincount(queries * n_columns + columns, minlength=n_queries * n_columns)
    return counts.reshape(n_queries, n_columns).tolist()


def _data_digest(spec: TaskSpec) -> str:
    files = {source.path: source.sha256 for source in spec.files.values()}
    return _digest(files, sort_keys=True)


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
    return _digest(facts, ensure_ascii=False)


def _digest(data: Any, **form: Any) -> str:
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


# The checks, in their order.

MAX_METRICS = 64
_OWN_LISTS = ("run", "baseline", "fused")
FIRST_DAY = "2026-11-22"
"""Of this package: no record is older."""
_RANDOM_MEAN = 0.1
"""How far the mean place of the relevants, 0 first .. 1 last, may be from 0.5 in a random ranking."""
_WHOLE = "evaluate on the whole task, unchanged"
_AS_MADE = "submit what xqr-bench evaluate wrote"


def _require(right: object, problem: str, found: str | None = None, remedy: str = _WHOLE) -> None:
    """Raise RecordError with this problem unless it is right."""
    if not right:
        raise RecordError(problem, found=found, remedy=remedy)


def check_submission(path: Path, *, observe: Observer | None = None, again: bool = True) -> Result:
    """Read and check a record and the ranks beside it, and compute every figure anew from them.

    Args:
        path: the record.
        observe: is told of figures that are computed.
        again: compute the figures (seconds) even where the same record and ranks were found right by this code before.

    Returns:
        the record, with its ranks.

    Raises:
        XqrBenchError: the first fault that was found.
    """
    read_json(path, MAX_RECORD)
    record = load_record(path, whole=False)
    check_name(record.model.name)
    spec = find_task(record.task.name)
    facts = data_facts(spec)
    _check_task(record, spec, facts)
    _check_measured(record, spec)
    _check_transform(record)
    _check_quantization(record)
    _check_diagnostics(record, facts)
    _check_vectors(record)
    _check_stages(record)
    _check_kind(record)
    _check_exposure(record)
    _check_provenance(record)
    _check_asked(record)
    _check_texts(record)
    _check_arguments(record)
    check_file(file_beside(path, record.ranks_file), max_ranks(spec.name, short=record.short))
    rows, expected = record.ranks_file.n_relevants, facts.n_relevants
    _require(rows == expected, f"{path} does not hold all ranks of {spec.name}", f"{rows:,} instead of {expected:,}")
    result = load_record(path, ranks=True, whole=False)
    _check_ranks(result, facts)
    _check_relevance_files(path, result, facts.relevance)
    name = shown_line(record.model.name)
    note = f"computing the figures of {name} on {record.task.name} from its ranks"
    return proved(result, again=again, tell=None if observe is None else lambda: observe.note(note))


def _check_task(record: Record, spec: TaskSpec, facts: DataFacts) -> None:
    """The record is of this task, of all of it, and of the same data."""
    task, languages = record.task, [*spec.languages, *spec.pool]
    partial = ", ".join(f"{key}: {value}" for key, value in task.partial.items())
    _require(not task.demonstration, f"{task.name} is a demonstration, too small to compare with")
    _require(
        not partial,
        f"the record covers only a part of {task.name}",
        partial,
        "evaluate without --languages and --limit",
    )
    missing = [code for code in dict.fromkeys(languages) if code not in task.all_languages]
    _require(
        (task.languages, task.query_languages or task.languages) == (list(spec.pool), list(spec.languages)),
        f"the record does not have the languages of {task.name}",
        f"{', '.join(missing)} missing" if missing else ", ".join(task.all_languages),
    )
    files = {source.path: source.sha256 or task.files.get(source.path) for source in spec.files.values()}
    changed = [name for name in files if task.files.get(name) != files[name]] or sorted(task.files)
    _require(
        task.files == files,
        f"the record was made from other data than that of {task.name}",
        f"another digest of {', '.join(changed)}",
        "xqr-bench data verify tells which file is wrong",
    )
    counts = {code: (size.queries, size.candidates) for code, size in task.counts.items()}
    expected = {code: (facts.queries.get(code, 0), facts.candidates.get(code, 0)) for code in languages}
    _require(counts == expected, f"the counts per language are not those of {task.name}")
    for what, there, here in (
        ("title", task.title, spec.title),
        ("revision", task.revision, spec.revision or None),
        ("lowest gain of a relevant", task.relevant_from, spec.relevant_from),
        ("language groups", task.groups, groups_of(spec)),
        ("number of questions", task.n_questions, facts.n_questions),
        ("number of articles", task.n_articles, facts.n_articles),
    ):
        _require(there == here, f"the {what} of the record is not that of {task.name}", str(there))


def _check_measured(record: Record, spec: TaskSpec) -> None:
    """The record has all settings (of a run: some), and MAP among its metrics."""
    task = record.task
    settings = [name for name in spec.settings if name in task.settings]
    whole = settings == list(spec.settings) or (record.model.identity.kind == "run" and settings)
    _require(
        whole and task.settings == settings == list(record.scores),
        f"the record does not have the settings of {task.name}",
        ", ".join(task.settings),
    )
    _require(
        MAIN_METRIC in task.metrics and len(task.metrics) <= MAX_METRICS,
        f"the record must have {MAIN_METRIC}, and at most {MAX_METRICS} metrics",
        ", ".join(task.metrics[:MAX_METRICS]),
    )
    for name in task.metrics:
        parse_metric(name)


def _check_transform(record: Record) -> None:
    """What was done to the vectors exists and does not contradict itself."""
    transform = record.transform
    if transform is None:
        return
    try:
        directions = TransformOptions(transform.name).directions
    except XqrBenchError as error:
        raise RecordError("the record names no transform of xqr-bench", found=transform.name, remedy=_WHOLE) from error
    _require(
        transform.transductive == (transform.bitext is None)
        and transform.removed_directions == directions
        and (directions or 0)
        < transform.dimensions
        == (record.model.identity.models[0].dimensions or transform.dimensions)
        and set(transform.estimated_on) <= set(record.task.all_languages),
        f"the record contradicts itself about its transform {transform.name}",
        f"estimated on {transform.source}",
        _AS_MADE,
    )


def _check_quantization(record: Record) -> None:
    """How vectors were quantised does not contradict the rest of the record."""
    quantization = record.quantization
    if quantization is None:
        return
    candidates = sum(size.candidates for size in record.task.counts.values())
    given = [place.get("rescore") for place in (record.provenance.arguments, record.provenance.settings)]
    _require(
        quantization.dimensions == (record.model.identity.models[0].dimensions or quantization.dimensions)
        and quantization.calibrated_on in (None, candidates)
        and (quantization.rescored is None or quantization.rescored.pool <= candidates)
        and all(one is None or str(one) == str(quantization.rescore) for one in given)
        and record.index is None,
        f"the record contradicts itself about its {quantization.precision} vectors",
        f"rescored {quantization.rescore}, {quantization.dimensions} dimensions",
        _AS_MADE,
    )


_NOT_DENSE = ("sparse-encoder", "multi-vector-encoder")


def _check_vectors(record: Record) -> None:
    """What was done to the vectors is what was asked for, there were vectors, and no ranking is cut but by an index."""
    transform, index = record.transform, record.index
    quantization = record.quantization
    done = {
        "transform": transform and transform.name,
        "quantize": quantization and quantization.precision,
        "index": index and index.type,
    }
    arguments, settings = record.provenance.arguments, record.provenance.settings
    for given in (arguments, settings):
        for what, name in done.items():
            asked = given.get(what)
            asked = asked.get("type") if isinstance(asked, dict) else asked
            stated = what in given or (given is settings and name is not None)  # what was done is among the settings
            _require(
                not stated or (asked or "none") == (name or "none"),
                f"the record contradicts itself about its {what}",
                f"asked for: {asked!s:.40}; done: {name or 'none'}",
                _AS_MADE,
            )
    identity = record.model.identity
    _require(
        identity.kind != "run" or not (identity.parts or identity.base),
        "lists merged in turn are a reference, and no row of the leaderboard",
        identity.name[:80],
        "evaluate without --balanced",
    )
    first = identity.models[0]
    _require(
        first.candidate_context is not None or not arguments.get("candidate_context"),
        "the record contradicts itself about the context of its candidates",
        str(arguments.get("candidate_context"))[:40],
        _AS_MADE,
    )
    ranked, without = identity.similarity == "none", first.similarity == "none"
    _require(
        (identity.kind in ("python", "plugin") or ranked == (identity.kind in RANKED_ONLY))
        and not (ranked and identity.dimensions)
        and not (without and (record.diagnostics or any(done.values()))),
        f"the record contradicts itself about the vectors of an encoder of the kind {identity.kind}",
        f"similarity {identity.similarity}, dimensions {identity.dimensions}",
        _AS_MADE,
    )
    _require(
        (first.similarity == "maxsim") == (first.kind == "multi-vector-encoder")
        and not (first.kind in _NOT_DENSE and (first.truncate_dim or transform or index)),
        f"the record contradicts itself about a model of the kind {first.kind}",
        f"similarity {first.similarity}",
        _AS_MADE,
    )
    depth = record.ranks_file.depth
    _require(
        depth is None or identity.kind in ("run", "fused") or index is not None,
        "only runs and indices have rankings that are cut",
        f"depth {depth}",
        _AS_MADE,
    )
    if index is not None:
        sizes = {code: size.candidates for code, size in record.task.counts.items()}
        _require(index.sizes == sizes, "the index does not hold the candidates of the task", str(index.sizes), _AS_MADE)
        most = deepest(sizes.values())
        _require(
            (index.depth or 0) <= most,
            "the index is cut deeper than there are candidates",
            f"depth {index.depth}, at most {max(sizes.values())} candidates of a language",
            f"give --depth {most} or less",
        )


def _check_stages(record: Record) -> None:
    """A ranking in two stages is made of what it says, as it was asked for, and its relevants were not helped."""
    identity, stages = record.model.identity, record.model.identity.reranking
    given = (record.provenance.arguments, record.provenance.settings)
    asked = [place.get("rerank") for place in given]
    if stages is None:
        _require(not any(asked), "the record contradicts itself about its second stage", str(asked)[:80], _AS_MADE)
        return
    _require(
        identity.kind == "reranked"
        and record.index is None
        and all(one.reranking is None for one in identity.whole[1:]),
        "a ranking in two stages is made of two rankings without stages, without an index",
        f"kind {identity.kind}, {len(identity.models)} models",
        _AS_MADE,
    )
    for one in identity.models:
        _require(
            one.kind in ("python", "plugin") or (one.similarity == "none") == (one.kind in RANKED_ONLY),
            f"the record contradicts itself about the vectors of {one.name}",
            f"kind {one.kind}, similarity {one.similarity}",
            _AS_MADE,
        )
    _require(
        not stages.relevants_added,
        "the relevants were ranked again wherever they stood: an upper bound, which no search gives",
        remedy="evaluate without --rerank-add-relevants",
    )
    done = {"rerank_depth": stages.depth, "rerank_pool": stages.pool, "rerank_add_relevants": False}
    for place in given:
        wrong = {name: place[name] for name, value in done.items() if place.get(name) not in (None, value)}
        _require(not wrong, "the record contradicts itself about what was ranked again", str(wrong)[:80], _AS_MADE)


def _check_kind(record: Record) -> None:
    """What claims to be built in, a baseline or declared by xqr-bench is.

    Raises:
        XqrBenchError: it is not.
    """
    identity, exposure = record.model.identity, record.exposure
    for one in identity.models:
        if one.kind == "builtin":
            _require(_is_built_in(one.name), f"no encoder {one.name!r} is built in", remedy=_AS_MADE)
        if one.kind == "baseline":
            ours = baseline_of(one).identity.model_copy(update={"distribution": one.distribution})
            _require(one == ours, f"no baseline {one.name} is made so", str(one)[:200], _AS_MADE)
    _require(
        exposure is None or exposure.declared_by != "xqr-bench" or is_ours(record),
        "xqr-bench declares the exposure of what is built in, and of nothing else",
        remedy="submit --exposure LEVEL",
    )
    _require(
        exposure is None or exposure.declared_by != "mteb" or (identity.distribution or "").startswith("mteb "),
        "mteb declares the exposure of what has its protocol, and of nothing else",
        remedy="submit --exposure LEVEL",
    )


def _check_exposure(record: Record) -> None:
    """What is declared of languages and of texts found is of this task, and fits what the training says."""
    exposure, counts = record.exposure, record.task.counts
    if exposure is None:
        return
    found, languages = exposure.found, exposure.languages
    for named in (languages or {}, () if found is None else found.languages):
        strange = sorted(set(named).difference(counts))
        _require(not strange, "the exposure names languages that the task does not have", ", ".join(strange)[:80])
    for code, kinds in {} if found is None else found.by_language.items():
        total = kinds["question"].total if "question" in kinds else counts[code].queries
        _require(
            total == counts[code].queries, f"the exposure counts other questions of {code} than there are", str(total)
        )
    if found is not None and not found.by_language and "question" in found.counts:
        most, total = sum(counts[code].queries for code in found.languages), found.counts["question"].total
        _require(total <= most, "the exposure counts more questions than the task has", f"{total} of {most}")
    try:
        levels = LanguageLevels.model_validate((record.training or {}).get("languages"))
    except ValidationError:
        levels = None
    for code, level in (languages or {}).items():
        stated = level in LANGUAGE_LEVELS if levels is None else level == levels.level(code)
        _require(stated, f"what the exposure says of {code} is not what the training says", level[:40], _AS_MADE)


def _is_built_in(name: str) -> bool:
    return name in ENCODERS and ENCODERS.origins()[name] == "built in"


BOUNDS: dict[str, Literal["floor", "ceiling"]] = {"random": "floor", "oracle": "ceiling"}
"""Baselines whose ranks show what they are (`_check_bound`)."""


def is_ours(record: Record) -> bool:
    """Whether the record is of a baseline or a built-in encoder as it is now, under a name that begins with its own.

    Others of these kinds are encoders like any: another name, or code of another digest, vouches for nothing.
    """
    identity = record.model.identity
    if not record.model.name.startswith(identity.name) or identity.kind not in ("builtin", "baseline"):
        return False
    if identity.kind == "baseline":
        return True
    made = load_encoder(identity.name).identity
    return (identity.revision, identity.digest) == (made.revision, made.digest)


def is_proved_ours(record: Record, *, attested: bool) -> bool:
    """Whether it can count as ours: somebody attests to have run it, or its ranks show it (`_check_bound`).

    Without either, the ranks under a baseline's name and identity may be of anything.
    """
    identity = record.model.identity
    return is_ours(record) and (attested or (identity.kind == "baseline" and identity.name in BOUNDS))


def stated_exposure(record: Record, *, attested: bool) -> Exposure:
    """What the record declares; else, of what is ours, that nothing is trained."""
    return record.exposure or (OURS if is_proved_ours(record, attested=attested) else Exposure())


def _check_bound(record: Result) -> None:
    """The ranks of a floor or a ceiling are such: a row outside the contest."""
    identity, ranks = record.model.identity, record.ranks
    gt, eq, *_ = ranks.counts
    if (identity.kind, identity.name) == ("baseline", "oracle"):
        right = not gt.any() and (eq == np.diff(ranks.offsets)[ranks.row_queries]).all()
    elif (identity.kind, identity.name) == ("baseline", "random"):
        pool = ranks.column_sizes.sum()
        if ranks.separate:
            _, _, gt, eq = ranks.counts
            pool = ranks.column_sizes[ranks.relevant_columns]
        place = (gt + (eq - 1) / 2) / np.maximum(pool - 1, 1)
        languages = np.array(ranks.columns)[ranks.relevant_columns]
        own = languages == np.array(ranks.query_languages)[ranks.row_queries]
        right = all(abs(float(place[rows].mean()) - 0.5) < _RANDOM_MEAN for rows in (own, ~own) if rows.any())
    else:
        return
    _require(right, f"these are not the ranks of the baseline {identity.name}", remedy=_AS_MADE)


def _check_provenance(record: Record) -> None:
    """The record was made since there is this package, before now, by no later version, under a Python that runs it."""
    made = record.provenance
    check_versions(made.code_version, made.python)
    _require(
        made.created[:10] >= FIRST_DAY,
        "the record was made before there was xqr-bench",
        made.created,
        "evaluate again, with the clock set right",
    )
    _require(
        datetime.fromisoformat(made.created) <= datetime.now(UTC) + timedelta(days=1),
        "the record was made in the future",
        made.created,
        "evaluate again, with the clock set right",
    )


_ASKED = ("similarity", "dtype", "max_length", "truncate_dim", "query_prompt", "candidate_prompt")


def _check_asked(record: Record) -> None:
    """What was asked for is what was done: the encoder was used so, on the whole task, with these metrics."""
    identity, task, given = record.model.identity.models[0], record.task, record.provenance
    for name in _ASKED:
        asked, done = given.arguments.get(name), getattr(identity, name)
        if isinstance(asked, str):
            asked = line_breaks(asked) or None
        _require(
            asked in (None, done),
            f"the record contradicts itself about its {name}",
            f"asked for: {asked!s:.40}; done: {done!s:.40}",
            _AS_MADE,
        )
    _require(
        identity.remote_code or not given.arguments.get("trust_remote_code"),
        "the record contradicts itself about code that comes with the model",
        "asked for: --trust-remote-code; done: without",
        _AS_MADE,
    )
    width, columns = identity.truncate_dim, identity.dimensions
    _require(
        width is None or columns is None or columns <= width,
        "the record contradicts itself about the columns of its vectors",
        f"{columns}, of which {width} were kept",
        _AS_MADE,
    )
    whole = sorted(task.query_languages or task.languages)
    for where in (given.arguments, given.settings):
        languages, metrics = where.get("languages"), where.get("metrics")
        languages = split(languages) if isinstance(languages, str) else languages
        metrics = split(metrics) if isinstance(metrics, str) else metrics
        for what, asked, right in (
            ("limit", where.get("limit"), where.get("limit") is None),
            ("languages", languages, languages is None or sorted(map(str, languages)) == whole),
            ("metrics", metrics, metrics is None or {str(name) for name in metrics} == set(task.metrics)),
        ):
            _require(right, f"the record contradicts itself about its {what}", f"asked for: {asked!s:.60}", _AS_MADE)


MAX_DECLARED = 2**18
_MAX_TEXT = 300
_HARDWARE: TypeAdapter[Hardware] = TypeAdapter(Hardware)


def _check_texts(record: Record) -> None:
    """What is declared can be read: names are short lines of characters that can be seen, and all of it is bounded."""
    identity, made = record.model.identity, record.provenance
    try:
        hardware = _HARDWARE.validate_python(made.hardware, strict=True)
    except ValidationError as error:
        raise RecordError(
            "the record describes no machine", found=strict_json.first_fault(error), remedy=_AS_MADE
        ) from None
    texts: dict[str, object] = {f"hardware {name}": value for name, value in hardware.items()}
    for n, one in enumerate(identity.whole):
        names = ("name", "revision", "digest", "base", "distribution", "dtype")
        texts |= {f"{name} of its ranking {n}" if n else name: getattr(one, name) for name in names}
    texts["phases"] = " ".join(made.seconds)
    for what, text in texts.items():
        fits = not isinstance(text, str) or (len(text) <= _MAX_TEXT and not any(map(unseen, text)))
        _require(fits, f"the record's {what} is no short line that can be read", repr(text)[:80], _AS_MADE)
    for one in identity.whole:
        for name, form in (("digest", "[0-9a-f]{64}"), ("dtype", "[a-z0-9_]{1,20}")):
            text, none = getattr(one, name), f"the record's {name} is none"
            _require(text is None or re.fullmatch(form, text), none, repr(text)[:80], _AS_MADE)
    size = len(record.model_dump_json(exclude={"scores", "relevance"}))
    _require(
        size <= MAX_DECLARED,
        "the record declares more than anybody reads",
        f"{size:,} bytes beside its scores; at most {MAX_DECLARED:,}",
        _AS_MADE,
    )


def _check_diagnostics(record: Record, facts: DataFacts) -> None:
    """What is counted of the texts of a language is what the task has of them."""
    own = record.model.identity.models[0].candidate_context is None  # texts of the task, without their paragraph
    for code, diagnostics in record.diagnostics.items():
        _require(code in record.task.counts, f"the record has diagnostics of {code!r}, no language of its task")
        for role in ("queries", "candidates"):
            most, texts = getattr(record.task.counts[code], role), getattr(diagnostics, role)
            numbers = [getattr(diagnostics, f"{kind}_{role}") or 0 for kind in ("truncated", "zero")]
            _require(
                max(*numbers, 0 if texts is None else texts.texts) <= most,
                f"the record counts more texts of {code} than its {most} {role}",
                str(diagnostics),
                _AS_MADE,
            )
            known = facts.texts.get(code, {}).get(role)
            if texts is not None and known is not None:
                found = texts.texts if own or role == "queries" else known[0], texts.characters
                _require(
                    found == known,
                    f"the record counts other texts of {code} than its {role} are",
                    f"{found[0]:,} texts of {found[1]:,} characters instead of {known[0]:,} of {known[1]:,}",
                    _AS_MADE,
                )


def _check_arguments(record: Record) -> None:
    """Running the record's models again runs no code that the record chooses."""
    identity, arguments = record.model.identity, record.provenance.arguments
    of_second = arguments.get("rerank_arg")
    risky = risky_arguments(arguments.get("model_kwargs"))
    risky |= risky_arguments(of_second.get("model_kwargs") if isinstance(of_second, dict) else of_second)
    for one in identity.whole:
        risky |= risky_arguments(one.model_kwargs) if one.kind != "baseline" else {}
    _require(
        not risky,
        "the record has arguments for the model that can decide which code runs",
        ", ".join(sorted(risky)),
        "evaluate without them (--model-kwargs, --encoder-arg); a submission may have dtype and attn_implementation",
    )
    stages, given = identity.reranking, arguments.get("model")
    first = identity if stages is None else stages.first
    named = [(one, model, given) for one, model in _named_models(first, str(given or first.model))]
    if stages is not None:
        second = arguments.get("rerank")
        named.append((stages.second, str(second or stages.second.model), second))
    for one, model, given in named:
        _require(not model.startswith("-"), "the record names an option as its model", model, _AS_MADE)
        _require(
            given is None or _is_named(one, model),
            "the record was made with another model than it names",
            f"asked for: {model:.80}; evaluated: {one.kind} {one.name:.80}",
            _AS_MADE,
        )
        code = one.kind != "python" and is_python_spec(model)
        _require(not code, f"the record names Python code as an encoder of the kind {one.kind}", model, _AS_MADE)


def _named_models(identity: ModelIdentity, model: str) -> list[tuple[ModelIdentity, str]]:
    """What a MODEL string names, and the identities that it should have: of a fusion each of its parts."""
    fusion = identity.fusion
    if fusion is None:
        return [(identity, model)]
    try:
        method, models = named_parts(model)
    except UsageError as error:
        raise RecordError("the record names no rankings that were fused", found=model[:80], remedy=_AS_MADE) from error
    fits = (method, len(models)) == (fusion.method, len(fusion.parts)) == (fusion.method, len(fusion.weights))
    _require(fits, "the record was made of other rankings than it names", model[:80], _AS_MADE)
    return list(zip(fusion.parts, models, strict=True))


_MADE_ELSEWHERE = ("precomputed", "scores", "run")
_OF_OTHER_KINDS = (*(f"{kind}:" for kind in _MADE_ELSEWHERE), MTEB, FUSE)


def _is_named(identity: ModelIdentity, model: str) -> bool:
    """Whether a MODEL string can stand for an encoder of this identity; folders and code have many paths."""
    if identity.kind == "baseline":
        return re.fullmatch(rf"(baseline )?{re.escape(identity.name)}(:\d+)?", model, re.ASCII) is not None
    if identity.kind in ("builtin", "plugin"):
        return model.partition(":")[0] == identity.name
    if identity.endpoint is not None:
        return is_endpoint(model) and model.rstrip("/").lower() == identity.endpoint.url.lower()
    if identity.kind in _MADE_ELSEWHERE:
        return model.startswith(f"{identity.kind}:")
    if identity.kind == "mteb":
        return model == identity.model
    if is_endpoint(model) or model.startswith(_OF_OTHER_KINDS):
        return False
    if identity.kind in KINDS.values() and identity.revision and identity.digest is None:
        return f"/{identity.name}".casefold().endswith(f"/{model}".casefold())  # the hub adds the organisation
    return True


def _has_own_lists(identity: ModelIdentity) -> bool:
    return any(one.kind in _OWN_LISTS for one in (identity, *identity.models))


def _check_ranks(record: Result, facts: DataFacts) -> None:
    """The ranks are of this task, complete, and possible at all."""
    name, ranks = record.task.name, record.ranks
    _require(ranks.task == name, f"these are not ranks of {name}", f"ranks of {ranks.task}")
    sizes = dict(zip(ranks.columns, ranks.column_sizes.tolist(), strict=True))
    _require(sizes == facts.candidates, f"the pools of these ranks are not those of {name}")
    _require(
        structure_digest(ranks) == facts.structure,
        f"the queries, relevants, gains or articles of these ranks are not those of {name}",
    )
    two_stages = record.quantization is not None and record.quantization.rescored is not None
    _require(
        not ranks.own_lists or _has_own_lists(record.model.identity) or two_stages,
        "these ranks have lists of their own for single languages; an encoder's are parts of the pooled one",
        remedy=_AS_MADE,
    )
    _require(
        not ranks.separate or MULTILINGUAL not in record.task.settings,
        f"these ranks are not of one pool, as {name} has it",
        remedy=_AS_MADE,
    )
    record.check_possible()
    _check_bound(record)
    whole = (ranks.gt >= 0).all() and (ranks.own_gt is None or (ranks.own_gt >= 0).all())
    _require(
        not (whole and ranks.depth is not None and record.index is None and ranks.depth >= ranks.column_sizes.sum()),
        "these ranks are cut deeper than there are candidates, and complete",
        f"depth {ranks.depth}",
        _AS_MADE,
    )


def _check_relevance_files(path: Path, record: Result, rules: dict[str, RuleFacts]) -> None:
    """The files of the rules of relevance, of which no byte is believed before, are of the task."""
    task = record.task.name
    for name, info in record.relevance.items():
        if name == JUDGED and name not in rules and info.undefined_reason == NONE_IRRELEVANT:
            continue
        _require(name in rules, f"{task} has no {name} relevance", ", ".join(rules) or "strict only", _AS_MADE)
        if info.ranks_file is None:
            reason = str(info.undefined_reason)
            cut = record.ranks_file.depth is not None and re.fullmatch(r"the ranking is cut at [\w ,;]{1,80}", reason)
            _require(
                cut or (reason == NOT_COUNTED and _has_own_lists(record.model.identity)),
                f"the record leaves {name} relevance out for no reason of xqr-bench",
                reason[:80],
                _AS_MADE,
            )
            continue
        file = path.with_suffix(f".{name}.parquet")
        stated = info.ranks_file.file
        _require(
            stated == file.name, f"the record names another file for {name} relevance", repr(stated), remedy=_AS_MADE
        )
        check_file(file_beside(path, info.ranks_file), max_ranks(task, short=record.short))
        known = (record.short and rules[name].sample) or rules[name]
        _require(
            info.questions == known.questions,
            f"{name} relevance is of other questions than a submission's",
            f"{info.questions or 'all'} instead of {known.questions or 'all'}",
            _AS_MADE,
        )
        strict = 0 if name in LEAVING else record.strict_under(name).n_relevants
        rows = info.ranks_file.n_relevants - strict
        _require(
            rows == known.rows,
            f"{file} does not hold all ranks of {name} relevance",
            f"{rows:,} rows instead of {known.rows:,}",
            _AS_MADE,
        )
        variant = record.ranks_under(name)
        counts = (
            np.asarray(variant.removed).tolist()
            if name in LEAVING
            else _per_language(variant.row_queries, variant.relevant_columns, variant.n_queries, len(variant.columns))
        )
        _require(_digest(counts) == known.structure, f"{file} is not of {task}", remedy=_AS_MADE)


if __name__ == "__main__":
    print(facts_text(), end="")
