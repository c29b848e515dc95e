"""Building: repeatable, and refused where there is too little to learn from."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kit import vectors
from xqr_bench.core.errors import UsageError
from xqr_bench.rank.index import IndexOptions, build_index, from_bytes, resolve, search_index, to_bytes
from xqr_bench.rank.product import unit_vectors

SMALL = {
    "hnsw": ["m=8"],
    "ivf": ["nlist=4", "nprobe=2"],
    "ivfpq": ["nlist=4", "nprobe=2", "m=4", "nbits=3"],
    "flat": [],
}
POINTS = unit_vectors(vectors(400, 3, dimensions=16))


@pytest.mark.parametrize("type_", list(SMALL))
def test_the_same_vectors_give_the_same_bytes_on_any_number_of_threads(type_: str) -> None:
    import faiss

    options = IndexOptions.parse(type_, SMALL[type_])
    before = faiss.omp_get_max_threads()
    try:
        made = []
        for threads in (1, 4, 4):
            faiss.omp_set_num_threads(threads)
            made.append(to_bytes(build_index(POINTS, options, "en")).tobytes())
            assert faiss.omp_get_max_threads() == threads
    finally:
        faiss.omp_set_num_threads(before)
    assert made[0] == made[1] == made[2]


def test_flat_gives_its_vectors_back() -> None:
    assert np.array_equal(build_index(POINTS, IndexOptions("flat"), "en").reconstruct_n(0, len(POINTS)), POINTS)


@pytest.mark.parametrize("type_", list(SMALL))
def test_bytes_make_the_index_again_with_its_search_parameters(type_: str) -> None:
    index = build_index(POINTS, IndexOptions.parse(type_, SMALL[type_]), "en")
    again = from_bytes(to_bytes(index))
    for mine, other in zip(search_index(index, POINTS[:9], 20), search_index(again, POINTS[:9], 20), strict=True):
        assert np.array_equal(mine, other)


def test_hits_that_were_not_reached_have_no_score() -> None:
    index = build_index(POINTS, IndexOptions.parse("ivf", ["nlist=4", "nprobe=1"]), "en")
    scores, places = search_index(index, POINTS[:9], 1000)
    assert scores.shape == (9, 400)
    assert (places < 0).any()
    assert np.array_equal(np.isneginf(scores), places < 0)


@pytest.mark.parametrize(
    ("type_", "given", "message"),
    [
        (
            "ivf",
            [],
            "the index ivf cannot be trained on the 400 candidates of th\n"
            "  found: 16 centroids (nlist 16) of at least 39 points each need 624\n"
            "  to do: use flat or hnsw, which learn nothing; or give nlist at most 10, "
            "give fewer min_points_per_centroid",
        ),
        (
            "ivfpq",
            ["nlist=4", "nprobe=1", "nbits=8"],
            "the index ivfpq cannot be trained on the 400 candidates of th\n"
            "  found: 256 centroids (nbits 8) of at least 39 points each need 9,984\n"
            "  to do: use flat or hnsw, which learn nothing; or give nbits at most 3, "
            "give fewer min_points_per_centroid",
        ),
        (
            "ivf",
            ["nlist=500", "min_points_per_centroid=1"],
            "the index ivf cannot be trained on the 400 candidates of th\n"
            "  found: 500 centroids (nlist 500) of at least 1 points each need 500",
        ),
    ],
)
def test_too_few_points(type_: str, given: list[str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        build_index(POINTS, IndexOptions.parse(type_, given), "th")
    assert str(error.value).startswith(message)


def test_fewer_points_for_a_centroid_can_be_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    build_index(POINTS, IndexOptions.parse("ivf", ["min_points_per_centroid=20"]), "th")
    build_index(POINTS, IndexOptions.parse("ivfpq", ["min_points_per_centroid=20", "m=4"]), "th")
    assert capfd.readouterr() == ("", "")  # FAISS itself says nothing either


def test_parts_of_a_vector() -> None:
    assert resolve(IndexOptions("ivfpq"), 16)["m"] == 8
    assert resolve(IndexOptions("ivfpq"), 15)["m"] == 15
    with pytest.raises(UsageError, match=r"cannot cut vectors of 16 dimensions into 5 equal parts\n.*1, 2, 4, 8, 16"):
        resolve(IndexOptions("ivfpq", {"m": 5}), 16)
