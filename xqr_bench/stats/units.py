"""Units of sampling: the question, shared by its translations, and the article it stands in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xqr_bench.errors import UsageError
from xqr_bench.types import FloatArray, IntArray, Ranks


@dataclass(frozen=True)
class Units:
    """Questions in alphabetical order of their ids, so that two records of the same task data agree on them.

    Attributes:
        questions: ids, str `[questions]`.
        question: number of the question of each query, int64 `[queries]`.
        article: number of the article of each question, 0 .. G-1 without gaps, int64 `[questions]`.
    """

    questions: tuple[str, ...]
    question: IntArray
    article: IntArray

    @property
    def n_questions(self) -> int:
        """Number of questions."""
        return len(self.questions)

    @cached_property
    def n_articles(self) -> int:
        """Number of articles (G)."""
        return int(self.article.max(initial=-1)) + 1

    def by_article(self, values: FloatArray) -> FloatArray:
        """Sum values `[questions, k]` by article, float64 `[articles, k]`."""
        sums = np.zeros((self.n_articles, *values.shape[1:]))
        np.add.at(sums, self.article, values)
        return sums


def sampling_units(ranks: Ranks) -> Units:
    """The questions and articles of the queries of `ranks`."""
    names, first, question = np.unique(np.asarray(ranks.question_ids), return_index=True, return_inverse=True)
    _, article = np.unique(np.asarray(ranks.articles)[first], return_inverse=True)
    return Units(tuple(str(name) for name in names), question.astype(np.int64), article.astype(np.int64))


def shared_units(all_units: Iterable[Units]) -> Units:
    """The units that several records have in common.

    Raises:
        UsageError: their questions or articles differ.
    """
    first, *others = all_units
    for other in others:
        if other.questions != first.questions or not np.array_equal(other.article, first.article):
            raise UsageError(
                "the records do not have the same questions and articles",
                found=f"{first.n_questions} and {other.n_questions} questions, "
                f"{first.n_articles} and {other.n_articles} articles",
                remedy="compare records of the same task data",
            )
    return first
