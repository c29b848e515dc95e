"""Scores by query language, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xqr_bench.errors import UsageError
from xqr_bench.record import Record
from xqr_bench.report.plots.style import COLOURS, DARK, drawing, short, under
from xqr_bench.types import STRICT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 1.25  # inches


def draw(tasks: Sequence[Sequence[Record]], metric: str, setting: str, relevance: str = STRICT) -> Figure:
    """Bars by query language, one panel a task; whiskers are the 95% intervals from questions.

    Args:
        tasks: the records of each task.
        metric, setting: what is shown.
        relevance: the rule of relevance it is scored under.

    Raises:
        UsageError: too many records, or one without these scores.
        RecordError: a record has none under this rule.
    """
    most = max(len(records) for records in tasks)
    if most > len(COLOURS):
        raise UsageError(f"{most} records are too many to tell apart", remedy=f"name at most {len(COLOURS)}")
    around = sum(0.55 + 0.13 * len(records) for records in tasks)
    with drawing(PANEL * len(tasks) + around) as figure:
        axes = figure.subplots(len(tasks), 1, squeeze=False)[:, 0]
        for ax, records in zip(axes, tasks, strict=True):
            _panel(ax, records, metric, setting, relevance)
        return figure


def _panel(ax: Axes, records: Sequence[Record], metric: str, setting: str, relevance: str) -> None:
    languages = records[0].task.languages
    width = 0.8 / len(records)
    lowest = 0.0
    for number, record in enumerate(records):
        scores = record.scores_under(relevance).get(setting)
        found = [(scores.by_query_language.get(name, {}) if scores else {}).get(metric) for name in languages]
        values = np.array([np.nan if score is None or score.value is None else score.value for score in found])
        if np.isnan(values).all():
            raise UsageError(
                f"{record.model.name} on {record.task.name} has no {setting} {metric} by query language",
                found=f"{', '.join(record.scores)}; {', '.join(record.task.metrics)}",
                remedy="choose another metric or setting",
            )
        lowest = min(lowest, float(np.nanmin(values)))
        at = np.arange(len(languages)) + (number - (len(records) - 1) / 2) * width
        ax.bar(at, values, width * 0.92, color=COLOURS[number], label=short(record.model.name, 44))
        for x, score in zip(at, found, strict=True):
            if score is not None and score.interval is not None:
                ends = (score.interval.low, score.interval.high)
                ax.plot([x, x], ends, color=DARK, linewidth=0.9, solid_capstyle="butt")
    ax.set_xticks(np.arange(len(languages)), languages)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(languages) - 0.4)
    if lowest >= 0:
        ax.set_ylim(bottom=0)
    ax.set_ylabel(metric)
    ax.set_xlabel("query language; whiskers: 95% interval over questions")
    # the legend stands between title and bars, a line a record
    ax.set_title(f"{records[0].task.title}, {setting}{under(relevance)}", loc="left", pad=6 + 8.5 * len(records))
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        frameon=False,
        borderaxespad=0,
        borderpad=0.3,
        labelspacing=0.25,
        handlelength=1,
    )
