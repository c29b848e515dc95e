"""A task's files as `TaskData`, and parts of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from unicodedata import is_normalized, normalize

import numpy as np

from xqr_bench.core.checked import checked
from xqr_bench.core.collection import Columns, chosen_of
from xqr_bench.core.errors import DataError, UsageError, closest
from xqr_bench.core.languages import code_meant, codes_like
from xqr_bench.core.observe import Observer
from xqr_bench.core.options import Commas, Counted
from xqr_bench.core.types import Candidate, Query, TaskData, language_counts
from xqr_bench.tasks.assemble import assemble
from xqr_bench.tasks.find import own_file, resolve_task
from xqr_bench.tasks.readers import READERS, SourceCandidate, SourceData, SourceQuestion
from xqr_bench.tasks.readers.irds import content_digest
from xqr_bench.tasks.sources import data_files, find_source
from xqr_bench.tasks.spec import SourceFile, TaskSpec

T = TypeVar("T")
Item = TypeVar("Item", SourceCandidate, SourceQuestion)


def choose_languages(name: str, languages: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Those of the task's `languages` that are wanted, in its order; all when None.

    Another code of the same language in the same script is read as the task's: `eng-Latn` as `en`.

    Raises:
        UsageError: none is wanted, or one that the task has not.
    """
    if wanted is None:
        return tuple(languages)
    listing = ", ".join(languages)
    wanted = [code_meant(code, languages) for code in wanted]
    if strange := [code for code in wanted if code not in languages]:
        problem = f"the task {name} has no language {', '.join(map(repr, strange))}"
        like = codes_like(strange[0], languages)
        found = f"closest: {', '.join(like)}" if like else closest(strange[0], languages)
        raise UsageError(problem, found=found, remedy=f"use some of: {listing}")
    if not wanted:
        raise UsageError("no language is left", remedy=f"name some of: {listing}")
    return tuple(code for code in languages if code in set(wanted))


def keep_languages(data: TaskData, languages: Sequence[str]) -> TaskData:
    """The queries and candidates of these languages; clusters keep the bounds they have in the whole.

    Raises:
        DataError: a language is left without a query or candidate.
    """
    if set(languages) == set(data.all_languages):
        return data
    wanted = set(languages)
    return _keep(
        data,
        wanted,
        lambda query: query.language in wanted,
        lambda candidate: candidate.language in wanted,
        {**data.partial, "languages": list(languages)},
    )


def first_questions(data: TaskData, limit: int) -> TaskData:
    """The first `limit` questions in order of first appearance, and the groups of all candidates judged for them.

    Where no question is in two languages, it is the first `limit` of each language.

    Raises:
        UsageError: `limit` is below 1.
        DataError: a language is left without a query or candidate.
    """
    if limit < 1:
        raise UsageError(f"limit is {limit}", remedy="keep at least one question")
    order = list(dict.fromkeys(query.question for query in data.queries))
    of_language: defaultdict[str, list[str]] = defaultdict(list)
    for query in data.queries:
        of_language[query.language].append(query.question)
    several = list(of_language.values()) if len(order) == len(data.queries) else [order]
    if limit >= max(map(len, several)):
        return data
    wanted = {question for questions in several for question in questions[:limit]}
    groups = {
        data.candidates[index].unit
        for query, *judged in zip(data.queries, data.relevants, data.irrelevant or data.relevants, strict=True)
        if query.question in wanted
        for index in chain(*judged)
    }
    return _keep(
        data,
        set(data.all_languages),
        lambda query: query.question in wanted,
        lambda candidate: candidate.unit in groups,
        {**data.partial, "limit": limit},
    )


def keep_clusters(data: TaskData, clusters: Collection[int]) -> TaskData:
    """The queries of these clusters (numbers of `data.clusters`), and the candidates of the same clusters.

    Clusters are numbered anew; candidates of clusters without any question stay in no part.

    Raises:
        DataError: a language is left without a query or candidate.
    """
    wanted = {int(number) for number in clusters}
    places = {
        data.candidates[index].cluster
        for number, relevants in zip(data.clusters, data.relevants, strict=True)
        if number in wanted
        for index in relevants
    }
    ids = {query.id for query, number in zip(data.queries, data.clusters, strict=True) if number in wanted}
    return _keep(
        data,
        set(data.all_languages),
        lambda query: query.id in ids,
        lambda candidate: candidate.cluster in places,
        {**data.partial, "articles": sorted(wanted)},
    )


