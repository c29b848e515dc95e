"""Embedders: texts of tasks -> vectors. Small classes that wrap one another, put together by `embedder_of`.

Transformed(embedder)  each language's own part taken out of the vectors (`transform.py`)
 InContext(embedder)   each candidate with the text it stands in, instead of alone
  Encoded(encoder)     each distinct text of all tasks once, from the store or batch by batch through the encoder
  LookedUp(encoder)    vectors made elsewhere, found by id
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.checked import checked
from xqr_bench.core.collection import first_of_each, texts_of
from xqr_bench.core.errors import EncoderError, UsageError, located, pass_on_stops
from xqr_bench.core.mapped import Room, in_parts, taken
from xqr_bench.core.memory import free_memory
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import FloatArray, IntArray, TaskData
from xqr_bench.encode.bound import BoundEncoder, Limits, TextEncoder
from xqr_bench.encode.checks import Vectors, check_values
from xqr_bench.encode.options import ROLES, Role
from xqr_bench.encode.precomputed import Precomputed
from xqr_bench.encode.shards import (
    PlannedShard,
    encoder_key,
    key_digest,
    reason_not_kept,
    shard_name,
    text_digest,
)
from xqr_bench.encode.store import DISCARDED, Shelf, VectorStore, open_shelf, trim
from xqr_bench.encode.texts import (
    UNKNOWN,
    BoolArray,
    Embedder,
    Embeddings,
    Flags,
    Group,
    embeddings_of,
    in_context,
    items_of,
    name_item,
    plan_groups,
)
from xqr_bench.encode.transform import Transformed, TransformOptions

MEASURED_AT_ONCE = 2048

Shard = list[IntArray]
"""Batches of indices of texts, each int64 `[rows]`; a batch never crosses a shard."""


def plan_shards(
    texts: IntArray, lengths: IntArray, limits: Limits, shard_texts: float, shard_tokens: float
) -> list[Shard]:
    """Cut texts, the longest first, into batches, and these into shards.

    Args:
        texts: indices of texts; equally long ones stay in this order, int64 `[n]`.
        lengths: of these texts, int64 `[n]`; all alike where they are unknown.
        limits: of a batch; a longer text is a batch of its own.
        shard_texts: a shard is closed when it holds as many texts,
        shard_tokens: or as many tokens with padding.
    """
    order = np.argsort(-lengths, kind="stable")
    texts, lengths = texts[order], lengths[order]
    shards: list[Shard] = []
    shard: Shard = []
    rows = cost = start = 0
    while start < len(texts):
        longest = max(int(lengths[start]), 1)
        fitting = limits.rows if limits.tokens is None else min(limits.rows, max(limits.tokens // longest, 1))
        batch = texts[start : start + fitting]
        shard.append(batch)
        start += len(batch)
        rows += len(batch)
        cost += len(batch) * longest
        if rows >= shard_texts or (limits.tokens is not None and cost >= shard_tokens):
            shards.append(shard)
            shard, rows, cost = [], 0, 0
    return [*shards, shard] if shard else shards


class Batches:
    """Calls an encoder with batches of a group; its identity then knows the dimensions.

    Attributes:
        done: texts of the group that have vectors, for messages.
        measured: indices of the texts to encode, once they are measured.
    """

    def __init__(self, encoder: TextEncoder, group: Group, *, allow_zero: bool, observe: Observer) -> None:
        self.encoder = encoder
        self.group = group
        self.done = 0
        self._allow_zero = allow_zero
        self._observe = observe
        self._lengths = np.ones(len(group.texts), dtype=np.int64)  # all 1 where they are unknown
        self._counted = False
        self.measured: IntArray = np.arange(0)
        self._checking = Lock()
        self._most: int | None = None
        """Tokens with padding (or texts) that were seen to fit into memory."""

    def everything(self) -> Generator[tuple[IntArray, Vectors]]:
        """Encode the whole group; see `encode`."""
        texts = np.arange(len(self.group.texts))
        self.measure(texts)
        for shard in self.plan(texts):
            yield from self.encode(shard)

    def measure(self, texts: IntArray) -> None:
        """Count tokens of the texts to encode, for the batches, for what is cut off and for the time left."""
        self.measured = texts
        for start in range(0, len(texts), MEASURED_AT_ONCE):
            part = texts[start : start + MEASURED_AT_ONCE]
            counts = self.counts(part)
            if counts is None:
                return
            self.take_counts(part, counts)

    def counts(self, texts: IntArray) -> IntArray | None:
        """Tokens of each of these texts, int64 `[n]`, before it is cut off; None: unknown."""
        try:
            return self.encoder.measure(self.group.role, self._texts(texts))
        except BaseException as error:
            pass_on_stops(error)
            raise self._failed(texts, self.done, error) from error

    def take_counts(self, texts: IntArray, counts: NDArray[np.integer[Any]]) -> None:
        """Plan these texts, int64 `[n]`, by so many tokens of each, integers `[n]`, before it is cut off."""
        limit = self.encoder.limit(self.group.role)
        self._counted = True
        self.group.flags[texts] = 0 if limit is None else counts > limit
        self._lengths[texts] = counts if limit is None else np.minimum(counts, limit)

    @cached_property
    def costs(self) -> FloatArray:
        """What each text to encode costs: its share of all their characters, by tokens where these are known."""
        characters = np.array([len(text) for text in self.group.texts], dtype=np.float64)
        if not self._counted:
            return characters
        of_token = float(characters[self.measured].sum()) / int(self._lengths[self.measured].sum())
        return np.asarray(self._lengths * of_token, dtype=np.float64)

    def plan(self, texts: IntArray, shard_texts: float = np.inf, shard_tokens: float = np.inf) -> list[Shard]:
        """Cut measured texts into batches and shards, see `plan_shards`; by default one shard."""
        return plan_shards(texts, self._lengths[texts], self.encoder.limits, shard_texts, shard_tokens)

    def encode(self, batches: Sequence[IntArray]) -> Generator[tuple[IntArray, Vectors]]:
        """Yield each batch and its vectors, in order, and flag its texts; several may be under way together."""
        starts = self.done + np.cumsum([0, *map(len, batches)])
        calls = list(zip(batches, starts.tolist(), strict=False))
        with closing(self.encoder.lanes.map(lambda call: self.vectors(*call), calls)) as results:
            for (batch, start), vectors in zip(calls, results, strict=True):
                if self.group.flags[batch[0]] == UNKNOWN:
                    self._ask_what_is_cut_off(batch, start)
                self.done += len(batch)
                yield batch, vectors

    def vectors(self, batch: IntArray, done: int = 0) -> Vectors:
        """Encode a batch, float32 `[rows, d]` with all columns, checked; halved when memory runs out.

        Threads may call it together.

        Args:
            batch: indices of texts of the group.
            done: texts encoded before it, for messages.

        Raises:
            EncoderError: the encoder failed, or returned what cannot be scored.
        """
        cost = len(batch) * int(self._lengths[batch].max())
        if len(batch) > 1 and self._most is not None and cost > self._most:
            return self._halved(batch, done)
        returned: object = None
        exhausted = False
        try:
            returned = self.encoder.call(self.group.role, self._texts(batch))
        except EncoderError:  # it says what is wrong itself
            raise
        except BaseException as error:  # whatever a plugin raises
            pass_on_stops(error)
            exhausted = out_of_memory(error)
            if len(batch) == 1 or not exhausted:
                raise self._failed(batch, done, error) from error
        if exhausted:  # outside of the handler: what the failed call held is free now
            free_cache()
            self._most = min(cost // 2, self._most or cost)
            self._observe.note(f"out of memory with {len(batch):,} texts together: going on with half as many")
            return self._halved(batch, done)
        try:
            vectors = self.encoder.matrix(returned, len(batch))
        except EncoderError as error:
            first = f"the first of these {len(batch):,} texts is {self.group.name(int(batch[0]))}"
            raise EncoderError(error.problem, found=f"{error.found}; {first}", remedy=error.remedy) from error
        with self._checking:
            self.check(batch, vectors)
        return vectors

    def check(self, batch: IntArray, vectors: Vectors) -> None:
        """Check vectors of these texts, wherever they come from, as far as they are scored."""
        vectors = self.encoder.cut(vectors)
        self.encoder.check_dimensions(vectors.shape[1], lambda: self.group.name(int(batch[0])))
        name = self.encoder.name
        check_values(vectors, name, lambda row: self.group.name(int(batch[row])), allow_zero=self._allow_zero)

    def _texts(self, batch: IntArray) -> list[str]:
        return [self.group.texts[index] for index in batch]

    def _ask_what_is_cut_off(self, batch: IntArray, done: int) -> None:
        try:
            answers = self.encoder.truncated(self.group.role, self._texts(batch))
            if answers is None:
                return
            cut_off = np.asarray(answers)  # as they are: "False" is a text, and would be true
        except BaseException as error:
            pass_on_stops(error)
            raise self._failed(batch, done, error) from error
        if cut_off.dtype != np.bool_ or cut_off.shape != (len(batch),):
            raise EncoderError(
                f"truncated() of the encoder {self.encoder.name} returned no bool per text",
                found=f"dtype {cut_off.dtype}, shape {cut_off.shape} for {len(batch):,} texts",
                remedy="return a list of bools as long as the list of texts, or leave the method out",
            )
        self.group.flags[batch] = cut_off

    def _halved(self, batch: IntArray, done: int) -> Vectors:
        middle = len(batch) // 2
        first = self.vectors(batch[:middle], done)
        return np.concatenate([first, self.vectors(batch[middle:], done + middle)])

    def _failed(self, batch: IntArray, done: int, error: BaseException) -> EncoderError:
        return EncoderError(
            f"the encoder {self.encoder.name} failed on texts {done + 1:,} to {done + len(batch):,} of "
            f"{len(self.group.texts):,} (sorted by length, longest first)",
            found=located(error),
            remedy="give a smaller --batch-size or --max-length"
            if out_of_memory(error)
            else f"encode a text alone, or give --traceback, to see why: {self.group.name(int(batch[0]))}",
        )


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the machine or of an accelerator."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def free_cache() -> None:
    """Give back what torch keeps of an accelerator's memory."""
    torch = sys.modules.get("torch")
    for device in ("cuda", "mps"):
        module = getattr(torch, device, None)
        if module is not None and module.is_available():
            module.empty_cache()


