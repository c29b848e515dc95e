"""An encoder that is ready to use: the same face for every kind, its batches planned from the texts alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.memory import memory_kept
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode.checks import Vectors, to_matrix
from xqr_bench.encode.options import EncodeCall, EncoderOptions, ModelIdentity, Role, Similarity

# Which texts are encoded together: planned before the first batch, from the texts alone.

Shard = list[IntArray]
"""Batches of indices of texts, each int64 `[rows]`; a batch never crosses a shard."""


@dataclass(frozen=True)
class Limits:
    """What bounds a batch.

    Attributes:
        rows: texts.
        tokens: tokens with padding, which is texts times the longest of them; None: their number is unknown.
    """

    rows: int
    tokens: int | None = None


def plan_shards(texts: IntArray, lengths: IntArray, limits: Limits, shard_texts: int, shard_tokens: int) -> list[Shard]:
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


# Batches side by side: each in a thread of its own, collected in order.

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_LANES = 8


class Lanes:
    """How many batches are computed at a time.

    Args:
        number: 1: one after the other, in the caller's thread.
        enter: called at the beginning of each thread.
        around: what all of it happens in, entered and left in the caller's thread.
    """

    def __init__(
        self,
        number: int = 1,
        enter: Callable[[], None] | None = None,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.number = number
        self._enter = enter or _nothing
        self._around = around

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result]:
        """Yield the result of each item, in order; the first one is done alone.

        So whatever a model settles in its first call, such as how its tokenizer pads, is settled before two threads
        look at it. At most `number + 1` items are under way or done and not yet collected. When an item fails, those
        before it have been yielded, and its exception is raised once the items under way are done.
        """
        with self._around():
            if self.number == 1 or len(items) < 2:
                yield from map(work, items)
                return
            pool = ThreadPoolExecutor(self.number, "encode", self._enter)
            try:
                yield pool.submit(work, items[0]).result()
                under_way: deque[Future[Result]] = deque()
                for item in items[1:]:
                    under_way.append(pool.submit(work, item))
                    if len(under_way) > self.number:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)


def _nothing() -> None: ...


def cpu_lanes() -> Lanes:
    """Lanes that share torch's threads, as many as it has in this process, `MOST_LANES` at most.

    Two batches with one thread each are done sooner than two after each other with two threads: nobody waits at the
    end of each operation, and what a thread computes with stays in its core's cache (tests/benchmarks/bench_encode.py).
    """
    import torch

    threads = torch.get_num_threads()
    number = min(threads, MOST_LANES)

    def share() -> None:
        torch.set_num_threads(threads // number)  # of this thread, and of threads begun later: so put back at the end

    @contextmanager
    def around() -> Iterator[None]:
        try:
            with memory_kept():
                yield
        finally:
            torch.set_num_threads(threads)

    return Lanes(number, share, around)


# An encoder that is ready to use: the same face for every kind.

TruncationCall = Callable[[Role, list[str]], Sequence[bool]]
MeasureCall = Callable[[Role, list[str]], Sequence[int]]
TokenCall = Callable[[list[str]], tuple[Sequence[int], Sequence[int]]]

DEFAULT_ROWS = 1024


class BoundEncoder:
    """What `load_encoder` returns.

    Attributes:
        name: the record's name.
        identity: what the vectors depend on; `dimensions` is known after the first encoding.
        device: where it runs, None when it does not say.
        symmetric: whether queries and candidates are encoded alike, so that a text that is both is encoded once.
        warnings: what a user should read beside the scores; grows while loading and encoding.
        source: the MODEL string it was loaded from, None for an object.
        options: how it was loaded.
        hint: what a user should know before a long encoding; None: nothing.
    """

    source: str | None = None
    options: EncoderOptions = EncoderOptions()
    hint: str | None = None

    def __init__(
        self,
        identity: ModelIdentity,
        *,
        name: str | None = None,
        device: str | None = None,
        symmetric: bool = False,
        warnings: Sequence[str] = (),
    ) -> None:
        self.name = name or identity.name
        self.identity = identity
        self.device = device
        self.symmetric = symmetric
        self.warnings = list(warnings)
        self._task_warnings: dict[str, list[str]] = {}

    @property
    def similarity(self) -> Similarity:
        """How two vectors are compared: "cosine" or "dot"."""
        found = self.identity.similarity
        if found == "none":
            raise TypeError(f"{self.name} has no vectors to compare")
        return found

    def cut(self, vectors: Vectors) -> Vectors:
        """The first `truncate_dim` columns, or all of them; float32 `[n, d]`.

        Raises:
            EncoderError: there are fewer columns.
        """
        width = self.identity.truncate_dim
        if width is None or vectors.shape[1] == width:
            return vectors
        if vectors.shape[1] < width:
            raise EncoderError(
                f"the vectors of {self.name} cannot be cut to {width} columns",
                found=f"{vectors.shape[1]} columns",
                remedy=f"give --truncate-dim {vectors.shape[1]} or less, or leave it out",
            )
        return vectors[:, :width].copy()

    def settle_dimensions(self, dimensions: int) -> None:
        """Note the number of columns in the identity."""
        self.identity = self.identity.model_copy(update={"dimensions": dimensions})

    def warn(self, warning: str, task: str | None = None) -> None:
        """Add a warning, once; with `task`, to be read beside the scores of that task only."""
        kept = self.warnings if task is None else self._task_warnings.setdefault(task, [])
        if warning not in kept:
            kept.append(warning)

    def warnings_for(self, task: str) -> list[str]:
        """What to read beside the scores of a task: the warnings of the encoder and those of the task."""
        return [*self.warnings, *self._task_warnings.get(task, [])]

    def tokens(self, texts: list[str]) -> tuple[IntArray, IntArray] | None:
        """Tokens of each text, and how many of them stand for something the encoder does not know; None: unknown.

        The texts alone: without prompt and special tokens, before anything is cut off. int64 `[texts]` each.
        """
        return None

    def close(self) -> None:
        """Release what the encoder holds; it is not used afterwards."""
        return None


class TextEncoder(BoundEncoder):
    """An encoder that is given texts.

    Args:
        identity: see BoundEncoder.
        query_call, candidate_call: take a list of texts, return one row per text.
        truncation: tells which texts of a role are cut off; None when unknown, or when `measure` and the identity's
            `max_length` tell.
        measure: counts the tokens of texts of a role, uncut; None when that is unknown.
        token_call: counts tokens and unknown tokens, see `tokens`; None when the encoder has no tokenizer.
        limits: what bounds a batch.
        lanes: how many batches are computed at a time; the calls must then be safe in threads.
        keep: whether its vectors may be kept in the embedding store.
        on_close: called by `close()`.
        name, device, symmetric, warnings: see BoundEncoder.
    """

    def __init__(
        self,
        identity: ModelIdentity,
        query_call: EncodeCall,
        candidate_call: EncodeCall,
        *,
        truncation: TruncationCall | None = None,
        measure: MeasureCall | None = None,
        token_call: TokenCall | None = None,
        limits: Limits | None = None,
        lanes: Lanes | None = None,
        keep: bool = True,
        on_close: Callable[[], Any] | None = None,
        name: str | None = None,
        device: str | None = None,
        symmetric: bool = False,
        warnings: Sequence[str] = (),
    ) -> None:
        super().__init__(identity, name=name, device=device, symmetric=symmetric, warnings=warnings)
        self._calls: dict[Role, EncodeCall] = {"query": query_call, "candidate": candidate_call}
        self._truncation = truncation
        self._on_close = on_close
        self._measure = measure
        self._token_call = token_call
        self.limits = limits or Limits(DEFAULT_ROWS)
        self.lanes = lanes or Lanes()
        self.keep = keep

    def call(self, role: Role, texts: list[str]) -> Any:
        """What the encoder itself returns for these texts, unchecked; whatever it raises passes."""
        return self._calls[role](texts)

    def matrix(self, returned: Any, rows: int) -> Vectors:
        """What `call` returned as float32 `[rows, d]`, C-contiguous, cut to `truncate_dim` columns.

        Raises:
            EncoderError: it is no matrix of numbers with one row per text, or has too few columns.
        """
        return self.cut(to_matrix(returned, rows, self.name))

    def encode_queries(self, texts: list[str]) -> Vectors:
        """Vectors of texts as queries, float32 `[len(texts), d]`; raises as `call` and `matrix` do."""
        return self.matrix(self.call("query", texts), len(texts))

    def encode_candidates(self, texts: list[str]) -> Vectors:
        """Vectors of texts as candidates, float32 `[len(texts), d]`; raises as `call` and `matrix` do."""
        return self.matrix(self.call("candidate", texts), len(texts))

    def truncated(self, role: Role, texts: list[str]) -> Sequence[bool] | None:
        """One bool per text, True where it is cut off; None when unknown."""
        return None if self._truncation is None else self._truncation(role, texts)

    def measure(self, role: Role, texts: list[str]) -> IntArray | None:
        """Tokens of each text, prompt and special ones included, before it is cut off; None when unknown."""
        return None if self._measure is None else np.array(self._measure(role, texts), dtype=np.int64)

    def tokens(self, texts: list[str]) -> tuple[IntArray, IntArray] | None:
        """See BoundEncoder."""
        if self._token_call is None:
            return None
        tokens, unknown = self._token_call(texts)
        return np.array(tokens, dtype=np.int64), np.array(unknown, dtype=np.int64)

    def close(self) -> None:
        """Call the encoder's own `close()`, if it has one."""
        if self._on_close is not None:
            self._on_close()


class VectorLookup(BoundEncoder, ABC):
    """An encoder whose vectors are there already, looked up by task and id."""

    @abstractmethod
    def lookup(self, task: TaskData, role: Role) -> Vectors:
        """Vectors of the task's queries or candidates in its order, float32 `[n, d]`, C-contiguous."""
