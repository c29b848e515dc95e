"""What holds for every plan: the batches' types, the languages' shares, no false negative, the same from a seed."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conftest import needs_data
from tests.train.build import CODES, parallel, partly_parallel, planned
from tests.train.test_conflicts import literal_conflict
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.train.batch_files import plan_statistics
from xqr_bench.train.data import load_training_data
from xqr_bench.train.plans import STRATEGIES
from xqr_bench.train.types import BATCH_TYPES, BatchPlan, ParallelData

ARMS = [
    {"strategy": "x-x-mono"},
    {"strategy": "x-y"},
    {"strategy": "hybrid", "alpha": 0.3},
    {"strategy": "hybrid", "alpha": 0.7, "mix": "pair"},
    {"strategy": "x-x"},
    {"strategy": "x-y-fixed"},
    {"strategy": "mono-first"},
    {"strategy": "cross-first"},
    {"strategy": "x-y", "distinct_pairs": "as-monolingual"},
    {"strategy": "x-y", "shuffle_positives": True},
]
arms = st.sampled_from(ARMS)


@st.composite
def data_sets(draw: st.DrawFn) -> ParallelData:
    """Fully or partly parallel data, in which some questions share a passage."""
    n = draw(st.integers(60, 120))
    codes = CODES[: draw(st.integers(2, 5))]
    shared = {i: i - 1 for i in range(1, n, draw(st.sampled_from([2, 3, 1000])))}
    if draw(st.booleans()):
        return parallel(n, codes, passage_of=shared)
    rng = np.random.default_rng(draw(st.integers(0, 5)))
    has = {i: [str(c) for c in rng.permutation(codes)[: rng.integers(2, len(codes) + 1)]] for i in range(n)}
    return parallel(n, codes, has=has, passage_of=shared)


def check_rows(plan: BatchPlan, data: list[ParallelData]) -> None:
    """Each row exists, its languages are those its type says, and no two rows of a batch are false negatives."""
    for step in range(plan.steps):
        rows = plan.take(step)
        assert len({row.data_set for row in rows}) == 1
        for row in rows:
            one = data[row.data_set]
            assert one.query(row.question, row.query_language)
            assert one.passage(row.passage_question, row.passage_language)
            if plan.batch_type(step) == "monolingual":
                assert row.query_language == row.passage_language == rows[0].query_language
            if plan.batch_type(step) == "cross-lingual":
                assert row.query_language != row.passage_language
        one = data[rows[0].data_set]
        for a, b in combinations(rows, 2):
            assert not literal_conflict(one, a.question, b.question)
            assert not literal_conflict(one, a.question, b.passage_question)
            assert not literal_conflict(one, b.question, a.passage_question)


@settings(max_examples=25, deadline=None)
@given(data=data_sets(), arm=arms, seed=st.integers(0, 99))
def test_rows_of_every_strategy(data: ParallelData, arm: dict[str, object], seed: int) -> None:
    plan = planned(data, steps=5, batch_size=8, seed=seed, **arm)
    check_rows(plan, [data])
    shuffled = plan.question != plan.passage_question
    assert shuffled.all() if "shuffle_positives" in arm else not shuffled.any()


@settings(max_examples=30, deadline=None)
@given(data=data_sets(), arm=arms, seed=st.integers(0, 99), cut=st.integers(1, 11))
def test_same_seed_same_plan_and_any_beginning_of_it(
    data: ParallelData, arm: dict[str, object], seed: int, cut: int
) -> None:
    arm = {**arm, "turn": 5} if "first" in str(arm["strategy"]) else arm
    whole = planned(data, steps=12, batch_size=6, seed=seed, **arm)
    assert planned(data, steps=12, batch_size=6, seed=seed, **arm).digest() == whole.digest()
    start = planned(data, steps=cut, batch_size=6, seed=seed, **arm)
    for name in ("types", "data_set", "question", "passage_question", "query_language", "passage_language"):
        np.testing.assert_array_equal(getattr(start, name), getattr(whole, name)[:cut], err_msg=name)
    assert planned(data, steps=12, batch_size=6, seed=seed + 1, **arm).digest() != whole.digest()


@settings(max_examples=30, deadline=None)
@given(data=data_sets(), arm=st.sampled_from(ARMS[:8]), seed=st.integers(0, 99))
def test_languages_come_equally_often(data: ParallelData, arm: dict[str, object], seed: int) -> None:
    """Exact but for the last deck of each kind: a deck holds each language, or each ordered pair, once."""
    size = 6
    plan = planned(data, steps=40, batch_size=size, seed=seed, **arm)
    width = len(data.languages)
    has = data.has.astype(int)
    assume((has.T @ has > 0).all())  # for pairs that share no question the shares are scaled, not dealt
    for side in (plan.query_language, plan.passage_language):
        counts = np.bincount(side.reshape(-1), minlength=width)
        # an unfinished round leaves at most one batch or row too many of a language
        slack = {"x-x-mono": size, "x-y-fixed": size, "x-y": 1, "x-x": 1}.get(str(arm["strategy"]), size + 1)
        assert counts.max() - counts.min() <= slack, counts


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]), mix=st.booleans())
def test_realised_ratio(seed: int, alpha: float, mix: bool) -> None:
    steps, size = 400, 4
    plan = planned(parallel(30), alpha=alpha, mix="pair" if mix else "batch", steps=steps, batch_size=size, seed=seed)
    same = plan.query_language == plan.passage_language
    trials = steps * size if mix else steps
    found = same.mean() if mix else np.mean(plan.types == BATCH_TYPES.index("monolingual"))
    assert abs(found - alpha) <= 5 * np.sqrt(alpha * (1 - alpha) / trials)  # 5 standard errors
    if not mix:
        assert plan_statistics(plan, [parallel(30)]).ratio_batches == pytest.approx(found)
        assert (same.all(axis=1) == (plan.types == BATCH_TYPES.index("monolingual"))).all()


def test_lower_alpha_is_nested_in_higher() -> None:
    plans = [planned(parallel(30), alpha=alpha, steps=200, batch_size=4, seed=3) for alpha in (0.1, 0.5, 0.9)]
    mono = [plan.types == BATCH_TYPES.index("monolingual") for plan in plans]
    assert (mono[0] <= mono[1]).all()
    assert (mono[1] <= mono[2]).all()


@pytest.mark.parametrize(("alpha", "strategy"), [(0.0, "x-y"), (1.0, "x-x-mono")])
def test_ends_of_the_hybrid_are_the_published_strategies(alpha: float, strategy: str) -> None:
    for data in (parallel(40), partly_parallel(60)):
        hybrid = planned(data, alpha=alpha, steps=20, batch_size=6, seed=2)
        assert hybrid.digest() == planned(data, strategy=strategy, steps=20, batch_size=6, seed=2).digest()


@pytest.mark.parametrize(("alpha", "strategy"), [(0.0, "x-y"), (1.0, "x-x")])
def test_ends_of_the_hybrid_by_pair(alpha: float, strategy: str) -> None:
    hybrid = planned(parallel(40), alpha=alpha, mix="pair", steps=20, batch_size=6, seed=2)
    other = planned(parallel(40), strategy=strategy, steps=20, batch_size=6, seed=2)
    np.testing.assert_array_equal(hybrid.query_language, other.query_language)
    np.testing.assert_array_equal(hybrid.passage_language, other.passage_language)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), shared=st.sampled_from([2, 3, 1000]))
def test_same_questions_in_every_arm_where_all_are_in_all_languages(seed: int, shared: int) -> None:
    data = parallel(80, CODES, passage_of={i: i - 1 for i in range(1, 80, shared)})
    plans = [planned(data, steps=15, batch_size=10, seed=seed, **arm) for arm in ARMS]
    for plan in plans[1:]:
        np.testing.assert_array_equal(plan.question, plans[0].question)


@pytest.mark.parametrize("arm", ARMS[:8])
def test_same_order_in_every_arm_within_the_questions_of_the_same_languages(arm: dict[str, object]) -> None:
    """Partly parallel data: each group is gone through in one order; arms differ in how far they get."""
    data = partly_parallel(90, CODES[:3], seed=1)
    kinds = {tuple(row) for row in data.has.tolist()}
    reference = planned(data, alpha=0.5, steps=30, batch_size=5, seed=4)
    plan = planned(data, steps=30, batch_size=5, seed=4, **arm)
    assert len(kinds) > 2
    for kind in kinds:
        of_kind = np.flatnonzero((data.has == np.array(kind)).all(axis=1))
        orders = [[q for q in one.question.reshape(-1).tolist() if q in set(of_kind)] for one in (reference, plan)]
        n = min(map(len, orders))
        assert orders[0][:n] == orders[1][:n]


@pytest.mark.parametrize("arm", [ARMS[1], ARMS[2], ARMS[3], ARMS[4]])
def test_arms_keep_pace_through_partly_parallel_data(arm: dict[str, object]) -> None:
    """Over as many batches as there are languages two arms go through nearly the same questions; two seeds do not."""
    data = partly_parallel(400, CODES, seed=6)
    arguments = {"steps": 150, "batch_size": 20}
    reference = planned(data, strategy="x-x-mono", seed=1, **arguments)

    def common(plan: BatchPlan) -> float:
        windows = [(plan.question[s : s + 10], reference.question[s : s + 10]) for s in range(0, 150, 10)]
        shared = [Counter(a.reshape(-1).tolist()) & Counter(b.reshape(-1).tolist()) for a, b in windows]
        return sum(sum(one.values()) for one in shared) / plan.question.size

    same, other = (planned(data, seed=seed, **arguments, **arm) for seed in (1, 2))
    assert common(same) > 0.85
    assert common(other) < 0.6


def test_every_question_comes_equally_often_where_nothing_conflicts() -> None:
    plan = planned(parallel(40), strategy="x-y", steps=40, batch_size=8, seed=1)
    assert set(np.bincount(plan.question.reshape(-1), minlength=40)) == {8}


def test_within_a_pair_questions_come_equally_often() -> None:
    """Partly parallel data: given its language, a monolingual row is any of the language's questions."""
    data = partly_parallel(60, CODES[:3], seed=2)
    plan = planned(data, strategy="x-x-mono", steps=3000, batch_size=4, seed=0)
    for language in range(3):
        mine = plan.question[plan.query_language == language]
        own = np.flatnonzero(data.has[:, language])
        counts = np.bincount(mine, minlength=60)
        assert set(np.flatnonzero(counts)) == set(own)
        expected = len(mine) / len(own)
        assert abs(counts[own] - expected).max() < 6 * np.sqrt(expected)


