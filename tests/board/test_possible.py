"""Counts that contradict each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from xqr_bench.core.errors import RecordError
from xqr_bench.core.types import Ranks
from xqr_bench.record import Record, check_possible
from xqr_bench.record.relevance_files import check_relevance


def ranks(gt: list[list[int]], eq: list[list[int]], columns: list[int]) -> Ranks:
    """One query with relevants in two languages of 10 candidates each."""
    n = len(gt)
    return Ranks(
        task="t",
        columns=("de", "en"),
        column_sizes=np.array([10, 10]),
        question_ids=["q"],
        query_languages=["en"],
        articles=np.array([0]),
        offsets=np.array([0, n]),
        relevant_ids=[f"r{i}" for i in range(n)],
        relevant_columns=np.array(columns),
        gains=np.ones(n),
        gt=np.array(gt, dtype=np.int32),
        eq=np.array(eq, dtype=np.int32),
    )


POSSIBLE = {
    "apart": ([[2, 3], [3, 3]], [[1, 0], [0, 1]], [0, 1]),
    "in any order": ([[3, 3], [2, 3]], [[0, 1], [1, 0]], [1, 0]),
    "tied": ([[2, 3], [2, 3]], [[1, 1], [1, 1]], [0, 1]),
    "tied in one language": ([[2, 3], [2, 3]], [[2, 0], [2, 0]], [0, 0]),
}
IMPOSSIBLE = {
    "the upper one is not above the lower one": (
        ([[2, 3], [2, 4]], [[1, 0], [0, 1]], [0, 1]),
        "contradict each other",
    ),
    "what is beside the upper one is not above the lower one": (
        ([[2, 3], [3, 3]], [[1, 1], [0, 1]], [0, 1]),
        "contradict each other",
    ),
    "they cross": (([[1, 5], [4, 2]], [[1, 0], [0, 1]], [0, 1]), "contradict each other"),
    "one says tied, the other not": (([[2, 3], [2, 3]], [[1, 1], [0, 1]], [0, 1]), "contradict each other"),
    "two first places in one language": (
        ([[0, 0], [0, 0]], [[1, 0], [1, 0]], [0, 0]),
        "more relevants tie than candidates do",
    ),
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_possible(name: str) -> None:
    check_possible(ranks(*POSSIBLE[name]))


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible(name: str) -> None:
    counts, message = IMPOSSIBLE[name]
    with pytest.raises(RecordError, match=message) as error:
        check_possible(ranks(*counts))
    assert "query en:q, relevant r" in str(error.value)


def test_what_encoders_give_is_possible(record: Record, noisy: Record, bounds: list[Record]) -> None:
    for found in (record, noisy, *bounds):
        check_possible(found.ranks)


def test_lists_of_their_own() -> None:
    def own(gt: list[int], eq: list[int], columns: list[int]) -> None:
        counts = {"own_gt": np.array(gt, dtype=np.int32), "own_eq": np.array(eq, dtype=np.int32)}
        pooled = ranks([[2, 3], [4, 4]], [[1, 1], [1, 1]], columns)
        check_possible(replace(pooled, **counts))

    own([9, 9], [1, 1], [0, 1])
    own([0, 1], [1, 1], [0, 0])
    for gt, eq, columns, message in (
        ([10, 0], [1, 1], [0, 1], "counts within the own language exceed its pool"),
        ([0, 0], [0, 1], [0, 1], "does not tie with itself"),
        ([-1, 0], [0, 1], [0, 1], "a count is negative"),
        ([0, 1], [2, 1], [0, 0], "contradict each other"),
        ([0, 0], [1, 1], [0, 0], "more relevants tie"),
    ):
        with pytest.raises(RecordError, match=message):
            own(gt, eq, columns)


def test_pooled_counts_are_possible_where_candidates_can_stand_so() -> None:
    """All counts of a relevant in each of two languages of two candidates, and all orders of these, with ties."""
    relevants = {0: (0, 1), 2: (2, 3)}  # of the four candidates, and the candidates of its language
    possible = set()
    for scores in product(range(4), repeat=4):
        counts: list[int] = []
        for relevant, own in relevants.items():
            for pool in (range(4), own):
                counts.append(sum(scores[other] > scores[relevant] for other in pool))
                counts.append(sum(scores[other] == scores[relevant] for other in pool))
        top = [sum(scores[other] == max(scores) for other in own) for own in relevants.values()]
        possible.add((*counts, *top))
    without_top = {one[:-2] for one in possible}
    accepted, of_top = set(), set()
    for counts in product(range(4), range(1, 5), range(2), range(1, 3), repeat=2):
        gt, eq, own_gt, own_eq = np.array([counts[:4], counts[4:]], dtype=np.int32).T
        strict = ranks([[0, 0], [0, 0]], [[1, 0], [0, 1]], [0, 1])
        pooled = replace(
            strict,
            column_sizes=np.array([2, 2]),
            gt=gt[:, None],
            eq=eq[:, None],
            own_gt=own_gt,
            own_eq=own_eq,
            own_parts=True,
        )
        if _is_possible(pooled):
            accepted.add(tuple(counts))
            for top in product(range(3), repeat=2):
                if _is_possible(replace(pooled, top=np.array([top], dtype=np.int32))):
                    of_top.add((*counts, *top))
    assert accepted == without_top
    assert of_top == possible


def _is_possible(found: Ranks) -> bool:
    try:
        check_possible(found)
    except RecordError:
        return False
    return True


def test_relevants_without_a_rank_are_left_out() -> None:
    cut = ranks([[2, 3], [-1, -1]], [[1, 0], [0, 0]], [0, 1])
    check_possible(replace(cut, depth=100))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("left", "possible"),
    [([0, 0], True), ([1, 1], True), ([0, 1], True), ([1, 0], False)],  # what stood above the upper, above the lower
)
def test_what_left_above_a_relevant_left_above_those_below(own: bool, left: list[int], possible: bool) -> None:
    counts = np.array([1, 3]), np.array([1, 1])
    strict = ranks([[0, 1], [0, 3]], [[0, 1], [0, 1]], [1, 1])
    lists = {"own_gt": counts[0] - left, "own_eq": counts[1]}
    if own:
        strict = replace(strict, own_gt=counts[0], own_eq=counts[1])
    pooled = strict.gt if own else strict.gt - np.array([[0, count] for count in left])
    lenient = replace(strict, gt=pooled, removed=np.array([[0, 1]]), **(lists if own else {}))
    if possible:
        check_relevance("lenient", strict, lenient)
    else:
        with pytest.raises(RecordError, match="lenient relevance are not possible: two relevants contradict"):
            check_relevance("lenient", strict, lenient)
