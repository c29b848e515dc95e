"""A question -> the best candidates of a saved index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.data import TaskSpec, load_task
from xqr_bench.data.catalog import load_shipped
from xqr_bench.encode import BoundEncoder, EncoderOptions, ModelIdentity, load_encoder
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.checks import check_values
from xqr_bench.encode.trust import options_from_file, refuse_code
from xqr_bench.errors import SavedIndexError, UnknownNameError, UsageError
from xqr_bench.search.index.build import search_index
from xqr_bench.search.index.store import AGAIN, Manifest, read_language, read_manifest, task_digest
from xqr_bench.search.product import unit_vectors


@dataclass(frozen=True, slots=True)
class Found:
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
        trust_remote_code: let code that comes with a hub model run; an index cannot ask for it.
        model_kwargs: arguments for the model, in place of those that the index names.

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
        trust_remote_code: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(self.folder)
        self._texts = self._read_texts(task, data_dir)
        self._user = EncoderOptions(trust_remote_code=trust_remote_code, model_kwargs=model_kwargs or {})
        self._indices: dict[str, tuple[Any, list[str]]] = {}
        self._given = isinstance(encoder, BoundEncoder)
        self.encoder = self._load(encoder)

    @property
    def languages(self) -> tuple[str, ...]:
        """The candidate languages, in the order of the pool."""
        return tuple(self.manifest.files)

    def search(self, question: str, k: int = 10, languages: Sequence[str] | None = None) -> list[Found]:
        """The k best candidates for a question, best first; equal scores in the order of the pool.

        Args:
            question: in any language.
            k: at most so many.
            languages: only candidates of these.

        Raises:
            UsageError: an empty question, k below 1, or a language the index does not have.
            EncoderError: the question cannot be encoded.
        """
        if not question.strip():
            raise UsageError("the question is empty", remedy="ask something")
        if k < 1:
            raise UsageError(f"k cannot be {k}", remedy="ask for at least one candidate")
        for code in languages or ():
            if code not in self.manifest.files:
                raise UnknownNameError(f"language of the index {self.folder}", code, self.languages)
        vector = self._encode(question)
        hits: list[tuple[float, str, str]] = []
        for code in self.languages:
            if languages is not None and code not in languages:
                continue
            if code not in self._indices:
                self._indices[code] = read_language(self.folder, self.manifest, code)
            index, ids = self._indices[code]
            if index.d != vector.shape[1]:
                raise self._another_encoder([f"{index.d} columns in the index, {vector.shape[1]} now"])
            scores, places = search_index(index, vector, k)
            hits += [(float(s), code, ids[p]) for s, p in zip(scores[0], places[0], strict=True) if p >= 0]
        hits.sort(key=lambda hit: -hit[0])
        return [
            Found(rank, score, code, id_, self._texts[id_]) for rank, (score, code, id_) in enumerate(hits[:k], start=1)
        ]

    def close(self) -> None:
        """Release the encoder, unless it was given ready to use."""
        if not self._given:
            self.encoder.close()

    def _encode(self, question: str) -> Any:
        vector = self.encoder.encode_queries([question])
        check_values(vector, self.encoder.name, lambda _: f"the question {question!r}", allow_zero=False)
        return unit_vectors(vector) if self.manifest.similarity == "cosine" else np.ascontiguousarray(vector)

    def _read_texts(self, task: str | Path | TaskSpec | None, data_dir: Path | str | None) -> dict[str, str]:
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
        return {candidate.id: candidate.text for candidate in data.candidates}

    def _load(self, encoder: object | None) -> TextEncoder:
        saved = self.manifest.encoder
        if saved.identity.kind == "precomputed":
            raise SavedIndexError(
                f"the index {self.folder} holds precomputed vectors: there is no encoder to encode a question with",
                found=f"made from {saved.model}",
                remedy="make it with the model itself: xqr-bench evaluate MODEL --index TYPE --save-index DIR",
            )
        if encoder is None and saved.model is None:
            raise SavedIndexError(
                f"the index {self.folder} was made by an encoder without a MODEL string: {saved.identity.name}",
                remedy="give the encoder: --model MODEL",
            )
        if encoder is None and saved.model is not None:
            refuse_code(saved.model, f"the index {self.folder}")
        bound = encoder if isinstance(encoder, BoundEncoder) else load_encoder(encoder or saved.model, self._options())
        changed = _differences(saved.identity, bound.identity)
        if changed:
            raise self._another_encoder(changed)
        if not isinstance(bound, TextEncoder):
            raise SavedIndexError(f"{bound.name} cannot encode a question", remedy="give a model: --model MODEL")
        return bound

    def _options(self) -> EncoderOptions:
        known = {field.name for field in fields(EncoderOptions)}
        identity = self.manifest.encoder.identity
        strange = sorted(set(self.manifest.encoder.options) - known)
        if strange:
            raise SavedIndexError(
                f"the index {self.folder} was made with encoder options that this version does not have",
                found=", ".join(strange),
                remedy="update xqr-bench, or " + AGAIN,
            )
        options = dict(self.manifest.encoder.options)
        if identity.kind == "sentence-transformers" and identity.revision is not None:
            options["revision"] = identity.revision  # a hub model: the commit whose vectors the index holds
        return options_from_file(options, self._user, f"the index {self.folder}")

    def _another_encoder(self, changed: list[str]) -> SavedIndexError:
        return SavedIndexError(
            f"the index {self.folder} was made with another encoder",
            found="; ".join(changed),
            remedy=f"name the encoder it was made with by --model, or {AGAIN}",
        )


def _differences(then: ModelIdentity, now: ModelIdentity) -> list[str]:
    """What differs, apart from the dimensions, which are known only after a text was encoded."""

    def short(value: object) -> str:
        return f"{value[:12]}…" if isinstance(value, str) and len(value) > 40 else str(value)

    return [
        f"{name} {short(value)} in the index, {short(getattr(now, name))} now"
        for name, value in then
        if name != "dimensions" and value != getattr(now, name)
    ]