def _keep(
    data: TaskData,
    wanted: Collection[str],
    query_stays: Callable[[Query], bool],
    candidate_stays: Callable[[Candidate], bool],
    partial: dict[str, object],
) -> TaskData:
    new_index: dict[int, int] = {}
    for index, candidate in enumerate(data.candidates):
        if candidate_stays(candidate):
            new_index[index] = len(new_index)
    rows = [
        row
        for row, query in enumerate(data.queries)
        if query_stays(query) and any(index in new_index for index in data.relevants[row])
    ]
    queries = tuple(data.queries[row] for row in rows)
    candidates = chosen_of(data.candidates, np.fromiter(new_index, np.int64, len(new_index)))
    languages = tuple(code for code in data.languages if code in wanted)
    for what, of_task, items in (("query", data.query_languages, queries), ("candidate", data.languages, candidates)):
        if not items:
            raise DataError(
                f"{data.name}: this part of the task has no {what}",
                remedy=f"raise the limit, or name one of the languages that have some: {', '.join(of_task)}",
            )
        there = language_counts(items)
        for code in of_task:
            if code in wanted and code not in there:
                raise DataError(
                    f"{data.name}: this part of the task leaves {code} without a {what}",
                    remedy=f"raise the limit, or leave {code} out of the languages",
                )
    numbers: dict[int, int] = {}
    clusters = {candidate.cluster for candidate in candidates}
    rows_left = [[place for place, index in enumerate(data.relevants[row]) if index in new_index] for row in rows]

    def chosen(values: Sequence[Sequence[T]]) -> tuple[tuple[T, ...], ...]:
        return tuple(tuple(values[row][place] for place in left) for row, left in zip(rows, rows_left, strict=True))

    def there_still(values: Sequence[Sequence[int]] | None) -> tuple[tuple[int, ...], ...] | None:
        if values is None:
            return None
        return tuple(tuple(new_index[index] for index in values[row] if index in new_index) for row in rows)

    return replace(
        data,
        languages=languages,
        queries=queries,
        candidates=candidates,
        relevants=tuple(tuple(new_index[index] for index in indices) for indices in chosen(data.relevants)),
        clusters=tuple(numbers.setdefault(data.clusters[row], len(numbers)) for row in rows),
        partial=partial,
        echoes=there_still(data.echoes),
        titles={place: title for place, title in data.titles.items() if place in clusters},
        gains=None if data.gains is None else chosen(data.gains),
        irrelevant=there_still(data.irrelevant),
    )


def from_threshold(data: TaskData, relevant_from: float | None, observe: Observer | None = None) -> TaskData:
    """The task with the lowest gain of a relevant; a query that none reaches is left out, and told.

    Raises:
        DataError: a language is left without a query.
    """
    if relevant_from is None:
        return data
    data = replace(data, relevant_from=relevant_from)
    reached = np.maximum.reduceat(data.row_gains, data.offsets[:-1]) >= relevant_from
    if reached.all():
        return data
    lacking = Counter(query.language for query, fits in zip(data.queries, reached, strict=True) if not fits)
    listing = ", ".join(f"{code} {number:,}" for code, number in lacking.items())
    what = f"questions without a candidate of gain {relevant_from:g} or more"
    there = {query.language for query, fits in zip(data.queries, reached, strict=True) if fits}
    if none := [code for code in data.query_languages if code not in there]:
        raise DataError(
            f"the task {data.name} has no question in {none[0]} with a candidate of gain {relevant_from:g} or more",
            found=f"{what}: {listing}",
            remedy="lower relevant_from in the task file, or leave the language out",
        )
    (observe or Observer()).note(f"{data.name}: {what} are left out: {listing}")
    ids = {query.id for query, fits in zip(data.queries, reached, strict=True) if fits}
    return _keep(data, data.all_languages, lambda query: query.id in ids, lambda _: True, dict(data.partial))


