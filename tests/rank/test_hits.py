"""The best candidates, in one exact order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xqr_bench.rank.exact import top_hits, vector_scores
from xqr_bench.rank.product import TILE_ROWS


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
