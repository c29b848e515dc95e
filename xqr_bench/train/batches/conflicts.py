"""Which questions may not stand in one batch, because one's passage would be a false negative of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from xqr_bench.train.types import Int32, ParallelData
from xqr_bench.types import IntArray


class Ragged(NamedTuple):
    """Numbers of each question: those of question q are `values[offsets[q]:offsets[q + 1]]`."""

    offsets: IntArray
    values: Int32


class Conflicts(NamedTuple):
    """Two questions conflict when they share a key, or when a key of one is a negative of the other."""

    keys: Ragged
    negatives: Ragged
    n_keys: int


def find_conflicts(data: ParallelData) -> Conflicts:
    """Keys of a data set's questions, numbered; only those that can make a conflict are kept.

    Two questions conflict when they are one, share a relevant passage (article, paragraph, sentence) in any language,
    or have an equal passage text or an equal query text, in any languages. A question whose hard negative is, by its
    text, the passage of another conflicts with that one too. Texts are compared by a 64-bit hash: two that differ
    are taken for equal about once in 10^19 pairs, which only puts a row into a later batch.
    """
    n = data.n_questions
    kinds = {"key": data.relevant_keys, "passage": _columns(data.passages, n), "query": _columns(data.queries, n)}
    owners, hashes = zip(*(_hashes(kind, rows) for kind, rows in kinds.items()), strict=True)
    owner, value = _distinct(np.concatenate(owners), np.concatenate(hashes))
    no_owner, no_value = _distinct(*_hashes("passage", _negatives(data, n)))
    keys, inverse, counts = np.unique(value, return_inverse=True, return_counts=True)
    needed = (counts > 1) | np.isin(keys, no_value)
    number = np.cumsum(needed) - 1 + n  # 0 .. n-1 are the questions themselves
    stays = needed[inverse]
    position = np.clip(np.searchsorted(keys, no_value), 0, max(len(keys) - 1, 0))
    known = keys[position] == no_value
    everyone = np.arange(n)
    return Conflicts(
        _ragged(np.concatenate([everyone, owner[stays]]), np.concatenate([everyone, number[inverse][stays]]), n),
        _ragged(no_owner[known], number[position[known]], n),
        n + int(needed.sum()),
    )


def _columns(table: tuple[tuple[str, ...], ...], n: int) -> list[tuple[str, ...]]:
    return list(zip(*table, strict=True)) if table else [()] * n


def _negatives(data: ParallelData, n: int) -> list[tuple[str, ...]]:
    if data.negatives is None:
        return [()] * n
    return [tuple(text for column in data.negatives for text in column[row]) for row in range(n)]


def _hashes(kind: str, rows: Sequence[tuple[str, ...]]) -> tuple[IntArray, IntArray]:
    """Owner and hash of each text that is not empty."""
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    texts = np.array([text for row in rows for text in row], dtype=object)
    if not len(texts):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint64)  # type: ignore[return-value]
    filled = texts != ""
    values = pd.util.hash_array(texts[filled], hash_key=kind.ljust(16, "-"), categorize=False)
    return owner[filled], values


def _distinct(owner: IntArray, value: IntArray) -> tuple[IntArray, IntArray]:
    """Each (owner, value) once."""
    order = np.lexsort((value, owner))
    owner, value = owner[order], value[order]
    first = np.ones(len(owner), dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | (value[1:] != value[:-1])
    return owner[first], value[first]


def _ragged(owner: IntArray, value: IntArray, n: int) -> Ragged:
    order = np.argsort(owner, kind="stable")
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=n), out=offsets[1:])
    return Ragged(offsets, value[order].astype(np.int32))
