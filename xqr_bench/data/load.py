"""A task's files as `TaskData`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from xqr_bench.data.articles import number_components
from xqr_bench.data.catalog import resolve_task
from xqr_bench.data.download import Progress
from xqr_bench.data.readers import READERS, LanguageData
from xqr_bench.data.restrict import choose_languages, first_questions, keep_languages
from xqr_bench.data.sources import read_source
from xqr_bench.data.spec import TaskSpec
from xqr_bench.errors import DataError
from xqr_bench.types import LENIENT, Candidate, Query, TaskData


def load_task(
    task: str | Path | TaskSpec | TaskData,
    *,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> TaskData:
    """Read a task's files, check them, and give their texts.

    Args:
        task: name of a shipped task, path of a task file, or either already loaded.
        data_dir: the folder that holds the files; default: XQR_BENCH_DATA, else a per-user cache that a
            download fills. A folder that is named but lacks a file is an error, never a reason to download.
        languages: keep only these, in the order of the task; only their files are read.
        limit: keep the first so many questions, and the paragraphs they stand in.
        progress: called while files are downloaded and read.

    Returns:
        The texts; `partial` names what `languages` or `limit` left out. Articles are numbered over the
        languages that were read.

    Raises:
        UnknownNameError, TaskError: no such task, or a task file that makes no sense.
        DataError: a file that is missing, damaged, or not what the task says; a language left without a
            query or a candidate.
        UsageError: `languages` or `limit` cannot be meant as given.
    """
    if isinstance(task, TaskData):
        data = task
        if languages is not None:
            data = keep_languages(data, choose_languages(data.name, data.languages, languages))
        return data if limit is None else first_questions(data, limit)
    spec = resolve_task(task)
    chosen = choose_languages(spec.name, spec.languages, languages)
    read = READERS.get(spec.format)
    files: dict[str, str] = {}
    parsed: dict[str, LanguageData] = {}
    for done, code in enumerate(chosen, start=1):
        content, digest, path = read_source(spec, code, data_dir, progress=progress)
        parsed[code] = read(content, str(path))
        files[spec.files[code].path] = digest
        if progress is not None:
            progress("read", spec.files[code].path, done, len(chosen))
    partial = {} if len(chosen) == len(spec.languages) else {"languages": list(chosen)}
    data = assemble(spec.name, parsed, files=files, partial=partial, relevance=spec.relevance)
    return data if limit is None else first_questions(data, limit)


def assemble(
    name: str,
    parsed: Mapping[str, LanguageData],
    *,
    files: Mapping[str, str],
    partial: Mapping[str, object],
    relevance: Sequence[str] = (),
) -> TaskData:
    """Join the languages: a query's relevants are those of its question in every language that has it.

    Raises:
        DataError: a language without a sentence or question, languages that share no question at all, or lenient
            relevance of a format that does not tell which sentences repeat an answer.
    """
    for code, data in parsed.items():
        if not data.sentences or not data.questions:
            lack = "sentence" if not data.sentences else "question"
            raise DataError(
                f"the task {name} has no {lack} in {code}", remedy=f"complete its file, or leave {code} out"
            )
    candidates: list[Candidate] = []
    relevant: defaultdict[str, list[int]] = defaultdict(list)  # question id -> indices, ascending
    echoes: defaultdict[str, list[int]] = defaultdict(list)
    for code, data in parsed.items():
        first = len(candidates)
        candidates += [
            Candidate(f"{code}:{s.article}:{s.paragraph}:{s.position}", code, s.text, s.context) for s in data.sentences
        ]
        for question in data.questions:
            relevant[question.id] += [first + index for index in question.relevants]
            echoes[question.id] += [first + index for index in question.echoes or ()]
    queries = [
        Query(f"{code}:{question.id}", code, question.id, question.text)
        for code, data in parsed.items()
        for question in data.questions
    ]
    if len(parsed) > 1 and len(relevant) == len(queries):
        raise DataError(
            f"the task {name} is not parallel: no question id is shared by two of its languages",
            found=", ".join(f"{code}: {data.questions[0].id}, ..." for code, data in parsed.items()),
            remedy="give a question and its translations the same id",
        )
    told = all(question.echoes is not None for data in parsed.values() for question in data.questions)
    if LENIENT in relevance and not told:
        raise DataError(
            f"the task {name} has no {LENIENT} relevance: its format does not tell which sentences repeat an answer",
            remedy=f"take {LENIENT} out of relevance in the task file",
        )
    indices = {question: tuple(found) for question, found in relevant.items()}
    places = [((code, question.article), question.id) for code, data in parsed.items() for question in data.questions]
    return TaskData(
        name=name,
        languages=tuple(parsed),
        queries=tuple(queries),
        candidates=tuple(candidates),
        relevants=tuple(indices[query.question] for query in queries),
        articles=number_components(places),
        files=dict(files),
        partial=dict(partial),
        relevance=tuple(relevance),
        echoes=tuple(tuple(echoes[query.question]) for query in queries) if told else None,
        titles={
            f"{code}:{article}": title
            for code, data in parsed.items()
            for article, title in enumerate(data.titles)
            if title
        },
    )
