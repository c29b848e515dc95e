"""Embedders: texts of tasks -> vectors. Small classes that wrap one another, put together by `embedder_of`.

Transformed(embedder)  each language's own part taken out of the vectors (`transform.py`)
 InContext(embedder)   each candidate with the text it stands in, instead of alone
  Encoded(encoder)     each distinct text of all tasks once, from the store or batch by batch through the encoder
  LookedUp(encoder)    vectors made elsewhere, found by id
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.checked import checked
from xqr_bench.core.collection import first_of_each, texts_of
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.mapped import Room, in_parts, taken
from xqr_bench.core.memory import free_memory
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode.batches import Batches
from xqr_bench.encode.bound import BoundEncoder, TextEncoder
from xqr_bench.encode.checks import Vectors, check_values
from xqr_bench.encode.options import ROLES, Role
from xqr_bench.encode.precomputed import Precomputed
from xqr_bench.encode.store import VectorStore
from xqr_bench.encode.stored import Stored, open_shelves, refuse_changed, trim_store
from xqr_bench.encode.texts import (
    UNKNOWN,
    BoolArray,
    Embedder,
    Embeddings,
    Group,
    embeddings_of,
    in_context,
    items_of,
    name_item,
    plan_groups,
)
from xqr_bench.encode.transform import Transformed, TransformOptions


class Work:
    """What is left to encode, for the time left: texts are sorted by length, so the last ones are the fastest.

    A group still to come weighs as many characters as it has; within one, tokens are counted.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self._ahead = {id(group): float(sum(map(len, group.texts))) for group in groups}
        self._done = self._under_way = 0.0

    def left_after(self, texts: IntArray, batches: Batches) -> float:
        """The share of the work that is left once these texts are encoded."""
        if (key := id(batches.group)) in self._ahead:
            del self._ahead[key]
            self._under_way = float(batches.costs[batches.measured].sum())
        cost = float(batches.costs[texts].sum())
        self._done, self._under_way = self._done + cost, self._under_way - cost
        left = self._under_way + sum(self._ahead.values())
        return max(left, 0.0) / ((self._done + left) or 1.0)


FEWER = (
    "have fewer columns, such as max_features of a vectorizer or a TruncatedSVD behind it, or score a part: "
    "--languages, --limit"
)


def no_room(name: str, error: OSError) -> EncoderError:
    """Vectors that are too large for memory fit in no temporary file either."""
    return EncoderError(
        f"the vectors of {name} are beyond --memory, and there is no room for them on disk",
        found=str(error),
        remedy=f"give more --memory, name a larger folder (--cache, TMPDIR), or {FEWER}",
    )


