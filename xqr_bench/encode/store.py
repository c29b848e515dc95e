"""The embedding store: vectors of texts on disk, by encoder and text, shared by tasks and runs."""

from __future__ import annotations

import math
import os
import re
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.core import strict_json
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.files import write_text
from xqr_bench.core.observe import Observer
from xqr_bench.core.strict_json import MOST_INTEGER
from xqr_bench.core.types import IntArray
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.options import ROLES
from xqr_bench.encode.shards import (
    SUFFIX,
    DamagedShardError,
    Plan,
    PlannedShard,
    canonical,
    encoder_key,
    key_digest,
    open_shard,
    reason_not_kept,
    shard_name,
    texts_of,
    write_shard,
)
from xqr_bench.encode.texts import Flags

FOLDER_VARIABLE = "XQR_BENCH_CACHE"
LIMIT_VARIABLE = "XQR_BENCH_CACHE_LIMIT"
DEFAULT_LIMIT = 20 * 10**9

_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[kmgt]?)(?P<binary>i?)b?", re.IGNORECASE)


@dataclass(frozen=True)
class VectorStore:
    """A store of vectors.

    Attributes:
        folder: where it is; made when the first vectors are kept.
        limit: bytes it may hold; the encoders used longest ago make room.
        shard_texts, shard_tokens: texts, and tokens with padding (where they are known), after which a shard is closed.
            A run that is killed loses at most the shard it was at.
    """

    folder: Path
    limit: int = DEFAULT_LIMIT
    shard_texts: int = 512
    shard_tokens: int = 16_384

    @property
    def shelves(self) -> Path:
        """The folder with one folder per encoder and role."""
        return self.folder / "embeddings"


@checked
def vector_store(folder: str | Path | None = None, limit: str | None = None) -> VectorStore:
    """The user's store.

    Args:
        folder: default: XQR_BENCH_CACHE, else the user's cache folder.
        limit: a size such as "20GB"; default: XQR_BENCH_CACHE_LIMIT, else 20 GB.

    Raises:
        UsageError: the limit is no size.
    """
    place = folder or os.environ.get(FOLDER_VARIABLE)
    if not place:
        import platformdirs

        place = platformdirs.user_cache_path("xqr-bench")
    from_variable = "" if limit else os.environ.get(LIMIT_VARIABLE, "").strip()
    what = f"{LIMIT_VARIABLE}: " if from_variable else ""
    size = parse_size(limit or from_variable, what) if limit or from_variable else DEFAULT_LIMIT
    return VectorStore(Path(place).expanduser().absolute(), size)


