"""Between encoding and ranking: each language's own part of the vectors taken away (docs/transforms.md)."""

from __future__ import annotations

import hashlib
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
from xqr_bench.encode import maps
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.maps import Map, Normal, SingularError
from xqr_bench.encode.texts import Embedder, Embeddings
from xqr_bench.tasks.assemble import read_bitext

NONE, CENTER, WHITEN, REMOVE, SHIFT, LEACE, TRANSPORT = (
    "none",
    "center",
    "whiten",
    "remove",
    "shift",
    "leace",
    "transport",
)
NAMES = (NONE, CENTER, WHITEN, f"{REMOVE}-1", f"{REMOVE}-3", f"{SHIFT}-en", LEACE, f"{TRANSPORT}-en")
_PLAIN = (CENTER, WHITEN, LEACE)
_NAME = re.compile(
    rf"(?P<kind>{'|'.join((*_PLAIN, REMOVE, SHIFT, TRANSPORT))})(?:-(?P<of>[^@]+))?(?:@(?P<strength>.*))?", re.ASCII
)
_STRENGTH = re.compile(r"0|0\.\d*[1-9]", re.ASCII)


@checked
@dataclass(frozen=True)
class TransformOptions:
    """A transform of vectors, and what it is estimated on.

    Attributes:
        name: `center`, `whiten`, `leace`, `remove-k` with a whole number k of at least 1, `shift-t` or `transport-t`
            with the code of a language t; each also in part, as `center@0.5`.
        source: a folder of translated sentences (`data.bitext`); None: the texts of the task itself.

    Raises:
        UnknownNameError: there is no such transform.
        UsageError: a number that cannot be meant.
    """

    name: str
    source: Path | None = None

    def __post_init__(self) -> None:
        match = _NAME.fullmatch(self.name)
        known = match is not None and (match["of"] is None) == (match["kind"] in _PLAIN)
        if match is None or not known or (match["kind"] == REMOVE and not re.fullmatch("[0-9]+", match["of"])):
            raise UnknownNameError(
                "transform",
                self.name,
                NAMES,
                remedy="use none, center, whiten, leace, remove-k with a number, as remove-3, or shift-xx or "
                "transport-xx with a language, as shift-en; in part: center@0.5",
            )
        if match["kind"] == REMOVE and match["of"] != str(int(match["of"]) or ""):
            raise UsageError(f"the transform {self.name} removes nothing", remedy="use remove-1 or more, or none")
        if match["strength"] is not None and _STRENGTH.fullmatch(match["strength"]) is None:
            base = self.name.partition("@")[0]
            raise UsageError(
                f"{self.name}: {match['strength']!r:.40} is no strength",
                remedy=f"write a number from 0 to below 1, as {base}@0.5 or {base}@0.05; the whole of it is {base}",
            )

    def _part(self, name: str) -> str | None:
        match = _NAME.fullmatch(self.name)
        return None if match is None else match[name]

    @property
    def kind(self) -> str:
        """The name without number, language and strength: `remove`, `shift`."""
        return str(self._part("kind"))

    @property
    def strength(self) -> float:
        """How much of it is done: 0 nothing, 1 all."""
        return float(self._part("strength") or 1.0)

    @property
    def language(self) -> str | None:
        """The language towards which `shift` and `transport` move the others; None for the others."""
        return self._part("of") if self.kind in (SHIFT, TRANSPORT) else None

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

    def check_languages(self, task: str, there: Sequence[str]) -> None:
        """Check that a task has the languages that the transform needs.

        Raises:
            UsageError: the language of `shift` or `transport` is not there, or `leace` has one language alone.
        """
        if self.kind == LEACE and len(there) < 2:
            raise UsageError(
                f"{self.name} has no language to take out: {task} has one alone",
                found=", ".join(there),
                remedy="evaluate several languages",
            )
        if self.language is not None and self.language not in there:
            raise UsageError(
                f"{self.name} moves towards a language that {task} does not have",
                found=", ".join(there),
                remedy=f"name one of these, as {self.kind}-{there[0]}, or evaluate {self.language} too",
            )

    @property
    def directions(self) -> int | None:
        """How many directions `remove-k` takes away; None for the others."""
        return int(self._part("of") or 0) if self.kind == REMOVE else None

    def bitext_digest(self, languages: Sequence[str]) -> str | None:
        """SHA-256 of the translated sentences in these languages as they are now; None without a source."""
        return None if self.source is None else digest_of(read_bitext(self.source, languages))

    @property
    def suffix(self) -> str:
        """What the record's model is called beside the encoder: `+center`, `+shift-en@0.5`, `+center-from-ntrex`."""
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

    name: str = Field(description="as --transform has it, with its strength: center, shift-en@0.5 (docs/transforms.md)")
    removed_directions: PositiveInt | None = Field(default=None, description="k of remove-k")
    strength: Share | None = Field(default=None, description="how much of it was done; absent: all, which is 1")
    language: str | None = Field(
        default=None, description="shift, transport: the language towards whose vectors the others were moved"
    )
    transductive: bool = Field(description="true: estimated on the very texts that are ranked, without their labels")
    source: str = Field(description="what it was estimated on, in words")
    bitext: Bitext | None = Field(default=None, description="absent: the task's own texts")
    unit_length: bool = Field(description="whether vectors were scaled to length 1 first (cosine)")
    dimensions: PositiveInt
    estimated_on: dict[str, RoleCounts] = Field(description="language -> vectors behind the estimate, zero ones aside")
    shrinkage: dict[str, RoleShares] | None = Field(
        default=None,
        description="whiten, transport, leace: language -> weight of the multiple of the identity in the covariance "
        "(Ledoit and Wolf 2004); leace has one covariance for all languages",
    )
    without_direction: dict[str, RoleCounts] = Field(
        default_factory=dict,
        description="language -> vectors that only consisted of what was taken away; they are zero and score 0",
    )

    @property
    def label(self) -> str:
        """As a protocol is named: `center`, `center from ntrex`."""
        return self.name + (f" from {self.bitext.name}" if self.bitext is not None else "")


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


