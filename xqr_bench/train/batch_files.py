"""A plan of batches as a table, in memory and in a Parquet file; its figures, and what `train --dry-run` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xqr_bench.core import strict_parquet
from xqr_bench.core.errors import DataError
from xqr_bench.core.files import atomic_path
from xqr_bench.core.types import IntArray
from xqr_bench.train.types import BATCH_TYPES, BatchPlan, Int32, ParallelData

if TYPE_CHECKING:
    import pandas as pd


# A plan as a table: in memory for looking at, in a Parquet file for keeping.

FORMAT = "xqr-bench-batch-plan-1"
_TABLES = ("data_set", "question", "passage_question", "query_language", "passage_language")
_KEY = b"xqr-bench"


def to_frame(plan: BatchPlan, data: Sequence[ParallelData] | None = None) -> pd.DataFrame:
    """One line a row of a batch: step, type, row, data set, questions, languages.

    Args:
        plan: the plan.
        data: what it was made from: question ids stand in place of numbers.
    """
    import pandas as pd

    steps, size = plan.question.shape
    flat: dict[str, Any] = {name: getattr(plan, name).reshape(-1) for name in _TABLES}
    frame = pd.DataFrame(
        {
            "step": np.repeat(np.arange(steps), size),
            "type": np.repeat(np.array(BATCH_TYPES)[plan.types], size),
            "row": np.tile(np.arange(size), steps),
            "data_set": np.array(plan.data_names)[flat["data_set"]],
            "question": flat["question"],
            "passage_question": flat["passage_question"],
            "query_language": np.array(plan.languages)[flat["query_language"]],
            "passage_language": np.array(plan.languages)[flat["passage_language"]],
        }
    )
    if data is not None:
        for name in ("question", "passage_question"):
            frame[name] = [data[d].ids[q] for d, q in zip(flat["data_set"], flat[name], strict=True)]
    return frame


def save_plan(plan: BatchPlan, path: Path) -> Path:
    """Write a plan to a Parquet file: a line a row, everything else in the schema's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    steps, size = plan.question.shape
    columns = {
        "step": pa.array(np.repeat(np.arange(steps, dtype=np.int32), size)),
        "type": pa.array(np.repeat(plan.types, size)),
        **{name: pa.array(getattr(plan, name).reshape(-1)) for name in _TABLES},
    }
    about = {
        "format": FORMAT,
        "strategy": plan.strategy,
        "seed": plan.seed,
        "arguments": dict(plan.arguments),
        "data_names": plan.data_names,
        "data_digests": plan.data_digests,
        "languages": plan.languages,
        "steps": steps,
        "batch_size": size,
        "digest": plan.digest(),
    }
    table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(about).encode()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return path


def load_plan(path: Path) -> BatchPlan:
    """Read a plan.

    Raises:
        DataError: no such file, no plan, or one whose rows do not have the digest it states.
    """
    remedy = "make the plan again with the arguments of the run"
    try:
        table = strict_parquet.read(path, _known_columns, key=_KEY)
        about = table.facts
        shape = (about["steps"], about["batch_size"])
        tables = {name: table.numbers(name, np.int32).reshape(shape) for name in _TABLES}
        types = table.numbers("type", np.int8).reshape(shape)[:, 0]
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is not a batch plan", found=f"{type(error).__name__}: {error}", remedy=remedy
        ) from error
    plan = BatchPlan(
        strategy=about["strategy"],
        seed=about["seed"],
        arguments=about["arguments"],
        data_names=tuple(about["data_names"]),
        data_digests=tuple(about["data_digests"]),
        languages=tuple(about["languages"]),
        types=types,
        **tables,
    )
    if plan.digest() != about["digest"]:
        raise DataError(f"{path}: the rows of the plan are not those it was saved with", remedy=remedy)
    return plan


