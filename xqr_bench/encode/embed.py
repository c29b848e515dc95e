"""Texts of tasks -> embeddings: each distinct text is encoded once, or taken from the store, and put in its places."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode.bound import BoundEncoder, Shard, TextEncoder, VectorLookup, plan_shards
from xqr_bench.encode.checks import Vectors, check_dimensions, check_values
from xqr_bench.encode.options import Role, in_context
from xqr_bench.encode.shards import (
    Flags,
    PlannedShard,
    encoder_key,
    key_digest,
    needs_witness,
    reason_not_kept,
    text_digest,
)
from xqr_bench.encode.store import Shelf, VectorStore, open_shelf, trim
from xqr_bench.encode.texts import (
    ROLES,
    Caller,
    Counts,
    Embeddings,
    Group,
    assemble,
    items_of,
    name_text,
    plan_groups,
)

# The texts of one group: taken from the store where they are there, encoded where they are not.

MEASURED_AT_ONCE = 2048
WITNESSES = 4
# a few float32 bits; another checkpoint of the same model is further away
WITNESS_TOLERANCE = 1e-4
UNKNOWN = 2
DEFAULT_SHARDS = (VectorStore.shard_texts, VectorStore.shard_tokens)


class GroupRun:
    """Fills the vectors of a group.

    Args:
        encoder: the encoder.
        group: its texts, and where their vectors go.
        tasks: where the texts come from.
        vectors: (task name, role) -> float32 `[n, d]`; added to, allocated when the first vectors are there.
        observe: hears of texts that are done (those from the store at once), and of what a user should know.
        allow_zero: let vectors of only zeros pass.

    Attributes:
        flags: which texts are cut off, uint8 `[texts]`: 0 no, 1 yes, 2 unknown.
        stored: which texts came from the store, bool `[texts]`.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        group: Group,
        tasks: Sequence[TaskData],
        vectors: dict[tuple[str, Role], Vectors],
        observe: Observer,
        *,
        allow_zero: bool,
    ) -> None:
        size = len(group.texts)
        self.flags: Flags = np.full(size, UNKNOWN, dtype=np.uint8)
        self.stored = np.zeros(size, dtype=np.bool_)
        self._done = np.zeros(size, dtype=np.bool_)
        self._lengths = np.ones(size, dtype=np.int64)
        self._encoder = encoder
        self._group = group
        self._vectors = vectors
        self._observe = observe
        self._call = Caller(encoder, group, tasks, self._lengths, allow_zero=allow_zero, observe=observe)

    def run(self, shelf: Shelf | None, shard_size: tuple[int, int] = DEFAULT_SHARDS) -> None:
        """Fill them all.

        Args:
            shelf: where vectors are kept; None: nowhere.
            shard_size: see `VectorStore`.

        Raises:
            EncoderError: the encoder failed, or returned what cannot be scored; what was written stays.
        """
        digests = [] if shelf is None else [text_digest(text) for text in self._group.texts]
        wanted = {digest: index for index, digest in enumerate(digests)}
        if shelf is not None:
            self._check_witness(shelf)
            for found in shelf.look_up(wanted):
                self._call.check(found.texts, found.vectors)
                self._place(found.texts, found.vectors, found.flags)
                self.stored[found.texts] = True
        missing = np.flatnonzero(~self._done)
        if not len(missing):
            return
        self._measure(missing)
        if shelf is None:
            shards = self._cut(missing, shard_size)
        else:
            shards = self._planned(shelf, missing, digests, wanted, shard_size)
            self._keep_witness(shelf, missing)
        try:
            self._encode(shards, shelf, digests)
        except EncoderError as error:
            if shelf is None or not shelf.written:
                raise
            kept = f"{shelf.written:,} texts encoded before are kept: the same command goes on after them"
            remedy = f"{error.remedy}; {kept}" if error.remedy else kept
            raise EncoderError(error.problem, found=error.found, remedy=remedy) from error

    def _measure(self, missing: IntArray) -> None:
        """Count tokens, for the batches and for what is cut off."""
        limit = self._encoder.identity.max_length
        for start in range(0, len(missing), MEASURED_AT_ONCE):
            part = missing[start : start + MEASURED_AT_ONCE]
            counts = self._call.counts(part, int(self._done.sum()))
            if counts is None:
                return
            self.flags[part] = 0 if limit is None else counts > limit
            self._lengths[part] = counts if limit is None else np.minimum(counts, limit)

    def _cut(self, texts: IntArray, shard_size: tuple[int, int]) -> list[Shard]:
        return plan_shards(texts, self._lengths[texts], self._encoder.limits, *shard_size)

    def _planned(
        self,
        shelf: Shelf,
        missing: IntArray,
        digests: list[bytes],
        wanted: dict[bytes, int],
        shard_size: tuple[int, int],
    ) -> list[Shard]:
        """First what an earlier run left unfinished, as it had planned it; then a new plan, written down."""
        limits = {"rows": self._encoder.limits.rows, "tokens": self._encoder.limits.tokens}
        unfinished = shelf.unfinished([digests[index] for index in missing], wanted, limits)
        first = [[np.array([wanted[digest] for digest in batch]) for batch in shard] for shard in unfinished]
        left = np.zeros(len(self._done), dtype=np.bool_)
        left[missing] = True
        for shard in first:
            left[np.concatenate(shard)] = False
        new = self._cut(np.flatnonzero(left), shard_size)
        shelf.plan([_named(shard, digests) for shard in new], limits)
        return [*first, *new]

    def _encode(self, shards: Sequence[Shard], shelf: Shelf | None, digests: list[bytes]) -> None:
        """Batches may be under way together, the next shard's too; each shard is kept when its last one is done."""
        batches = [batch for shard in shards for batch in shard]
        ends = int(self._done.sum()) + np.cumsum([len(batch) for batch in batches])
        starts = [end - len(batch) for end, batch in zip(ends.tolist(), batches, strict=True)]
        calls = list(zip(batches, starts, strict=True))
        results = self._encoder.lanes.map(lambda call: self._call.vectors(*call), calls)
        with closing(results):
            for shard in shards:
                parts = []
                for batch in shard:
                    before = int(self._done.sum())
                    found = next(results)
                    if self.flags[batch[0]] == UNKNOWN:
                        cut_off = self._call.truncated(batch, before)
                        if cut_off is not None:
                            self.flags[batch] = cut_off
                    self._place(batch, found, self.flags[batch])
                    if shelf is not None and shelf.writable:
                        parts.append(found)
                if shelf is not None and len(parts) == len(shard):
                    shelf.write(_named(shard, digests), np.concatenate(parts), self.flags[np.concatenate(shard)])

    def _place(self, texts: IntArray, found: Vectors, flags: Flags) -> None:
        for place in self._group.destinations:
            rows, which = place.rows_of(texts)
            if place.key not in self._vectors:
                self._vectors[place.key] = np.empty((len(place.text_of_row), found.shape[1]), dtype=np.float32)
            self._vectors[place.key][rows] = found[which]
        self.flags[texts] = flags
        new = len(texts) - int(self._done[texts].sum())
        self._done[texts] = True
        self._observe.advance(new)

    def _check_witness(self, shelf: Shelf) -> None:
        """Encode a few texts again that were encoded before; when they come out otherwise, nothing kept is used."""
        if not needs_witness(self._encoder) or shelf.empty:
            return
        witness = shelf.witness()
        if witness is None:
            shelf.discard("they have no witness")
            return
        texts, before = witness
        try:
            now = self._encoder.matrix(self._encoder.call(self._group.role, list(texts)), len(texts))
        except Exception as error:  # whatever a plugin raises
            shelf.discard(f"a text encoded before fails now ({type(error).__name__})")
            return
        if now.shape != before.shape or not np.allclose(
            now, before, rtol=0, atol=WITNESS_TOLERANCE * float(np.abs(before).max(initial=0))
        ):
            shelf.discard("a text encoded before has another vector now, though the source is the same")

    def _keep_witness(self, shelf: Shelf, missing: IntArray) -> None:
        if not needs_witness(self._encoder) or shelf.witness() is not None or not shelf.writable:
            return
        few = missing[np.unique(np.linspace(0, len(missing) - 1, WITNESSES).astype(np.int64))]
        shelf.keep_witness([self._group.texts[index] for index in few], self._call.vectors(few, 0))


