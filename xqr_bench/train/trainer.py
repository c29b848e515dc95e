"""sentence-transformers' trainer, fed by a batch plan, and what happens beside its updates."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from torch.utils.data import BatchSampler, DataLoader, Dataset
from transformers import TrainerCallback

from xqr_bench.core.errors import TrainingError
from xqr_bench.core.files import write_text
from xqr_bench.core.observe import Observer
from xqr_bench.train.initial import Tokens
from xqr_bench.train.texts import Batch, PlannedTexts, TextTable

# What happens beside the updates: progress, models kept at given updates, complete checkpoints, a loss gone wrong.


class Watch(TrainerCallback):  # type: ignore[misc]  # the library is not typed here
    """Tells of progress and keeps models; stops a run whose loss is no number."""

    def __init__(self, observe: Observer, keep_at: Collection[int], keep: Callable[[], None] | None) -> None:
        self._observe, self._keep_at, self._keep = observe, frozenset(keep_at), keep
        self._validation: float | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After each update."""
        self._observe.advance(1)
        if self._keep is not None and state.global_step in self._keep_at:
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


def marker(checkpoint: Path, process: int) -> Path:
    """The file that tells that a process has written its part of a checkpoint."""
    return checkpoint / f"complete-{process}.json"


class Complete(TrainerCallback):  # type: ignore[misc]
    """Marks checkpoints that were written whole, and carries over what the library's state does not.

    Args:
        process: number of this process.
        since: what an earlier start left: tokens of this process, seconds, updates at which the run went on.
    """

    def __init__(self, process: int, since: dict[str, Any] | None) -> None:
        self._process, self._since = process, since or {"tokens": 0, "seconds": 0.0, "resumed_at": []}
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall time of all starts."""
        return float(self._since["seconds"]) + time.perf_counter() - self._begin

    @property
    def resumed_at(self) -> list[int]:
        """Updates at which the run went on."""
        return list(self._since["resumed_at"])

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The library restores the state of process 0 in every process: the tokens are each one's own."""
        state.num_input_tokens_seen = int(self._since["tokens"])

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """After this process has written its part."""
        facts = {"tokens": state.num_input_tokens_seen, "seconds": self.seconds, "resumed_at": self.resumed_at}
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_text(marker(checkpoint, self._process), json.dumps(facts) + "\n")


# From planned texts to the inputs of a model, as torch's data loader asks for them.

TOKENS = "n_tokens"
"""Key of a batch under which its number of tokens travels, padding not counted."""


def column_names(negatives: int) -> list[str]:
    """Names of the columns of a batch, in the order the loss takes them."""
    return ["query", "passage", *(f"negative_{i + 1}" for i in range(negatives))]


class Collator(Protocol):
    """Turns the texts of a batch into a model's inputs, `<column>_<name of the input>` each."""

    def __call__(self, batch: Batch) -> dict[str, Any]:  # noqa: D102
        ...


class PlanDataset(Dataset):  # type: ignore[misc]  # torch is not typed here
    """The rows of a plan, numbered `step * batch + row`; asked for a batch at a time.

    Attributes:
        texts: the plan's texts.
        collate: makes a model's inputs of a batch.
    """

    collate: Collator

    def __init__(self, texts: PlannedTexts) -> None:
        self.texts = texts
        self._size = texts.plan.batch_size

    def __len__(self) -> int:
        return len(self.texts) * self._size

    def __getitem__(self, row: int) -> Batch:
        return self.__getitems__([row])

    def __getitems__(self, rows: Sequence[int]) -> Batch:
        """Texts of rows that follow each other in one batch: the unit in which they are collated."""
        step, first = divmod(rows[0], self._size)
        return self.texts.batch(step, slice(first, first + len(rows)))


