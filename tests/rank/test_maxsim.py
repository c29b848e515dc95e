"""MaxSim in tiles: what its definition says, whatever the tiles, with equal scores for equal candidates."""

from __future__ import annotations

import numpy as np
import pytest

from xqr_bench.core.types import IntArray
from xqr_bench.encode.ragged import TokenFile
from xqr_bench.rank import maxsim
from xqr_bench.rank.maxsim import TokenVectors, maxsim_scores
from xqr_bench.rank.product import Vectors

DRAW = np.random.default_rng(5)


def texts(number: int, longest: int) -> list[Vectors]:
    return [DRAW.normal(size=(DRAW.integers(1, longest + 1), 24)).astype(np.float32) for _ in range(number)]


def held(arrays: list[Vectors], memory: int = 2**20) -> tuple[TokenVectors, IntArray]:
    file = TokenFile(memory)
    numbers = [file.add(one) for one in arrays]
    return TokenVectors(*file.read()), np.array(numbers)


QUERIES, CANDIDATES = texts(37, 9), texts(53, 14)
CANDIDATES += [CANDIDATES[4].copy(), CANDIDATES[17].copy()]


def scored(memory: int = 2**20) -> Vectors:
    blocks = list(maxsim_scores(*held(QUERIES, memory), *held(CANDIDATES, memory)))
    assert [block.start for block in blocks] == np.cumsum([0, *(len(block.pooled) for block in blocks)])[:-1].tolist()
    return np.concatenate([block.pooled for block in blocks])


def test_scores_are_what_the_definition_says() -> None:
    literal = [
        [sum(max(float(a @ b) for b in candidate) for a in query) for candidate in CANDIDATES] for query in QUERIES
    ]
    np.testing.assert_allclose(scored(), literal, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("panel", "tile", "block"), [(1, 1, 1), (30, 17, 2), (10**6, 10**6, 12)])
def test_no_cut_changes_what_is_scored(monkeypatch: pytest.MonkeyPatch, panel: int, tile: int, block: int) -> None:
    whole = scored()
    monkeypatch.setattr(maxsim, "BLOCK_TILES", block)  # how much is done at a time changes no bit
    np.testing.assert_array_equal(scored(), whole)
    monkeypatch.setattr(maxsim, "PANEL_TOKENS", panel)
    monkeypatch.setattr(maxsim, "TILE_TOKENS", tile)
    cut = scored()
    np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-5)
    for one, other in ((4, 53), (17, 54)):  # equal matrices, far apart: a tie in every tiling
        np.testing.assert_array_equal(cut[:, one], cut[:, other])


def test_vectors_in_a_file_score_as_those_in_memory() -> None:
    in_file, _ = held(CANDIDATES, memory=1000)
    in_memory, numbers = held(CANDIDATES)
    assert isinstance(in_file.rows, np.memmap)
    assert not isinstance(in_memory.rows, np.memmap)
    np.testing.assert_array_equal(in_file.rows, in_memory.rows)
    assert len(in_memory.edges) - 1 == 53
    assert numbers[[53, 54]].tolist() == [4, 17]
    np.testing.assert_array_equal(scored(memory=1000), scored())


def test_zeros_of_either_sign_are_the_same() -> None:
    file = TokenFile(2**20)
    assert [file.add(np.full((2, 3), zero, dtype=np.float32)) for zero in (0.0, -0.0)] == [0, 0]
