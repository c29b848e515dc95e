"""Many records at once: a row a record, as a table for people and as the columns of a data frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xqr_bench.core.types import SETTINGS
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.record import Record
from xqr_bench.report.brief import shown_scores
from xqr_bench.report.numbers import THIN, metric_title, with_half_width
from xqr_bench.report.table import Column, Table

WIDEST_NAME = 30


def summary_tables(records: Sequence[Record]) -> list[Table]:
    """A table a task: a row a record, a column a setting, of the first score that is shown; at most 80 columns wide."""
    tables = []
    for task in dict.fromkeys(record.task.name for record in records):
        chosen = [record for record in records if record.task.name == task]
        metric = next((name for record in chosen for name in shown_scores(record)), None)
        if metric is None:
            continue
        settings = [name for name in SETTINGS if any(name in record.scores for record in chosen)]
        rows = []
        for record in chosen:
            figures = (record.scores[name].macro.get(metric) if name in record.scores else None for name in settings)
            rows.append([record.model.name, *("" if one is None else with_half_width(one) for one in figures)])
        printed = "".join(cell for row in rows for cell in row[1:])
        notes = ["±: half of the 95% interval over questions."] * ("±" in printed)
        notes += [f"{THIN} fewer than 10 questions (or articles) carry the figure."] * (THIN in printed)
        heads = Column("", "name", most=WIDEST_NAME), *map(Column, settings)
        title = f"{chosen[0].task.title}: {metric_title(metric, inside=True)}"
        tables.append(Table(title, heads, rows, notes, frame="open"))
    return tables


def summary_figures(record: Record) -> dict[str, float | None]:
    """The macro averages of a record and the ends of their intervals over questions, unrounded.

    Returns:
        `multilingual/map`, `multilingual/map/low`, `multilingual/map/high`, ... -> the figure; None: it has no value.
    """
    figures: dict[str, float | None] = {}
    for setting, scores in record.scores.items():
        for metric, figure in scores.macro.items():
            figures[f"{setting}/{metric}"] = figure.value
            if parse_metric(metric).kind == "score" or figure.interval is not None:
                interval = figure.interval
                figures[f"{setting}/{metric}/low"] = None if interval is None else interval.low
                figures[f"{setting}/{metric}/high"] = None if interval is None else interval.high
    return figures


def summary_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows that need not have the same names as columns, in the order in which the names come first; None: it has none.

    Args:
        rows: what is said of each record, its figures last.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
