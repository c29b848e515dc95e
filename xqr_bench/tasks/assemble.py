"""What the readers of a task's files give, put together as `TaskData`; and folders of translated sentences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from xqr_bench.core.collection import Columns, Digests, Places
from xqr_bench.core.errors import DataError
from xqr_bench.core.files import followed, sha256_of
from xqr_bench.core.observe import Observer
from xqr_bench.core.printable import has_text, looks, stripped
from xqr_bench.core.types import LENIENT, Candidate, Query, TaskData, language_counts
from xqr_bench.tasks.readers import DataFile, SourceData, SourceQuestion


def number_components(memberships: Iterable[tuple[Hashable, Hashable]]) -> tuple[int, ...]:
    """Number the connected component of each (place, question) pair (MEASURES.md, 5).

    Two places belong together when a question stands in both, directly or over other places. A place is a cluster of
    one language, such as an article: translated articles have other titles and positions, shared ids link them.

    Args:
        memberships: one pair per query.

    Returns:
        For each pair the number of its component, in order of first appearance: 0, 1, ...
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = [(("place", place), ("question", question)) for place, question in memberships]
    if not pairs:
        return ()
    nodes = {node: number for number, node in enumerate(dict.fromkeys(chain.from_iterable(pairs)))}
    places, questions = ([nodes[pair[side]] for pair in pairs] for side in (0, 1))
    graph = coo_array(([True] * len(pairs), (places, questions)), shape=(len(nodes), len(nodes)))
    components = connected_components(graph, directed=False)[1][places].tolist()
    numbers = {component: number for number, component in enumerate(dict.fromkeys(components))}
    return tuple(numbers[component] for component in components)


def assemble(
    name: str,
    parsed: Mapping[str, SourceData],
    *,
    files: Mapping[str, str],
    partial: Mapping[str, object],
    relevance: Sequence[str] = (),
    languages: tuple[Sequence[str], Sequence[str]] | None = None,
    parallel: bool = True,
    observe: Observer | None = None,
) -> TaskData:
    """Join the sections: a query's relevants are those of its question in every section that has it.

    A question without a relevant candidate in the pool is left out, and counted: no measure has a value of it.

    Args:
        name: of the task.
        parsed: section -> what is in it; a section is called as the language of its items that name none.
        files, partial, relevance: see TaskData.
        languages: of the queries, and of the candidates, in order; what is in others is left out. Default: the
            sections.
        parallel: whether equal ids of several sections are one question and its translations. Else each section has
            questions of its own.
        observe: hears of what is left out.

    Raises:
        DataError: a language without a candidate or question, languages of a parallel task that share no question at
            all, files of different numbers of lines, a text without anything to read, one candidate id for two texts, a
            question id twice in a language, or lenient relevance of a format that does not tell which candidates repeat
            an answer.
    """
    asked_in, pool = (tuple(one) for one in (languages or (parsed, parsed)))
    _check_lines(f"the task {name}", {section: data.lines for section, data in parsed.items()})
    candidates, index = _candidates(name, parsed, pool)
    if line := _twins(candidates):
        (observe or Observer()).note(f"{name}: {line}")
    asked = _questions(name, parsed, asked_in, parallel=parallel)
    for what, items, wanted in (
        ("candidate", language_counts(candidates), pool),
        ("question", {code for code, _, _ in asked}, asked_in),
    ):
        if not wanted:
            raise DataError(
                f"the task {name} has no {what} in the languages asked for",
                remedy=f"add a language of its {what}s: xqr-bench tasks {name} shows them",
            )
        if lacking := [code for code in wanted if code not in items]:
            sections = [lacking[0]] if lacking[0] in parsed else list(parsed)
            notes = [line for section in sections for line in parsed[section].notes]
            raise DataError(
                f"the task {name} has no {what} in {lacking[0]}",
                found="; ".join(notes[:3]) or None,
                remedy=f"complete {'the files this is said of' if notes else 'its file'}, or leave {lacking[0]} out",
            )
    gains: defaultdict[str, dict[int, float]] = defaultdict(dict)  # question id -> candidate index, ascending -> gain
    echoes: defaultdict[str, set[int]] = defaultdict(set)
    irrelevant: defaultdict[str, set[int]] = defaultdict(set)
    for section, data in parsed.items():
        for question in data.questions:
            key = question.id if parallel else f"{section}:{question.id}"
            for place, gain in question.gains.items():
                if (row := index.get((section, place))) is not None:
                    gains[key][row] = gain
            for others, chosen in ((echoes, question.echoes or ()), (irrelevant, question.irrelevant)):
                others[key].update(index[section, place] for place in chosen if (section, place) in index)
    asked = _answered(name, asked, gains, observe, parallel=parallel)
    queries = [
        Query(
            f"{code}:{_query_key(code, section, question, parallel=parallel)}",
            code,
            question.id if parallel else f"{section}:{question.id}",
            question.text,
        )
        for code, section, question in asked
    ]
    if parallel:
        _check_parallel(name, queries, asked_in)
    has_echoes = all(question.echoes is not None for data in parsed.values() for question in data.questions)
    if LENIENT in relevance and not has_echoes:
        raise DataError(
            f"the task {name} has no {LENIENT} relevance: its format does not tell which candidates repeat an answer",
            remedy=f"take {LENIENT} out of relevance in the task file",
        )
    ordered = {question: dict(sorted(of_candidates.items())) for question, of_candidates in gains.items()}
    graded = any(gain != 1 for of_candidates in ordered.values() for gain in of_candidates.values())
    places = [
        (_place(section, parsed[section], question), query.question)
        for (_, section, question), query in zip(asked, queries, strict=True)
    ]
    return TaskData(
        name=name,
        languages=pool,
        queries=tuple(queries),
        candidates=candidates,
        relevants=tuple(tuple(ordered.get(query.question, ())) for query in queries),
        clusters=number_components(places),
        files=dict(files),
        partial=dict(partial),
        relevance=tuple(relevance),
        echoes=tuple(tuple(sorted(echoes[query.question])) for query in queries) if has_echoes else None,
        titles={
            f"{code}:{place}": title
            for section, data in parsed.items()
            for place, title in data.titles.items()
            for code in dict.fromkeys(code or section for code in language_counts(data.candidates))
        },
        gains=tuple(tuple(ordered.get(query.question, {}).values()) for query in queries) if graded else None,
        irrelevant=tuple(tuple(sorted(irrelevant[one.question] - gains[one.question].keys())) for one in queries)
        if any(irrelevant.values())
        else None,
    )


