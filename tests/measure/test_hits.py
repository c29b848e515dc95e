"""Measures of the best candidates: which languages they are in, and whether they agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tests.measure.lists import Order, TiedList, ranks_of
from tests.measure.test_closed_forms import tied_lists
from tests.rank.small import blocks, scores, task
from xqr_bench.core.types import CROSS_LINGUAL, MULTILINGUAL, Hits, Ranks
from xqr_bench.measure.metrics import multilingual_lists, parse_metric
from xqr_bench.measure.metrics.language_share import EXPOSURE
from xqr_bench.measure.metrics.per_query import NO_HITS, NO_PAIRS, NO_PLACES
from xqr_bench.measure.metrics.ranking_agreement import chance_correlation, correlation
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.exact import ranks_of_scores

NEED_HITS = ("language_share@5", "language_exposure", "share_vs_pool@5", "share_vs_relevants@5", "exposure_vs_pool")


def weights_of(order: Order, weights: np.ndarray) -> np.ndarray:
    """Share of the weight of the first places by language, on one order without ties."""
    first = order[: len(weights)]
    total = np.zeros(3)
    for (language, _), weight in zip(first, weights, strict=False):
        total[language] += weight
    return total / weights[: len(first)].sum()


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@settings(max_examples=80, deadline=None)
@given(found=tied_lists(), known=st.integers(5, 8))
def test_shares_are_their_mean_over_orders(k: int, found: TiedList, known: int) -> None:
    lists = multilingual_lists(ranks_of([found], k=known))
    kernel = parse_metric(f"language_share@{k}").kernel
    assert kernel is not None
    expected = np.mean([weights_of(order, np.full(k, 1 / k)) for order in found.orders()], axis=0)
    np.testing.assert_allclose(kernel(lists)[0], expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(found=tied_lists())
def test_exposure_is_its_mean_over_orders(found: TiedList) -> None:
    kernel = parse_metric("language_exposure").kernel
    assert kernel is not None
    expected = np.mean([weights_of(order, EXPOSURE) for order in found.orders()], axis=0)
    np.testing.assert_allclose(kernel(multilingual_lists(ranks_of([found])))[0], expected, atol=1e-12)


def test_what_is_beyond_the_known_places_weighs_what_docs_say() -> None:
    assert 1 - EXPOSURE.sum() == pytest.approx(0.9**20)
    for name in ("language_exposure", "exposure_vs_pool"):
        assert f"{0.9**20:.3f}".removeprefix("0") in parse_metric(name).formula


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_block_that_goes_on_beyond_the_hits(k: int) -> None:
    """Four hits are known of a block of nine."""
    found = TiedList((((0, 0.0),), ((1, 1.0), (1, 0.0), (2, 0.0), (2, 0.0), (2, 0.0), (0, 0.0), (1, 0.0), (2, 0.0))))
    lists = multilingual_lists(ranks_of([found], k=4))
    kernel = parse_metric(f"language_share@{k}").kernel
    assert kernel is not None
    of_block = np.array([1, 3, 4]) / 8
    expected = (np.array([1.0, 0, 0]) + (k - 1) * of_block) / k
    np.testing.assert_allclose(kernel(lists)[0], expected, atol=1e-12)


def random_ranks(seed: int = 0, *, levels: int | None = None, per_language: int = 9, n: int = 4) -> Ranks:
    data = task(n, per_language)
    return ranks_of_scores(data, blocks(scores(data, levels=levels, seed=seed)), own_lists=False)


def macros(ranks: Ranks, *names: str) -> dict:
    values = all_per_query(ranks, names)
    return score(values, {})[0][MULTILINGUAL].macro


def test_distances_are_what_they_say() -> None:
    ranks = random_ranks(1)
    hits = ranks.hits
    assert hits is not None
    expected: dict[str, list[float]] = {"share_vs_pool@5": [], "share_vs_relevants@5": []}
    for language in ranks.columns:
        of = [i for i, code in enumerate(ranks.query_languages) if code == language]
        shares = np.mean([np.bincount(hits.columns[i, :5], minlength=3) / 5 for i in of], axis=0)
        relevants = np.mean(
            [
                np.bincount(ranks.relevant_columns[ranks.row_queries == i], minlength=3)
                / (ranks.row_queries == i).sum()
                for i in of
            ],
            axis=0,
        )
        expected["share_vs_pool@5"].append(np.abs(shares - 1 / 3).sum() / 2)
        expected["share_vs_relevants@5"].append(np.abs(shares - relevants).sum() / 2)
    for name, figure in macros(ranks, *expected).items():
        assert figure.value == pytest.approx(np.mean(expected[name]), abs=1e-12)


@pytest.mark.parametrize("name", ["share_vs_pool@10", "share_vs_relevants@3", "exposure_vs_pool"])
def test_chance_is_that_of_random_rankings(name: str) -> None:
    figures = [macros(random_ranks(seed, n=40, per_language=60), name)[name] for seed in range(60)]
    values = [figure.value for figure in figures]
    error = np.std(values) / np.sqrt(len(values))
    assert figures[0].random_reference == pytest.approx(np.mean(values), abs=4 * error + 0.002)


def test_a_share_stands_beside_that_of_the_pool() -> None:
    data = task(4, 9)
    values = scores(data)
    values[:, 9:18] += 100.0  # English first, whatever is asked
    ranks = ranks_of_scores(data, blocks(values), own_lists=False)
    scored = score(all_per_query(ranks, ["language_share@9", "language_exposure"]), {})[0][MULTILINGUAL]
    for language in data.languages:
        figure = scored.by_language_pair[f"{language}>en"]["language_share@9"]
        assert (figure.value, figure.random_reference) == (1.0, pytest.approx(1 / 3))
        assert scored.by_language_pair[f"{language}>th"]["language_share@9"].value == 0.0
    assert scored.macro["language_share@9"].value == pytest.approx(1 / 3)
    assert scored.by_query_language["en"]["language_share@9"].value == 1.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [None, 4])
def test_agreement_is_spearmans(seed: int, levels: int | None) -> None:
    k, ranks = 6, random_ranks(seed, levels=levels)
    values = all_per_query(ranks, [f"ranking_agreement@{k}"], [MULTILINGUAL])[MULTILINGUAL][f"ranking_agreement@{k}"]
    hits = ranks.hits
    assert hits is not None
    assert hits.places is not None
    assert hits.scores is not None
    number = {name: index for index, name in enumerate(ranks.query_ids)}
    for query, cell, value in zip(values.queries.tolist(), values.cell.tolist(), values.values.tolist(), strict=True):
        pair, question = values.cells[cell], ranks.question_ids[query]
        assert ranks.query_languages[query] == pair.query
        of = [dict(zip(hits.places[q, :k].tolist(), hits.scores[q, :k].tolist(), strict=True))
              for q in (query, number[f"{pair.candidate}:{question}"])]  # fmt: skip
        union = sorted(set(of[0]) | set(of[1]))
        both = [[of_list.get(place, -1e9) for place in union] for of_list in of]
        assert value == pytest.approx(spearmanr(*both).statistic, abs=1e-12, nan_ok=True)
    assert len(values.cells) == 6


def test_agreement_is_of_those_questions_that_both_languages_ask() -> None:
    ranks = random_ranks()
    values = all_per_query(ranks, ["ranking_agreement@5"], [MULTILINGUAL])[MULTILINGUAL]["ranking_agreement@5"]
    sizes = dict(zip([cell.pair for cell in values.cells], np.bincount(values.cell).tolist(), strict=True))
    assert sizes == {"de>en": 4, "de>th": 3, "en>de": 4, "en>th": 3, "th>de": 3, "th>en": 3}


@pytest.mark.parametrize(("size", "k"), [(9, 3), (7, 5), (30, 10), (4, 10)])
def test_chance_of_agreement(size: int, k: int) -> None:
    random = np.random.default_rng(0)
    n, most = 4000, min(k, size)
    places = np.full((2 * n, k), -1, dtype=np.int32)
    places[:, :most] = random.permuted(np.tile(np.arange(size), (2 * n, 1)), axis=1)[:, :most]
    hits = Hits(
        np.minimum(places, 0).astype(np.int16), np.zeros(places.shape, dtype=bool), np.zeros((2 * n, 1)), places
    )
    values = correlation(hits, np.arange(n), np.arange(n, 2 * n), k)
    assert chance_correlation(size, k) == pytest.approx(values.mean(), abs=4 * values.std() / np.sqrt(n) + 1e-12)


def test_reasons_where_it_is_not_known() -> None:
    ranks = random_ranks()
    older = replace(ranks, hits=None)
    for name in (*NEED_HITS, "ranking_agreement@5"):
        assert macros(older, name)[name].value is None
        assert all_per_query(older, [name])[MULTILINGUAL][name].undefined_reason == NO_HITS
        assert name not in all_per_query(ranks, [name]).get(CROSS_LINGUAL, {})
    assert ranks.hits is not None
    submitted = replace(ranks, hits=ranks.hits._replace(places=None, scores=None))
    for found, reason in (
        (submitted, NO_PLACES),
        (replace(ranks, question_ids=[f"only {i}" for i in range(ranks.n_queries)]), NO_PAIRS),
    ):
        values = all_per_query(found, ["ranking_agreement@5"])[MULTILINGUAL]["ranking_agreement@5"]
        assert values.undefined_reason == reason
        assert macros(found, "ranking_agreement@5")["ranking_agreement@5"].undefined_reason == reason
    assert macros(submitted, "share_vs_pool@5")["share_vs_pool@5"].value is not None