class PlanSampler(BatchSampler):  # type: ignore[misc]
    """The batches of a plan in order, each in one part a process: accelerate hands part r of each to process r."""

    def __init__(self, dataset: PlanDataset, processes: int = 1) -> None:
        self._steps, self._rows = len(dataset.texts), dataset.texts.plan.batch_size
        super().__init__(range(len(dataset)), batch_size=self._rows // processes, drop_last=False)
        self._parts = processes

    def __len__(self) -> int:
        return self._steps * self._parts

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(0, self._steps * self._rows, self.batch_size):
            yield list(range(first, first + self.batch_size))


class TextCollator:
    """Through the model's own preprocessing, with the library's own collator.

    Args:
        table: the texts.
        library: a `SentenceTransformerDataCollator` with the prompts.
    """

    def __init__(self, table: TextTable, library: Any) -> None:
        self._table, self._library = table, library

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """Tokenise the texts of a batch."""
        names = column_names(len(batch) - 2)
        texts = [self._table.queries] + [self._table.passages] * (len(batch) - 1)
        rows = [
            {name: texts[column][number] for column, (name, number) in enumerate(zip(names, numbers, strict=True))}
            for numbers in zip(*(column.tolist() for column in batch), strict=True)
        ]
        inputs: dict[str, Any] = self._library(rows)
        masks = [inputs[f"{name}_attention_mask"] for name in names if f"{name}_attention_mask" in inputs]
        inputs[TOKENS] = sum(int(mask.sum()) for mask in masks)
        return inputs


class StaticCollator:
    """For models that are one embedding bag: texts were tokenised before, a batch is a look-up."""

    def __init__(self, queries: Tokens, passages: Tokens) -> None:
        self._queries, self._passages = queries, passages

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """Look up the subwords of a batch."""
        inputs: dict[str, Any] = {TOKENS: 0}
        for column, (name, numbers) in enumerate(zip(column_names(len(batch) - 2), batch, strict=True)):
            ids, offsets = (self._passages if column else self._queries).batch(numbers)
            inputs[f"{name}_input_ids"] = torch.from_numpy(ids)
            inputs[f"{name}_offsets"] = torch.from_numpy(offsets)
            inputs[TOKENS] += len(ids)
        return inputs


# sentence-transformers' trainer, fed by a batch plan.


def info_nce(model: Any, temperature: float, *, mini_batch: int = 0, gather: bool = False) -> Any:
    """InfoNCE with in-batch negatives on cosines, from the query to all passages of the batch.

    For queries q_i, passages p_j (hard negatives among them), temperature t:
    the mean over i of -log(exp(cos(q_i, p_i) / t) / sum_j exp(cos(q_i, p_j) / t)).

    Args:
        model: the `SentenceTransformer` under training.
        temperature: t.
        mini_batch: rows in memory at once, with gradients as of the whole batch (Gao et al. 2021); 0: all.
        gather: take the passages of all processes as negatives, so that several processes give the loss of one.
    """
    common = {"scale": 1.0 / temperature, "gather_across_devices": gather}
    if mini_batch:
        return CachedMultipleNegativesRankingLoss(model, mini_batch_size=mini_batch, **common)
    return MultipleNegativesRankingLoss(model, **common)


class PlanTrainer(SentenceTransformerTrainer):  # type: ignore[misc]  # the library is not typed here
    """The library's trainer in all but where batches come from: `PlanDataset`s, in the order of their plan.

    A run that is resumed skips the batches it has had and goes on with the same plan.
    """

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
        self.state.num_input_tokens_seen += inputs.pop(TOKENS)
        return super().training_step(model, inputs, num_items_in_batch)

    def prediction_step(self, model: Any, inputs: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        """One batch of the validation."""
        inputs.pop(TOKENS)
        return super().prediction_step(model, inputs, *arguments, **options)

    def _loader(self, dataset: PlanDataset) -> Any:
        return DataLoader(
            dataset,
            batch_sampler=PlanSampler(dataset, self.accelerator.num_processes),
            collate_fn=dataset.collate,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.args.dataloader_num_workers > 0,
        )
