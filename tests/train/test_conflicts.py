"""Conflicts and shares against their literal definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.build import CODES, parallel, partly_parallel
from xqr_bench.core.errors import UsageError
from xqr_bench.train.batches import (
    allowed_pairs,
    choose_partners,
    even_use,
    find_conflicts,
    group_questions,
    make_plan,
    pair_shares,
)
from xqr_bench.train.plans import PlanRequest
from xqr_bench.train.types import ParallelData


def literal_conflict(data: ParallelData, a: int, b: int) -> bool:
    """Shared relevant passage, equal passage or query text in any languages, or one's negative the other's passage."""
    if a == b or set(data.relevant_keys[a]) & set(data.relevant_keys[b]):
        return True
    texts = {
        (kind, q): {column[q] for column in table if column[q]}
        for kind, table in (("passage", data.passages), ("query", data.queries))
        for q in (a, b)
    }
    if texts["passage", a] & texts["passage", b] or texts["query", a] & texts["query", b]:
        return True
    wrong = {q: {text for column in data.negatives or () for text in column[q]} for q in (a, b)}
    return bool(wrong[a] & texts["passage", b] or wrong[b] & texts["passage", a])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_conflicts_by_definition(seed: int) -> None:
    """Texts and keys from few values, so that all kinds of conflict and of non-conflict come up."""
    rng = np.random.default_rng(seed)
    n, width = 14, 3
    data = partly_parallel(n, CODES[:width], seed=seed)

    def draw(what: str, values: int) -> tuple[tuple[str, ...], ...]:
        table = [[f"{what} {rng.integers(values)}" if here else "" for here in row] for row in data.has.tolist()]
        return tuple(zip(*table, strict=True))

    data = replace(
        data,
        queries=draw("text", 60),
        passages=draw("text", 60),  # an equal query and passage are no conflict
        relevant_keys=tuple((f"k{rng.integers(40)}", f"k{rng.integers(40)}") for _ in range(n)),
        negatives=tuple(tuple((f"text {rng.integers(60)}",) for _ in range(n)) for _ in range(width)),
    )
    found = find_conflicts(data)

    def of(ragged: object, q: int) -> set[int]:
        offsets, values = ragged
        return set(values[offsets[q] : offsets[q + 1]].tolist())

    for a in range(n):
        for b in range(n):
            keys = of(found.keys, a), of(found.keys, b)
            wrong = of(found.negatives, a), of(found.negatives, b)
            conflict = bool(keys[0] & keys[1] or wrong[0] & keys[1] or wrong[1] & keys[0])
            if a != b:
                assert conflict == literal_conflict(data, a, b), (a, b)
    assert max((max(of(found.keys, q)) for q in range(n)), default=0) < found.n_keys


def test_groups_and_their_shares_of_a_pair() -> None:
    """Each pair has its share, and each question is used as often as asked."""
    data = partly_parallel(200, CODES[:4], seed=8)
    shares = pair_shares(data)
    groups = group_questions(allowed_pairs(data), even_use(data), shares)
    sizes = np.diff(groups.offsets)
    assert sorted(groups.members.tolist()) == list(range(200))
    use = np.zeros(200)
    for pair in range(16):
        rows = slice(groups.pair_offsets[pair], groups.pair_offsets[pair + 1])
        a, b = divmod(pair, 4)
        both = {q for q in range(200) if data.has[q, a] and data.has[q, b]}
        served = groups.pair_groups[rows]
        members = [groups.members[groups.offsets[g] : groups.offsets[g + 1]] for g in served]
        assert set(np.concatenate(members).tolist()) == both
        assert groups.pair_weights[rows].sum() == pytest.approx(1)
        for g, weight, who in zip(served, groups.pair_weights[rows], members, strict=True):
            if a == b:  # a same-language row takes any question of its language alike
                assert weight == pytest.approx(sizes[g] / len(both))
            else:
                use[who] += shares[a, b] * weight / sizes[g]
    assert even_use(data).sum() == pytest.approx(1)
    np.testing.assert_allclose(use, even_use(data), rtol=1e-6)


def test_shares_of_pairs() -> None:
    full = pair_shares(parallel(10, CODES[:3]))
    np.testing.assert_allclose(full, (1 - np.eye(3)) / 6)
    path = {i: [CODES[i % 4], CODES[(i + 1) % 4]] for i in range(40)}
    chord = {**path, 40: ["de", "es"]}  # a ring of four, and a pair that leaves en and th no partner
    shares = pair_shares(parallel(41, CODES[:4], has=chord))
    ring = [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]
    np.testing.assert_allclose(shares, np.array(ring) / 8, atol=1e-9)
    five = {i: [CODES[i % 5], CODES[(i + 1) % 5]] for i in range(50)}
    shares = pair_shares(parallel(51, CODES, has={**five, 50: ["de", "es"]}))  # here the pair fits in
    np.testing.assert_allclose(shares.sum(axis=0), 0.2, rtol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=1), 0.2, rtol=1e-6)
    assert shares[0, 2] > 0
    assert shares[1, 3] == shares[3, 1] == 0


def test_bitext_of_english_and_one_other_language() -> None:
    """Each pair that there is comes equally often; what is no bitext is refused as before."""
    others = [code for code in CODES[:4] if code != "en"]
    lines = {i: ["en", others[i % 3]] for i in range(60)}
    data = parallel(60, CODES[:4], has=lines)
    with pytest.raises(UsageError, match="no choice of language pairs"):
        pair_shares(data)
    bitext = replace(data, kind="bitext")
    shares = pair_shares(bitext)
    pivot = data.languages.index("en")
    assert shares[pivot].sum() == shares[:, pivot].sum() == pytest.approx(0.5)
    assert np.unique(shares[shares > 0]).tolist() == pytest.approx([1 / 6])
    plan = make_plan(bitext, PlanRequest(strategy="x-y", steps=30, batch_size=6, seed=1))
    assert plan.steps == 30
    drawn = set(zip(plan.query_language.ravel().tolist(), plan.passage_language.ravel().tolist(), strict=True))
    assert len(drawn) == 6
    assert all((a == pivot) != (b == pivot) for a, b in drawn)


@pytest.mark.parametrize("data", [parallel(60, CODES), partly_parallel(60, CODES)])
def test_partners(data: ParallelData) -> None:
    partners = choose_partners(data, 0, 0)
    assert ((partners >= 0) == data.has).all()
    for q in range(60):
        own = np.flatnonzero(data.has[q])
        assert sorted(partners[q, own]) == own.tolist()  # each language once a query's, once a passage's
        assert (partners[q, own] != own).all()
    np.testing.assert_array_equal(partners, choose_partners(data, 0, 0))
    assert (partners != choose_partners(data, 1, 0)).any()
