"""Parts of a task: some of its languages, the first of its questions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from xqr_bench.errors import DataError, UsageError
from xqr_bench.types import Candidate, Query, TaskData


def choose_languages(name: str, known: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Those of `known` that are wanted, in its order; all when None.

    Raises:
        UsageError: none is wanted, or one that the task has not.
    """
    if wanted is None:
        return tuple(known)
    if isinstance(wanted, str):
        raise UsageError(f"languages is a list of codes, not the text {wanted!r}", remedy=f"write [{wanted!r}]")
    strange = [code for code in wanted if code not in known]
    listing = ", ".join(known)
    if strange:
        raise UsageError(
            f"the task {name} has no language {', '.join(map(repr, strange))}",
            remedy=f"use some of: {listing}",
        )
    if not wanted:
        raise UsageError("no language is left", remedy=f"name some of: {listing}")
    return tuple(code for code in known if code in set(wanted))


def keep_languages(data: TaskData, languages: Sequence[str]) -> TaskData:
    """The queries and candidates of these languages; articles keep the bounds they have in the whole.

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
    """The first `limit` questions in order of first appearance, and all sentences of their paragraphs.

    Raises:
        UsageError: `limit` is below 1.
        DataError: a language is left without a query or candidate.
    """
    if limit < 1:
        raise UsageError(f"limit is {limit}", remedy="keep at least one question")
    order = list(dict.fromkeys(query.question for query in data.queries))
    if limit >= len(order):
        return data
    kept = set(order[:limit])
    paragraphs = {
        _paragraph(data.candidates[index])
        for query, relevants in zip(data.queries, data.relevants, strict=True)
        if query.question in kept
        for index in relevants
    }
    return _keep(
        data,
        data.languages,
        lambda query: query.question in kept,
        lambda candidate: _paragraph(candidate) in paragraphs,
        {**data.partial, "limit": limit},
    )


def keep_articles(data: TaskData, articles: Collection[int]) -> TaskData:
    """The queries of these articles (numbers of `data.articles`), and the sentences of the same articles.

    Articles are numbered anew; sentences of articles without any question stay in no part.

    Raises:
        DataError: a language is left without a query or candidate.
    """
    wanted = {int(number) for number in articles}
    places = {
        _article(data.candidates[index])
        for number, relevants in zip(data.articles, data.relevants, strict=True)
        if number in wanted
        for index in relevants
    }
    kept = {query.id for query, number in zip(data.queries, data.articles, strict=True) if number in wanted}
    return _keep(
        data,
        data.languages,
        lambda query: query.id in kept,
        lambda candidate: _article(candidate) in places,
        {**data.partial, "articles": sorted(wanted)},
    )


def _article(candidate: Candidate) -> str:
    return candidate.id.rsplit(":", 2)[0]


def _paragraph(candidate: Candidate) -> str:
    return candidate.id.rpartition(":")[0]


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
        lack = [
            what
            for what, things in (("query", queries), ("candidate", candidates))
            if not any(thing.language == code for thing in things)
        ]
        if lack:
            raise DataError(
                f"{data.name}: this part of the task leaves {code} without a {lack[0]}",
                remedy=f"raise the limit, or leave {code} out of the languages",
            )
    numbers: dict[int, int] = {}
    articles = {candidate.id.rsplit(":", 2)[0] for candidate in candidates}
    return TaskData(
        name=data.name,
        languages=languages,
        queries=queries,
        candidates=candidates,
        relevants=tuple(tuple(new_index[index] for index in data.relevants[row] if index in new_index) for row in rows),
        articles=tuple(numbers.setdefault(data.articles[row], len(numbers)) for row in rows),
        files=data.files,
        partial=partial,
        relevance=data.relevance,
        echoes=None
        if data.echoes is None
        else tuple(tuple(new_index[index] for index in data.echoes[row] if index in new_index) for row in rows),
        titles={place: title for place, title in data.titles.items() if place in articles},
    )
