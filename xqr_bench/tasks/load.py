"""A task's files as `TaskData`: its clusters, and parts of it; and folders of translated sentences."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar
from unicodedata import is_normalized, normalize

from xqr_bench.core.checked import checked
from xqr_bench.core.components import connected
from xqr_bench.core.errors import DataError, UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.core.options import Commas, Counted
from xqr_bench.core.printable import stripped
from xqr_bench.core.types import LENIENT, Candidate, Query, TaskData
from xqr_bench.tasks.readers import READERS, LanguageData
from xqr_bench.tasks.sources import read_source
from xqr_bench.tasks.spec import TaskSpec, resolve_task

T = TypeVar("T")


def number_components(memberships: Iterable[tuple[Hashable, Hashable]]) -> tuple[int, ...]:
    """Number the connected component of each (place, question) pair (MEASURES.md, 5).

    Two places belong together when a question stands in both, directly or over other places. A place is a cluster of
    one language, such as an article: translated articles have other titles and positions, shared ids link them.

    Args:
        memberships: one pair per query.

    Returns:
        For each pair the number of its component, in order of first appearance: 0, 1, ...
    """
    pairs = [(("place", place), ("question", question)) for place, question in memberships]
    nodes = {node: number for number, node in enumerate(dict.fromkeys(place for place, _ in pairs))}
    for _, question in pairs:
        nodes.setdefault(question, len(nodes))
    component = connected(len(nodes), ((nodes[place], nodes[question]) for place, question in pairs))
    return tuple(component[nodes[place]] for place, _ in pairs)


def choose_languages(name: str, languages: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Those of the task's `languages` that are wanted, in its order; all when None.

    Raises:
        UsageError: none is wanted, or one that the task has not.
    """
    if wanted is None:
        return tuple(languages)
    listing = ", ".join(languages)
    if strange := [repr(code) for code in wanted if code not in languages]:
        raise UsageError(f"the task {name} has no language {', '.join(strange)}", remedy=f"use some of: {listing}")
    if not wanted:
        raise UsageError("no language is left", remedy=f"name some of: {listing}")
    return tuple(code for code in languages if code in set(wanted))


def keep_languages(data: TaskData, languages: Sequence[str]) -> TaskData:
    """The queries and candidates of these languages; clusters keep the bounds they have in the whole.

    Raises:
        DataError: a language is left without a query or candidate.
    """
    if tuple(languages) == data.languages:
        return data
    wanted = set(languages)
    return _keep(
        data,
        tuple(languages),
        lambda query: query.language in wanted,
        lambda candidate: candidate.language in wanted,
        {**data.partial, "languages": list(languages)},
    )


def first_questions(data: TaskData, limit: int) -> TaskData:
    """The first `limit` questions in order of first appearance, and all candidates of their relevants' groups.

    Raises:
        UsageError: `limit` is below 1.
        DataError: a language is left without a query or candidate.
    """
    if limit < 1:
        raise UsageError(f"limit is {limit}", remedy="keep at least one question")
    order = list(dict.fromkeys(query.question for query in data.queries))
    if limit >= len(order):
        return data
    wanted = set(order[:limit])
    groups = {
        data.candidates[index].unit
        for query, relevants in zip(data.queries, data.relevants, strict=True)
        if query.question in wanted
        for index in relevants
    }
    return _keep(
        data,
        data.languages,
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
        data.languages,
        lambda query: query.id in ids,
        lambda candidate: candidate.cluster in places,
        {**data.partial, "articles": sorted(wanted)},
    )