@pytest.mark.parametrize("arm", ARMS[1:5] + ARMS[6:])
def test_each_question_comes_as_often_as_in_monolingual_training(arm: dict[str, object]) -> None:
    """Partly parallel data: a question in four languages has twelve pairs, but does not come oftener for that."""
    data = partly_parallel(120, CODES, seed=3)
    size, steps = 6, 2000
    plan = planned(data, steps=steps, batch_size=size, seed=0, **arm)
    by_definition = [
        sum(1 / (5 * data.has[:, language].sum()) for language in range(5) if data.has[q, language]) for q in range(120)
    ]
    expected = steps * size * np.array(by_definition)
    assert expected.min() < 0.7 * expected.max()
    counts = np.bincount(plan.question.reshape(-1), minlength=120)
    assert (abs(counts - expected) < 3 + 0.03 * expected).all()
    kinds = data.has.sum(axis=1)
    for kind in set(kinds.tolist()):  # no drift between questions in few and in many languages
        assert counts[kinds == kind].sum() == pytest.approx(expected[kinds == kind].sum(), rel=0.01)


def test_pairs_as_monolingual() -> None:
    for data in (parallel(60, CODES), partly_parallel(80, CODES)):
        plan = planned(data, strategy="x-y", steps=600, batch_size=10, seed=0, distinct_pairs="as-monolingual")
        found = plan_statistics(plan, [data])
        monolingual = int(data.has.sum())
        assert 0.9 * monolingual < found.distinct_pairs <= monolingual
        free = planned(data, strategy="x-y", steps=600, batch_size=10, seed=0)
        assert plan_statistics(free, [data]).distinct_pairs > 1.5 * monolingual
        # each query version meets one passage language; each passage version one query language
        rows = {
            (int(q), int(a), int(b))
            for q, a, b in zip(plan.question.flat, plan.query_language.flat, plan.passage_language.flat, strict=True)
        }
        assert len({row[:2] for row in rows}) == len({(q, b) for q, _, b in rows}) == len(rows)


