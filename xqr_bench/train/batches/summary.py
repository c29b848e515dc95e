"""A plan in words: what `train --dry-run` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xqr_bench.train.batches.statistics import plan_statistics
from xqr_bench.train.types import BatchPlan, ParallelData


def summary_lines(plan: BatchPlan, data: Sequence[ParallelData], *, example_rows: int = 3) -> list[str]:
    """Lines that describe the data, the plan and the first rows of its first batch.

    Args:
        plan: made from `data`.
        data: the data sets, in order.
        example_rows: rows of the first batch to show, as texts.
    """
    found = plan_statistics(plan, data)
    lines = [_data_line(one) for one in data]
    shown = {name: value for name, value in plan.arguments.items() if value not in (None, False, "all")}
    arguments = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items()
    )
    lines.append(f"plan: {plan.strategy}, seed {plan.seed}, {arguments}; digest {plan.digest()[:16]}")
    kinds = ", ".join(f"{count:,} {name}" for name, count in found.batches.items() if count)
    lines.append(f"updates: {found.updates:,} ({kinds}); rows: {found.rows:,}")
    ratio = f"{found.ratio_rows:.1%} of the rows in one language"
    if found.ratio_batches is not None:
        ratio = f"{found.ratio_batches:.1%} of the batches monolingual; {ratio}"
    lines.append(f"realised ratio: {ratio}")
    lines.append(
        f"distinct pairs: {found.distinct_pairs:,} ({found.distinct_pairs_same_language:,} in one language, "
        f"{found.distinct_pairs_cross_lingual:,} across two) of {found.questions:,} questions; "
        f"each {found.repeats_mean:.1f} times, at most {found.repeats_max}"
    )
    lines.append(f"rows of a question: {found.question_rows_min:,} to {found.question_rows_max:,}")
    lines.append(f"queries by language: {_range(found.query_rows)}")
    lines.append(f"passages by language: {_range(found.passage_rows)}")
    if len(data) > 1:
        lines.append("rows by data set: " + ", ".join(f"{name} {n:,}" for name, n in found.data_set_rows.items()))
    if found.same_paragraph_negatives is not None and found.same_paragraph_rows is not None:
        lines.append(
            f"negatives from the same paragraph: {found.same_paragraph_negatives:.1f} a batch; "
            f"{found.same_paragraph_rows:.1%} of the rows have one"
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
