"""train() on made-up data: weights, determinism, resuming, kept models, records."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.kit import ROOT
from tests.train.build import parallel, planned
from xqr_bench.core.errors import TrainingError, UsageError
from xqr_bench.core.files import TRAINING_FILE
from xqr_bench.encode.weights import digest_of_folder
from xqr_bench.record.provenance import TrainingRecord, load_training
from xqr_bench.train import TrainCache, TrainConfig, TrainResult, train
from xqr_bench.train.batch_files import plan_statistics
from xqr_bench.train.losses import LossContext, choose_loss
from xqr_bench.train.recipe import Recipe, get_recipe
from xqr_bench.train.run import card
from xqr_bench.train.types import ParallelData

DATA = parallel(24)
BITEXT = parallel(24, ["de", "en", "el"], kind="bitext", name="lines")


def recipe(**changes: Any) -> Recipe:
    return get_recipe("static", **{"updates": 12, "batch_size": 6, "vocabulary": 320, "dimensions": 8, **changes})


def run(**arguments: Any) -> TrainResult:
    return train(TrainConfig(**{"data": [DATA], "recipe": recipe(), **arguments}))


def weights(result: TrainResult) -> bytes:
    raw: bytes = result.model[0].embedding.weight.detach().numpy().tobytes()
    return raw


def literal_training(data: ParallelData, config: TrainConfig, start: torch.Tensor, tokenizer: Any) -> torch.Tensor:
    """The recipe written out: mean of vectors, cosine, softmax over the passages of the batch, AdamW."""
    values = config.values
    table = start.clone().requires_grad_()
    optimizer = torch.optim.AdamW([table], lr=values.learning_rate, weight_decay=values.weight_decay)
    plan = planned([data], alpha=config.alpha, steps=values.updates, batch_size=values.batch_size, seed=config.seed)

    def encode(text: str) -> torch.Tensor:
        mean = table[tokenizer.encode(text, add_special_tokens=False).ids].mean(dim=0)
        return mean / mean.norm()

    for step in range(plan.steps):
        pairs = plan.pairs(step, [data])
        queries = [encode(values.query_prompt + pair.query) for pair in pairs]
        passages = [encode(values.passage_prompt + pair.passage) for pair in pairs]
        loss = torch.zeros(())
        for i, query in enumerate(queries):
            scores = [(query @ passage) / values.temperature for passage in passages]
            loss = loss + torch.logsumexp(torch.stack(scores), 0) - scores[i]
        optimizer.zero_grad()
        (loss / len(pairs)).backward()
        optimizer.step()
    return table.detach()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_weights_are_those_of_the_recipe_written_out(alpha: float) -> None:
    config = TrainConfig(data=[DATA], recipe=recipe(updates=5), alpha=alpha, seed=3)
    untrained = train(dataclasses.replace(config, recipe=recipe(updates=0)))
    start = untrained.model[0].embedding.weight.detach()
    expected = literal_training(DATA, config, start, untrained.model[0].tokenizer)
    found = train(config).model[0].embedding.weight.detach()
    assert (found - start).abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_same_arguments_same_bytes_and_other_seeds_others() -> None:
    first = run(align=BITEXT, align_updates=4)
    assert weights(first) == weights(run(align=BITEXT, align_updates=4))
    assert weights(first) != weights(run(align=BITEXT, align_updates=4, seed=1))
    assert weights(first) != weights(run(align=BITEXT, align_updates=5))
    assert weights(first) != weights(run())


def test_global_random_states_are_left_as_they_were() -> None:
    import random

    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    run(recipe=recipe(updates=2))
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def test_paired_arms_start_from_the_same_weights() -> None:
    none = recipe(updates=0)
    starts = {weights(run(alpha=ratio, recipe=none, align=BITEXT, align_updates=3)) for ratio in (0.0, 0.5, 1.0)}
    assert len(starts) == 1
    assert starts != {weights(run(recipe=none))}


def test_a_shared_cache_changes_nothing_but_the_time() -> None:
    cache = TrainCache()
    arguments: dict[str, Any] = {"data": [DATA], "recipe": recipe(), "align": BITEXT, "align_updates": 3}
    alone = [weights(run(alpha=ratio, align=BITEXT, align_updates=3)) for ratio in (0.0, 1.0)]
    shared = [train(TrainConfig(alpha=ratio, **arguments), cache=cache) for ratio in (0.0, 1.0, 0.0)]
    assert [weights(result) for result in shared] == [*alone, alone[0]]
    assert [result.record.alignment.updates for result in shared if result.record.alignment] == [3, 3, 3]


def test_models_kept_on_the_way_are_what_shorter_runs_give(tmp_path: Path) -> None:
    kept: dict[int, tuple[bytes, TrainingRecord]] = {}

    def keep(step: int, model: Any, record: TrainingRecord) -> None:
        assert not model.training
        kept[step] = (model[0].embedding.weight.detach().numpy().tobytes(), record)

    config = TrainConfig(data=[DATA], recipe=recipe(), save_at=[3, 6, 12], output=tmp_path / "model")
    result = train(config, on_kept=keep)
    assert sorted(kept) == [3, 6, 12]
    for step in (3, 6):
        shorter = run(recipe=recipe(updates=step))
        assert kept[step][0] == weights(shorter)
        record = load_training(tmp_path / "model" / f"checkpoint-{step}")
        assert (record.checkpoint, record.training.updates, record.training.planned_updates) == (step, step, 12)
        assert record.weights_digest == shorter.record.weights_digest
    assert (kept[12][0], kept[12][1].checkpoint) == (weights(result), None)
    assert not (tmp_path / "model" / "checkpoint-12").exists()


def test_what_is_saved_is_an_ordinary_model_and_its_record(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    result = run(output=tmp_path / "model", zero_shot=(), align=BITEXT, align_updates=2)
    assert result.folder == tmp_path / "model"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    loaded = SentenceTransformer(str(result.folder), device="cpu")
    assert loaded.prompts == {"query": "Query: ", "document": "Passage: "}
    texts = ["question 1 en", "Ελλάδα"]
    assert loaded.encode_query(texts).tobytes() == result.model.encode_query(texts).tobytes()
    assert loaded.encode_query(texts).tobytes() == loaded.encode([f"Query: {text}" for text in texts]).tobytes()
    assert not np.allclose(loaded.encode_query(texts), loaded.encode_document(texts))
    record = load_training(tmp_path / "model")
    assert record == result.record
    assert (tmp_path / "model" / "README.md").read_text() == card(result.record)


def test_two_runs_have_the_same_folder_but_for_the_times_in_the_record(tmp_path: Path) -> None:
    folders = [run(output=tmp_path / name).folder for name in ("a", "b")]
    digests = [digest_of_folder(folder) for folder in folders if folder]
    assert digests[0] == digests[1]
    (tmp_path / "a" / TRAINING_FILE).unlink()
    assert digest_of_folder(tmp_path / "a") == digests[0]


def test_the_record_tells_what_was_trained_on() -> None:
    result = run(alpha=0.25, align=BITEXT, align_updates=4, seed=9)
    record = result.record
    assert (record.ratio, record.seed, record.base.kind) == (0.25, 9, "static")
    training, alignment = record.training, record.alignment
    assert alignment is not None
    plan = planned([DATA], alpha=0.25, steps=12, batch_size=6, seed=9)
    assert training.plan_digest == plan.digest()
    assert training.statistics == dataclasses.asdict(plan_statistics(plan, [DATA]))
    assert (training.updates, training.statistics["rows"]) == (12, 72)
    tokenizer = result.model[0].tokenizer
    expected = sum(
        len(tokenizer.encode(prompt + text).ids)
        for step in range(12)
        for pair in plan.pairs(step, [DATA])
        for prompt, text in (("Query: ", pair.query), ("Passage: ", pair.passage))
    )
    assert training.tokens == expected
    assert [found.digest for found in training.data] == [DATA.digest]
    assert (alignment.strategy, alignment.updates) == ("x-y", 4)
    assert alignment.statistics["same_language_rows"] == 0
    levels = record.languages
    assert [levels.level(code) for code in ("de", "es", "el", "th")] == [
        "trained",
        "trained",
        "aligned only",
        "untouched",
    ]
    assert training.loss[-1][0] == 12
    assert TrainingRecord.model_validate(json.loads(record.model_dump_json())) == record


def test_no_update_is_an_arm_of_its_own() -> None:
    result = run(recipe=recipe(updates=0), align=BITEXT, align_updates=3)
    assert result.record.training is None
    assert result.record.languages.trained == []
    assert result.record.languages.aligned_only == ["de", "el", "en"]


def test_training_learns() -> None:
    loss = run(recipe=recipe(updates=60, learning_rate=0.02)).record.training
    assert loss.loss[0][1] > 0.5 > 0.2 > loss.loss[-1][1]


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    with pytest.raises(TrainingError, match="the loss is"):
        run(recipe=recipe(learning_rate=1e38))


def test_hard_negatives_enter_the_loss() -> None:
    texts = tuple(tuple((f"passage {i} {code} not",) for i in range(DATA.n_questions)) for code in DATA.languages)
    data = dataclasses.replace(DATA, negatives=texts)
    without = train(TrainConfig(data=[data], recipe=recipe()))
    having = train(TrainConfig(data=[data], recipe=recipe(negatives=1)))
    assert having.record.training.loss[0][1] > without.record.training.loss[0][1] + 0.1
    assert having.record.training.tokens > without.record.training.tokens


def test_early_stopping_keeps_the_weights_of_the_lowest_validation_loss() -> None:
    # each question with the passage of the next: what training teaches makes this loss higher
    rolled = tuple((*column[1:], column[0]) for column in DATA.passages)
    validation = dataclasses.replace(DATA, name="other", passages=rolled)
    values = recipe(updates=60, validate_every=5, patience=2, learning_rate=0.02)
    result = run(recipe=values, validation=validation)
    stage = result.record.training
    losses = dict(stage.validation)
    assert stage.stopped_early
    assert stage.best_update == min(losses, key=lambda step: losses[step])
    assert stage.updates == stage.best_update + 10 < 60
    best = dataclasses.replace(values, updates=stage.best_update, patience=0)
    assert weights(result) == weights(run(recipe=best))


def test_patience_0_only_watches() -> None:
    stage = run(recipe=recipe(validate_every=4, patience=0), validation=parallel(12)).record.training
    assert [step for step, _ in stage.validation] == [4, 8, 12]
    assert (stage.stopped_early, stage.best_update) == (False, None)


class StopError(Exception):
    """Raised in the middle of a run."""


def stop(step: int, *_: Any) -> None:
    raise StopError


def unfinished(output: Path, **changes: Any) -> TrainConfig:
    """A run with an alignment and checkpoints; kept models at 3 and 9."""
    arguments = {"data": [DATA], "recipe": recipe(), "align": BITEXT, "align_updates": 6, "checkpoint_every": 4}
    return TrainConfig(**{**arguments, "save_at": [3, 9], "output": output, **changes})


def same_but_for_the_stop(stopped: Path, whole: Path) -> None:
    records = [load_training(folder) for folder in (stopped, whole)]
    stages = [record.training for record in records if record is not None and record.training is not None]
    assert [stage.resumed_at for stage in stages] == [[8], []]
    assert stages[0].loss == stages[1].loss
    assert stages[0].tokens == stages[1].tokens
    for name in ("model.safetensors", "checkpoint-3/model.safetensors", "checkpoint-9/model.safetensors"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()
    assert digest_of_folder(stopped) == digest_of_folder(whole)
    assert not stopped.with_name(stopped.name + ".unfinished").exists()


def test_a_run_that_is_stopped_and_resumed_gives_the_same_bytes(tmp_path: Path) -> None:
    train(unfinished(tmp_path / "whole"))
    config = unfinished(tmp_path / "stopped")
    with pytest.raises(StopError):
        train(config, on_kept=lambda step, *_: stop(step) if step == 9 else None)
    assert not (tmp_path / "stopped").exists()
    place = tmp_path / "stopped.unfinished" / "training"
    # a checkpoint that was cut off while it was written is not gone on from
    (place / "checkpoint-11").mkdir()
    (place / "checkpoint-11" / "trainer_state.json").write_text("{}")

    with pytest.raises(UsageError, match="--resume"):
        train(config)
    with pytest.raises(UsageError, match="seed: 0 then, 1 now"):
        train(dataclasses.replace(config, resume=True, seed=1))
    train(dataclasses.replace(config, resume=True))
    same_but_for_the_stop(tmp_path / "stopped", tmp_path / "whole")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """Whoever begins at a run that another process is at is told which; when that is gone, it can be resumed."""
    config, told = unfinished(tmp_path / "model", resume=True), []

    def meanwhile(step: int, *_: object) -> None:
        with pytest.raises(UsageError, match="another process is at the run") as error:
            train(config)
        told.append(error.value.found)
        raise StopError

    with pytest.raises(StopError):
        train(config, on_kept=meanwhile)
    assert told == [f"process {os.getpid()} on {platform.node()}"]
    train(config)
    assert not (tmp_path / "model.unfinished").exists()


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_gives_the_same_bytes(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from tests.train.test_run import unfinished
from xqr_bench.train import train

def kill(step, *_):
    if step == 9:
        os.kill(os.getpid(), signal.SIGKILL)

train(unfinished(Path(sys.argv[1])), on_kept=kill)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "killed")], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    train(unfinished(tmp_path / "killed", resume=True))
    train(unfinished(tmp_path / "whole"))
    same_but_for_the_stop(tmp_path / "killed", tmp_path / "whole")


def test_a_stop_in_the_alignment_begins_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from xqr_bench.train import run as module

    whole = train(unfinished(tmp_path / "whole"))
    real = module.run_stage
    monkeypatch.setattr(module, "run_stage", lambda *_, **__: stop(0))
    config = unfinished(tmp_path / "stopped")
    with pytest.raises(StopError):
        train(config)
    monkeypatch.setattr(module, "run_stage", real)
    assert weights(train(dataclasses.replace(config, resume=True))) == weights(whole)


def test_a_batch_that_processes_cannot_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xqr_bench.train.stage.count", lambda device: 4)
    with pytest.raises(UsageError, match="cannot be shared by 4"):
        run()


def test_the_chance_level_of_the_loss() -> None:
    """A batch of n equal vectors has the loss log n: the scale and the direction of InfoNCE."""
    model = run(recipe=recipe(updates=0)).model
    loss = choose_loss("infonce", {}).build(model, recipe(temperature=0.05), LossContext((), ()))
    same = torch.ones(6, 8)
    assert loss.compute_loss_from_embeddings([same, same], None).item() == pytest.approx(math.log(6))
    queries, passages = torch.randn(5, 8), torch.randn(5, 8)
    cosines = torch.nn.functional.normalize(queries) @ torch.nn.functional.normalize(passages).T / 0.05
    expected = -torch.log_softmax(cosines, dim=1).diagonal().mean()
    torch.testing.assert_close(loss.compute_loss_from_embeddings([queries, passages], None), expected)
