"""FAISS indices kept on disk, and searched by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from xqr_bench.core import strict_json
from xqr_bench.core.errors import SavedIndexError, UnknownNameError, UsageError, XqrBenchError
from xqr_bench.core.files import (
    atomic_path,
    is_left_behind,
    now_at,
    put_in_place,
    refuse_unwritable,
    sha256_of,
    waiting_place,
    write_text,
)
from xqr_bench.core.printable import has_text
from xqr_bench.core.types import Candidate, TaskData
from xqr_bench.encode import BoundEncoder, EncoderOptions, ModelIdentity, load_encoder
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.checks import check_values
from xqr_bench.encode.trust import options_from_file, refuse_code
from xqr_bench.rank.index import Indexed, IndexFacts, from_bytes, search_index, to_bytes
from xqr_bench.rank.product import unit_vectors
from xqr_bench.tasks import TaskSpec, load_task
from xqr_bench.tasks.find import load_shipped

# Indices on disk: a folder with one FAISS file per language, the ids, and what they belong to.

FORMAT = "xqr-bench index 1"
MANIFEST = "index.json"
AGAIN = "make the index again: xqr-bench evaluate MODEL --index TYPE --save-index DIR"
# options of an encoder that say where and how fast it runs, and change no vector
_WITHOUT_EFFECT = ("device", "batch_size", "token_budget")


class SavedTask(BaseModel, extra="forbid"):
    """The data the candidates came from; the texts themselves stay there."""

    name: str
    file: str | None = Field(description="the task file; null: a task that ships with xqr-bench")
    languages: list[str] | None = Field(description="the languages it was restricted to")
    limit: int | None = Field(description="the questions it was restricted to")
    digest: str = Field(description="SHA-256 over ids, texts and contexts of the candidates")


class SavedEncoder(BaseModel, extra="forbid"):
    """The encoder whose vectors the index holds."""

    model: str | None = Field(description="the MODEL string; null: it was an object in Python")
    options: dict[str, Any] = Field(description="options it was loaded with, where they are not the defaults")
    identity: ModelIdentity


class SavedFiles(BaseModel, extra="forbid"):
    """The files of one language, by their digests."""

    index: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of <language>.faiss")
    ids: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of <language>.ids.txt")


class Manifest(BaseModel, extra="forbid"):
    """`index.json`."""

    format: Literal["xqr-bench index 1"]
    task: SavedTask
    encoder: SavedEncoder
    similarity: Literal["cosine", "dot"] = Field(description="cosine: bring vectors to unit length first")
    facts: IndexFacts
    files: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], SavedFiles] = Field(
        description="language -> its files, in the order of the pool"
    )


def task_digest(data: TaskData) -> str:
    """SHA-256 over ids, texts and contexts of the candidates, in order."""
    digest = hashlib.sha256()
    for candidate in data.candidates:
        row = [candidate.id, candidate.text, candidate.context]
        digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Check that an index can be saved there, before anything is computed.

    Raises:
        UsageError: something else is there, or an index that is not to be replaced.
        XqrBenchError: the folder that it is to stand in cannot be made or written.
    """
    refuse_unwritable(folder, folder=True)
    if not folder.exists() or (folder.is_dir() and all(map(is_left_behind, folder.iterdir()))):
        return
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} exists and is no saved index", remedy="name a new folder")
    if not overwrite:
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

    An index that is there is replaced by one renaming, of `index.json`; until then the new files wait beside the old.

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
    waiting: list[Path] = []

    def digest(name: str, content: bytes | memoryview) -> str:
        """Of a file, which waits until the manifest is written."""
        made = hashlib.sha256(content).hexdigest()
        waiting.append(waiting_place(folder / name, made))
        with atomic_path(waiting[-1]) as temporary:
            temporary.write_bytes(content)
        return made

    try:
        files = {}
        for code, first, stop in zip(data.languages, data.edges[:-1], data.edges[1:], strict=True):
            ids = _ids_text(candidate.id for candidate in data.candidates[first:stop])
            files[code] = SavedFiles(
                index=digest(f"{code}.faiss", to_bytes(indexed.indices[code]).data),
                ids=digest(f"{code}.ids.txt", ids.encode()),
            )
        manifest = _manifest(indexed, data, encoder, files, task_file)
        write_text(folder / MANIFEST, json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n")
    except XqrBenchError as error:
        for path in waiting:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it holds other files
            folder.rmdir()
        raise SavedIndexError(f"cannot write the index {folder}: {error.problem}", remedy=error.remedy) from error
    digests = {f"{code}.faiss": saved.index for code, saved in files.items()}
    digests |= {f"{code}.ids.txt": saved.ids for code, saved in files.items()}
    with suppress(OSError):  # they are found where they wait
        of_before = [path.name for path in folder.iterdir() if path.name.endswith((".faiss", ".ids.txt"))]
        for name in {*digests, *of_before}:
            put_in_place(folder / name, digests.get(name))
    return folder


def _manifest(
    indexed: Indexed, data: TaskData, encoder: BoundEncoder, files: dict[str, SavedFiles], task_file: Path | None
) -> Manifest:
    defaults = asdict(EncoderOptions())
    options = {
        name: value
        for name, value in asdict(encoder.options).items()
        if value != defaults[name] and name not in _WITHOUT_EFFECT
    }
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
        encoder=SavedEncoder(model=encoder.source, options=options, identity=encoder.identity),
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
        inside = sorted(entry.name for entry in folder.iterdir())[:8] if folder.is_dir() else []
        raise SavedIndexError(
            f"{folder} {'holds no index' if folder.is_dir() else 'does not exist'}",
            found=", ".join(inside),
            remedy="name a folder that --save-index wrote, or " + AGAIN,
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
        raise SavedIndexError(f"{path} is damaged: {strict_json.first_fault(error)}", remedy=AGAIN) from error


@contextmanager
def _faiss_reads(path: Path, manifest: Manifest) -> Iterator[None]:
    """What FAISS raises, when it reads or searches an index, is a SavedIndexError."""
    try:
        yield
    except RuntimeError as error:
        raise SavedIndexError(
            f"{path} cannot be read by this version of FAISS",
            found=f"{str(error).splitlines()[-1]} (written by FAISS {manifest.facts.faiss})",
            remedy=AGAIN,
        ) from error


def _ids_text(ids: Iterable[str]) -> str:
    return "".join(f"{id_}\n" for id_ in ids)


def read_language(folder: Path, manifest: Manifest, language: str, ids: Sequence[str]) -> Any:
    """The FAISS index of a language.

    Args:
        folder: of the index.
        manifest: what it says of itself.
        language: which.
        ids: of the task's candidates in this language, in order; those of the index must be the same.

    Raises:
        SavedIndexError: a file is missing, is not the one that was written, or cannot be read by this FAISS; or the
            index is not of these candidates.
    """
    saved = manifest.files[language]
    index_path, ids_path = (
        now_at(folder / f"{language}.faiss", saved.index),
        now_at(folder / f"{language}.ids.txt", saved.ids),
    )
    for path, digest in ((index_path, saved.index), (ids_path, saved.ids)):
        if not path.is_file():
            raise SavedIndexError(f"the index {folder} lacks {path.name}", remedy=AGAIN)
        if (digest_now := sha256_of(path)) != digest:
            raise SavedIndexError(
                f"{path} is damaged: it is not the file that was written",
                found=f"SHA-256 {digest_now[:12]}…, {MANIFEST} says {digest[:12]}…",
                remedy=AGAIN,
            )
    if saved.ids != hashlib.sha256(_ids_text(ids).encode()).hexdigest():
        raise SavedIndexError(f"{ids_path} holds other ids than those of {manifest.task.name}", remedy=AGAIN)
    with _faiss_reads(index_path, manifest):
        index = from_bytes(np.fromfile(index_path, dtype=np.uint8))
    if index.ntotal != len(ids):
        raise SavedIndexError(f"{index_path} holds {index.ntotal:,} vectors for {len(ids):,} candidates", remedy=AGAIN)
    return index


# A question -> the best candidates of a saved index.


@dataclass(frozen=True, slots=True)
class Answer:
    """One candidate of an answer; ranks count from 1 over all languages asked for."""

    rank: int
    score: float
    language: str
    id: str
    text: str


class IndexSearcher:
    """A saved index with the encoder and the texts that belong to it.

    Args:
        folder: what `save_index` wrote.
        encoder: a MODEL string, an encoder, or None: the one the index names.
        task: a task's name, file or spec; None: the shipped one that the index names.
        data_dir: folder with the data files.
        options: leave to run code that comes with a hub model, which an index cannot ask for, and arguments for the
            model in place of those that the index names.

    Raises:
        SavedIndexError: no index, a damaged one, or one of another encoder or other data.
        XqrBenchError: the encoder or the data cannot be loaded.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        encoder: object | None = None,
        task: str | Path | TaskSpec | None = None,
        data_dir: Path | str | None = None,
        options: EncoderOptions | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(self.folder)
        self._candidates = self._read_candidates(task, data_dir)
        self._indices: dict[str, Any] = {}
        self._given = isinstance(encoder, BoundEncoder)
        self.encoder = self._load(encoder, options or EncoderOptions())

    @property
    def languages(self) -> tuple[str, ...]:
        """The candidate languages, in the order of the pool."""
        return tuple(self.manifest.files)

    def search(self, question: str, k: int = 10, languages: Sequence[str] | None = None) -> list[Answer]:
        """The k best candidates for a question, best first; equal scores in the order of the pool.

        Args:
            question: in any language.
            k: at most so many.
            languages: only candidates of these.

        Raises:
            UsageError: an empty question, k below 1, or a language the index does not have.
            EncoderError: the question cannot be encoded.
        """
        if not has_text(question):
            raise UsageError("the question is empty", remedy="ask something")
        if k < 1:
            raise UsageError(f"k cannot be {k}", remedy="ask for at least one candidate")
        for code in languages or ():
            if code not in self.manifest.files:
                raise UnknownNameError(f"language of the index {self.folder}", code, self.languages)
        vector = self.encoder.encode_queries([question])
        check_values(vector, self.encoder.name, lambda _: f"the question {question!r}", allow_zero=False)
        if self.manifest.similarity == "cosine":
            vector = unit_vectors(vector)
        hits: list[tuple[float, Candidate]] = []
        for code, candidates in self._candidates.items():
            if languages is not None and code not in languages:
                continue
            if code not in self._indices:
                ids = [candidate.id for candidate in candidates]
                self._indices[code] = read_language(self.folder, self.manifest, code, ids)
            index = self._indices[code]
            if index.d != vector.shape[1]:
                raise self._another_encoder(f"{index.d} columns in the index, {vector.shape[1]} now")
            with _faiss_reads(self.folder / f"{code}.faiss", self.manifest):
                of_one, places = search_index(index, vector, k)
            hit = places[0] >= 0
            if not np.isfinite(of_one[0][hit]).all() or (places >= len(candidates)).any():
                raise SavedIndexError(f"{self.folder / code}.faiss holds numbers that are no vectors", remedy=AGAIN)
            hits += [(float(s), candidates[p]) for s, p in zip(of_one[0][hit], places[0][hit], strict=True)]
        hits.sort(key=lambda hit: -hit[0])
        return [
            Answer(rank, score, candidate.language, candidate.id, candidate.text)
            for rank, (score, candidate) in enumerate(hits[:k], start=1)
        ]

    def close(self) -> None:
        """Release the encoder, unless it was given ready to use."""
        if not self._given:
            self.encoder.close()

    def _read_candidates(
        self, task: str | Path | TaskSpec | None, data_dir: Path | str | None
    ) -> dict[str, Sequence[Candidate]]:
        """The candidates of each language, whose texts an index does not hold."""
        saved = self.manifest.task
        if task is None and saved.file is not None:
            raise UsageError(
                f"the index {self.folder} was made from a task file, which is read only when you name it",
                found=saved.file,
                remedy="look at the file, then name it: --task FILE",
            )
        chosen = load_shipped(saved.name, f"the index {self.folder}") if task is None else task
        data = load_task(chosen, data_dir=data_dir, languages=saved.languages, limit=saved.limit)
        if data.name != saved.name:
            raise SavedIndexError(
                f"the index {self.folder} is not of the task {data.name}",
                found=f"it was made from {saved.name}",
                remedy=f"leave out --task, or name the file of {saved.name}",
            )
        digest = task_digest(data)
        if digest != saved.digest:
            raise SavedIndexError(
                f"the index {self.folder} was made from other data of {saved.name}",
                found=f"candidates with the digest {digest[:12]}…, the index has {saved.digest[:12]}…",
                remedy=f"name the folder of that data with --data-dir, or {AGAIN}",
            )
        if self.languages != data.languages:
            raise SavedIndexError(
                f"{self.folder / MANIFEST} is damaged: its files are not of the languages of {saved.name}",
                found=", ".join(self.languages),
                remedy=AGAIN,
            )
        ends = zip(data.languages, data.edges[:-1], data.edges[1:], strict=True)
        return {code: data.candidates[first:stop] for code, first, stop in ends}

    def _load(self, encoder: object | None, user: EncoderOptions) -> TextEncoder:
        saved, origin = self.manifest.encoder, f"the index {self.folder}"
        if saved.identity.kind == "precomputed":
            raise SavedIndexError(
                f"{origin} holds precomputed vectors: there is no encoder to encode a question with",
                found=f"made from {saved.model}",
                remedy="make it with the model itself: xqr-bench evaluate MODEL --index TYPE --save-index DIR",
            )
        if encoder is None or (isinstance(encoder, str) and not encoder):  # an empty name is none, and allows nothing
            if saved.model is None:
                raise SavedIndexError(
                    f"{origin} was made by an encoder without a MODEL string: {saved.identity.name}",
                    remedy="give the encoder: --model MODEL",
                )
            refuse_code(saved.model, origin)
            encoder = saved.model
        bound = encoder if isinstance(encoder, BoundEncoder) else load_encoder(encoder, self._options(user))
        changed = [
            f"{name} {_short(then)} in the index, {_short(now)} now"
            for name, then in saved.identity
            # the dimensions are known only after a text was encoded
            if name != "dimensions" and then != (now := getattr(bound.identity, name))
        ]
        if changed:
            raise self._another_encoder("; ".join(changed))
        if not isinstance(bound, TextEncoder):
            raise SavedIndexError(f"{bound.name} cannot encode a question", remedy="give a model: --model MODEL")
        return bound

    def _options(self, user: EncoderOptions) -> EncoderOptions:
        """What the encoder is loaded with: the options that the index names, and the user's own."""
        saved = self.manifest.encoder
        strange = sorted(set(saved.options) - {field.name for field in fields(EncoderOptions)})
        if strange:
            raise SavedIndexError(
                f"the index {self.folder} was made with encoder options that this version does not have",
                found=", ".join(strange),
                remedy="update xqr-bench, or " + AGAIN,
            )
        options = dict(saved.options)
        if saved.identity.kind in ("sentence-transformers", "mteb") and saved.identity.revision is not None:
            options["revision"] = saved.identity.revision  # a hub model: the commit whose vectors the index holds
        return options_from_file(options, user, f"the index {self.folder}")

    def _another_encoder(self, changes: str) -> SavedIndexError:
        return SavedIndexError(
            f"the index {self.folder} was made with another encoder",
            found=changes,
            remedy=f"name the encoder it was made with by --model, or {AGAIN}",
        )


def _short(value: object) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 40 else str(value)
