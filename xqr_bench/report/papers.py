"""The tables of a paper: what stands in them, from comparisons and from records (`tex` writes them).

The best of a column is in bold. What is told apart comes from the corrected tests of `compare` and from nowhere else:
tables of records alone have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xqr_bench.analysis.asked import Paper
from xqr_bench.analysis.choice import Comparison, TaskComparison
from xqr_bench.core.errors import UsageError
from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import MAIN_METRIC, SETTINGS, STRICT
from xqr_bench.measure.certainty import MACRO
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.paired import QUESTION_ONLY, SIGNIFICANT, TOO_FEW
from xqr_bench.measure.scores import Figure as Score
from xqr_bench.measure.tukey import compact_letters
from xqr_bench.record import Record
from xqr_bench.report.comparison import further_tables, power_table
from xqr_bench.report.numbers import (
    MARK,
    THIN,
    THIN_NOTE,
    cell_name,
    effect,
    ends,
    half_width,
    marked,
    metric_title,
    number,
    probability,
    signed,
)
from xqr_bench.report.table import Table
from xqr_bench.report.tex import Cell, Figure, Sheet, latex_scripts, latex_text

HEADS = {"monolingual": "Mono.", "cross-lingual": "Cross.", "multilingual": "Multi."}
DIGITS = 3
BLOCK = 12
"""Languages beside each other; more stand in several blocks."""
BOLD = "Bold: the highest of a column."
BY = "by question and by article"
Column = tuple[str, str, str, str]
"""Task, metric, setting and key of a column."""


def comparison_latex(tasks: Sequence[TaskComparison], paper: Paper) -> str:
    """The table that is asked for, of several tasks perhaps several, each with a comment that says what it needs.

    Raises:
        UsageError: nothing stands in the table.
    """
    sheets = [sheet for kind in _kinds(paper) for sheet in _COMPARED[kind](tasks)]
    if not sheets:
        raise UsageError(
            f"--table {paper.table} has nothing of these records",
            found=", ".join(f"{task.title}: {len(task.comparisons)} comparisons" for task in tasks),
            remedy="choose another: main or pairs",
        )
    return _written(sheets, paper, [f"{task.title}: {note}" for task in tasks for note in task.notes])


def records_latex(records: Sequence[Record], names: Sequence[str], paper: Paper, metric: str = MAIN_METRIC) -> str:
    """The same of records alone, without any test: `main` and `languages`.

    Args:
        records: of any tasks.
        names: what each is called; no two of one task alike.
        paper: which table.
        metric: what stands in it.

    Raises:
        UsageError: a table that needs a comparison, or nothing stands in it.
    """
    if paper.table not in _RECORDS:
        raise UsageError(
            f"--table {paper.table} is about differences",
            remedy="xqr-bench compare RECORD RECORD --latex writes it; here there are main and languages",
        )
    by_task: dict[str, list[tuple[str, Record]]] = {}
    for name, record in zip(names, records, strict=True):
        by_task.setdefault(record.task.name, []).append((name, record))
    sheets = list(_RECORDS[paper.table](by_task, parse_metric(metric).name))
    if not sheets:
        held = dict.fromkeys(name for record in records for name in record.task.metrics)
        raise UsageError(f"no record here has {metric} for --table {paper.table}", found=", ".join(held))
    comments = [
        f"{name} on {record.task.title}: {line}"
        for of in by_task.values()
        for name, record in of
        for line in record.warnings
    ]
    return _written(sheets, paper, comments)


def _kinds(paper: Paper) -> Sequence[str]:
    return tuple(_COMPARED) if paper.table == "all" else (paper.table,)


def _written(sheets: Sequence[tuple[str, Sheet]], paper: Paper, comments: Sequence[str]) -> str:
    """The comments, then each sheet with its label: of one alone as it is, of several with the name of each behind."""
    written = ["\n".join(f"% {shown_line(comment)}" for comment in comments)] if comments else []
    for name, sheet in sheets:
        if paper.label is not None:
            label = paper.label if len(sheets) == 1 else f"{paper.label}-{name}"
            sheet = replace(sheet, label=label)
        if paper.caption is not None:
            sheet = replace(sheet, caption=latex_scripts(paper.caption))
        written.append(sheet.latex())
    return "\n\n".join(written)


# Of comparisons.


def _main(tasks: Sequence[TaskComparison]) -> Iterator[tuple[str, Sheet]]:
    """A row a record, its macro averages in all tasks beside each other."""
    columns: dict[Column, list[Comparison]] = {}
    for task in tasks:
        for one in task.comparisons:
            if one.scope == MACRO:
                columns.setdefault((task.task, one.metric, one.setting, ""), []).append(one)
    if not columns:
        return
    titles = {task.task: task.title for task in tasks}
    several = len({metric for _, metric, *_ in columns}) > 1
    over: dict[str, int] = {}
    for task_name, metric, *_ in columns:
        of_metric = f"{titles[task_name]}, {metric_title(metric)}" if len(tasks) > 1 else metric_title(metric)
        heading = of_metric if several else titles[task_name]
        over[heading] = over.get(heading, 0) + 1
    cells, notes = _judged(tasks, columns)
    labels = list(dict.fromkeys(record.label for task in tasks for record in task.records))
    rows: list[list[Cell]] = [[label, *(of.get(label, Figure("–")) for of in cells.values())] for label in labels]
    metrics = ", ".join(dict.fromkeys(metric_title(metric) for _, metric, *_ in columns))
    on = f" on {tasks[0].title}" if several and len(tasks) == 1 else ""
    caption = f"{metrics}{on}{_under(tasks)}: macro averages of the {_settings(columns)}."
    heads = [HEADS[setting] for _, _, setting, _ in columns]
    yield "main", Sheet(latex_text(caption), ("Encoder",), heads, rows, over=list(over.items()), notes=notes)


def _languages(tasks: Sequence[TaskComparison]) -> Iterator[tuple[str, Sheet]]:
    """For each task a column a query language, and under each setting and metric a row a record."""
    for task in tasks:
        columns: dict[Column, list[Comparison]] = {}
        for one in task.comparisons:
            if one.scope in ("by_query_language", MACRO):
                columns.setdefault((task.task, one.metric, one.setting, one.key), []).append(one)
        languages = list(dict.fromkeys(key for *_, key in columns if key))
        if languages:
            cells, notes = _judged([task], columns)
            values = {(metric, setting, key): of for (_, metric, setting, key), of in cells.items()}
            labels = [record.label for record in task.records]
            caption = f"by query language on {task.title}{_under([task])}"
            yield task.task, _by_language(values, labels, languages, caption, notes)


def _by_language(
    values: Mapping[tuple[str, str, str], Mapping[str, Figure]],
    labels: Sequence[str],
    languages: Sequence[str],
    caption: str,
    notes: Sequence[str],
) -> Sheet:
    """Blocks of languages below each other, each with the mean behind the last language."""
    keys = [*languages, ""]
    width = min(BLOCK, len(keys))
    blocks = [keys[start : start + width] for start in range(0, len(keys), width)]
    found = dict.fromkeys((metric, setting) for metric, setting, _ in values)
    parts = [part for part in found if any((*part, key) in values for key in languages)]
    several = len({metric for metric, _ in parts}) > 1
    rows: list[list[Cell]] = []
    for place, block in enumerate(blocks):
        if place:
            rows.append(["", *(key or "mean" for key in block), *[""] * (width - len(block))])
        for metric, setting in parts:
            rows.append([f"{setting.capitalize()}, {metric_title(metric)}" if several else setting.capitalize()])
            for label in labels:
                cells = [values.get((metric, setting, key), {}).get(label, Figure("–")) for key in block]
                rows.append([label, *cells, *[""] * (width - len(block))])
    heads = [key or "mean" for key in blocks[0]]
    metrics = ", ".join(dict.fromkeys(metric_title(metric) for metric, _ in parts))
    return Sheet(latex_text(f"{metrics} {caption}."), ("Encoder",), heads, rows, notes=notes)


def _judged(
    tasks: Sequence[TaskComparison], columns: Mapping[Column, Sequence[Comparison]]
) -> tuple[dict[Column, dict[str, Figure]], list[str]]:
    """The cells of each column by record, the best in bold, and what their marks mean.

    Of two records the higher has a dagger where the difference is significant; of more, records that share a letter
    are not told apart.
    """
    displays = {(one.task, one.metric, one.setting, ""): one for task in tasks for one in task.displays}
    cells: dict[Column, dict[str, Figure]] = {}
    daggers: dict[str, None] = {}
    letters: dict[str, None] = {}
    for column, comparisons in columns.items():
        values = {label: value for one in comparisons for label, value in ((one.a, one.value_a), (one.b, one.value_b))}
        adjustment = dict.fromkeys(one.adjustment for one in comparisons)
        if len(values) == 2:
            (one,) = comparisons
            higher = max(values, key=lambda label: values[label])
            marks = {higher: MARK} if one.verdict == SIGNIFICANT else {}
            daggers |= adjustment
        else:
            shown = displays.get(column)
            marks = dict(zip(shown.records, shown.letters, strict=True)) if shown else _letters(values, comparisons)
            letters |= adjustment
        cells[column] = _in_bold(values, marks, column[1])
    notes = _bold_note(cells)
    if daggers:
        notes.append(
            f"{MARK}: significantly higher than the other encoder, {BY} (paired tests at 5%; {_list(daggers)})."
        )
    if letters:
        notes.append(
            f"Encoders that share a letter in a column do not differ significantly, {BY} "
            f"(paired tests at 5%; {_list(letters)})."
        )
    return cells, notes


def _in_bold(values: Mapping[str, float], marks: Mapping[str, str], metric: str) -> dict[str, Figure]:
    """Cells of a column; the best are all that look like the highest score. A measure of bias has no best."""
    if not values:
        return {}
    texts = {label: number(value, digits=DIGITS) for label, value in values.items()}
    highest = texts[max(values, key=lambda label: values[label])]
    score = parse_metric(metric).kind == "score" and len(values) > 1
    return {label: Figure(text, marks.get(label, ""), score and text == highest) for label, text in texts.items()}


def _bold_note(cells: Mapping[Any, Mapping[str, Figure]]) -> list[str]:
    return [BOLD] if any(cell.best for of in cells.values() for cell in of.values()) else []


def _letters(values: Mapping[str, float], comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Compact letters of the verdicts."""
    labels = list(values)
    p = np.ones((len(labels), len(labels)))
    for one in comparisons:
        if one.verdict == SIGNIFICANT:
            a, b = labels.index(one.a), labels.index(one.b)
            p[a, b] = p[b, a] = 0.0
    return dict(zip(labels, compact_letters(p, np.array([*values.values()])), strict=True))


