"""From planned texts to the inputs of a model, as torch's data loader asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils.data import BatchSampler, Dataset

from xqr_bench.train.initial import Tokens, is_static, vocabulary_digest
from xqr_bench.train.losses import Spent
from xqr_bench.train.recipe import Recipe
from xqr_bench.train.texts import Batch, PlannedTexts, TextTable
from xqr_bench.train.tokens import with_padding
from xqr_bench.train.workspace import TrainCache

TOKENS = "n_tokens"
"""Key of a batch under which its tokens travel: without padding, and with it."""
ROWS = "plan_rows"
"""Key of a batch under which the number of its step, of its first row and of the row after its last travel."""


def column_names(negatives: int) -> list[str]:
    """Names of the columns of a batch, in the order the loss takes them."""
    return ["query", "passage", *(f"negative_{i + 1}" for i in range(negatives))]


Collator = Callable[[Batch], dict[str, Any]]
"""Turns the texts of a batch into a model's inputs, `<column>_<name of the input>` each."""


Part = tuple[int, int, int]
"""Rows of a batch: its step, the first row, the row after the last."""


class PlanDataset(Dataset):  # type: ignore[misc]  # torch is not typed here
    """The rows of a plan, numbered `step * batch + row`; asked for a batch at a time."""

    def __init__(self, texts: PlannedTexts) -> None:
        self.texts = texts
        self.collate: Collator | None = None
        self._size = texts.plan.batch_size

    def __len__(self) -> int:
        return len(self.texts) * self._size

    def __getitem__(self, row: int) -> Part:
        return self.__getitems__([row])

    def __getitems__(self, rows: Sequence[int]) -> Part:
        """Rows that follow each other in one batch: the unit in which they are collated."""
        step, first = divmod(rows[0], self._size)
        return step, first, first + len(rows)

    def inputs(self, part: Part) -> dict[str, Any]:
        """The model's inputs of these rows, and which they are."""
        assert self.collate is not None
        return {**self.collate(self.texts.batch(part[0], slice(*part[1:]))), ROWS: part}


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


def text_inputs(table: TextTable, library: Any, parts: int | None, batch: Batch) -> dict[str, Any]:
    """Through the model's own preprocessing, by `library`, a `SentenceTransformerDataCollator` with the prompts.

    `parts` are those of the recipe, in which a column is encoded: they change how much padding is computed.
    """
    names = column_names(len(batch) - 2)
    texts = [table.queries] + [table.passages] * (len(batch) - 1)
    rows = [
        {name: texts[column][number] for column, (name, number) in enumerate(zip(names, numbers, strict=True))}
        for numbers in zip(*(column.tolist() for column in batch), strict=True)
    ]
    inputs: dict[str, Any] = library(rows)
    inputs[TOKENS] = tuple(counted(inputs, names[:1], parts).plus(counted(inputs, names[1:], parts)))
    return inputs


def counted(inputs: dict[str, Any], names: Sequence[str], parts: int | None = None) -> Spent:
    """Tokens of some columns of a batch, which a model computes together, or (`parts`) each in parts."""
    masks = [inputs[f"{name}_attention_mask"] for name in names if f"{name}_attention_mask" in inputs]
    if not masks:  # rows one after another, without padding
        tokens = sum(int(inputs[f"{name}_input_ids"].numel()) for name in names if f"{name}_input_ids" in inputs)
        return Spent(tokens, tokens)
    lengths = [mask.sum(dim=1).numpy() for mask in masks]
    return Spent(sum(int(column.sum()) for column in lengths), with_padding(lengths, parts))


def static_inputs(queries: Tokens, passages: Tokens, batch: Batch) -> dict[str, Any]:
    """For models that are one embedding bag: texts were tokenised before, a batch is a look-up."""
    inputs: dict[str, Any] = {}
    tokens = 0
    for column, (name, numbers) in enumerate(zip(column_names(len(batch) - 2), batch, strict=True)):
        ids, offsets = (passages if column else queries).batch(numbers)
        inputs[f"{name}_input_ids"] = torch.from_numpy(ids)
        inputs[f"{name}_offsets"] = torch.from_numpy(offsets)
        tokens += len(ids)
    inputs[TOKENS] = (tokens, tokens)
    return inputs


def collator(model: Any, table: TextTable, recipe: Recipe, library: Any, cache: TrainCache) -> Collator:
    """Through the library, or for static models from tokens that are made once."""
    if not is_static(model):
        return partial(text_inputs, table, library, recipe.parts)
    tokenizer = model[0].tokenizer
    vocabulary = vocabulary_digest(tokenizer)
    queries, passages = (
        cache.get("tokens", (vocabulary, prompt, texts), partial(Tokens, tokenizer, texts, prompt))
        for texts, prompt in ((table.queries, recipe.query_prompt), (table.passages, recipe.passage_prompt))
    )
    return partial(static_inputs, queries, passages)
