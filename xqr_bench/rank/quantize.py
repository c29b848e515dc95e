"""Quantised vectors ranked at full depth, with rescoring as sentence-transformers has it.

The values are those of `sentence_transformers.util.quantization.quantize_embeddings`, bit for bit; the search is its
`semantic_search_usearch` (int8, binary) and `semantic_search_faiss` (ubinary), exact and not cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from threadpoolctl import threadpool_limits

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import RanksError, UnknownNameError, UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray, Ranks, TaskData
from xqr_bench.rank.exact import ScoreBlock, check_shapes, exact_ranks, ranks_of_scores, vector_scores
from xqr_bench.rank.product import DEFAULT_MEMORY, TILE_ROWS, Vectors, unit_vectors
from xqr_bench.rank.stages import reranked, shortlist

Precision = Literal["int8", "binary", "ubinary"]
PRECISIONS: tuple[Precision, ...] = ("int8", "binary", "ubinary")
ALL = "all"
DEFAULT_RESCORE = 40
"""top_k 10 times a rescore_multiplier of 4, as in the library's own examples."""
SCORES_AT_ONCE = 2**22
"""Scores whose two stages are put together at a time: 16 MiB."""


@checked
@dataclass(frozen=True)
class QuantizeOptions:
    """How vectors are quantised, and how far they are rescored.

    Attributes:
        precision: of PRECISIONS.
        rescore: so many candidates of each list are scored anew, by the query as it was; 0: none; "all": every one.

    Raises:
        UnknownNameError: there is no such precision.
        UsageError: a depth that cannot be meant.
    """

    precision: str
    rescore: int | str = DEFAULT_RESCORE

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UnknownNameError("precision", self.precision, PRECISIONS)
        if self.rescore != ALL and (not isinstance(self.rescore, int) or not 0 <= self.rescore < 2**31):
            raise UsageError(
                f"--rescore cannot be {self.rescore!r}", remedy="give a number of candidates, 0 for none, or all"
            )

    @classmethod
    def parse(cls, precision: str | None, rescore: str | None = None) -> QuantizeOptions | None:
        """The options that are asked for on the command line; None: vectors stay as they are.

        Raises:
            UsageError: as the class itself; a depth without a precision.
        """
        if precision is None:
            if rescore is not None:
                raise UsageError("--rescore is given without --quantize", remedy="say how: --quantize int8")
            return None
        if rescore is None:
            return cls(precision)
        return cls(precision, int(rescore) if rescore.isascii() and rescore.isdecimal() else rescore)

    @property
    def suffix(self) -> str:
        """What the record's model is called beside the encoder: `+int8`, `+binary-rescore0`, `+int8-rescoreall`."""
        return f"+{self.precision}" + (f"-rescore{self.rescore}" if self.rescore != DEFAULT_RESCORE else "")


class Rescored(BaseModel, extra="forbid"):
    """Candidates that were scored anew, a list, with those that tie with the last: means over the queries."""

    pool: PositiveFloat
    language: PositiveFloat