def test_orders() -> None:
    data = parallel(40)
    mono, cross = BATCH_TYPES.index("monolingual"), BATCH_TYPES.index("cross-lingual")
    first = planned(data, strategy="mono-first", steps=10, batch_size=4)
    assert first.types.tolist() == [mono] * 5 + [cross] * 5
    assert planned(data, strategy="cross-first", steps=10, batch_size=4).types.tolist() == [cross] * 5 + [mono] * 5
    assert planned(data, strategy="mono-first", alpha=0.2, steps=10, batch_size=4).types.tolist().count(mono) == 2
    assert planned(data, strategy="cross-first", alpha=0.2, steps=10, batch_size=4).types.tolist().count(mono) == 2
    assert planned(data, strategy="cross-first", turn=3, steps=10, batch_size=4).types.tolist().count(cross) == 3


def test_data_sets_in_proportion_to_size() -> None:
    data = [parallel(30, name="small"), parallel(90, ("en", "zh"), name="large")]
    plan = planned(data, alpha=0.5, steps=2000, batch_size=4, seed=0)
    assert plan.languages == ("de", "en", "es", "zh")
    check_rows(planned(data, alpha=0.5, steps=30, batch_size=4, seed=0), data)
    share = float(np.mean(plan.data_set[:, 0] == 1))
    assert abs(share - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 2000)
    assert (plan.data_set == plan.data_set[:, :1]).all()
    assert set(plan_statistics(plan, data).data_set_rows) == {"small", "large"}