def _keep(
    data: TaskData,
    languages: tuple[str, ...],
    query_stays: Callable[[Query], bool],
    candidate_stays: Callable[[Candidate], bool],
    partial: dict[str, object],
) -> TaskData:
    new_index: dict[int, int] = {}
    for index, candidate in enumerate(data.candidates):
        if candidate_stays(candidate):
            new_index[index] = len(new_index)
    rows = [row for row, query in enumerate(data.queries) if query_stays(query)]
    queries = tuple(data.queries[row] for row in rows)
    candidates = tuple(data.candidates[index] for index in new_index)
    for code in languages:
        for what, items in (("query", queries), ("candidate", candidates)):
            if not any(item.language == code for item in items):
                raise DataError(
                    f"{data.name}: this part of the task leaves {code} without a {what}",
                    remedy=f"raise the limit, or leave {code} out of the languages",
                )
    numbers: dict[int, int] = {}
    clusters = {candidate.cluster for candidate in candidates}
    rows_left = [[place for place, index in enumerate(data.relevants[row]) if index in new_index] for row in rows]

    def chosen(values: Sequence[Sequence[T]]) -> tuple[tuple[T, ...], ...]:
        return tuple(tuple(values[row][place] for place in left) for row, left in zip(rows, rows_left, strict=True))

    return replace(
        data,
        languages=languages,
        queries=queries,
        candidates=candidates,
        relevants=tuple(tuple(new_index[index] for index in indices) for indices in chosen(data.relevants)),
        clusters=tuple(numbers.setdefault(data.clusters[row], len(numbers)) for row in rows),
        partial=partial,
        echoes=None
        if data.echoes is None
        else tuple(tuple(new_index[index] for index in data.echoes[row] if index in new_index) for row in rows),
        titles={place: title for place, title in data.titles.items() if place in clusters},
        gains=None if data.gains is None else chosen(data.gains),
    )


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
        languages: keep only these, in the order of the task; only their files are read.
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
        data = task
        if languages is not None:
            data = keep_languages(data, choose_languages(data.name, data.languages, languages))
    else:
        spec = resolve_task(task)
        chosen = choose_languages(spec.name, spec.languages, languages)
        read = READERS.get(spec.format)
        files: dict[str, str] = {}
        parsed: dict[str, LanguageData] = {}
        for code in chosen:
            content, files[spec.files[code].path], path = read_source(spec, code, data_dir, observe=observe)
            parsed[code] = read(content, str(path))
        partial = {} if len(chosen) == len(spec.languages) else {"languages": list(chosen)}
        parsed = {code: _in_one_form(spec.name, code, of_language, observe) for code, of_language in parsed.items()}
        data = assemble(spec.name, parsed, files=files, partial=partial, relevance=spec.relevance)
    return data if limit is None else first_questions(data, limit)


