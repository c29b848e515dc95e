"""Sparse products: those of scipy bit for bit, exact zeros, and no dense matrix of columns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from xqr_bench.rank.sparse import SparseVectors, sparse_scores

WIDTH = 250_002


def drawn(rows: int, seed: int) -> sparse.csr_array:
    draw = np.random.default_rng(seed)
    entries = [(row, column) for row in range(rows) for column in draw.choice(400, size=12, replace=False)]
    values = draw.normal(size=len(entries)).astype(np.float32)
    matrix = sparse.csr_array((values, tuple(np.array(entries).T * [[1], [617]])), shape=(rows, WIDTH))
    matrix.sum_duplicates()
    return matrix


QUERIES, CANDIDATES = drawn(700, 1), drawn(90, 2)


@pytest.mark.parametrize("unit", [False, True])
def test_products_are_those_of_scipy(unit: bool) -> None:
    blocks = list(sparse_scores(*(SparseVectors.of([one], unit=unit) for one in (QUERIES, CANDIDATES))))
    assert [block.start for block in blocks] == [0, 512]
    scores = np.concatenate([block.pooled for block in blocks])
    queries, candidates = QUERIES, CANDIDATES
    if unit:
        queries, candidates = (
            sparse.csr_array(sparse.diags_array(1 / sparse.linalg.norm(one.astype(np.float64), axis=1)) @ one)
            for one in (queries, candidates)
        )
    wanted = (queries @ candidates.T).toarray()
    if unit:
        np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-7)
    else:
        np.testing.assert_array_equal(scores, wanted)
    apart = (abs(QUERIES) @ abs(CANDIDATES).T).toarray() == 0
    assert apart.any()
    assert not scores[apart].any()


def test_a_score_depends_on_the_two_vectors_alone() -> None:
    queries, candidates = (SparseVectors.of([one[:50], one[50:]], unit=True) for one in (QUERIES, CANDIDATES))
    whole = np.concatenate([block.pooled for block in sparse_scores(queries, candidates)])
    rows, columns = np.array([699, 3, 3, 12]), np.array([60, 7, 7])
    (few,) = sparse_scores(queries.some(rows), candidates.some(columns))
    np.testing.assert_array_equal(few.pooled, whole[np.ix_(rows, columns)])
    assert candidates.some(columns).numbers().tolist() == [0, 1, 1]


def test_rows_of_nothing_score_nothing() -> None:
    empty = SparseVectors.of([sparse.csr_array((3, WIDTH), dtype=np.float32)], unit=True)
    (block,) = sparse_scores(empty, SparseVectors.of([CANDIDATES], unit=True))
    assert not block.pooled.any()