def _list(names: Iterable[str]) -> str:
    return "; ".join(names)


def _settings(columns: Iterable[Column]) -> str:
    found = {setting for _, _, setting, _ in columns}
    names = [name for name in SETTINGS if name in found]
    joined = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"{joined} setting{'s' * (len(names) > 1)}"


def _under(tasks: Sequence[TaskComparison]) -> str:
    return "" if tasks[0].relevance == STRICT else f" under {tasks[0].relevance} relevance"


def _pairs(tasks: Sequence[TaskComparison]) -> Iterator[tuple[str, Sheet]]:
    """For each task a row a comparison: difference, intervals, adjusted p."""
    for task in tasks:
        if not task.comparisons:
            continue
        many = len({(one.a, one.b) for one in task.comparisons}) > 1
        parts: dict[str, list[list[Cell]]] = {}
        for one in task.comparisons:
            alone = one.scope == MACRO and not many
            setting, of = one.setting.capitalize(), f"{metric_title(one.metric)} ({one.family})"
            row = _pair(one, setting if alone else _pair_name(one, many))
            parts.setdefault(of if alone else f"{setting}, {of}", []).append(row)
        rows: list[list[Cell]] = []
        for heading, of_part in parts.items():
            rows += [[heading], *of_part]
        a, b = (record.label for record in task.records[:2])  # as on the terminal
        what = "b minus a" if many else f"{b} (b) minus {a} (a)"
        caption = f"Differences on {task.title}{_under([task])}: {what}; {_units(task)}."
        over = (("", 3), ("95% interval", 2), ("", 1), ("adjusted p", 2))
        heads = ["b", "a", "diff.", "by question", "by article", "effect", "question", "article"]
        yield task.task, Sheet(latex_text(caption), ("",), heads, rows, over=over, notes=_pair_notes(task))


