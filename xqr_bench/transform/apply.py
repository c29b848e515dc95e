"""Vectors of a task -> the same vectors with each language's own part taken away."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from xqr_bench.encode import Embeddings
from xqr_bench.errors import EncoderError, UsageError
from xqr_bench.transform.maps import Map, estimate
from xqr_bench.transform.options import Bitext, RoleCounts, RoleShares, TransformFacts, TransformOptions
from xqr_bench.types import Candidate, FloatArray, Query, TaskData

Vectors = NDArray[np.float32]
OWN_TEXTS = "the task's own texts, without their labels (transductive)"


@dataclass(frozen=True)
class Source:
    """What a transform is estimated on, where it is not the task itself."""

    data: TaskData
    vectors: Embeddings


@dataclass(frozen=True)
class Transformed:
    """The vectors to rank, what a record says of them, and what a user should read."""

    vectors: Embeddings
    facts: TransformFacts
    warnings: tuple[str, ...]


def transform_vectors(
    data: TaskData,
    vectors: Embeddings,
    options: TransformOptions,
    *,
    similarity: str = "cosine",
    source: Source | None = None,
) -> Transformed:
    """Transform the vectors of each language, queries and candidates apart.

    With cosine, vectors are scaled to length 1 first, so that long ones do not outweigh the others in the estimate;
    with dot products they are taken as they are. Vectors of only zeros are left out of the estimate and stay zeros.
    Equal vectors of a language stay equal. All is computed in float64 by one thread and rounded to float32 at the end.

    Args:
        data: the task.
        vectors: its vectors; not changed.
        options: which transform.
        similarity: "cosine" or "dot".
        source: what to estimate on; default: the task's own vectors.

    Raises:
        UsageError: `remove-k` would remove all there is of a language.
        EncoderError: a language has only zeros, or the vectors have other columns than those of the source.
    """
    basis = source or Source(data, vectors)
    if basis.vectors.dimensions != vectors.dimensions:
        raise EncoderError(
            f"the vectors of {basis.data.name} and of {data.name} have different dimensions",
            found=f"{basis.vectors.dimensions} and {vectors.dimensions} columns",
            remedy="make both with one encoder",
        )
    unit = similarity == "cosine"
    results: dict[str, Vectors] = {}
    counts: dict[str, dict[str, int]] = {}
    shrinkage: dict[str, dict[str, float]] = {}
    lost: dict[str, dict[str, int]] = {}
    warnings: list[str] = []
    with threadpool_limits(1, user_api="blas"):  # the last bits of an eigenvector depend on the number of threads
        for role in ("queries", "candidates"):
            own, other = _of(vectors, role), _of(basis.vectors, role)
            languages, other_languages = _languages(getattr(data, role)), _languages(getattr(basis.data, role))
            result = np.zeros(own.shape, dtype=np.float32)
            for code in data.languages:
                rows = np.flatnonzero(languages == code)
                if not len(rows):
                    continue
                estimated_on = _ready(other[other_languages == code], unit)
                estimated_on = estimated_on[estimated_on.any(axis=1)]
                _refuse_few(estimated_on, options, code, role, basis.data.name)
                found = estimate(options.name, options.directions, estimated_on)
                before = _ready(own[rows], unit)
                after = found.apply(before)
                result[rows] = after
                counts.setdefault(code, {"queries": 0, "candidates": 0})[role] = len(estimated_on)
                gone = int((before.any(axis=1) & ~after.any(axis=1)).sum())
                if gone:
                    lost.setdefault(code, {"queries": 0, "candidates": 0})[role] = gone
                if found.shrinkage is not None:
                    shrinkage.setdefault(code, {"queries": 0.0, "candidates": 0.0})[role] = found.shrinkage
                warnings += _arbitrary(found, options, code, role)
            if not np.isfinite(result).all():
                raise EncoderError(
                    f"{options.name} makes vectors of {data.name} that are not finite in float32",
                    remedy="check the encoder: its vectors hardly vary, or are huge",
                )
            results[role] = result
    if lost:
        listing = ", ".join(f"{code} {found['queries']} + {found['candidates']}" for code, found in lost.items())
        warnings.append(
            f"{options.name} left nothing of some vectors (queries + candidates: {listing}): they consisted of what "
            "their language shares, and score 0"
        )
    facts = TransformFacts(
        name=options.name,
        removed_directions=options.directions,
        transductive=source is None,
        source=OWN_TEXTS if source is None else f"the translated sentences {source.data.name}",
        bitext=None if source is None else _bitext(source.data),
        unit_length=unit,
        dimensions=vectors.dimensions,
        estimated_on={code: RoleCounts(**found) for code, found in counts.items()},
        shrinkage={code: RoleShares(**found) for code, found in shrinkage.items()} or None,
        without_direction={code: RoleCounts(**found) for code, found in lost.items()},
    )
    made = replace(vectors, queries=results["queries"], candidates=results["candidates"])
    return Transformed(made, facts, tuple(warnings))


def digest_of(data: TaskData) -> str:
    """SHA-256 over the names and digests of the files of a bitext."""
    return hashlib.sha256("".join(f"{n} {data.files[n]}\n" for n in sorted(data.files)).encode()).hexdigest()


def _bitext(data: TaskData) -> Bitext:
    return Bitext(name=data.name, digest=digest_of(data), files=dict(data.files))


def _of(vectors: Embeddings, role: str) -> Vectors:
    return vectors.queries if role == "queries" else vectors.candidates


def _languages(items: Sequence[Query | Candidate]) -> NDArray[np.str_]:
    return np.array([item.language for item in items], dtype=np.str_)


def _ready(vectors: Vectors, unit: bool) -> FloatArray:
    """float64 `[n, d]`, scaled to length 1 where that is asked for; zero rows stay zero."""
    wide = vectors.astype(np.float64)
    if unit:
        lengths = np.linalg.norm(wide, axis=1)
        wide /= np.where(lengths == 0.0, 1.0, lengths)[:, None]
    return wide


def _refuse_few(vectors: FloatArray, options: TransformOptions, code: str, role: str, name: str) -> None:
    if not len(vectors):
        raise EncoderError(
            f"{options.name} has nothing to go by: all {role} of {code} in {name} have vectors of only zeros",
            remedy="look at the encoder in this language, or leave the language out with --languages",
        )
    if options.directions is not None and options.directions >= min(vectors.shape):
        raise UsageError(
            f"{options.name} would remove all there is of {code}",
            found=f"{len(vectors)} vectors of {vectors.shape[1]} dimensions as {role} in {name}",
            remedy=f"remove at most {min(vectors.shape) - 1} directions" if min(vectors.shape) > 1 else "use center",
        )


def _arbitrary(found: Map, options: TransformOptions, code: str, role: str) -> list[str]:
    if not found.arbitrary:
        return []
    k = options.directions
    return [
        f"{options.name}: direction {k} of the {role} of {code} is exactly as strong as the next one; which of them is "
        "removed is arbitrary"
    ]