def _in_one_form(name: str, code: str, data: LanguageData, observe: Observer | None) -> LanguageData:
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
        DataError: a language without a candidate or question, languages that share no question at all, or lenient
            relevance of a format that does not tell which candidates repeat an answer.
    """
    for code, data in parsed.items():
        if not data.candidates or not data.questions:
            lack = "question" if data.candidates else "candidate"
            raise DataError(
                f"the task {name} has no {lack} in {code}", remedy=f"complete its file, or leave {code} out"
            )
    candidates: list[Candidate] = []
    gains: defaultdict[str, dict[int, float]] = defaultdict(dict)  # question id -> candidate index, ascending -> gain
    echoes: defaultdict[str, list[int]] = defaultdict(list)
    for code, data in parsed.items():
        first = len(candidates)
        for one in data.candidates:
            group, cluster = (f"{code}:{name}" if name else "" for name in (one.group, one.cluster))
            candidates.append(Candidate(f"{code}:{one.id}", code, one.text, group, one.context, cluster))
        for question in data.questions:
            gains[question.id] |= {first + index: gain for index, gain in question.gains.items()}
            echoes[question.id] += [first + index for index in question.echoes or ()]
    queries = [
        Query(f"{code}:{question.id}", code, question.id, question.text)
        for code, data in parsed.items()
        for question in data.questions
    ]
    times = Counter(query.question for query in queries)
    alone = [code for code, data in parsed.items() if all(times[question.id] == 1 for question in data.questions)]
    if len(parsed) > 1 and alone:
        raise DataError(
            f"the task {name} is not parallel: {', '.join(alone)} shares no question id with another of its languages",
            found=", ".join(f"{code}: {data.questions[0].id}, ..." for code, data in parsed.items()),
            remedy=f"give a question and its translations the same id, or leave {', '.join(alone)} out",
        )
    has_echoes = all(question.echoes is not None for data in parsed.values() for question in data.questions)
    if LENIENT in relevance and not has_echoes:
        raise DataError(
            f"the task {name} has no {LENIENT} relevance: its format does not tell which candidates repeat an answer",
            remedy=f"take {LENIENT} out of relevance in the task file",
        )
    relevants = {question: tuple(of_candidates) for question, of_candidates in gains.items()}
    graded = any(gain != 1 for of_candidates in gains.values() for gain in of_candidates.values())
    places = [
        ((code, question.cluster) if question.cluster else question.id, question.id)
        for code, data in parsed.items()
        for question in data.questions
    ]
    return TaskData(
        name=name,
        languages=tuple(parsed),
        queries=tuple(queries),
        candidates=tuple(candidates),
        relevants=tuple(relevants[query.question] for query in queries),
        clusters=number_components(places),
        files=dict(files),
        partial=dict(partial),
        relevance=tuple(relevance),
        echoes=tuple(tuple(echoes[query.question]) for query in queries) if has_echoes else None,
        titles={f"{code}:{place}": title for code, data in parsed.items() for place, title in data.titles.items()},
        gains=tuple(tuple(gains[query.question].values()) for query in queries) if graded else None,
    )


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


LAYOUT = "FOLDER/<language>.txt (en.txt, de.txt ...), UTF-8, line n of each a translation of line n of the others"


def read_bitext(folder: Path | str, languages: Sequence[str]) -> TaskData:
    """Read the translations in some languages, each sentence as a query and as a candidate.

    Lines that are blank in one of the languages are left out in all. Ids are `lang:line`, 0-based; the relevants of a
    query are its translations, itself included.

    Args:
        folder: see LAYOUT; other files in it are not looked at.
        languages: those wanted, in order.

    Returns:
        task data with the folder's name; `files` holds the digest of each file.

    Raises:
        DataError: there is no such folder, a language or its file is missing or no text, or the files have different
            numbers of lines.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder} of translated sentences", remedy=f"the layout is {LAYOUT}")
    present = sorted(path.stem for path in folder.glob("*.txt"))
    missing = [code for code in languages if code not in present]
    if missing:
        raise DataError(
            f"{folder} has no sentences in {', '.join(missing)}",
            found=", ".join(path + ".txt" for path in present[:20]) or "no text files",
            remedy=f"add {missing[0]}.txt, or leave the language out with --languages; the layout is {LAYOUT}",
        )
    lines: dict[str, list[str]] = {}
    files: dict[str, str] = {}
    for code in languages:
        path = folder / f"{code}.txt"
        content = path.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text", found=str(error), remedy="save it as UTF-8") from error
        # only line feeds end a line: other separators of Unicode occur inside sentences
        lines[code] = [stripped(line) for line in text.removesuffix("\n").split("\n")]
        files[path.name] = hashlib.sha256(content).hexdigest()
    lengths = {code: len(texts) for code, texts in lines.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"the files of {folder} have different numbers of lines",
            found=", ".join(f"{code} {length:,}" for code, length in lengths.items()),
            remedy="line n of each file must be a translation of line n of the others",
        )
    whole = [n for n, row in enumerate(zip(*lines.values(), strict=True)) if all(row)]
    if not whole:
        raise DataError(f"{folder} has no line that holds text in every language", remedy=f"the layout is {LAYOUT}")
    width = len(whole)
    return TaskData(
        name=folder.resolve().name,
        languages=tuple(languages),
        queries=tuple(Query(f"{code}:{n}", code, str(n), lines[code][n]) for code in languages for n in whole),
        candidates=tuple(Candidate(f"{code}:{n}", code, lines[code][n]) for code in languages for n in whole),
        relevants=tuple(
            tuple(range(place, width * len(languages), width)) for _ in languages for place in range(width)
        ),
        clusters=tuple(range(width)) * len(languages),
        files=files,
    )
