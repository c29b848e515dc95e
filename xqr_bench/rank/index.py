"""FAISS indices: what is asked of one, building it, and ranks by way of one for each language."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

import xqr_bench.rank.product as tiles
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, IntArray, Ranks, TaskData
from xqr_bench.rank.exact import ScoreBlock, check_shapes, check_values, exact_ranks, ranks_of_scores
from xqr_bench.rank.product import DEFAULT_MEMORY, Vectors, product, unit_vectors

# Which FAISS index, with which parameters, and what a record says about it.

DEFAULT_DEPTH = 1000


@dataclass(frozen=True, slots=True)
class Parameter:
    """A whole number that an index takes; `default` None: decided by the vectors, as `help` says."""

    name: str
    default: int | None
    least: int
    help: str
    most: int = 2**31 - 1  # as FAISS counts


_NLIST = Parameter("nlist", 16, 1, "cells the vectors of a language are divided into")
_NPROBE = Parameter("nprobe", 8, 1, "cells that are searched")
_POINTS = Parameter(
    "min_points_per_centroid", 39, 1, "vectors needed for each centroid that is learnt (39 is FAISS's own advice)"
)

# index type -> its parameters; the defaults are for languages of about 1,200 candidates (docs/faiss.md)
INDEX_TYPES: dict[str, tuple[Parameter, ...]] = {
    "flat": (),
    "hnsw": (
        Parameter("m", 32, 2, "links of a vector to others, on each level (twice that on the lowest)"),
        Parameter("ef_construction", 40, 1, "vectors kept in view while a link is looked for"),
        Parameter("ef_search", 128, 1, "vectors kept in view while a query is answered"),
    ),
    "ivf": (_NLIST, _NPROBE, _POINTS),
    "ivfpq": (
        _NLIST,
        _NPROBE,
        Parameter("m", None, 1, "parts a vector is cut into; default: half its dimensions (all, if they are odd)"),
        Parameter("nbits", 4, 1, "bits for each part: 2^nbits centroids are learnt for it", most=16),
        _POINTS,
    ),
}


@checked
@dataclass(frozen=True)
class IndexOptions:
    """A kind of FAISS index and its parameters.

    Attributes:
        type: a key of INDEX_TYPES.
        parameters: those that were given, by name.
        depth: hits kept of each language's list; default 1,000. `flat` is not cut and takes none.

    Raises:
        UnknownNameError: there is no such type or parameter.
        UsageError: a value that cannot be meant.
    """

    type: str
    parameters: Mapping[str, int] = field(default_factory=dict)
    depth: int | None = None

    def __post_init__(self) -> None:
        if self.type not in INDEX_TYPES:
            raise UnknownNameError("index", self.type, INDEX_TYPES)
        parameters = {parameter.name: parameter for parameter in INDEX_TYPES[self.type]}
        for name, value in self.parameters.items():
            if name not in parameters:
                remedy = None if parameters else f"leave it out: {self.type} has no parameters"
                raise UnknownNameError(f"parameter of the index {self.type}", name, parameters, remedy=remedy)
            least, most = parameters[name].least, parameters[name].most
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise UsageError(
                    f"the parameter {name} of the index {self.type} cannot be {value!r}",
                    remedy=f"use a whole number from {least} to {most}",
                )
        if self.exact and self.depth is not None:
            raise UsageError(
                "the index flat is not cut at a depth: its ranks are exact", remedy="leave out --depth, or use hnsw"
            )
        if self.depth is not None and self.depth < 1:
            raise UsageError(f"the depth cannot be {self.depth}", remedy="keep at least one hit of each language")
        values = self.values
        if (values.get("nprobe") or 0) > (values.get("nlist") or 0):
            raise UsageError(
                f"the index {self.type} cannot search {values['nprobe']} of {values['nlist']} cells",
                remedy="give nprobe at most nlist",
            )

    @classmethod
    def parse(cls, type_: str, given: Iterable[str] = (), depth: int | None = None) -> IndexOptions:
        """Make options from `NAME=VALUE` texts.

        Raises:
            UsageError: as the class itself; a text that is not of that form, or a name given twice.
        """
        parameters: dict[str, int] = {}
        for text in given:
            name, equals, value = (part.strip() for part in text.partition("="))
            if not equals or not name:
                raise UsageError(f"{text!r} is no parameter of an index", remedy="write it as NAME=VALUE: ef_search=64")
            if name in parameters:
                raise UsageError(f"the parameter {name} is given twice", remedy="give it once")
            try:
                parameters[name] = int(value)
            except ValueError:
                of_type = INDEX_TYPES.get(type_, ())
                if not of_type or name in {parameter.name for parameter in of_type}:
                    raise UsageError(
                        f"the parameter {name} of the index {type_} cannot be {value!r}", remedy="use a whole number"
                    ) from None
                parameters[name] = 1  # the name is wrong: that is what the message should say
        return cls(type_, parameters, depth)

    @property
    def exact(self) -> bool:
        """Whether its ranks are exact and not cut."""
        return self.type == "flat"

    @property
    def list_depth(self) -> int | None:
        """Where each language's list is cut; None when it is not."""
        return None if self.exact else self.depth or DEFAULT_DEPTH

    @property
    def values(self) -> dict[str, int | None]:
        """Every parameter with its value, defaults included, in the order of the table."""
        return {p.name: self.parameters.get(p.name, p.default) for p in INDEX_TYPES[self.type]}

    @property
    def suffix(self) -> str:
        """What the record's model is called beside the encoder: `+hnsw`, `+ivf-nprobe4-depth200`.

        Only what differs from the defaults is named, so that two settings never share a record.
        """
        changed = [
            f"-{p.name}{self.parameters[p.name]}"
            for p in INDEX_TYPES[self.type]
            if self.parameters.get(p.name, p.default) != p.default
        ]
        if self.list_depth not in (None, DEFAULT_DEPTH):
            changed.append(f"-depth{self.list_depth}")
        return f"+{self.type}{''.join(changed)}"


