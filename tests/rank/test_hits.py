"""The best candidates of each ranking, against sorting whole rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xqr_bench.rank.product as product
from tests.kit import small_task, vectors
from tests.rank.small import blocks, line, scores, spec, task, write_run
from xqr_bench.core.errors import RecordError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import MULTILINGUAL, N_HITS, Hits, Ranks, TaskData
from xqr_bench.evaluation.ranker import Task
from xqr_bench.evaluation.runs import RunRanker
from xqr_bench.rank.exact import count_all, exact_ranks, ranks_of_scores
from xqr_bench.rank.torch_counting import TorchCounter
from xqr_bench.record import check_possible, rank_files
from xqr_bench.record.rank_files import load_ranks, ranks_digest, save_ranks


def sorted_hits(data: TaskData, values: np.ndarray) -> Hits:
    """The same by sorting each row by score, then place."""
    places = np.full((len(values), N_HITS), -1, dtype=np.int32)
    best = np.full((len(values), N_HITS), -np.inf, dtype=np.float32)
    beyond = np.zeros((len(values), len(data.languages)), dtype=np.int32)
    for row, of_row in enumerate(values):
        order = np.lexsort((np.arange(len(of_row)), -of_row))
        order = order[of_row[order] > -np.inf]
        n = min(N_HITS, len(order))
        places[row, :n], best[row, :n] = order[:n], of_row[order[:n]]
        if n == N_HITS:
            more = [place for place in order[n:] if of_row[place] == best[row, -1]]
            np.add.at(beyond[row], data.candidate_columns[more], 1)
    return Hits.of(places, best, beyond, data.candidate_columns)


def assert_same(hits: Hits | None, expected: Hits) -> None:
    assert hits is not None
    for name in Hits._fields:
        np.testing.assert_array_equal(getattr(hits, name), getattr(expected, name), name)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.integers(1, 90), min_size=1, max_size=4),
    st.integers(0, 1000),
    st.integers(1, 3),
    st.sampled_from([1, 2**28]),
    st.sampled_from(["processor", "torch"]),
)
def test_they_are_those_of_a_sorted_row(
    questions: int, sizes: list[int], seed: int, levels: int, memory: int, where: str
) -> None:
    """Small whole numbers, so that products are exact; with few levels vectors repeat and whole blocks tie."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "TILE_ROWS", 4)
        patch.setattr(product, "TILE_COLUMNS", 16)
        data = small_task(questions, {f"l{i}": size for i, size in enumerate(sizes)})
        queries = vectors(len(data.queries), seed, levels=3, dimensions=4)
        candidates = vectors(len(data.candidates), seed + 1, levels=levels, dimensions=4)
        if where == "processor":
            patch.setattr(product, "DEFAULT_MEMORY", 0)  # so that a small budget is taken
            ranks = exact_ranks(data, queries, candidates, similarity="dot", memory=memory)
        else:
            counter = TorchCounter(data.edges, queries, candidates, unit=False, memory=memory, device="cpu")
            ranks = count_all(data, counter)
    assert_same(ranks.hits, sorted_hits(data, queries @ candidates.T))


@pytest.mark.parametrize("levels", [None, 1, 3, 12])
def test_they_are_those_of_scores_from_elsewhere(levels: int | None) -> None:
    data = task(per_language=9)
    values = scores(data, levels=levels)
    values[1::3, 4:21] = -np.inf  # not retrieved
    values[2::3] *= -1.0  # -0.0 among them
    assert_same(ranks_of_scores(data, blocks(values)).hits, sorted_hits(data, values))


