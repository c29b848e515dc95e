"""Texts of a group in batches: which texts stand together, and how an encoder is called with them."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError, located, pass_on_stops
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import FloatArray, IntArray
from xqr_bench.encode.bound import Limits, TextEncoder
from xqr_bench.encode.checks import Vectors, check_values
from xqr_bench.encode.texts import (
    UNKNOWN,
    Group,
)

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
