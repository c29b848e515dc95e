"""A plan of batches as a table, in memory and in a Parquet file; its figures, and what `train --dry-run` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, NonNegativeInt, PositiveInt, ValidationError

from xqr_bench.core import strict_json, strict_parquet
from xqr_bench.core.errors import DataError
from xqr_bench.core.files import atomic_path
from xqr_bench.train.types import BATCH_TYPES, ROW_ARRAYS, BatchPlan, ParallelData

if TYPE_CHECKING:
    import pandas as pd


# A plan as a table: in memory for looking at, in a Parquet file for keeping.

FORMAT = "xqr-bench-batch-plan-1"
_KEY = b"xqr-bench"


def to_frame(plan: BatchPlan, data: Sequence[ParallelData] | None = None) -> pd.DataFrame:
    """One line a row of a batch: step, type, row, data set, questions, languages.

    Args:
        plan: the plan.
        data: what it was made from: question ids stand in place of numbers.
    """
    import pandas as pd

    steps, size = plan.question.shape
    flat: dict[str, Any] = {name: getattr(plan, name).reshape(-1) for name in ROW_ARRAYS}
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
        **{name: pa.array(getattr(plan, name).reshape(-1)) for name in ROW_ARRAYS},
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
    with atomic_path(path) as temporary, temporary.open("wb") as file:  # whose name need not be text
        pq.write_table(table, file, compression="zstd")
    return path


class _Facts(BaseModel):
    """What the file says of itself."""

    format: Literal["xqr-bench-batch-plan-1"]
    strategy: str
    seed: NonNegativeInt
    arguments: dict[str, Any]
    data_names: list[str]
    data_digests: list[str]
    languages: list[str]
    steps: NonNegativeInt
    batch_size: PositiveInt
    digest: str


def load_plan(path: Path, data: Sequence[ParallelData] | None = None) -> BatchPlan:
    """Read a plan.

    Args:
        path: the file.
        data: what it is followed on, in order; None: it is not followed, only looked at.

    Raises:
        DataError: no such file, no plan, one whose rows do not have the digest it states, or one of other data.
    """
    remedy = "make the plan again with the arguments of the run"
    try:
        table = strict_parquet.read(path, _known_columns, key=_KEY)
        facts = strict_json.validate(_Facts, table.facts)
        shape = (facts.steps, facts.batch_size)
        tables = {name: table.numbers(name, np.int32).reshape(shape) for name in ROW_ARRAYS}
        types = table.numbers("type", np.int8).reshape(shape)[:, 0]
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is not a batch plan", found=f"{type(error).__name__}: {error}", remedy=remedy
        ) from error
    plan = BatchPlan(
        strategy=facts.strategy,
        seed=facts.seed,
        arguments=facts.arguments,
        data_names=tuple(facts.data_names),
        data_digests=tuple(facts.data_digests),
        languages=tuple(facts.languages),
        types=types,
        **tables,
    )
    if plan.digest() != facts.digest:
        raise DataError(f"{path}: the rows of the plan are not those it was saved with", remedy=remedy)
    if not _points_inside(plan, data):
        raise DataError(f"{path}: the plan is not of this data: its rows point beside it", remedy=remedy)
    return plan


def _points_inside(plan: BatchPlan, data: Sequence[ParallelData] | None) -> bool:
    """Whether all that the rows point to is there: types, data sets, languages, and the questions of the data."""
    ends = {"data_set": len(plan.data_names), "query_language": len(plan.languages)}
    ends["passage_language"] = ends["query_language"]
    numbers = [(plan.types, len(BATCH_TYPES))] + [(getattr(plan, name), ends.get(name)) for name in ROW_ARRAYS]
    if any((values < 0).any() or (end is not None and (values >= end).any()) for values, end in numbers):
        return False
    if len(plan.data_digests) != len(plan.data_names):
        return False
    if data is None:
        return True
    if tuple(part.digest for part in data) != plan.data_digests:
        return False
    for number, part in enumerate(data):
        rows = plan.data_set == number
        columns = np.array([part.language_index.get(code, -1) for code in plan.languages], dtype=np.int64)
        for questions, languages in (
            (plan.question[rows], columns[plan.query_language[rows]]),
            (plan.passage_question[rows], columns[plan.passage_language[rows]]),
        ):
            if (
                (questions >= part.n_questions).any()
                or (languages < 0).any()
                or not part.has[questions, languages].all()
            ):
                return False
    return True


def _known_columns(about: dict[str, Any]) -> dict[str, strict_parquet.Kind]:
    """The columns of a plan, in order.

    Raises:
        ValueError: what the file says about itself is not what is written there.
    """
    try:
        strict_json.validate(_Facts, about)
    except ValidationError as error:
        fault = strict_json.first_fault(error)
        raise ValueError(f"its facts are not those of the format {FORMAT!r}: {fault}") from error
    return dict.fromkeys(["step", "type", *ROW_ARRAYS], "integer")


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
    import pandas as pd

    n = plan.steps if updates is None else max(0, min(updates, plan.steps))
    types = plan.types[:n]
    frame = pd.DataFrame({name: getattr(plan, name)[:n].reshape(-1) for name in ROW_ARRAYS})
    repeats = frame.groupby(list(ROW_ARRAYS), sort=False).size().reset_index(name="rows")
    uses = frame.groupby(["data_set", "question"], sort=False).size().to_numpy()
    same_kinds = int((repeats.query_language == repeats.passage_language).sum())
    same, rows = int((frame.query_language == frame.passage_language).sum()), len(frame)
    batches = _counts(BATCH_TYPES, types)
    negatives, touched = _same_paragraph(plan, data, n)
    return PlanStatistics(
        updates=n,
        rows=rows,
        batches=batches,
        same_language_rows=same,
        ratio_batches=None if batches["mixed"] or not n else batches["monolingual"] / n,
        ratio_rows=same / rows if rows else 0.0,
        questions=len(uses),
        question_rows_min=0 if len(uses) < sum(one.n_questions for one in data) else int(uses.min()),
        question_rows_max=int(uses.max(initial=0)),
        distinct_pairs=len(repeats),
        distinct_pairs_same_language=same_kinds,
        distinct_pairs_cross_lingual=len(repeats) - same_kinds,
        repeats_mean=rows / len(repeats) if rows else 0.0,
        repeats_max=int(repeats.rows.to_numpy().max(initial=0)),
        query_rows=_counts(plan.languages, frame.query_language),
        passage_rows=_counts(plan.languages, frame.passage_language),
        data_set_rows=_counts(_unique_names(plan.data_names), frame.data_set),
        same_paragraph_negatives=negatives,
        same_paragraph_rows=touched,
    )


def _counts(names: Sequence[str], codes: Any) -> dict[str, int]:
    """How often each code 0, 1, ... comes, by its name."""
    return dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))


def _unique_names(names: tuple[str, ...]) -> list[str]:
    return [name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names, start=1)]


def _same_paragraph(plan: BatchPlan, data: Sequence[ParallelData], n: int) -> tuple[float | None, float | None]:
    """Same-paragraph negatives a batch, and the share of rows that have one, of the first `n` batches."""
    pairs = touched = batches = 0
    for step in range(n):
        paragraphs = data[plan.data_set[step, 0]].paragraphs
        if (paragraphs < 0).all():
            continue
        batches += 1
        own, theirs = paragraphs[plan.question[step]], paragraphs[plan.passage_question[step]]
        alike = (own[:, None] == theirs[None, :]) & (own[:, None] >= 0)
        np.fill_diagonal(alike, False)
        pairs += int(alike.sum())
        touched += int(alike.any(axis=1).sum())
    return (pairs / batches, touched / (batches * plan.batch_size)) if batches else (None, None)


# A plan in words: what `train --dry-run` prints.


def summary_lines(plan: BatchPlan, data: Sequence[ParallelData]) -> list[str]:
    """Lines that describe the data, the plan made from it and the first rows of its first batch."""
    counts = plan_statistics(plan, data)
    shown = {name: value for name, value in plan.arguments.items() if value not in (None, False, "all")}
    arguments = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items()
    )
    kinds = ", ".join(f"{count:,} {name}" for name, count in counts.batches.items() if count)
    ratio = f"{counts.ratio_rows:.1%} of the rows in one language"
    if counts.ratio_batches is not None:
        ratio = f"{counts.ratio_batches:.1%} of the batches monolingual; {ratio}"
    lines = [
        *map(_data_line, data),
        f"plan: {plan.strategy}, seed {plan.seed}, {arguments}; digest {plan.digest()[:16]}",
        f"updates: {counts.updates:,} ({kinds}); rows: {counts.rows:,}",
        f"realised ratio: {ratio}",
        f"distinct pairs: {counts.distinct_pairs:,} ({counts.distinct_pairs_same_language:,} in one language, "
        f"{counts.distinct_pairs_cross_lingual:,} across two) of {counts.questions:,} questions; "
        f"each {counts.repeats_mean:.1f} times, at most {counts.repeats_max}",
        f"rows of a question: {counts.question_rows_min:,} to {counts.question_rows_max:,}",
        f"queries by language: {_range(counts.query_rows)}",
        f"passages by language: {_range(counts.passage_rows)}",
    ]
    if len(data) > 1:
        lines.append("rows by data set: " + ", ".join(f"{name} {n:,}" for name, n in counts.data_set_rows.items()))
    if counts.same_paragraph_negatives is not None:
        lines.append(
            f"negatives from the same paragraph: {counts.same_paragraph_negatives:.1f} a batch; "
            f"{counts.same_paragraph_rows:.1%} of the rows have one"
        )
    lines.append(f"first batch ({plan.batch_type(0)}), first rows:")
    for pair in plan.pairs(0, data)[:3]:
        query, passage = _short(pair.query), _short(pair.passage)
        lines.append(f"  {pair.query_language} {query}  ->  {pair.passage_language} {passage}")
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
    low, high = min(rows, key=rows.__getitem__), max(rows, key=rows.__getitem__)
    return f"{rows[low]:,} each" if rows[low] == rows[high] else f"{rows[low]:,} ({low}) to {rows[high]:,} ({high})"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 48 else line[:45] + "..."
