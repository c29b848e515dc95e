"""From planned texts to the inputs of a model, as torch's data loader asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch.utils.data import BatchSampler, Dataset

from xqr_bench.train.static import Tokens
from xqr_bench.train.texts import Batch, PlannedTexts, TextTable

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