Recall = dict[str, Annotated[float, Field(ge=0, le=1)]]


class IndexFacts(BaseModel, extra="forbid"):
    """The index a record's ranks come from."""

    type: str
    metric: str = Field(description="inner product, and of which vectors")
    parameters: dict[str, NonNegativeInt] = Field(description="with their defaults")
    faiss: str = Field(description="version of FAISS")
    sizes: dict[str, NonNegativeInt] = Field(description="language -> vectors in its index")
    depth: PositiveInt | None = Field(default=None, description="hits kept of each language's list; absent: not cut")
    bytes: NonNegativeInt = Field(description="all indices as FAISS writes them")
    threads: PositiveInt = Field(description="threads of the search; the build uses one")
    build_seconds: NonNegativeFloat
    search_seconds: NonNegativeFloat = Field(description="all queries against all languages; flat: the exact counting")
    recall_against_exact: Recall | None = Field(
        default=None,
        description="k -> share of the exact best k candidates of a language among the first k hits of its index, "
        "mean over queries, then over languages; absent: the index is exact",
    )
    recall_by_language: dict[str, Recall] | None = Field(default=None, description="the same, by candidate language")
    recall_by_setting: dict[str, Recall] | None = Field(
        default=None,
        description="the same, of queries in the candidates' language (monolingual) and in another (cross-lingual)",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.type not in INDEX_TYPES:
            raise ValueError(f"there is no index {self.type!r}; there are {', '.join(INDEX_TYPES)}")
        if unknown := self.parameters.keys() - {parameter.name for parameter in INDEX_TYPES[self.type]}:
            raise ValueError(f"an index {self.type!r} has no parameter {min(unknown)!r}")
        parts = (self.recall_by_language or {}).values(), (self.recall_by_setting or {}).values()
        for cutoff in chain(self.recall_against_exact or {}, *chain(*parts)):
            if not re.fullmatch("[1-9][0-9]*", cutoff):
                raise ValueError(f"{cutoff!r} is no number of hits that a recall is of")
        exact = self.type == "flat"
        if exact != (self.depth is None) or exact != (self.recall_against_exact is None):
            raise ValueError(f"an index {self.type!r} is {'exact' if exact else 'cut at a depth, with its recall'}")
        return self


# One FAISS index per language: built the same way each time, searched, and turned into bytes.

SEED = 1234  # FAISS's own default of its k-means
Bytes = NDArray[np.uint8]


def build_index(vectors: Vectors, options: IndexOptions, language: str) -> Any:
    """Return the FAISS index (inner product) of one language's candidates.

    The build runs on one thread and from a fixed seed: the same vectors give the same bytes, on one kind of
    processor and one version of FAISS.

    Args:
        vectors: float32 `[n, d]`, of unit length where the similarity is cosine.
        options: type and parameters.
        language: for messages.

    Raises:
        UsageError: too few vectors to learn the centroids from, or dimensions that do not divide into `m` parts.
    """
    import faiss

    points, dimensions = vectors.shape
    values = resolve(options, dimensions)
    refuse_too_few(options, points, language)
    with one_thread():
        if options.type == "flat":
            index: Any = faiss.IndexFlatIP(dimensions)
        elif options.type == "hnsw":
            index = faiss.IndexHNSWFlat(dimensions, values["m"], faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = values["ef_construction"]
            index.hnsw.efSearch = values["ef_search"]
        else:
            kind: Any = faiss.IndexIVFFlat
            of_parts: tuple[int, ...] = ()
            if options.type == "ivfpq":
                kind, of_parts = faiss.IndexIVFPQ, (values["m"], values["nbits"])
            quantizer = faiss.IndexFlatIP(dimensions)
            index = kind(quantizer, dimensions, values["nlist"], *of_parts, faiss.METRIC_INNER_PRODUCT)
            for clustering in (index.cp, *([index.pq.cp] if of_parts else [])):
                clustering.seed = SEED
                clustering.min_points_per_centroid = values["min_points_per_centroid"]
            index.cp.spherical = True  # centroids of unit length, as FAISS itself does for the inner product
            index.nprobe = values["nprobe"]
        vectors = np.ascontiguousarray(vectors)
        if not index.is_trained:
            index.train(vectors)
        index.add(vectors)
    return index


def resolve(options: IndexOptions, dimensions: int) -> dict[str, int]:
    """Every parameter with its value, for vectors of so many dimensions.

    Raises:
        UsageError: the dimensions cannot be cut into `m` equal parts.
    """
    values = {
        name: value if value is not None else max(dimensions // 2, 1) if dimensions % 2 == 0 else dimensions
        for name, value in options.values.items()
    }
    if options.type == "ivfpq" and dimensions % values["m"]:
        divisors = ", ".join(str(m) for m in range(1, dimensions + 1) if dimensions % m == 0)
        raise UsageError(
            f"the index ivfpq cannot cut vectors of {dimensions} dimensions into {values['m']} equal parts",
            remedy=f"give m as one of: {divisors}",
        )
    return values


def deepest(sizes: Iterable[int]) -> int:
    """The greatest depth that a list can be cut at: the candidates of the largest language, or the default depth."""
    return max(DEFAULT_DEPTH, *sizes)


def refuse_too_deep(options: IndexOptions, sizes: Iterable[int]) -> None:
    """Refuse a depth that no list reaches.

    Raises:
        UsageError: with the greatest depth there is.
    """
    if (options.depth or 0) > (most := deepest(sizes)):
        raise UsageError(
            f"--depth {options.depth} is more than the candidates of a language", remedy=f"give --depth {most} or less"
        )


def refuse_too_few(options: IndexOptions, points: int, language: str) -> None:
    """Refuse to learn centroids from too few points: FAISS would warn on a stream nobody reads, or fail.

    Raises:
        UsageError: naming the language, its points, and what is needed.
    """
    values = {name: value or 0 for name, value in options.values.items()}
    if "nlist" not in values:
        return
    each = values["min_points_per_centroid"]
    name, most = "nlist", values["nlist"]
    if "nbits" in values and 2 ** values["nbits"] > most:
        name, most = "nbits", 2 ** values["nbits"]
    if points >= most * each:
        return
    fits = points // each
    less = f"give {name} at most {fits if name == 'nlist' else fits.bit_length() - 1}, " if fits >= 2 else ""
    raise UsageError(
        f"the index {options.type} cannot be trained on the {points:,} candidates of {language}",
        found=f"{most:,} centroids ({name} {values[name]}) of at least {each} points each need {most * each:,}",
        remedy=f"use flat or hnsw, which learn nothing; or {less}give fewer min_points_per_centroid",
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """FAISS on one thread: an HNSW graph depends on the order in which threads link vectors."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def search_index(index: Any, queries: Vectors, k: int) -> tuple[Vectors, IntArray]:
    """The first k hits of each query, float32 `[queries, d]`, in an index from `build_index`.

    Returns:
        scores float32 and places int64 in the index, both `[queries, min(k, size)]`, best first; where an index
        reached fewer candidates, the last places are -1 and their scores -inf.
    """
    scores, places = index.search(np.ascontiguousarray(queries), min(k, index.ntotal))
    scores[places < 0] = -np.inf
    return scores, places


def to_bytes(index: Any) -> Bytes:
    """The index as FAISS writes it to a file, uint8 `[bytes]`."""
    import faiss

    content: Bytes = faiss.serialize_index(index)
    return content


def from_bytes(content: Bytes) -> Any:
    """The index behind `to_bytes`, in no more memory than its bytes; raises whatever FAISS raises on other bytes."""
    import faiss

    before = faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit()
    faiss.set_deserialization_vector_byte_limit(content.nbytes)
    faiss.set_deserialization_loop_limit(content.nbytes)
    try:
        return faiss.deserialize_index(content)
    finally:
        faiss.set_deserialization_vector_byte_limit(before[0])
        faiss.set_deserialization_loop_limit(before[1])


# Embeddings -> ranks by way of an index per language, and how much of the exact result it reached.

RECALL_AT = (1, 10, 100)
SCORES_AT_ONCE = 2**22  # 16 MiB
METRICS = {"cosine": "inner product of vectors of unit length", "dot": "inner product of the vectors as they are"}


@dataclass(frozen=True)
class Indexed:
    """What `indexed_ranks` gives.

    Attributes:
        ranks: counted in the hits; exact for `flat`, else cut at the depth.
        facts: for the record.
        indices: language -> its FAISS index, in the order of the task.
        similarity: "cosine" or "dot": whether vectors are brought to unit length before they are looked up.
    """

    ranks: Ranks
    facts: IndexFacts
    indices: Mapping[str, Any]
    similarity: str


def indexed_ranks(
    data: TaskData,
    queries: Vectors,
    candidates: Vectors,
    options: IndexOptions,
    *,
    similarity: str = "cosine",
    memory: int = DEFAULT_MEMORY,
    observe: Observer | None = None,
) -> Indexed:
    """Build one index per candidate language, search all of them with every query, and count in the hits.

    `flat`: the vectors are taken back out of the indices and counted exactly. The others: each language's list is
    cut at the depth, and the pooled list is these lists merged by score. A relevant d that its own language's list
    holds with the score s gets, for every language m, gt = hits of m with a score above s, and eq = hits of m with
    the score s (itself included); one that was not retrieved gets gt -1 and eq 0 in every column.

    hnsw and ivf decide which candidates are reached; the scores of these are inner products, taken from the matrix
    product that exact ranks come from, so that equal vectors tie and nothing but reach differs. ivfpq scores are
    its own approximations.

    Args:
        data: the task.
        queries, candidates: float32 `[n, d]` in the order of the task, not normalised.
        options: which index.
        similarity: "cosine" or "dot".
        memory: bytes for the block of exact scores; the result does not depend on it.
        observe: hears how many queries are done.

    Raises:
        RanksError: the shapes do not fit the task.
        UsageError: too few candidates for the index, or parameters that do not fit the dimensions.
    """
    import faiss

    check_shapes(data, queries, candidates)
    check_values(data, queries, candidates, similarity)
    if similarity == "cosine":
        queries, candidates = unit_vectors(queries), unit_vectors(candidates)
    edges = data.edges
    parameters = resolve(options, candidates.shape[1])
    started = time.perf_counter()
    indices = {
        code: build_index(candidates[edges[m] : edges[m + 1]], options, code) for m, code in enumerate(data.languages)
    }
    build_seconds = time.perf_counter() - started

    recall: dict[str, Any] = {}
    if options.exact:
        stored = np.concatenate([index.reconstruct_n(0, index.ntotal) for index in indices.values()])
        started = time.perf_counter()
        ranks = exact_ranks(data, queries, stored, similarity="dot", memory=memory, observe=observe)
        search_seconds = time.perf_counter() - started
    else:
        search = _Search(data, list(indices.values()), options)
        blocks = search.blocks(queries, candidates, memory)
        ranks = ranks_of_scores(data, blocks, own_lists=False, depth=options.list_depth, observe=observe)
        recall, search_seconds = search.recall(), search.seconds
    facts = IndexFacts(
        type=options.type,
        metric=METRICS[similarity],
        parameters=parameters,
        faiss=faiss.__version__,
        sizes=dict(zip(data.languages, data.column_sizes.tolist(), strict=True)),
        depth=options.list_depth,
        bytes=sum(len(to_bytes(index)) for index in indices.values()),
        threads=faiss.omp_get_max_threads(),
        build_seconds=round(build_seconds, 6),
        search_seconds=round(search_seconds, 6),
        **recall,
    )
    return Indexed(ranks, facts, indices, similarity)


class _Search:
    """Searches the indices block by block, and sees how much of the exact best they reach."""

    def __init__(self, data: TaskData, indices: list[Any], options: IndexOptions) -> None:
        self._data, self._indices, self._edges = data, indices, data.edges
        self._own_scores = options.type == "ivfpq"
        self._depth = options.list_depth or 1
        language = {code: m for m, code in enumerate(data.languages)}
        self._query_columns = np.array([language.get(query.language, -1) for query in data.queries], dtype=np.int64)
        # share reached, summed over queries of the candidates' language (1) and over the others (0)
        self._reached = np.zeros((2, len(indices), len(RECALL_AT)))
        self.seconds = 0.0

    def blocks(self, queries: Vectors, candidates: Vectors, memory: int) -> Iterator[ScoreBlock]:
        """Scores of all queries against all candidates, -inf of those that no index reached; some queries at a time."""
        size = int(self._edges[-1])
        at_once = max(1, SCORES_AT_ONCE // size)
        for start, parts in product(queries, candidates, memory):
            block = queries[start : start + tiles.TILE_ROWS]
            started = time.perf_counter()
            hits = [search_index(index, block, self._depth) for index in self._indices]
            self.seconds += time.perf_counter() - started
            places = [places for _, places in hits]
            exact = self._exact_scores(places, parts, self._query_columns[start : start + len(block)])
            scores = [scores for scores, _ in hits] if self._own_scores else exact
            for begin in range(0, len(block), at_once):
                some = slice(begin, begin + at_once)
                pool = np.full((len(block[some]), size), -np.inf, dtype=np.float32)
                for m, of_language in enumerate(places):
                    row, hit = np.nonzero(of_language[some] >= 0)
                    pool[row, self._edges[m] + of_language[some][row, hit]] = scores[m][some][row, hit]
                yield ScoreBlock(start + begin, pool, pool)

    def _exact_scores(
        self, places: list[IntArray], parts: Iterator[tuple[int, Vectors]], query_columns: IntArray
    ) -> list[Vectors]:
        """Exact scores of each language's hits (-inf where there is none); adds up which of the exact best are there.

        Args:
            places: the hits of each language, int64 `[rows, hits]`, -1 where there is none.
            parts: the exact scores of the block, as `product` gives them.
            query_columns: language of each query, int64 `[rows]`.
        """
        exact = [np.full(hits.shape, -np.inf, dtype=np.float32) for hits in places]
        best = [np.empty((len(hits), 0), dtype=np.float32) for hits in places]
        for start, scores in parts:
            for m, hits in enumerate(places):
                low, high = (int(edge) for edge in np.clip(self._edges[m : m + 2], start, start + scores.shape[1]))
                if low == high:
                    continue
                piece = scores[:, low - start : high - start]
                place = hits + (self._edges[m] - low)
                inside = (hits >= 0) & (place >= 0) & (place < high - low)
                exact[m][inside] = np.take_along_axis(piece, np.where(inside, place, 0), axis=1)[inside]
                best[m] = _top(np.concatenate([best[m], _top(piece, max(RECALL_AT))], axis=1), max(RECALL_AT))
        for m, (reached, top) in enumerate(zip(exact, best, strict=True)):
            descending = -np.sort(-top, axis=1)
            for column, k in enumerate(min(k, top.shape[1]) for k in RECALL_AT):
                # a tie with the k-th best is as good as the k-th best
                shares = (reached[:, :k] >= descending[:, k - 1 : k]).sum(axis=1) / k
                for own in (0, 1):
                    self._reached[own, m, column] += shares[(query_columns == m) == own].sum()
        return exact

    def recall(self) -> dict[str, Any]:
        """Share of the exact best k that was reached, by language and by setting: fields of `IndexFacts`."""
        n = len(self._query_columns)
        own = np.bincount(self._query_columns[self._query_columns >= 0], minlength=len(self._indices))
        with np.errstate(invalid="ignore"):  # NaN where there are no queries
            by_setting = self._reached / np.stack([n - own, own])[:, :, None]
        everything = self._reached.sum(axis=0) / n
        return {
            "recall_against_exact": _at_k(everything.mean(axis=0)),
            "recall_by_language": {code: _at_k(everything[m]) for m, code in enumerate(self._data.languages)},
            "recall_by_setting": {
                setting: _at_k(by_setting[number].mean(axis=0))
                for setting, number in ((MONOLINGUAL, 1), (CROSS_LINGUAL, 0))
                if not np.isnan(by_setting[number]).any()
            },
        }


def _at_k(values: NDArray[np.float64]) -> dict[str, float]:
    return {str(k): float(value) for k, value in zip(RECALL_AT, values, strict=True)}


def _top(scores: Vectors, k: int) -> Vectors:
    """The k best of each row (all, if there are fewer), in no order."""
    if scores.shape[1] <= k:
        return scores
    return np.partition(scores, scores.shape[1] - k, axis=1)[:, -k:]
