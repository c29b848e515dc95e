"""A submission, checked: its files, its form, its task, its ranks, its scores. The first fault ends it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from xqr_bench.board.facts import (
    DataFacts,
    RuleFacts,
    data_facts,
    digest,
    find_task,
    per_language,
    structure_digest,
)
from xqr_bench.board.files import MAX_RECORD, MAX_TOP, check_file, check_name, check_versions, max_ranks, read_json
from xqr_bench.board.identity import (
    AS_MADE,
    check_arguments,
    check_kind,
    check_quantization,
    check_stages,
    check_transform,
    check_vectors,
    has_own_lists,
    require,
)
from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import now_at
from xqr_bench.core.names import unseen
from xqr_bench.core.observe import Observer
from xqr_bench.core.options import line_breaks, split
from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import (
    JUDGED,
    LEAVING,
    MAIN_METRIC,
    MULTILINGUAL,
)
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.record import Record, Result, load_record, proved
from xqr_bench.record.beside import file_beside, top_place
from xqr_bench.record.describe import NONE_IRRELEVANT, NOT_COUNTED, groups_of
from xqr_bench.record.model import Hardware
from xqr_bench.record.provenance import LANGUAGE_LEVELS, LanguageLevels
from xqr_bench.tasks import TaskSpec

# The checks, in their order.

MAX_METRICS = 64
FIRST_DAY = "2026-11-22"
"""Of this package: no record is older."""
_RANDOM_MEAN = 0.1
"""How far the mean place of the relevants, 0 first .. 1 last, may be from 0.5 in a random ranking."""


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
    check_transform(record)
    check_quantization(record)
    _check_diagnostics(record, facts)
    check_vectors(record)
    check_stages(record)
    check_kind(record)
    _check_exposure(record)
    _check_provenance(record)
    _check_asked(record)
    _check_texts(record)
    check_arguments(record)
    check_file(file_beside(path, record.ranks_file), max_ranks(spec.name, short=record.short))
    rows, expected = record.ranks_file.n_relevants, facts.n_relevants
    require(rows == expected, f"{path} does not hold all ranks of {spec.name}", f"{rows:,} instead of {expected:,}")
    _check_top_file(path, record)
    result = load_record(path, ranks=True, whole=False)
    _check_ranks(result, facts)
    _check_relevance_files(path, result, facts.relevance)
    name = shown_line(record.model.name)
    note = f"computing the figures of {name} on {record.task.name} from its ranks"
    top = result.find_top()
    for name in () if top is None else top.ids:
        fits = len(name) <= _MAX_TEXT and not any(map(unseen, name))
        require(fits, "a best candidate has an id that is no short line", repr(name)[:80], AS_MADE)
    result = result.model_copy(update={"top": top})
    return proved(result, again=again, tell=None if observe is None else lambda: observe.note(note))


def _check_task(record: Record, spec: TaskSpec, facts: DataFacts) -> None:
    """The record is of this task, of all of it, and of the same data."""
    task, languages = record.task, [*spec.languages, *spec.pool]
    partial = ", ".join(f"{key}: {value}" for key, value in task.partial.items())
    require(not task.demonstration, f"{task.name} is a demonstration, too small to compare with")
    require(
        not partial,
        f"the record covers only a part of {task.name}",
        partial,
        "evaluate without --languages and --limit",
    )
    missing = [code for code in dict.fromkeys(languages) if code not in task.all_languages]
    require(
        (task.languages, task.query_languages or task.languages) == (list(spec.pool), list(spec.languages)),
        f"the record does not have the languages of {task.name}",
        f"{', '.join(missing)} missing" if missing else ", ".join(task.all_languages),
    )
    files = {source.path: source.sha256 or task.files.get(source.path) for source in spec.files.values()}
    changed = [name for name in files if task.files.get(name) != files[name]] or sorted(task.files)
    require(
        task.files == files,
        f"the record was made from other data than that of {task.name}",
        f"another digest of {', '.join(changed)}",
        "xqr-bench data verify tells which file is wrong",
    )
    counts = {code: (size.queries, size.candidates) for code, size in task.counts.items()}
    expected = {code: (facts.queries.get(code, 0), facts.candidates.get(code, 0)) for code in languages}
    require(counts == expected, f"the counts per language are not those of {task.name}")
    for what, there, here in (
        ("title", task.title, spec.title),
        ("revision", task.revision, spec.revision or None),
        ("lowest gain of a relevant", task.relevant_from, spec.relevant_from),
        ("language groups", task.groups, groups_of(spec)),
        ("number of questions", task.n_questions, facts.n_questions),
        ("number of articles", task.n_articles, facts.n_articles),
    ):
        require(there == here, f"the {what} of the record is not that of {task.name}", str(there))


def _check_measured(record: Record, spec: TaskSpec) -> None:
    """The record has all settings (of a run: some), and MAP among its metrics."""
    task = record.task
    settings = [name for name in spec.settings if name in task.settings]
    whole = settings == list(spec.settings) or (record.model.identity.kind == "run" and settings)
    require(
        whole and task.settings == settings == list(record.scores),
        f"the record does not have the settings of {task.name}",
        ", ".join(task.settings),
    )
    require(
        MAIN_METRIC in task.metrics and len(task.metrics) <= MAX_METRICS,
        f"the record must have {MAIN_METRIC}, and at most {MAX_METRICS} metrics",
        ", ".join(task.metrics[:MAX_METRICS]),
    )
    for name in task.metrics:
        parse_metric(name)


def _check_exposure(record: Record) -> None:
    """What is declared of languages and of texts found is of this task, and fits what the training says."""
    exposure, counts = record.exposure, record.task.counts
    if exposure is None:
        return
    found, languages = exposure.found, exposure.languages
    for named in (languages or {}, () if found is None else found.languages):
        strange = sorted(set(named).difference(counts))
        require(not strange, "the exposure names languages that the task does not have", ", ".join(strange)[:80])
    for code, kinds in {} if found is None else found.by_language.items():
        total = kinds["question"].total if "question" in kinds else counts[code].queries
        require(
            total == counts[code].queries, f"the exposure counts other questions of {code} than there are", str(total)
        )
    if found is not None and not found.by_language and "question" in found.counts:
        most, total = sum(counts[code].queries for code in found.languages), found.counts["question"].total
        require(total <= most, "the exposure counts more questions than the task has", f"{total} of {most}")
    try:
        levels = LanguageLevels.model_validate((record.training or {}).get("languages"))
    except ValidationError:
        levels = None
    for code, level in (languages or {}).items():
        stated = level in LANGUAGE_LEVELS if levels is None else level == levels.level(code)
        require(stated, f"what the exposure says of {code} is not what the training says", level[:40], AS_MADE)


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
    require(right, f"these are not the ranks of the baseline {identity.name}", remedy=AS_MADE)


def _check_provenance(record: Record) -> None:
    """The record was made since there is this package, before now, by no later version, under a Python that runs it."""
    made = record.provenance
    check_versions(made.code_version, made.python)
    require(
        made.created[:10] >= FIRST_DAY,
        "the record was made before there was xqr-bench",
        made.created,
        "evaluate again, with the clock set right",
    )
    require(
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
        require(
            asked in (None, done),
            f"the record contradicts itself about its {name}",
            f"asked for: {asked!s:.40}; done: {done!s:.40}",
            AS_MADE,
        )
    require(
        identity.remote_code or not given.arguments.get("trust_remote_code"),
        "the record contradicts itself about code that comes with the model",
        "asked for: --trust-remote-code; done: without",
        AS_MADE,
    )
    width, columns = identity.truncate_dim, identity.dimensions
    require(
        width is None or columns is None or columns <= width,
        "the record contradicts itself about the columns of its vectors",
        f"{columns}, of which {width} were kept",
        AS_MADE,
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
            require(right, f"the record contradicts itself about its {what}", f"asked for: {asked!s:.60}", AS_MADE)


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
            "the record describes no machine", found=strict_json.first_fault(error), remedy=AS_MADE
        ) from None
    texts: dict[str, object] = {f"hardware {name}": value for name, value in hardware.items()}
    for n, one in enumerate(identity.whole):
        names = ("name", "revision", "digest", "base", "distribution", "dtype")
        texts |= {f"{name} of its ranking {n}" if n else name: getattr(one, name) for name in names}
    texts["phases"] = " ".join(made.seconds)
    for what, text in texts.items():
        fits = not isinstance(text, str) or (len(text) <= _MAX_TEXT and not any(map(unseen, text)))
        require(fits, f"the record's {what} is no short line that can be read", repr(text)[:80], AS_MADE)
    for one in identity.whole:
        for name, form in (("digest", "[0-9a-f]{64}"), ("dtype", "[a-z0-9_]{1,20}")):
            text, none = getattr(one, name), f"the record's {name} is none"
            require(text is None or re.fullmatch(form, text), none, repr(text)[:80], AS_MADE)
    size = len(record.model_dump_json(exclude={"scores", "relevance"}))
    require(
        size <= MAX_DECLARED,
        "the record declares more than anybody reads",
        f"{size:,} bytes beside its scores; at most {MAX_DECLARED:,}",
        AS_MADE,
    )


def _check_diagnostics(record: Record, facts: DataFacts) -> None:
    """What is counted of the texts of a language is what the task has of them."""
    own = record.model.identity.models[0].candidate_context is None  # texts of the task, without their paragraph
    for code, diagnostics in record.diagnostics.items():
        require(code in record.task.counts, f"the record has diagnostics of {code!r}, no language of its task")
        for role in ("queries", "candidates"):
            most, texts = getattr(record.task.counts[code], role), getattr(diagnostics, role)
            numbers = [getattr(diagnostics, f"{kind}_{role}") or 0 for kind in ("truncated", "zero")]
            require(
                max(*numbers, 0 if texts is None else texts.texts) <= most,
                f"the record counts more texts of {code} than its {most} {role}",
                str(diagnostics),
                AS_MADE,
            )
            known = facts.texts.get(code, {}).get(role)
            if texts is not None and known is not None:
                found = texts.texts if own or role == "queries" else known[0], texts.characters
                require(
                    found == known,
                    f"the record counts other texts of {code} than its {role} are",
                    f"{found[0]:,} texts of {found[1]:,} characters instead of {known[0]:,} of {known[1]:,}",
                    AS_MADE,
                )


def _check_ranks(record: Result, facts: DataFacts) -> None:
    """The ranks are of this task, complete, and possible at all."""
    name, ranks = record.task.name, record.ranks
    require(ranks.task == name, f"these are not ranks of {name}", f"ranks of {ranks.task}")
    sizes = dict(zip(ranks.columns, ranks.column_sizes.tolist(), strict=True))
    require(sizes == facts.candidates, f"the pools of these ranks are not those of {name}")
    require(
        structure_digest(ranks) == facts.structure,
        f"the queries, relevants, gains or articles of these ranks are not those of {name}",
    )
    two_stages = record.quantization is not None and record.quantization.rescored is not None
    require(
        not ranks.own_lists or has_own_lists(record.model.identity) or two_stages,
        "these ranks have lists of their own for single languages; an encoder's are parts of the pooled one",
        remedy=AS_MADE,
    )
    require(
        not ranks.separate or MULTILINGUAL not in record.task.settings,
        f"these ranks are not of one pool, as {name} has it",
        remedy=AS_MADE,
    )
    record.check_possible()
    _check_bound(record)
    whole = (ranks.gt >= 0).all() and (ranks.own_gt is None or (ranks.own_gt >= 0).all())
    require(
        not (whole and ranks.depth is not None and record.index is None and ranks.depth >= ranks.column_sizes.sum()),
        "these ranks are cut deeper than there are candidates, and complete",
        f"depth {ranks.depth}",
        AS_MADE,
    )


def _check_top_file(path: Path, record: Record) -> None:
    """The file of the best candidates, of which no byte is believed before, where there is one."""
    info, file = record.top_file, top_place(path)
    if info is not None:
        require(
            info.file == file.name, "the record names another file for its best candidates", repr(info.file), AS_MADE
        )
        check_file(file_beside(path, info), MAX_TOP)
    elif (place := now_at(file, record.ranks_file.digest)).is_symlink() or place.exists():
        check_file(place, MAX_TOP)


def _check_relevance_files(path: Path, record: Result, rules: dict[str, RuleFacts]) -> None:
    """The files of the rules of relevance, of which no byte is believed before, are of the task."""
    task = record.task.name
    for name, info in record.relevance.items():
        if name == JUDGED and name not in rules and info.undefined_reason == NONE_IRRELEVANT:
            continue
        require(name in rules, f"{task} has no {name} relevance", ", ".join(rules) or "strict only", AS_MADE)
        if info.ranks_file is None:
            reason = str(info.undefined_reason)
            cut = record.ranks_file.depth is not None and re.fullmatch(r"the ranking is cut at [\w ,;]{1,80}", reason)
            require(
                cut or (reason == NOT_COUNTED and has_own_lists(record.model.identity)),
                f"the record leaves {name} relevance out for no reason of xqr-bench",
                reason[:80],
                AS_MADE,
            )
            continue
        file = path.with_suffix(f".{name}.parquet")
        stated = info.ranks_file.file
        require(
            stated == file.name, f"the record names another file for {name} relevance", repr(stated), remedy=AS_MADE
        )
        check_file(file_beside(path, info.ranks_file), max_ranks(task, short=record.short))
        known = (record.short and rules[name].sample) or rules[name]
        require(
            info.questions == known.questions,
            f"{name} relevance is of other questions than a submission's",
            f"{info.questions or 'all'} instead of {known.questions or 'all'}",
            AS_MADE,
        )
        strict = 0 if name in LEAVING else record.strict_under(name).n_relevants
        rows = info.ranks_file.n_relevants - strict
        require(
            rows == known.rows,
            f"{file} does not hold all ranks of {name} relevance",
            f"{rows:,} rows instead of {known.rows:,}",
            AS_MADE,
        )
        variant = record.ranks_under(name)
        counts = (
            np.asarray(variant.removed).tolist()
            if name in LEAVING
            else per_language(variant.row_queries, variant.relevant_columns, variant.n_queries, len(variant.columns))
        )
        require(digest(counts) == known.structure, f"{file} is not of {task}", remedy=AS_MADE)
