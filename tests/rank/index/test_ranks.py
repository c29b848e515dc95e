"""Ranks through an index: the literal counts in its hits; exact where it reaches everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import xqr_bench.rank.product as product
from tests.conftest import VECTORS, needs_vectors
from tests.kit import Seen, small_task, vectors
from tests.rank.test_variants import check
from xqr_bench.core.errors import RanksError
from xqr_bench.core.types import MULTILINGUAL, VARIANTS, TaskData
from xqr_bench.measure.metrics.per_query import CENSORED
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank import index as index_module
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.index import IndexOptions, build_index, indexed_ranks, search_index
from xqr_bench.rank.product import unit_vectors
from xqr_bench.record.relevance_files import check_relevance

SIZES = {"en": 150, "th": 90, "zh": 120}
DATA = small_task(40, SIZES)
QUERIES = vectors(len(DATA.queries), 1, dimensions=16)
CANDIDATES = vectors(len(DATA.candidates), 2, dimensions=16)
CANDIDATES[[3, 70, 160, 300]] = CANDIDATES[5]  # equal texts, within a language and across
CANDIDATES[CANDIDATES.shape[0] - 1] *= 7  # matters for the dot product only
REACHES_ALL = {
    "hnsw": ["ef_construction=400", "ef_search=400"],
    "ivf": ["nlist=2", "nprobe=2"],
}
REACHES_FEW = {
    "hnsw": ["m=2", "ef_construction=4", "ef_search=4"],
    "ivf": ["nlist=2", "nprobe=1"],
    "ivfpq": ["nlist=2", "nprobe=1", "m=4", "nbits=1"],
}


def hits(data: TaskData, options: IndexOptions, similarity: str) -> list[list[dict[int, float]]]:
    """For each query and language the scores of the candidates that the index finds."""
    queries, candidates = QUERIES, CANDIDATES
    if similarity == "cosine":
        queries, candidates = unit_vectors(queries), unit_vectors(candidates)
    ((_, parts),) = product.product(queries, candidates)
    ((_, exact),) = parts
    edges = data.edges
    lists: list[list[dict[int, float]]] = [[] for _ in data.queries]
    for m, code in enumerate(data.languages):
        index = build_index(candidates[edges[m] : edges[m + 1]], options, code)
        scores, places = search_index(index, queries, options.list_depth or 0)
        for q in range(len(queries)):
            found = {int(p + edges[m]): float(s) for s, p in zip(scores[q], places[q], strict=True) if p >= 0}
            if options.type != "ivfpq":
                found = {candidate: float(exact[q, candidate]) for candidate in found}
            lists[q].append(found)
    return lists


def literal(data: TaskData, options: IndexOptions, similarity: str) -> tuple[list[list[int]], list[list[int]]]:
    """gt and eq counted one by one in the lists of hits."""
    lists = hits(data, options, similarity)
    gt, eq = [], []
    for q, relevant in enumerate(data.relevants):
        for d in relevant:
            own = next((found[d] for found in lists[q] if d in found), None)
            gt.append([-1 if own is None else sum(s > own for s in found.values()) for found in lists[q]])
            eq.append([0 if own is None else sum(s == own for s in found.values()) for found in lists[q]])
    return gt, eq


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("depth", [7, 1000])
@pytest.mark.parametrize("type_", list(REACHES_FEW))
def test_counts_are_the_literal_counts_in_the_hits(type_: str, depth: int, similarity: str) -> None:
    options = IndexOptions.parse(type_, REACHES_FEW[type_], depth)
    found = indexed_ranks(DATA, QUERIES, CANDIDATES, options, similarity=similarity)
    gt, eq = literal(DATA, options, similarity)
    assert found.ranks.gt.tolist() == gt
    assert found.ranks.eq.tolist() == eq
    assert found.ranks.depth == depth
    assert (found.ranks.gt < 0).any()  # something was missed: the test is not about exact search


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_flat_equals_exact_bit_for_bit(similarity: str) -> None:
    exact = exact_ranks(DATA, QUERIES, CANDIDATES, similarity=similarity)
    found = indexed_ranks(DATA, QUERIES, CANDIDATES, IndexOptions("flat"), similarity=similarity)
    assert np.array_equal(found.ranks.gt, exact.gt)
    assert np.array_equal(found.ranks.eq, exact.eq)
    assert found.ranks.depth is None
    assert found.facts.recall_against_exact is None
    assert found.facts.depth is None


def with_rules() -> TaskData:
    """Every fifth candidate a paragraph; of a relevant's paragraph the next sentence leaves; some others are judged."""
    candidates = []
    for index, found in enumerate(DATA.candidates):
        candidates.append(replace(found, id=f"{found.language}:0:{index // 5}:{index}"))
    echoes = tuple(
        tuple(sorted({5 * (i // 5) + (i + 1) % 5 for i in found} & set(range(len(candidates))) - set(found)))
        for found in DATA.relevants
    )
    irrelevant = tuple(
        tuple(sorted({*range(query % 7, len(candidates), 7)} - {*found})) for query, found in enumerate(DATA.relevants)
    )
    rules = {"relevance": VARIANTS, "echoes": echoes, "irrelevant": irrelevant}
    return replace(DATA, candidates=tuple(candidates), **rules)


@pytest.mark.parametrize("type_", list(REACHES_FEW))
def test_rules_of_relevance_are_counted_in_the_hits(type_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "SCORES_AT_ONCE", 5 * len(DATA.candidates))  # five queries at once
    data, options = with_rules(), IndexOptions.parse(type_, REACHES_FEW[type_], 12)
    found = indexed_ranks(data, QUERIES, CANDIDATES, options)
    scores = np.full((len(data.queries), len(data.candidates)), -np.inf, dtype=np.float32)
    for q, lists in enumerate(hits(data, options, "cosine")):
        for of_language in lists:
            scores[q, list(of_language)] = list(of_language.values())
    check(data, found.ranks, scores, scores)
    for name in VARIANTS:
        variant = found.ranks.variants[name]
        assert variant.depth == 12
        assert (variant.gt < 0).any()
        check_relevance(name, found.ranks, variant)


@pytest.mark.parametrize("type_", list(REACHES_ALL))
def test_an_index_that_reaches_everything_equals_exact_bit_for_bit(type_: str) -> None:
    data = with_rules()
    exact = exact_ranks(data, QUERIES, CANDIDATES)
    found = indexed_ranks(data, QUERIES, CANDIDATES, IndexOptions.parse(type_, REACHES_ALL[type_], sum(SIZES.values())))
    assert found.facts.recall_against_exact == {"1": 1.0, "10": 1.0, "100": 1.0}
    for mine, theirs in [
        (found.ranks, exact),
        *((found.ranks.variants[name], exact.variants[name]) for name in VARIANTS),
    ]:
        for key in ("gt", "eq", "own_gt", "own_eq", "removed"):
            assert np.array_equal(getattr(mine, key), getattr(theirs, key)), key
    metrics = ["map", "mrr", "recall@10", "ndcg@10", "rank_distance"]
    mine, _ = score(all_per_query(found.ranks, metrics), {})
    theirs, _ = score(all_per_query(exact, metrics), {})
    for setting, scores in theirs.items():
        for name, value in scores.macro.items():
            if name != "rank_distance":
                assert mine[setting].macro[name] == value
    undefined = mine[MULTILINGUAL].macro["rank_distance"]
    assert (undefined.value, undefined.undefined_reason) == (None, CENSORED)


@pytest.mark.parametrize("type_", list(REACHES_FEW))
def test_recall_is_the_literal_share_of_the_exact_best(type_: str) -> None:
    options = IndexOptions.parse(type_, REACHES_FEW[type_], 200)
    facts = indexed_ranks(DATA, QUERIES, CANDIDATES, options).facts
    queries, candidates = unit_vectors(QUERIES), unit_vectors(CANDIDATES)
    edges = DATA.edges
    for m, code in enumerate(DATA.languages):
        mine = candidates[edges[m] : edges[m + 1]]
        _, places = search_index(build_index(mine, options, code), queries, 200)
        for k in (1, 10, 100):
            shares = []
            for q, hits in zip(queries, places, strict=True):
                scores = mine.astype(np.float64) @ q.astype(np.float64)
                best = np.sort(scores)[::-1][min(k, len(mine)) - 1]
                first = [p for p in hits[: min(k, len(mine))] if p >= 0]
                shares.append(sum(scores[p] >= best - 1e-6 for p in first) / min(k, len(mine)))
            assert facts.recall_by_language[code][str(k)] == pytest.approx(np.mean(shares))
    for setting, own in (("monolingual", True), ("cross-lingual", False)):
        shares = []
        for m, code in enumerate(DATA.languages):
            mine = candidates[edges[m] : edges[m + 1]]
            rows = [i for i, query in enumerate(DATA.queries) if (query.language == code) == own]
            _, places = search_index(build_index(mine, options, code), queries, 200)
            scores = queries.astype(np.float64) @ mine.T.astype(np.float64)
            tenth = np.sort(scores, axis=1)[:, -10]
            shares.append(
                np.mean([np.mean([p >= 0 and scores[i, p] >= tenth[i] - 1e-6 for p in places[i, :10]]) for i in rows])
            )
        assert facts.recall_by_setting[setting]["10"] == pytest.approx(np.mean(shares))
    mean = {k: np.mean([of[k] for of in facts.recall_by_language.values()]) for k in ("1", "10", "100")}
    assert facts.recall_against_exact == pytest.approx(mean)


@pytest.mark.parametrize("type_", list(REACHES_FEW))
def test_two_runs_agree_whatever_the_memory(type_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = IndexOptions.parse(type_, REACHES_FEW[type_], 50)
    first = indexed_ranks(DATA, QUERIES, CANDIDATES, options)
    monkeypatch.setattr(product, "TILE_COLUMNS", 32)
    monkeypatch.setattr(product, "TILE_ROWS", 16)
    again = indexed_ranks(DATA, QUERIES, CANDIDATES, options, memory=1)
    assert np.array_equal(first.ranks.gt, again.ranks.gt)
    assert np.array_equal(first.ranks.eq, again.ranks.eq)
    for code, found in first.facts.recall_by_language.items():
        assert again.facts.recall_by_language[code] == pytest.approx(found)


def test_what_the_record_says_of_it() -> None:
    seen = Seen()
    options = IndexOptions.parse("ivf", REACHES_FEW["ivf"], 20)
    facts = indexed_ranks(DATA, QUERIES, CANDIDATES, options, similarity="dot", observe=seen).facts
    assert facts.parameters == {"nlist": 2, "nprobe": 1, "min_points_per_centroid": 39}
    assert facts.sizes == SIZES
    assert (facts.depth, facts.metric) == (20, "inner product of the vectors as they are")
    assert facts.bytes > CANDIDATES.nbytes
    assert min(facts.build_seconds, facts.search_seconds) > 0
    assert seen.phases == [("ranking", len(DATA.queries))]
    assert seen.steps == [len(DATA.queries)]


def test_vectors_of_another_task() -> None:
    with pytest.raises(RanksError, match=r"small has 360 candidates\n  found: vectors of the shape \(359, 16\)"):
        indexed_ranks(DATA, QUERIES, CANDIDATES[:-1], IndexOptions("hnsw"))


def test_a_query_without_relevants_is_counted_in_nothing() -> None:
    data = replace(DATA, relevants=((), *DATA.relevants[1:]))
    found = indexed_ranks(data, QUERIES, CANDIDATES, IndexOptions.parse("hnsw", [], 50))
    assert len(found.ranks.gt) == sum(map(len, data.relevants))


@needs_vectors
def test_real_vectors_through_every_index() -> None:
    from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
    from xqr_bench.tasks import load_task

    data = load_task("xquad-r", languages=["en", "th"])
    found = embed_tasks(load_encoder(f"precomputed:{VECTORS}", EncoderOptions()), [data])["xquad-r"]
    exact = exact_ranks(data, found.queries, found.candidates)
    means = {}
    for name, ranks in [("exact", exact)] + [
        (type_, indexed_ranks(data, found.queries, found.candidates, IndexOptions(type_)).ranks)
        for type_ in ("flat", "hnsw", "ivf", "ivfpq")
    ]:
        scores, _ = score(all_per_query(ranks, ["map"]), {})
        means[name] = scores[MULTILINGUAL].macro["map"].value or 0.0
    assert means["flat"] == means["exact"]
    assert means["exact"] * 0.97 < means["hnsw"] <= means["exact"]
    assert means["exact"] * 0.8 < means["ivfpq"] < means["ivf"] < means["hnsw"]
