"""An encoder that fails, or runs out of memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.encode.store.conftest import task_of
from tests.encode.toys import Returning
from tests.kit import Seen
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder


def limited(most: int, error: Callable[[], Exception], calls: list[int]) -> Returning:
    """An encoder that has memory for so many texts."""

    def encode(texts: list[str]) -> Any:
        calls.append(len(texts))
        if len(texts) > most:
            raise error()
        return np.array([[len(text), 1.0] for text in texts])

    return Returning(encode)


def out_of_memory() -> Exception:
    import torch

    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


@pytest.mark.parametrize("error", [out_of_memory, MemoryError, lambda: RuntimeError("MPS backend out of memory")])
def test_a_batch_is_halved_until_it_fits_and_the_next_ones_begin_there(error: Callable[[], Exception]) -> None:
    calls: list[int] = []
    seen = Seen()
    bound = load_encoder(limited(5, error, calls), EncoderOptions(batch_size=16))
    found = embed_tasks(bound, [task_of(0, 40)], observe=seen)["toy"]
    assert calls == [16, 8, *[4] * 8, 4, 4]  # 16 and 8 fail once; later batches begin with what fits
    assert seen.notes == [
        "out of memory with 16 texts together: going on with half as many",
        "out of memory with 8 texts together: going on with half as many",
    ]
    np.testing.assert_array_equal(found.candidates[:, 0], [len(item.text) for item in task_of(0, 40).candidates])


def test_memory_is_free_before_the_halves_are_tried() -> None:
    """What the failed call held must not be alive through the exception's frames."""
    import gc
    import weakref

    class Block:
        """Stands for a tensor."""

    blocks: list[weakref.ref[Block]] = []

    def encode(texts: list[str]) -> Any:
        assert not any(block() for block in blocks)
        held = Block()
        blocks.append(weakref.ref(held))
        if len(texts) > 2:
            raise MemoryError
        return np.ones((len(texts), 2))

    gc.disable()
    try:
        embed_tasks(load_encoder(Returning(encode)), [task_of(0, 7)], observe=Seen())
    finally:
        gc.enable()
    assert len(blocks) > 3


def test_a_model_out_of_memory_on_its_tokens(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = load_encoder(model, EncoderOptions(device="cpu"))
    plain = embed_tasks(bound, [task_of(0, 40)])["toy"]
    real = bound.call
    costs: list[int] = []

    def call(role: Any, texts: list[str]) -> Any:
        costs.append(len(texts) * max(map(len, texts)))
        if costs[-1] > 150:
            raise out_of_memory()
        return real(role, texts)

    monkeypatch.setattr(bound, "call", call)
    seen = Seen()
    found = embed_tasks(bound, [task_of(0, 40)], observe=seen)["toy"]
    assert seen.notes
    np.testing.assert_allclose(found.candidates, plain.candidates, rtol=1e-4, atol=1e-6)
