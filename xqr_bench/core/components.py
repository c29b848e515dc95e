"""Connected components of a graph."""

from __future__ import annotations

from collections.abc import Iterable


def connected(nodes: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """The number of each node's connected component, in order of first appearance: 0, 1, ...

    Args:
        nodes: how many there are, numbered from 0.
        edges: pairs of nodes.
    """
    above = list(range(nodes))  # towards the first node of the component

    def first(node: int) -> int:
        while above[node] != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    for edge in edges:
        low, high = sorted(map(first, edge))
        above[high] = low
    numbers: dict[int, int] = {}
    return [numbers.setdefault(first(node), len(numbers)) for node in range(nodes)]