class Encoded:
    """Encodes each distinct text of all tasks once, and puts its vector wherever the text stands.

    The longest texts come first: memory runs out at the start if it does, and the time left is not underestimated.

    Args:
        encoder: the encoder.
        store: where vectors are kept (see `reason_not_kept` for encoders whose vectors never are); None: nowhere.
        observe: hears of texts that are done, of those from the store at once.
        allow_zero: let vectors of only zeros pass.
        memory: bytes of vectors that are held; further ones stand in a temporary file (see Room).
    """

    def __init__(
        self,
        encoder: TextEncoder,
        store: VectorStore | None,
        observe: Observer,
        *,
        allow_zero: bool,
        memory: int | None = None,
    ) -> None:
        self._encoder = encoder
        self._store = store
        self._observe = observe
        self._allow_zero = allow_zero
        self._memory = memory

    def embed(self, tasks: Sequence[TaskData]) -> Iterator[Embeddings]:
        """See Embedder."""
        clock = Clock()
        with clock.phase("encoding"):
            groups = plan_groups(tasks, symmetric=self._encoder.symmetric)
            total = sum(len(group.texts) for group in groups)
            room = Room(self._memory, None if self._store is None else self._store.folder)
            with self._observe.phase("encoding", total), ExitStack() as shelves:
                work = Work(groups)
                for batches, source in self._sources(groups, shelves):
                    group = batches.group
                    with closing(source.everything()) as parts:
                        for texts, whole in parts:
                            vectors = self._encoder.cut(whole)
                            if group is groups[0] and group.destinations[0].vectors is None:
                                self._refuse_too_large(groups, vectors.shape[1], room)
                            for place in group.destinations:
                                try:
                                    place.put(texts, vectors, room)
                                except OSError as error:
                                    raise no_room(self._encoder.name, error) from error
                            if not group.stored[texts[0]]:
                                self._observe.ahead(work.left_after(texts, batches))
                            self._observe.advance(len(texts))
            self._trim()
        for task in tasks:
            yield self._assembled(task, groups, clock.seconds)

    def _refuse_too_large(self, groups: Sequence[Group], columns: int, room: Room) -> None:
        """Check that the vectors of all texts fit in memory, before there are any."""
        rows = sum(len(place.text_of_row) for group in groups for place in group.destinations)
        needed, free = 4 * rows * columns, free_memory()
        if room.fits(needed) and free is not None and needed > free:
            raise EncoderError(
                f"the vectors of {self._encoder.name} do not fit in memory",
                found=f"{rows:,} texts × {columns:,} columns: {needed / 2**30:.1f} GiB; {free / 2**30:.1f} are free",
                remedy=FEWER,
            )

    def _sources(self, groups: Sequence[Group], shelves: ExitStack) -> list[tuple[Batches, Batches | Stored]]:
        """The batches of each group, and what yields its vectors; shelves stay open as long as `shelves`."""
        batches = [Batches(self._encoder, one, allow_zero=self._allow_zero, observe=self._observe) for one in groups]
        opened = open_shelves(batches, self._store, self._observe, shelves)
        sources = [
            one if shelf is None or self._store is None else Stored(one, shelf, self._store)
            for one, shelf in zip(batches, opened, strict=True)
        ]
        refuse_changed([source for source in sources if isinstance(source, Stored)], self._observe)
        return list(zip(batches, sources, strict=True))

    def _trim(self) -> None:
        trim_store(self._store, self._encoder, self._observe)

    def _assembled(self, task: TaskData, groups: Sequence[Group], seconds: Mapping[str, float]) -> Embeddings:
        nothing = np.empty((0, self._encoder.identity.dimensions or 0), dtype=np.float32)  # a role without texts
        vectors: dict[Role, Vectors] = {}
        cut_off: dict[Role, BoolArray] = {}
        distinct = from_store = 0
        for group in groups:
            own = [place for place in group.destinations if place.task is task]
            for place in own:
                vectors[place.role] = nothing if place.vectors is None else place.vectors
                if not (group.flags == UNKNOWN).any():
                    cut_off[place.role] = group.flags[place.text_of_row].astype(np.bool_)
            texts = np.unique(np.concatenate([place.text_of_row for place in own]))
            distinct += len(texts)
            from_store += int(group.stored[texts].sum())
        return embeddings_of(
            task,
            vectors,
            cut_off=cut_off if len(cut_off) == len(ROLES) else None,
            distinct_texts=distinct,
            stored_texts=from_store,
            seconds=seconds,
        )


class LookedUp:
    """Takes vectors that are there already."""

    def __init__(self, encoder: Precomputed, observe: Observer, *, allow_zero: bool, memory: int | None = None) -> None:
        self._encoder = encoder
        self._observe = observe
        self._allow_zero = allow_zero
        self._room = Room(memory)

    def embed(self, tasks: Sequence[TaskData]) -> Iterator[Embeddings]:
        """See Embedder."""
        clock = Clock()
        total = sum(len(items_of(task, role)) for task in tasks for role in ROLES)
        with clock.phase("encoding"), self._observe.phase("encoding", total):
            embedded = [self._look_up(task) for task in tasks]
        for vectors in embedded:
            yield replace(vectors, seconds=clock.seconds)

    def _look_up(self, task: TaskData) -> Embeddings:
        vectors: dict[Role, Vectors] = {}
        distinct = 0
        for role in ROLES:
            try:
                vectors[role] = looked_up = self._encoder.lookup(task, role, self._room)
            except OSError as error:
                raise no_room(self._encoder.name, error) from error
            self._encoder.check_dimensions(looked_up.shape[1], f"the {role} vectors of {task.name}")
            check_values(
                looked_up,
                self._encoder.name,
                lambda row, role=role: name_item(task, role, row),  # type: ignore[misc]
                allow_zero=self._allow_zero,
            )
            numbers, warning = unequal_texts(task, role, looked_up)
            distinct += numbers
            if warning is not None:
                self._encoder.warn(warning, task.name)
            self._observe.advance(len(looked_up))
        return embeddings_of(task, vectors, distinct_texts=distinct)


