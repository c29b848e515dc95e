"""Quantised search: the library's own values, the library's own first hits, and counts by their literal definition."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from sentence_transformers.util import quantization as library

import xqr_bench.rank.quantize as module
from tests.kit import small_task, vectors
from xqr_bench.core.errors import RanksError, UnknownNameError, UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import Ranks, TaskData
from xqr_bench.rank.product import unit_vectors
from xqr_bench.rank.quantize import PRECISIONS, QuantizationFacts, Quantized, QuantizeOptions, quantized


def everything(data: TaskData) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(data.queries)), np.arange(len(data.candidates))


@pytest.mark.parametrize("dimensions", [1, 13, 384])
def test_values_are_the_librarys(dimensions: int) -> None:
    queries, candidates = vectors(50, 0, dimensions=dimensions), vectors(120, 1, dimensions=dimensions)
    candidates[:, 0] = 0.25  # all alike
    candidates[3] = 0
    ranges = np.stack([candidates.min(axis=0), candidates.max(axis=0)])
    for rows in (queries, candidates):
        for precision in PRECISIONS:
            ours = quantized(rows, precision, ranges)
            theirs = library.quantize_embeddings(rows, precision, calibration_embeddings=candidates)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_first_hits_are_the_librarys(precision: str) -> None:
    """Where no tie at the last of the 40 rescored leaves it to chance which are."""
    if precision != "ubinary":
        pytest.importorskip("usearch")
    data = small_task(300, {"a": 300})
    queries, candidates = vectors(300, 2, dimensions=512), vectors(300, 3, dimensions=512)
    queries += candidates
    given = {"corpus_precision": precision, "top_k": 10, "rescore_multiplier": 4, "calibration_embeddings": candidates}
    search = library.semantic_search_faiss if precision == "ubinary" else library.semantic_search_usearch
    corpus = library.quantize_embeddings(candidates, precision, calibration_embeddings=candidates)
    hits = search(queries, corpus, **given)[0]
    ours = Quantized(queries, candidates, QuantizeOptions(precision), similarity="dot")
    first = np.concatenate([block.pooled for block in ours.scores(data, *everything(data))])
    stage = ours.first[0] @ ours.first[1].T
    limit = np.sort(stage, axis=1)[:, -40, None]
    clear = np.flatnonzero((stage >= limit).sum(axis=1) == 40)
    assert len(clear) > 20
    for row in clear:
        best = np.argsort(-first[row])[:10]
        assert best.tolist() == [hit["corpus_id"] for hit in hits[row]]
        scores = ours.second[0][row].astype(np.float64) @ ours.second[1][best].T
        np.testing.assert_allclose(scores, [hit["score"] for hit in hits[row]], rtol=1e-5)


def literal(data: TaskData, queries: np.ndarray, candidates: np.ndarray, precision: str, rescore: int | str) -> list:
    """(above, beside) of each relevant: in each language of the pool, and in its own language's list."""
    lowest, highest = candidates.min(axis=0), candidates.max(axis=0)
    step = np.array([(b - a) / np.float32(255) or np.float32(1) for a, b in zip(lowest, highest, strict=True)])

    def stages(query: np.ndarray, candidate: np.ndarray) -> tuple[float, float]:
        if precision == "int8":
            q, c = ([int(min(255, max(0, math.floor(x)))) for x in (one - lowest) / step] for one in (query, candidate))
            restored = [n * float(s) + float(a) for n, s, a in zip(c, step, lowest, strict=True)]
            return float(sum((a - 128) * (b - 128) for a, b in zip(q, c, strict=True))), float(query @ restored)
        bits = candidate > 0
        return -float(((query > 0) != bits).sum()), float(sum(query[bits].astype(np.float64)))

    rows = []
    languages = [candidate.language for candidate in data.candidates]
    for query, relevants in zip(queries, data.relevants, strict=True):
        both = [stages(query, candidate) for candidate in candidates]

        def order(among: list[int], both: list[tuple[float, float]] = both) -> dict[int, tuple[bool, float]]:
            chosen = {
                one
                for one in among
                if rescore == "all" or sum(both[other][0] > both[one][0] for other in among) < int(rescore)
            }
            return {one: (one in chosen, round(both[one][one in chosen], 4)) for one in among}

        pool = order(list(range(len(candidates))))
        own = {code: order([n for n, one in enumerate(languages) if one == code]) for code in data.languages}
        for relevant in relevants:
            of_own = own[languages[relevant]]
            rows.append(
                (
                    [sum(pool[n] > pool[relevant] for n in of_one) for of_one in own.values()],
                    [sum(pool[n] == pool[relevant] for n in of_one) for of_one in own.values()],
                    sum(of_own[n] > of_own[relevant] for n in of_own),
                    sum(of_own[n] == of_own[relevant] for n in of_own),
                )
            )
    return rows


