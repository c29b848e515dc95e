"""`xqr-bench cache`: look after the embedding store."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

from xqr_bench.cli.options import StoreFolder
from xqr_bench.cli.printing import console, echo
from xqr_bench.core.errors import UnknownNameError, XqrBenchError
from xqr_bench.core.options import takes

if TYPE_CHECKING:
    from xqr_bench.encode.store import Shelved


@click.group()
def cache() -> None:
    """Look after the vectors that runs keep: the embedding store (docs/cache.md)."""


@cache.command()
@takes(where=StoreFolder)
def info(where: StoreFolder) -> None:
    """Show where the store is, what it holds and how large it is."""
    from xqr_bench.encode import vector_store
    from xqr_bench.encode.store import contents
    from xqr_bench.report.table import Table, columns

    store = vector_store(where.cache_dir)
    folders = contents(store)
    echo(f"folder: {store.folder}")
    echo(f"size: {_size(sum(one.size for one in folders))} of at most {_size(store.limit)}")
    if not folders:
        return
    rows = []
    for one in folders:
        role = one.key.get("role") or "both"
        numbers = (f"{one.texts:,}", str(one.dimensions or ""), _size(one.size))
        rows.append((one.name, role, _what(one), *numbers, _when(one.used)))
    headings = ("encoder", "role", "what", "texts", "dimensions", "size", "last used")
    console().print(Table("", columns(*headings, names=len(headings)), rows, frame="list").terminal())


@cache.command()
@click.argument("encoder", required=False)
@takes(where=StoreFolder)
def clear(encoder: str | None, where: StoreFolder) -> None:
    """Remove all vectors, or those of ENCODER (its name as `cache info` shows it); with all, scores of stopped runs."""
    from xqr_bench.encode import vector_store
    from xqr_bench.encode.store import clear as remove
    from xqr_bench.encode.store import contents

    store = vector_store(where.cache_dir)
    folders = contents(store)
    if encoder is not None:
        names = {one.name for one in folders}
        if encoder not in names:
            raise UnknownNameError("encoder in the store", encoder, names, remedy="xqr-bench cache info lists them")
        folders = [one for one in folders if one.name == encoder]
    else:
        shutil.rmtree(store.folder / "pairs", ignore_errors=True)  # of rerankings that were stopped
    sizes = {one.folder: one.size for one in folders}
    try:
        removed, kept = remove(store, list(sizes))
    except OSError as error:
        raise XqrBenchError(f"the store {store.folder} cannot be cleared: {error.strerror or error}") from error
    echo(f"removed: {_size(sum(sizes[folder] for folder in removed))} in {len(removed)} folders")
    for folder in kept:
        echo(f"kept, a run is using it or it cannot be removed: {folder}")


@cache.command()
@takes(where=StoreFolder)
def verify(where: StoreFolder) -> None:
    """Read every vector and compare with its checksum; exit code 1 when a file is damaged.

    A damaged file is never used: the next run that needs its texts removes it and encodes them again.
    """
    from xqr_bench.encode import vector_store
    from xqr_bench.encode.store import verify as check

    number, damaged = check(vector_store(where.cache_dir))
    for path, reason in damaged.items():
        echo(f"damaged: {path}: {reason}")
    echo(f"{number - len(damaged):,} of {number:,} files are whole")
    if damaged:
        raise SystemExit(1)


def _what(one: Shelved) -> str:
    """What tells this folder from others of the same encoder."""
    key = one.key
    version = key.get("revision") or key.get("digest") or ""
    limits = f"{key['max_length']} tokens" if key.get("max_length") else ""
    prompt = repr(key["prompt"]) if key.get("prompt") else ""
    return " ".join(part for part in (version[:12], key.get("dtype") or "", limits, prompt) if part)


def _size(number: int) -> str:
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _when(used: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(used).astimezone().strftime("%Y-%m-%d %H:%M")
