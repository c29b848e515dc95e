"""The texts of tasks: each distinct one once, where its vector goes, and the vectors of one task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.collection import Columns, StoredTexts, first_of_each, longest_first, texts_of
from xqr_bench.core.errors import EncoderError
from xqr_bench.core.mapped import AT_ONCE, Room, in_parts, release
from xqr_bench.core.types import Candidate, IntArray, Query, TaskData
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.options import ROLES, Role

BoolArray = NDArray[np.bool_]
Flags = NDArray[np.uint8]
"""Whether each text was cut off: 0 no, 1 yes, 2 unknown; uint8 `[rows]`."""
UNKNOWN = 2


def items_of(task: TaskData, role: Role) -> Sequence[Query | Candidate]:
    """The task's queries or candidates."""
    return task.queries if role == "query" else task.candidates


def name_item(task: TaskData, role: Role, row: int) -> str:
    """A query or candidate for a message: role, id, task, and how it begins."""
    item = items_of(task, role)[row]
    beginning = item.text if len(item.text) <= 60 else item.text[:59] + "…"
    return f"the {role} {item.id} of {task.name} ({beginning!r})"


def in_context(task: TaskData, template: str | None) -> TaskData:
    """The task with every candidate's text put into the template; itself when there is none.

    Ids, relevants and counting stay as they are.

    Raises:
        EncoderError: a candidate has no paragraph.
    """
    if template is None:
        return task
    bare = next((candidate.id for candidate in task.candidates if not candidate.context), None)
    if bare is not None:
        raise EncoderError(
            f"the candidates of {task.name} have no paragraphs to put them in",
            found=f"none for {bare}",
            remedy="leave out --candidate-context, or give each candidate its paragraph",
        )
    return replace(
        task,
        candidates=tuple(
            replace(candidate, text=template.format(sentence=candidate.text, paragraph=candidate.context))
            for candidate in task.candidates
        ),
    )


@dataclass
class Destination:
    """The vectors of one task's queries or candidates, filled as they come.

    Attributes:
        task, role: whose.
        text_of_row: for each row the index of its text in the group, int64 `[rows]`.
        vectors: float32 `[rows, d]`; None before the first ones are put.
    """

    task: TaskData
    role: Role
    text_of_row: IntArray
    vectors: Vectors | None = field(default=None, init=False)
    _put: int = field(default=0, init=False)

    def put(self, texts: IntArray, vectors: Vectors, room: Room) -> None:
        """Put the vectors of these texts of the group, int64 `[n]`, each once, into all rows that have one of them.

        Raises:
            OSError: the vectors of all rows do not fit in the room.
        """
        if self.vectors is None:
            self.vectors = room.zeros((len(self.text_of_row), vectors.shape[1]))
        rows, sorted_texts = self._rows_by_text
        low = np.searchsorted(sorted_texts, texts, side="left")
        counts = np.searchsorted(sorted_texts, texts, side="right") - low
        before = np.cumsum(counts) - counts
        within = np.arange(int(counts.sum())) + np.repeat(low - before, counts)
        self.vectors[rows[within]] = vectors[np.repeat(np.arange(len(texts)), counts)]
        self._put += len(within)
        if self._put > AT_ONCE:
            self._put = 0
            release(self.vectors)

    @cached_property
    def _rows_by_text(self) -> tuple[IntArray, IntArray]:
        rows = np.argsort(self.text_of_row, kind="stable")
        return rows, self.text_of_row[rows]


@dataclass
class Group:
    """Texts that are encoded alike.

    Attributes:
        role: how to encode them.
        texts: distinct, the longest first, equally long ones in order of their characters.
        destinations: where their vectors go: in both roles when the encoder is symmetric.
        flags: which are cut off, uint8 `[texts]`.
        stored: of which the vectors came from the store, bool `[texts]`.
    """

    role: Role
    texts: Sequence[str]
    destinations: tuple[Destination, ...]

    def __post_init__(self) -> None:
        self.flags: Flags = np.full(len(self.texts), UNKNOWN, dtype=np.uint8)
        self.stored: BoolArray = np.zeros(len(self.texts), dtype=np.bool_)

    def name(self, index: int) -> str:
        """Name a text for a message by its first occurrence."""
        place = next(place for place in self.destinations if index in place.text_of_row)
        return name_item(place.task, place.role, int(np.flatnonzero(place.text_of_row == index)[0]))