def _known_columns(about: dict[str, Any]) -> dict[str, strict_parquet.Kind]:
    """The columns of a plan, in order.

    Raises:
        ValueError: what the file says about itself is not what is written there.
    """
    lists = [about.get(name) for name in ("data_names", "data_digests", "languages")]
    texts = [about.get("strategy"), about.get("digest"), *(item for part in lists for item in part or ())]
    counts = [about.get(name) for name in ("steps", "batch_size", "seed")]
    if (
        about.get("format") != FORMAT
        or not all(isinstance(part, list) for part in lists)
        or not all(isinstance(text, str) for text in texts)
        or not all(type(count) is int and count >= 0 for count in counts)
        or not isinstance(about.get("arguments"), dict)
    ):
        raise ValueError(f"its facts are not those of the format {FORMAT!r}")
    return dict.fromkeys(["step", "type", *_TABLES], "integer")


# What a plan is made of: the figures that a training record keeps.


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


# A plan in words: what `train --dry-run` prints.


def summary_lines(plan: BatchPlan, data: Sequence[ParallelData], *, example_rows: int = 3) -> list[str]:
    """Lines that describe the data, the plan and the first rows of its first batch.

    Args:
        plan: made from `data`.
        data: the data sets, in order.
        example_rows: rows of the first batch to show, as texts.
    """
    counts = plan_statistics(plan, data)
    lines = [_data_line(one) for one in data]
    shown = {name: value for name, value in plan.arguments.items() if value not in (None, False, "all")}
    arguments = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items()
    )
    lines.append(f"plan: {plan.strategy}, seed {plan.seed}, {arguments}; digest {plan.digest()[:16]}")
    kinds = ", ".join(f"{count:,} {name}" for name, count in counts.batches.items() if count)
    lines.append(f"updates: {counts.updates:,} ({kinds}); rows: {counts.rows:,}")
    ratio = f"{counts.ratio_rows:.1%} of the rows in one language"
    if counts.ratio_batches is not None:
        ratio = f"{counts.ratio_batches:.1%} of the batches monolingual; {ratio}"
    lines.append(f"realised ratio: {ratio}")
    lines.append(
        f"distinct pairs: {counts.distinct_pairs:,} ({counts.distinct_pairs_same_language:,} in one language, "
        f"{counts.distinct_pairs_cross_lingual:,} across two) of {counts.questions:,} questions; "
        f"each {counts.repeats_mean:.1f} times, at most {counts.repeats_max}"
    )
    lines.append(f"rows of a question: {counts.question_rows_min:,} to {counts.question_rows_max:,}")
    lines.append(f"queries by language: {_range(counts.query_rows)}")
    lines.append(f"passages by language: {_range(counts.passage_rows)}")
    if len(data) > 1:
        lines.append("rows by data set: " + ", ".join(f"{name} {n:,}" for name, n in counts.data_set_rows.items()))
    if counts.same_paragraph_negatives is not None and counts.same_paragraph_rows is not None:
        lines.append(
            f"negatives from the same paragraph: {counts.same_paragraph_negatives:.1f} a batch; "
            f"{counts.same_paragraph_rows:.1%} of the rows have one"
        )
    if example_rows:
        lines.append(f"first batch ({plan.batch_type(0)}), first rows:")
        for pair in plan.pairs(0, data)[:example_rows]:
            lines.append(
                f"  {pair.query_language} {_short(pair.query)}  ->  {pair.passage_language} {_short(pair.passage)}"
            )
    return lines


def _data_line(data: ParallelData) -> str:
    per_question = data.has.sum(axis=1)
    low, high = int(per_question.min()), int(per_question.max())
    spread = f"each in {low}" if low == high else f"each in {low} to {high}"
    return (
        f"data: {data.name}: {data.n_questions:,} questions, {spread} of {len(data.languages)} languages "
        f"({', '.join(data.languages)}); digest {data.digest[:16]}"
    )


def _range(rows: Mapping[str, int]) -> str:
    low, high = min(rows, key=lambda code: rows[code]), max(rows, key=lambda code: rows[code])
    if rows[low] == rows[high]:
        return f"{rows[low]:,} each"
    return f"{rows[low]:,} ({low}) to {rows[high]:,} ({high})"


def _short(text: str, width: int = 48) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 3] + "..."
