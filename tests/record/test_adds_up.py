"""Whether the counts of the short form add up: the compiled loop against its literal form, place by place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xqr_bench import evaluate
from xqr_bench.core.types import LENIENT, Ranks
from xqr_bench.record import shortened
from xqr_bench.record.rank_files import _no_sum


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
        assert (_no_sum(ranks) == literal(ranks)).all()
        assert not (ranks.own_parts and _no_sum(ranks).any())
        changed = {name: getattr(ranks, name).copy() for name in ("gt", "eq", "own_gt", "own_eq")}
        rows = generator.choice(ranks.n_relevants, 40, replace=False)
        for values in changed.values():
            moved = generator.integers(-3, 4, (len(rows), *values.shape[1:]))
            values[rows] = np.maximum(values[rows] + moved, 1).astype(values.dtype)
        wrong = replace(ranks, **changed, variants={})
        assert literal(wrong).any()
        assert (_no_sum(wrong) == literal(wrong)).all()