def test_pairs_without_a_common_question() -> None:
    ring = {i: [CODES[i % 4], CODES[(i + 1) % 4]] for i in range(80)}  # de-en, en-es, es-th, th-de
    plan = planned(parallel(80, CODES[:4], has=ring), strategy="x-y", steps=500, batch_size=8)
    for side in (plan.query_language, plan.passage_language):
        assert abs(np.bincount(side.reshape(-1)) / side.size - 0.25).max() < 0.03
    star = {i: ["en", CODES[2 * (i % 2)]] for i in range(80)}  # en-de, en-es: en is in every pair
    with pytest.raises(UsageError, match="same share of queries and passages") as caught:
        planned(parallel(80, CODES[:3], has=star), strategy="x-y", steps=5, batch_size=8)
    assert "de-es" in str(caught.value)
    assert planned(parallel(80, CODES[:3], has=star), strategy="x-x-mono", steps=5, batch_size=8).steps == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 1.5}, "ratio of monolingual batches is 1.5"),
        ({"alpha": float("nan")}, "ratio of monolingual batches is nan"),
        ({"alpha": -0.1}, "ratio of monolingual batches"),
        ({"strategy": "x-y"}, "has the ratio 0, not 0.5"),
        ({"strategy": "x-x-mono", "alpha": None, "mix": "pair"}, "cannot mix by pair"),
        ({"mix": "row"}, "mix is 'row'"),
        ({"steps": 0}, "number of updates is 0"),
        ({"batch_size": 1}, "batch size is 1"),
        ({"seed": -1}, "the seed is -1"),
        ({"seed": 1.5}, "the seed is 1.5"),
        ({"turn": 3}, "has no turn"),
        ({"distinct_pairs": "some"}, "distinct_pairs is 'some'"),
        ({"strategy": "x-y-fixed", "alpha": None, "distinct_pairs": "as-monolingual"}, "cannot limit"),
        ({"batch_size": 41}, "40 questions; a batch of 41"),
        ({"batch_size": 21, "shuffle_positives": True}, "as many others for their shuffled passages"),
    ],
)
def test_arguments_that_cannot_be_meant(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"strategy": "hybrid", "alpha": 0.5, "steps": 5, "batch_size": 4}
    planned(parallel(40), **good)
    with pytest.raises(UsageError, match=message):
        planned(parallel(40), **{**good, **change})


def test_a_strategy_without_a_ratio_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asking(type(STRATEGIES.get("hybrid"))):
        alpha = None

    monkeypatch.setitem(STRATEGIES._own, "asking", Asking())
    with pytest.raises(UsageError, match="needs a ratio"):
        planned(parallel(40), strategy="asking", steps=4)


