"""Components of shared question ids, against their literal definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xqr_bench.tasks.load import number_components

PAIRS = st.lists(st.tuples(st.tuples(st.sampled_from(["en", "de", "zh"]), st.integers(0, 6)), st.integers(0, 9)))


def literal(pairs: list[tuple[tuple[str, int], int]]) -> tuple[int, ...]:
    """Merge the place sets of every two questions until none overlap."""
    groups: list[set[tuple[str, int]]] = []
    for question in {question for _, question in pairs}:
        groups.append({place for place, other in pairs if other == question})
    merged = True
    while merged:
        merged = False
        for i, first in enumerate(groups):
            for second in groups[i + 1 :]:
                if first & second:
                    first |= second
                    groups.remove(second)
                    merged = True
                    break
            if merged:
                break
    owner = [next(i for i, group in enumerate(groups) if place in group) for place, _ in pairs]
    order = list(dict.fromkeys(owner))
    return tuple(order.index(number) for number in owner)


@given(PAIRS)
def test_components_are_those_of_the_definition(pairs: list[tuple[tuple[str, int], int]]) -> None:
    assert number_components(pairs) == literal(pairs)


def test_places_are_joined_over_other_places() -> None:
    # en:0 and en:1 share nothing, but de:0 shares one question with each
    pairs = [(("en", 0), "a"), (("en", 1), "b"), (("en", 2), "c"), (("de", 0), "b"), (("de", 0), "a")]
    assert number_components(pairs) == (0, 0, 1, 0, 0)


def test_nothing() -> None:
    assert number_components([]) == ()
