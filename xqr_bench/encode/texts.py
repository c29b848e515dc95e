"""Which texts are encoded, one batch of them through an encoder, and the vectors of one task."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import Candidate, IntArray, Query, TaskData
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.checks import Vectors, check_dimensions, check_values
from xqr_bench.encode.options import Role

# Which texts to encode, and where their vectors go.


@dataclass(frozen=True)
class Destination:
    """The vectors of one task's queries or candidates.

    Attributes:
        task, role: whose.
        text_of_row: for each row the index of its text in the group, int64 `[rows]`.
    """

    task: TaskData
    role: Role
    text_of_row: IntArray

    @property
    def key(self) -> tuple[str, Role]:
        """Task name and role."""
        return self.task.name, self.role

    def rows_of(self, texts: IntArray) -> tuple[IntArray, IntArray]:
        """Rows whose text is among these texts of the group, and for each row which of them it is.

        Args:
            texts: indices into the texts of the group, int64 `[n]`, each once.

        Returns:
            rows int64 `[m]`, and positions in `texts` int64 `[m]`.
        """
        rows, sorted_texts = self._rows_by_text
        low = np.searchsorted(sorted_texts, texts, side="left")
        counts = np.searchsorted(sorted_texts, texts, side="right") - low
        before = np.cumsum(counts) - counts
        within = np.arange(int(counts.sum())) + np.repeat(low - before, counts)
        return rows[within], np.repeat(np.arange(len(texts)), counts)

    @cached_property
    def _rows_by_text(self) -> tuple[IntArray, IntArray]:
        rows = np.argsort(self.text_of_row, kind="stable")
        return rows, self.text_of_row[rows]


@dataclass(frozen=True)
class Group:
    """Texts that are encoded alike.

    Attributes:
        role: how to encode them.
        roles: the roles in which they occur (both when the encoder is symmetric).
        texts: distinct, the longest first, equally long ones in order of their characters.
        destinations: where their vectors go.
    """

    role: Role
    roles: tuple[Role, ...]
    texts: list[str]
    destinations: tuple[Destination, ...]


def items_of(task: TaskData, role: Role) -> Sequence[Query | Candidate]:
    """The task's queries or candidates."""
    return task.queries if role == "query" else task.candidates


def plan_groups(tasks: Sequence[TaskData], *, symmetric: bool) -> list[Group]:
    """One group of distinct texts per role, or a single one when queries and candidates are encoded alike."""
    shapes: tuple[tuple[Role, ...], ...] = (("query", "candidate"),) if symmetric else (("query",), ("candidate",))
    groups = []
    for roles in shapes:
        places = [(task, role) for task in tasks for role in roles]
        distinct = {item.text for task, role in places for item in items_of(task, role)}
        texts = sorted(distinct, key=lambda text: (-len(text), text))
        index = {text: i for i, text in enumerate(texts)}
        destinations = []
        for task, role in places:
            text_of_row = np.array([index[item.text] for item in items_of(task, role)], dtype=np.int64)
            destinations.append(Destination(task, role, text_of_row))
        groups.append(Group(roles[0], roles, texts, tuple(destinations)))
    return groups


def name_text(tasks: Sequence[TaskData], roles: Sequence[Role], text: str | int) -> str:
    """Name a text for a message by its first occurrence, or by its row: role, id, task, and how it begins."""
    for task in tasks:
        for role in roles:
            items = items_of(task, role)
            found = items[text] if isinstance(text, int) else next((item for item in items if item.text == text), None)
            if found is not None:
                beginning = found.text if len(found.text) <= 60 else found.text[:59] + "…"
                return f"the {role} {found.id} of {task.name} ({beginning!r})"
    return repr(text)


# The vectors of one task, and what was noticed while making them.

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


# One batch through an encoder: checked, named when it fails, halved when memory runs out.


