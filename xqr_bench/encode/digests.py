"""Digests that name the files an encoder was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from xqr_bench.files import sha256_of

TRAINING_FILE = "xqr_bench_training.json"
"""Name of the training record in a model's folder."""


def digest_of_files(files: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 over the lines `<sha256 of the file>  <name>`, sorted by name; the order given does not matter."""
    rows = sorted((name, sha256_of(path)) for name, path in files)
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in rows).encode()).hexdigest()


def digest_of_folder(folder: Path) -> str:
    """SHA-256 over relative names and contents of the files of a model folder.

    Left out, because no model is loaded from them: hidden files and folders, `__pycache__`, and what a training
    leaves behind: its record (with times in it) and the `checkpoint-*` folders.
    """
    found: list[tuple[str, Path]] = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if any(part.startswith((".", "checkpoint-")) or part in ("__pycache__", TRAINING_FILE) for part in parts):
            continue
        if path.is_file():
            found.append(("/".join(parts), path))
    return digest_of_files(found)
