"""Between encoding and ranking: each language's own part of the vectors taken away (docs/transforms.md)."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt
from threadpoolctl import threadpool_limits

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import EncoderError, UnknownNameError, UsageError
from xqr_bench.core.files import followed
from xqr_bench.core.mapped import Room, in_parts, release
from xqr_bench.core.observe import Clock
from xqr_bench.core.types import Candidate, FloatArray, Query, TaskData
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.texts import Embedder, Embeddings
from xqr_bench.tasks.assemble import read_bitext

NONE, CENTER, WHITEN, REMOVE = "none", "center", "whiten", "remove"
NAMES = (NONE, CENTER, WHITEN, f"{REMOVE}-1", f"{REMOVE}-3")
_REMOVE = re.compile(rf"{REMOVE}-(\d+)", re.ASCII)


@checked
@dataclass(frozen=True)
class TransformOptions:
    """A transform of vectors, and what it is estimated on.

    Attributes:
        name: `center`, `whiten`, or `remove-k` with a whole number k of at least 1.
        source: a folder of translated sentences (`data.bitext`); None: the texts of the task itself.

    Raises:
        UnknownNameError: there is no such transform.
        UsageError: a number that cannot be meant.
    """

    name: str
    source: Path | None = None

    def __post_init__(self) -> None:
        if self.name in (CENTER, WHITEN):
            return
        match = _REMOVE.fullmatch(self.name)
        if match is None:
            raise UnknownNameError(
                "transform", self.name, NAMES, remedy="use none, center, whiten, or remove-k with a number, as remove-3"
            )
        if int(match[1]) < 1 or match[1] != str(int(match[1])):
            raise UsageError(f"the transform {self.name} removes nothing", remedy="use remove-1 or more, or none")

    @classmethod
    def parse(cls, name: str | None, source: Path | str | None = None) -> TransformOptions | None:
        """The transform that is asked for; None for `none` or None.

        Raises:
            UsageError: as the class itself; a source without a transform.
        """
        folder = None if source is None else Path(source).expanduser()
        if name is None or name == NONE:
            if folder is not None:
                raise UsageError(
                    "--transform-from is given without a transform", remedy="say which: --transform center"
                )
            return None
        return cls(name, folder)

    @property
    def directions(self) -> int | None:
        """How many directions `remove-k` takes away; None for the others."""
        match = _REMOVE.fullmatch(self.name)
        return None if match is None else int(match[1])

    def bitext_digest(self, languages: Sequence[str]) -> str | None:
        """SHA-256 of the translated sentences in these languages as they are now; None without a source."""
        return None if self.source is None else digest_of(read_bitext(self.source, languages))

    @property
    def suffix(self) -> str:
        """What the record's model is called beside the encoder: `+center`, `+remove-3`, `+center-from-ntrex`."""
        return f"+{self.name}" + (f"-from-{followed(self.source).name}" if self.source is not None else "")


class Bitext(BaseModel):
    """The translated sentences a transform was estimated on."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="of the folder")
    digest: str = Field(description="SHA-256 over the names and digests of its files")
    files: dict[str, str] = Field(description="file -> SHA-256")


Share = Annotated[float, Field(ge=0, le=1)]


class RoleCounts(BaseModel):
    """A number for the queries and one for the candidates of a language."""

    model_config = ConfigDict(extra="forbid")

    queries: NonNegativeInt
    candidates: NonNegativeInt


class RoleShares(BaseModel):
    """A share for the queries and one for the candidates of a language."""

    model_config = ConfigDict(extra="forbid")

    queries: Share
    candidates: Share


class TransformFacts(BaseModel):
    """What was done to the vectors of a record before they were ranked, language by language and role by role."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="center, whiten or remove-k (docs/transforms.md)")
    removed_directions: PositiveInt | None = Field(default=None, description="k of remove-k")
    transductive: bool = Field(description="true: estimated on the very texts that are ranked, without their labels")
    source: str = Field(description="what it was estimated on, in words")
    bitext: Bitext | None = Field(default=None, description="absent: the task's own texts")
    unit_length: bool = Field(description="whether vectors were scaled to length 1 first (cosine)")
    dimensions: PositiveInt
    estimated_on: dict[str, RoleCounts] = Field(description="language -> vectors behind the estimate, zero ones aside")
    shrinkage: dict[str, RoleShares] | None = Field(
        default=None, description="whiten: language -> weight of the multiple of the identity (Ledoit and Wolf 2004)"
    )
    without_direction: dict[str, RoleCounts] = Field(
        default_factory=dict,
        description="language -> vectors that only consisted of what was taken away; they are zero and score 0",
    )

    @property
    def label(self) -> str:
        """As a protocol is named: `center`, `center from ntrex`."""
        return self.name + (f" from {self.bitext.name}" if self.bitext is not None else "")


