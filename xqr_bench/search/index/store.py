"""Indices on disk: a folder with one FAISS file per language, the ids, and what they belong to."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xqr_bench import strict_json
from xqr_bench.encode import BoundEncoder, ModelIdentity
from xqr_bench.errors import SavedIndexError, UsageError
from xqr_bench.files import sha256_of
from xqr_bench.search.index.build import from_bytes, to_bytes
from xqr_bench.search.index.options import IndexFacts
from xqr_bench.search.index.ranks import Indexed
from xqr_bench.types import TaskData

FORMAT = "xqr-bench index 1"
MANIFEST = "index.json"
AGAIN = "make the index again: xqr-bench evaluate MODEL --index TYPE --save-index DIR"
# options of an encoder that say where and how fast it runs, and change no vector
_WITHOUT_EFFECT = ("device", "batch_size", "token_budget")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SavedTask(_Part):
    """The data the candidates came from; the texts themselves stay there."""

    name: str
    file: str | None = Field(description="the task file; null: a task that ships with xqr-bench")
    languages: list[str] | None = Field(description="the languages it was restricted to")
    limit: int | None = Field(description="the questions it was restricted to")
    digest: str = Field(description="SHA-256 over ids, texts and paragraphs of the candidates")


class SavedEncoder(_Part):
    """The encoder whose vectors the index holds."""

    model: str | None = Field(description="the MODEL string; null: it was an object in Python")
    options: dict[str, Any] = Field(description="options it was loaded with, where they are not the defaults")
    identity: ModelIdentity


class SavedFiles(_Part):
    """The files of one language, by their digests."""

    index: str = Field(description="SHA-256 of <language>.faiss")
    ids: str = Field(description="SHA-256 of <language>.ids.txt")


class Manifest(_Part):
    """`index.json`."""

    format: Literal["xqr-bench index 1"]
    task: SavedTask
    encoder: SavedEncoder
    similarity: Literal["cosine", "dot"] = Field(description="cosine: bring vectors to unit length first")
    facts: IndexFacts
    files: dict[str, SavedFiles] = Field(description="language -> its files, in the order of the pool")


def task_digest(data: TaskData) -> str:
    """SHA-256 over ids, texts and paragraphs of the candidates, in order."""
    digest = hashlib.sha256()
    for candidate in data.candidates:
        row = [candidate.id, candidate.text, candidate.paragraph]
        digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Check that an index can be saved there, before anything is computed.

    Raises:
        UsageError: something else is there, or an index that is not to be replaced.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} exists and is no saved index", remedy="name a new folder")
    if folder.exists() and not overwrite:
        raise UsageError(f"{folder} holds an index already", remedy="name a new folder, or give --overwrite")


def save_index(
    folder: Path,
    indexed: Indexed,
    data: TaskData,
    encoder: BoundEncoder,
    *,
    task_file: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write `<language>.faiss`, `<language>.ids.txt` and `index.json` into `folder`, all or nothing.

    The texts are not written: they are under the licence of the data, and read again from there.

    Args:
        folder: where.
        indexed: the indices.
        data: the task they were made from.
        encoder: what encoded it.
        task_file: the task's file, None for a shipped task.
        overwrite: replace an index that is there.

    Raises:
        UsageError: see `check_place`.
        SavedIndexError: the folder cannot be written.
    """
    check_place(folder, overwrite=overwrite)
    edges = np.append(0, np.cumsum(data.column_sizes))
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
        files = {}
        for m, (code, index) in enumerate(indexed.indices.items()):
            to_bytes(index).tofile(temporary / f"{code}.faiss")
            ids = [candidate.id for candidate in data.candidates[edges[m] : edges[m + 1]]]
            (temporary / f"{code}.ids.txt").write_text("\n".join(ids) + "\n", encoding="utf-8", newline="\n")
            files[code] = SavedFiles(
                index=sha256_of(temporary / f"{code}.faiss"), ids=sha256_of(temporary / f"{code}.ids.txt")
            )
        manifest = _manifest(indexed, data, encoder, files, task_file)
        text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"
        (temporary / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
        temporary.chmod(0o755)
        _move(temporary, folder)
    except OSError as error:
        raise SavedIndexError(
            f"cannot write the index {folder}: {error.strerror or error}",
            remedy="free space there, or name a folder that can be written",
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _move(new: Path, folder: Path) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    folder.rename(old / "was")
    try:
        new.rename(folder)
    except OSError:
        (old / "was").rename(folder)
        raise
    finally:
        with suppress(OSError):
            shutil.rmtree(old)


def _manifest(
    indexed: Indexed, data: TaskData, encoder: BoundEncoder, files: dict[str, SavedFiles], task_file: Path | None
) -> Manifest:
    from dataclasses import asdict

    plain = asdict(type(encoder.options)())
    given = asdict(encoder.options)
    languages, limit = data.partial.get("languages"), data.partial.get("limit")
    return Manifest(
        format="xqr-bench index 1",
        task=SavedTask(
            name=data.name,
            file=None if task_file is None else str(task_file.resolve()),
            languages=list(languages) if isinstance(languages, list) else None,
            limit=limit if isinstance(limit, int) else None,
            digest=task_digest(data),
        ),
        encoder=SavedEncoder(
            model=encoder.source,
            options={name: v for name, v in given.items() if v != plain[name] and name not in _WITHOUT_EFFECT},
            identity=encoder.identity,
        ),
        similarity="cosine" if indexed.similarity == "cosine" else "dot",
        facts=indexed.facts,
        files=files,
    )


def read_manifest(folder: Path) -> Manifest:
    """Read what a saved index is.

    Raises:
        SavedIndexError: there is no index, or its manifest cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        what = "holds no index" if folder.is_dir() else "does not exist"
        inside = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) if folder.is_dir() else None
        raise SavedIndexError(
            f"{folder} {what}", found=inside or None, remedy="name a folder that --save-index wrote, or " + AGAIN
        )
    try:
        content = strict_json.read(path)
    except (OSError, ValueError) as error:
        raise SavedIndexError(f"{path} is damaged: {error}", remedy=AGAIN) from error
    written = content.get("format") if isinstance(content, dict) else None
    if written != FORMAT:
        raise SavedIndexError(
            f"{path} is not of the format {FORMAT!r}", found=repr(written), remedy="update xqr-bench, or " + AGAIN
        )
    try:
        return strict_json.validate(Manifest, content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SavedIndexError(f"{path} is damaged: {where}: {first['msg']}", remedy=AGAIN) from error


def read_language(folder: Path, manifest: Manifest, language: str) -> tuple[Any, list[str]]:
    """The FAISS index of a language and the ids of its places.

    Raises:
        SavedIndexError: a file is missing, is not the one that was written, or cannot be read by this FAISS.
    """
    saved = manifest.files[language]
    index_path, ids_path = folder / f"{language}.faiss", folder / f"{language}.ids.txt"
    for path, digest in ((index_path, saved.index), (ids_path, saved.ids)):
        if not path.is_file():
            raise SavedIndexError(f"the index {folder} lacks {path.name}", remedy=AGAIN)
        found = sha256_of(path)
        if found != digest:
            raise SavedIndexError(
                f"{path} is damaged: it is not the file that was written",
                found=f"SHA-256 {found[:12]}…, {MANIFEST} says {digest[:12]}…",
                remedy=AGAIN,
            )
    try:
        index = from_bytes(np.fromfile(index_path, dtype=np.uint8))
    except RuntimeError as error:  # what FAISS raises
        raise SavedIndexError(
            f"{index_path} cannot be read by this version of FAISS",
            found=f"{str(error).splitlines()[-1]} (written by FAISS {manifest.facts.faiss})",
            remedy=AGAIN,
        ) from error
    ids = ids_path.read_text(encoding="utf-8").splitlines()
    if index.ntotal != len(ids):
        raise SavedIndexError(f"{index_path} holds {index.ntotal:,} vectors for {len(ids):,} ids", remedy=AGAIN)
    return index, ids
