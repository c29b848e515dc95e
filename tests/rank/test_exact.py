"""Counts against their literal definition; the same bits whatever the memory budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xqr_bench.rank.product as product
from tests.kit import small_task, vectors
from xqr_bench.core.errors import RanksError
from xqr_bench.rank.exact import exact_ranks, top_hits, vector_scores
from xqr_bench.rank.index import IndexOptions, indexed_ranks
from xqr_bench.rank.product import TILE_ROWS, unit_vectors


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.integers(1, 7), min_size=1, max_size=4),
    st.integers(0, 1000),
    st.sampled_from([None, 1, 2]),
)
def test_counts_are_the_literal_counts(questions: int, sizes: list[int], seed: int, levels: int | None) -> None:
    data = small_task(questions, {f"l{i}": size for i, size in enumerate(sizes)})
    # small whole numbers: dot products are exact in float32, whichever way they are summed
    queries = vectors(len(data.queries), seed, levels=levels or 3)
    candidates = vectors(len(data.candidates), seed + 1, levels=levels or 3)
    ranks = exact_ranks(data, queries, candidates, similarity="dot")
    scores = queries.astype(np.float64) @ candidates.astype(np.float64).T
    languages = np.array([candidate.language for candidate in data.candidates])
    row = 0
    for query, relevant in enumerate(data.relevants):
        for index in relevant:
            for column, language in enumerate(data.languages):
                here = scores[query][languages == language]
                assert ranks.gt[row, column] == (here > scores[query, index]).sum()
                assert ranks.eq[row, column] == (here == scores[query, index]).sum()
            assert ranks.relevant_ids[row] == data.candidates[index].id
            row += 1
    assert row == ranks.n_relevants


@pytest.mark.parametrize(("rows", "width"), [(17, 33), (1, 1), (16, 32), (18, 34)])
def test_equal_vectors_tie_across_tile_edges(monkeypatch: pytest.MonkeyPatch, rows: int, width: int) -> None:
    """A last tile of one row or one column must not fall into another BLAS path with other bits."""
    monkeypatch.setattr(product, "TILE_ROWS", 16)
    monkeypatch.setattr(product, "TILE_COLUMNS", 32)
    data = small_task(rows, {"a": width})
    one = vectors(1, 3, dimensions=384)
    ranks = exact_ranks(data, vectors(rows, 4, dimensions=384), np.repeat(one, width, axis=0))
    assert (ranks.eq == width).all()
    assert (ranks.gt == 0).all()


def test_cosine_ignores_length_and_dot_does_not() -> None:
    data = small_task(1, {"a": 2})
    queries = np.array([[1.0, 0.0]], dtype=np.float32)
    candidates = np.array([[1.0, 1.0], [5.0, 5.1]], dtype=np.float32)
    assert exact_ranks(data, queries, candidates).gt[0, 0] == 0
    assert exact_ranks(data, queries, candidates, similarity="dot").gt[0, 0] == 1


def test_zero_vectors_score_zero() -> None:
    data = small_task(1, {"a": 3})
    queries = np.array([[1.0, 0.0]], dtype=np.float32)
    candidates = np.array([[0.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    ranks = exact_ranks(data, queries, candidates)
    assert ranks.gt[0, 0] == 0
    assert ranks.eq[0, 0] == 2


def test_unit_vectors_of_any_length() -> None:
    wide = np.array([[3e30, 4e30], [3e-30, 4e-30], [0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(unit_vectors(wide), [[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]], rtol=1e-6)


def test_overflow_is_an_error() -> None:
    data = small_task(1, {"a": 2})
    huge = np.full((2, 2), 1e25, dtype=np.float32)
    with pytest.raises(RanksError, match="do not fit a float32"):
        exact_ranks(data, huge[:1], huge, similarity="dot")
    with pytest.raises(RanksError, match="do not fit a float32"):
        indexed_ranks(data, huge[:1], huge, IndexOptions("hnsw"), similarity="dot")


def test_underflow_is_an_error() -> None:
    """All scores would be zero, and tied."""
    data = small_task(1, {"a": 2})
    tiny = np.array([[2e-30, 1e-30], [1e-30, 1e-30]], dtype=np.float32)
    with pytest.raises(
        RanksError, match=r"do not fit a float32 on small\n  found: vectors of length 2.24e-30 to 2.24e-30"
    ):
        exact_ranks(data, tiny[:1], tiny, similarity="dot")
    assert (
        exact_ranks(data, tiny[:1], tiny).gt.tolist() == exact_ranks(data, tiny[:1] * 2**60, tiny * 2**60).gt.tolist()
    )
    exact_ranks(data, np.zeros_like(tiny[:1]), tiny, similarity="dot")  # zeros are meant, where they are allowed


def test_shapes_must_fit_the_task() -> None:
    data = small_task(1, {"a": 2})
    with pytest.raises(RanksError, match=r"small has 2 candidates\n  found: vectors of the shape \(3, 8\)"):
        exact_ranks(data, vectors(1, 0), vectors(3, 0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_vectors_that_are_not_finite_are_refused(value: float, side: int) -> None:
    data = small_task(2, {"a": 3, "b": 2})
    both = [vectors(len(data.queries), 0), vectors(len(data.candidates), 1)]
    both[side][1, 2] = value
    with pytest.raises(RanksError, match="not all finite"):
        exact_ranks(data, *both)


# The best candidates, in one exact order.


def literal(row: np.ndarray, depth: int, places: np.ndarray) -> list[int]:
    return sorted(range(len(row)), key=lambda column: (-float(row[column]), places[column]))[:depth]


@given(
    st.lists(st.sampled_from([-2.5, -1.0, -1e-38, -0.0, 0.0, 1e-45, 1.0, 1.0000001, 3e38]), min_size=1, max_size=12),
    st.integers(1, 15),
    st.randoms(use_true_random=False),
)
def test_like_a_sort_by_score_and_place(values: list[float], depth: int, random: object) -> None:
    scores = np.array([values, values[::-1]], dtype=np.float32)
    places = np.array(random.sample(range(100), len(values)))
    columns, best = top_hits(scores, depth, places)
    assert columns.tolist() == [literal(row, depth, places) for row in scores]
    np.testing.assert_array_equal(best, np.take_along_axis(scores, columns, axis=1))


def test_equal_scores_stand_in_the_order_of_the_columns() -> None:
    columns, _ = top_hits(np.zeros((1, 5), dtype=np.float32), 3)
    assert columns.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_blocks_hold_every_score(similarity: str) -> None:
    generator = np.random.default_rng(0)
    queries = generator.normal(size=(1030, 3)).astype(np.float32)
    candidates = generator.normal(size=(5, 3)).astype(np.float32)
    blocks = [(block.start, block.pooled.copy()) for block in vector_scores(queries, candidates, similarity=similarity)]
    assert [start for start, _ in blocks] == list(range(0, 1030, TILE_ROWS))
    scores = np.concatenate([scores for _, scores in blocks])
    expected = queries @ candidates.T
    if similarity == "cosine":
        expected /= np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(candidates, axis=1)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
