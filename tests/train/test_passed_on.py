"""What the trainer of sentence-transformers does for ours: adapters, Matryoshka, less memory, compiling, callbacks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

from tests.kit import ran, read_json, run, words
from tests.train.build import parallel, tiny_xlm_r, write_pairs
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.train import TrainConfig, TrainResult, get_recipe, train

DATA = parallel(24)
LORA = {"rank": 2, "lora_alpha": 16, "target_modules": ["query", "value"]}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_xlm_r(tmp_path_factory.mktemp("base") / "base", [text for text, _ in DATA.texts()]))


def asked(base: str, values: dict[str, Any], **changes: Any) -> TrainConfig:
    recipe = get_recipe("paper", **{"updates": 6, "batch_size": 6, "learning_rate": 1e-3, **values})
    return TrainConfig(**{"base": base, "data": [DATA], "recipe": recipe, **changes})


def state(result: TrainResult) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in result.model.state_dict().items()}


def test_adapters_are_trained_and_merged(base: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    start = state(train(asked(base, {"updates": 0})))
    config = asked(base, {"lora": LORA}, output=tmp_path / "model", save_at=[3])
    kept: dict[int, str] = {}
    result = train(config, on_kept=lambda step, model, record: kept.update({step: record.weights_digest}))
    end = state(result)
    changed = {name.rsplit(".", 2)[-2] for name in start if not torch.equal(start[name], end[name])}
    assert end.keys() == start.keys()
    assert changed == {"query", "value"}
    assert torch.linalg.matrix_rank(
        next(end[name] - start[name] for name in start if name.endswith("query.weight")), atol=1e-6
    ).item() in (1, 2)
    assert result.record.recipe["lora"] == LORA
    from sentence_transformers import SentenceTransformer

    read = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert all(torch.equal(end[name], tensor) for name, tensor in read.state_dict().items())
    early = SentenceTransformer(str(tmp_path / "model" / "checkpoint-3"), device="cpu")
    assert early.state_dict().keys() == start.keys()
    assert kept[3] == read_json(tmp_path / "model" / "checkpoint-3" / "xqr_bench_training.json")["weights_digest"]
    shorter = train(asked(base, {"lora": LORA, "updates": 3, "schedule": "constant"}))
    constant = asked(base, {"lora": LORA, "schedule": "constant"}, save_at=[3])
    train(constant, on_kept=lambda step, model, record: kept.update({step: record.weights_digest}))
    assert kept[3] == shorter.record.weights_digest


def test_adapters_stopped_and_resumed_and_after_an_alignment(base: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    bitext = parallel(24, ["de", "en"], kind="bitext", name="lines")
    more: dict[str, Any] = {"align": bitext, "align_updates": 2}
    whole = train(asked(base, {"lora": LORA}, **more))

    def stop(step: int, *_: Any) -> None:
        raise KeyboardInterrupt

    more |= {"output": tmp_path / "model", "checkpoint_every": 2}
    with pytest.raises(KeyboardInterrupt):
        train(asked(base, {"lora": LORA}, save_at=[5], **more), on_kept=stop)
    with pytest.raises(UsageError, match="asked for something else"):
        train(asked(base, {"lora": {**LORA, "rank": 3}}, save_at=[5], resume=True, **more))
    resumed = train(asked(base, {"lora": LORA}, save_at=[5], resume=True, **more))
    assert resumed.record.training is not None
    assert resumed.record.training.resumed_at == [4]
    assert resumed.record.weights_digest == whole.record.weights_digest


def test_adapters_of_the_lowest_validation_are_kept(base: str) -> None:
    pytest.importorskip("peft")
    values = {"lora": LORA, "patience": 1, "validate_every": 2, "learning_rate": 0.5, "schedule": "constant"}
    stopped = train(asked(base, values, validation=parallel(12, name="held out")))
    assert stopped.record.training is not None
    best = stopped.record.training.best_update
    assert best is not None
    again = train(asked(base, {**values, "updates": best}))
    assert stopped.record.weights_digest == again.record.weights_digest


@pytest.mark.parametrize(
    ("values", "changes", "error", "told"),
    [
        ({"lora": {"rank": 0}}, {}, UsageError, "rank 0"),
        ({"lora": {"alpha": 3}}, {}, UsageError, "rank None"),
        ({"lora": {"rank": 2, "size": 3}}, {}, EncoderError, "size"),
        ({"lora": {**LORA, "bias": "all"}}, {}, UsageError, "nothing but its adapters.*bias"),
        ({"lora": {**LORA, "modules_to_save": ["dense"]}}, {}, UsageError, "nothing but its adapters.*dense"),
        ({"matryoshka": [4, 4]}, {}, UsageError, "each once"),
        ({"matryoshka": [400]}, {}, UsageError, "400 is more than the 16 columns"),
        ({"trainer_args": {"seed": 3}}, {}, UsageError, "--trainer-arg seed is not passed on"),
        ({"trainer_args": {"per_device_train_batch_size": 3}}, {}, UsageError, "not passed on"),
        ({"trainer_args": {"torch_compil": True}}, {}, UsageError, "closest: torch_compile"),
        ({"trainer_args": {"report_to": "no_such_package"}}, {}, UsageError, "no_such_package is not installed"),
        ({"trainer_args": {"report_to": 1}}, {}, UsageError, "report_to=1 names no package"),
        ({"trainer_args": {"report_to": "a.b"}}, {}, UsageError, "names no package"),
        ({"trainer_args": {"optim": "foo"}}, {}, EncoderError, 'trainer-arg optim="foo".*not a valid'),
        ({"trainer_args": {"adam_beta1": "x"}}, {}, EncoderError, 'trainer-arg adam_beta1="x"'),
    ],
)
def test_what_is_not_passed_on(
    base: str, values: dict[str, Any], changes: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=f"(?s){told}"):
        train(asked(base, values, **changes))


def test_the_dropout_of_adapters_is_their_own(base: str) -> None:
    pytest.importorskip("peft")
    digests = {
        train(asked(base, {"lora": {**LORA, "lora_dropout": share}, "dropout": 0.0})).record.weights_digest
        for share in (0.0, 0.5)
    }
    assert len(digests) == 2


def test_static_models_have_no_layers(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    for values in ({"lora": {"rank": 2}}, {"trainer_args": {"gradient_checkpointing": True}}):
        with pytest.raises(UsageError, match="no layers"):
            TrainConfig(data=[DATA], recipe=get_recipe("static", **values))
    find = importlib.util.find_spec
    monkeypatch.setattr("xqr_bench.train.config.find_spec", lambda name: None if name == "peft" else find(name))
    with pytest.raises(UsageError, match="needs the package peft"):
        asked(base, {"lora": LORA})


def test_gradient_checkpointing_computes_the_same_with_less_memory(base: str) -> None:
    plain = state(train(asked(base, {})))
    calls: list[bool] = []

    class Looks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            calls.append(model.transformers_model.is_gradient_checkpointing)

    again = state(train(asked(base, {"trainer_args": {"gradient_checkpointing": True}}), callbacks=[Looks()]))
    assert calls == [True] * 6
    assert all(torch.allclose(plain[name], again[name], atol=1e-5) for name in plain)


def test_a_compiled_model_trains_the_same(base: str) -> None:
    arguments = {"torch_compile": True, "torch_compile_backend": "aot_eager"}
    compiled = train(asked(base, {"trainer_args": arguments, "updates": 2}))
    plain = state(train(asked(base, {"updates": 2})))
    assert all(torch.allclose(plain[name], tensor, atol=1e-5) for name, tensor in state(compiled).items())
    assert compiled.record.recipe["trainer_args"] == arguments


def test_matryoshka_is_the_sum_over_the_sizes() -> None:
    """The first loss is that of vectors cut to 4 columns plus that of all 8."""
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    small = {"updates": 1, "batch_size": 6, "vocabulary": 320, "dimensions": 8}
    result = train(TrainConfig(data=[DATA], recipe=get_recipe("static", matryoshka=[4], **small)))
    start = train(TrainConfig(data=[DATA], recipe=get_recipe("static", **{**small, "updates": 0})))
    assert result.record.training is not None
    assert result.record.recipe["matryoshka"] == [4]
    plan = result.prepared.training
    assert plan is not None
    pairs = plan.plan.pairs(0, plan.data)
    columns = [
        torch.from_numpy(start.model.encode([prompt + text for text in texts]))
        for prompt, texts in (
            ("Query: ", [pair.query for pair in pairs]),
            ("Passage: ", [pair.passage for pair in pairs]),
        )
    ]
    loss = MultipleNegativesRankingLoss(start.model)
    expected = sum(loss.compute_loss_from_embeddings([one[:, :size] for one in columns], None) for size in (4, 8))
    assert result.record.training.loss[0][1] == pytest.approx(float(expected), abs=1e-4)


class Shift(torch.nn.Module):
    """A loss that trains something of its own."""

    def __init__(self, model: Any, recipe: Any, context: Any) -> None:
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

        super().__init__()
        self.loss = MultipleNegativesRankingLoss(model, scale=20.0)
        self.factor = torch.nn.Parameter(torch.ones(()))

    def forward(self, sentence_features: Any, labels: Any) -> Any:
        return self.loss(sentence_features, labels) * self.factor


def test_what_a_loss_trains_is_there_again_when_a_run_is_resumed(base: str, tmp_path: Path) -> None:
    def stop(step: int, *_: Any) -> None:
        raise KeyboardInterrupt

    whole = train(asked(base, {}, loss=Shift))
    more: dict[str, Any] = {"output": tmp_path / "model", "checkpoint_every": 2, "save_at": [5], "loss": Shift}
    with pytest.raises(KeyboardInterrupt):
        train(asked(base, {}, **more), on_kept=stop)
    assert train(asked(base, {}, resume=True, **more)).record.weights_digest == whole.record.weights_digest


def test_the_command(tmp_path: Path) -> None:
    asked = ["train", "--data", str(write_pairs(tmp_path)), "--updates", "2", "--batch-size", "4"]
    asked += ["--vocabulary", "300", "--dimensions", "8"]
    ran(*asked, "--matryoshka", "2,4", "--trainer-arg", "adam_beta2=0.99", "--output", str(tmp_path / "model"))
    recipe = read_json(tmp_path / "model" / "xqr_bench_training.json")["recipe"]
    assert (recipe["matryoshka"], recipe["trainer_args"]) == ([2, 4], {"adam_beta2": 0.99})
    done = run(*asked, "--trainer-arg", "seed=3", "--output", str(tmp_path / "x"))
    assert "use one of: adam_beta1," in words(done.err)
