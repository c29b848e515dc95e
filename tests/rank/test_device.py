"""Counting with torch against counting on the processor; the choice of a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xqr_bench.rank.product as product
from tests.conftest import VECTORS, needs_vectors
from tests.kit import small_task, vectors
from xqr_bench.core import types
from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import LENIENT, PARAGRAPH, Ranks, TaskData
from xqr_bench.rank import counting as devices
from xqr_bench.rank.counting import LEAST_OF_BLOCK, Block, Columns, counting_device, device_name, multiplications
from xqr_bench.rank.exact import count_all, exact_ranks
from xqr_bench.rank.product import find_repeats
from xqr_bench.rank.rules import Tally
from xqr_bench.rank.torch_counting import TorchBlock, TorchCounter

ERROR = 1e-6  # of a float32 product of unit vectors; measured 8e-7 at most
on_each_device = pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param("cuda:0", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")),
    ],
)


def counted(
    data: TaskData,
    queries: np.ndarray,
    candidates: np.ndarray,
    *,
    unit: bool = False,
    memory: int = 2**28,
    device: str = "cpu",
) -> tuple[Ranks, TorchCounter]:
    """Ranks counted on one of torch's devices."""
    counter = TorchCounter(data.edges, queries, candidates, unit=unit, memory=memory, device=device)
    return count_all(data, counter), counter


@on_each_device
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.integers(0, 1000),
    st.integers(1, 3),
    st.sampled_from([1, 2**28]),
)
def test_exact_scores_give_the_same_counts(
    device: str, questions: int, sizes: list[int], seed: int, levels: int, memory: int
) -> None:
    """Small whole numbers: dot products are exact in float32 on any device; with few levels most vectors repeat."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "TILE_ROWS", 4)
        patch.setattr(product, "TILE_COLUMNS", 16)
        data = small_task(questions, {f"l{i}": size for i, size in enumerate(sizes)})
        queries = vectors(len(data.queries), seed, levels=3, dimensions=4)
        candidates = vectors(len(data.candidates), seed + 1, levels=levels, dimensions=4)
        expected = exact_ranks(data, queries, candidates, similarity="dot")
        ranks, _ = counted(data, queries, candidates, memory=memory, device=device)
        for field in ("gt", "eq", "top"):
            np.testing.assert_array_equal(getattr(ranks, field), getattr(expected, field))


@on_each_device
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(any),
    st.lists(st.integers(0, 6), min_size=1, max_size=6),
    st.integers(0, 1000),
    st.integers(1, 4),
    st.sampled_from([1, 2**28]),
)
def test_each_count_is_that_of_the_processor_in_the_same_scores(
    device: str, sizes: list[int], of_rows: list[int], seed: int, levels: int, memory: int
) -> None:
    """Languages without a candidate, rows without a threshold, thresholds of no language or of no score there is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "TILE_ROWS", 8)
        patch.setattr(product, "TILE_COLUMNS", 16)
        edges = np.cumsum([0, *sizes])
        queries = vectors(len(of_rows), seed, levels=3, dimensions=3)
        candidates = vectors(int(edges[-1]), seed + 1, levels=levels, dimensions=3)
        counter = TorchCounter(edges, queries, candidates, unit=False, memory=memory, device=device)
        generator = np.random.default_rng(seed)
        offsets = np.cumsum([0, *of_rows])
        number = int(offsets[-1])
        thresholds = generator.integers(2, 9 * levels + 2, size=number).astype(np.float32)
        asked = generator.integers(-1, len(sizes), size=number)
        made: dict[str, list[np.ndarray]] = {"device": [], "processor": []}
        for part in counter.parts:
            on_device = counter.score(0, len(queries), counter.hold(part), counter.buffer())
            here = Block(on_device.scores, counter.columns, part)
            for name, block in (("device", on_device), ("processor", here)):
                counts = np.ones((2, number, len(sizes)), dtype=np.int32)
                pool, own = np.ones((2, 2, number), dtype=np.int32)  # what was counted before stays
                block.count(offsets, thresholds, *counts)
                block.count_pool(offsets, thresholds, *pool)
                block.count_own(offsets, asked, thresholds, *own)
                made[name] += [counts, pool, own]
        for on_device_, on_processor in zip(*made.values(), strict=True):
            np.testing.assert_array_equal(on_device_, on_processor)


