"""The top, lenient and paragraph counts against their literal definitions, from the scores themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xqr_bench.rank.product as product
from xqr_bench.core.types import JUDGED, LENIENT, PARAGRAPH, VARIANTS, Candidate, Counts, Query, Ranks, TaskData
from xqr_bench.rank.exact import ScoreBlock, exact_ranks, ranks_of_scores
from xqr_bench.rank.rules import Tally, group_relevants, ranks_of
from xqr_bench.record.relevance_files import check_relevance


def task(generator: np.random.Generator, questions: int, languages: int, paragraphs: int) -> TaskData:
    """Each question has one to two relevants a language, and some of the paragraph's other sentences leave."""
    names = [f"l{i}" for i in range(languages)]
    candidates: list[Candidate] = []
    members: dict[tuple[str, int], list[int]] = {}
    for name in names:
        for paragraph in range(paragraphs):
            for sentence in range(int(generator.integers(1, 5))):
                members.setdefault((name, paragraph), []).append(len(candidates))
                group = f"{name}:0:{paragraph}"
                candidates.append(Candidate(f"{group}:{sentence}", name, f"{len(candidates)}", group))
    relevants, echoes, irrelevant = {}, {}, {}
    for question in range(questions):
        right, out = [], []
        for name in names:
            found = members[name, int(generator.integers(0, paragraphs))]
            chosen = set(generator.choice(found, min(len(found), 1 + question % 2), replace=False).tolist())
            right += sorted(chosen)
            out += [index for index in found if index not in chosen and generator.random() < 0.5]
        relevants[question], echoes[question] = tuple(right), tuple(out)
        others = [index for index in range(len(candidates)) if index not in right]
        irrelevant[question] = tuple(index for index in others if generator.random() < 0.3)
    queries = [Query(f"{name}:q{q}", name, f"q{q}", f"{name} {q}") for name in names for q in range(questions)]
    numbers = [int(query.question[1:]) for query in queries]
    return TaskData(
        name="small",
        languages=tuple(names),
        queries=tuple(queries),
        candidates=tuple(candidates),
        relevants=tuple(relevants[q] for q in numbers),
        clusters=tuple(0 for _ in queries),
        relevance=VARIANTS,
        echoes=tuple(echoes[q] for q in numbers),
        irrelevant=tuple(irrelevant[q] for q in numbers),
    )


def literal_rows(scores: np.ndarray, wanted: int, pool: list[int]) -> tuple[int, int]:
    """Candidates of the pool above and beside one of them; -1 and 0 of one that was not retrieved."""
    if np.isneginf(scores[wanted]):
        return -1, 0
    return int((scores[pool] > scores[wanted]).sum()), int((scores[pool] == scores[wanted]).sum())


def check(data: TaskData, ranks: Ranks, pooled: np.ndarray, own: np.ndarray) -> None:
    language = np.array([candidate.language for candidate in data.candidates])
    everything = list(range(len(data.candidates)))
    of_language = {name: np.flatnonzero(language == name).tolist() for name in data.languages}
    for query, scores in enumerate(pooled):
        best = (scores == scores.max()) & (scores > -np.inf)
        assert ranks.top[query].tolist() == [int((best & (language == name)).sum()) for name in data.languages]

    for rule in (LENIENT, JUDGED):
        if rule not in ranks.variants:  # of a run
            continue
        lenient = ranks.variants[rule]
        assert (lenient.top, lenient.rule) == (None, rule)
        row = 0
        for query, relevant in enumerate(data.relevants):
            left = set(data.echoes[query])
            if rule == JUDGED:
                left = set(everything) - set(relevant) - set(data.irrelevant[query])
            pools = {name: [index for index in of_language[name] if index not in left] for name in data.languages}
            assert lenient.removed[query].tolist() == [sum(language[i] == name for i in left) for name in pools]
            for index in relevant:
                for column, name in enumerate(data.languages):
                    counts = (int(lenient.gt[row, column]), int(lenient.eq[row, column]))
                    assert counts == literal_rows_in(pooled[query], index, pools[name])
                if ranks.own_gt is not None:
                    alone = literal_rows(own[query], index, pools[language[index]])
                    assert (lenient.own_gt[row], lenient.own_eq[row]) == alone
                row += 1

    paragraph = ranks.variants[PARAGRAPH]
    assert paragraph.own_gt is not None
    assert paragraph.own_eq is not None
    for query, relevant in enumerate(data.relevants):
        prefixes = {data.candidates[index].group for index in relevant}
        wanted = [i for i in everything if data.candidates[i].group in prefixes]
        expected = sorted(
            (
                data.languages.index(str(language[i])),
                *literal_rows(pooled[query], i, everything),
                *literal_rows(own[query], i, of_language[language[i]]),
            )
            for i in wanted
        )
        rows = slice(*paragraph.offsets[query : query + 2])
        columns = (
            paragraph.relevant_columns,
            paragraph.gt[:, 0],
            paragraph.eq[:, 0],
            paragraph.own_gt,
            paragraph.own_eq,
        )
        assert sorted(zip(*(values[rows].tolist() for values in columns), strict=True)) == expected