# The maps: estimated from vectors of one language, applied to vectors of that language.
#
# X has the n vectors of the estimate as rows, of d columns; m is their mean.
#
# - center:   y = x - m
# - remove-k: y = x - B B'x, where the columns of B are the first k right singular vectors of X *as it is*, not centred:
#             the directions that the vectors of the language share most. Yang, Yang, Cer & Darve 2021 ("A Simple and
#             Effective Method To Eliminate the Self Language Bias in Multilingual Representations").
# - whiten:   y = S^(-1/2) (x - m), the symmetric root (ZCA), S = (1 - a) C + a (tr C / d) I, C = (X - m)'(X - m) / n,
#             a after Ledoit & Wolf 2004 ("A well-conditioned estimator for large-dimensional covariance matrices").
#             Whitening of sentence vectors: Su et al. 2021, Huang et al. 2021. They rotate into the principal axes,
#             which would give every language axes of its own; the symmetric root stays nearest to the vectors as they
#             were (Kessy, Lewin & Strimmer 2018), as languages are whitened apart by Artetxe et al. 2018.
#
# Signs and order of singular vectors do not matter: they enter as B B' and as V f(e) V'.

NEGLIGIBLE = 1e-12
"""Eigenvalues below this share of the largest count as none."""
LEAST_RESIDUAL = 1e-6
"""What is left of a vector counts as nothing below this share of its length: float32 noise has no direction."""
EQUALLY_STRONG = 1e-9


@dataclass(frozen=True)
class Map:
    """y = rest * z + V (scales - rest) V'z with z = x - mean.

    Attributes:
        mean: float64 `[d]`.
        basis: V, orthonormal columns, float64 `[d, r]`.
        scales: factor along each column of V, float64 `[r]`.
        rest: factor across them.
        shrinkage: a of `whiten`.
        arbitrary: `remove-k`: the k-th direction is as strong as the next, so that either could be removed.
    """

    mean: FloatArray
    basis: FloatArray
    scales: FloatArray
    rest: float = 1.0
    shrinkage: float | None = None
    arbitrary: bool = False

    def apply(self, vectors: FloatArray) -> FloatArray:
        """float64 `[n, d]` -> float64 `[n, d]`; rows of zeros stay zeros, equal rows stay equal.

        A row of which nothing is left but rounding (LEAST_RESIDUAL) becomes zeros.
        """
        # a product does not always give equal rows equal bits: each distinct row goes through it once
        distinct, where = _distinct(vectors)
        z = distinct - self.mean
        inside = z @ self.basis
        result = self.rest * z + (inside * (self.scales - self.rest)) @ self.basis.T
        left = z if self.shrinkage is not None else result
        nothing = np.linalg.norm(left, axis=1) <= LEAST_RESIDUAL * np.linalg.norm(distinct, axis=1)
        result[nothing | ~distinct.any(axis=1)] = 0.0
        rows: FloatArray = result[where]
        return rows


def estimate(name: str, directions: int | None, vectors: FloatArray) -> Map:
    """The map of one language and role, from its vectors, float64 `[n, d]`, n at least 1, none of them zero."""
    n, d = vectors.shape
    none = np.empty((d, 0)), np.empty(0)
    if directions is not None:
        basis, arbitrary = _strongest(vectors, directions)
        return Map(np.zeros(d), basis, np.zeros(basis.shape[1]), arbitrary=arbitrary)
    mean = vectors.mean(axis=0)
    if name == CENTER:
        return Map(mean, *none)
    if name != WHITEN:
        raise ValueError(f"no such transform: {name}")
    centred = vectors - mean
    if np.linalg.norm(centred) <= LEAST_RESIDUAL * np.linalg.norm(vectors):
        return Map(mean, *none, rest=0.0, shrinkage=1.0)  # all vectors are the same: no covariance
    from sklearn.covariance import ledoit_wolf_shrinkage

    shrinkage = 1.0 if n == 1 else float(ledoit_wolf_shrinkage(centred, assume_centered=True))
    level = float(np.square(centred).sum()) / (n * d)
    variances, basis = _spectrum(centred)
    scales = 1.0 / np.sqrt((1.0 - shrinkage) * variances + shrinkage * level)
    # across all that varies, the shrunk covariance is that of the identity; without shrinkage there is nothing
    rest = 1.0 / math.sqrt(shrinkage * level) if shrinkage > 0 else 0.0
    return Map(mean, basis, scales, rest, shrinkage)


