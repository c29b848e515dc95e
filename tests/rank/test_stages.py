"""Two stages against their literal definition: which candidates are looked at, and how both orders become one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xqr_bench.core.errors import RanksError
from xqr_bench.rank.stages import reranked, shortlist

VALUES = st.sampled_from([-np.inf, -2.5, -1e-45, -0.0, 0.0, 0.25, 1.0, 3.0, 16777216.0])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.data())
def test_the_chosen_stand_above_the_rest(rows: int, width: int, data: st.DataObject) -> None:
    def drawn(what: st.SearchStrategy[object]) -> np.ndarray:
        size = rows * width
        return np.array(data.draw(st.lists(what, min_size=size, max_size=size))).reshape(rows, width)

    first, second = drawn(VALUES).astype(np.float32), drawn(VALUES | st.just(np.inf)).astype(np.float32)
    chosen = drawn(st.booleans())
    scores = reranked(first, np.where(chosen, second, np.nan), chosen)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores[~chosen], first[~chosen])
    for row in range(rows):
        literal = [(bool(c), s if c else f) for f, s, c in zip(first[row], second[row], chosen[row], strict=True)]
        for a in range(width):
            for b in range(width):
                assert (scores[row, a] > scores[row, b]) == (literal[a] > literal[b])
                assert (scores[row, a] == scores[row, b]) == (literal[a] == literal[b])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 2.0]), min_size=6, max_size=6), st.integers(1, 7))
def test_a_shortlist_has_what_ties_with_its_last(values: list[float], depth: int) -> None:
    scores = np.array([values], dtype=np.float32)
    for edges in (None, np.array([0, 2, 2, 6])):
        chosen = shortlist(scores, depth, edges)[0]
        for start, stop in [(0, 6)] if edges is None else [(0, 2), (2, 6)]:
            for place in range(start, stop):
                above = sum(other > values[place] for other in values[start:stop])
                assert chosen[place] == (above < depth and values[place] > -np.inf)
                # those that tie at the edge all come in, or all stay out
                level = sum(other >= values[place] for other in values[start:stop])
                out = above < depth < stop - start and level > depth + 1
                bounded = shortlist(scores, depth, edges, most=depth + 1)[0]
                assert bounded[place] == (chosen[place] and not out)


def test_scores_that_have_no_place_are_refused() -> None:
    two, both = np.array([[0, 1]], dtype=np.float32), np.array([[True, True]])
    with pytest.raises(RanksError, match="not numbers"):
        reranked(two, np.array([[0, np.nan]], dtype=np.float32), both)
    most = np.array([[np.finfo(np.float32).max, 1]], dtype=np.float32)
    with pytest.raises(RanksError, match="too large"):
        reranked(most, two, np.array([[False, True]]))
    assert reranked(two, two, ~both) is not two
