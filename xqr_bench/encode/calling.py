"""One batch through an encoder: checked, named when it fails, halved when memory runs out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.checks import Vectors, check_dimensions, check_values
from xqr_bench.encode.plan import Group, name_text
from xqr_bench.errors import EncoderError
from xqr_bench.types import IntArray, TaskData


class Caller:
    """Calls an encoder with texts of a group; `vectors` may be called by several threads.

    Args:
        encoder: whose identity then knows the dimensions.
        group: the texts.
        tasks: where they come from, for messages.
        lengths: of all texts of the group, int64 `[texts]`; all 1 where they are unknown.
        allow_zero: let vectors of only zeros pass.
        notify: told when batches become smaller.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        group: Group,
        tasks: Sequence[TaskData],
        lengths: IntArray,
        *,
        allow_zero: bool,
        notify: Callable[[str], None],
    ) -> None:
        self._encoder = encoder
        self._group = group
        self._tasks = tasks
        self._lengths = lengths
        self._allow_zero = allow_zero
        self._notify = notify
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
            self._notify(f"out of memory with {len(batch):,} texts together: going on with half as many")
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