class QuantizationFacts(BaseModel, extra="forbid"):
    """How the vectors of a record were quantised before they were ranked."""

    precision: Precision
    rescore: NonNegativeInt | Literal["all"] = Field(
        description="candidates of each list (of a language, and of the pool) that are scored anew; 0: none"
    )
    rescored: Rescored | None = Field(default=None, description="how many that were; absent: none or all")
    calibrated_on: PositiveInt | None = Field(
        default=None, description="int8: candidates whose least and greatest values are the range of each dimension"
    )
    unit_length: bool = Field(description="whether vectors were scaled to length 1 first (cosine)")
    dimensions: PositiveInt
    bytes_per_vector: PositiveInt = Field(description="of a candidate in the index; as float32 it has 4 x dimensions")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        size = self.dimensions if self.precision == "int8" else -(-self.dimensions // 8)
        if self.bytes_per_vector != size or (self.precision == "int8") != (self.calibrated_on is not None):
            raise ValueError(f"vectors of {self.dimensions} dimensions cannot be quantised so to {self.precision}")
        if (self.rescore in (0, ALL)) != (self.rescored is None):
            raise ValueError(f"a depth of {self.rescore} does not rescore {self.rescored}")
        return self

    @property
    def label(self) -> str:
        """As a protocol is named: `int8, rescored 40`, `binary`."""
        return self.precision + (f", rescored {self.rescore}" if self.rescore else "")


def quantized(vectors: Vectors, precision: str, ranges: Vectors | None = None) -> NDArray[np.int8] | NDArray[np.uint8]:
    """Quantised vectors, as `quantize_embeddings` of sentence-transformers gives them, bit for bit.

    Args:
        vectors: float32 `[n, d]`.
        precision: int8: 256 steps of each dimension's range, less 128; ubinary: a bit is set where a value is above 0,
            eight to a byte; binary: the same bytes less 128.
        ranges: int8: least and greatest value of each dimension, float32 `[2, d]`.

    Returns:
        int8 `[n, d]`; binary int8, ubinary uint8 `[n, ceil(d / 8)]`.
    """
    if precision == "int8" and ranges is not None:
        numbers: NDArray[np.int8] = np.clip(np.floor((vectors - ranges[0]) / steps_of(ranges)), 0, 255) - 128
        return numbers.astype(np.int8)
    packed = np.packbits(vectors > 0, axis=-1)
    signed: NDArray[np.int8] = (packed ^ np.uint8(128)).view(np.int8)
    return packed if precision == "ubinary" else signed


def steps_of(ranges: Vectors) -> Vectors:
    """The width of a step of each dimension, float32 `[d]`; 1 where all values are the same."""
    steps: Vectors = (ranges[1] - ranges[0]) / 255
    return np.where(steps == 0, np.float32(1), steps)


class Quantized:
    """The vectors of a task as a quantised index compares them.

    The first stage compares quantised queries with quantised candidates: the dot product of int8 values, less the same
    for all candidates of a query, or dimensions less twice the Hamming distance. The second takes the query as it was,
    times the candidate that is put back into numbers: the lower end of each step (int8), or 0 and 1 (binary).

    Args:
        queries, candidates: float32 `[n, d]` of the whole task.
        options: how.
        similarity: "cosine": vectors are scaled to length 1 before they are quantised; "dot": they are as they are.
        memory: bytes for blocks of scores.

    Attributes:
        first, second: queries and candidates of each stage, float32 `[n, d]` each.

    Raises:
        RanksError: dot products of int8 values do not fit a float32 exactly.
    """

    def __init__(
        self,
        queries: Vectors,
        candidates: Vectors,
        options: QuantizeOptions,
        *,
        similarity: str = "cosine",
        memory: int = DEFAULT_MEMORY,
    ) -> None:
        self.options, self.memory, self._unit = options, memory, similarity == "cosine"
        if self._unit:
            queries, candidates = unit_vectors(queries), unit_vectors(candidates)
        if options.precision == "int8":
            ranges = np.stack([candidates.min(axis=0), candidates.max(axis=0)])
            whole = [quantized(vectors, "int8", ranges).astype(np.float32) for vectors in (queries, candidates)]
            # less whole numbers of each dimension, so that products stay small: of a query's scores all move alike
            self.first = (whole[0], whole[1] - np.rint(whole[1].mean(axis=0)))
            restored = (whole[1].astype(np.float64) + 128) * steps_of(ranges) + ranges[0]
            self.second = (queries, restored.astype(np.float32))
        else:
            signs = [np.where(vectors > 0, np.float32(1), np.float32(-1)) for vectors in (queries, candidates)]
            self.first = (signs[0], signs[1])
            self.second = (queries, np.maximum(signs[1], np.float32(0)))
        longest = [float(np.linalg.norm(vectors, axis=1).max(initial=0)) for vectors in self.first]
        if longest[0] * longest[1] > 2**24:  # no partial sum is larger
            raise RanksError(
                f"dot products of int8 vectors of {candidates.shape[1]:,} dimensions do not fit a float32",
                found=f"lengths up to {longest[0]:,.0f} and {longest[1]:,.0f}",
                remedy="rank fewer dimensions (--truncate-dim), or quantise to binary",
            )
        self._counted = np.zeros(3)  # queries, candidates rescored in the pool, in all lists of languages

    def rank(self, part: TaskData, queries: IntArray, candidates: IntArray, observe: Observer) -> Ranks:
        """Rank the task, or a part of it, exactly and at full depth (see `rank_by_parts`)."""
        if self._stage is None:
            self._refuse_too_little(len(candidates))
            blocks = self.scores(part, queries, candidates)
            return ranks_of_scores(part, blocks, observe, own_lists=True)
        some = self._stage[0][queries], self._stage[1][candidates]
        return exact_ranks(part, *some, similarity="dot", memory=self.memory, observe=observe)

    @property
    def _stage(self) -> tuple[Vectors, Vectors] | None:
        """The vectors of the one stage; None: there are two."""
        return {0: self.first, ALL: self.second}.get(self.options.rescore)

    def _refuse_too_little(self, candidates: int) -> None:
        needed = 8 * min(TILE_ROWS, len(self.first[0])) * candidates
        if needed > self.memory and self.memory < DEFAULT_MEMORY:
            raise RanksError(
                f"a memory budget of {self.memory / 2**20:,.0f} MiB does not hold the scores of two stages",
                remedy=f"give --memory {-(-needed // 2**20)}MiB or more, or --rescore 0 or all",
            )

    def scores(self, part: TaskData, queries: IntArray, candidates: IntArray) -> Iterator[ScoreBlock]:
        """The scores that are counted: of one stage, or of both put together (see `reranked`)."""
        check_shapes(part, self.first[0][queries], self.first[1][candidates])
        stages = [self._stage] if self._stage is not None else [self.first, self.second]
        # bits of a product depend on the number of its threads
        with threadpool_limits(1, user_api="blas"):
            made = [vector_scores(one[queries], other[candidates], similarity="dot") for one, other in stages]
            if len(made) == 1:
                yield from made[0]
                return
            at_once = max(1, SCORES_AT_ONCE // max(1, len(candidates)))
            for first, second in zip(*made, strict=True):
                for begin in range(0, len(first.pooled), at_once):
                    rows = slice(begin, begin + at_once)
                    one, other = first.pooled[rows], second.pooled[rows]
                    of_pool = shortlist(one, int(self.options.rescore))
                    of_languages = shortlist(one, int(self.options.rescore), part.edges)
                    self._counted += len(one), of_pool.sum(), of_languages.sum() / len(part.languages)
                    yield ScoreBlock(
                        first.start + begin, reranked(one, other, of_pool), reranked(one, other, of_languages)
                    )

    def facts(self) -> QuantizationFacts:
        """What a record says of it, once it was ranked."""
        size = self.first[1].shape[1]
        int8, (queries, pool, language) = self.options.precision == "int8", self._counted.tolist()
        return QuantizationFacts.model_validate(
            {
                "precision": self.options.precision,
                "rescore": self.options.rescore,
                "rescored": {"pool": pool / queries, "language": language / queries} if queries else None,
                "calibrated_on": len(self.first[1]) if int8 else None,
                "unit_length": self._unit,
                "dimensions": size,
                "bytes_per_vector": size if int8 else -(-size // 8),
            }
        )
