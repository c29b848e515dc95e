"""One training: a model goes through the batches of a plan in sentence-transformers' trainer."""

from __future__ import annotations

import json
import math
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback
from transformers.utils import logging

from xqr_bench.core import strict_json
from xqr_bench.core.errors import TrainingError, UsageError, code_of_others
from xqr_bench.core.files import write_text
from xqr_bench.core.memory import memory_kept
from xqr_bench.core.observe import Observer, library_bars_hidden
from xqr_bench.train.adapters import has_adapters
from xqr_bench.train.inputs import ROWS, TOKENS, PlanDataset, PlanSampler, collator, column_names, counted
from xqr_bench.train.losses import BatchRows, ChosenLoss, LossContext, Role, Spent
from xqr_bench.train.recipe import Recipe
from xqr_bench.train.texts import PlannedTexts
from xqr_bench.train.transformer import WhileTraining
from xqr_bench.train.workspace import TrainCache, count, on_cpu

# What happens beside the updates: progress, models kept at given updates, complete checkpoints, a loss gone wrong.


class Watch(TrainerCallback):  # type: ignore[misc]  # the library is not typed here
    """Tells of progress, keeps models, stops a run whose loss is no number.

    Checkpoints that were written whole it marks, with what the library's state does not carry over.

    Args:
        options: of the stage.
        process: number of this process.
        since: what an earlier start left: tokens of this process, seconds, updates at which the run went on.
        keep: called when the number of updates done is one of `options.keep_at`.
        padded: gives the tokens of this process, padding counted.
    """

    def __init__(
        self,
        options: StageOptions,
        process: int,
        since: dict[str, Any] | None,
        keep: Callable[[], None],
        padded: Callable[[], int],
    ) -> None:
        self._observe, self._keep_at, self._keep = options.observe, frozenset(options.keep_at), keep
        self._process = process
        self._since = since or {"tokens": 0, "padded_tokens": 0, "seconds": 0.0, "resumed_at": []}
        self._padded, self._begin = padded, time.perf_counter()
        self._validation: float | None = None
        self.resumed_at: list[int] = list(self._since["resumed_at"])

    @property
    def seconds(self) -> float:
        """Wall time of all starts."""
        return float(self._since["seconds"]) + time.perf_counter() - self._begin

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The library restores the state of process 0 in every process: the tokens are each one's own."""
        state.num_input_tokens_seen = int(self._since["tokens"])

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After each update."""
        self._observe.advance(1)
        if state.global_step in self._keep_at:
            self._keep()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """After some updates."""
        if logs is None or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"the loss is {logs['loss']} at update {state.global_step}",
                remedy="use a lower learning rate, a higher temperature, or --precision fp32",
            )
        validation = "" if self._validation is None else f", validation {self._validation:.3f}"
        self._observe.advance(0, f"loss {logs['loss']:.3f}{validation}")

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        """After a validation."""
        self._validation = metrics.get("eval_loss", self._validation)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After this process has written its part of a checkpoint."""
        facts = {
            "tokens": state.num_input_tokens_seen,
            "padded_tokens": self._padded(),
            "seconds": self.seconds,
            "resumed_at": self.resumed_at,
        }
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_text(marker(checkpoint, self._process), json.dumps(facts) + "\n")


def marker(checkpoint: Path, process: int) -> Path:
    """The file that tells that a process has written its part of a checkpoint."""
    return checkpoint / f"complete-{process}.json"


# sentence-transformers' trainer, fed by a batch plan.

ADAPTED, OF_LOSS = "adapted.pt", "loss.pt"
"""Files of a checkpoint: all weights of a model with adapters, and what the loss trains beside the model."""


