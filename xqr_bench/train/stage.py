"""One training: a model goes through the batches of a plan in sentence-transformers' trainer."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xqr_bench.core import strict_json
from xqr_bench.core.errors import UsageError
from xqr_bench.core.memory import memory_kept
from xqr_bench.core.observe import Observer, library_bars_hidden
from xqr_bench.train.initial import Tokens, is_static, vocabulary_digest
from xqr_bench.train.recipe import Recipe
from xqr_bench.train.texts import PlannedTexts
from xqr_bench.train.trainer import (
    Collator,
    Complete,
    PlanDataset,
    PlanTrainer,
    StaticCollator,
    TextCollator,
    Watch,
    column_names,
    info_nce,
    marker,
)
from xqr_bench.train.workspace import TrainCache, complete_checkpoint, count, on_cpu


@dataclass(frozen=True)
class Outcome:
    """What came of a stage; see `xqr_bench.record.provenance.Stage`."""

    updates: int
    tokens: int
    loss: list[tuple[int, float]]
    validation: list[tuple[int, float]]
    stopped_early: bool
    best_update: int | None
    seconds: float
    resumed_at: list[int]
    processes: int
    gathered: bool
    device: str


@dataclass(frozen=True)
class StageOptions:
    """How a stage runs, and what goes on beside its updates.

    Attributes:
        recipe: the numbers.
        seed: of whatever the model draws (dropout).
        device: such as "cpu"; None: the best there is.
        folder: for checkpoints; None: none are kept.
        checkpoint_every: updates between checkpoints; 0: none.
        workers: processes that prepare batches ahead.
        gather: on several processes take the passages of all as negatives.
        observe: hears of each update.
        keep_at, keep: called with what has come of it so far, when the number of updates done is one of these.
        validation: batches whose loss is watched; with a patience it stops the training, and the weights of the
            lowest loss are kept.
        evaluator: scores the model at each validation (see `XqrEvaluator`).
    """

    recipe: Recipe
    seed: int
    device: str | None = None
    folder: Path | None = None
    checkpoint_every: int = 0
    workers: int = 0
    gather: bool = True
    observe: Observer = field(default_factory=Observer)
    keep_at: Collection[int] = ()
    keep: Callable[[Outcome], None] | None = None
    validation: PlannedTexts | None = None
    evaluator: Any = None

    @property
    def stops(self) -> bool:
        """Whether the validation may stop it early."""
        return self.validation is not None and self.recipe.patience > 0


def run_stage(model: Any, texts: PlannedTexts, options: StageOptions, cache: TrainCache | None = None) -> Outcome:
    """Train a model, in place.

    A complete checkpoint in the folder is gone on from. Random states of Python, numpy and torch, and how much the
    libraries tell, are afterwards as before.

    Args:
        model: a SentenceTransformer.
        texts: the batches.
        options: see there.
        cache: keeps the tokens of a static model.

    Returns:
        what came of it.

    Raises:
        UsageError: a batch that the processes cannot share, or a precision that the device has not.
        TrainingError: the loss is no number.
    """
    cache = cache or TrainCache()
    with _isolated(), memory_kept(), library_bars_hidden():
        processes = count(options.device)
        if texts.plan.batch_size % processes:
            raise UsageError(
                f"a batch of {texts.plan.batch_size} cannot be shared by {processes} processes",
                remedy=f"use a batch size that {processes} divides",
            )
        if options.folder is not None:
            return _run(model, texts, options, options.folder, cache)
        with tempfile.TemporaryDirectory(prefix="xqr-bench-train-") as folder:
            return _run(model, texts, options, Path(folder), cache)


def _run(model: Any, texts: PlannedTexts, options: StageOptions, folder: Path, cache: TrainCache) -> Outcome:
    from accelerate import PartialState
    from transformers import EarlyStoppingCallback, PrinterCallback

    recipe, processes = options.recipe, count(options.device)
    arguments = _arguments(model, options, folder, texts.plan.steps, processes)
    with PartialState().main_process_first():  # the first may remove half of a checkpoint
        start = complete_checkpoint(folder, processes)
    before = 0 if start is None else int(start.name.removeprefix("checkpoint-"))
    since = None
    if start is not None:
        since = strict_json.read(marker(start, arguments.process_index))
        since["resumed_at"] = [*since["resumed_at"], before]
    complete = Complete(arguments.process_index, since)

    def so_far(best: int | None = None) -> Outcome:
        log = trainer.state.log_history
        return Outcome(
            updates=trainer.state.global_step,
            tokens=_sum(trainer, trainer.state.num_input_tokens_seen),
            loss=[(entry["step"], round(entry["loss"], 6)) for entry in log if "loss" in entry],
            validation=[(entry["step"], round(entry["eval_loss"], 6)) for entry in log if "eval_loss" in entry],
            stopped_early=trainer.state.global_step < texts.plan.steps,
            best_update=best,
            seconds=round(complete.seconds, 3),
            resumed_at=complete.resumed_at,
            processes=processes,
            gathered=gathered,
            device=str(arguments.device),
        )

    keep = options.keep
    gathered = options.gather and processes > 1
    train = PlanDataset(texts)
    validate = None if options.validation is None else PlanDataset(options.validation)
    model.model_card_data.local_files_only = True  # checkpoints have cards: made without asking the hub
    trainer = PlanTrainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=validate,
        loss=info_nce(model, recipe.temperature, mini_batch=recipe.mini_batch, gather=gathered),
        evaluator=options.evaluator,
        callbacks=[
            complete,
            Watch(options.observe, options.keep_at, None if keep is None else lambda: keep(so_far())),
            *([EarlyStoppingCallback(recipe.patience)] if options.stops else []),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    for dataset in (train, validate):
        if dataset is not None:
            dataset.collate = _collator(model, dataset.texts, recipe, trainer.data_collator, cache)
    if before:
        options.observe.advance(before)
    trainer.train(resume_from_checkpoint=None if start is None else str(start))
    best = trainer.state.best_global_step if options.stops else None
    if best is not None:  # the library only logs it when it cannot load them
        lowest = type(model)(str(folder / f"checkpoint-{best}"), device="cpu", local_files_only=True)
        model.load_state_dict(lowest.state_dict())
    return so_far(best)


def _sum(trainer: Any, number: int) -> int:
    """A number of each process, summed."""
    if trainer.accelerator.num_processes == 1:
        return number
    import torch

    return int(trainer.accelerator.reduce(torch.tensor(number, device=trainer.accelerator.device), "sum"))


def _arguments(model: Any, options: StageOptions, folder: Path, steps: int, processes: int) -> Any:
    import torch
    from sentence_transformers import SentenceTransformerTrainingArguments

    recipe, stops = options.recipe, options.stops
    watched = options.validation is not None or options.evaluator is not None
    if recipe.precision == "fp16" and (options.device == "cpu" or not torch.cuda.is_available()):
        raise UsageError("--precision fp16 needs a CUDA device", remedy="use bf16 or fp32 here")
    every = recipe.validate_every if stops else options.checkpoint_every
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=max(1, recipe.batch_size // processes),
        per_device_eval_batch_size=max(1, recipe.batch_size // processes),
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        lr_scheduler_type="constant_with_warmup" if recipe.schedule == "constant" else recipe.schedule,
        warmup_steps=round(recipe.warmup * steps),
        max_grad_norm=recipe.max_grad_norm,
        bf16=recipe.precision == "bf16",
        fp16=recipe.precision == "fp16",
        seed=options.seed,
        use_cpu=on_cpu(options.device),
        prompts=_by_column(recipe, recipe.query_prompt, recipe.passage_prompt),
        router_mapping=_by_column(recipe, "query", "document") if _has_routes(model) else {},
        eval_strategy="steps" if watched else "no",
        eval_steps=recipe.validate_every if watched else None,
        save_strategy="steps" if every else "no",
        save_steps=every or 500,
        save_total_limit=2,
        load_best_model_at_end=stops,
        metric_for_best_model="eval_loss" if stops else None,
        greater_is_better=False if stops else None,
        restore_callback_states_from_checkpoint=stops,
        logging_steps=max(1, steps // 50),
        logging_nan_inf_filter=False,  # a loss that is no number stops the run
        dataloader_num_workers=options.workers,
        dataloader_pin_memory=False,  # the loader is ours
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
    )
    if arguments.n_gpu > 1:  # several devices are for several processes: torchrun, accelerate launch
        arguments._n_gpu = 1
    return arguments


def _by_column(recipe: Recipe, of_queries: str, of_passages: str) -> dict[str, str]:
    """A value for each column of a batch."""
    names = column_names(recipe.negatives)
    return {name: of_passages if column else of_queries for column, name in enumerate(names)}


def _has_routes(model: Any) -> bool:
    """Whether the model has a path for queries and one for documents."""
    return any(type(module).__name__ == "Router" for module in model)


def _collator(model: Any, texts: PlannedTexts, recipe: Recipe, library: Any, cache: TrainCache) -> Collator:
    """Through the library, or for static models from tokens that are made once."""
    table = texts.table
    if not is_static(model):
        return TextCollator(table, library)
    tokenizer = model[0].tokenizer
    vocabulary = vocabulary_digest(tokenizer)

    def tokens(found: tuple[str, ...], prompt: str) -> Tokens:
        key = (vocabulary, prompt, found)
        return cache.get("tokens", key, lambda: Tokens(tokenizer, found, prompt))

    return StaticCollator(tokens(table.queries, recipe.query_prompt), tokens(table.passages, recipe.passage_prompt))


@contextmanager
def _isolated() -> Iterator[None]:
    """Put global random states and the libraries' verbosity back afterwards."""
    import torch
    from transformers.utils import logging

    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    verbosity = logging.get_verbosity()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])
        logging.set_verbosity(verbosity)