def _named(shard: Shard, digests: list[bytes]) -> PlannedShard:
    return tuple(tuple(digests[index] for index in batch) for batch in shard)


# Texts of tasks -> embeddings: each distinct text is encoded once, checked, and put wherever it stands.


def embed_tasks(
    encoder: BoundEncoder,
    tasks: Sequence[TaskData],
    *,
    allow_zero_vectors: bool = False,
    store: VectorStore | None = None,
    observe: Observer | None = None,
) -> dict[str, Embeddings]:
    """Return the vectors of each task, by task name.

    All distinct texts of all tasks are encoded once, the longest first (memory runs out at the start if it does,
    and the time left is not underestimated), and checked batch by batch. Equal texts have identical vectors.
    The last bits of a vector can depend on the texts encoded with it, hence on which tasks are embedded together.
    With a store, texts whose vectors are there are not encoded, and the others are kept while the work goes on: a run
    that is killed is finished by the next one, with the vectors it would have had.

    Args:
        encoder: from `load_encoder`; its identity then knows the dimensions, and its warnings may have grown.
        tasks: with different names.
        allow_zero_vectors: keep vectors of only zeros, counted, instead of refusing them.
        store: where vectors are kept (see `reason_not_kept` for encoders whose vectors never are).
        observe: hears how many texts are done, and what a user should know of the store and of memory.

    Raises:
        EncoderError: the encoder failed, or returned what cannot be scored; the first offending text is named.
        UsageError: two tasks have one name.
    """
    names = [task.name for task in tasks]
    if len(set(names)) != len(names):
        raise UsageError("two tasks have the same name", found=", ".join(names), remedy="give each once")
    if not tasks:
        return {}
    tasks = [in_context(task, encoder.identity.candidate_context) for task in tasks]
    if isinstance(encoder, VectorLookup):
        return _look_up(encoder, tasks, observe or Observer(), allow_zero_vectors)
    if isinstance(encoder, TextEncoder):
        return _encode(encoder, tasks, observe or Observer(), allow_zero_vectors, store)
    raise EncoderError(
        f"a {type(encoder).__name__} is not bound", remedy="pass it to xqr_bench.encode.load_encoder first"
    )


