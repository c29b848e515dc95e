"""Tokens that a training spends, counted before it begins; and how many updates a budget of them lets it do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import IntArray
from xqr_bench.train.initial import Tokens, is_static
from xqr_bench.train.plans import PlanRequest
from xqr_bench.train.texts import PlannedTexts, TextTable
from xqr_bench.train.types import BatchPlan, Int32

FIRST_STEPS = 64
"""Batches whose tokens are counted first; from their mean follows how many more are planned."""
_AT_ONCE = 512


@dataclass(frozen=True)
class TextLengths:
    """Tokens of each text as the model is given it: with its prompt and special tokens, cut at the model's limit.

    Attributes:
        queries, passages: of the texts of a `TextTable`, int64 `[texts]`.
        padded: whether shorter texts of a batch are filled up to the longest.
    """

    queries: IntArray
    passages: IntArray
    padded: bool

    @classmethod
    def of(cls, model: Any, table: TextTable, query_prompt: str, passage_prompt: str) -> TextLengths:
        """Count them with the model's own tokenizer.

        Raises:
            UsageError: the model's inputs do not say which of their places are tokens.
        """
        lengths = [
            _lengths(model, texts, prompt)
            for texts, prompt in ((table.queries, query_prompt), (table.passages, passage_prompt))
        ]
        return cls(lengths[0], lengths[1], not is_static(model))

    def of_batches(
        self, texts: PlannedTexts, *, parts: int | None = None, further: Further | None = None, processes: int = 1
    ) -> IntArray:
        """Tokens that each batch costs, padding counted.

        Each process fills its rows up: the queries to its longest query, the passages, hard negatives among them, to
        its longest passage, further queries to the longest of them. A static model has no padding.

        Args:
            texts: the batches.
            parts: of the recipe.
            further: more queries that a loss encodes for a batch.
            processes: that share each batch.

        Returns:
            int64 `[steps]`.
        """
        rows = texts.plan.batch_size // processes
        found = np.zeros(len(texts), dtype=np.int64)
        for step in range(len(texts)):
            for first in range(0, rows * processes, rows):
                of_process = slice(first, first + rows)
                queries, *passages = texts.batch(step, of_process)
                together = [[self.queries[queries]], [self.passages[column] for column in passages]]
                if further is not None:
                    together.append([self.queries[further(texts, step, of_process)]])
                found[step] += sum(
                    with_padding(columns, parts) if self.padded else sum(int(one.sum()) for one in columns)
                    for columns in together
                )
        return found


Further = Callable[[PlannedTexts, int, slice], Int32]
"""Numbers of the further queries that a loss encodes for these rows of the batch of a step."""


def with_padding(columns: Sequence[IntArray], parts: int | None = None) -> int:
    """Tokens that a model computes of columns of texts of these lengths: all filled up to the longest of them.

    With `parts` each column by itself in so many parts, the longest texts together, then the next (`embed_in_parts`).
    """
    together = [np.concatenate(columns)]
    if parts is not None:
        together = [part for column in columns for part in np.array_split(-np.sort(-column), min(parts, len(column)))]
    return sum(int(lengths.max()) * len(lengths) for lengths in together if len(lengths))


def _lengths(model: Any, texts: Sequence[str], prompt: str) -> IntArray:
    if is_static(model):
        return Tokens(model[0].tokenizer, texts, prompt).lengths
    found = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(texts), _AT_ONCE):
        inputs = model.preprocess(list(texts[start : start + _AT_ONCE]), prompt=prompt)
        if "attention_mask" not in inputs:
            raise UsageError(
                "a budget of tokens needs a model whose tokens can be counted: its inputs have no attention mask",
                found=f"inputs: {', '.join(sorted(inputs))}",
                remedy="give --updates in place of --tokens",
            )
        found.append(inputs["attention_mask"].sum(dim=1).numpy().astype(np.int64))
    return np.concatenate(found)


def updates_within(
    budget: int, asked: PlanRequest, plan: Callable[[PlanRequest], BatchPlan], cost: Callable[[BatchPlan], IntArray]
) -> int:
    """The most updates whose batches cost no more than a budget.

    Args:
        budget: tokens, padding counted.
        asked: what the plan is asked for; its steps are found here.
        plan: makes one. The beginning of a plan does not depend on its length.
        cost: tokens of each batch of a plan.

    Raises:
        UsageError: the first batch costs more, or the plan's beginning depends on its length.
    """
    if asked.turn is None and "turn" in asked.rules.settable:
        raise UsageError(
            f"with a budget of tokens the strategy {asked.strategy} has no length to divide",
            remedy="say with --turn at which update the second part begins",
        )
    steps = FIRST_STEPS
    while True:
        total = np.cumsum(cost(plan(replace(asked, steps=steps))))
        if total[0] > budget:
            raise UsageError(
                f"--tokens {budget} is less than one batch costs",
                found=f"the first has {total[0]:,} tokens, padding counted",
                remedy="give a larger budget, or a smaller --batch-size",
            )
        if total[-1] > budget:
            return int(np.searchsorted(total, budget, side="right"))
        steps = max(2 * steps, int(1.1 * steps * budget / total[-1]) + 1)
