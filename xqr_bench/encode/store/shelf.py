"""The vectors of one encoder in one role: looked up, planned, written; held under a lock."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench import strict_json
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.store.keys import canonical, key_digest
from xqr_bench.encode.store.locks import locked
from xqr_bench.encode.store.plans import PlannedShard, Plans, shard_name, texts_of
from xqr_bench.encode.store.settings import VectorStore
from xqr_bench.encode.store.shard import DamagedShardError, Flags, open_shard, write_shard
from xqr_bench.errors import XqrBenchError
from xqr_bench.files import write_text
from xqr_bench.types import IntArray

Notify = Callable[[str], None]

ABOUT = "encoder.json"
WITNESS = "witness.json"


@dataclass(frozen=True)
class Found:
    """Vectors from one shard.

    Attributes:
        texts: what the wanted digests stood for, int64 `[n]`.
        vectors: float32 `[n, d]`.
        flags: uint8 `[n]`, see `Flags`.
    """

    texts: IntArray
    vectors: Vectors
    flags: Flags


class Shelf:
    """What `open_shelf` yields. Whatever fails while writing is told once, and the run goes on without the store.

    Attributes:
        folder: of this encoder in this role.
        writable: whether vectors are still written.
        written: texts written so far.
    """

    def __init__(self, folder: Path, key: str, notify: Notify) -> None:
        self.folder = folder
        self.writable = True
        self.written = 0
        self._key = key
        self._notify = notify
        for left_behind in folder.rglob(".*.tmp"):  # by a process that was killed while it wrote
            left_behind.unlink(missing_ok=True)
        self._plans = Plans(folder / "plans", lambda name: (folder / "shards" / name).exists())

    def _shards(self) -> list[Path]:
        with suppress(OSError):
            return sorted((self.folder / "shards").glob("*.shard"))
        return []

    @property
    def empty(self) -> bool:
        """Whether there is no shard."""
        return not self._shards()

    def look_up(self, wanted: Mapping[bytes, int]) -> Iterator[Found]:
        """Yield the vectors that are there, shard by shard, each shard verified first; damaged ones are removed.

        Args:
            wanted: digest of a text -> what `Found.texts` calls it.
        """
        damaged = 0
        left = dict(wanted)
        for path in self._shards():
            try:
                shard = open_shard(path, self._key)
                rows = [row for row, digest in enumerate(shard.digests) if digest in left]
                if not rows:
                    continue
                shard.verify()
            except DamagedShardError:
                damaged += 1
                with suppress(OSError):
                    path.unlink()
                continue
            texts = np.array([left.pop(shard.digests[row]) for row in rows], dtype=np.int64)
            whole = len(rows) == len(shard.digests)
            yield Found(texts, shard.vectors if whole else shard.vectors[rows], shard.flags[rows])
        if damaged:
            self._notify(
                f"the embedding store had {damaged} damaged shard{'s' * (damaged > 1)} for this encoder: removed, "
                "their texts are encoded again"
            )

    def unfinished(
        self, missing: Sequence[bytes], wanted: Mapping[bytes, int], limits: dict[str, Any]
    ) -> list[PlannedShard]:
        """What an earlier run planned and did not finish (see `Plans.unfinished`)."""
        return self._plans.unfinished(set(missing), set(wanted), limits)

    def plan(self, shards: Sequence[PlannedShard], limits: dict[str, Any]) -> None:
        """Write down what is going to be encoded; before the first batch."""
        if shards:
            self._write(lambda: self._plans.add(shards, limits))

    def write(self, shard: PlannedShard, vectors: Vectors, flags: Flags) -> None:
        """Keep the vectors of a planned shard: float32 `[rows, d]`, and uint8 `[rows]` flags."""
        path = self.folder / "shards" / shard_name(shard)
        if self._write(lambda: write_shard(path, self._key, texts_of(shard), vectors, flags)):
            self.written += len(vectors)

    def witness(self) -> tuple[list[str], Vectors] | None:
        """A few texts and their vectors as they were first encoded, float32 `[n, d]`; None when there are none."""
        try:
            found = strict_json.read(self.folder / WITNESS)
            texts = [str(text) for text in found["texts"]]
            vectors = np.array(found["vectors"], dtype=np.float32)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return (texts, vectors) if vectors.ndim == 2 and 0 < len(texts) == len(vectors) else None

    def keep_witness(self, texts: list[str], vectors: Vectors) -> None:
        """Keep the witness: texts, and their vectors when they are encoded together, float32 `[n, d]`."""
        content = json.dumps({"texts": texts, "vectors": vectors.tolist()})
        self._write(lambda: write_text(self.folder / WITNESS, content))

    def discard(self, why: str) -> None:
        """Remove all vectors of this encoder."""
        self._notify(f"the vectors that the embedding store holds for this encoder are not used and removed: {why}")
        for name in ("shards", "plans"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        with suppress(OSError):
            (self.folder / WITNESS).unlink()
        self._plans = Plans(self.folder / "plans", lambda name: (self.folder / "shards" / name).exists())

    def _write(self, write: Callable[[], None]) -> bool:
        """Write something; False when nothing is written any more."""
        if not self.writable:
            return False
        try:
            if not (self.folder / ABOUT).is_file():
                raise XqrBenchError(f"{self.folder} has vanished")
            write()
        except (OSError, XqrBenchError) as error:
            self.writable = False
            self._notify(f"the run goes on without the embedding store: {_one_line(error)}")
        return self.writable


def _one_line(error: Exception) -> str:
    return error.problem if isinstance(error, XqrBenchError) else str(error)


@contextmanager
def open_shelf(store: VectorStore, key: dict[str, Any], name: str, notify: Notify) -> Iterator[Shelf | None]:
    """Open the folder of an encoder, alone; another process that holds it is waited for.

    Args:
        store: where.
        key: see `encoder_key`.
        name: of the encoder, for people.
        notify: told what a user should know.

    Yields:
        None when the store cannot be used, which is told.
    """
    folder = store.shelves / key_digest(key)
    with ExitStack() as stack:
        shelf: Shelf | None = None
        try:
            stack.enter_context(
                locked(
                    store.shelves,
                    folder.name,
                    wait=lambda: notify(f"waiting for another run that is encoding with {name}"),
                )
            )
            about = folder / ABOUT
            if not about.is_file():
                write_text(about, canonical({"name": name, "key": key}) + "\n")
            os.utime(about)  # when it was used last
            shelf = Shelf(folder, folder.name, notify)
        except (OSError, NotImplementedError, XqrBenchError) as error:
            notify(f"the run goes on without the embedding store: {_one_line(error)}")
        yield shelf
