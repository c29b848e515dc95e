"""The texts of one group: taken from the store where they are there, encoded where they are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np

from xqr_bench.encode.batching import Shard, plan_shards
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.calling import Caller
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.plan import Group
from xqr_bench.encode.protocol import EncodeProgress, Role
from xqr_bench.encode.store import Shelf, VectorStore
from xqr_bench.encode.store.keys import needs_witness, text_digest
from xqr_bench.encode.store.plans import PlannedShard
from xqr_bench.encode.store.shard import Flags
from xqr_bench.errors import EncoderError
from xqr_bench.types import IntArray, TaskData

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
        progress: told of texts that are done, those from the store at once.
        allow_zero: let vectors of only zeros pass.
        notify: told what a user should know.

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
        progress: EncodeProgress,
        *,
        allow_zero: bool,
        notify: Callable[[str], None],
    ) -> None:
        size = len(group.texts)
        self.flags: Flags = np.full(size, UNKNOWN, dtype=np.uint8)
        self.stored = np.zeros(size, dtype=np.bool_)
        self._done = np.zeros(size, dtype=np.bool_)
        self._lengths = np.ones(size, dtype=np.int64)
        self._encoder = encoder
        self._group = group
        self._vectors = vectors
        self._progress = progress
        self._call = Caller(encoder, group, tasks, self._lengths, allow_zero=allow_zero, notify=notify)

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
        self._progress.advance(new)

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