def literal_rows_in(scores: np.ndarray, wanted: int, pool: list[int]) -> tuple[int, int]:
    return literal_rows(scores, wanted, pool) if pool else (-1 if np.isneginf(scores[wanted]) else 0, 0)


def literal_ranks(data: TaskData, pooled: np.ndarray, own: np.ndarray) -> Ranks:
    """The strict ranks, counted one by one."""
    language = np.array([candidate.language for candidate in data.candidates])
    pools = [np.flatnonzero(language == name).tolist() for name in data.languages]
    offsets, positions = data.offsets, data.positions
    query = np.repeat(np.arange(len(data.queries)), np.diff(offsets))
    found = [[literal_rows_in(pooled[q], d, pool) for pool in pools] for q, d in zip(query, positions, strict=True)]
    gt, eq = np.moveaxis(np.array(found, dtype=np.int32).reshape(len(positions), len(pools), 2), 2, 0)
    column = {name: index for index, name in enumerate(data.languages)}
    alone = [literal_rows(own[q], d, pools[column[language[d]]]) for q, d in zip(query, positions, strict=True)]
    own_gt, own_eq = np.array(alone, dtype=np.int32).T
    return replace(ranks_of(data, gt, eq, depth=1000), own_gt=own_gt, own_eq=own_eq)


def vectors(generator: np.random.Generator, rows: int, levels: int) -> np.ndarray:
    """Small whole numbers, -1 among them: exact dot products, many equal, some 0 and -0."""
    return generator.integers(-1, levels, size=(rows, 6)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2, 40]), st.integers(0, 1000))
def test_counts_are_the_literal_counts(questions: int, languages: int, paragraphs: int, levels: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    data = task(generator, questions, languages, paragraphs)
    queries = vectors(generator, len(data.queries), levels)
    candidates = vectors(generator, len(data.candidates), levels)
    ranks = exact_ranks(data, queries, candidates, similarity="dot")
    scores = queries @ candidates.T
    check(data, ranks, scores, scores)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from([2, 40]), st.integers(0, 1000))
def test_lists_of_their_own(questions: int, languages: int, levels: int, seed: int) -> None:
    """BM25: a language's scores are others than the pooled ones."""
    generator = np.random.default_rng(seed)
    data = task(generator, questions, languages, 3)
    shape = (len(data.queries), len(data.candidates))
    pooled, own = (generator.integers(0, levels, size=shape).astype(np.float32) for _ in range(2))
    half = (len(pooled) + 1) // 2
    blocks = [ScoreBlock(start, pooled[start : start + half], own[start : start + half]) for start in (0, half)]
    check(data, ranks_of_scores(data, [block for block in blocks if len(block.pooled)]), pooled, own)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from([2, 40]), st.integers(0, 1000))
