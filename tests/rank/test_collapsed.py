"""Counts of more languages than are told apart: the pool, the relevant's own language, the query's, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xqr_bench.core.types as types
import xqr_bench.rank.product as product
from tests.kit import small_task, vectors
from tests.rank import small
from xqr_bench.core.errors import RecordError
from xqr_bench.core.types import (
    JUDGED,
    LENIENT,
    MOST_COLUMNS,
    PARAGRAPH,
    STRICT,
    Candidate,
    Query,
    Ranks,
    TaskData,
    collapses,
)
from xqr_bench.evaluation.baselines import oracle_ranks
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.evaluation.ranker import Task
from xqr_bench.rank.exact import count_all, exact_ranks, ranks_of_scores
from xqr_bench.rank.torch_counting import TorchCounter
from xqr_bench.record import (
    check_possible,
    load_ranks,
    load_record,
    rank_checks,
    rank_files,
    ranks_digest,
    recompute,
    save_ranks,
    save_record,
)


def both(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Ranks]) -> tuple[Ranks, Ranks]:
    """The ranks as they are made of few languages, and of many."""
    full = make()
    with monkeypatch.context() as patch:
        patch.setattr(types, "MOST_COLUMNS", 1)
        return full, make()


def same_counts(full: Ranks, collapsed: Ranks) -> None:
    """Every collapsed count is the sum of the columns that it stands for."""
    assert full.by_language
    assert not collapsed.by_language
    for one, other in zip(full.counts, collapsed.counts, strict=True):
        np.testing.assert_array_equal(one, other)
    own = full.query_numbers
    assert full.top is not None
    assert collapsed.top is None
    assert collapsed.own_top is not None
    some = own < len(full.columns)
    first = full.top[np.arange(full.n_queries)[some], own[some]]
    np.testing.assert_array_equal(collapsed.own_top[some, 0], first)
    assert not collapsed.own_top[~some, 0].any()
    np.testing.assert_array_equal(collapsed.own_top.sum(axis=1), full.top.sum(axis=1))
    if collapsed.query_gt is None or collapsed.query_eq is None:
        return
    of_row, here = own[full.row_queries], some[full.row_queries]
    rows = np.flatnonzero(here)
    np.testing.assert_array_equal(collapsed.query_gt[rows], full.gt[rows, of_row[rows]])
    np.testing.assert_array_equal(collapsed.query_eq[rows], full.eq[rows, of_row[rows]])
    assert set(collapsed.query_gt[~here].tolist()) <= {0, -1}


def task_of(questions: int, sizes: list[int]) -> TaskData:
    """Queries of all languages and of one more, which has no candidates."""
    data = small_task(questions, {f"l{i}": size for i, size in enumerate(sizes)})
    more = tuple(
        replace(query, id=f"xx:{query.question}", language="xx")
        for query in data.queries
        if query.language == data.languages[0]
    )
    return replace(
        data,
        queries=(*data.queries, *more),
        relevants=(*data.relevants, *data.relevants[: len(more)]),
        clusters=(*data.clusters, *(0 for _ in more)),
    )


def test_from_33_languages_on_counts_are_collapsed() -> None:
    assert MOST_COLUMNS == 32
    assert not collapses(["l"] * 32)
    assert collapses(["l"] * 33)
    for n, width in ((32, 32), (33, 1)):
        data = small_task(2, {f"l{i}": 2 for i in range(n)})
        ranks = exact_ranks(data, vectors(len(data.queries), 0), vectors(len(data.candidates), 1))
        assert ranks.gt.shape == (len(data.positions), width)
        assert ranks.own_parts == (n > 32)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 5), st.lists(st.integers(1, 7), min_size=2, max_size=4), st.integers(0, 1000), st.booleans())
def test_collapsed_counts_are_the_literal_counts(
    monkeypatch: pytest.MonkeyPatch, questions: int, sizes: list[int], seed: int, in_panels: bool
) -> None:
    data = task_of(questions, sizes)
    # small whole numbers: dot products are exact in float32, and many vectors are equal, so that groups are counted too
    queries, candidates = vectors(len(data.queries), seed, levels=3), vectors(len(data.candidates), seed + 1, levels=2)
    with monkeypatch.context() as patch:
        patch.setattr(types, "MOST_COLUMNS", 1)
        if in_panels:
            patch.setattr(product, "TILE_COLUMNS", 4)
            patch.setattr(product, "TILE_ROWS", 4)
        ranks = exact_ranks(data, queries, candidates, similarity="dot", memory=2**28 if not in_panels else 400)
    scores = queries.astype(np.float64) @ candidates.astype(np.float64).T
    languages = np.array([candidate.language for candidate in data.candidates])
    row = 0
    assert ranks.own_gt is not None
    assert ranks.own_eq is not None
    assert ranks.own_top is not None
    assert ranks.query_gt is not None
    assert ranks.query_eq is not None
    for query, relevants in enumerate(data.relevants):
        asked_in, of_query = languages == data.queries[query].language, scores[query]
        first = of_query == of_query.max()
        assert ranks.own_top[query].tolist() == [(first & asked_in).sum(), (first & ~asked_in).sum()]
        for index in relevants:
            above, beside = of_query > of_query[index], of_query == of_query[index]
            own = languages == languages[index]
            assert (ranks.gt[row, 0], ranks.eq[row, 0]) == (above.sum(), beside.sum())
            assert (ranks.own_gt[row], ranks.own_eq[row]) == ((above & own).sum(), (beside & own).sum())
            assert (ranks.query_gt[row], ranks.query_eq[row]) == ((above & asked_in).sum(), (beside & asked_in).sum())
            assert ranks.relevant_ids[row] == data.candidates[index].id
            row += 1
    assert row == ranks.n_relevants


def test_all_that_ranks_counts_the_same_in_both_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small.task()
    tied = small.scores(data, levels=3)
    cut = np.where(tied > 0, tied, np.float32(-np.inf))
    ways: list[Callable[[], Ranks]] = [
        lambda: oracle_ranks(data),
        lambda: ranks_of_scores(data, small.blocks(tied), own_lists=True),
        lambda: ranks_of_scores(data, small.blocks(cut), own_lists=False, depth=5),
    ]
    for make in ways:
        same_counts(*both(monkeypatch, make))


def test_torch_counts_the_same_in_both_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    data = task_of(4, [5, 3, 6])
    queries, candidates = vectors(len(data.queries), 5, levels=3), vectors(len(data.candidates), 6, levels=2)

    def counted() -> Ranks:
        counter = TorchCounter(data.edges, queries, candidates, unit=False, memory=2**26, device="cpu")
        return count_all(data, counter)

    same_counts(*both(monkeypatch, counted))


@pytest.mark.parametrize("settings_", [("multilingual",), ("multilingual", "cross-lingual", "monolingual")])
def test_runs_are_counted_the_same_in_both_forms(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings_: tuple[str, ...]
) -> None:
    data = small.task()
    values = small.scores(data, levels=4)
    small.write_run(tmp_path, "".join(small.whole(data, values)))
    for setting in settings_[1:]:
        lines = [
            small.line(
                query.id if setting == "monolingual" else f"{query.id}>{candidate.language}",
                candidate.id,
                f"{values[q, c]:.9g}",
            )
            for q, query in enumerate(data.queries)
            for c, candidate in enumerate(data.candidates)
            if (candidate.language == query.language) == (setting == "monolingual")
        ]
        small.write_run(tmp_path, "".join(lines), setting)
    spec = small.spec(settings=settings_)

    def made() -> Ranks:
        return evaluate(f"run:{tmp_path}", [Task(spec, data)])[0].ranks

    same_counts(*both(monkeypatch, made))


def test_a_file_holds_collapsed_ranks_and_nobody_alters_them_unseen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = task_of(5, [5, 3, 6])
    queries, candidates = vectors(len(data.queries), 5, levels=3), vectors(len(data.candidates), 6, levels=2)
    monkeypatch.setattr(types, "MOST_COLUMNS", 1)
    ranks = exact_ranks(data, queries, candidates, similarity="dot")
    for rows in (2**20, 7):  # one group of rows, and several
        for module in (rank_checks, rank_files):
            monkeypatch.setattr(module, "ROWS_AT_ONCE", rows)
        check_possible(ranks)
        save_ranks(ranks, tmp_path / "few.parquet")
        again = load_ranks(tmp_path / "few.parquet", ranks.n_relevants)
        assert ranks_digest(again) == ranks_digest(ranks)
        for name in ("gt", "eq", "own_gt", "own_eq", "query_gt", "query_eq", "own_top", "offsets", "relevant_columns"):
            np.testing.assert_array_equal(getattr(again, name), getattr(ranks, name))
        assert list(again.relevant_ids) == list(ranks.relevant_ids)
        assert again.query_ids == ranks.query_ids
        assert (again.own_parts, again.top) == (True, None)
    for name in ("query_gt", "query_eq", "own_top", "gt", "own_eq"):
        changed = getattr(ranks, name).copy()
        changed[0] += 100
        with pytest.raises(RecordError, match="not possible"):
            check_possible(replace(ranks, **{name: changed}))
    same = int(np.flatnonzero(ranks.query_numbers[ranks.row_queries] == ranks.relevant_columns)[0])
    assert ranks.query_gt is not None
    other = ranks.query_gt.copy()
    other[same] = other[same] - 1 if other[same] else 1
    with pytest.raises(RecordError, match="query's language"):
        check_possible(replace(ranks, query_gt=other))


def task_of_all_rules(seed: int) -> TaskData:
    """Three languages of other sizes each, few words, so that many tie, and random gains, judgements and echoes."""
    generator = np.random.default_rng(seed)

    def words(n: int) -> str:
        return " ".join(generator.choice(["rain", "snow", "fog"], n))

    languages = ("de", "en", "th")
    candidates = tuple(
        Candidate(f"{code}:0:{i // 2}:{i % 2}", code, words(2), f"{code}:0:{i // 2}")
        for code in languages
        for i in range(int(generator.integers(1, 7)))
    )
    asked = [(code, i) for code in (*languages, "xx") for i in range(4) if i == 0 or generator.random() < 0.7]
    of_query: list[tuple[list[int], list[int], list[int]]] = []
    for _ in asked:
        grades = generator.choice([-1, 0, 1, 2], len(candidates))
        grades[generator.integers(len(candidates))] = 2
        relevant, others = np.flatnonzero(grades > 0), np.flatnonzero(grades < 1)
        near = {candidates[i].unit for i in relevant}
        echoes = [i for i in others.tolist() if candidates[i].unit in near and generator.random() < 0.5]
        of_query.append((relevant.tolist(), np.flatnonzero(grades == 0).tolist(), echoes))
    return TaskData(
        name="small",
        languages=languages,
        queries=tuple(Query(f"{code}:q{i}", code, f"q{i}", words(2)) for code, i in asked),
        candidates=candidates,
        relevants=tuple(tuple(relevant) for relevant, _, _ in of_query),
        clusters=tuple(i for _, i in asked),
        relevance=(JUDGED, LENIENT, PARAGRAPH),
        irrelevant=tuple(tuple(judged) for _, judged, _ in of_query),
        echoes=tuple(tuple(echoes) for _, _, echoes in of_query),
    )


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("ranker", ["random:3", "bm25", "char-ngrams", "oracle"])
def test_a_record_of_every_rule_is_read_back_and_recomputes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ranker: str, many: bool
) -> None:
    if many:
        monkeypatch.setattr(types, "MOST_COLUMNS", 1)
    for seed in range(3):
        data = task_of_all_rules(seed)
        record = evaluate(ranker, [Task(small.spec(relevance=data.relevance), data)])[0]
        assert record.ranks.by_language != many
        assert record.ranks.variants.keys() == set(data.relevance)
        save_record(record, tmp_path / f"{seed}.json")
        again = load_record(tmp_path / f"{seed}.json", ranks=True)
        for rule, made in {STRICT: record.ranks, **record.ranks.variants}.items():
            read = again.ranks_under(rule)
            for name in ("gt", "eq", "own_gt", "own_eq", "query_gt", "query_eq", "top", "own_top", "removed"):
                one, other = getattr(made, name), getattr(read, name)
                assert (one is None) == (other is None), (rule, name)
                np.testing.assert_array_equal(one, other)
        assert recompute(again)[1] == []
