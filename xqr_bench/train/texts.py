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
    """

    queries: tuple[str, ...]
    passages: tuple[str, ...]
    query_numbers: tuple[Int32, ...]
    passage_numbers: tuple[Int32, ...]

    @classmethod
    def of(cls, data: Sequence[ParallelData]) -> TextTable:
        """Number the texts, in the order they stand in the data."""
        queries: dict[str, int] = {}
        passages: dict[str, int] = {}
        query_numbers = tuple(_numbers(part.queries, queries) for part in data)
        passage_numbers = tuple(_numbers(part.passages, passages) for part in data)
        for part in data:
            for text in (text for column in part.negatives or () for texts in column for text in texts):
                passages.setdefault(text, len(passages))
        return cls(tuple(queries), tuple(passages), query_numbers, passage_numbers)


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
        self._negatives = self._choose(negatives) if negatives else None

    def __len__(self) -> int:
        return self.plan.steps

    def batch(self, step: int, rows: slice = slice(None)) -> Batch:
        """Numbers of the texts of these rows of the batch of `step`."""
        plan, table = self.plan, self.table
        queries, passages = np.empty((2, plan.batch_size), dtype=np.int32)
        for number in np.unique(plan.data_set[step]):
            at = np.flatnonzero(plan.data_set[step] == number)
            columns = self._columns[number]
            for texts, numbers, language, question in (
                (queries, table.query_numbers, plan.query_language, plan.question),
                (passages, table.passage_numbers, plan.passage_language, plan.passage_question),
            ):
                texts[at] = numbers[number][columns[language[step, at]], question[step, at]]
        negatives = () if self._negatives is None else self._negatives[step].T
        return tuple(column[rows] for column in (queries, passages, *negatives))

    def _choose(self, wanted: int) -> Int32:
        """The first `wanted` hard negatives of each row, int32 `[steps, batch, wanted]`.

        The plan sees to it that they answer no other row.
        """
        numbers = {text: number for number, text in enumerate(self.table.passages)}
        chosen = np.empty((self.plan.steps, self.plan.batch_size, wanted), dtype=np.int32)
        for step in range(self.plan.steps):
            for i, pair in enumerate(self.plan.pairs(step, self.data)):
                if len(pair.negatives) < wanted:
                    raise UsageError(
                        f"{self.plan.data_names[self.plan.data_set[step, i]]} has {len(pair.negatives)} hard negatives "
                        f"for the passage of {pair.question_id} in {pair.passage_language}, not {wanted}",
                        remedy=f"give --negatives {len(pair.negatives)}, or add negatives to the data",
                    )
                chosen[step, i] = [numbers[text] for text in pair.negatives[:wanted]]
        return chosen


def distinct_texts(data: Iterable[ParallelData]) -> list[str]:
    """All texts of the data, each once, sorted: what a vocabulary is learned from."""
    return sorted({text for part in data for text, _ in part.texts()})