def own_counts(ranks: Ranks) -> tuple[np.ndarray, np.ndarray]:
    if ranks.own_gt is not None and ranks.own_eq is not None:
        return ranks.own_gt, ranks.own_eq
    column = (np.arange(ranks.n_relevants), ranks.relevant_columns)
    return ranks.gt[column], ranks.eq[column]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rescore", [0, 1, 4, "all"])
def test_counts_are_the_literal_ones(precision: str, rescore: int | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCORES_AT_ONCE", 70)  # few queries at a time
    data = small_task(5, {"a": 9, "b": 12, "c": 3})
    for seed, cosine in ((0, True), (1, False)):
        queries, candidates = vectors(len(data.queries), seed, dimensions=6), vectors(24, seed + 10, dimensions=6)
        candidates[[2, 11, 20]] = candidates[5]  # ties
        made = Quantized(
            queries, candidates, QuantizeOptions(precision, rescore), similarity="cosine" if cosine else "dot"
        )
        ranks = made.rank(data, *everything(data), Observer())
        if cosine:
            queries, candidates = unit_vectors(queries), unit_vectors(candidates)
        expected = literal(data, queries, candidates, precision, rescore)
        np.testing.assert_array_equal(ranks.gt, [row[0] for row in expected])
        np.testing.assert_array_equal(ranks.eq, [row[1] for row in expected])
        for ours, place in zip(own_counts(ranks), (2, 3), strict=True):
            np.testing.assert_array_equal(ours, [row[place] for row in expected])
        facts = made.facts()
        assert (facts.rescored is None) == (rescore in (0, "all"))
        assert facts.bytes_per_vector == (6 if precision == "int8" else 1)


def test_a_depth_of_the_whole_pool_is_all() -> None:
    data = small_task(6, {"a": 20, "b": 20})
    whole = partial(Quantized, vectors(12, 0), vectors(40, 1))
    counts = [
        whole(QuantizeOptions("int8", rescore)).rank(data, *everything(data), Observer()) for rescore in (40, "all")
    ]
    np.testing.assert_array_equal(counts[0].gt, counts[1].gt)
    np.testing.assert_array_equal(own_counts(counts[0])[0], own_counts(counts[1])[0])


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="int4"):
        QuantizeOptions("int4")
    for rescore in (-1, "some"):
        with pytest.raises(UsageError, match="--rescore cannot be"):
            QuantizeOptions("int8", rescore)
    assert QuantizeOptions.parse("int8", "all") == QuantizeOptions("int8", "all")
    data, ends = small_task(2, {"a": 200}), np.array([[-1.0], [1.0]], dtype=np.float32)
    wide = np.repeat(ends, 2000, axis=1)  # every value at an end of its range
    with pytest.raises(RanksError, match="do not fit a float32"):
        Quantized(wide, wide, QuantizeOptions("int8"))
    small = Quantized(vectors(2, 0), vectors(200, 1), QuantizeOptions("int8"), memory=1000)
    with pytest.raises(RanksError, match="does not hold the scores of two stages"):
        small.rank(data, *everything(data), Observer())
    facts = Quantized(vectors(2, 0), vectors(200, 1), QuantizeOptions("int8", 0)).facts().model_dump()
    for change in ({"bytes_per_vector": 1}, {"calibrated_on": None}, {"rescore": 3}, {"precision": "int4"}):
        with pytest.raises(ValueError, match=r"precision|dimensions|rescore"):
            QuantizationFacts.model_validate(facts | change)
