"""An encoder that is ready to use: the same face for every kind."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.memory import memory_kept
from xqr_bench.core.names import refuse_unreadable
from xqr_bench.core.types import IntArray
from xqr_bench.encode.checks import Vectors, to_matrix
from xqr_bench.encode.options import EncoderOptions, ModelIdentity, Role, Similarity
from xqr_bench.encode.providers import EndpointUse


@dataclass(frozen=True)
class Limits:
    """What bounds a batch.

    Attributes:
        rows: texts.
        tokens: tokens with padding, which is texts times the longest of them; None: their number is unknown.
    """

    rows: int
    tokens: int | None = None

    def __str__(self) -> str:
        return f"{self.rows} texts" + ("" if self.tokens is None else f", {self.tokens} tokens")


Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_LANES = 8
_PAUSE = 0.05
"""Seconds between two calls of `stop`."""


class Lanes:
    """How many batches are computed at a time.

    Args:
        number: 1: one after the other, in the caller's thread.
        enter: called at the beginning of each thread.
        around: what all of it happens in, entered and left in the caller's thread.
        stop: called when the results are not waited for any more, so that items under way may end early; again, until
            they have: one that was taken but had not begun its work would not know of the first call.
    """

    def __init__(
        self,
        number: int = 1,
        enter: Callable[[], None] | None = None,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.number = number
        self._stop = stop
        self._enter = enter or (lambda: None)
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
            waited_for = True
            under_way: deque[Future[Result]] = deque()
            try:
                under_way.append(pool.submit(work, items[0]))
                yield self._next(under_way)
                for item in items[1:]:
                    under_way.append(pool.submit(work, item))
                    if len(under_way) > self.number:
                        yield self._next(under_way)
                while under_way:
                    result = self._next(under_way)
                    waited_for = bool(under_way)
                    yield result
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                if waited_for:
                    self._stop()
                    while not all(future.done() for future in under_way):
                        time.sleep(_PAUSE)
                        self._stop()
                raise
            finally:
                pool.shutdown(cancel_futures=True)

    @staticmethod
    def _next(under_way: deque[Future[Result]]) -> Result:
        """The result of the first; it stays among those under way until it is there."""
        result = under_way[0].result()
        under_way.popleft()
        return result


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


DEFAULT_ROWS = 1024


@dataclass(frozen=True)
class DeclaredTraining:
    """What somebody says an encoder was trained on.

    Attributes:
        source: who says so.
        names: of the data sets; None: it is not said.
        similar: these, and others that have texts in common with them.
    """

    source: str
    names: frozenset[str] | None
    similar: frozenset[str] = frozenset()


class BoundEncoder:
    """What `load_encoder` returns.

    Attributes:
        name: the record's name.
        identity: what the vectors depend on; `dimensions` is known after the first encoding.
        device: where it runs, None when it does not say.
        warnings: what a user should read beside the scores; grows while loading and encoding.
        source: the MODEL string it was loaded from, None for an object.
        options: how it was loaded.
        hint: what a user should know before a long encoding; None: nothing.
        declared: what it was trained on, by whom that is said; None: by nobody.
    """

    source: str | None = None
    options: EncoderOptions = EncoderOptions()
    hint: str | None = None
    declared: DeclaredTraining | None = None

    def __init__(
        self,
        identity: ModelIdentity,
        *,
        name: str | None = None,
        device: str | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        self.name = name or identity.name
        refuse_unreadable(self.name, "the encoder's name", "give it one that can be read on one line: --name NAME")
        self.identity = identity
        self.device = device
        self.warnings = list(warnings)
        self._task_warnings: dict[str, list[str]] = {}

    @property
    def similarity(self) -> Similarity:
        """How two vectors are compared: "cosine" or "dot"."""
        similarity = self.identity.similarity
        if similarity == "none" or similarity == "maxsim":
            raise TypeError(f"{self.name} does not have one vector a text")
        return similarity

    def matrix(self, returned: Any, rows: int) -> Vectors:
        """What an encoder returned as float32 `[rows, d]`, C-contiguous, with all its columns.

        Raises:
            EncoderError: it is no matrix of numbers with one row per text.
        """
        return to_matrix(returned, rows, self.name, self.warn)

    def cut(self, vectors: Vectors) -> Vectors:
        """The first `truncate_dim` columns of vectors of this encoder, C-contiguous; all where it is not given.

        Raises:
            EncoderError: there are too few columns.
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

    def check_dimensions(self, dimensions: int, what: str | Callable[[], str]) -> None:
        """Note the number of columns in the identity, which must stay what it is.

        Args:
            dimensions: columns of some vectors.
            what: whose vectors, for the message.

        Raises:
            EncoderError: vectors before had another number.
        """
        before = self.identity.dimensions
        if before is not None and dimensions != before:
            raise EncoderError(
                f"{self.name} has vectors of different dimensions",
                found=f"{before} columns before, {dimensions} for {what if isinstance(what, str) else what()}",
                remedy="queries and candidates of every task must have the same number of columns",
            )
        self.identity = self.identity.model_copy(update={"dimensions": dimensions})

    def warn(self, warning: str, task: str | None = None) -> None:
        """Add a warning, once; with `task`, to be read beside the scores of that task only."""
        warnings = self.warnings if task is None else self._task_warnings.setdefault(task, [])
        if warning not in warnings:
            warnings.append(warning)

    def warnings_for(self, task: str) -> list[str]:
        """What to read beside the scores of a task: the warnings of the encoder and those of the task."""
        return [*self.warnings, *self._task_warnings.get(task, [])]

    def tokens(self, texts: list[str]) -> tuple[IntArray, IntArray] | None:
        """Tokens of each text, and how many of them stand for something the encoder does not know; None: unknown.

        The texts alone: without prompt and special tokens, before anything is cut off. int64 `[texts]` each.
        """
        return None

    @property
    def usage(self) -> EndpointUse | None:
        """What an endpoint was asked so far; None: it is none."""
        return None

    def close(self) -> None:
        """Release what the encoder holds; it is not used afterwards."""
        return None