def _answered(
    name: str,
    asked: Sequence[tuple[str, str, SourceQuestion]],
    gains: Mapping[str, object],
    observe: Observer | None,
    *,
    parallel: bool,
) -> list[tuple[str, str, SourceQuestion]]:
    """The questions with a relevant candidate; tells how many have none."""
    kept, lacking = [], Counter[str]()
    for one in asked:
        code, section, question = one
        if (question.id if parallel else f"{section}:{question.id}") in gains:
            kept.append(one)
        else:
            lacking[code] += 1
    if lacking:
        listing = ", ".join(f"{code} {number:,}" for code, number in lacking.items())
        none = lacking.keys() - {code for code, _, _ in kept}
        if none:
            raise DataError(
                f"the task {name} has no question in {min(none)} with a relevant candidate among those asked for",
                found=f"questions without one: {listing}",
                remedy="name the language of their candidates too, or leave theirs out",
            )
        (observe or Observer()).note(f"{name}: questions without a relevant candidate are left out: {listing}")
    return kept


def _candidates(
    name: str, parsed: Mapping[str, SourceData], pool: Sequence[str]
) -> tuple[Sequence[Candidate], dict[tuple[str, int], int]]:
    """The candidates of these languages, language by language; and section and place in it -> index.

    An index is given of those that a question names: a collection has millions that none does.
    """
    if any(isinstance(data.candidates, Columns) for data in parsed.values()):
        return _many_candidates(name, parsed, pool)
    of_language: dict[str, dict[str, Candidate]] = {code: {} for code in pool}
    places: dict[tuple[str, int], tuple[str, str]] = {}
    for section, data in parsed.items():
        named = _named(data)
        for place, one in enumerate(data.candidates):
            code = one.language or section
            if code not in of_language:
                continue
            _check_text(name, f"candidate {code}:{one.id}", one.text)
            candidate = _candidate(one.id, one.text, one.group, one.context, one.cluster, code)
            _check_same(name, of_language[code].setdefault(one.id, candidate), candidate, one.id)
            if place in named:
                places[section, place] = code, one.id
    wanted = set(places.values())
    every = ((code, key) for code, of_id in of_language.items() for key in of_id)
    numbers = {key: number for number, key in enumerate(every) if key in wanted}
    return (
        tuple(candidate for of_id in of_language.values() for candidate in of_id.values()),
        {place: numbers[key] for place, key in places.items()},
    )