def test_data_that_cannot_fill_such_batches() -> None:
    with pytest.raises(UnknownNameError, match="batch strategy"):
        planned(parallel(40), strategy="hybird", steps=1)
    with pytest.raises(UsageError, match="no training data"):
        planned([], alpha=1.0, steps=1)
    with pytest.raises(UsageError, match="one language only, en"):
        planned(parallel(40, ("en",)), alpha=0.9, steps=1, batch_size=4)
    assert planned(parallel(40, ("en",)), alpha=1.0, steps=1, batch_size=4).steps == 1
    with pytest.raises(UsageError, match="no question in two languages"):
        planned(parallel(40, has={i: [CODES[i % 3]] for i in range(40)}), alpha=0.5, steps=1, batch_size=4)
    with pytest.raises(UsageError, match="is bitext"):
        planned(parallel(40, kind="bitext"), alpha=0.1, steps=1, batch_size=4)
    assert planned(parallel(40, kind="bitext"), alpha=0, steps=1, batch_size=4).steps == 1
    few = parallel(40, passage_of={i: i % 5 for i in range(40)})  # 5 sentences
    with pytest.raises(UsageError, match="after 5 rows no further question in") as caught:
        planned(few, alpha=0.5, steps=1, batch_size=6)
    assert "40 questions in" in str(caught.value)
    assert planned(few, alpha=0.5, steps=50, batch_size=5).steps == 50
    small = parallel(40, has={i: ["de", "en"] if i < 4 else ["en", "es"] for i in range(40)})
    with pytest.raises(UsageError, match="after 4 rows no further question in de"):
        planned(small, alpha=1, steps=6, batch_size=5)


def test_crowded_sentences_wait_and_no_one_is_lost() -> None:
    """12 of 24 questions share a sentence: one a batch; the others fill the rest."""
    data = parallel(24, passage_of=dict.fromkeys(range(12), 0))
    plan = planned(data, strategy="x-y", steps=400, batch_size=6, seed=0)
    check_rows(planned(data, strategy="x-y", steps=20, batch_size=6, seed=0), [data])
    counts = np.bincount(plan.question.reshape(-1), minlength=24)
    assert counts.min() > 25  # 400 batches, 12 questions that take turns: about 33 each


def test_a_hard_negative_never_is_a_passage_of_the_batch() -> None:
    from dataclasses import replace

    plain = parallel(40)
    negatives = tuple(
        tuple((f"passage {(i + 1) % 40} {code}", "unrelated") for i in range(40)) for code in plain.languages
    )
    data = replace(plain, negatives=negatives)
    plan = planned(data, strategy="x-y", steps=60, batch_size=5, seed=0)
    for step in range(plan.steps):
        pairs = plan.pairs(step, [data])
        passages = {data.passage(row.question, code) for row in plan.take(step) for code in data.languages}
        assert not passages & {text for pair in pairs for text in pair.negatives}
    free = planned(plain, strategy="x-y", steps=60, batch_size=5, seed=0)
    neighbours = [{(q + 1) % 40 for q in rows} & set(rows) for rows in free.question.tolist()]
    assert any(neighbours)  # without the negatives such rows do meet


@needs_data
@pytest.mark.parametrize("task", ["xquad-r", "mlqa-r"])
@pytest.mark.parametrize("arm", [ARMS[0], ARMS[1], ARMS[2], ARMS[5], ARMS[8], ARMS[9]])
def test_real_data(task: str, arm: dict[str, object]) -> None:
    data = _REAL.setdefault(task, load_training_data(task))
    plan = planned(data, steps=600, batch_size=100, seed=0, **arm)
    check_rows(planned(data, steps=2, batch_size=100, seed=0, **arm), [data])
    width = len(data.languages)
    for side in (plan.query_language, plan.passage_language):
        counts = np.bincount(side.reshape(-1), minlength=width)
        exact = "distinct_pairs" not in arm or side is plan.query_language
        assert counts.max() - counts.min() <= (101 if exact else 0.05 * side.size / width)


_REAL: dict[str, ParallelData] = {}
