"""What a transformer is while it is trained: frozen layers, dropout, length, batches in parts; and its own after."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.train.build import parallel, tiny_xlm_r
from xqr_bench.core.errors import UsageError
from xqr_bench.encode import EncoderOptions
from xqr_bench.train import TrainCache, TrainConfig, get_recipe, train
from xqr_bench.train.initial import copy_model, load_base, weights_digest
from xqr_bench.train.losses import LossContext
from xqr_bench.train.losses.infonce import loss
from xqr_bench.train.texts import distinct_texts
from xqr_bench.train.transformer import WhileTraining, embed_in_parts

DATA = parallel(24)


def recipe(**changes: Any) -> Any:
    values = {"updates": 3, "batch_size": 6, "schedule": "constant", "patience": 0, "max_length": 48}
    return get_recipe("paper", **{**values, **changes})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_xlm_r(tmp_path_factory.mktemp("base") / "xlm-r", distinct_texts([DATA]), layers=3))


@pytest.fixture
def model(base: str) -> Any:
    return load_base(base, EncoderOptions(device="cpu"), recipe())[0]


@pytest.mark.parametrize(("layers", "changed"), [(0, {0, 1, 2}), (2, {2})])
def test_frozen_layers_and_embeddings_stay_as_they_were(base: str, layers: int, changed: set[int]) -> None:
    before = load_base(base, EncoderOptions(device="cpu"), recipe())[0].state_dict()
    asked = TrainConfig(base=base, data=[DATA], recipe=recipe(frozen_layers=layers, learning_rate=0.01))
    made = train(asked)
    after = made.model.state_dict()
    different = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert not any("embeddings" in name for name in different)
    assert {number for number in range(3) if any(f"layer.{number}." in name for name in different)} == changed
    assert made.record.recipe["frozen_layers"] == layers
    assert all(parameter.requires_grad for parameter in made.model.parameters())  # its own settings again


def test_settings_hold_in_training_only(model: Any) -> None:
    attention = model[0].auto_model.config._attn_implementation
    asked = recipe(frozen_layers=1, dropout=0.0, train_length=8)
    settings = WhileTraining(model, asked, on_cpu=True)

    def now() -> tuple[Any, ...]:
        dropout = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
        trained = sum(parameter.requires_grad for parameter in model.parameters())
        return dropout, trained, model.max_seq_length, model[0].auto_model.config._attn_implementation

    everything = len(list(model.parameters()))
    inside = now()
    assert (inside[0], inside[2], inside[3]) == ({0.0}, 8, "eager")
    assert inside[1] < everything
    model.forward = "mixed precision"  # as accelerate has it
    with settings.paused():
        assert now() == ({0.1}, everything, 48, attention)
        assert "forward" not in vars(model)
    assert now() == inside
    assert vars(model).pop("forward") == "mixed precision"
    settings.end()
    assert now() == ({0.1}, everything, 48, attention)


def test_layers_that_are_not_there_are_refused(model: Any) -> None:
    with pytest.raises(UsageError, match="--frozen-layers 3 cannot be done with this model"):
        WhileTraining(model, recipe(frozen_layers=3), on_cpu=True)
    with pytest.raises(UsageError, match="--dropout has no meaning for static models"):
        TrainConfig(data=[DATA], recipe=get_recipe("static", dropout=0.0))
    with pytest.raises(UsageError, match="--parts is for the loss infonce without gradient caching"):
        recipe(mini_batch=4, parts=2)


@pytest.mark.parametrize("parts", [1, 3, 99])
def test_parts_give_the_vectors_and_the_loss_of_the_whole_batch(model: Any, parts: int) -> None:
    model.eval()
    texts = [
        "one",
        "a text of some more words than that",
        "two words",
        "and the longest of all of these few texts",
        "x",
    ]
    inputs = model.preprocess(texts)
    widths: list[int] = []

    def seen(features: dict[str, Any]) -> Any:
        widths.append(features["attention_mask"].shape[1])
        return model(features)

    whole = model(dict(inputs))["sentence_embedding"]
    assert torch.allclose(embed_in_parts(seen, inputs, parts), whole, atol=1e-6)
    assert len(widths) == min(parts, len(texts))
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == inputs["attention_mask"].shape[1]
    assert parts == 1 or widths[-1] < widths[0]
    columns = [model.preprocess(texts), model.preprocess(texts[::-1])]
    context = LossContext((DATA,), DATA.languages, 1, False)
    one = loss(model, recipe(), context)([dict(column) for column in columns], None)
    other = loss(model, recipe(parts=parts), context)(columns, None)
    assert other.item() == pytest.approx(one.item(), abs=1e-5)


def test_what_is_scored_within_a_training_is_what_is_left_after_it(base: str) -> None:
    """In bfloat16 the trainer wraps the model; what is scored at the last update must not be rounded."""
    kept = []
    asked = TrainConfig(base=base, data=[DATA], recipe=recipe(precision="bf16", dropout=0.0), save_at=[3])
    made = train(asked, on_kept=lambda step, model, record: kept.append(model.encode(["what is this?"])))
    assert (kept[0] == made.model.encode(["what is this?"])).all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (kept[0] != made.model.encode(["what is this?"])).any()


def test_runs_that_share_a_cache_read_the_base_once(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from xqr_bench.train import run as module

    read: list[object] = []

    def counted(*arguments: Any) -> Any:
        read.append(arguments[0])
        return load_base(*arguments)

    monkeypatch.setattr(module, "load_base", counted)
    asked, cache = TrainConfig(base=base, data=[DATA], recipe=recipe()), TrainCache()
    first, second = train(asked, cache=cache), train(asked, cache=cache)
    assert len(read) == 1
    assert first.record.weights_digest == second.record.weights_digest == weights_digest(second.model)
    assert first.model.tokenizer is second.model.tokenizer
    copied = copy_model(first.model)
    next(copied.parameters()).data.zero_()
    assert weights_digest(copied) != weights_digest(first.model)