def test_they_go_with_the_questions() -> None:
    data = task()
    ranks = ranks_of_scores(data, blocks(scores(data)))
    some = ranks.of_questions({"q1", "q3"})
    assert some.hits is not None
    assert ranks.hits is not None
    chosen = [index for index, question in enumerate(ranks.question_ids) if question in {"q1", "q3"}]
    np.testing.assert_array_equal(some.hits.places, ranks.hits.places[chosen])


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("cut", [27, 22, 12])
def test_those_of_a_run_are_those_of_its_lists(levels: int | None, cut: int, tmp_path: Path) -> None:
    data = task(per_language=9)
    values = scores(data, levels=levels)
    kept = np.full_like(values, -np.inf)
    order = np.argsort(-values, axis=1, kind="stable")[:, :cut]
    np.put_along_axis(kept, order, np.take_along_axis(values, order, axis=1), axis=1)
    lines = [
        line(data.queries[q].id, data.candidates[c].id, f"{kept[q, c]:.9g}")
        for q in reversed(range(len(kept)))
        for c in np.flatnonzero(np.isfinite(kept[q]))
    ]
    write_run(tmp_path, "".join(lines))
    (ranking,) = RunRanker(tmp_path).rank([Task(spec(metrics=["map"], settings=[MULTILINGUAL]), data)], Observer())
    if cut < N_HITS:
        assert ranking.ranks.hits is None
    else:
        assert_same(ranking.ranks.hits, sorted_hits(data, kept))


def altered(ranks: Ranks, **changes: np.ndarray) -> Ranks:
    assert ranks.hits is not None
    return replace(ranks, hits=ranks.hits._replace(**changes))


@pytest.mark.parametrize("levels", [None, 2, 12])
@pytest.mark.parametrize("pooled", [False, True])
def test_they_fit_the_counts_and_come_back_from_a_file(levels: int | None, pooled: bool, tmp_path: Path) -> None:
    data = task(per_language=9)
    ranks = ranks_of_scores(data, blocks(scores(data, levels=levels)), own_lists=False)
    ranks = ranks.pooled() if pooled else ranks
    check_possible(ranks)
    save_ranks(ranks, tmp_path / "ranks.parquet")
    again = load_ranks(tmp_path / "ranks.parquet")
    assert ranks_digest(again) == ranks_digest(ranks)
    assert_same(again.hits, ranks.hits._replace(places=None, scores=None))
    check_possible(again)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 500), st.sampled_from([None, 3, 12]), st.booleans(), st.data())
def test_what_could_not_be_is_refused(seed: int, levels: int | None, pooled: bool, chosen: st.DataObject) -> None:
    """Whatever a relevant tells of the best candidates cannot be told otherwise by them."""
    data = task(per_language=9)
    ranks = ranks_of_scores(data, blocks(scores(data, levels=levels, seed=seed)), own_lists=False)
    ranks = ranks.pooled() if pooled else ranks
    hits = ranks.hits
    relevants = [r for r in range(ranks.n_relevants) if 0 < ranks.counts.gt[r] < N_HITS]
    row = chosen.draw(st.sampled_from(relevants))
    query, at, own = ranks.row_queries[row], int(ranks.counts.gt[row]), ranks.relevant_columns[row]
    columns, tied, beyond = hits.columns.copy(), hits.tied.copy(), hits.beyond.copy()
    kind = chosen.draw(st.sampled_from(["language", "tie", "beyond", "fewer"]))
    if kind == "language":  # one of its own language fewer above it
        same = np.flatnonzero(hits.columns[query, :at] == own)
        if len(same) == 0:
            return
        columns[query, same[0]] = (own + 1) % 3
    elif kind == "tie":
        tied[query, at] = True
    elif kind == "beyond":
        beyond[query, own] += 10
    else:
        columns[query, N_HITS - 1], tied[query, N_HITS - 1] = -1, False
    with pytest.raises(RecordError, match="not possible"):
        check_possible(altered(ranks, columns=columns, tied=tied, beyond=beyond))


@pytest.mark.parametrize("text", ["de>xx", "de>", ">de", "de==en", "de" + ">de" * 20, "de en"])
def test_other_texts_are_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = task(per_language=9)
    ranks = ranks_of_scores(data, blocks(scores(data)), own_lists=False)
    texts = np.full(ranks.n_queries, text, dtype=object), np.full(ranks.n_queries, "", dtype=object)
    monkeypatch.setattr(rank_files, "_hit_texts", lambda *_: texts)
    save_ranks(ranks, tmp_path / "ranks.parquet")
    monkeypatch.undo()
    with pytest.raises(RecordError, match="is not a ranks file"):
        load_ranks(tmp_path / "ranks.parquet")
