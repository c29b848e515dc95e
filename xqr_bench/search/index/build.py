"""One FAISS index per language: built the same way each time, searched, and turned into bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.errors import UsageError
from xqr_bench.search.index.options import IndexOptions
from xqr_bench.search.product import Vectors
from xqr_bench.types import IntArray

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
    index: Any
    with one_thread():
        if options.type == "flat":
            index = faiss.IndexFlatIP(dimensions)
        elif options.type == "hnsw":
            index = faiss.IndexHNSWFlat(dimensions, values["m"], faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = values["ef_construction"]
            index.hnsw.efSearch = values["ef_search"]
        else:
            index = _inverted(faiss, dimensions, options.type, values)
        vectors = np.ascontiguousarray(vectors)
        if not index.is_trained:
            index.train(vectors)
        index.add(vectors)
    return index


def _inverted(faiss: Any, dimensions: int, type_: str, values: dict[str, int]) -> Any:
    quantizer = faiss.IndexFlatIP(dimensions)
    if type_ == "ivf":
        index = faiss.IndexIVFFlat(quantizer, dimensions, values["nlist"], faiss.METRIC_INNER_PRODUCT)
    else:
        index = faiss.IndexIVFPQ(
            quantizer, dimensions, values["nlist"], values["m"], values["nbits"], faiss.METRIC_INNER_PRODUCT
        )
        index.pq.cp.seed = SEED
        index.pq.cp.min_points_per_centroid = values["min_points_per_centroid"]
    index.cp.seed = SEED
    index.cp.min_points_per_centroid = values["min_points_per_centroid"]
    index.cp.spherical = True  # centroids of unit length, as FAISS itself does for the inner product
    index.nprobe = values["nprobe"]
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


def refuse_too_few(options: IndexOptions, points: int, language: str) -> None:
    """Refuse to learn centroids from too few points: FAISS would warn on a stream nobody reads, or fail.

    Raises:
        UsageError: naming the language, its points, and what is needed.
    """
    values = {name: value for name, value in options.values.items() if value is not None}
    if "nlist" not in values:
        return
    each = values["min_points_per_centroid"]
    centroids = {"nlist": values["nlist"]}
    if "nbits" in values:
        centroids["nbits"] = 2 ** values["nbits"]
    name, most = max(centroids.items(), key=lambda item: item[1])
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
    """The first hits of each query.

    Args:
        index: from `build_index`.
        queries: float32 `[queries, d]`.
        k: hits wanted.

    Returns:
        scores float32 and places int64 in the index, both `[queries, min(k, size)]`, best first; where an index
        reached fewer candidates, the last places are -1 and their scores -inf.
    """
    scores, places = index.search(np.ascontiguousarray(queries), min(k, index.ntotal))
    scores[places < 0] = -np.inf
    return scores, places


def stored_vectors(index: Any) -> Vectors:
    """The vectors that a flat index holds, float32 `[n, d]`."""
    vectors: Vectors = index.reconstruct_n(0, index.ntotal)
    return vectors


def to_bytes(index: Any) -> Bytes:
    """The index as FAISS writes it to a file, uint8 `[bytes]`."""
    import faiss

    found: Bytes = faiss.serialize_index(index)
    return found


def from_bytes(content: Bytes) -> Any:
    """The index behind `to_bytes`; raises whatever FAISS raises on other bytes."""
    import faiss

    return faiss.deserialize_index(content)


def faiss_version() -> str:
    """Version of the installed FAISS."""
    import faiss

    version: str = faiss.__version__
    return version


def threads() -> int:
    """Threads FAISS searches with."""
    import faiss

    number: int = faiss.omp_get_max_threads()
    return number


def total_bytes(indices: Sequence[Any]) -> int:
    """Size of all indices as files."""
    return sum(len(to_bytes(index)) for index in indices)
