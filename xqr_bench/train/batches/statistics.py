"""What a plan is made of: the figures that a training record keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xqr_bench.train.types import BATCH_TYPES, BatchPlan, Int32, ParallelData
from xqr_bench.types import IntArray


@dataclass(frozen=True, slots=True)
class PlanStatistics:
    """Counts over the first `updates` steps of a plan.

    Attributes:
        updates, rows: steps, and rows of all their batches.
        batches: number of batches of each type.
        same_language_rows: rows whose query and passage are in one language.
        ratio_batches: share of monolingual batches; None where batches are mixed.
        ratio_rows: share of same-language rows.
        questions: distinct questions.
        question_rows_min, question_rows_max: rows of the question that comes least and most often.
        distinct_pairs: distinct (query, passage) pairs: question, its passage's question, both languages.
        distinct_pairs_same_language, distinct_pairs_cross_lingual: the two parts of them.
        repeats_mean, repeats_max: rows per distinct pair.
        query_rows, passage_rows: rows per language.
        data_set_rows: rows per data set.
        same_paragraph_negatives: ordered pairs of rows (i, j) of one batch in which passage j stands in the
            paragraph of the passage that answers query i; mean per batch. None where no paragraph is known.
        same_paragraph_rows: share of rows with at least one such negative; None likewise.
    """

    updates: int
    rows: int
    batches: Mapping[str, int]
    same_language_rows: int
    ratio_batches: float | None
    ratio_rows: float
    questions: int
    question_rows_min: int
    question_rows_max: int
    distinct_pairs: int
    distinct_pairs_same_language: int
    distinct_pairs_cross_lingual: int
    repeats_mean: float
    repeats_max: int
    query_rows: Mapping[str, int]
    passage_rows: Mapping[str, int]
    data_set_rows: Mapping[str, int]
    same_paragraph_negatives: float | None
    same_paragraph_rows: float | None


def plan_statistics(plan: BatchPlan, data: Sequence[ParallelData], updates: int | None = None) -> PlanStatistics:
    """Count what a plan holds.

    Args:
        plan: made from `data`.
        data: the data sets, in order.
        updates: only the first so many steps (a run that stopped early); None: all.
    """
    n = plan.steps if updates is None else max(0, min(updates, plan.steps))
    types = plan.types[:n]
    source, question, other = plan.data_set[:n], plan.question[:n], plan.passage_question[:n]
    query, passage = plan.query_language[:n], plan.passage_language[:n]
    same = query == passage
    pairs = np.stack([part.reshape(-1) for part in (source, question, other, query, passage)], axis=1)
    kinds, repeats = _distinct_rows(pairs)
    uses = _distinct_rows(pairs[:, :2])[1]
    same_kinds = int((kinds[:, 3] == kinds[:, 4]).sum())
    rows = int(question.size)
    counts = np.bincount(types, minlength=len(BATCH_TYPES))
    mixed = counts[BATCH_TYPES.index("mixed")] > 0
    negatives, touched = _same_paragraph(source, question, other, data)
    return PlanStatistics(
        updates=n,
        rows=rows,
        batches={name: int(count) for name, count in zip(BATCH_TYPES, counts, strict=True)},
        same_language_rows=int(same.sum()),
        ratio_batches=None if mixed or not n else float(np.mean(types == BATCH_TYPES.index("monolingual"))),
        ratio_rows=float(same.mean()) if rows else 0.0,
        questions=len(uses),
        question_rows_min=0 if len(uses) < sum(one.n_questions for one in data) else int(uses.min()),
        question_rows_max=int(uses.max(initial=0)),
        distinct_pairs=len(kinds),
        distinct_pairs_same_language=same_kinds,
        distinct_pairs_cross_lingual=len(kinds) - same_kinds,
        repeats_mean=rows / len(kinds) if len(kinds) else 0.0,
        repeats_max=int(repeats.max(initial=0)),
        query_rows=_per_language(query, plan.languages),
        passage_rows=_per_language(passage, plan.languages),
        data_set_rows={
            name: int(count)
            for name, count in zip(
                _unique_names(plan.data_names), np.bincount(source.reshape(-1), minlength=len(data)), strict=True
            )
        },
        same_paragraph_negatives=negatives,
        same_paragraph_rows=touched,
    )


def _distinct_rows(table: Int32) -> tuple[Int32, IntArray]:
    """Distinct rows of a table of small whole numbers, and how often each comes."""
    if not len(table):
        return table, np.empty(0, dtype=np.int64)
    widths = table.max(axis=0).astype(np.int64) + 1
    code = np.zeros(len(table), dtype=np.int64)
    for column, width in zip(table.T, widths, strict=True):
        code = code * width + column
    if float(np.prod(widths.astype(np.float64))) >= 2.0**62:  # the code would overflow
        rows, counts = np.unique(table, axis=0, return_counts=True)
        return rows, counts
    _, first, counts = np.unique(code, return_index=True, return_counts=True)
    return table[first], counts


def _per_language(table: Int32, languages: tuple[str, ...]) -> dict[str, int]:
    counts = np.bincount(table.reshape(-1), minlength=len(languages))
    return {code: int(count) for code, count in zip(languages, counts, strict=True)}


def _unique_names(names: tuple[str, ...]) -> list[str]:
    return [name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names, start=1)]


def _same_paragraph(
    source: Int32, question: Int32, other: Int32, data: Sequence[ParallelData]
) -> tuple[float | None, float | None]:
    pairs = 0
    touched = 0
    known = 0
    for number, one in enumerate(data):
        steps = np.flatnonzero((source == number).all(axis=1)) if source.size else np.empty(0, dtype=np.int64)
        if not len(steps) or (one.paragraphs < 0).all():
            continue
        known += len(steps)
        for step in steps:
            own, theirs = one.paragraphs[question[step]], one.paragraphs[other[step]]
            alike = (own[:, None] == theirs[None, :]) & (own[:, None] >= 0)
            np.fill_diagonal(alike, False)
            pairs += int(alike.sum())
            touched += int(alike.any(axis=1).sum())
    if not known:
        return None, None
    return pairs / known, touched / (known * question.shape[1])