class PlanTrainer(SentenceTransformerTrainer):  # type: ignore[misc]  # the library is not typed here
    """The library's trainer in all but where batches come from: `PlanDataset`s, in the order of their plan.

    A run that is resumed skips the batches it has had and goes on with the same plan.

    Attributes:
        context: what tells the loss which rows it is called for.
        others_loss: whether the loss is code of others.
        padded_tokens: that this process has computed, padding counted.
    """

    context: LossContext
    padded_tokens: int = 0
    others_loss = False

    def preprocess_dataset(self, dataset: Any = None, dataset_name: str | None = None) -> Any:
        """Leave the data set as it is: it has no columns of its own."""
        return dataset

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add none: it describes a table of texts, and a plan is none; the training record says more."""

    def get_train_dataloader(self) -> Any:
        """The batches of the plan; each process takes its part of each."""
        self.accelerator.even_batches = False
        return self.accelerator.prepare(self._loader(self.train_dataset))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The batches of the validation plan, divided likewise; none where there is only an evaluator."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if dataset is None:
            return super().get_eval_dataloader()
        self.accelerator.even_batches = True
        return self.accelerator.prepare(self._loader(dataset))

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """One batch; counts its tokens in the state, which checkpoints keep."""
        spent = self._begin(inputs, self.train_dataset)
        loss = super().training_step(model, inputs, num_items_in_batch)
        extra = self.context.extra
        times = self._times()
        spent = spent.plus(Spent(extra.tokens // times, extra.padded // times))
        self.state.num_input_tokens_seen += spent.tokens
        self.padded_tokens += spent.padded
        return loss

    def _times(self) -> int:
        """How often the loss asks for its further texts in an update: with Matryoshka once a size, encoded once."""
        loss = self.loss
        return len(loss.matryoshka_dims) if isinstance(loss, MatryoshkaLoss) and not loss.uses_gradient_cache else 1

    def prediction_step(self, model: Any, inputs: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        """One batch of the validation."""
        self._begin(inputs, self.eval_dataset)
        return super().prediction_step(model, inputs, *arguments, **options)

    def compute_loss(self, *arguments: Any, **options: Any) -> Any:
        """The loss of one batch; what code of others raises is one error that says where."""
        if not self.others_loss:
            return super().compute_loss(*arguments, **options)
        with code_of_others(f"the loss failed at update {self.state.global_step + 1}", "correct it or its arguments"):
            return super().compute_loss(*arguments, **options)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Write the model into a checkpoint, and what the loss trains beside it.

        With adapters the library would write these alone, and read the rest from where the base came from, which an
        alignment has changed.
        """
        folder = Path(output_dir or self.args.output_dir)
        if has_adapters(self.model):
            folder.mkdir(parents=True, exist_ok=True)
            torch.save(self.model.state_dict(), folder / ADAPTED)
        else:
            super()._save(output_dir, state_dict)
        if own := self._loss_parameters():
            torch.save({name: tensor.detach() for name, tensor in own.items()}, folder / OF_LOSS)

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        """Read what `_save` wrote."""
        folder = Path(checkpoint_path)
        if has_adapters(self.model):
            self.model.load_state_dict(torch.load(folder / ADAPTED, weights_only=True))
        else:
            super()._load_from_checkpoint(checkpoint_path)
        if own := self._loss_parameters():
            stored = torch.load(folder / OF_LOSS, weights_only=True)
            with torch.no_grad():
                for name, tensor in own.items():
                    tensor.copy_(stored[name])

    def _loss_parameters(self) -> dict[str, Any]:
        """What the loss trains beside the model."""
        of_model = {id(one) for one in self.model.parameters()}
        return {name: one for name, one in self.loss.named_parameters() if id(one) not in of_model}

    def _begin(self, inputs: dict[str, Any], dataset: PlanDataset) -> Spent:
        """Tell the loss which rows these are; their tokens."""
        step, first, end = inputs.pop(ROWS)
        self.context.begin(BatchRows(dataset.texts, step, slice(first, end)), self._tokenised)
        return Spent(*inputs.pop(TOKENS))

    def _tokenised(self, texts: list[str], role: Role) -> dict[str, Any]:
        columns = self.data_collator([{role: text} for text in texts])
        self.context.extra = self.context.extra.plus(counted(columns, [role]))
        ((inputs,), _) = self.collect_features(columns)
        on_device: dict[str, Any] = self._prepare_inputs(inputs)
        return on_device

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """The norm that clipping found; without clipping none, where the library computes one at each update to log it.

        It would cost a tenth of an update of a static model: it reads all gradients and multiplies them by 1.
        """
        return None if grad_norm is None else super()._get_grad_norm(model, grad_norm)

    def _loader(self, dataset: PlanDataset) -> Any:
        return DataLoader(
            dataset,
            batch_sampler=PlanSampler(dataset, self.accelerator.num_processes),
            collate_fn=dataset.inputs,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.args.dataloader_num_workers > 0,
        )