class Caller:
    """Calls an encoder with texts of a group; `vectors` may be called by several threads.

    Args:
        encoder: whose identity then knows the dimensions.
        group: the texts.
        tasks: where they come from, for messages.
        lengths: of all texts of the group, int64 `[texts]`; all 1 where they are unknown.
        allow_zero: let vectors of only zeros pass.
        observe: gets a note when batches become smaller.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        group: Group,
        tasks: Sequence[TaskData],
        lengths: IntArray,
        *,
        allow_zero: bool,
        observe: Observer,
    ) -> None:
        self._encoder = encoder
        self._group = group
        self._tasks = tasks
        self._lengths = lengths
        self._allow_zero = allow_zero
        self._observe = observe
        self._checking = Lock()
        self._most: int | None = None
        """Tokens with padding (or texts) that were found to fit into memory."""

    def vectors(self, batch: IntArray, done: int) -> Vectors:
        """Encode a batch; float32 `[rows, d]`, checked.

        Args:
            batch: indices of texts of the group.
            done: texts encoded before it, for messages.

        Raises:
            EncoderError: the encoder failed, or returned what cannot be scored.
        """
        cost = len(batch) * int(self._lengths[batch].max())
        if len(batch) > 1 and self._most is not None and cost > self._most:
            return self._halved(batch, done)
        texts = [self._group.texts[index] for index in batch]
        returned: object = None
        exhausted = False
        try:
            returned = self._encoder.call(self._group.role, list(texts))
        except Exception as error:  # whatever a plugin raises
            exhausted = _out_of_memory(error)
            if len(batch) == 1 or not exhausted:
                raise self._failed(batch, done, error) from error
        if exhausted:  # outside of the handler: what the failed call held is free now
            _free_memory()
            self._most = min(cost // 2, self._most or cost)
            self._observe.note(f"out of memory with {len(batch):,} texts together: going on with half as many")
            return self._halved(batch, done)
        try:
            found = self._encoder.matrix(returned, len(texts))
        except EncoderError as error:
            first = f"the first of these {len(texts):,} texts is {self._name(texts[0])}"
            raise EncoderError(error.problem, found=f"{error.found}; {first}", remedy=error.remedy) from error
        with self._checking:
            self.check(batch, found)
        return found

    def check(self, batch: IntArray, vectors: Vectors) -> None:
        """Check vectors of these texts, wherever they come from.

        Raises:
            EncoderError: other dimensions than before, or values that cannot be scored.
        """
        encoder, texts = self._encoder, self._group.texts
        check_dimensions(vectors.shape[1], encoder.identity.dimensions, encoder.name, self._name(texts[int(batch[0])]))
        encoder.settle_dimensions(vectors.shape[1])
        check_values(vectors, encoder.name, lambda row: self._name(texts[int(batch[row])]), allow_zero=self._allow_zero)

    def counts(self, texts: IntArray, done: int) -> IntArray | None:
        """Tokens of texts before they are cut off, int64 `[n]`; None when they cannot be counted.

        Raises:
            EncoderError: the tokenizer failed.
        """
        try:
            return self._encoder.measure(self._group.role, [self._group.texts[index] for index in texts])
        except Exception as error:
            raise self._failed(texts, done, error) from error

    def truncated(self, batch: IntArray, done: int) -> NDArray[np.bool_] | None:
        """Which texts of a batch the encoder says it cuts off, bool `[rows]`; None when it does not say.

        Raises:
            EncoderError: it failed to say so, or did not for every text.
        """
        texts = [self._group.texts[index] for index in batch]
        try:
            cut_off = self._encoder.truncated(self._group.role, texts)
        except Exception as error:
            raise self._failed(batch, done, error) from error
        if cut_off is None:
            return None
        flags = np.asarray(cut_off, dtype=np.bool_)
        if flags.shape != (len(texts),):
            raise EncoderError(
                f"truncated() of the encoder {self._encoder.name} returned no bool per text",
                found=f"shape {flags.shape} for {len(texts):,} texts",
                remedy="return a list of bools as long as the list of texts, or leave the method out",
            )
        return flags

    def _halved(self, batch: IntArray, done: int) -> Vectors:
        middle = len(batch) // 2
        first = self.vectors(batch[:middle], done)
        return np.concatenate([first, self.vectors(batch[middle:], done + middle)])

    def _name(self, text: str) -> str:
        return name_text(self._tasks, self._group.roles, text)

    def _failed(self, batch: IntArray, done: int, error: Exception) -> EncoderError:
        message = str(error).strip().splitlines()
        return EncoderError(
            f"the encoder {self._encoder.name} failed on texts {done + 1:,} to {done + len(batch):,} of "
            f"{len(self._group.texts):,} (sorted by length, longest first)",
            found=type(error).__name__ + (f": {message[0]}" if message else ""),
            remedy="give a smaller --batch-size or --max-length"
            if _out_of_memory(error)
            else f"encode such a text alone to see why, such as {self._name(self._group.texts[int(batch[0])])}",
        )


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def _free_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is None:
        return
    for device in ("cuda", "mps"):
        module = getattr(torch, device, None)
        if module is not None and module.is_available():
            module.empty_cache()