class _Estimates:
    """The maps of one role, each from the vectors of the source.

    Args:
        options: which transform.
        source: what it is estimated on.
        role: "queries" or "candidates".
        codes: the languages that have vectors to be transformed.
        unit: whether vectors are scaled to length 1 first.
    """

    def __init__(self, options: TransformOptions, source: Source, role: str, codes: Sequence[str], unit: bool) -> None:
        self._options, self._role, self._codes, self._unit = options, role, codes, unit
        self._name = source.data.name
        self._vectors: Vectors = getattr(source.vectors, role)
        self._languages = _languages(getattr(source.data, role))
        self._of_all: Map | None = None
        self._center: FloatArray | None = None  # of the language that others are moved towards, and what follows
        self._normal: Normal | None = None

    def of(self, code: str) -> tuple[Map, int]:
        """The map of a language, and the number of its vectors behind it.

        Raises:
            UsageError, EncoderError: see `transform_vectors`.
        """
        options, sample = self._options, self._sample(code)
        try:
            return self._map(code, sample), len(sample)
        except SingularError as error:
            raise EncoderError(
                f"{options.name} is not defined for the {self._role} of {code} in {self._name}",
                found=f"{len(sample)} vectors; {error.problem}",
                remedy="leave the language out with --languages, or use center",
            ) from error
        finally:
            release(self._vectors)

    def _map(self, code: str, sample: FloatArray) -> Map:
        options = self._options
        kind, strength = options.kind, options.strength
        if kind == CENTER:
            return maps.center(sample, strength)
        if kind == WHITEN:
            return maps.whiten(sample, strength)
        if kind == REMOVE:
            return maps.remove(options.directions or 0, sample, strength)
        if kind == LEACE:
            if self._of_all is None:
                self._of_all = maps.erase([self._sample(one) for one in self._codes], strength)
            return self._of_all
        toward = str(options.language)
        if kind == SHIFT:
            if self._center is None:
                self._center = self._sample(toward).mean(axis=0)
            return maps.shift(sample.mean(axis=0), self._center, strength)
        if self._normal is None:
            self._normal = Normal.of(self._sample(toward))
        if code == toward:
            return maps.shift(self._normal.mean, self._normal.mean)  # where it is, to the bit
        return maps.transport(Normal.of(sample), self._normal, strength)

    def _sample(self, code: str) -> FloatArray:
        """The vectors of a language, zero ones aside, where the transform is defined for them."""
        sample = _ready(self._vectors[self._languages == code], self._unit)
        sample = sample[sample.any(axis=1)]
        _refuse_few(sample, self._options, code, self._role, self._name)
        return sample