@checked
def load_task(
    task: str | Path | TaskSpec | TaskData,
    *,
    data_dir: Path | str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
    observe: Observer | None = None,
) -> TaskData:
    """Read a task's files, check them, and give their texts.

    Args:
        task: name of a shipped task, path of a task file, or either already loaded.
        data_dir: the folder that holds the files; default: XQR_BENCH_DATA, else a per-user cache that a
            download fills. A folder that is named but lacks a file is an error, never a reason to download.
        languages: keep only these, in the order of the task; only files that can hold them are read
            (`TaskSpec.sections`).
        limit: keep the first so many questions, and the groups (such as paragraphs) of their relevants.
        observe: hears of downloads.

    Returns:
        The texts; `partial` names what `languages` or `limit` left out. Clusters are numbered over the
        languages that were read.

    Raises:
        UnknownNameError, TaskError: no such task, or a task file that makes no sense.
        DataError: a file that is missing, damaged, or not what the task says; a language left without a
            query or a candidate.
        UsageError: `languages` or `limit` cannot be meant as given.
    """
    if isinstance(task, TaskData):
        data = _with_answers(task, observe)
        if languages is not None:
            _tell_codes(data.name, data.all_languages, languages, observe)
            data = keep_languages(data, choose_languages(data.name, data.all_languages, languages))
    else:
        spec = resolve_task(task)
        chosen = choose_languages(spec.name, spec.all_languages, languages)
        _tell_codes(spec.name, spec.all_languages, languages, observe)
        reader = READERS.get(spec.format)
        files: dict[str, str] = {}
        parsed: dict[str, SourceData] = {}
        sections = spec.sections(chosen)
        unread = [section for section in spec.sections() if section not in sections]
        if unread and READERS.get(spec.format).tells_languages and own_file(spec):
            line = f"only the files of {', '.join(sections)} are read, not those of {', '.join(unread)}"
            (observe or Observer()).note(f"{spec.name}: {line}")
        for section, keys in sections.items():
            paths = []
            for key in () if reader.of_library else keys:
                path, files[spec.files[key].path] = find_source(spec, key, data_dir, observe=observe)
                paths.append(path)
            sources = data_files(spec, keys, paths)
            of_section = _in_one_form(spec.name, section, reader.read(*sources), observe)
            if reader.of_library:
                files[f"{spec.format}:{sources[0].name}"] = content_digest(of_section)
            of_section = _in_their_languages(of_section, [spec.files[key] for key in keys])
            parsed[section], read_as = _in_codes_of(spec, section, of_section)
            for line in (*of_section.notes, *read_as, *_foreign_lines(spec, section, parsed[section])):
                (observe or Observer()).note(f"{spec.name}, {section}: {line}")
        data = assemble(
            spec.name,
            parsed,
            files=files,
            partial={} if len(chosen) == len(spec.all_languages) else {"languages": list(chosen)},
            relevance=spec.relevance,
            languages=(
                [code for code in chosen if code in spec.languages],
                [code for code in spec.pool if code in chosen],
            ),
            parallel=spec.parallel,
            observe=observe,
        )
        data = from_threshold(data, spec.relevant_from, observe)
    return data if limit is None else first_questions(data, limit)


def _tell_codes(name: str, codes: Sequence[str], wanted: Sequence[str] | None, observe: Observer | None) -> None:
    """Tell which of the task's codes are meant by others."""
    for code in wanted or ():
        if (meant := code_meant(code, codes)) != code:
            (observe or Observer()).note(f"{code} is read as {meant}, as {name} calls this language")


def _with_answers(data: TaskData, observe: Observer | None) -> TaskData:
    """The data without the queries that have no relevant candidate, of which no measure has a value; tells how many."""
    lacking = Counter(
        one.language for one, relevants in zip(data.queries, data.relevants, strict=True) if not relevants
    )
    if not lacking:
        return data
    answered = _keep(data, set(data.all_languages), lambda _: True, lambda _: True, dict(data.partial))
    listing = ", ".join(f"{code} {number:,}" for code, number in lacking.items())
    (observe or Observer()).note(f"{data.name}: queries without a relevant candidate are left out: {listing}")
    return answered


def _in_their_languages(data: SourceData, files: Sequence[SourceFile]) -> SourceData:
    """The section with the languages that its files name for the candidates and questions that name none."""
    of_candidates = next((file.candidates_in for file in files if file.candidates_in), "")
    of_questions = next((file.questions_in for file in files if file.questions_in), "")
    if not of_candidates and not of_questions:
        return data
    return replace(
        data,
        candidates=_renamed(data.candidates, lambda code: code or of_candidates),
        questions=_renamed(data.questions, lambda code: code or of_questions),
    )