def _encode(
    encoder: TextEncoder,
    tasks: Sequence[TaskData],
    observe: Observer,
    allow_zero: bool,
    store: VectorStore | None,
) -> dict[str, Embeddings]:
    started = time.perf_counter()
    groups = plan_groups(tasks, symmetric=encoder.symmetric)
    vectors: dict[tuple[str, Role], Vectors] = {}
    flags: dict[tuple[str, Role], NDArray[np.bool_] | None] = {}
    counts = {task.name: Counts() for task in tasks}
    used: list[str] = []
    with observe.phase("encoding", sum(len(group.texts) for group in groups)):
        for group in groups:
            run = GroupRun(encoder, group, tasks, vectors, observe, allow_zero=allow_zero)
            if store is None or not group.texts or reason_not_kept(encoder) is not None:
                run.run(None)
            else:
                key = encoder_key(encoder, group.role)
                with open_shelf(store, key, encoder.identity.name, observe) as shelf:
                    run.run(shelf, (store.shard_texts, store.shard_tokens))
                used.append(key_digest(key))
            known = not (run.flags == UNKNOWN).any()
            for place in group.destinations:
                flags[place.key] = run.flags[place.text_of_row].astype(np.bool_) if known else None
            for task in tasks:
                rows = [place.text_of_row for place in group.destinations if place.task is task]
                texts = np.unique(np.concatenate(rows))
                counts[task.name].distinct += len(texts)
                counts[task.name].from_store += int(run.stored[texts].sum())
    if store is not None and used:
        _make_room(store, used, observe)
    seconds = time.perf_counter() - started
    for task in tasks:
        for role in ROLES:  # a role without texts
            vectors.setdefault((task.name, role), np.empty((0, encoder.identity.dimensions or 0), dtype=np.float32))
    return {task.name: assemble(task, vectors, flags, counts[task.name], seconds) for task in tasks}


def _make_room(store: VectorStore, used: Sequence[str], observe: Observer) -> None:
    try:
        gone = trim(store, used)
    except OSError as error:
        observe.note(f"the embedding store could not be kept to its limit: {error}")
        return
    if gone:
        observe.note(
            f"the embedding store was above its limit: the vectors of {len(gone)} encoders, used longest ago, went"
        )


def _look_up(
    encoder: VectorLookup, tasks: Sequence[TaskData], observe: Observer, allow_zero: bool
) -> dict[str, Embeddings]:
    result: dict[str, Embeddings] = {}
    with observe.phase("encoding", sum(len(items_of(task, role)) for task in tasks for role in ROLES)):
        for task in tasks:
            started = time.perf_counter()
            vectors: dict[tuple[str, Role], Vectors] = {}
            distinct = 0
            for role in ROLES:
                items = items_of(task, role)
                found = encoder.lookup(task, role)
                check_dimensions(
                    found.shape[1], encoder.identity.dimensions, encoder.name, f"the {role} vectors of {task.name}"
                )
                encoder.settle_dimensions(found.shape[1])
                check_values(
                    found,
                    encoder.name,
                    lambda row, task=task, role=role: name_text([task], (role,), row),  # type: ignore[misc]
                    allow_zero=allow_zero,
                )
                vectors[task.name, role] = found
                distinct += _warn_of_unequal(encoder, task, role, found)
                observe.advance(len(items))
            seconds = time.perf_counter() - started
            result[task.name] = assemble(task, vectors, {}, Counts(distinct), seconds)
    return result


def _warn_of_unequal(encoder: BoundEncoder, task: TaskData, role: Role, vectors: Vectors) -> int:
    """Warn of equal texts with different vectors; return the number of distinct texts."""
    first: dict[str, int] = {}
    unequal: set[str] = set()
    for row, item in enumerate(items_of(task, role)):
        same = first.setdefault(item.text, row)
        if same != row and not np.array_equal(vectors[same], vectors[row]):
            unequal.add(item.text)
    if unequal:
        example = next(text for text in first if text in unequal)
        encoder.warn(
            f"equal texts have different vectors: {len(unequal):,} distinct {role} texts of {task.name}, the first is "
            f"{name_text([task], (role,), first[example])}; they do not tie as they would if each were encoded once",
            task.name,
        )
    return len(first)
