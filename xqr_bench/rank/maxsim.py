"""Late interaction: for each token of a query its most similar token of a candidate, summed; exact, without an index.

As in `product.py` all scores come from one tiling that does not depend on the memory: candidates are cut into panels
of some thousand tokens and queries into tiles of some hundred, whole texts each, and a panel times a tile is one
matrix product. A matrix of token vectors that several candidates have is multiplied once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from threadpoolctl import threadpool_limits

from xqr_bench.core.memory import usable_cores
from xqr_bench.core.types import IntArray
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.kernels import best_tokens
from xqr_bench.rank.product import Vectors

PANEL_TOKENS = 2048
TILE_TOKENS = 512
BLOCK_TILES = 12


@dataclass(frozen=True)
class TokenVectors:
    """A vector of each token of some texts.

    Attributes:
        rows: float32 `[tokens, d]`, text by text; may be a memory-mapped file.
        edges: where each text begins in them, int64 `[texts + 1]`; no text is without tokens.
    """

    rows: Vectors
    edges: IntArray

    def of(self, texts: IntArray) -> TokenVectors:
        """Those of some texts, in this order, copied."""
        starts, sizes = self.edges[texts], np.diff(self.edges)[texts]
        edges = np.concatenate([[0], np.cumsum(sizes)])
        rows = np.empty((int(edges[-1]), self.rows.shape[1]), dtype=np.float32)
        for place, start, size in zip(edges.tolist(), starts.tolist(), sizes.tolist(), strict=False):
            rows[place : place + size] = self.rows[start : start + size]
        return TokenVectors(rows, edges)


def maxsim_scores(
    queries: TokenVectors, query_texts: IntArray, candidates: TokenVectors, candidate_texts: IntArray
) -> Iterator[ScoreBlock]:
    """MaxSim of all queries against all candidates, a block of queries at a time.

    Args:
        queries: vectors of the tokens of texts.
        query_texts: of these the text of each query, int64 `[queries]`.
        candidates: vectors of the tokens of texts, all different.
        candidate_texts: of these the text of each candidate, int64 `[candidates]`.
    """
    texts, column = np.unique(candidate_texts, return_inverse=True)
    panels = _cut(np.diff(candidates.edges)[texts], PANEL_TOKENS)
    tiles = _cut(np.diff(queries.edges)[query_texts], TILE_TOKENS)
    of_thread = threading.local()

    def reserve() -> None:
        of_thread.buffer = np.empty(0, dtype=np.float32)

    def score(panel: tuple[int, int], block: list[tuple[int, TokenVectors]], scores: Vectors) -> None:
        some = candidates.of(texts[slice(*panel)])
        for first, tile in block:
            size = len(some.rows) * len(tile.rows)
            if len(of_thread.buffer) < size:
                of_thread.buffer = np.empty(size, dtype=np.float32)
            product = of_thread.buffer[:size].reshape(len(some.rows), len(tile.rows))
            np.matmul(some.rows, tile.rows.T, out=product)
            rows = slice(first, first + len(tile.edges) - 1)
            best_tokens(product, some.edges, tile.edges, scores[rows, slice(*panel)])

    with ThreadPoolExecutor(usable_cores(), initializer=reserve) as pool:
        for number in range(0, len(tiles), BLOCK_TILES):
            some = tiles[number : number + BLOCK_TILES]
            start, stop = some[0][0], some[-1][1]
            block = [(first - start, queries.of(query_texts[first:last])) for first, last in some]
            scores = np.empty((stop - start, len(texts)), dtype=np.float32)
            # one BLAS thread each, as in `go_through`: bits would else depend on their number
            with threadpool_limits(1, user_api="blas"):
                list(pool.map(lambda panel: score(panel, block, scores), panels))  # noqa: B023
            scores = scores[:, column]
            yield ScoreBlock(start, scores, scores)


def _cut(sizes: IntArray, most: int) -> list[tuple[int, int]]:
    """Consecutive texts of these sizes in stretches of at most so many tokens; a longer text is one of its own."""
    edges, held = [0], 0
    for place, size in enumerate(sizes.tolist()):
        if held and held + size > most:
            edges.append(place)
            held = 0
        held += size
    return list(pairwise([*edges, len(sizes)])) if len(sizes) else []
