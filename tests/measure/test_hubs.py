"""Hubs: counted by hand and by the literal definition, ties shared out, skewness against scipy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from xqr_bench.measure.geometry import count_occurrences, skewness
from xqr_bench.rank.exact import ScoreBlock


def blocks(scores: np.ndarray, rows: int) -> list[ScoreBlock]:
    whole = scores.astype(np.float32)
    return [ScoreBlock(start, whole[start : start + rows], whole) for start in range(0, len(whole), rows)]


def test_hand_worked() -> None:
    """Two queries, four candidates, k = 2. Query 0: .9, then .5 twice for one place; query 1: .8, .7."""
    scores = np.array([[0.9, 0.5, 0.5, 0.1], [0.8, 0.1, 0.2, 0.7]])
    of_candidate, by_language = count_occurrences(
        iter(blocks(scores, 1)), np.array([0, 1]), np.array([0, 0, 1, 1]), k=2
    )
    assert of_candidate.tolist() == [2.0, 0.5, 0.5, 1.0]
    assert by_language.tolist() == [[1.5, 0.5], [1.0, 1.0]]


@pytest.mark.parametrize("rows", [1, 4, 50])
@pytest.mark.parametrize("k", [1, 3, 10, 99])
def test_the_definition(rows: int, k: int) -> None:
    """Each candidate's chance to be among the first k when ties are put in a random order."""
    draw = np.random.default_rng(k)
    scores = draw.integers(0, 6, (40, 17)) / 8
    queries, candidates = draw.integers(0, 3, 40), np.sort(draw.integers(0, 4, 17))
    queries[:3], candidates[-1] = [0, 1, 2], 3
    expected = [Fraction(0)] * 17
    cells = [[Fraction(0)] * 4 for _ in range(3)]
    for row, language in zip(scores, queries, strict=True):
        for candidate, score in enumerate(row):
            above, same = int((row > score).sum()), int((row == score).sum())
            chance = Fraction(min(max(min(k, 17) - above, 0), same), same)
            expected[candidate] += chance
            cells[language][candidates[candidate]] += chance
    of_candidate, by_language = count_occurrences(iter(blocks(scores, rows)), queries, candidates, k=min(k, 17))
    np.testing.assert_allclose(of_candidate, [float(value) for value in expected], atol=1e-12)
    np.testing.assert_allclose(by_language, [[float(value) for value in row] for row in cells], atol=1e-12)
    assert of_candidate.sum() == pytest.approx(40 * min(k, 17))


def test_skewness() -> None:
    assert skewness(np.array([0.0, 0.0, 0.0, 4.0])) == pytest.approx(2 / np.sqrt(3))  # (3 * -1 + 27) / 4 / 3^1.5
    values = np.random.default_rng(0).gamma(0.5, size=500)
    assert skewness(values) == pytest.approx(stats.skew(values))
    assert skewness(np.ones(4)) is None