def transform_vectors(
    data: TaskData,
    vectors: Embeddings,
    options: TransformOptions,
    *,
    similarity: str = "cosine",
    source: Source | None = None,
    memory: int | None = None,
) -> TransformedEmbeddings:
    """Transform the vectors of each language, queries and candidates apart; `shift` the candidates alone.

    With cosine, vectors are scaled to length 1 first, so that long ones do not outweigh the others in the estimate;
    with dot products they are taken as they are. Vectors of only zeros are left out of the estimate and stay zeros.
    Equal vectors of a language stay equal. All is computed in float64 by one thread and rounded to float32 at the end.
    At strength 0 all vectors are as they were.

    Args:
        data: the task.
        vectors: its vectors; not changed.
        options: which transform.
        similarity: "cosine" or "dot".
        source: what to estimate on; default: the task's own vectors.
        memory: bytes of the results that are held, beyond which they stand in a temporary file; None: all. Those of
            one language are held beside them in float64; for `leace` those of all, of queries or of candidates.

    Raises:
        UsageError: `remove-k` would remove all there is of a language; the language of `shift` or `transport` is not
            there; `leace` has one language alone.
        EncoderError: a language has only zeros, or vectors for which the transform is not defined, or the vectors have
            other columns than those of the source.
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
            own = getattr(vectors, role)
            if options.kind == SHIFT and role == "queries":
                results[role] = own
                continue
            languages = _languages(getattr(data, role))
            there = [code for code in data.all_languages if (languages == code).any()]
            options.check_languages(data.name, there)
            estimates = _Estimates(options, basis, role, there, unit)
            results[role] = room.zeros(own.shape)
            for code in there:
                rows = np.flatnonzero(languages == code)
                transform, n = estimates.of(code)
                before = _ready(own[rows], unit)
                after = transform.apply(before) if options.strength else own[rows]
                results[role][rows] = after
                for mapped in (own, results[role]):
                    release(mapped)
                estimated_on.setdefault(code, {"queries": 0, "candidates": 0})[role] = n
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
        strength=options.strength if options.strength < 1 else None,
        language=options.language,
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
    needs_more = options.kind in (SHIFT, LEACE, TRANSPORT) or (options.kind == WHITEN and options.strength < 1)
    if needs_more and not maps.vary(vectors):
        raise EncoderError(
            f"{options.name} is not defined: all {role} of {code} in {name} have one vector, which is their mean",
            found=f"{len(vectors)} vector{'s' * (len(vectors) != 1)}, no two of them different",
            remedy="leave the language out with --languages, or use center",
        )
    if options.directions is not None and options.directions >= min(vectors.shape):
        raise UsageError(
            f"{options.name} would remove all there is of {code}",
            found=f"{len(vectors)} vectors of {vectors.shape[1]} dimensions as {role} in {name}",
            remedy=f"remove at most {min(vectors.shape) - 1} directions" if min(vectors.shape) > 1 else "use center",
        )
