"""What a model is loaded from: the files of its folder, what links lead to, the base of an adapter, hub caches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from xqr_bench.core import strict_json
from xqr_bench.core.errors import EncoderError
from xqr_bench.core.files import TRAINING_FILE, digest_of_files

ADAPTER = "adapter_config.json"
MOST_FILES = 100_000


def cache_folder() -> str | None:
    """Where sentence-transformers keeps hub models when it does not use the hub's own cache."""
    return os.environ.get("SENTENCE_TRANSFORMERS_HOME")


def cached_file(name: str, commit: str | None, filename: str) -> Path | None:
    """A file of a hub model in the cache, None when it is not there."""
    from huggingface_hub import try_to_load_from_cache

    path: Any = try_to_load_from_cache(name, filename, cache_dir=cache_folder(), revision=commit)
    return Path(path) if isinstance(path, str) else None


def cached_commit(name: str, revision: str | None) -> str | None:
    """The commit of a hub model that the cache holds for a revision, None when it holds none."""
    folder = cached_folder(name, revision)
    return None if folder is None else folder.name  # <cache>/models--<organisation>--<model>/snapshots/<commit>


def cached_folder(name: str, revision: str | None) -> Path | None:
    """The folder of the cache that holds a hub model at a revision, None when there is none."""
    for filename in ("modules.json", "config.json", ADAPTER):
        path = cached_file(name, revision, filename)
        if path is not None:
            return path.parent
    return None


def digest_of_folder(folder: Path) -> str:
    """SHA-256 over relative names and contents of the files of a model folder; links are followed.

    Left out, because no model is loaded from them: hidden files and folders, `__pycache__`, and what a training leaves
    behind: its record (with times in it) and the `checkpoint-*` folders. A folder that `modules.json` names is never
    left out.

    Raises:
        EncoderError: it has more than `MOST_FILES` files, as a link to a whole disk has.
    """
    return digest_of_files(model_files(folder))


def loaded_from(folder: Path) -> tuple[str, str | None]:
    """What a model that was loaded from a folder depends on.

    Returns:
        the digest of the folder and of what an adapter in it is put on; and the latter, NAME@COMMIT or NAME@DIGEST;
        None where there is no adapter.

    Raises:
        EncoderError: see `digest_of_folder`.
    """
    digest, base = digest_of_folder(folder), base_of(folder)
    return digest if base is None else hashlib.sha256(f"{digest}\n{base}\n".encode()).hexdigest(), base


def model_files(folder: Path) -> list[tuple[str, Path]]:
    """Relative names and paths of the files that a model can be loaded from.

    Raises:
        EncoderError: there are too many, or what stands there is no file.
    """
    modules = _read(folder / "modules.json")
    paths = [module.get("path") for module in modules if isinstance(module, dict)] if isinstance(modules, list) else []
    named = {path.strip("/").partition("/")[0] for path in paths if isinstance(path, str)}
    files = []
    for file in _below(folder, "", (), named):
        files.append(file)
        if len(files) > MOST_FILES:
            raise EncoderError(
                f"{folder} has more than {MOST_FILES:,} files, with what links in it lead to",
                remedy="name a folder that holds one model, and take out links to other things",
            )
    return files


def _below(folder: Path, prefix: str, above: tuple[Path, ...], named: Collection[str]) -> Iterator[tuple[str, Path]]:
    place = folder.resolve()
    if place in above:  # a link to a folder that it stands in
        return
    for path in folder.iterdir():
        name = path.name
        unloaded = name.startswith((".", "checkpoint-")) or name in ("__pycache__", TRAINING_FILE)
        if unloaded and (prefix or name not in named):
            continue
        if path.is_dir():
            yield from _below(path, f"{prefix}{name}/", (*above, place), named)
        elif path.is_file():
            yield prefix + name, path
        else:  # the library would do without it, or wait for it
            raise EncoderError(f"{path} is a link that leads nowhere, or no file", remedy="mend it, or take it out")


def base_of(folder: Path) -> str | None:
    """What the adapters in a folder are put on; see `loaded_from`.

    The commit of a hub model is the one in the cache, hence known once it was loaded.
    """
    bases = set()
    for name, path in model_files(folder):
        base = base_named_in(path) if name.rpartition("/")[2] == ADAPTER else None
        if base is not None and Path(base).is_dir():
            bases.add(f"{Path(base).resolve().name}@{digest_of_folder(Path(base))}")
        elif base is not None:
            bases.add(f"{base}@{cached_commit(base, None) or 'unknown'}")
    return ", ".join(sorted(bases)) or None


def base_named_in(path: Path) -> str | None:
    """The folder or hub name in an adapter's configuration; None: it names none."""
    config = _read(path)
    base = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    return base if isinstance(base, str) else None


def _read(path: Path) -> Any:
    try:
        return strict_json.read(path)
    except (OSError, ValueError):
        return None