def _many_candidates(
    name: str, parsed: Mapping[str, SourceData], pool: Sequence[str]
) -> tuple[Columns[Candidate], dict[tuple[str, int], int]]:
    """As `_candidates`, of which some sections are given by column: then all are."""
    parts: list[Columns[Candidate]] = []
    for section, data in parsed.items():
        if not isinstance(data.candidates, Columns):  # a reader that gives columns has looked at each text
            for one in data.candidates:
                _check_text(name, f"candidate {one.language or section}:{one.id}", one.text)
        part = Columns.of(_candidate, data.candidates)
        parts.append(part.with_languages(lambda code, section=section: code or section))  # type: ignore[misc]
    every, codes = Columns.joined(parts), {code: number for number, code in enumerate(pool)}
    number = np.array([codes.get(code, -1) for code in every.languages.distinct], dtype=np.int64)
    columns = number[every.languages.places]
    starts = dict(zip(parsed, np.cumsum([0, *map(len, parts)]).tolist(), strict=False))
    same = np.arange(len(every))
    for before, place in Places(Digests(every.ids).all(), every.ids).again():
        if columns[place] >= 0:
            _check_same(name, every[before], every[place], every.columns["id"][place])
            same[place] = before
    rows = np.flatnonzero((columns >= 0) & (same == np.arange(len(every))))
    rows = rows[np.argsort(columns[rows], kind="stable")]
    new = np.full(len(every), -1, dtype=np.int64)
    new[rows] = np.arange(len(rows))
    index = {
        (section, place): int(new[same[starts[section] + place]])
        for section, data in parsed.items()
        for place in _named(data)
        if columns[starts[section] + place] >= 0
    }
    whole = np.array_equal(rows, np.arange(len(every)))
    return (every if whole else every.take(rows)), index


def _candidate(*columns: str) -> Candidate:
    """The candidate of what is in each of `COLUMNS`."""
    key, text, group, context, cluster, code = columns
    return Candidate(
        f"{code}:{key}",
        code,
        text,
        f"{code}:{group}" if group else "",
        context,
        f"{code}:{cluster}" if cluster else "",
    )


def _named(data: SourceData) -> set[int]:
    """The candidates of a section that a question names."""
    return {
        place
        for question in data.questions
        for place in chain(question.gains, question.echoes or (), question.irrelevant)
    }


def _check_same(name: str, before: Candidate, again: Candidate, key: str) -> None:
    """Raise a DataError where two candidates of a language with one id differ."""
    if before != again:
        raise DataError(
            f"the task {name} has two different candidates with the id {key!r} in {again.language}",
            found=f"{before.text!r:.60} and {again.text!r:.60}",
            remedy="give each candidate of a language an id of its own",
        )


def _twins(candidates: Sequence[Candidate]) -> str | None:
    """How many candidates look like another one of their language, and are another text to an encoder."""
    odd = [one for one in candidates if looks(one.text) != one.text]
    if not odd:
        return None
    seen = Counter((one.language, looks(one.text)) for one in odd)
    plain = {key for one in candidates if (key := (one.language, one.text)) in seen}
    twins = [one for one in odd if seen[key := (one.language, looks(one.text))] > 1 or key in plain]
    if not twins:
        return None
    return (
        f"{len(twins):,} candidates look like another of their language, in another Unicode form or with characters "
        f"of no width, such as {twins[0].id}; each is kept as it is"
    )


