"""Small tied rankings for tests, and the literal definitions the closed forms must equal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from xqr_bench.core.types import N_HITS, Hits, Ranks
from xqr_bench.measure.metrics import RankedLists, multilingual_lists

Item = tuple[int, float]  # (language, gain); gain 0 is irrelevant
Order = list[Item]


@dataclass(frozen=True)
class TiedList:
    """Blocks of tied candidates from best to worst."""

    blocks: tuple[tuple[Item, ...], ...]

    @property
    def items(self) -> Order:
        return [item for block in self.blocks for item in block]

    @property
    def n(self) -> int:
        return sum(gain > 0 for _, gain in self.items)

    def orders(self) -> Iterator[Order]:
        """Every order of the tied candidates, each as often as the others."""
        for chosen in itertools.product(*(itertools.permutations(block) for block in self.blocks)):
            yield [item for block in chosen for item in block]


def hits_of(lists: list[TiedList], languages: int, k: int) -> Hits:
    """The first k candidates of each list, ties in the order of the list."""
    columns, tied = np.full((len(lists), k), -1, dtype=np.int16), np.zeros((len(lists), k), dtype=np.bool_)
    beyond = np.zeros((len(lists), languages), dtype=np.int32)
    for query, found in enumerate(lists):
        place = 0
        for block in found.blocks:
            for i, (language, _) in enumerate(block):
                if place < k:
                    columns[query, place], tied[query, place] = language, i > 0
                elif place - i < k:
                    beyond[query, language] += 1
                place += 1
    return Hits(columns, tied, beyond)


def ranks_of(lists: list[TiedList], languages: int = 3, k: int = N_HITS) -> Ranks:
    """Counts of several queries (all of language 0) over pools of the same column sizes."""
    sizes = [[sum(item[0] == m for item in found.items) for m in range(languages)] for found in lists]
    assert all(size == sizes[0] for size in sizes)
    gt, eq, columns, gains, counts = [], [], [], [], []
    for found in lists:
        n = 0
        for place, block in enumerate(found.blocks):
            above = [item for earlier in found.blocks[:place] for item in earlier]
            for language, gain in block:
                if gain > 0:
                    gt.append([sum(item[0] == m for item in above) for m in range(languages)])
                    eq.append([sum(item[0] == m for item in block) for m in range(languages)])
                    columns.append(language)
                    gains.append(gain)
                    n += 1
        counts.append(n)
    names = [f"l{m}" for m in range(languages)]
    return Ranks(
        task="test",
        columns=tuple(names),
        column_sizes=np.array(sizes[0], dtype=np.int64),
        question_ids=[f"q{i}" for i in range(len(lists))],
        query_languages=["l0"] * len(lists),
        articles=np.arange(len(lists)),
        offsets=np.append(0, np.cumsum(counts)),
        relevant_ids=[f"d{i}" for i in range(len(columns))],
        relevant_columns=np.array(columns, dtype=np.int64),
        gains=np.array(gains, dtype=np.float64),
        gt=np.array(gt, dtype=np.int32).reshape(-1, languages),
        eq=np.array(eq, dtype=np.int32).reshape(-1, languages),
        top=np.array(
            [[sum(item[0] == m for item in found.blocks[0]) for m in range(languages)] for found in lists],
            dtype=np.int32,
        ),
        hits=hits_of(lists, languages, k),
    )


def pooled(found: TiedList, languages: int = 3) -> RankedLists:
    return multilingual_lists(ranks_of([found], languages))


# --- literal definitions, on one order without ties


def places(order: Order) -> list[int]:
    return [rank for rank, (_, gain) in enumerate(order, start=1) if gain > 0]


def literal_ap(order: Order) -> float:
    found = places(order)
    return sum(i / rank for i, rank in enumerate(found, start=1)) / len(found)


def literal_rr(order: Order) -> float:
    return 1 / places(order)[0]


def literal_recall(order: Order, k: int) -> float:
    found = places(order)
    return sum(rank <= k for rank in found) / len(found)


def literal_success(order: Order, k: int) -> float:
    return float(any(rank <= k for rank in places(order)))


def literal_ndcg(order: Order, k: int) -> float:
    def dcg(gains: list[float]) -> float:
        return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains[:k], start=1))

    gains = [gain for _, gain in order]
    return dcg(gains) / dcg(sorted(gains, reverse=True))


def literal_rank_distance(order: Order) -> float:
    return max(places(order)) - min(places(order))


def literal_max_rank(order: Order) -> float:
    return max(places(order))


def literal_complete(order: Order, k: int) -> float:
    return float(all(rank <= k for rank in places(order)))


def literal_other_language_recall(order: Order, k: int) -> float:
    others = [rank for rank, (language, gain) in enumerate(order, start=1) if gain > 0 and language != 0]
    return sum(rank <= k for rank in others) / len(others) if others else math.nan


def literal_raw_variance(order: Order) -> float:
    return float(np.var(places(order)))


def literal_rank_variance(order: Order) -> float:
    n, size = len(places(order)), len(order)
    u = []
    irrelevant = 0
    for _, gain in order:
        if gain > 0:
            u.append(math.log(1 + irrelevant) / math.log(1 + size - n))
        else:
            irrelevant += 1
    return float(np.var(u)) / ((n // 2) * ((n + 1) // 2) / n**2)


def literal_own_first(order: Order) -> float:
    first = next(language for language, gain in order if gain > 0)
    return float(first == 0)


def literal_own_position(order: Order) -> float:
    relevant = [language for language, gain in order if gain > 0]
    own = [place for place, language in enumerate(relevant) if language == 0]
    return float(np.mean(own)) / (len(relevant) - 1)


def literal_language_ndcg(order: Order, k: int) -> float:
    return literal_ndcg([(language, gain * (2 if language == 0 else 1)) for language, gain in order], k)


def literal_top(order: Order, *, right: bool, own: bool) -> float:
    language, gain = order[0]
    return float((gain > 0) == right and (language == 0) == own)


def mean_over_orders(found: TiedList, literal: Callable[[Order], float]) -> float:
    return float(np.mean([literal(order) for order in found.orders()]))
