"""Whether counts contradict each other, and those of the short form add up: compiled loops against literal forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xqr_bench import evaluate
from xqr_bench.core.types import LENIENT, Ranks
from xqr_bench.record import shortened
from xqr_bench.record.rank_checks import contradictions, no_sum


def literal(ranks: Ranks) -> np.ndarray:  # many queries at once, in arrays
    counts, wrong = ranks.counts, np.zeros(ranks.n_relevants, dtype=np.bool_)
    for first in range(0, ranks.n_queries, 64):
        last = min(first + 64, ranks.n_queries)
        rows = np.arange(ranks.offsets[first], ranks.offsets[last])
        rows = rows[counts.gt[rows] >= 0]
        gt, eq, own_gt, own_eq = (values.astype(np.int64) for values in counts.take(rows))
        queries, columns = ranks.row_queries[rows] - first, ranks.relevant_columns[rows]
        left = 0 if ranks.removed is None else ranks.removed[first:last]
        sizes = np.broadcast_to(ranks.column_sizes - left, (last - first, len(ranks.columns)))
        tops = np.zeros_like(sizes) if ranks.top is None else ranks.top[first:last]
        # two places of each relevant: above all that tie with it, and below them; what ties has the same places
        places = np.concatenate([queries * (int(gt.max(initial=0)) + 1) + gt] * 2) * 2 + np.repeat([0, 1], len(rows))
        order = np.argsort(places, kind="stable")
        stated, own = np.concatenate([gt, gt + eq])[order], np.concatenate([own_gt, own_gt + own_eq])[order]
        of, language = np.tile(queries, 2)[order], np.tile(columns, 2)[order]
        # one row a language; no query's counts reach into those of the next one
        base = of * (int(sizes.sum(axis=1).max(initial=0)) + 1)
        least, most = np.repeat(base[None], len(ranks.columns), axis=0), base + sizes.T[:, of]
        least[language, np.arange(len(of))] = most[language, np.arange(len(of))] = own + base
        np.maximum(least, np.where(stated > 0, base + tops.T[:, of], base), out=least)
        np.maximum.accumulate(least, axis=1, out=least)
        most = np.minimum.accumulate(most[:, ::-1], axis=1)[:, ::-1]
        stated += len(ranks.columns) * base
        no_sum = (least.sum(axis=0) > stated) | (most.sum(axis=0) < stated)
        wrong[np.tile(rows, 2)[order[no_sum]]] = True
        # those that tie, each language once
        blocks, block = np.unique(places[: len(rows)], return_inverse=True)
        once = np.unique(block * len(ranks.columns) + columns, return_index=True)[1]
        wrong[rows] |= np.bincount(block[once], own_eq[once], len(blocks))[block] > eq
    return wrong


@pytest.fixture(scope="module", params=["char-ngrams", "bm25"])
def pooled(request: pytest.FixtureRequest) -> Ranks:
    return shortened(evaluate(request.param, "mini")).ranks


@pytest.mark.parametrize("seed", range(6))
def test_wrong_counts_are_found_where_the_literal_form_finds_them(pooled: Ranks, seed: int) -> None:
    generator, variant = np.random.default_rng(seed), pooled.variants.get(LENIENT, pooled)
    for ranks in (pooled, variant):
        assert (no_sum(ranks) == literal(ranks)).all()
        assert not (ranks.own_parts and no_sum(ranks).any())
        changed = {name: getattr(ranks, name).copy() for name in ("gt", "eq", "own_gt", "own_eq")}
        rows = generator.choice(ranks.n_relevants, 40, replace=False)
        for values in changed.values():
            moved = generator.integers(-3, 4, (len(rows), *values.shape[1:]))
            values[rows] = np.maximum(values[rows] + moved, 1).astype(values.dtype)
        wrong = replace(ranks, **changed, variants={})
        assert literal(wrong).any()
        assert (no_sum(wrong) == literal(wrong)).all()


def literal_contradictions(lists, gt, eq, own=None) -> dict[str, np.ndarray]:
    crossing, crowded = np.zeros((2, len(lists)), dtype=np.bool_)
    order = np.flatnonzero((gt >= 0).all(axis=1))
    above = gt[order].sum(axis=1, dtype=np.int64)
    # one number a row: several times as fast as two, and nothing is lost, for counts fit in 32 bits
    order = order[np.argsort(lists[order] * (int(above.max(initial=0)) + 1) + above, kind="stable")]
    lists, gt, eq = lists[order], gt[order].astype(np.int64), eq[order].astype(np.int64)
    own = np.zeros(len(order), dtype=np.int64) if own is None else own[order]
    together = lists[1:] == lists[:-1]
    same = together & (gt[1:] == gt[:-1]).all(axis=1) & (eq[1:] == eq[:-1]).all(axis=1)
    below = (gt[1:] >= gt[:-1] + eq[:-1]).all(axis=1)
    block = np.cumsum(np.append(True, ~same))[: len(order)] * gt.shape[1] + own  # those of one pool that tie
    crossing[order[1:]] = together & ~same & ~below
    crowded[order] = np.bincount(block)[block] > eq[np.arange(len(order)), own]
    return {"two relevants contradict each other": crossing, "more relevants tie than candidates do": crowded}


@pytest.mark.parametrize("pools", [1, 2, 5])
@pytest.mark.parametrize("seed", range(20))
def test_contradictions_are_found_where_the_literal_form_finds_them(pools: int, seed: int) -> None:
    generator, n = np.random.default_rng([seed, pools]), 60
    lists = np.sort(generator.integers(0, 5, n))
    gt, eq = (generator.integers(low, 4, (n, pools)) for low in (-1 if seed % 2 else 0, 1 if seed % 3 else 0))
    if seed % 4 == 0:  # many that tie
        gt, eq = gt[np.arange(n) // 4 * 4], eq[np.arange(n) // 4 * 4]
    for own in (None, generator.integers(0, pools, n)):
        found, wanted = contradictions(lists, gt, eq, own), literal_contradictions(lists, gt, eq, own)
        assert list(found) == list(wanted)
        for problem, wrong in wanted.items():
            assert (found[problem] == wrong).all(), problem