WITNESSES = 8
"""Texts of each language and role that are encoded anew before what is kept is used."""
TOLERANCES = {"float16": 5e-3, "bfloat16": 4e-2, "endpoint": 4e-2}
"""How far a number may be from the one kept, of the largest of its vector; `TOLERANCE` for the types not named.

Other batches have other last bits; another checkpoint of the same model is further away. An endpoint does not say in
which type it computes, nor with whose texts; OpenAI's repeats differ by some 1 in 1,000."""
TOLERANCE = 1e-4


class Keeper(Protocol):
    """Where shards of vectors are kept; `written`: texts written so far."""

    written: int

    def write(self, shard: PlannedShard, vectors: Vectors, flags: Flags) -> None:
        """Keep the vectors of a shard, float32 `[rows, d]`, and the flags of its texts, uint8 `[rows]`."""


class Keeping:
    """Encodes shards of a group, and has each kept when its last batch is done.

    They are kept with all their columns, whatever `truncate_dim` is.
    """

    def __init__(self, batches: Batches, keeper: Keeper) -> None:
        self._batches = batches
        self._group = batches.group
        self._encoder = batches.encoder
        self._keeper = keeper

    def encode(self, shards: Sequence[Shard]) -> Generator[tuple[IntArray, Vectors]]:
        """Batches may be under way together, the next shard's too."""
        try:
            with closing(self._batches.encode([batch for shard in shards for batch in shard])) as encoded:
                for shard in shards:
                    vectors = []
                    for _ in shard:
                        batch = next(encoded)
                        yield batch
                        vectors.append(batch[1])
                    flags = self._group.flags[np.concatenate(shard)]
                    self._keeper.write(self.named(shard), np.concatenate(vectors), flags)
        except EncoderError as error:
            if not self._keeper.written:
                raise
            so_far = f"{self._keeper.written:,} texts encoded before are kept: the same command goes on after them"
            remedy = f"{error.remedy}; {so_far}" if error.remedy else so_far
            raise EncoderError(error.problem, found=error.found, remedy=remedy) from error

    def named(self, shard: Shard) -> PlannedShard:
        """A shard by the digests of its texts."""
        return tuple(tuple(map(self._digest, batch.tolist())) for batch in shard)

    def _digest(self, index: int) -> bytes:
        return text_digest(self._group.texts[index])