def test_what_was_not_retrieved_has_no_rank(questions: int, languages: int, levels: int, seed: int) -> None:
    """Hits of an index and lines of a run: from their scores, and from counts of the paragraphs' sentences alone."""
    generator = np.random.default_rng(seed)
    data = task(generator, questions, languages, 3)
    shape = (len(data.queries), len(data.candidates))
    pooled, own = (generator.integers(-1, levels, size=(2, *shape))).astype(np.float32)
    pooled[generator.random(shape) < 0.4] = -np.inf
    own[generator.random(shape) < 0.4] = -np.inf
    strict = literal_ranks(data, pooled, own)
    ranks = ranks_of_scores(data, [ScoreBlock(0, pooled, own)], depth=1000)
    for field in ("gt", "eq", "own_gt", "own_eq"):
        np.testing.assert_array_equal(getattr(ranks, field), getattr(strict, field))
    check(data, ranks, pooled, own)
    for name in VARIANTS:
        check_relevance(name, strict, ranks.variants[name])

    language = np.array([candidate.language for candidate in data.candidates])
    everything = list(range(len(data.candidates)))
    rows = [(query, index) for query, found in enumerate(group_relevants(data)) for index in found]
    of_pool = [literal_rows(pooled[q], d, everything) for q, d in rows]
    of_own = [literal_rows(own[q], d, np.flatnonzero(language == language[d]).tolist()) for q, d in rows]
    tally = Tally(replace(data, irrelevant=None), own_lists=True)
    tally.take_counts(Counts(*np.concatenate([of_pool, of_own], axis=1).astype(np.int32).T))
    check(data, tally.with_rules(replace(strict, top=ranks.top)), pooled, own)


def test_panels_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "TILE_ROWS", 8)
    monkeypatch.setattr(product, "TILE_COLUMNS", 16)
    generator = np.random.default_rng(3)
    data = task(generator, 9, 3, 20)
    queries, candidates = (
        generator.standard_normal((len(rows), 8)).astype(np.float32) for rows in (data.queries, data.candidates)
    )
    candidates[10:60] = candidates[0]
    whole = exact_ranks(data, queries, candidates, memory=2**30)
    for memory in (4 * 16 * 16, 4 * 16 * 48):
        parts = exact_ranks(data, queries, candidates, memory=memory)
        for field in ("gt", "eq", "top"):
            np.testing.assert_array_equal(getattr(parts, field), getattr(whole, field), err_msg=field)
        for name in VARIANTS:
            for field in ("gt", "eq", "own_gt", "own_eq", "removed"):
                np.testing.assert_array_equal(
                    getattr(parts.variants[name], field),
                    getattr(whole.variants[name], field),
                    err_msg=f"{name} {field}",
                )


def test_many_thresholds_against_numpy() -> None:
    """The kernel itself: hundreds of thresholds, repeated ones, zeros of both signs, a width beyond a chunk."""
    from xqr_bench.rank.kernels import count_pool

    generator = np.random.default_rng(0)
    scores = np.round(generator.standard_normal((5, 9001)), 3).astype(np.float32)
    scores[:, ::7] = np.float32(-0.0)
    scores[:, 1::7] = np.float32(0.0)
    sizes = [0, 1, 5, 257, 640]
    offsets = np.append(0, np.cumsum(sizes))
    thresholds = np.concatenate([generator.choice(row, size) for row, size in zip(scores, sizes, strict=True)])
    thresholds[-1] = np.float32(-0.0)
    gt, eq = np.zeros((2, len(thresholds)), dtype=np.int32)
    count_pool(scores, 9000, offsets, thresholds.astype(np.float32), gt, eq)
    of_row = np.repeat(np.arange(5), sizes)
    np.testing.assert_array_equal(gt, (scores[of_row, :9000] > thresholds[:, None]).sum(axis=1))
    np.testing.assert_array_equal(eq, (scores[of_row, :9000] == thresholds[:, None]).sum(axis=1))
    assert eq.max() > 1000


def test_only_what_the_task_declares() -> None:
    data = task(np.random.default_rng(1), 2, 2, 2)
    queries, candidates = np.ones((len(data.queries), 2)), np.ones((len(data.candidates), 2))
    for declared in ((), (LENIENT,), (PARAGRAPH,), (JUDGED,)):
        ranks = exact_ranks(
            replace(data, relevance=declared), queries.astype(np.float32), candidates.astype(np.float32)
        )
        assert tuple(ranks.variants) == declared
        assert ranks.top is not None