def _in_codes_of(spec: TaskSpec, section: str, data: SourceData) -> tuple[SourceData, list[str]]:
    """The section with the task's codes for its languages, and a line for each other code that was there."""
    codes = {code or section for items in (data.candidates, data.questions) for code in language_counts(items)}
    meant = {code: own for code in sorted(codes) if (own := code_meant(code, spec.all_languages)) != code}
    if not meant:
        return data, []

    def in_code(code: str) -> str:
        return meant.get(code or section, code)

    lines = [f"{code} is read as {own}, as {spec.name} calls this language" for code, own in meant.items()]
    both = {"candidates": _renamed(data.candidates, in_code), "questions": _renamed(data.questions, in_code)}
    return replace(data, **both), lines


def _renamed(items: Sequence[Item], of: Callable[[str], str]) -> Any:
    """Items in other languages: of the code of each the one that it has then."""
    if isinstance(items, Columns):
        return items.with_languages(of)
    return tuple(replace(one, language=of(one.language)) for one in items)


def _foreign_lines(spec: TaskSpec, section: str, data: SourceData) -> Iterator[str]:
    """How many items of a section are in languages that the task does not name, and so are no part of it."""
    for what, items, languages in (
        ("candidates", data.candidates, spec.pool),
        ("questions", data.questions, spec.languages),
    ):
        counts = Counter[str]()
        for code, count in language_counts(items).items():
            counts[code or section] += count
        listing = ", ".join(f"{code} {number:,}" for code, number in counts.items() if code not in languages)
        if listing:
            yield f"{what} in languages that the task does not name for its {what} are left out: {listing}"


def _in_one_form(name: str, code: str, data: SourceData, observe: Observer | None) -> SourceData:
    """The questions with their ids in NFC, by which those of all languages are compared; tells where that changed one.

    Raises:
        DataError: two ids of the language are then the same.
    """
    other = [question.id for question in data.questions if not is_normalized("NFC", question.id)]
    if not other:
        return data
    ids = Counter(normalize("NFC", question.id) for question in data.questions)
    if len(ids) < len(data.questions):
        raise DataError(
            f"{name}: two question ids of {code} differ in their Unicode form only",
            found=repr(ids.most_common(1)[0][0]),
            remedy="give every question an id of its own",
        )
    (observe or Observer()).note(
        f"{name}: {len(other):,} question ids of {code}, such as {other[0]!r}, "
        "are compared in another Unicode form (NFC) than their file has"
    )
    return replace(data, questions=tuple(replace(one, id=normalize("NFC", one.id)) for one in data.questions))


@checked
@dataclass(frozen=True)
class Selection:
    """Which part of tasks is used, and where their files are: arguments of `load_task` as one value.

    Attributes:
        languages: Only these, separated by commas (to try out; such a record is marked).
        limit: Only the first so many questions (to try out; marked).
        data_dir: Folder with the data files (<folder>/xquad-r/en.json). Default: XQR_BENCH_DATA, else the cache.
    """

    section: ClassVar = "Data"

    languages: Commas = None
    limit: Counted = None
    data_dir: Path | str | None = None

    def load(self, task: str | Path | TaskSpec | TaskData, observe: Observer | None = None) -> TaskData:
        """Read this part of a task; see `load_task`."""
        return load_task(task, data_dir=self.data_dir, languages=self.languages, limit=self.limit, observe=observe)

    def as_dict(self) -> dict[str, Any]:
        """The values as a record keeps them."""
        return {
            "data_dir": None if self.data_dir is None else str(self.data_dir),
            "languages": None if self.languages is None else list(self.languages),
            "limit": self.limit,
        }


def shared_line(data: TaskData) -> str | None:
    """How many questions the pairs of languages share; None where all languages have all questions."""
    questions = {code: {query.question for query in data.queries if query.language == code} for code in data.languages}
    shared = {f"{a} and {b}": len(questions[a] & questions[b]) for a, b in combinations(data.languages, 2)}
    if not shared or min(shared.values()) == len(set().union(*questions.values())):
        return None
    (least, few), (most, many) = (choose(shared.items(), key=itemgetter(1)) for choose in (min, max))
    number = sum(map(bool, shared.values()))
    absent = [pair for pair, together in shared.items() if not together]
    return (
        f"{number} of {len(shared)} pairs of languages share questions, from {few:,} ({least}) to {many:,} ({most}) of "
        f"{len(set().union(*questions.values())):,}"
        + (f"; none: {', '.join(absent)}, which cross-lingual means leave out" if absent else "")
    )