def _spectrum(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues float64 `[r]` of X'X / n that are not negligible, and their vectors float64 `[d, r]`."""
    n, d = centred.shape
    if d <= n:
        values, basis = np.linalg.eigh(centred.T @ centred / n)
    else:
        values, left = np.linalg.eigh(centred @ centred.T / n)
    varies = values > NEGLIGIBLE * values[-1]
    values = values[varies]
    if d <= n:
        return values, basis[:, varies]
    return values, centred.T @ (left[:, varies] / np.sqrt(n * values))


def _strongest(vectors: FloatArray, directions: int) -> tuple[FloatArray, bool]:
    """The first right singular vectors, float64 `[d, k]`, and whether the last is as strong as the next.

    Fewer than k where the vectors have no further direction.
    """
    from scipy.linalg import eigh

    n, d = vectors.shape
    gram = vectors.T @ vectors if d <= n else vectors @ vectors.T
    size = len(gram)
    wanted = min(directions + 1, size)
    values, basis = eigh(gram, subset_by_index=(size - wanted, size - 1))
    values, basis = values[::-1], basis[:, ::-1]
    there = values[:directions] > NEGLIGIBLE * values[0]
    basis = basis[:, :directions][:, there]
    if d > n:
        basis = vectors.T @ (basis / np.sqrt(values[:directions][there]))
    last = int(there.sum())
    next_ = values[last] if last < len(values) else 0.0
    arbitrary = last == directions and next_ > (1 - EQUALLY_STRONG) * values[last - 1]
    return basis, bool(arbitrary)


def _distinct(vectors: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """The distinct rows, and for each row which of them it is."""
    rows = np.ascontiguousarray(vectors + 0.0)  # -0.0 and 0.0 are equal but not the same bits
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, where = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], where.reshape(-1).astype(np.int64)


OWN_TEXTS = "the task's own texts, without their labels (transductive)"


@dataclass(frozen=True)
class TransformedEmbeddings(Embeddings):
    """Vectors of one task with each language's own part taken away.

    Attributes:
        encoded: the vectors before.
        facts: what a record says of the transform.
        warnings: what a user should read.
    """

    encoded: Embeddings
    facts: TransformFacts
    warnings: tuple[str, ...]


class Source(NamedTuple):
    """What a transform is estimated on."""

    data: TaskData
    vectors: Embeddings


class Transformed:
    """Takes each language's own part out of the vectors that an embedder gives (see `transform_vectors`)."""

    def __init__(
        self, embedder: Embedder, options: TransformOptions, similarity: str, memory: int | None = None
    ) -> None:
        self._memory = memory
        self._embedder = embedder
        self._options = options
        self._similarity = similarity

    def embed(self, tasks: Sequence[TaskData]) -> Iterator[TransformedEmbeddings]:
        """See Embedder.

        Raises:
            DataError: the folder of translated sentences cannot be read, or lacks a language.
            UsageError: it has the name of one of the tasks; or see `transform_vectors`.
            EncoderError: see `transform_vectors`.
        """
        folder = self._options.source
        # by the languages of a task: a line counts that has text in all of them, whatever else is asked for beside it
        bitexts: dict[tuple[str, ...], TaskData] = {}
        if folder is not None:
            bitexts = {task.all_languages: _read_source(folder, task.all_languages, tasks) for task in tasks}
        embedded = self._embedder.embed([*tasks, *bitexts.values()])
        sources: dict[tuple[str, ...], Source] = {}
        if bitexts:
            everything = list(embedded)
            embedded = iter(everything[: len(tasks)])
            of_bitexts = zip(bitexts.items(), everything[len(tasks) :], strict=True)
            sources = {languages: Source(bitext, vectors) for (languages, bitext), vectors in of_bitexts}
        for task, vectors in zip(tasks, embedded, strict=True):
            clock = Clock(dict(vectors.seconds))
            with clock.phase("transforming"):
                transformed = transform_vectors(
                    task,
                    vectors,
                    self._options,
                    similarity=self._similarity,
                    source=sources.get(task.all_languages),
                    memory=self._memory,
                )
            yield replace(transformed, seconds=clock.seconds)


def _read_source(folder: Path, languages: Sequence[str], tasks: Sequence[TaskData]) -> TaskData:
    """The translated sentences of a folder in these languages; its name is none of the tasks'."""
    bitext = read_bitext(folder, languages)
    if bitext.name in {task.name for task in tasks}:
        raise UsageError(
            f"the folder {folder} has the name of a task",
            found=bitext.name,
            remedy="give it another name: records name what they were estimated on by its folder",
        )
    return bitext


def transform_vectors(
    data: TaskData,
    vectors: Embeddings,
    options: TransformOptions,
    *,
    similarity: str = "cosine",
    source: Source | None = None,
    memory: int | None = None,
) -> TransformedEmbeddings:
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
        memory: bytes of the results that are held, beyond which they stand in a temporary file; None: all. Those of
            one language are held beside them in float64.

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
    unit, room = similarity == "cosine", Room(memory)
    results: dict[str, Vectors] = {}
    estimated_on: dict[str, dict[str, int]] = {}
    shrinkage: dict[str, dict[str, float]] = {}
    emptied: dict[str, dict[str, int]] = {}
    warnings: list[str] = []
    with threadpool_limits(1, user_api="blas"):  # the last bits of an eigenvector depend on the number of threads
        for role in ("queries", "candidates"):
            own, of_basis = getattr(vectors, role), getattr(basis.vectors, role)
            languages, basis_languages = _languages(getattr(data, role)), _languages(getattr(basis.data, role))
            results[role] = room.zeros(own.shape)
            for code in data.all_languages:
                rows = np.flatnonzero(languages == code)
                if not len(rows):
                    continue
                sample = _ready(of_basis[basis_languages == code], unit)
                sample = sample[sample.any(axis=1)]
                _refuse_few(sample, options, code, role, basis.data.name)
                transform = estimate(options.name, options.directions, sample)
                before = _ready(own[rows], unit)
                after = transform.apply(before)
                results[role][rows] = after
                for mapped in (own, of_basis, results[role]):
                    release(mapped)
                estimated_on.setdefault(code, {"queries": 0, "candidates": 0})[role] = len(sample)
                gone = int((before.any(axis=1) & ~after.any(axis=1)).sum())
                if gone:
                    emptied.setdefault(code, {"queries": 0, "candidates": 0})[role] = gone
                if transform.shrinkage is not None:
                    shrinkage.setdefault(code, {"queries": 0.0, "candidates": 0.0})[role] = transform.shrinkage
                if transform.arbitrary:
                    warnings.append(
                        f"{options.name}: direction {options.directions} of the {role} of {code} is exactly as strong "
                        "as the next one; which of them is removed is arbitrary"
                    )
            if not all(np.isfinite(part).all() for _, part in in_parts(results[role])):
                raise EncoderError(
                    f"{options.name} makes vectors of {data.name} that are not finite in float32",
                    remedy="check the encoder: its vectors hardly vary, or are huge",
                )
    if emptied:
        listing = ", ".join(f"{code} {gone['queries']} + {gone['candidates']}" for code, gone in emptied.items())
        warnings.append(
            f"{options.name} left nothing of some vectors (queries + candidates: {listing}): they consisted of what "
            "their language shares, and score 0"
        )
    facts = TransformFacts(
        name=options.name,
        removed_directions=options.directions,
        transductive=source is None,
        source=OWN_TEXTS if source is None else f"the translated sentences {source.data.name}",
        bitext=None
        if source is None
        else Bitext(name=source.data.name, digest=digest_of(source.data), files=dict(source.data.files)),
        unit_length=unit,
        dimensions=vectors.dimensions,
        estimated_on={code: RoleCounts(**numbers) for code, numbers in estimated_on.items()},
        shrinkage={code: RoleShares(**shares) for code, shares in shrinkage.items()} or None,
        without_direction={code: RoleCounts(**numbers) for code, numbers in emptied.items()},
    )
    changed = {**vars(vectors), **results}
    return TransformedEmbeddings(**changed, encoded=vectors, facts=facts, warnings=tuple(warnings))


def digest_of(data: TaskData) -> str:
    """SHA-256 over the names and digests of the files of a bitext."""
    return hashlib.sha256("".join(f"{n} {data.files[n]}\n" for n in sorted(data.files)).encode()).hexdigest()


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
