"""The texts of a group through an encoder, batch by batch: planned, checked, named when they fail."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from threading import Lock

import numpy as np

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray
from xqr_bench.encode.bound import Limits, TextEncoder
from xqr_bench.encode.checks import Vectors, check_values
from xqr_bench.encode.texts import UNKNOWN, BoolArray, Flags, Group

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


@dataclass(frozen=True)
class Block:
    """Vectors of some texts of a group.

    Attributes:
        texts: their indices, int64 `[n]`.
        vectors: float32 `[n, d]`, checked.
        flags: uint8 `[n]`.
        stored: whether they come from the store.
    """

    texts: IntArray
    vectors: Vectors
    flags: Flags
    stored: bool = False


class Batches:
    """Calls an encoder with batches of a group.

    Args:
        encoder: whose identity then knows the dimensions.
        group: the texts.
        allow_zero: let vectors of only zeros pass.
        observe: gets a note when batches become smaller.

    Attributes:
        done: texts of the group that have vectors, for messages.
    """

    def __init__(self, encoder: TextEncoder, group: Group, *, allow_zero: bool, observe: Observer) -> None:
        size = len(group.texts)
        self.encoder = encoder
        self.group = group
        self.done = 0
        self._allow_zero = allow_zero
        self._observe = observe
        self._flags: Flags = np.full(size, UNKNOWN, dtype=np.uint8)
        self._lengths = np.ones(size, dtype=np.int64)  # all 1 where they are unknown
        self._checking = Lock()
        self._most: int | None = None
        """Tokens with padding (or texts) that were found to fit into memory."""

    def measure(self, texts: IntArray) -> None:
        """Count tokens, for the batches and for what is cut off.

        Raises:
            EncoderError: the tokenizer failed.
        """
        limit = self.encoder.identity.max_length
        for start in range(0, len(texts), MEASURED_AT_ONCE):
            part = texts[start : start + MEASURED_AT_ONCE]
            try:
                counts = self.encoder.measure(self.group.role, self._texts(part))
            except Exception as error:
                raise self._failed(part, self.done, error) from error
            if counts is None:
                return
            self._flags[part] = 0 if limit is None else counts > limit
            self._lengths[part] = counts if limit is None else np.minimum(counts, limit)

    def plan(self, texts: IntArray, shard_texts: float = np.inf, shard_tokens: float = np.inf) -> list[Shard]:
        """Cut measured texts into batches and shards, see `plan_shards`; by default one shard."""
        return plan_shards(texts, self._lengths[texts], self.encoder.limits, shard_texts, shard_tokens)

    def encode(self, batches: Sequence[IntArray]) -> Generator[Block]:
        """Yield the vectors of each batch, in order; several may be under way together.

        Raises:
            EncoderError: the encoder failed, or returned what cannot be scored.
        """
        starts = self.done + np.cumsum([0, *map(len, batches)])
        calls = list(zip(batches, starts.tolist(), strict=False))
        with closing(self.encoder.lanes.map(lambda call: self.vectors(*call), calls)) as results:
            for (batch, start), vectors in zip(calls, results, strict=True):
                if self._flags[batch[0]] == UNKNOWN:
                    self._ask_what_is_cut_off(batch, start)
                self.done += len(batch)
                yield Block(batch, vectors, self._flags[batch])

    def vectors(self, batch: IntArray, done: int = 0) -> Vectors:
        """Encode a batch, float32 `[rows, d]`, checked; halved when memory runs out. Threads may call it together.

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
            vectors = self.encoder.matrix(returned, len(batch))
        except EncoderError as error:
            first = f"the first of these {len(batch):,} texts is {self.group.name(int(batch[0]))}"
            raise EncoderError(error.problem, found=f"{error.found}; {first}", remedy=error.remedy) from error
        with self._checking:
            self.check(batch, vectors)
        return vectors

    def check(self, batch: IntArray, vectors: Vectors) -> None:
        """Check vectors of these texts, wherever they come from.

        Raises:
            EncoderError: other dimensions than before, or values that cannot be scored.
        """
        self.encoder.check_dimensions(vectors.shape[1], lambda: self.group.name(int(batch[0])))
        name = self.encoder.name
        check_values(vectors, name, lambda row: self.group.name(int(batch[row])), allow_zero=self._allow_zero)

    def _texts(self, batch: IntArray) -> list[str]:
        return [self.group.texts[index] for index in batch]

    def _ask_what_is_cut_off(self, batch: IntArray, done: int) -> None:
        """Note which texts of a batch the encoder says it cuts off, if it says so."""
        try:
            answers = self.encoder.truncated(self.group.role, self._texts(batch))
        except Exception as error:
            raise self._failed(batch, done, error) from error
        if answers is None:
            return
        cut_off: BoolArray = np.asarray(answers, dtype=np.bool_)
        if cut_off.shape != (len(batch),):
            raise EncoderError(
                f"truncated() of the encoder {self.encoder.name} returned no bool per text",
                found=f"shape {cut_off.shape} for {len(batch):,} texts",
                remedy="return a list of bools as long as the list of texts, or leave the method out",
            )
        self._flags[batch] = cut_off

    def _halved(self, batch: IntArray, done: int) -> Vectors:
        middle = len(batch) // 2
        first = self.vectors(batch[:middle], done)
        return np.concatenate([first, self.vectors(batch[middle:], done + middle)])

    def _failed(self, batch: IntArray, done: int, error: Exception) -> EncoderError:
        message = str(error).strip().splitlines()
        return EncoderError(
            f"the encoder {self.encoder.name} failed on texts {done + 1:,} to {done + len(batch):,} of "
            f"{len(self.group.texts):,} (sorted by length, longest first)",
            found=type(error).__name__ + (f": {message[0]}" if message else ""),
            remedy="give a smaller --batch-size or --max-length"
            if _out_of_memory(error)
            else f"encode such a text alone to see why, such as {self.group.name(int(batch[0]))}",
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