def unequal_texts(task: TaskData, role: Role, vectors: NDArray[Any]) -> tuple[int, str | None]:
    """The number of distinct texts, and a warning where equal texts have different vectors.

    Args:
        task, role: whose texts.
        vectors: of each, or digests of them, `[n, d]`.
    """
    first, numbers = first_of_each(texts_of(items_of(task, role)))
    rows = np.flatnonzero(first[numbers] != np.arange(len(numbers)))  # of texts that have stood before
    differ = [
        some[(taken(vectors, some) != taken(vectors, first[numbers[some]])).any(axis=1)] for _, some in in_parts(rows)
    ]
    unequal = np.unique(numbers[np.concatenate(differ)]) if differ else rows
    if not len(unequal):
        return len(first), None
    example = int(first[unequal[0]])
    return len(first), (
        f"equal texts have different vectors: {len(unequal):,} distinct {role} texts of {task.name}, the first "
        f"is {name_item(task, role, example)}; they do not tie as they would if each were encoded once"
    )


class InContext:
    """Puts each candidate into a template with the text it stands in (see `in_context`)."""

    def __init__(self, embedder: Embedder, template: str) -> None:
        self._embedder = embedder
        self._template = template

    def embed(self, tasks: Sequence[TaskData]) -> Iterator[Embeddings]:
        """See Embedder."""
        return self._embedder.embed([in_context(task, self._template) for task in tasks])


@checked
def embedder_of(
    encoder: BoundEncoder,
    *,
    transform: TransformOptions | None = None,
    observe: Observer | None = None,
    allow_zero_vectors: bool = False,
    store: VectorStore | None = None,
    memory: int | None = None,
) -> Embedder:
    """Put the embedder together that gives the vectors of an encoder.

    Args:
        encoder: from `load_encoder`; its identity then knows the dimensions, and its warnings may have grown.
        transform: what is done to the vectors of each task; None: nothing.
        observe: hears how many texts are done, and what a user should know of the store and of memory.
        allow_zero_vectors: keep vectors of only zeros, counted, instead of refusing them.
        store: where vectors are kept.
        memory: bytes of vectors that are held in memory, of each step; further ones stand in a temporary file in the
            store's folder, without a store in that of the system, and are read a part at a time. None: all are held.

    Raises:
        EncoderError: it does not come from `load_encoder`.
    """
    observe = observe or Observer()
    embedder: Embedder
    if isinstance(encoder, Precomputed):
        embedder = LookedUp(encoder, observe, allow_zero=allow_zero_vectors, memory=memory)
    elif isinstance(encoder, TextEncoder):
        embedder = Encoded(encoder, store, observe, allow_zero=allow_zero_vectors, memory=memory)
    else:
        raise EncoderError(
            f"a {type(encoder).__name__} is not bound", remedy="pass it to xqr_bench.encode.load_encoder first"
        )
    if encoder.identity.candidate_context is not None:
        embedder = InContext(embedder, encoder.identity.candidate_context)
    return embedder if transform is None else Transformed(embedder, transform, encoder.similarity, memory)


@checked
def embed_tasks(
    encoder: BoundEncoder,
    tasks: Sequence[TaskData],
    *,
    observe: Observer | None = None,
    allow_zero_vectors: bool = False,
    store: VectorStore | None = None,
) -> dict[str, Embeddings]:
    """Return the vectors of each task, by task name, as the encoder gives them.

    All distinct texts of all tasks are encoded once, the longest first, and checked batch by batch. Equal texts have
    identical vectors.
    The last bits of a vector can depend on the texts encoded with it, hence on which tasks are embedded together.
    With a store, texts whose vectors are there are not encoded, and the others are kept while the work goes on: a run
    that is killed is finished by the next one, with the vectors it would have had.

    Args:
        encoder, observe, allow_zero_vectors, store: see `embedder_of`.
        tasks: with different names.

    Raises:
        EncoderError: the encoder failed, or returned what cannot be scored; the first offending text is named.
        UsageError: two tasks have one name.
    """
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise UsageError("two tasks have the same name", found=", ".join(names), remedy="give each once")
    embedder = embedder_of(encoder, observe=observe, allow_zero_vectors=allow_zero_vectors, store=store)
    return dict(zip(names, embedder.embed(tasks), strict=True))
