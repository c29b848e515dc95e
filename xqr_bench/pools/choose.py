"""Which pools of languages to look at: every subset of a size, or a seeded sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np

from xqr_bench.errors import UsageError


class Subsets(NamedTuple):
    """Pools of one size.

    Attributes:
        size: languages in each.
        pools: the languages of each, in the order of the task.
        all: whether these are all that there are; otherwise a sample without replacement.
    """

    size: int
    pools: tuple[tuple[str, ...], ...]
    all: bool


def subsets(languages: Sequence[str], limit: int, generator: np.random.Generator) -> list[Subsets]:
    """Subsets of each size from 1 up: all of them where there are at most `limit`, else a sample of so many.

    Raises:
        UsageError: `limit` is below 1.
    """
    if limit < 1:
        raise UsageError(f"{limit} pools of a size are none", remedy="give 1 or more")
    found = []
    for size in range(1, len(languages) + 1):
        n = comb(len(languages), size)
        every = list(combinations(languages, size))
        chosen = range(n) if n <= limit else np.sort(generator.choice(n, size=limit, replace=False)).tolist()
        found.append(Subsets(size, tuple(every[i] for i in chosen), n <= limit))
    return found


def nested(languages: Sequence[str], order: Sequence[str]) -> list[Subsets]:
    """Pools that grow by one language at a time, in this order.

    Raises:
        UsageError: the order names a language that is not there, or one twice.
    """
    strange = [code for code in order if code not in languages]
    if strange or len(set(order)) != len(order):
        raise UsageError(
            f"the order {', '.join(order)} is none of these languages",
            found=f"{', '.join(languages)}",
            remedy="name each at most once",
        )
    whole = [*order, *(code for code in languages if code not in order)]
    position = {code: i for i, code in enumerate(languages)}
    return [
        Subsets(size, (tuple(sorted(whole[:size], key=position.__getitem__)),), all=size == len(whole))
        for size in range(1, len(whole) + 1)
    ]
