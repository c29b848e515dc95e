"""Plan rows -> numbers of texts: each distinct text of the training data is kept, and tokenised, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from xqr_bench.core.errors import UsageError
from xqr_bench.train.types import BatchPlan, Int32, ParallelData

Batch = tuple[Int32, ...]
"""Numbers of the texts of a batch: queries, passages, then one column a hard negative; int32 `[rows]` each."""


@dataclass(frozen=True)
class TextTable:
    """The texts of some data sets, numbered.

    Attributes:
        queries: distinct query texts.
        passages: distinct passage texts, hard negatives among them.
        query_numbers, passage_numbers: one array a data set, int32 `[languages, questions]`, -1 where absent.
        negative_numbers: likewise, each row's hard negatives as numbers of `passages`; None where no data has any.
    """

    queries: tuple[str, ...]
    passages: tuple[str, ...]
    query_numbers: tuple[Int32, ...]
    passage_numbers: tuple[Int32, ...]
    negative_numbers: tuple[tuple[tuple[tuple[int, ...], ...], ...] | None, ...]

    @classmethod
    def of(cls, data: Sequence[ParallelData]) -> TextTable:
        """Number the texts, in the order they stand in the data."""
        queries: dict[str, int] = {}
        passages: dict[str, int] = {}
        return cls(
            query_numbers=tuple(_numbers(part.queries, queries) for part in data),
            passage_numbers=tuple(_numbers(part.passages, passages) for part in data),
            negative_numbers=tuple(
                None
                if part.negatives is None
                else tuple(
                    tuple(tuple(passages.setdefault(text, len(passages)) for text in texts) for texts in column)
                    for column in part.negatives
                )
                for part in data
            ),
            queries=tuple(queries),
            passages=tuple(passages),
        )


def _numbers(columns: Sequence[Sequence[str]], numbers: dict[str, int]) -> Int32:
    return np.array(
        [[numbers.setdefault(text, len(numbers)) if text else -1 for text in column] for column in columns],
        dtype=np.int32,
    )


class PlannedTexts:
    """The texts of each batch of a plan.

    Args:
        plan: the plan.
        data: what it was made from.
        negatives: hard negatives a row brings with it.
        table: of the same data, where it was made before.

    Raises:
        UsageError: a row has fewer hard negatives than asked for.
    """

    def __init__(
        self, plan: BatchPlan, data: Sequence[ParallelData], negatives: int = 0, table: TextTable | None = None
    ) -> None:
        self.plan, self.data = plan, tuple(data)
        self.table = table or TextTable.of(data)
        self._columns = [
            np.array([part.language_index.get(code, -1) for code in plan.languages], dtype=np.int32) for part in data
        ]
        self._negatives = self._choose(data, negatives) if negatives else None

    def __len__(self) -> int:
        return self.plan.steps

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Numbers of the texts of these rows of the batch of `step`."""
        queries = np.empty(self.plan.batch_size, dtype=np.int32)
        passages = np.empty_like(queries)
        sets = self.plan.data_set[step]
        for number in np.unique(sets):
            at = np.flatnonzero(sets == number)
            columns = self._columns[number]
            queries[at] = self.table.query_numbers[number][
                columns[self.plan.query_language[step, at]], self.plan.question[step, at]
            ]
            passages[at] = self.table.passage_numbers[number][
                columns[self.plan.passage_language[step, at]], self.plan.passage_question[step, at]
            ]
        numbers: list[Int32] = [queries, passages]
        if self._negatives is not None:
            numbers += list(self._negatives[step].T)
        return tuple(column[rows] for column in numbers)

    def _choose(self, data: Sequence[ParallelData], wanted: int) -> Int32:
        """The first `wanted` hard negatives of each row; the plan sees to it that they answer no other row.

        Returns:
            int32 `[steps, batch, wanted]`.
        """
        chosen = np.empty((self.plan.steps, self.plan.batch_size, wanted), dtype=np.int32)
        for step in range(self.plan.steps):
            for i, row in enumerate(self.plan.take(step)):
                part, table = data[row.data_set], self.table.negative_numbers[row.data_set]
                negatives = (
                    () if table is None else table[part.language_index[row.passage_language]][row.passage_question]
                )
                if len(negatives) < wanted:
                    raise UsageError(
                        f"{part.name} has {len(negatives)} hard negatives for the question "
                        f"{part.ids[row.passage_question]} in {row.passage_language}, not {wanted}",
                        remedy=f"give --negatives {len(negatives)}, or add negatives to the data",
                    )
                chosen[step, i] = negatives[:wanted]
        return chosen


def distinct_texts(data: Iterable[ParallelData]) -> list[str]:
    """All texts of the data, each once, sorted: what a vocabulary is learned from."""
    return sorted({text for part in data for text, _ in part.texts()})