def _pair_name(one: Comparison, many: bool) -> str:
    if not many:
        return cell_name(one)
    pair = f"{one.b} minus {one.a}"
    return pair if one.scope == MACRO else f"{pair}: {cell_name(one)}"


def _pair(one: Comparison, name: str) -> list[Cell]:
    mark = MARK if one.verdict == SIGNIFICANT else f"({MARK})" if _by_question(one) else ""
    intervals = (
        text if text in ("–", THIN) else f"[{text}]"
        for text in (ends(one.interval, one.thin[0]), ends(one.article_interval, one.thin[1]))
    )
    values = number(one.value_b), number(one.value_a), Figure(signed(one.difference), mark)
    adjusted = probability(one.p_adjusted), probability(one.p_article_adjusted)
    return [name, *values, *intervals, effect(one.effect_size), *adjusted]


def _by_question(one: Comparison) -> bool:
    return one.verdict == QUESTION_ONLY or one.verdict.startswith(TOO_FEW)


def _pair_notes(task: TaskComparison) -> list[str]:
    adjusted = {one.family: one.adjustment for one in task.comparisons}
    how = "; ".join(f"{family}: {adjustment}" for family, adjustment in adjusted.items())
    notes = [f"{MARK}: significant at 5% {BY}, p adjusted ({how})."]
    if any(map(_by_question, task.comparisons)):
        few = any(one.verdict.startswith(TOO_FEW) for one in task.comparisons)
        notes.append(f"({MARK}): by question only{', or with too few articles to judge by article' if few else ''}.")
    notes.append("Effect: difference in standard deviations of a question's difference.")
    if any(any(one.thin) for one in task.comparisons):
        notes.append(f"{THIN_NOTE}.")
    return notes


