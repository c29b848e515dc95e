"""BM25 over the sentences of a task: an index for each language, and one over the whole pool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from xqr_bench.baseline.tokens import TOKENISATION, terms
from xqr_bench.encode import ModelIdentity
from xqr_bench.errors import UsageError
from xqr_bench.search.hits import ScoreBlock
from xqr_bench.search.product import TILE_ROWS, Vectors
from xqr_bench.types import TaskData

if TYPE_CHECKING:
    from bm25s import BM25

NAME = "bm25"
METHOD = "lucene"  # the idf is ln(1 + (N - df + 0.5) / (df + 0.5)): never negative


@dataclass(frozen=True)
class Bm25Options:
    """Parameters of BM25.

    Attributes:
        k1: how soon further occurrences of a term stop counting.
        b: how much the length of a sentence counts.

    Raises:
        UsageError: a value outside its range.
    """

    k1: float = 1.5
    b: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.k1 < float("inf"):
            raise UsageError(f"--k1 cannot be {self.k1}", remedy="use a number from 0 on; 1.5 is usual")
        if not 0 <= self.b <= 1:
            raise UsageError(f"--b cannot be {self.b}", remedy="use a number from 0 to 1; 0.75 is usual")

    def identity(self) -> ModelIdentity:
        """What the ranking depends on, for the record."""
        return ModelIdentity(
            kind="baseline",
            name=NAME,
            distribution=f"bm25s {metadata.version('bm25s')}",
            similarity="none",
            model_kwargs={"k1": self.k1, "b": self.b, "method": METHOD, "tokenisation": TOKENISATION},
        )


class Bm25:
    """BM25 of every query of a task against every candidate.

    In the monolingual and cross-lingual settings a language's sentences are an index of their own; in the
    multilingual one the idf and the mean length are those of the whole pool. Scores are float32 sums in the order of
    the query's terms, so that candidates with equal terms have equal scores; the many without any term of the query
    all score 0, and tie.

    Args:
        data: the task.
        options: parameters.
    """

    def __init__(self, data: TaskData, options: Bm25Options | None = None) -> None:
        options = options or Bm25Options()
        self._queries = [terms(query.text) for query in data.queries]
        candidates = [terms(candidate.text) for candidate in data.candidates]
        self._edges = np.append(0, np.cumsum(data.column_sizes)).tolist()
        self._pool = _index(candidates, options)
        self._languages = [
            _index(candidates[start:stop], options)
            for start, stop in zip(self._edges[:-1], self._edges[1:], strict=True)
        ]

    def scores(self) -> Iterator[ScoreBlock]:
        """Scores of all queries, 1,024 at a time; the blocks stay as they are."""
        width = self._edges[-1]
        for start in range(0, len(self._queries), TILE_ROWS):
            block = self._queries[start : start + TILE_ROWS]
            pooled, own = np.zeros((2, len(block), width), dtype=np.float32)
            for row, words in enumerate(block):
                _score(self._pool, words, pooled[row])
                for index, first, last in zip(self._languages, self._edges[:-1], self._edges[1:], strict=True):
                    _score(index, words, own[row, first:last])
            yield ScoreBlock(start, pooled, own)


def _index(documents: list[list[str]], options: Bm25Options) -> BM25:
    from bm25s import BM25

    # terms numbered here: bm25s would number them in the order of a set, which changes from run to run
    vocabulary: dict[str, int] = {}
    ids = [[vocabulary.setdefault(term, len(vocabulary)) for term in document] for document in documents]
    vocabulary.setdefault("", len(vocabulary))  # bm25s needs one term at least
    made = BM25(k1=options.k1, b=options.b, method=METHOD, backend="numpy")
    made.index((ids, vocabulary), show_progress=False)
    return made


def _score(index: BM25, words: list[str], out: Vectors) -> None:
    known = index.get_tokens_ids(words)
    if known:
        out[:] = index.get_scores_from_ids(known)
