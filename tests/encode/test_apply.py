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
from xqr_bench.encode import Embeddings, embed_tasks, load_encoder, maps
from xqr_bench.encode.transform import Source, TransformOptions, transform_vectors
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
    assert_allclose(made.queries[12:], maps.remove(1, x).apply(own), atol=1e-7)
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
        ("remove-²", "no transform named"),
        ("remove-x", "there is no transform named 'remove-x'"),
        ("shift", "there is no transform named 'shift'"),
        ("leace-en", "there is no transform named 'leace-en'"),
        ("center@1", "center@1: '1' is no strength"),
        ("center@0.50", "'0.50' is no strength"),
        ("shift-en@1.5", "as shift-en@0.5 or shift-en@0.05; the whole of it is shift-en"),
        ("center@", "'' is no strength"),
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


def test_names_parse_into_their_parts() -> None:
    parsed = TransformOptions("transport-zh-hans@0.25")
    assert (parsed.kind, parsed.language, parsed.strength, parsed.directions) == ("transport", "zh-hans", 0.25, None)
    assert (CENTER.kind, CENTER.language, CENTER.strength) == ("center", None, 1.0)
    assert TransformOptions("remove-3@0.5").directions == 3
    assert parsed.suffix == "+transport-zh-hans@0.25"


EVERY = ["center", "whiten", "remove-2", "shift-en", "leace", "transport-en"]


@pytest.mark.parametrize("name", EVERY)
def test_of_strength_nothing_is_changed(name: str) -> None:
    data = task(n=20)
    vectors = vectors_of(data)
    made = transform_vectors(data, vectors, TransformOptions(f"{name}@0"))
    assert_array_equal(made.queries, vectors.queries)
    assert_array_equal(made.candidates, vectors.candidates)
    assert (made.facts.name, made.facts.strength) == (f"{name}@0", 0.0)
    near, half = (transform_vectors(data, vectors, TransformOptions(f"{name}@{a}")) for a in ("0.000001", "0.5"))
    unit = vectors.candidates / np.linalg.norm(vectors.candidates, axis=1)[:, None]
    assert_allclose(near.candidates, unit, atol=1e-4)
    assert abs(half.candidates - unit).max() > 0.01


def test_shift_moves_candidates_alone() -> None:
    data = task()
    vectors = vectors_of(data)
    made = transform_vectors(data, vectors, TransformOptions("shift-de"))
    assert_array_equal(made.queries, vectors.queries)
    unit = vectors.candidates.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    assert_allclose(made.candidates[14:], unit[14:], atol=1e-7)  # the German ones stay
    moved = unit[:14] - (unit[:14].mean(axis=0) - unit[14:].mean(axis=0))
    assert_allclose(made.candidates[:14], moved, atol=1e-7)
    assert (made.facts.language, made.facts.strength) == ("de", None)
    assert made.facts.estimated_on["en"].model_dump() == {"queries": 0, "candidates": 14}


@pytest.mark.parametrize("name", ["leace", "transport-en", "shift-en"])
def test_the_languages_of_the_candidates_have_one_mean(name: str) -> None:
    data = task(n=30)
    vectors = vectors_of(data)
    made = transform_vectors(data, vectors, TransformOptions(name), similarity="dot")
    assert_allclose(made.candidates[:32].mean(axis=0), made.candidates[32:].mean(axis=0), atol=1e-6)
    shrunk = made.facts.shrinkage
    assert (shrunk is None) == (name == "shift-en")
    if name == "leace":
        assert shrunk["en"] == shrunk["de"]
    if name == "transport-en":
        assert set(shrunk) == {"de"}
        assert_array_equal(made.candidates[:32], vectors.candidates[:32])


def test_what_is_not_defined_is_refused() -> None:
    data = task()
    vectors = vectors_of(data)
    with pytest.raises(UsageError, match="shift-fr moves towards a language that toy does not have") as caught:
        transform_vectors(data, vectors, TransformOptions("shift-fr"))
    assert (caught.value.found, caught.value.remedy) == ("en, de", "name one of these, as shift-en, or evaluate fr too")
    alone = make_task({"en": texts(9, "q")}, {"en": texts(9, "a")})
    with pytest.raises(UsageError, match="leace has no language to take out"):
        transform_vectors(alone, vectors_of(alone), TransformOptions("leace"))
    one = make_task({"en": texts(9, "q"), "de": ["f"]}, {"en": texts(9, "a"), "de": ["b"]})
    for name in ("shift-en", "leace", "transport-en", "transport-de", "whiten@0.5"):
        with pytest.raises(EncoderError, match=f"{name} is not defined: all .* of de in .* have one vector"):
            transform_vectors(one, vectors_of(one), TransformOptions(name))
    two = make_task({"en": texts(9, "q"), "de": texts(2, "f")}, {"en": texts(9, "a"), "de": texts(2, "b")})
    with pytest.raises(EncoderError, match="transport-en is not defined for the queries of de") as caught:
        transform_vectors(two, vectors_of(two), TransformOptions("transport-en"))
    assert caught.value.found == "2 vectors; their covariance is singular: of 6 directions they vary in 1"


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