def _units(task: TaskComparison) -> str:
    return f"{task.n_questions:,} questions in {task.n_articles:,} articles"


def _power(tasks: Sequence[TaskComparison]) -> Iterator[tuple[str, Sheet]]:
    """For each task the smallest differences that can be found."""
    for task in tasks:
        if task.power:
            yield task.task, _sheet(task, power_table(task))


def _others(tasks: Sequence[TaskComparison]) -> Iterator[tuple[str, Sheet]]:
    """What else a comparison prints: arms of several seeds, groups, worst languages."""
    for task in tasks:
        for name, table in further_tables(task).items():
            yield f"{task.task}-{name}", _sheet(task, table)


def _sheet(task: TaskComparison, table: Table) -> Sheet:
    """A table of a report with metrics as papers write them."""
    headings = [column.heading for column in table.columns]
    if "metric" in headings:
        place = headings.index("metric")
        rows = [[*row[:place], metric_title(row[place]), *row[place + 1 :]] for row in table.texts()]
        table = replace(table, rows=rows)
    return Sheet.of_table(table, latex_text(f"{task.title}{_under([task])}: {table.title}; {_units(task)}."))


_COMPARED = {"main": _main, "languages": _languages, "pairs": _pairs, "power": _power, "others": _others}


# Of records.

ByTask = Mapping[str, Sequence[tuple[str, Record]]]
"""Task -> its records, each with its name."""


def _main_of(by_task: ByTask, metric: str) -> Iterator[tuple[str, Sheet]]:
    """A row a name: the score in each setting of each task, with half of the 95% interval over questions."""
    columns: dict[Column, dict[str, Figure]] = {}
    over: dict[str, int] = {}
    for task, of_task in by_task.items():
        for setting in SETTINGS:
            found = {
                name: record.scores[setting].macro.get(metric) for name, record in of_task if setting in record.scores
            }
            known = {name: (one, one.value) for name, one in found.items() if one is not None and one.value is not None}
            if known:
                halves = {name: _half_width(one) for name, (one, _) in known.items()}
                values = {name: value for name, (_, value) in known.items()}
                columns[task, metric, setting, ""] = _in_bold(values, halves, metric)
                title = of_task[0][1].task.title
                over[title] = over.get(title, 0) + 1
    if not columns:
        return
    names = list(dict.fromkeys(name for of_task in by_task.values() for name, _ in of_task))
    rows: list[list[Cell]] = [[name, *(of.get(name, Figure("–")) for of in columns.values())] for name in names]
    heads = [HEADS[setting] for _, _, setting, _ in columns]
    caption = f"{metric_title(metric)}: macro averages of the {_settings(columns)}."
    notes = [*_bold_note(columns), "±: half of the 95% interval over questions; no test."]
    yield "main", Sheet(latex_text(caption), ("Encoder",), heads, rows, over=list(over.items()), notes=notes)


def _half_width(score: Score) -> str:
    half = half_width(score.interval)
    return "" if half is None else marked(f"±{number(half, digits=DIGITS)}", half, score.thin[0])


def _languages_of(by_task: ByTask, metric: str) -> Iterator[tuple[str, Sheet]]:
    """For each task the score by query language."""
    for task, of_task in by_task.items():
        found: dict[tuple[str, str, str], dict[str, float]] = {}
        for setting in SETTINGS:
            for name, record in of_task:
                scores = record.scores.get(setting)
                figures = {"": scores.macro} | dict(scores.by_query_language) if scores else {}
                for key, of_key in figures.items():
                    if metric in of_key and (value := of_key[metric].value) is not None:
                        found.setdefault((metric, setting, key), {})[name] = value
        cells = {column: _in_bold(values, {}, metric) for column, values in found.items()}
        info = of_task[0][1].task
        languages = [code for code in info.all_languages if any(key == code for *_, key in cells)]
        if languages:
            notes = [*_bold_note(cells), "Differences are not tested here."]
            names = [name for name, _ in of_task]
            yield task, _by_language(cells, names, languages, f"by query language on {info.title}", notes)


_RECORDS = {"main": _main_of, "languages": _languages_of}
