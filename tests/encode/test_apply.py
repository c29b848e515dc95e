"""Transforms of whole tasks: languages and roles apart, zeros, dot products, a source of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.conftest import VECTORS, needs_data, needs_vectors
from tests.kit import make_task
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.types import TaskData
from xqr_bench.encode import Embeddings, embed_tasks, load_encoder
from xqr_bench.encode.transform import Source, TransformOptions, estimate, transform_vectors
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.tasks import load_task

CENTER = TransformOptions("center")


def texts(n: int, mark: str) -> list[str]:
    return [f"{mark}{i}" for i in range(n)]


def task(name: str = "toy", n: int = 12) -> TaskData:
    return make_task(
        {"en": texts(n, "q"), "de": texts(n, "f")}, {"en": texts(n + 2, "a"), "de": texts(n + 1, "b")}, name=name
    )


def vectors_of(data: TaskData, d: int = 6, seed: int = 0) -> Embeddings:
    draw = np.random.default_rng(seed)
    queries, candidates = (
        (draw.standard_normal((len(items), d)) + 2).astype(np.float32) for items in (data.queries, data.candidates)
    )
    return Embeddings(queries, candidates, 0, 0, {}, {}, None, {})


def test_languages_and_roles_apart() -> None:
    data = task()
    vectors = vectors_of(data)
    made = transform_vectors(data, vectors, CENTER, similarity="cosine")
    assert_array_equal(vectors.queries, vectors_of(data).queries)  # what was given is not changed
    for before, after, items in (
        (vectors.queries, made.queries, data.queries),
        (vectors.candidates, made.candidates, data.candidates),
    ):
        for code in ("en", "de"):
            rows = [i for i, item in enumerate(items) if item.language == code]
            x = before[rows].astype(np.float64)
            x /= np.linalg.norm(x, axis=1)[:, None]
            assert_allclose(after[rows], x - x.mean(axis=0), atol=1e-7)
            assert_allclose(after[rows].mean(axis=0), 0, atol=1e-7)
        assert after.dtype == np.float32
    facts = made.facts
    assert (facts.name, facts.transductive, facts.bitext, facts.dimensions) == ("center", True, None, 6)
    assert facts.estimated_on["de"].model_dump() == {"queries": 12, "candidates": 13}
    assert facts.without_direction == {}
    assert made.warnings == ()
    assert facts.unit_length


def test_dot_products_take_vectors_as_they_are() -> None:
    data = task()
    vectors = vectors_of(data)
    made = transform_vectors(data, vectors, CENTER, similarity="dot")
    rows = slice(0, 12)
    x = vectors.queries[rows].astype(np.float64)
    assert_allclose(made.queries[rows], x - x.mean(axis=0), atol=1e-6)
    assert not made.facts.unit_length
    # subtracting the mean of the candidates of one language moves all its scores by the same amount: within a
    # language the order of a dot product stays as it was
    before = exact_ranks(data, vectors.queries, vectors.candidates, similarity="dot")
    after = exact_ranks(data, vectors.queries, made.candidates, similarity="dot")
    row = np.arange(before.n_relevants)
    assert_array_equal(after.gt[row, before.relevant_columns], before.gt[row, before.relevant_columns])
    assert (after.gt != before.gt).any()


def test_zero_vectors_stay_zero_and_are_left_out_of_the_estimate() -> None:
    data = task()
    vectors = vectors_of(data)
    vectors.queries[3] = 0
    made = transform_vectors(data, vectors, CENTER)
    assert not made.queries[3].any()
    assert made.facts.estimated_on["en"].queries == 11
    others = [0, 1, 2, *range(4, 12)]
    assert_allclose(made.queries[others].mean(axis=0), 0, atol=1e-7)
    vectors.queries[:12] = 0
    with pytest.raises(EncoderError, match="all queries of en in toy have vectors of only zeros"):
        transform_vectors(data, vectors, CENTER)


@pytest.mark.parametrize("name", ["center", "whiten", "remove-1"])
def test_a_language_with_one_vector_for_everything_has_nothing_left(name: str) -> None:
    data = task()
    vectors = vectors_of(data)
    vectors.candidates[:14] = vectors.candidates[0]
    made = transform_vectors(data, vectors, TransformOptions(name))
    assert not made.candidates[:14].any()
    assert made.candidates[14:].any(axis=1).all()
    assert made.facts.without_direction["en"].model_dump() == {"queries": 0, "candidates": 14}
    assert made.warnings == (
        f"{name} left nothing of some vectors (queries + candidates: en 0 + 14): they consisted of what their "
        "language shares, and score 0",
    )
    # and they tie, all of them
    ranks = exact_ranks(data, made.queries, made.candidates)
    assert (ranks.eq[:, 0] >= 14).all()


def test_estimated_on_another_source() -> None:
    data, other = task(), task("other", n=20)
    vectors, source = vectors_of(data), vectors_of(other, seed=1)
    made = transform_vectors(data, vectors, TransformOptions("remove-1"), source=Source(other, source))
    x = source.queries[20:].astype(np.float64)
    x /= np.linalg.norm(x, axis=1)[:, None]
    own = vectors.queries[12:].astype(np.float64)
    own /= np.linalg.norm(own, axis=1)[:, None]
    assert_allclose(made.queries[12:], estimate("remove-1", 1, x).apply(own), atol=1e-7)
    assert made.facts.source == "the translated sentences other"
    assert made.facts.bitext is not None
    assert made.facts.label == "remove-1 from other"
    assert made.facts.estimated_on["de"].queries == 20
    with pytest.raises(EncoderError, match="different dimensions"):
        transform_vectors(data, vectors, CENTER, source=Source(other, vectors_of(other, d=5)))


def test_removing_everything_is_refused() -> None:
    data = task()
    with pytest.raises(UsageError, match="remove-6 would remove all there is of en") as caught:
        transform_vectors(data, vectors_of(data), TransformOptions("remove-6"))
    assert caught.value.remedy == "remove at most 5 directions"
    transform_vectors(data, vectors_of(data), TransformOptions("remove-5"))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("centre", "there is no transform named 'centre'"),
        ("centr", "closest: center"),
        ("remove-", "there is no transform named 'remove-'"),
        ("remove-0", "removes nothing"),
        ("remove-03", "removes nothing"),
    ],
)
def test_wrong_names(name: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        TransformOptions.parse(name)


def test_names(tmp_path: Path) -> None:
    assert TransformOptions.parse(None) is TransformOptions.parse("none") is None
    parsed = TransformOptions.parse("remove-12", tmp_path / "ntrex")
    assert (parsed.directions, parsed.suffix, CENTER.suffix) == (12, "+remove-12-from-ntrex", "+center")
    with pytest.raises(UsageError, match="--transform-from is given without a transform"):
        TransformOptions.parse("none", tmp_path)


@needs_data
@needs_vectors
def test_the_trivial_baseline_of_a_bias_claim() -> None:
    """MEASURES.md: centring moves MiniLM from .320/.069/.044 to .363/.095/.079; the rank distance falls by a tenth."""
    data = replace(load_task("xquad-r"), relevance=())
    vectors = embed_tasks(load_encoder(f"precomputed:{VECTORS}"), [data])["xquad-r"]
    settings = ["monolingual", "cross-lingual", "multilingual"]
    distance = []
    for made, figures in (
        (vectors, (0.3197, 0.0689, 0.0444)),
        (transform_vectors(data, vectors, CENTER), (0.3627, 0.0948, 0.0785)),
    ):
        ranks = exact_ranks(data, made.queries, made.candidates)
        scores, _ = score(all_per_query(ranks, ["map", "rank_distance"], settings), {})
        assert [scores[setting].macro["map"].value for setting in settings] == pytest.approx(figures, abs=5e-4)
        distance.append(scores["multilingual"].macro["rank_distance"].value)
    assert distance[1] / distance[0] == pytest.approx(0.898, abs=0.002)
