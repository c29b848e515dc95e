"""Products of sparse vectors: for each query the postings of its columns, added up in the order of the columns.

So a score depends on the two vectors alone, and not on the block; what has no column in common scores exactly 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.memory import usable_cores
from xqr_bench.core.types import IntArray
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.kernels import add_postings
from xqr_bench.rank.product import TILE_ROWS, Vectors


@dataclass(frozen=True)
class SparseVectors:
    """Rows of a sparse matrix, as CSR has them.

    Attributes:
        values: float32 `[entries]`; none is 0.
        columns: of each, ascending in a row, int64 `[entries]`.
        edges: where each row begins, int64 `[rows + 1]`.
        width: columns of the matrix.
    """

    values: Vectors
    columns: IntArray
    edges: IntArray
    width: int

    @classmethod
    def of(cls, parts: Sequence[Any], *, unit: bool) -> SparseVectors:
        """Of matrices of scipy on top of one another, CSR and float32; rows scaled to length 1 if `unit`."""
        from scipy import sparse

        whole = sparse.csr_array(sparse.vstack(parts))
        edges = whole.indptr.astype(np.int64)
        values = np.asarray(whole.data, dtype=np.float32)
        if unit:
            wide = values.astype(np.float64)
            lengths = np.sqrt([wide[start:stop] @ wide[start:stop] for start, stop in pairwise(edges.tolist())])
            values = (wide / np.repeat(lengths, np.diff(edges))).astype(np.float32)
        return cls(values, whole.indices.astype(np.int64), edges, whole.shape[1])

    def some(self, rows: IntArray) -> SparseVectors:
        """Those of some rows, in this order, copied."""
        sizes = np.diff(self.edges)[rows]
        edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        places = np.arange(edges[-1]) + np.repeat(self.edges[rows] - edges[:-1], sizes)
        return SparseVectors(self.values[places], self.columns[places], edges, self.width)

    def transposed(self) -> SparseVectors:
        """The rows that have each column, ascending."""
        from scipy import sparse

        shape = (len(self.edges) - 1, self.width)
        turned = sparse.csr_array((self.values, self.columns, self.edges), shape=shape).T.tocsr()
        return SparseVectors(
            turned.data, turned.indices.astype(np.int64), turned.indptr.astype(np.int64), len(self.edges) - 1
        )

    def numbers(self) -> IntArray:
        """A number of each row, the same for equal rows, int64 `[rows]`."""
        seen: dict[bytes, int] = {}
        numbers = []
        for start, stop in pairwise(self.edges.tolist()):
            digest = blake2b(self.columns[start:stop].tobytes() + self.values[start:stop].tobytes(), digest_size=16)
            numbers.append(seen.setdefault(digest.digest(), len(seen)))
        return np.array(numbers, dtype=np.int64)


def sparse_scores(queries: SparseVectors, candidates: SparseVectors) -> Iterator[ScoreBlock]:
    """Dot products of all queries and candidates, a block of queries at a time; rows were scaled before."""
    postings, rows = candidates.transposed(), len(queries.edges) - 1

    def score(start: int) -> tuple[int, Vectors]:
        stop = min(start + TILE_ROWS, rows)
        scores: NDArray[np.float32] = np.zeros((stop - start, postings.width), dtype=np.float32)
        add_postings(
            queries.values,
            queries.columns,
            queries.edges[start : stop + 1],
            postings.values,
            postings.columns,
            postings.edges,
            scores,
        )
        return start, scores

    starts, workers = range(0, rows, TILE_ROWS), usable_cores()
    with ThreadPoolExecutor(workers) as pool:
        for number in range(0, len(starts), workers):  # no more blocks are held than are computed at a time
            for start, scores in pool.map(score, starts[number : number + workers]):
                yield ScoreBlock(start, scores, scores)
