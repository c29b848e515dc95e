"""Our figures against pytrec_eval and ranx, at full depth, on untied queries."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval

from tests.conftest import needs_data
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, SETTINGS, Ranks, TaskData
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.measure.metrics.per_query import PerQuery
from xqr_bench.measure.scores import all_per_query
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.product import unit_vectors
from xqr_bench.tasks import load_task

NAMES = {
    "map": "map",
    "mrr": "recip_rank",
    "recall@1": "recall_1",
    "recall@10": "recall_10",
    "recall@100": "recall_100",
    "success@1": "success_1",
    "success@10": "success_10",
    "ndcg@10": "ndcg_cut_10",
}
RANX = {
    "map": "map",
    "mrr": "mrr",
    "recall@10": "recall@10",
    "success@10": "hit_rate@10",
    "ndcg@10": "ndcg@10",
}


class Case:
    """A task scored by us, with the scores for the peers."""

    def __init__(self, data: TaskData) -> None:
        self.data = data
        encoder = load_encoder("char-ngrams", EncoderOptions())
        vectors = embed_tasks(encoder, [data])[data.name]
        self.ranks: Ranks = exact_ranks(data, vectors.queries, vectors.candidates)
        self.values = all_per_query(self.ranks, list(NAMES))
        self.scores = unit_vectors(vectors.queries) @ unit_vectors(vectors.candidates).T
        self.languages = np.array([candidate.language for candidate in data.candidates])

    def lists(self, setting: str) -> list[tuple[int, np.ndarray]]:
        """(query, candidates of the pool) of each list, in our order."""
        view: PerQuery = self.values[setting]["map"]
        found = []
        for query, cell in zip(view.queries, view.cell, strict=True):
            language = view.cells[cell].candidate
            everything = np.arange(len(self.languages))
            found.append((int(query), everything if language is None else np.flatnonzero(self.languages == language)))
        return found

    def untied(self, setting: str) -> np.ndarray:
        """Lists in which no relevant ties, even within the rounding of another product."""
        keep = []
        for query, pool in self.lists(setting):
            relevant = set(self.data.relevants[query]) & set(pool.tolist())
            scores = self.scores[query, pool].astype(np.float64)
            gaps = [np.sort(np.abs(scores - self.scores[query, index]))[1] for index in relevant]
            keep.append(min(gaps) > 1e-6)
        return np.array(keep)

    def run(self, setting: str) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
        qrels, run = {}, {}
        for number, (query, pool) in enumerate(self.lists(setting)):
            relevant = set(self.data.relevants[query]) & set(pool.tolist())
            qrels[str(number)] = {str(index): 1 for index in sorted(relevant)}
            run[str(number)] = {str(index): float(self.scores[query, index]) for index in pool}
        return qrels, run


def _mini() -> Case:
    return Case(load_task("mini", languages=["ar", "de", "en", "th"]))


def _xquad() -> Case:
    return Case(load_task("xquad-r", languages=["de", "en", "th"], limit=40))


def _mlqa() -> Case:
    return Case(load_task("mlqa-r", languages=["de", "en", "es", "zh"], limit=60))


CASES = [
    pytest.param(_mini, id="mini"),
    pytest.param(_xquad, id="xquad-r", marks=needs_data),
    pytest.param(_mlqa, id="mlqa-r", marks=needs_data),
]


@pytest.mark.parametrize("make", CASES)
def test_equal_to_pytrec_eval(make) -> None:
    case = make()
    for setting in SETTINGS:
        qrels, run = case.run(setting)
        evaluator = pytrec_eval.RelevanceEvaluator(qrels, set(NAMES.values()))
        found = evaluator.evaluate(run)
        untied = case.untied(setting)
        assert untied.mean() > 0.5
        for ours, theirs in NAMES.items():
            expected = np.array([found[str(number)][theirs] for number in range(len(untied))])
            np.testing.assert_allclose(case.values[setting][ours].values[untied], expected[untied], atol=1e-9)


@pytest.mark.parametrize("make", CASES[:1])
def test_equal_to_ranx(make) -> None:
    from ranx import Qrels, Run, evaluate

    case = make()
    setting = CROSS_LINGUAL
    untied = case.untied(setting)
    qrels, run = case.run(setting)
    kept = [str(number) for number in np.flatnonzero(untied)]
    found = evaluate(
        Qrels({key: qrels[key] for key in kept}),
        Run({key: run[key] for key in kept}),
        list(RANX.values()),
        return_mean=False,
    )
    for ours, theirs in RANX.items():
        expected = dict(zip(sorted(kept), found[theirs], strict=True))  # ranx sorts query ids
        mine = {str(number): case.values[setting][ours].values[number] for number in np.flatnonzero(untied)}
        np.testing.assert_allclose([mine[key] for key in kept], [expected[key] for key in kept], atol=1e-9)


def test_ties_lie_between_worst_and_best() -> None:
    """Where scores tie, trec_eval's own order is one of those our figure is the mean of."""
    case = _mini()
    qrels, run = case.run(MONOLINGUAL)
    found = pytrec_eval.RelevanceEvaluator(qrels, set(NAMES.values())).evaluate(run)
    for ours, theirs in NAMES.items():
        values = case.values[MONOLINGUAL][ours]
        expected = np.array([found[str(number)][theirs] for number in range(len(values.values))])
        assert values.pessimistic is not None
        assert values.optimistic is not None
        assert (expected >= values.pessimistic - 1e-9).all()
        assert (expected <= values.optimistic + 1e-9).all()
