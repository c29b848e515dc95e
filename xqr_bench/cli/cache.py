"""`xqr-bench cache`, and the options of the commands that use the embedding store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from xqr_bench.cli.printing import console, echo
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.encode.store import Shelved, VectorStore

OPTIONS = ("cache", "cache_dir", "cache_limit")
"""Names of the options; they change no vector, so records do not keep them."""


def cache_dir_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add --cache-dir."""
    return click.option(
        "--cache-dir",
        type=click.Path(file_okay=False),
        help="Where vectors are kept. Default: XQR_BENCH_CACHE, else the user's cache folder.",
    )(command)


def cache_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that say whether and where vectors are kept."""
    options = [
        click.option(
            "--cache/--no-cache",
            default=True,
            help="Whether to keep vectors, and take those kept (docs/cache.md). Encoders without revision and digest, "
            "and objects, are never kept.",
        ),
        cache_dir_option,
        click.option("--cache-limit", help="Such as 5GB. Default: XQR_BENCH_CACHE_LIMIT, else 20GB."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_store(options: Mapping[str, Any]) -> VectorStore | None:
    """The store that `cache_options` chose; None: none.

    Raises:
        UsageError: options that contradict each other, or a limit that is no size.
    """
    from xqr_bench.encode import vector_store

    if options["cache"]:
        return vector_store(options["cache_dir"], options["cache_limit"])
    if options["cache_dir"] is not None or options["cache_limit"] is not None:
        raise UsageError("--no-cache leaves nothing for --cache-dir and --cache-limit", remedy="leave one out")
    return None


@click.group(short_help="Look after the vectors that runs keep.")
def cache() -> None:
    """Look after the vectors that runs keep: the embedding store (docs/cache.md)."""


@cache.command()
@cache_dir_option
def info(cache_dir: str | None) -> None:
    """Show where the store is, what it holds and how large it is."""
    from xqr_bench.encode import vector_store
    from xqr_bench.encode.store import contents
    from xqr_bench.report.table import Table, columns

    store = vector_store(cache_dir)
    found = contents(store)
    echo(f"folder: {store.folder}")
    echo(f"size: {_size(sum(one.size for one in found))} of at most {_size(store.limit)}")
    if not found:
        return
    rows = []
    for one in found:
        role = one.key.get("role") or "both"
        numbers = (f"{one.texts:,}", str(one.dimensions or ""), _size(one.size))
        rows.append((one.name, role, _what(one), *numbers, _when(one.used)))
    headings = ("encoder", "role", "what", "texts", "dimensions", "size", "last used")
    console().print(Table("", columns(*headings, names=len(headings)), rows, frame="list").terminal())


@cache.command()
@click.argument("encoder", required=False)
@cache_dir_option
def clear(encoder: str | None, cache_dir: str | None) -> None:
    """Remove all vectors, or those of ENCODER (its name as `cache info` shows it)."""
    from xqr_bench.core.errors import UnknownNameError, XqrBenchError
    from xqr_bench.encode import vector_store
    from xqr_bench.encode.store import clear as remove
    from xqr_bench.encode.store import contents

    store = vector_store(cache_dir)
    found = contents(store)
    if encoder is not None:
        names = {one.name for one in found}
        if encoder not in names:
            raise UnknownNameError("encoder in the store", encoder, names, remedy="xqr-bench cache info lists them")
        found = [one for one in found if one.name == encoder]
    sizes = {one.folder: one.size for one in found}
    try:
        removed, kept = remove(store, list(sizes))
    except OSError as error:
        raise XqrBenchError(f"the store {store.folder} cannot be cleared: {error.strerror or error}") from error
    echo(f"removed: {_size(sum(sizes[folder] for folder in removed))} in {len(removed)} folders")
    for folder in kept:
        echo(f"kept, a run is using it or it cannot be removed: {folder}")


@cache.command()
@cache_dir_option
@click.pass_context
def verify(ctx: click.Context, cache_dir: str | None) -> None:
    """Read every vector and compare with its checksum; exit code 1 when a file is damaged.

    A damaged file is never used: the next run that needs its texts removes it and encodes them again.
    """
    from xqr_bench.encode import vector_store
    from xqr_bench.encode.store import verify as check

    number, damaged = check(vector_store(cache_dir))
    for path, reason in damaged.items():
        echo(f"damaged: {path}: {reason}")
    echo(f"{number - len(damaged):,} of {number:,} files are whole")
    ctx.exit(1 if damaged else 0)


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
