"""What a notebook shows of records and comparisons: their main tables, with every name escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from markupsafe import Markup

from xqr_bench.analysis.choice import Comparison, TaskComparison
from xqr_bench.core.printable import shown_line
from xqr_bench.record import Record
from xqr_bench.report import brief
from xqr_bench.report.comparison import FIGURES
from xqr_bench.report.numbers import number
from xqr_bench.report.results import warning_lines
from xqr_bench.report.table import Table, columns

COMPARED = ("b - a", "95% interval", "p adjusted", "p by article adjusted", "verdict")
_STYLE = (
    "<style>.xqr-bench caption{text-align:left;font-weight:bold}.xqr-bench th[scope=row]{text-align:left}"
    ".xqr-bench .right{text-align:right}"
    ".xqr-bench .explain{margin:.3em 0}</style>"
)


def record_html(record: Record) -> str:
    """One screen of a record, as `xqr-bench evaluate` prints it: the three settings, bias, what to know of them."""
    title = f"{record.model.name} on {record.task.title}: {record.task.n_questions:,} questions"
    scores, bias = brief.scores_table(record), brief.bias_table(record)
    tables = [
        replace(
            scores,
            title=shown_line(title),
            columns=(replace(scores.columns[0], heading="setting"), *scores.columns[1:]),
        ),
        replace(
            bias,
            title="Bias by language",
            columns=(*bias.columns[:-1], replace(bias.columns[-1], heading="how to read it")),
        ),
    ]
    notes = [line for line in brief.notes_of(record, tables) if line != brief.MORE]
    return _page(
        [table for table in tables if table.rows],
        ["; ".join([*notes, "all measures: .to_frame()"]), *warning_lines([record])],
    )


def comparison_html(tasks: Sequence[TaskComparison]) -> str:
    """MAP in each setting, of each pair of records: the confirmatory comparisons."""
    parts = []
    for task in tasks:
        rows = [
            [
                one.setting,
                one.a,
                one.b,
                number(one.value_a),
                number(one.value_b),
                *(FIGURES[key](one) for key in COMPARED),
            ]
            for one in confirmatory(task)
        ]
        heads = columns("setting", "a", "b", "value a", "value b", *COMPARED, names=3)
        title = f"{task.title}: MAP, {task.n_questions:,} questions in {task.n_articles:,} articles"
        notes = [*task.notes, "All that was compared: .to_frame()"]
        parts.append(_page([Table(shown_line(title), heads, rows)], notes))
    return "\n".join(parts)


def confirmatory(task: TaskComparison) -> list[Comparison]:
    """What is told first of a task: the confirmatory comparisons; without such, all."""
    return task.family("confirmatory") or list(task.comparisons)


def _page(tables: Iterable[Table], notes: Iterable[str]) -> str:
    """Tables and notes as one piece of a page, which brings the little style it needs."""
    told = Markup("").join(Markup('<p class="explain">{}</p>').format(note) for note in map(shown_line, notes))
    drawn = Markup("\n").join(table.html() for table in tables)
    return str(Markup('<div class="xqr-bench">{}{}{}</div>').format(Markup(_STYLE), drawn, told))