class Unit(NamedTuple):
    """Texts of a group that one file of vectors holds, or is to hold.

    Attributes:
        name: of the file (see `shard_name`).
        shard: batches of indices of texts; a single one where they are not known.
        stored: whether the store held it before the run.
    """

    name: str
    shard: Shard
    stored: bool


class Stored(Keeping):
    """Takes vectors of a group from an encoder's shelf of the store where they are there, and keeps the others."""

    def __init__(self, batches: Batches, shelf: Shelf, store: VectorStore) -> None:
        super().__init__(batches, shelf)
        self._shelf = shelf
        self._store = store
        self._digests = [text_digest(text) for text in batches.group.texts]
        self._index_of = {digest: index for index, digest in enumerate(self._digests)}

    def everything(self) -> Generator[tuple[IntArray, Vectors]]:
        """Yield texts of the group and their vectors, each text once; what was written stays when encoding fails."""
        for texts, vectors, flags in self._shelf.look_up(self._index_of):
            self._batches.check(texts, vectors)
            self._batches.done += len(texts)
            self._group.flags[texts], self._group.stored[texts] = flags, True
            yield texts, vectors
        missing = np.flatnonzero(~self._group.stored)
        if len(missing):
            self._batches.measure(missing)
            yield from self.encode(self._plan(missing, self._store.shard_texts, self._store.shard_tokens))

    def units(self, shard_texts: int, shard_tokens: int) -> list[Unit]:
        """What is there and what is to be encoded, file by file; what is new is planned, and the plan written down.

        Args:
            shard_texts, shard_tokens: see `plan_shards`; all texts are measured.
        """
        left, planned, units = dict(self._index_of), self._shelf.planned(), []
        for name, digests in self._shelf.listed():
            there = [left.pop(digest) for digest in digests if digest in left]
            self._group.stored[there] = True
            batches = planned.get(name, ())
            whole = len(there) == sum(map(len, batches)) and len(there) == len(digests)
            if there:
                units.append(Unit(name, self._indices(batches) if whole else [np.array(there)], True))
        missing = np.flatnonzero(~self._group.stored)
        shards = self._plan(missing, shard_texts, shard_tokens) if len(missing) else []
        return units + [Unit(shard_name(self.named(shard)), shard, False) for shard in shards]

    def _indices(self, shard: PlannedShard) -> Shard:
        return [np.array([self._index_of[digest] for digest in batch]) for batch in shard]

    def _plan(self, missing: IntArray, shard_texts: float, shard_tokens: float) -> list[Shard]:
        """First what an earlier run left unfinished, as it had planned it; then a new plan, written down."""
        limits = {"rows": self._encoder.limits.rows, "tokens": self._encoder.limits.tokens}
        unfinished = self._shelf.unfinished({self._digests[i] for i in missing}, set(self._digests), limits)
        first = [self._indices(shard) for shard in unfinished]
        planned = np.concatenate([batch for shard in first for batch in shard]) if first else missing[:0]
        left = np.setdiff1d(missing, planned)
        new = self._batches.plan(left, shard_texts, shard_tokens)
        self._shelf.plan([self.named(shard) for shard in new], limits)
        return [*first, *new]

    def _digest(self, index: int) -> bytes:
        return self._digests[index]

    def differs(self) -> str | None:
        """Why what is kept cannot be used: a few texts of each language come out otherwise now; None: it can."""
        kept = self._shelf.kept()
        before: dict[int, Vectors] = {}
        few = self._witnesses(kept)
        while any(index not in before for index in few.tolist()):
            wanted = {self._digests[index]: index for index in few.tolist()}
            for texts, vectors, _ in self._shelf.look_up(wanted):
                before |= dict(zip(texts.tolist(), vectors, strict=True))
            kept -= {digest for digest, index in wanted.items() if index not in before}  # they were in damaged shards
            few = self._witnesses(kept)
        identity = self._encoder.identity
        tolerance = TOLERANCES.get("endpoint" if identity.endpoint else identity.dtype or "", TOLERANCE)
        self._batches.measure(few)
        for batch in (batch for shard in self._batches.plan(few) for batch in shard):
            now, was = self._batches.vectors(batch), np.stack([before[index] for index in batch.tolist()])
            if now.shape != was.shape:
                return f"its vectors have {now.shape[1]} columns now, not {was.shape[1]}"
            other = (np.abs(now - was) > tolerance * np.abs(was).max(axis=1, keepdims=True)).any(axis=1)
            if other.any():
                return f"{self._group.name(int(batch[np.argmax(other)]))} has another vector now"
        return None

    def _witnesses(self, kept: Collection[bytes]) -> IntArray:
        """Indices of a few texts of each language and role that have vectors, long and short ones."""
        there = np.array([digest in kept for digest in self._digests])
        texts: dict[tuple[Role, str], set[int]] = {}
        for place in self._group.destinations:
            for item, text in zip(items_of(place.task, place.role), place.text_of_row.tolist(), strict=True):
                if there[text]:
                    texts.setdefault((place.role, item.language), set()).add(text)
        few = {
            own[place]
            for own in map(sorted, texts.values())
            for place in np.linspace(0, len(own) - 1, WITNESSES).astype(np.int64)
        }
        return np.array(sorted(few), dtype=np.int64)

    def discard(self) -> None:
        """Remove what is kept."""
        self._shelf.discard()


