"""Parts of training data: some of its languages, some of its articles, folds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import IntArray
from xqr_bench.train.types import ParallelData

Cell = TypeVar("Cell")


def keep_languages(data: ParallelData, languages: Sequence[str]) -> ParallelData:
    """Only these languages, in this order, and the questions that are in one of them.

    What makes two questions conflict (`relevant_keys`) is kept from all languages.

    Raises:
        UsageError: a language that the data has not, or that leaves no question.
    """
    missing = [code for code in languages if code not in data.languages]
    if missing or not languages or len(set(languages)) < len(languages):
        raise UsageError(
            f"{data.name} cannot be kept to the languages {', '.join(languages) or '(none)'}",
            found=f"languages: {', '.join(data.languages)}",
            remedy="name some of these, each once",
        )
    columns = [data.language_index[code] for code in languages]
    stays = np.asarray(data.has[:, columns].any(axis=1))
    return keep_questions(data, stays, {"languages": list(languages)}, languages)


def keep_articles(data: ParallelData, articles: Collection[int]) -> ParallelData:
    """Only the questions of these articles (numbers of `data.articles`; they are kept).

    Raises:
        UsageError: none is left.
    """
    wanted = sorted({int(number) for number in articles})
    return keep_questions(data, np.isin(data.articles, wanted), {"articles": wanted})


def without_articles(data: ParallelData, articles: Collection[int]) -> ParallelData:
    """All but the questions of these articles.

    Raises:
        UsageError: none is left.
    """
    return keep_articles(data, set(data.articles.tolist()) - {int(number) for number in articles})


def keep_questions(
    data: ParallelData,
    stays: NDArray[np.bool_],
    partial: Mapping[str, object],
    languages: Sequence[str] | None = None,
) -> ParallelData:
    """Only the questions where `stays`, bool `[questions]`, in these languages; `partial` says why, for records.

    Raises:
        UsageError: none is left, or a language is left without one.
    """
    languages = data.languages if languages is None else languages
    rows = np.flatnonzero(stays).tolist()
    columns = [data.language_index[code] for code in languages]
    bare = [code for code, column in zip(languages, columns, strict=True) if not data.has[rows, column].any()]
    if bare:
        raise UsageError(
            f"this part of {data.name} has no question in {', '.join(bare)}",
            found=f"{len(rows)} of {data.n_questions} questions",
            remedy="keep more of it",
        )

    def cells(table: Sequence[Sequence[Cell]]) -> tuple[tuple[Cell, ...], ...]:
        return tuple(tuple(table[column][row] for row in rows) for column in columns)

    return replace(
        data,
        languages=tuple(languages),
        ids=tuple(data.ids[row] for row in rows),
        queries=cells(data.queries),
        passages=cells(data.passages),
        passage_ids=cells(data.passage_ids),
        relevant_keys=tuple(data.relevant_keys[row] for row in rows),
        articles=data.articles[rows],
        paragraphs=data.paragraphs[rows],
        negatives=None if data.negatives is None else cells(data.negatives),
        titles=tuple(data.titles[row] for row in rows) if data.titles else (),
        partial={**data.partial, **partial},
    )


def article_folds(data: ParallelData, folds: int, rng: np.random.Generator) -> tuple[IntArray, ...]:
    """Divide the articles into folds of about as many questions each.

    Articles are taken from the largest to the smallest, equals in random order, each to the fold with the fewest
    questions so far.

    Returns:
        For each fold its article numbers, ascending.

    Raises:
        UsageError: fewer than two folds, or more folds than articles.
    """
    numbers, sizes = np.unique(data.articles, return_counts=True)
    if not 2 <= folds <= len(numbers):
        raise UsageError(
            f"{data.name} cannot be divided into {folds} folds by article",
            found=f"{len(numbers)} articles",
            remedy=f"ask for 2 to {len(numbers)} folds",
        )
    order = rng.permutation(len(numbers))
    order = order[np.argsort(-sizes[order], kind="stable")]
    members: list[list[int]] = [[] for _ in range(folds)]
    filled = [0] * folds
    for index in order:
        fold = filled.index(min(filled))
        members[fold].append(int(numbers[index]))
        filled[fold] += int(sizes[index])
    return tuple(np.array(sorted(fold), dtype=np.int64) for fold in members)
