"""Batches side by side give what batches one after the other give."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encode.store.conftest import same, shards, task_of
from tests.encode.test_calling import limited, out_of_memory
from tests.kit import Seen
from xqr_bench.core.errors import EncoderError
from xqr_bench.encode import EncoderOptions, VectorStore, embed_tasks, load_encoder
from xqr_bench.encode.bound import Lanes, TextEncoder, cpu_lanes
from xqr_bench.encode.hardware import safe_in_threads


@pytest.mark.parametrize("number", [1, 2, 5])
def test_results_come_in_order_and_the_first_item_is_done_alone(number: int) -> None:
    under_way: set[int] = set()
    together: list[set[int]] = []
    entered: list[str] = []
    left: list[str] = []

    def work(item: int) -> int:
        under_way.add(item)
        together.append(set(under_way))
        time.sleep(0.002 * (item % 3))
        under_way.remove(item)
        return item * item

    @contextmanager
    def around() -> Iterator[None]:
        yield
        left.append("left")

    lanes = Lanes(number, lambda: entered.append(threading.current_thread().name), around)
    assert list(lanes.map(work, range(30))) == [item * item for item in range(30)]
    assert together[0] == {0}
    assert all(0 not in some for some in together[1:])
    assert max(map(len, together)) <= number
    assert len(entered) == (0 if number == 1 else number)
    assert left == ["left"]


def test_no_more_than_one_item_waits_for_a_lane() -> None:
    begun: list[int] = []
    results = Lanes(2).map(lambda item: begun.append(item), range(100))
    next(results)
    next(results)
    time.sleep(0.05)
    assert max(begun) <= 3  # what is lost when the process is killed stays small
    results.close()


def test_a_failure_comes_after_what_was_before_it_and_ends_the_threads() -> None:
    def work(item: int) -> int:
        if item == 7:
            raise ValueError("seven")
        return item

    seen: list[int] = []
    before = threading.active_count()
    with pytest.raises(ValueError, match="seven"):
        seen.extend(Lanes(3).map(work, range(1000)))
    assert seen == list(range(7))
    assert threading.active_count() == before


@pytest.fixture
def two_threads() -> Any:
    """Torch as on a machine of two cores; its threads as before at the end."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_model_has_the_same_vectors_in_one_lane_and_in_two(model: Path, two_threads: None) -> None:
    import torch

    options = EncoderOptions(device="cpu", token_budget=100)
    both, one = load_encoder(model, options), load_encoder(model, options)
    assert isinstance(both, TextEncoder)
    assert isinstance(one, TextEncoder)
    assert both.lanes.number == 2
    one.lanes = Lanes()
    found = embed_tasks(both, [task_of(0, 200)])["toy"]
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)  # what each of the two lanes has
    assert same(found, embed_tasks(one, [task_of(0, 200)])["toy"])


def test_threads_are_shared_among_lanes() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        for threads, number in ((1, 1), (2, 2), (8, 8), (16, 8)):
            torch.set_num_threads(threads)
            lanes = cpu_lanes()
            assert lanes.number == number
            seen = list(lanes.map(lambda item: torch.get_num_threads(), range(4)))
            assert set(seen) == {threads // number}
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_models_that_change_while_they_read_have_one_lane(model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(str(model), device="cpu")
    assert safe_in_threads(loaded)
    config = loaded[0].auto_model.config
    config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0}
    assert not safe_in_threads(loaded)
    config.rope_parameters = {"rope_type": "default"}
    assert safe_in_threads(loaded)

    class Own(type(loaded)):
        """Code that nobody has seen."""

    assert not safe_in_threads(Own(str(model), device="cpu"))


def in_lanes(encode: Any, number: int = 2, **given: Any) -> TextEncoder:
    bound = load_encoder(encode, EncoderOptions(**given))
    assert isinstance(bound, TextEncoder)
    bound.lanes = Lanes(number)
    return bound


def test_memory_that_runs_out_in_a_lane() -> None:
    calls: list[int] = []
    seen = Seen()
    found = embed_tasks(in_lanes(limited(5, out_of_memory, calls), batch_size=16), [task_of(0, 100)], observe=seen)[
        "toy"
    ]
    np.testing.assert_array_equal(found.candidates[:, 0], [len(item.text) for item in task_of(0, 100).candidates])
    assert seen.notes[0] == "out of memory with 16 texts together: going on with half as many"


@pytest.mark.parametrize("at", [1, 20, 57])
def test_an_encoder_that_fails_in_a_lane(tmp_path: Path, at: int) -> None:
    """What was encoded before stays in the store, and the next run ends with the bytes of an undisturbed one."""
    from tests.encode.store.conftest import SENSITIVE, SHARD

    def made() -> TextEncoder:
        return in_lanes(f"{SENSITIVE}:Sensitive", 3, batch_size=4)

    plain = embed_tasks(made(), [task_of(0, 300)], store=VectorStore(tmp_path / "plain", shard_texts=SHARD))["toy"]
    store = VectorStore(tmp_path / "cache", shard_texts=SHARD)
    encoder: Any = made()
    real, calls = encoder.call, itertools.count(1)

    def call(role: Any, texts: list[str]) -> Any:
        if next(calls) == at:
            raise ValueError("lost the connection")
        return real(role, texts)

    encoder.call = call
    with pytest.raises(EncoderError, match="lost the connection") as caught:
        embed_tasks(encoder, [task_of(0, 300)], store=store)
    kept = SHARD * len(shards(store))
    assert kept >= 4 * (at - 3) - SHARD  # all but the shard it was at, and what was under way
    assert (f"{kept:,} texts encoded before are kept" in str(caught.value)) == (kept > 0)
    again = embed_tasks(made(), [task_of(0, 300)], store=store)["toy"]
    assert again.candidates.tobytes() == plain.candidates.tobytes()


def test_an_item_that_begins_after_the_stop_is_stopped_too() -> None:
    stops: list[int] = []
    taken, ended = threading.Event(), threading.Event()

    def work(item: int) -> int:
        if item == 2:
            taken.set()
            time.sleep(0.3)  # the first stop is called meanwhile
            before, deadline = len(stops), time.monotonic() + 20
            assert before
            while len(stops) == before and time.monotonic() < deadline:
                time.sleep(0.01)
            if len(stops) > before:
                ended.set()
        return item

    results = Lanes(2, stop=lambda: stops.append(1)).map(work, range(3))
    assert [next(results), next(results)] == [0, 1]
    assert taken.wait(10)
    results.close()
    assert ended.is_set()
