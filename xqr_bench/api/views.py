"""What a notebook shows of records and comparisons: their main tables, with every name escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from xqr_bench.analysis.choice import Comparison, TaskComparison
from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import MULTILINGUAL, SETTINGS
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.record import Record
from xqr_bench.report.comparison import FIGURES
from xqr_bench.report.numbers import number, with_half_width
from xqr_bench.report.table import Table, columns

SCORES = ("map", "recall@10", "ndcg@10")
BIAS = ("own_language_first", "rank_distance", "rank_variance")
COMPARED = ("b - a", "95% interval", "p adjusted", "p by article adjusted", "verdict")
_STYLE = (
    "<style>.xqr-bench caption{text-align:left;font-weight:bold}.xqr-bench .right{text-align:right}"
    ".xqr-bench .explain{margin:.3em 0}</style>"
)


def record_html(record: Record) -> str:
    """The three settings and the bias of a record, with half of each 95% interval over questions."""
    settings = [setting for setting in SETTINGS if setting in record.scores]
    held = [name for name in record.task.metrics if parse_metric(name).kind == "score"]
    rows = [
        [name, *(with_half_width(record.scores[setting].macro.get(name)) for setting in settings)]
        for name in [name for name in SCORES if name in held] or held[:3]
    ]
    task = record.task
    title = f"{shown_line(record.model.name)} on {shown_line(task.title)}"
    notes = [f"{task.n_questions:,} questions in {len(task.all_languages)} languages. ±: half of the 95% interval."]
    tables = [Table(title, columns("", *settings), rows)]
    if MULTILINGUAL in record.scores:
        figures = record.scores[MULTILINGUAL].macro
        bias = [
            [name, with_half_width(figures[name]), number(figures[name].random_reference)]
            for name in BIAS
            if name in figures and figures[name].value is not None
        ]
        if bias:
            tables.append(Table("Bias by language", columns("", "value", "of a random ranking"), bias))
    notes += [f"Warning: {shown_line(line)}" for line in record.warnings]
    notes += [task.demonstration_note] if task.demonstration else []
    return _page(tables, notes)


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
        parts.append(_page([Table(shown_line(title), heads, rows)], map(shown_line, notes)))
    return "\n".join(parts)


def confirmatory(task: TaskComparison) -> list[Comparison]:
    """What is told first of a task: the confirmatory comparisons; without such, all."""
    return task.family("confirmatory") or list(task.comparisons)


def _page(tables: Iterable[Table], notes: Iterable[str]) -> str:
    """Tables and notes as one piece of a page, which brings the little style it needs."""
    told = Markup("").join(Markup('<p class="explain">{}</p>').format(note) for note in notes)
    drawn = Markup("\n").join(table.html() for table in tables)
    return str(Markup('<div class="xqr-bench">{}{}{}</div>').format(Markup(_STYLE), drawn, told))