def parse_size(text: str, what: str = "") -> int:
    """Bytes of a size such as "500MB", "20 GB", "1.5TiB" or "1000000"; a message begins with `what`.

    Raises:
        UsageError: it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    base = 1024 if match and match["binary"] else 1000
    size = float(match["number"]) * base ** " kmgt".index(match["unit"].lower() or " ") if match else math.inf
    if size > MOST_INTEGER:
        raise UsageError(f"{what}{text!r:.60} is no size", remedy="write it as 500MB, 20GB or 1.5TB")
    return int(size)


@contextmanager
def locked(shelves: Path, name: str, *, wait: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold the lock of the encoder's folder `name`, and yield whether it is held.

    The system releases it when a process dies. Locks stand beside the folders, so that these can be removed. `wait` is
    called once before waiting for another process; None: do not wait.

    Raises:
        OSError, NotImplementedError: the file system cannot lock, or the lock file cannot be made.
    """
    from filelock import FileLock, Timeout

    folder = shelves / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if wait is None:
            yield False
            return
        wait()
        lock.acquire(poll_interval=0.2)
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def shared(shelves: Path, name: str, *, wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the encoder's folder `name` together with others that hold it so, but not with `locked`.

    `wait` is called once before waiting for a process that holds it alone.

    Raises:
        OSError, NotImplementedError: the file system or the system cannot lock so.
    """
    try:
        import fcntl
    except ImportError:
        raise NotImplementedError("this system has no locks that processes share") from None
    folder = shelves / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        with (folder / f"{name}.lock").open("a") as file:  # the one of `locked`, which is flock's too
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                wait()
                fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file.fileno()).st_nlink:  # else it was removed, as some filelocks do: others lock a new file
                yield
                return


ABOUT = "encoder.json"
RULES = 2
"""Of what makes kept vectors fit to be used; those kept under others are encoded again (1: four witnesses in all)."""


class Shelf:
    """What `open_shelf` yields. Whatever fails while writing is told once, and the run goes on without the store.

    Args:
        folder: see below.
        key: the digest of the encoder's key.
        observe: is told what fails, and what was removed.
        alone: whether no other process writes there.

    Attributes:
        folder: of this encoder in this role.
        writable: whether vectors are still written.
        written: texts written so far.
    """

    def __init__(self, folder: Path, key: str, observe: Observer, *, alone: bool = True) -> None:
        self.folder = folder
        self.writable = True
        self.written = 0
        self._key = key
        self._observe = observe
        if alone:
            self._clean()

    def _clean(self) -> None:
        """Remove what is never used."""
        folder = self.folder
        for left_behind in folder.rglob(".*.tmp"):  # by a process that was killed while it wrote
            left_behind.unlink(missing_ok=True)
        older = list(folder.glob("shards/*.shard"))
        for path in older:
            path.unlink(missing_ok=True)
        if older:
            self._observe.note(
                "the vectors of this encoder were kept in an older format: they are removed, and encoded again"
            )

    @cached_property
    def store(self) -> str:
        """What tells this folder from those of the same encoder in other stores."""
        return str(_about(self.folder).get("store", ""))

    @cached_property
    def _plans(self) -> dict[Path, Plan]:
        plans: dict[Path, Plan] = {}  # oldest first
        for path in sorted(self.folder.glob("plans/[0-9]*.json")):
            plan = Plan.load(path)
            if plan is None:
                path.unlink(missing_ok=True)  # its texts are planned anew
            else:
                plans[path] = plan
        return plans

    def shards(self) -> list[Path]:
        """Its files of vectors."""
        return sorted(_shards(self.folder))

    def look_up(self, wanted: Mapping[bytes, int]) -> Iterator[tuple[IntArray, Vectors, Flags]]:
        """Yield the vectors that are there, shard by shard; damaged shards are removed.

        Args:
            wanted: digest of a text -> its index.

        Yields:
            indices of texts, int64 `[n]`, their vectors, float32 `[n, d]`, and flags, uint8 `[n]`.
        """
        damaged = 0
        left = dict(wanted)
        for path in self.shards():
            try:
                shard = open_shard(path, self._key)
                rows = [row for row, digest in enumerate(shard.digests) if digest in left]
                if not rows:
                    continue
                vectors, flags = shard.read()
            except DamagedShardError:
                damaged += 1
                with suppress(OSError):
                    path.unlink()
                continue
            texts = np.array([left.pop(shard.digests[row]) for row in rows], dtype=np.int64)
            yield texts, vectors if len(rows) == len(vectors) else vectors[rows], flags[rows]
        if damaged:
            self._note_damaged(damaged)

    def _note_damaged(self, damaged: int) -> None:
        self._observe.note(
            f"the embedding store had {damaged} damaged shard{'s' * (damaged > 1)} for this encoder: removed, "
            "their texts are encoded again"
        )

    def listed(self) -> Iterator[tuple[str, list[bytes]]]:
        """The name of each file of vectors, and the digests of its texts; reads no vectors."""
        for path in self.shards():
            with suppress(DamagedShardError):  # `read` removes it
                yield path.name, open_shard(path, self._key).digests

    def read(self, name: str, wanted: Sequence[bytes]) -> tuple[Vectors, Flags] | None:
        """The vectors and flags of texts in a file of vectors, in this order; a damaged file is removed.

        Args:
            name: of the file.
            wanted: digests of texts.

        Returns:
            float32 `[n, d]` and uint8 `[n]`; None: they are not all there.
        """
        path = self.folder / "shards" / name
        if not path.exists():
            return None
        try:
            shard = open_shard(path, self._key)
            row_of = {digest: row for row, digest in enumerate(shard.digests)}
            rows = [row_of[digest] for digest in wanted if digest in row_of]
            vectors, flags = shard.read()
        except DamagedShardError:
            with suppress(OSError):
                path.unlink()
            self._note_damaged(1)
            return None
        return (vectors[rows], flags[rows]) if len(rows) == len(wanted) else None

    def planned(self) -> dict[str, PlannedShard]:
        """What was planned, by the names of the files, done or not."""
        return {shard_name(shard): shard for plan in self._plans.values() for shard in plan.shards}

    def unfinished(self, missing: set[bytes], wanted: set[bytes], limits: dict[str, Any]) -> list[PlannedShard]:
        """What an earlier run planned and did not finish: shards that are needed, with all of their texts at hand.

        Args:
            missing: digests of the texts that have no vectors.
            wanted: digests of the texts at hand.
            limits: what bounds the batches of this run; plans with others are left aside.
        """
        planned = [shard for plan in self._plans.values() if plan.limits == limits for shard in plan.shards]
        return [
            shard
            for shard in planned
            if wanted.issuperset(texts := texts_of(shard))
            and not missing.isdisjoint(texts)
            and not self._path(shard).exists()
        ]

    def plan(self, shards: Sequence[PlannedShard], limits: dict[str, Any]) -> None:
        """Write down what is going to be encoded, before the first batch.

        Unfinished shards of older plans that hold some of these texts are given up.
        """
        if shards:
            self._write(lambda: self._add(Plan(limits, tuple(shards))))

    def _add(self, new: Plan) -> None:
        taken = {digest for shard in new.shards for digest in texts_of(shard)}
        for path, plan in list(self._plans.items()):
            left = tuple(
                shard for shard in plan.shards if taken.isdisjoint(texts_of(shard)) or self._path(shard).exists()
            )
            if left != plan.shards:
                self._plans[path] = Plan(plan.limits, left)
                self._plans[path].save(path)
        number = max((int(path.stem) for path in self._plans), default=0) + 1
        path = self.folder / "plans" / f"{number:06d}.json"
        new.save(path)
        self._plans[path] = new

    def _path(self, shard: PlannedShard) -> Path:
        return self.folder / "shards" / shard_name(shard)

    def write(self, shard: PlannedShard, vectors: Vectors, flags: Flags) -> None:
        """Keep the vectors of a planned shard: float32 `[rows, d]`, and uint8 `[rows]` flags."""
        if self._write(lambda: write_shard(self._path(shard), self._key, texts_of(shard), vectors, flags)):
            self.written += len(vectors)

    def kept(self) -> set[bytes]:
        """Digests of the texts that have vectors."""
        return {digest for _, digests in self.listed() for digest in digests}

    def discard(self) -> None:
        """Remove all vectors of this encoder."""
        _empty(self.folder)
        self._plans = {}

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
            _note_unusable(self._observe, error)
        return self.writable


def _empty(folder: Path) -> None:
    for name in ("shards", "plans"):
        shutil.rmtree(folder / name, ignore_errors=True)
    with suppress(OSError):
        (folder / "witness.json").unlink()  # of the rules before


def _shards(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list((folder / "shards").glob("*" + SUFFIX))
    return []


def _note_unusable(observe: Observer, error: Exception) -> None:
    why = error.problem if isinstance(error, XqrBenchError) else str(error)
    observe.note(f"the run goes on without the embedding store: {why}")


DISCARDED = "the vectors that the embedding store holds for this encoder are removed and encoded again"


def _about(folder: Path) -> dict[str, Any]:
    """What a folder's vectors were made from, as `open_shelf` wrote it; empty when that cannot be read."""
    with suppress(OSError, ValueError, TypeError):
        return dict(strict_json.read(folder / ABOUT))
    return {}


def _why_not(about: Mapping[str, Any], key: Mapping[str, Any], name: str) -> str:
    if about.get("key") != key:
        return f"{ABOUT} does not say that they are of {name} as it is now"
    return "they were kept under older rules, without witnesses of each language"


def _other_weights(store: VectorStore, folder: Path, name: str, key: Mapping[str, Any]) -> str:
    """The digest or revision of other encoders of this name and role in the store; empty: there are none."""
    found = set()
    for other in _folders(store):
        about = _about(other) if other != folder else {}
        before = about.get("key")
        if about.get("name") == name and isinstance(before, dict) and before.get("role") == key["role"]:
            found |= {
                f"the {field} {str(before[field])[:12]} instead of {str(key[field])[:12]}"
                for field in ("revision", "digest")
                if before.get(field) and before[field] != key[field]
            }
    return " and ".join(sorted(found)[:2])


@contextmanager
def open_shelf(
    store: VectorStore, key: dict[str, Any], name: str, observe: Observer, *, alone: bool = True
) -> Iterator[Shelf | None]:
    """Open the folder of an encoder (see `encoder_key`); another process that holds it alone is waited for.

    Yields None, and notes why, when the store cannot be used.

    Args:
        store: where it is.
        key, name: of the encoder.
        observe: hears what is waited for.
        alone: keep all other processes out; if not, others may open and write it so at the same time. Files of
            vectors are called by what is in them and written whole, so they do not disturb one another.
    """
    folder = store.shelves / key_digest(key)

    def wait() -> None:
        observe.note(f"waiting for another run that is encoding with {name}")

    with ExitStack() as stack:
        shelf: Shelf | None = None
        try:
            if alone:
                stack.enter_context(locked(store.shelves, folder.name, wait=wait))
                _make_ready(store, folder, key, name, observe)
            else:
                stack.enter_context(shared(store.shelves, folder.name, wait=wait))
                with for_a_moment(store, key, "open"):
                    _make_ready(store, folder, key, name, observe)
            shelf = Shelf(folder, folder.name, observe, alone=alone)
        except (OSError, NotImplementedError, XqrBenchError) as error:
            _note_unusable(observe, error)
        yield shelf


@contextmanager
def for_a_moment(store: VectorStore, key: dict[str, Any], what: str) -> Iterator[None]:
    """Let one at a time do something of those that share the folder of an encoder (see `open_shelf`).

    Raises:
        OSError, NotImplementedError: the file system cannot lock.
    """
    with locked(store.shelves, f"{key_digest(key)}.{what}", wait=lambda: None):
        yield


def _make_ready(store: VectorStore, folder: Path, key: dict[str, Any], name: str, observe: Observer) -> None:
    about = _about(folder)
    if (about.get("key"), about.get("rules")) != (key, RULES):
        if _shards(folder):
            observe.note(f"{DISCARDED} ({key['role'] or 'both roles'}): {_why_not(about, key, name)}")
        elif others := _other_weights(store, folder, name, key):
            observe.note(f"the embedding store holds vectors of {name} with {others}: they are not used")
        _empty(folder)
        about = {}
    if "store" not in about:
        said = {"name": name, "key": key, "rules": RULES, "store": uuid.uuid4().hex}
        write_text(folder / ABOUT, canonical(said) + "\n")
    os.utime(folder / ABOUT)  # when it was used last


@dataclass(frozen=True)
class Shelved:
    """The vectors of one encoder in one role.

    Attributes:
        folder: where they are.
        name: of the encoder, when they were first kept.
        key: what they are kept under (see `encoder_key`); empty when it cannot be read.
        texts, dimensions: how many vectors of how many columns; 0 when there is no readable shard.
        size: bytes on disk.
        used: seconds since the epoch when they were last used.
    """

    folder: Path
    name: str
    key: dict[str, Any]
    texts: int
    dimensions: int
    size: int
    used: float


def _folders(store: VectorStore) -> list[Path]:
    if not store.shelves.is_dir():
        return []
    return sorted(path for path in store.shelves.iterdir() if path.is_dir() and path.name != "locks")


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # removed in between
            total += path.stat().st_size if path.is_file() else 0
    return total


def _used(folder: Path) -> float:
    for path in (folder / ABOUT, folder):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def kept_files(store: VectorStore, encoder: TextEncoder) -> set[Path]:
    """The files of the encoder's vectors in the store; none, where these are not kept."""
    if reason_not_kept(encoder) is not None:
        return set()
    return {path for role in ROLES for path in _shards(store.shelves / key_digest(encoder_key(encoder, role)))}


def contents(store: VectorStore) -> list[Shelved]:
    """What the store holds, the last used first; reads no vectors."""
    result = []
    for folder in _folders(store):
        name, key = "unknown", {}
        with suppress(ValueError, TypeError, KeyError):
            about = _about(folder)
            name, key = str(about["name"]), dict(about["key"])
        texts = dimensions = 0
        for path in _shards(folder):
            try:
                shard = open_shard(path, folder.name)
            except DamagedShardError:
                continue
            texts += len(shard.digests)
            dimensions = shard.dimensions
        result.append(Shelved(folder, name, key, texts, dimensions, _size(folder), _used(folder)))
    return sorted(result, key=lambda shelved: -shelved.used)


def verify(store: VectorStore) -> tuple[int, dict[Path, str]]:
    """Read every shard and compare it with its checksum.

    Returns:
        the number of shards, and what is wrong with the damaged ones; the next run that needs them removes them and
        encodes again.
    """
    number, damaged = 0, dict[Path, str]()
    for folder in _folders(store):
        for path in sorted(_shards(folder)):
            number += 1
            try:
                open_shard(path, folder.name).read()
            except DamagedShardError as error:
                if path.exists():  # not removed by a run in between
                    damaged[path] = str(error)
    return number, damaged


def clear(store: VectorStore, only: Collection[Path] | None = None) -> tuple[list[Path], list[Path]]:
    """Remove the vectors of all encoders, or `only` these folders; those that a run holds at the moment stay.

    Returns:
        the folders removed, and those that stayed.

    Raises:
        OSError: the store cannot be written.
    """
    removed, stayed = list[Path](), list[Path]()
    for folder in _folders(store) if only is None else only:
        with locked(store.shelves, folder.name) as held:
            if held:
                shutil.rmtree(folder, ignore_errors=True)
            (removed if held and not folder.exists() else stayed).append(folder)
    return removed, stayed


def trim(store: VectorStore, used: Collection[str] = ()) -> list[Path]:
    """Make the store keep to its limit and return the folders removed: the encoders used longest ago.

    Those in use stay, and the folders called as in `used`.

    Raises:
        OSError: the store cannot be written.
    """
    sizes = {folder: _size(folder) for folder in _folders(store)}
    total = sum(sizes.values())
    removed: list[Path] = []
    for folder in sorted(sizes, key=_used):
        if total > store.limit and folder.name not in used and clear(store, [folder])[0]:
            total -= sizes[folder]
            removed.append(folder)
    return removed