def open_shelves(
    batches: Sequence[Batches], store: VectorStore | None, observe: Observer, shelves: ExitStack, *, alone: bool = True
) -> list[Shelf | None]:
    """The shelf of each group of one encoder, open as long as `shelves`; None: its vectors are not kept.

    Args:
        batches: of the groups.
        store: where vectors are kept; None: nowhere.
        observe: hears what is waited for, and why the store cannot be used.
        shelves: closes them.
        alone: see `open_shelf`.
    """
    opened: list[Shelf | None] = []
    for one in batches:
        encoder, shelf = one.encoder, None
        if store is not None and one.group.texts and reason_not_kept(encoder) is None:
            key = encoder_key(encoder, one.group.role)
            shelf = shelves.enter_context(open_shelf(store, key, encoder.identity.name, observe, alone=alone))
        opened.append(shelf)
    return opened


def refuse_changed(stored: Sequence[Stored], observe: Observer) -> None:
    """Remove the kept vectors of all groups of one encoder where a few texts come out otherwise in one of them."""
    why = next((why for source in stored if (why := source.differs()) is not None), None)
    if why is not None:  # whatever changed may have changed the other role too, where no witness shows it
        observe.note(f"{DISCARDED}: {why}, though name, digest and revision are the same")
        for source in stored:
            source.discard()


def trim_store(store: VectorStore | None, encoder: TextEncoder, observe: Observer) -> None:
    """Make the store keep to its limit, once the encoder has encoded."""
    if store is None or reason_not_kept(encoder) is not None:
        return
    try:
        removed = trim(store, [key_digest(encoder_key(encoder, role)) for role in ROLES])
    except OSError as error:
        observe.note(f"the embedding store could not be kept to its limit: {error}")
        return
    if removed:
        observe.note(
            f"the embedding store was above its limit: the vectors of {len(removed)} encoders, used longest ago, went"
        )


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