# One training: a model goes through the batches of a plan.


def complete_checkpoint(folder: Path, processes: int) -> Path | None:
    """The latest checkpoint of a stage that all processes have written whole; None where there is none.

    Later ones, half-written when the run was killed, are removed.
    """
    updates = [path.name.removeprefix("checkpoint-") for path in folder.glob("checkpoint-*")]
    for update in sorted((int(update) for update in updates if update.isdecimal()), reverse=True):
        checkpoint = folder / f"checkpoint-{update}"
        if all(marker(checkpoint, process).is_file() for process in range(processes)):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


@dataclass(frozen=True)
class Outcome:
    """What came of a stage; see `xqr_bench.record.provenance.Stage`."""

    updates: int
    tokens: int
    padded_tokens: int
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
        loss: what is minimised.
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
        callbacks: of transformers' trainer.
    """

    recipe: Recipe
    loss: ChosenLoss
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
    callbacks: Sequence[Any] = ()

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

    recipe, processes = options.recipe, count(options.device)
    with _passed_on(recipe):
        arguments = _arguments(model, options, folder, texts.plan.steps, processes)
    with PartialState().main_process_first():  # the first may remove half of a checkpoint
        start = complete_checkpoint(folder, processes)
    since = None
    if start is not None:
        before = int(start.name.removeprefix("checkpoint-"))
        since = strict_json.read(marker(start, arguments.process_index))
        since["resumed_at"] = [*since["resumed_at"], before]
        options.observe.advance(before)

    def so_far(best: int | None = None) -> Outcome:
        log = trainer.state.log_history
        return Outcome(
            updates=trainer.state.global_step,
            tokens=_sum(trainer, trainer.state.num_input_tokens_seen),
            padded_tokens=_sum(trainer, trainer.padded_tokens),
            loss=[(entry["step"], round(entry["loss"], 6)) for entry in log if "loss" in entry],
            validation=[(entry["step"], round(entry["eval_loss"], 6)) for entry in log if "eval_loss" in entry],
            stopped_early=trainer.state.global_step < texts.plan.steps,
            best_update=best,
            seconds=round(watch.seconds, 3),
            resumed_at=list(watch.resumed_at),
            processes=processes,
            gathered=gathered,
            device=str(arguments.device),
        )

    def keep() -> None:
        if options.keep is not None:
            with settings.paused():
                options.keep(so_far())

    settings = WhileTraining(model, recipe, on_cpu=on_cpu(options.device))
    watch = Watch(options, arguments.process_index, since, keep, lambda: trainer.padded_tokens)
    gathered = options.gather and processes > 1
    train = PlanDataset(texts)
    validate = None if options.validation is None else PlanDataset(options.validation)
    model.model_card_data.local_files_only = True  # checkpoints have cards: made without asking the hub
    torch.manual_seed(options.seed)  # of what a loss draws when it is made; the trainer does the same for all after
    context = LossContext(
        texts.data,
        texts.plan.languages,
        processes,
        gathered,
        texts.plan.batch_types,
        recipe.tokens is None or hasattr(options.loss.make, "further_queries"),
    )
    loss = _matryoshka(model, options.loss.build(model, recipe, context), recipe)
    with _passed_on(recipe):
        trainer = PlanTrainer(
            model=model,
            args=arguments,
            train_dataset=train,
            eval_dataset=validate,
            loss=loss,
            evaluator=options.evaluator,
            callbacks=[watch, *options.callbacks, *([EarlyStoppingCallback(recipe.patience)] if options.stops else [])],
        )
    trainer.context, trainer.others_loss = context, options.loss.origin != "built in"
    trainer.padded_tokens = 0 if since is None else int(since["padded_tokens"])
    trainer.remove_callback(PrinterCallback)
    for dataset in (train, validate):
        if dataset is not None:
            dataset.collate = collator(model, dataset.texts.table, recipe, trainer.data_collator, cache)
    try:
        with _passed_on(recipe):
            trainer.train(resume_from_checkpoint=None if start is None else str(start))
    finally:
        settings.end()
        vars(model).pop("forward", None)  # the mixed precision of the training
    best = trainer.state.best_global_step if options.stops else None
    if best is not None:  # the library only logs it when it cannot load them
        if has_adapters(model):
            model.load_state_dict(torch.load(folder / f"checkpoint-{best}" / ADAPTED, weights_only=True))
        else:
            lowest = type(model)(str(folder / f"checkpoint-{best}"), device="cpu", local_files_only=True)
            model.load_state_dict(lowest.state_dict())
    return so_far(best)


@contextmanager
def _passed_on(recipe: Recipe) -> Iterator[None]:
    """Where arguments are passed on to the trainer, what the libraries raise is one error that names them."""
    if not recipe.trainer_args:
        yield
        return
    given = " ".join(f"{name}={json.dumps(value)}" for name, value in recipe.trainer_args.items())
    with code_of_others(f"the training failed, with --trainer-arg {given}", "correct them, or leave them out"):
        yield


def _matryoshka(model: Any, loss: Any, recipe: Recipe) -> Any:
    """The loss on the first columns of the vectors too (Kusupati et al. 2022, arXiv 2205.13147); () leaves it alone.

    Raises:
        UsageError: the vectors have fewer columns.
    """
    sizes = recipe.matryoshka
    if not sizes:
        return loss
    width = model.get_embedding_dimension()
    recipe.refuse_sizes(width)
    return MatryoshkaLoss(model, loss, sorted({*sizes, width}, reverse=True))


def _sum(trainer: Any, number: int) -> int:
    """A number of each process, summed."""
    if trainer.accelerator.num_processes == 1:
        return number
    return int(trainer.accelerator.reduce(torch.tensor(number, device=trainer.accelerator.device), "sum"))


def _arguments(model: Any, options: StageOptions, folder: Path, steps: int, processes: int) -> Any:
    recipe, stops = options.recipe, options.stops
    query, *passages = column_names(recipe.negatives)
    routes = any(type(module).__name__ == "Router" for module in model)  # a path for queries and one for documents
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
        prompts={query: recipe.query_prompt, **dict.fromkeys(passages, recipe.passage_prompt)},
        router_mapping={query: "query", **dict.fromkeys(passages, "document")} if routes else {},
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
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
        **{"report_to": "none", **recipe.trainer_args},
    )
    if options.device is not None and options.device.startswith("cuda:"):
        _use_device(arguments, options.device, processes)
    if arguments.n_gpu > 1:  # several devices are for several processes: torchrun, accelerate launch
        arguments._n_gpu = 1
    return arguments


def _use_device(arguments: Any, device: str, processes: int) -> None:
    """Train on this GPU; the library itself would take the first."""
    if processes > 1:
        raise UsageError(
            f"--device {device} is one device, and {processes} processes train together",
            remedy="leave --device out: each process takes a device of its own",
        )
    _ = arguments.device  # the library's choice, which it makes the current device
    arguments.__dict__["_setup_devices"] = torch.device(device)  # what it keeps that choice in
    torch.cuda.set_device(device)  # and what accelerate takes


@contextmanager
def _isolated() -> Iterator[None]:
    """Put global random states and the libraries' verbosity back afterwards."""
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    verbosity = logging.get_verbosity()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])
        logging.set_verbosity(verbosity)
