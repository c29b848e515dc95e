"""Embeddings -> ranks by way of a FAISS index per language, and how much of the exact result it found."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import RanksError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, IntArray, Ranks, TaskData
from xqr_bench.rank.exact import exact_ranks, ranks_of
from xqr_bench.rank.index import (
    IndexFacts,
    IndexOptions,
    build_index,
    faiss_version,
    resolve,
    search_index,
    stored_vectors,
    threads,
    total_bytes,
)
from xqr_bench.rank.product import DEFAULT_MEMORY, Product, Vectors, unit_vectors
from xqr_bench.rank.variants import Variants

RECALL_AT = (1, 10, 100)
VARIANT_SCORES = 2**22  # scores at once: 16 MiB
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
    for name, vectors, things in (("queries", queries, data.queries), ("candidates", candidates, data.candidates)):
        if vectors.ndim != 2 or len(vectors) != len(things):
            raise RanksError(f"{data.name} has {len(things)} {name}", found=f"vectors of the shape {vectors.shape}")
    if similarity == "cosine":
        queries, candidates = unit_vectors(queries), unit_vectors(candidates)
    edges = data.edges
    parameters = resolve(options, candidates.shape[1])
    started = time.perf_counter()
    indices = {
        code: build_index(candidates[edges[m] : edges[m + 1]], options, code) for m, code in enumerate(data.languages)
    }
    build_seconds = time.perf_counter() - started

    recall: NDArray[np.float64] | None = None
    if options.exact:
        held = np.concatenate([stored_vectors(index) for index in indices.values()])
        started = time.perf_counter()
        ranks = exact_ranks(data, queries, held, similarity="dot", memory=memory, observe=observe)
        search_seconds = time.perf_counter() - started
    else:
        search = _Search(data, list(indices.values()), options)
        product = Product(queries, candidates, memory)
        observe = observe or Observer()
        with observe.phase("ranking", len(queries)):
            for start, stop in product.blocks():
                search.block(queries[start:stop], start, stop, product)
                observe.advance(stop - start)
        ranks, recall, search_seconds = search.ranks(), search.recall(), search.seconds
    facts = IndexFacts(
        type=options.type,
        metric=METRICS[similarity],
        parameters=parameters,
        faiss=faiss_version(),
        sizes=dict(zip(data.languages, data.column_sizes.tolist(), strict=True)),
        depth=options.list_depth,
        bytes=total_bytes(list(indices.values())),
        threads=threads(),
        build_seconds=round(build_seconds, 6),
        search_seconds=round(search_seconds, 6),
        **({} if recall is None else _recall_facts(recall, data)),
    )
    return Indexed(ranks, facts, indices, similarity)


def _recall_facts(recall: NDArray[np.float64], data: TaskData) -> dict[str, Any]:
    other, own, everything = recall
    return {
        "recall_against_exact": _at_k(everything.mean(axis=0)),
        "recall_by_language": {code: _at_k(everything[m]) for m, code in enumerate(data.languages)},
        "recall_by_setting": {
            setting: _at_k(found.mean(axis=0))
            for setting, found in ((MONOLINGUAL, own), (CROSS_LINGUAL, other))
            if not np.isnan(found).any()
        },
    }


def _at_k(values: NDArray[np.float64]) -> dict[str, float]:
    return {str(k): float(value) for k, value in zip(RECALL_AT, values, strict=True)}


class _Search:
    """Searches block by block, counts ranks in the hits and the share of the exact best that they hold."""

    def __init__(self, data: TaskData, indices: list[Any], options: IndexOptions) -> None:
        self._data = data
        self._indices = indices
        self._own_scores = options.type == "ivfpq"
        self._depth = options.list_depth or 1
        self._edges = data.edges
        self._kept = np.minimum(data.column_sizes, self._depth)
        self._offsets, self._positions = data.offsets, data.positions
        self._gt = np.zeros((len(self._positions), len(indices)), dtype=np.int32)
        self._eq = np.zeros_like(self._gt)
        language = {code: m for m, code in enumerate(data.languages)}
        self._query_columns = np.array([language.get(query.language, -1) for query in data.queries], dtype=np.int64)
        # share found, summed over queries of the candidates' language (1) and over the others (0)
        self._variants = Variants(data)
        self._found = np.zeros((2, len(indices), len(RECALL_AT)))
        self.seconds = 0.0

    def block(self, queries: Vectors, start: int, stop: int, product: Product) -> None:
        """Search with some queries; `product` stands at the same block."""
        started = time.perf_counter()
        hits = [search_index(index, queries, self._depth) for index in self._indices]
        self.seconds += time.perf_counter() - started
        exact, best = self._exact_scores([places for _, places in hits], product)
        columns = self._query_columns[start:stop]
        for m, (mine, top) in enumerate(zip(exact, best, strict=True)):
            for column, k in enumerate(RECALL_AT):
                k = min(k, top.shape[1])
                # a tie with the k-th best is as good as the k-th best
                shares = (mine[:, :k] >= top[:, k - 1 : k]).sum(axis=1) / k
                for own in (0, 1):
                    self._found[own, m, column] += shares[(columns == m) == own].sum()
        scores = [scores for scores, _ in hits] if self._own_scores else exact
        self._count(start, stop, scores, [places for _, places in hits])

    def _exact_scores(self, places: list[IntArray], product: Product) -> tuple[list[Vectors], list[Vectors]]:
        """Exact scores of each language's hits (-inf where there is none), and its exact best scores, descending."""
        exact = [np.full(found.shape, -np.inf, dtype=np.float32) for found in places]
        best = [np.empty((len(found), 0), dtype=np.float32) for found in places]
        for panel in product.panels:
            scores = product.scores(panel)
            for m, found in enumerate(places):
                low, high = (int(edge) for edge in np.clip(self._edges[m : m + 2], panel.start, panel.stop))
                if low == high:
                    continue
                piece = scores[:, low - panel.start : high - panel.start]
                place = found + (self._edges[m] - low)
                inside = (found >= 0) & (place >= 0) & (place < high - low)
                taken = np.take_along_axis(piece, np.where(inside, place, 0), axis=1)
                exact[m][inside] = taken[inside]
                best[m] = _top(np.concatenate([best[m], _top(piece, max(RECALL_AT))], axis=1), max(RECALL_AT))
        return exact, [-np.sort(-top, axis=1) for top in best]

    def _count(self, start: int, stop: int, scores: list[Vectors], places: list[IntArray]) -> None:
        from xqr_bench.rank.kernels import count_rows

        first, last = self._offsets[start], self._offsets[stop]
        of_row = np.repeat(np.arange(stop - start), np.diff(self._offsets[start : stop + 1]))
        wanted = self._positions[first:last]
        threshold = np.full(len(wanted), -np.inf, dtype=np.float32)
        for m, found in enumerate(places):
            own = np.flatnonzero((wanted >= self._edges[m]) & (wanted < self._edges[m + 1]))
            hit = found[of_row[own]] == (wanted[own] - self._edges[m])[:, None]
            rows, column = np.nonzero(hit)
            threshold[own[rows]] = scores[m][of_row[own[rows]], column]
        gt, eq = self._gt[first:last], self._eq[first:last]
        edges = np.append(0, np.cumsum(self._kept))
        joined = np.concatenate(scores, axis=1)
        count_rows(joined, edges, self._offsets[start : stop + 1] - first, threshold, gt, eq)
        missing = np.isneginf(threshold)
        gt[missing], eq[missing] = -1, 0
        # what else is counted looks candidates up by their place in the pool; one that is no hit has the score -inf
        size = int(self._edges[-1])
        at_once = max(1, VARIANT_SCORES // size)
        for begin in range(0, stop - start, at_once):
            part = slice(begin, begin + at_once)
            pool = np.full((len(joined[part]), size), -np.inf, dtype=np.float32)
            for m, found in enumerate(places):
                row, place = np.nonzero(found[part] >= 0)
                pool[row, self._edges[m] + found[part][row, place]] = scores[m][part][row, place]
            self._variants.count_block(start + begin, pool, pool)

    def ranks(self) -> Ranks:
        """The ranks counted so far."""
        ranks = ranks_of(self._data, self._gt, self._eq, depth=self._depth)
        return self._variants.attach(ranks)

    def recall(self) -> NDArray[np.float64]:
        """Share of the exact best k found, `[3, languages, len(RECALL_AT)]`, NaN where there are no queries.

        Mean over the queries of other languages than the candidates, over those of the same, and over all.
        """
        own = np.bincount(self._query_columns[self._query_columns >= 0], minlength=len(self._indices))
        numbers = np.stack([len(self._query_columns) - own, own])[:, :, None]
        with np.errstate(invalid="ignore"):
            return np.concatenate([self._found / numbers, self._found.sum(axis=0)[None] / len(self._query_columns)])


def _top(scores: Vectors, k: int) -> Vectors:
    """The k best of each row (all, if there are fewer), in no order."""
    if scores.shape[1] <= k:
        return scores
    return np.partition(scores, scores.shape[1] - k, axis=1)[:, -k:]
