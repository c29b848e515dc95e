"""Articles: the connected components that shared question ids make (MEASURES.md, 5)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


def number_components(memberships: Iterable[tuple[Hashable, Hashable]]) -> tuple[int, ...]:
    """Number the component of each (place, question) pair.

    Places are (language, article position). Two places belong together when a question stands in both,
    directly or over other places. Translated articles have other titles and positions: shared ids link them.

    Args:
        memberships: one pair per query.

    Returns:
        For each pair the number of its component, in order of first appearance: 0, 1, ...
    """
    pairs = list(memberships)
    parent: dict[Hashable, Hashable] = {}

    def root(place: Hashable) -> Hashable:
        while parent[place] != place:
            parent[place] = parent[parent[place]]  # halve the path on the way up
            place = parent[place]
        return place

    first_place: dict[Hashable, Hashable] = {}
    for place, question in pairs:
        parent.setdefault(place, place)
        parent[root(place)] = root(first_place.setdefault(question, place))
    numbers: dict[Hashable, int] = {}
    return tuple(numbers.setdefault(root(place), len(numbers)) for place, _ in pairs)