def plan_groups(tasks: Sequence[TaskData], *, symmetric: bool) -> list[Group]:
    """One group of distinct texts per role, or a single one when queries and candidates are encoded alike."""
    groups = []
    for roles in [ROLES] if symmetric else [(role,) for role in ROLES]:
        places = [(task, role) for task in tasks for role in roles]
        sources = [items_of(task, role) for task, role in places]
        texts, of_rows = _sorted_by_length(sources)
        destinations = [Destination(task, role, rows) for (task, role), rows in zip(places, of_rows, strict=True)]
        groups.append(Group(roles[0], texts, tuple(destinations)))
    return groups


def _sorted_by_length(sources: Sequence[Sequence[Query | Candidate]]) -> tuple[Sequence[str], list[IntArray]]:
    """The distinct texts of some items in the order of a group, and which of them is in each row of each source."""
    if not any(isinstance(items, Columns) for items in sources):
        distinct = {item.text for items in sources for item in items}
        texts = sorted(distinct, key=lambda text: (-len(text), text))
        index = {text: i for i, text in enumerate(texts)}
        return texts, [np.array([index[item.text] for item in items], dtype=np.int64) for items in sources]
    every = StoredTexts.joined([StoredTexts.of(texts_of(items)) for items in sources])
    first, numbers = first_of_each(every)
    stored = every.take(first)
    order = longest_first(stored, np.fromiter(map(len, stored), np.int64, len(stored)))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    ends = np.cumsum([len(items) for items in sources])[:-1]
    return stored.take(order), np.split(rank[numbers], ends)


@dataclass(frozen=True)
class Embeddings:
    """Vectors of one task, not normalised; rows in the order of the TaskData.

    Attributes:
        queries: float32 `[n_queries, d]`, C-contiguous; mapped and not writable where they are too large for memory.
        candidates: float32 `[n_candidates, d]`, likewise.
        distinct_texts: how many texts of this task differ (a text that is a query and a candidate counts twice
            unless the encoder is symmetric).
        stored_texts: of how many of these the vectors came from the store.
        zero_queries, zero_candidates: language -> vectors of only zeros; languages without are left out.
        truncated: language -> {"queries": n, "candidates": n}, texts that the encoder cut off; None when unknown.
        seconds: time of each phase; that of the encoding is of all the tasks embedded together.
    """

    queries: Vectors
    candidates: Vectors
    distinct_texts: int
    stored_texts: int
    zero_queries: Mapping[str, int]
    zero_candidates: Mapping[str, int]
    truncated: Mapping[str, Mapping[str, int]] | None
    seconds: Mapping[str, float]

    @property
    def dimensions(self) -> int:
        """Columns of the vectors."""
        return int(self.queries.shape[1])


def embeddings_of(
    task: TaskData,
    vectors: Mapping[Role, Vectors],
    *,
    cut_off: Mapping[Role, BoolArray] | None = None,
    distinct_texts: int,
    stored_texts: int = 0,
    seconds: Mapping[str, float] | None = None,
) -> Embeddings:
    """Put the vectors of a task, float32 `[n, d]`, together and count zeros and truncated texts by language.

    `cut_off` says which texts are truncated, bool `[n]`; None when that is unknown. For the rest see Embeddings.
    """

    def by_language(role: Role, rows: BoolArray) -> dict[str, int]:
        return dict(Counter(items_of(task, role)[row].language for row in np.flatnonzero(rows).tolist()))

    def without_direction(rows: Vectors) -> BoolArray:
        found = [np.logical_not(part.any(axis=1)) for _, part in in_parts(rows)]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.bool_)

    zeros = {role: by_language(role, without_direction(vectors[role])) for role in ROLES}
    truncated = None
    if cut_off is not None:
        queries, candidates = (by_language(role, cut_off[role]) for role in ROLES)
        truncated = {
            language: {"queries": queries.get(language, 0), "candidates": candidates.get(language, 0)}
            for language in task.all_languages
        }
    return Embeddings(
        queries=vectors["query"],
        candidates=vectors["candidate"],
        distinct_texts=distinct_texts,
        stored_texts=stored_texts,
        zero_queries=zeros["query"],
        zero_candidates=zeros["candidate"],
        truncated=truncated,
        seconds=seconds or {},
    )


class Embedder(Protocol):
    """Turns the texts of tasks into vectors."""

    def embed(self, tasks: Sequence[TaskData]) -> Iterator[Embeddings]:
        """Yield the vectors of each task, in order; work that tasks have in common is done once."""
        ...
