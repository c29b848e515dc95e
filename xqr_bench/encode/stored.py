"""Batches whose vectors are kept in the embedding store, or in files of a run, and taken from there."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple, Protocol

import numpy as np

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray
from xqr_bench.encode.batches import Batches, Shard
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.options import ROLES, Role
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
    Flags,
    items_of,
)

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
