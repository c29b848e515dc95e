"""How much a GPU is given at a time, and how texts and vectors move to and from it; without a GPU."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from tests.encode.store.conftest import same, task_of
from xqr_bench.encode import EncoderOptions, embed_tasks, hardware
from xqr_bench.encode.bound import Lanes, TextEncoder
from xqr_bench.encode.hardware import DEVICE_LANES, DEVICE_TOKENS, LEAST_TOKENS, Transfers, fitting_tokens, total_memory
from xqr_bench.encode.sentence_transformer import bind_instance
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.tasks import Selection

GIB = 2**30


@pytest.fixture
def loaded(model: Path) -> SentenceTransformer:
    return SentenceTransformer(str(model), device="cpu")


def needed(model: SentenceTransformer, tokens: int) -> int:
    """Memory of the smallest GPU on which a batch has so many tokens."""
    low, high = 0, 64 * GIB
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fitting_tokens(model, middle) >= tokens else (middle + 1, high)
    return low


def test_a_budget_fits_a_quarter_of_what_the_weights_leave(loaded: SentenceTransformer) -> None:
    config = loaded[0].auto_model.config
    weights = sum(one.numel() * 4 for one in loaded.parameters())
    a_token = 4 * (8 * config.hidden_size + 3 * config.intermediate_size) + 4 * int(loaded.max_seq_length or 0)
    for tokens in (2 * LEAST_TOKENS, 4 * LEAST_TOKENS, DEVICE_TOKENS):
        assert needed(loaded, tokens) == weights + 4 * tokens * a_token
    assert fitting_tokens(loaded, 0) == LEAST_TOKENS
    assert fitting_tokens(loaded, 10**15) == DEVICE_TOKENS


def test_half_the_width_takes_less_and_plain_attention_more(loaded: SentenceTransformer) -> None:
    plain = needed(loaded, DEVICE_TOKENS)
    loaded[0].auto_model.config._attn_implementation = "eager"
    assert needed(loaded, DEVICE_TOKENS) > plain
    loaded[0].auto_model.config._attn_implementation = "sdpa"
    assert needed(loaded.bfloat16(), DEVICE_TOKENS) < plain


def test_a_large_model_on_a_small_gpu_gets_smaller_batches(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found from all memory of the device, said in the record; --token-budget is followed whatever the memory."""
    loaded = SentenceTransformer(str(model), device="cpu")
    total = needed(loaded, 4096)

    def bound(**options: Any) -> TextEncoder:
        with monkeypatch.context() as patch:
            patch.setattr(SentenceTransformer, "device", property(lambda _: torch.device("cuda:0")))
            patch.setattr(hardware, "total_memory", lambda device: total)
            return bind_instance(loaded, EncoderOptions(**options))

    assert bound().limits.tokens == 4096
    assert bound(token_budget=100).limits.tokens == 100
    assert total_memory(torch.device("cpu")) is None
    encoder = bound()
    encoder.device = "cpu"
    (record,) = evaluate(VectorRanker(encoder), ["mini"], select=Selection(limit=2))
    assert record.provenance.settings["batches"] == "512 texts, 4096 tokens"


class Pinned(Transfers):
    """As on a GPU, as far as that can be had: what is copied is copied, and who copied what is noted."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.calls: list[tuple[str, str]] = []

    def there(self, features: Any) -> Any:
        self.calls.append(("there", threading.current_thread().name))
        return super().there({name: copy.deepcopy(value) for name, value in features.items()})

    def here(self, vectors: Any) -> Any:
        self.calls.append(("here", threading.current_thread().name))
        return super().here(vectors.clone())


def test_batches_that_overlap_have_the_vectors_of_batches_that_do_not(loaded: SentenceTransformer) -> None:
    plain = bind_instance(loaded, EncoderOptions(batch_size=4))
    plain.lanes = Lanes()
    expected = embed_tasks(plain, [task_of(0, 120)])["toy"]

    beside = bind_instance(loaded, EncoderOptions(batch_size=4))
    moved = Pinned(loaded)
    beside._transfers, beside.lanes = moved, Lanes(DEVICE_LANES, around=moved.around)
    found = embed_tasks(beside, [task_of(0, 120)])["toy"]
    assert same(expected, found)
    assert found.queries.dtype == np.float32
    of_kinds = [[name for kind, name in moved.calls if kind == one] for one in ("there", "here")]
    assert len(of_kinds[0]) == len(of_kinds[1]) > 2 * DEVICE_LANES
    assert len(set(of_kinds[1]) - {"MainThread"}) == DEVICE_LANES  # in which a batch is encoded that is alone


def test_a_model_is_left_as_it_was(loaded: SentenceTransformer) -> None:
    """Also where a batch fails, and where somebody has put a method of their own there."""
    moved = Transfers(loaded)
    with moved.around():
        assert "preprocess" in vars(loaded)
        features = loaded.preprocess(["a text"])
        assert all(value.device == loaded.device for value in features.values() if isinstance(value, torch.Tensor))
    assert "preprocess" not in vars(loaded)
    with pytest.raises(ValueError, match="failed"), moved.around():
        raise ValueError("failed")
    assert "preprocess" not in vars(loaded)
    own = loaded.preprocess
    loaded.preprocess = own
    with moved.around():
        assert loaded.preprocess is not own
    assert loaded.preprocess is own


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_copies_through_pinned_memory_are_complete(model: Path) -> None:
    loaded = SentenceTransformer(str(model), device="cuda")
    moved = Transfers(loaded)
    assert moved.pinned
    values = torch.arange(2**22).reshape(2**11, -1)
    features = moved.there({"input_ids": values, "length": 3})
    assert features["input_ids"].device.type == "cuda"
    assert features["length"] == 3
    for _ in range(20):
        torch.testing.assert_close(moved.here(features["input_ids"] * 2), values * 2)
