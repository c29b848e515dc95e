"""Digests that name the files an encoder was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from xqr_bench.files import sha256_of


def digest_of_files(files: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 over the lines `<sha256 of the file>  <name>`, sorted by name; the order given does not matter."""
    rows = sorted((name, sha256_of(path)) for name, path in files)
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in rows).encode()).hexdigest()


def digest_of_folder(folder: Path) -> str:
    """SHA-256 over relative names and contents of the files of a model folder.

    Left out, because no model is loaded from them: hidden files and folders, `__pycache__`, and the
    `checkpoint-*` folders that a training leaves behind.
    """
    found: list[tuple[str, Path]] = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if any(part.startswith((".", "checkpoint-")) or part == "__pycache__" for part in parts):
            continue
        if path.is_file():
            found.append(("/".join(parts), path))
    return digest_of_files(found)