def _questions(
    name: str, parsed: Mapping[str, SourceData], languages: Sequence[str], *, parallel: bool
) -> list[tuple[str, str, SourceQuestion]]:
    """Language, section and question of each query, language by language.

    In a parallel task, a question that several sections ask of their candidates in the same words is one query.
    """
    asked: dict[str, dict[str, tuple[str, str, SourceQuestion]]] = {code: {} for code in languages}
    for section, data in parsed.items():
        for question in data.questions:
            code = question.language or section
            if code not in asked:
                continue
            _check_text(name, f"question {code}:{question.id}", question.text)
            key = _query_key(code, section, question, parallel=parallel)
            _, before, first = asked[code].setdefault(key, (code, section, question))
            again = parallel and before != section and looks(first.text) == looks(question.text)
            if first is not question and not again:
                raise DataError(
                    f"the task {name} has the question id {question.id!r} twice in {code}",
                    found=f"{first.text!r:.60} and {question.text!r:.60}",
                    remedy="give each question of a language an id of its own"
                    + (
                        ""
                        if before == section
                        else f", in the files of {before} and {section} too, or write one text in both; "
                        "where equal ids of two files are different questions: parallel = false"
                    ),
                )
    return [one for of_id in asked.values() for one in of_id.values()]


def _query_key(code: str, section: str, question: SourceQuestion, *, parallel: bool) -> str:
    """What a query is called in its language: by its id; with its section, where ids of several mean nothing."""
    return question.id if parallel or code == section else f"{section}:{question.id}"


def _check_text(name: str, what: str, text: str) -> None:
    """Raise a DataError where there is nothing to read."""
    if not has_text(text):
        raise DataError(
            f"the {what} of the task {name} is empty", found=repr(text[:60]), remedy="complete its file, or take it out"
        )


def _place(section: str, data: SourceData, question: SourceQuestion) -> Hashable:
    """The cluster of a question: those with one name are the same where they are of candidates of one language.

    That is its own language, where a relevant is of it. That of `en-x-af` is English: what stands after `x` tells
    collections of one language apart.
    """
    if not question.cluster:
        return question.id, section
    languages = [data.candidates[place].language for place in question.gains] or [""]
    own = question.language if question.language in languages else languages[0]
    return (own or section).partition("-x-")[0], question.cluster


def _check_parallel(name: str, queries: Sequence[Query], languages: Sequence[str]) -> None:
    """Raise a DataError where a language shares no question with another."""
    times = Counter(query.question for query in queries)
    shared = {query.language for query in queries if times[query.question] > 1}
    alone = [code for code in languages if code not in shared]
    if len(languages) > 1 and alone:
        examples = {query.language: query.question for query in reversed(queries)}
        raise DataError(
            f"the task {name} is not parallel: {', '.join(alone)} shares no question id with another of its languages",
            found=", ".join(f"{code}: {examples[code]}, ..." for code in languages),
            remedy=f"give a question and its translations the same id, leave {', '.join(alone)} out, or write "
            "parallel = false in the task file where each language has questions of its own",
        )


def _check_lines(where: str, lengths: Mapping[str, int]) -> None:
    """Raise a DataError where files that belong together line by line have different numbers of lines."""
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"{where} has files of different numbers of lines",
            found=", ".join(f"{code} {length:,}" for code, length in lengths.items()),
            remedy="line n of each file must be a translation of line n of the others",
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
        text = DataFile(str(path), path).text()
        # only line feeds end a line: other separators of Unicode occur inside sentences
        lines[code] = [stripped(line) for line in text.removesuffix("\n").split("\n")]
        files[path.name] = sha256_of(path)
    _check_lines(str(folder), {code: len(texts) for code, texts in lines.items()})
    whole = [n for n, row in enumerate(zip(*lines.values(), strict=True)) if all(row)]
    if not whole:
        raise DataError(f"{folder} has no line that holds text in every language", remedy=f"the layout is {LAYOUT}")
    width = len(whole)
    return TaskData(
        name=followed(folder).name,
        languages=tuple(languages),
        queries=tuple(Query(f"{code}:{n}", code, str(n), lines[code][n]) for code in languages for n in whole),
        candidates=tuple(Candidate(f"{code}:{n}", code, lines[code][n]) for code in languages for n in whole),
        relevants=tuple(
            tuple(range(place, width * len(languages), width)) for _ in languages for place in range(width)
        ),
        clusters=tuple(range(width)) * len(languages),
        files=files,
    )
