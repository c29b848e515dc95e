"""Looking after the store: what it holds, whether it is whole, making room."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xqr_bench import strict_json
from xqr_bench.encode.store.locks import locked
from xqr_bench.encode.store.settings import VectorStore
from xqr_bench.encode.store.shard import DamagedShardError, open_shard
from xqr_bench.encode.store.shelf import ABOUT


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


@dataclass(frozen=True)
class Damage:
    """A shard that is not what was written."""

    path: Path
    reason: str


def _folders(store: VectorStore) -> list[Path]:
    if not store.shelves.is_dir():
        return []
    return sorted(path for path in store.shelves.iterdir() if path.is_dir() and path.name != "locks")


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # removed in between
            continue
    return total


def _used(folder: Path) -> float:
    for path in (folder / ABOUT, folder):
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return 0.0


def contents(store: VectorStore) -> list[Shelved]:
    """What the store holds, the last used first; reads no vectors."""
    result = []
    for folder in _folders(store):
        name, key = "unknown", {}
        try:
            about = strict_json.read(folder / ABOUT)
            name, key = str(about["name"]), dict(about["key"])
        except (OSError, ValueError, TypeError, KeyError):
            pass
        texts = dimensions = 0
        for path in (folder / "shards").glob("*.shard"):
            try:
                shard = open_shard(path, folder.name)
            except DamagedShardError:
                continue
            texts += len(shard.vectors)
            dimensions = shard.vectors.shape[1]
        result.append(Shelved(folder, name, key, texts, dimensions, _size(folder), _used(folder)))
    return sorted(result, key=lambda found: -found.used)


def verify(store: VectorStore) -> tuple[int, list[Damage]]:
    """Read every shard and compare it with its checksum.

    Returns:
        the number of shards, and the damaged ones; the next run that needs them removes them and encodes again.
    """
    number, damaged = 0, []
    for folder in _folders(store):
        for path in sorted((folder / "shards").glob("*.shard")):
            number += 1
            try:
                open_shard(path, folder.name).verify()
            except DamagedShardError as error:
                if path.exists():  # not removed by a run in between
                    damaged.append(Damage(path, str(error)))
    return number, damaged


def clear(store: VectorStore, only: Collection[Path] | None = None) -> tuple[list[Path], list[Path]]:
    """Remove the vectors of encoders; those that a run holds at the moment stay.

    Args:
        store: which.
        only: these folders; default: all.

    Returns:
        the folders removed, and those that stayed.

    Raises:
        OSError: the store cannot be written.
    """
    removed: list[Path] = []
    kept: list[Path] = []
    for folder in _folders(store) if only is None else only:
        with locked(store.shelves, folder.name) as held:
            if held:
                shutil.rmtree(folder, ignore_errors=True)
            (removed if held and not folder.exists() else kept).append(folder)
    return removed, kept


def trim(store: VectorStore, used: Collection[str] = ()) -> list[Path]:
    """Make the store keep to its limit: the encoders used longest ago go, never one that is in use.

    Args:
        store: which.
        used: names of folders that stay in any case.

    Returns:
        the folders removed.

    Raises:
        OSError: the store cannot be written.
    """
    sizes = {folder: _size(folder) for folder in _folders(store)}
    total = sum(sizes.values())
    removed: list[Path] = []
    for folder in sorted(sizes, key=_used):
        if total <= store.limit:
            break
        if folder.name in used:
            continue
        gone, _ = clear(store, [folder])
        if gone:
            total -= sizes[folder]
            removed += gone
    return removed