@pytest.mark.parametrize("collapsed", [False, True])
def test_no_block_of_scores_is_brought_back_to_be_counted(monkeypatch: pytest.MonkeyPatch, collapsed: bool) -> None:
    """All rules of relevance, and languages too many to count each: only counts come back."""
    if collapsed:
        monkeypatch.setattr(types, "MOST_COLUMNS", 1)
    data = replace(small_task(5, {"a": 12, "b": 7, "c": 9}), relevance=(LENIENT, PARAGRAPH))
    queries, candidates = vectors(15, 3, levels=3), vectors(28, 4, levels=2)
    expected = exact_ranks(data, queries, candidates, similarity="dot")

    def refused(self: TorchBlock) -> np.ndarray:
        raise AssertionError("a block of scores was brought to the processor")

    monkeypatch.setattr(TorchBlock, "scores", property(refused))
    ranks, _ = counted(data, queries, candidates)
    assert (expected.own_gt is not None) == collapsed
    for one, other in ((ranks, expected), (ranks.variants[PARAGRAPH], expected.variants[PARAGRAPH])):
        for field in ("gt", "eq", "own_gt", "own_eq", "query_gt", "query_eq"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_more_languages_of_like_sizes_are_not_more_operations() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Operations(TorchDispatchMode):
        number = 0

        def __torch_dispatch__(
            self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            self.number += 1
            return function(*args, **(kwargs or {}))

    numbers = []
    for languages in (2, 16):
        data = small_task(3, {f"l{i}": 20 + i for i in range(languages)})
        queries, candidates = vectors(len(data.queries), 0), vectors(len(data.candidates), 1)
        counter = TorchCounter(data.edges, queries, candidates, unit=True, memory=2**28, device="cpu")
        tally = Tally(data)
        with Operations() as operations:
            block = counter.score(0, len(queries), counter.hold(counter.parts[0]), counter.buffer())
            tally.find(0, block)
            tally.count(0, block)
        numbers.append(operations.number)
    assert numbers[0] == numbers[1] > 20


def own_scores(data: TaskData, counter: TorchCounter) -> np.ndarray:
    """The scores that the counter itself makes, equal vectors read at their group: float32 `[queries, candidates]`."""
    every = np.arange(len(data.candidates))
    result = np.empty((len(data.queries), len(every)), dtype=np.float32)
    for start in range(0, len(data.queries), product.TILE_ROWS):
        stop = min(start + product.TILE_ROWS, len(data.queries))
        for part in counter.parts:
            block = counter.score(start, stop, counter.hold(part), counter.buffer())
            here, places = counter.columns.places(every, part)
            result[start:stop, here] = block.scores[:, places]
    return result


def by_language(data: TaskData, chosen: np.ndarray) -> np.ndarray:
    """How many of the chosen candidates each language has: `[..., candidates]` -> `[..., languages]`."""
    languages = np.array([candidate.language for candidate in data.candidates])
    return np.stack([chosen[..., languages == name].sum(axis=-1) for name in data.languages], axis=-1)


def literal(data: TaskData, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts by definition in these scores."""
    pairs = [(row, row[index]) for row, relevant in zip(scores, data.relevants, strict=True) for index in relevant]
    gt, eq = (np.array([compare(row, limit) for row, limit in pairs]) for compare in (np.greater, np.equal))
    return by_language(data, gt), by_language(data, eq)


@on_each_device
@pytest.mark.parametrize("memory", [1, 2**28])
def test_thresholds_come_from_its_own_product(monkeypatch: pytest.MonkeyPatch, memory: int, device: str) -> None:
    monkeypatch.setattr(product, "TILE_ROWS", 16)
    monkeypatch.setattr(product, "TILE_COLUMNS", 32)
    data = small_task(11, {"a": 61, "b": 40, "c": 60})
    queries, candidates = vectors(33, 0, dimensions=96), vectors(161, 1, dimensions=96)
    candidates[70:80] = candidates[0]
    candidates[100] = -candidates[101]
    ranks, counter = counted(data, queries, candidates, unit=True, memory=memory, device=device)
    expected = literal(data, own_scores(data, counter))
    np.testing.assert_array_equal(ranks.gt, expected[0])
    np.testing.assert_array_equal(ranks.eq, expected[1])
    assert (ranks.eq[:, 0] >= 1).any()
    # the last tile of candidates and the one of groups have a column each, and share a part
    assert len(counter.parts) == (6 if memory == 1 else 1)


@needs_vectors
@on_each_device
def test_real_vectors_differ_in_last_bits_only(device: str) -> None:
    """All of its own counts, and close to the processor's: a rank differs only where scores agree to 1e-6.

    At the top a score of another kernel may put one candidate before the other where the two nearly tie, and which of
    them that is depends on the processor; a query whose top is one vector by more than the error has the same top.
    """
    from xqr_bench.encode import embed_tasks, load_encoder
    from xqr_bench.tasks import load_task

    data = load_task("xquad-r", languages=["en", "th"], limit=200)
    found = embed_tasks(load_encoder(f"precomputed:{VECTORS}"), [data])["xquad-r"]
    on_device, counter = counted(data, found.queries, found.candidates, unit=True, device=device)
    scores = own_scores(data, counter)
    expected = literal(data, scores)
    np.testing.assert_array_equal(on_device.gt, expected[0])
    np.testing.assert_array_equal(on_device.eq, expected[1])
    ranks = exact_ranks(data, found.queries, found.candidates)
    assert (on_device.gt != ranks.gt).mean() < 1e-3
    assert np.abs(on_device.gt - ranks.gt).max() <= 2

    top = on_device.top
    np.testing.assert_array_equal(top, by_language(data, scores == scores.max(axis=1, keepdims=True)))
    exact = _unit(found.queries) @ _unit(found.candidates).T
    assert np.abs(scores - exact).max() < ERROR
    near = exact >= exact.max(axis=1, keepdims=True) - 2 * ERROR  # what the error of two scores can bring to the top
    _, vector = np.unique(found.candidates, axis=0, return_inverse=True)
    decided = np.array([len(np.unique(vector.reshape(-1)[row])) == 1 for row in near])
    assert decided.mean() > 0.65  # 281 of 400; MiniLM gives many Thai sentences nearly the same vector
    for counts in (top, ranks.top):
        np.testing.assert_array_equal(counts[decided], by_language(data, near)[decided])
        assert (counts <= by_language(data, near)).all()
        assert (counts.sum(axis=1) >= 1).all()


def _unit(vectors: np.ndarray) -> np.ndarray:
    exact = vectors.astype(np.float64)
    return exact / np.linalg.norm(exact, axis=1, keepdims=True)


def test_score_multiplies_in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    plain = TorchCounter._multiply

    def multiply(self: TorchCounter, *arguments: object) -> None:
        seen.append(torch.get_float32_matmul_precision())
        plain(self, *arguments)

    monkeypatch.setattr(TorchCounter, "_multiply", multiply)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        counted(small_task(1, {"a": 3}), vectors(1, 0), vectors(3, 1))
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(seen) == {"highest"}


def test_choice_follows_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert counting_device("cpu", "cuda:0") == "cpu"
    assert counting_device("auto", "cuda") == "cuda:0"
    assert counting_device("auto", "cuda:1") == "cuda:1"
    assert counting_device("auto", "cpu") == "cpu"
    assert counting_device("auto", "mps:0") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert counting_device("cuda", "cpu") == "cuda:0"
    assert counting_device("cuda:1") == "cuda:1"
    with pytest.raises(UsageError, match="there is no device cuda:2 to count on\n  found: 2 CUDA devices"):
        counting_device("cuda:2")


def test_vectors_computed_before_use_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "_DRIVER", tmp_path)
    assert counting_device() == "cuda:0"
    monkeypatch.setattr(devices, "_DRIVER", tmp_path / "none")
    assert counting_device() == "cpu"
    assert device_name("cpu") == "cpu"


def test_the_work_of_a_block_decides() -> None:
    """XQuAD-R, on which an H200 was slower than 16 cores, stays on the processor; many candidates do not."""
    assert multiplications([(512, 1000)], 10) == 512 * 1000 * 10
    assert multiplications([(512, 1000), (512, 3000)], 10) == 512 * 2000 * 10  # blocks of both, on average
    assert multiplications([(513, 1000)], 10) == 513 * 1000 * 10 / 2
    assert multiplications([], 10) == 0
    assert multiplications([(13_090, 13_014)], 384) < LEAST_OF_BLOCK < multiplications([(109_800, 59_536)], 384)
    assert multiplications([(10**6, 1000)], 384) < LEAST_OF_BLOCK  # queries make more blocks, not larger ones


@pytest.mark.parametrize("asked", ["gpu", "mps", "cuda:x"])
def test_no_other_device(asked: str) -> None:
    with pytest.raises(UsageError, match=f"scores cannot be counted on '{asked}'"):
        counting_device(asked)


@pytest.mark.parametrize("width", [1, 8, 20, 1000])
def test_parts_are_whole_tiles_and_hold_every_column_once(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(product, "TILE_COLUMNS", 8)
    candidates = vectors(61, 0)
    candidates[40:58] = candidates[20:38]
    repeats = find_repeats(61, lambda start, stop: candidates[start:stop])
    columns = Columns(np.array([0, 30, 61]), repeats)
    assert columns.groups == 18
    parts = columns.parts(width)
    assert all(part.width <= max(8, width) for part in parts)
    assert [i for part in parts for i in part.candidates] == list(range(61))
    assert [i for part in parts for i in part.groups] == list(range(18))
    assert all(part.candidates.start % 8 == 0 and part.groups.start % 8 == 0 for part in parts)
    held = np.zeros(61, dtype=int)
    for part in parts:
        held += columns.places(np.arange(61), part)[0]
    assert (held == 1).all()