class TextEncoder(BoundEncoder, ABC):
    """An encoder that is given texts.

    Attributes:
        symmetric: whether queries and candidates are encoded alike, so that a text that is both is encoded once.
        limits: what bounds a batch.
        lanes: how many batches are computed at a time; `call` must then be safe in threads.
        keep: whether its vectors may be kept in the embedding store.
        called: the method of the encoder that each role calls; empty: it has no name.
        sparse: whether `call` returns a sparse matrix, which `evaluate` ranks by as it is.
    """

    symmetric = False
    sparse = False
    called: Mapping[Role, str] = MappingProxyType({})
    limits = Limits(DEFAULT_ROWS)
    lanes = Lanes()
    keep = True

    def prompt(self, role: Role) -> str:
        """What is put before each text of a role; empty: nothing."""
        return (self.identity.query_prompt if role == "query" else self.identity.candidate_prompt) or ""

    @abstractmethod
    def call(self, role: Role, texts: list[str]) -> Any:
        """What the encoder itself returns for these texts, one row per text, unchecked; whatever it raises passes."""

    def encode_queries(self, texts: list[str]) -> Vectors:
        """Vectors of texts as queries, float32 `[len(texts), d]`; raises as `call`, `matrix` and `cut` do."""
        return self.cut(self.matrix(self.call("query", texts), len(texts)))

    def encode_candidates(self, texts: list[str]) -> Vectors:
        """Vectors of texts as candidates, float32 `[len(texts), d]`; raises as `call`, `matrix` and `cut` do."""
        return self.cut(self.matrix(self.call("candidate", texts), len(texts)))

    def limit(self, role: Role) -> int | None:
        """After how many tokens texts of a role are cut off; None: unknown or unlimited."""
        return self.identity.max_length

    def truncated(self, role: Role, texts: list[str]) -> Sequence[bool] | None:
        """One bool per text, True where it is cut off; None: unknown, or `measure` and `max_length` tell."""
        return None

    def measure(self, role: Role, texts: list[str]) -> IntArray | None:
        """Tokens of each text, prompt and special ones included, before it is cut off, int64; None: unknown."""
        return None
