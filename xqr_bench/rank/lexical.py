"""BM25 over the sentences of a task: an index for each language, and one over the whole pool."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import TaskData
from xqr_bench.encode import ModelIdentity
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.product import TILE_ROWS, Vectors

if TYPE_CHECKING:
    from bm25s import BM25


# Text -> terms for BM25: one scheme for every script, without a dictionary or a language to be named.
#
# 1. NFKC, then case folding; the dot that folding leaves on a Turkish capital İ is dropped.
# 2. Arabic vowel signs and the lengthening stroke are dropped: they are optional in writing.
# 3. A run of letters, combining marks and digits is a word; everything else parts words. Python's `\w` would cut words
#    of Devanagari and Thai at their vowel signs, which are marks.
# 4. In scripts written without spaces between words a word's neighbouring characters are taken in pairs (bigrams;
#    a character with its marks counts as one). A single character is a term by itself.

TOKENISATION = "words; character bigrams where a script has no spaces (1)"
"""Name and version of the scheme, kept in records; another scheme gets another number."""

# Unicode blocks of scripts that are written without spaces between words
_UNSPACED = (
    (0x0E00, 0x0EFF, "Thai, Lao"),
    (0x1000, 0x109F, "Myanmar"),
    (0x1780, 0x17FF, "Khmer"),
    (0x3005, 0x3007, "Han: iteration mark, zero"),
    (0x3040, 0x30FF, "Hiragana, Katakana"),
    (0x3400, 0x9FFF, "Han"),
    (0xF900, 0xFAFF, "Han, compatibility"),
    (0x20000, 0x3FFFF, "Han, supplementary planes"),
)
_ARABIC_OPTIONAL = frozenset("\u0640\u0670" + "".join(map(chr, range(0x064B, 0x0653))))
_BREAK, _LETTER, _MARK, _UNSPACED_LETTER, _DROPPED = range(5)


@cache
def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if character in _ARABIC_OPTIONAL or category == "Cf":  # Cf: joiners and marks of direction
        return _DROPPED
    if category[0] == "M":
        return _MARK
    if category[0] not in "LN":
        return _BREAK
    unspaced = any(first <= ord(character) <= last for first, last, _ in _UNSPACED)
    return _UNSPACED_LETTER if unspaced and category[0] == "L" else _LETTER


def terms(text: str) -> list[str]:
    """The terms of a text, in order, each as often as it occurs.

    Args:
        text: in any language.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i")
    result: list[str] = []
    word: list[str] = []  # characters with their marks
    unspaced = False

    def end() -> None:
        if word:
            bigrams = [first + second for first, second in pairwise(word)] or list(word)
            result.extend(bigrams if unspaced else ["".join(word)])
            word.clear()

    for character in folded:
        kind = _kind(character)
        if kind == _BREAK:
            end()
        elif kind == _MARK:
            if word:
                word[-1] += character
        elif kind != _DROPPED:
            if word and unspaced != (kind == _UNSPACED_LETTER):
                end()
            unspaced = kind == _UNSPACED_LETTER
            word.append(character)
    end()
    return result


# BM25 over the sentences of a task: an index for each language, and one over the whole pool.

NAME = "bm25"
METHOD = "lucene"  # the idf is ln(1 + (N - df + 0.5) / (df + 0.5)): never negative


@checked
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
        self._edges = data.edges.tolist()
        self._pool = _index(candidates, options)
        self._languages = [_index(candidates[start:stop], options) for start, stop in pairwise(self._edges)]

    def scores(self) -> Iterator[ScoreBlock]:
        """Scores of all queries, some at a time; the blocks stay as they are."""
        width = self._edges[-1]
        for start in range(0, len(self._queries), TILE_ROWS):
            block = self._queries[start : start + TILE_ROWS]
            pooled, own = np.zeros((2, len(block), width), dtype=np.float32)
            for row, words in enumerate(block):
                _score(self._pool, words, pooled[row])
                for index, (first, last) in zip(self._languages, pairwise(self._edges), strict=True):
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
    ids = index.get_tokens_ids(words)
    if ids:
        out[:] = index.get_scores_from_ids(ids)
