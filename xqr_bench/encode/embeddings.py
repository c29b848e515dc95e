"""The vectors of one task, and what was noticed while making them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.plan import items_of
from xqr_bench.encode.protocol import Role
from xqr_bench.types import TaskData

ROLES: tuple[Role, Role] = ("query", "candidate")


@dataclass
class Counts:
    """How many texts of a task differ, and of how many the vectors came from the store."""

    distinct: int = 0
    from_store: int = 0


@dataclass(frozen=True)
class Embeddings:
    """Vectors of one task, not normalised; rows in the order of the TaskData.

    Attributes:
        queries: float32 `[n_queries, d]`, C-contiguous.
        candidates: float32 `[n_candidates, d]`, C-contiguous.
        distinct_texts: how many texts of this task differ (a text that is a query and a candidate counts twice
            unless the encoder is symmetric).
        stored_texts: of how many of these the vectors came from the store.
        zero_queries, zero_candidates: language -> vectors of only zeros; languages without are left out.
        truncated: language -> {"queries": n, "candidates": n}, texts that the encoder cut off; None when unknown.
        seconds: time of the whole encoding, which the tasks embedded together share.
    """

    queries: Vectors
    candidates: Vectors
    distinct_texts: int
    stored_texts: int
    zero_queries: Mapping[str, int]
    zero_candidates: Mapping[str, int]
    truncated: Mapping[str, Mapping[str, int]] | None
    seconds: float

    @property
    def dimensions(self) -> int:
        """Columns of the vectors."""
        return int(self.queries.shape[1])


def assemble(
    task: TaskData,
    vectors: Mapping[tuple[str, Role], Vectors],
    flags: Mapping[tuple[str, Role], NDArray[np.bool_] | None],
    counts: Counts,
    seconds: float,
) -> Embeddings:
    """Put the vectors of a task together and count zeros and truncated texts by language.

    Args:
        task: the task.
        vectors: (task name, role) -> float32 `[n, d]`.
        flags: (task name, role) -> which texts are truncated, bool `[n]`, None when unknown.
        counts: of its texts.
        seconds: see Embeddings.
    """

    def by_language(role: Role, rows: NDArray[np.bool_]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in np.flatnonzero(rows):
            language = items_of(task, role)[int(row)].language
            counts[language] = counts.get(language, 0) + 1
        return counts

    zeros: dict[Role, dict[str, int]] = {}
    cut_off: dict[Role, dict[str, int] | None] = {}
    for role in ROLES:
        zeros[role] = by_language(role, np.logical_not(vectors[task.name, role].any(axis=1)))
        known = flags.get((task.name, role))
        cut_off[role] = None if known is None else by_language(role, known)
    queries, candidates = cut_off["query"], cut_off["candidate"]
    truncated = None
    if queries is not None and candidates is not None:
        truncated = {
            language: {"queries": queries.get(language, 0), "candidates": candidates.get(language, 0)}
            for language in task.languages
        }
    return Embeddings(
        queries=vectors[task.name, "query"],
        candidates=vectors[task.name, "candidate"],
        distinct_texts=counts.distinct,
        stored_texts=counts.from_store,
        zero_queries=zeros["query"],
        zero_candidates=zeros["candidate"],
        truncated=truncated,
        seconds=seconds,
    )
