"""Comparisons of records as tables for a terminal, and as Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from xqr_bench import __version__
from xqr_bench.analysis.choice import Comparison, Detectable, GroupFigure, TaskComparison, WorstLanguage
from xqr_bench.core.printable import markdown_shown
from xqr_bench.report.numbers import (
    MINUS,
    SHORT,
    cell_name,
    effect,
    ends,
    half_width,
    number,
    on_two_lines,
    probability,
    signed,
)
from xqr_bench.report.table import Cell, Column, Table, columns

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

PAIRS_SHOWN = 45
ONE_LINE = 19  # characters of a name that needs no second line
STYLES = {"significant": "bold", "question level only": "yellow", "not distinguishable": "dim"}
READ = (
    "Second line of a row: by article. Effect: b - a in standard deviations of a question's difference. "
    "Significant: both adjusted p are at most .05.\n"
)

# For a terminal of 100 columns: fewer columns, two lines a row.


def comparison_tables(task: TaskComparison) -> Group:
    """All tables of one task."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text.assemble((task.title, "bold"), _head(task))]
    main, more = task.family("confirmatory"), task.family("exploratory")
    tables = [_letters(task, apart=True)] if task.displays else []
    if main:
        tables.append(_two_lines(f"MAP, the confirmatory family: {main[0].adjustment}", main))
    if more:
        tables.append(_two_lines(f"exploratory: {more[0].adjustment}", more))
    if main or more:
        tables[-1] = replace(tables[-1], notes=(*tables[-1].notes, READ))
    if task.groups:
        tables.append(_groups_in_sections(task.groups))
    if task.languages:
        tables.append(_worst_by_setting(task.languages))
    if task.power:
        tables.append(_power_by_setting(task.power))
    parts += [table.terminal(above=True) for table in tables]
    parts.append(Text(f"{task.resamples:,} resamples, seed {task.seed}", style="dim"))
    parts += [Text(f"! {note}", style="yellow") for note in task.notes]
    return Group(*parts)


def _head(task: TaskComparison) -> str:
    """What stands behind the title: the units, the rule of relevance, and the records."""
    rule = "" if task.relevance == "strict" else f"; {task.relevance} relevance (docs/relevance.md)"
    letters = "ab" if len(task.records) == 2 else " " * len(task.records)
    width = max(len(record.label) for record in task.records)
    records = (
        f"  {letter}  {record.label:<{width}}  {record.path}\n"
        for letter, record in zip(letters, task.records, strict=True)
    )
    return f": {_units(task)}{rule}\n{''.join(records)}"


def _units(task: TaskComparison) -> str:
    return f"{task.n_questions:,} questions in {task.n_articles:,} articles"


def _two_lines(title: str, comparisons: Sequence[Comparison]) -> Table:
    """One row a comparison: by question above, by article below."""
    many = len({(one.a, one.b) for one in comparisons}) > 1
    tukey = comparisons[0].p_tukey is not None
    sections = list(dict.fromkeys((one.setting, one.metric) for one in comparisons))
    few = comparisons[:PAIRS_SHOWN]
    headed = many or len(few) > len({one.setting for one in few})
    rows: list[Sequence[Cell]] = []
    for setting, metric in sections:
        within = [one for one in few if (one.setting, one.metric) == (setting, metric)]
        if headed and within:
            rows.append([((f"{setting} {metric}", "bold"),)])
        for one in within:
            t = (one.p_tukey or 0.0, one.p_article_tukey or 0.0) if tukey else (one.p_t, one.p_article_t)
            verdict = one.verdict.replace("level only", "level\nonly").replace("not disting", "not\ndisting")
            rows.append(
                [
                    _name(one, many) if headed else setting,
                    number(one.value_a),
                    number(one.value_b),
                    signed(one.difference),
                    f"{ends(one.interval)}\n{ends(one.article_interval)}",
                    effect(one.effect_size),
                    f"{probability(one.p)}\n{probability(one.p_article)}",
                    f"{probability(t[0])}\n{probability(t[1])}",
                    f"{probability(one.p_adjusted)}\n{probability(one.p_article_adjusted)}",
                    ((verdict, STYLES.get(one.verdict, "")),),
                ]
            )
    more = len(comparisons) - len(few)
    return Table(
        title,
        (
            Column("b\n- a" if many else "", "name", least=13),
            *map(Column, ("a", "b", "b - a", "95% interval\nby article", "effect", "p\nart.")),
            *map(Column, ("Tukey\nart." if tukey else "p (t)\nart.", "p adj.\nart.")),
            Column("verdict", "word", least=15),
        ),
        rows,
        (f"and {more} rows more: --markdown and --json give all\n",) if more else (),
        frame="dense",
    )


def _name(comparison: Comparison, many: bool) -> str:
    name = on_two_lines(cell_name(comparison), ONE_LINE)
    if not many:
        return name
    pair = f"{comparison.b}\n- {comparison.a}"
    return pair if comparison.scope == "macro" else f"{pair}\n{name}"


def _groups_in_sections(figures: Sequence[GroupFigure]) -> Table:
    """Group means and gaps to English: under each setting and name a row a record."""
    settings = list(dict.fromkeys(one.setting for one in figures))
    names = list(dict.fromkeys((one.setting, one.scope, one.key) for one in figures))
    ordered = sorted(
        figures, key=lambda one: (settings.index(one.setting), names.index((one.setting, one.scope, one.key)))
    )
    rows: list[Sequence[Cell]] = []
    for setting, of_setting in groupby(_group_rows(ordered), key=lambda row: row[0]):
        rows.append([((setting, "bold"),)])
        rows += _once(row[1:] for row in of_setting)
    return Table(
        "language groups and their gaps to English, map; ± half of the 95% interval by question, by article",
        (Column("", "name"), Column("record", "name", most=36), *map(Column, ("value", "± question", "± article"))),
        rows,
    )


def _worst_by_setting(worst: Sequence[WorstLanguage]) -> Table:
    """The worst query language of each record and how far apart its languages are; no test."""
    several = len({one.metric for one in worst}) > 1
    order = list(dict.fromkeys((one.setting, one.metric) for one in worst))
    rows = []
    for one in sorted(worst, key=lambda one: order.index((one.setting, one.metric))):
        name = f"{one.setting} {one.metric}" if several else one.setting
        lowest = f"{one.worst} {number(one.values[one.worst])}"
        rows.append((name, one.record, lowest, _worst_shares(one), number(one.spread), number(one.deviation)))
    return Table(
        "worst query language, and how far apart the languages are; no test: the worst is chosen by looking",
        (
            Column("", "name"),
            Column("record", "name", most=32),
            Column("worst", "word"),
            Column("worst in resamples", "word"),
            *map(Column, ("best - worst", "st. dev.")),
        ),
        list(_once(rows)),
    )


def _power_by_setting(detectable: Sequence[Detectable]) -> Table:
    """Smallest detectable differences, a row a metric; over several pairs from the least to the greatest."""
    pairs = len({(one.a, one.b) for one in detectable})
    over = f"; least and greatest over {pairs} pairs" if pairs > 1 else ""
    settings = dict.fromkeys(one.setting for one in detectable)
    spans = _spans(detectable)
    return Table(
        _power_title(detectable) + over,
        columns("metric", *(part for name in settings for part in (f"{SHORT.get(name, name)}\nquestion", "\narticle"))),
        [
            (metric, *(cell for setting in settings for cell in spans.get((setting, metric), ("–", "–"))))
            for metric in dict.fromkeys(one.metric for one in detectable)
        ],
    )


def _once(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """The rows without a name that is that of the row before."""
    last = None
    for name, *cells in rows:
        yield ["" if name == last else name, *cells]
        last = name


# Plain tables for papers, a row a figure; and all as JSON.


def comparison_json(comparisons: Sequence[TaskComparison]) -> str:
    """All that was found, as JSON: `comparisons` is one list over all tasks."""
    tasks = [task.model_dump(mode="json") for task in comparisons]
    data = {
        "version": __version__,
        "comparisons": [row for task in tasks for row in task.pop("comparisons")],
        "power": [row for task in tasks for row in task.pop("power")],
        "tasks": tasks,
    }
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False)


def comparison_markdown(comparisons: Sequence[TaskComparison]) -> str:
    """All tables in Markdown (GitHub's tables)."""
    parts = []
    for task in comparisons:
        parts += [f"## {markdown_shown(task.title)}", f"{markdown_shown(_records(task))}."]
        parts += [table.markdown() for table in plain_tables(task)]
        parts += [f"- {markdown_shown(note)}" for note in task.notes]
    return "\n\n".join(parts)


def comparison_latex(comparisons: Sequence[TaskComparison]) -> str:
    """The tables for LaTeX; they need the package booktabs, and graphicx where one is wider than the page."""
    parts = ["% needs \\usepackage{booktabs,graphicx}"]
    for task in comparisons:
        for table in plain_tables(task):
            parts.append(replace(table, title=f"{task.title}, {table.title}. {_records(task)}.").latex())
    return "\n\n".join(parts)


def _records(task: TaskComparison) -> str:
    names = [record.label for record in task.records]
    listing = f"a = {names[0]}, b = {names[1]}" if len(names) == 2 else ", ".join(names)
    return f"{listing}; {_units(task)}; {task.resamples:,} resamples, seed {task.seed}"


def plain_tables(task: TaskComparison) -> Iterator[Table]:
    """All tables of one task."""
    if task.displays:
        yield _letters(task, apart=False)
    for family in ("confirmatory", "exploratory"):
        comparisons = task.family(family)
        if comparisons:
            yield _differences(family, comparisons)
    if task.groups:
        yield Table(
            "language groups and gaps to English, with half of the 95% interval by question and by article",
            columns("setting", "figure", "record", "value", "± question", "± article", names=3),
            _group_rows(task.groups),
        )
    if task.languages:
        headings = ("setting", "metric", "record", "worst", "value", "worst in resamples", "best - worst", "st. dev.")
        rows = []
        for one in task.languages:
            figures = number(one.values[one.worst]), _worst_shares(one), number(one.spread), number(one.deviation)
            rows.append((one.setting, one.metric, one.record, one.worst, *figures))
        yield Table("worst query language and spread over languages (no test)", columns(*headings, names=4), rows)
    if task.power:
        yield Table(
            _power_title(task.power),
            columns("setting", "metric", "by question", "by article", names=2),
            [(*place, *spans) for place, spans in _spans(task.power).items()],
        )


def _letters(task: TaskComparison, *, apart: bool) -> Table:
    """Records by setting with compact letters, in columns of their own or behind the figures; ordered by the last."""
    first = task.displays[0]
    heads = [Column("record", "name", most=40)]
    for display in task.displays:
        name = SHORT.get(display.setting, display.setting) if apart else display.setting
        heads += [Column(name), Column("", "word")] if apart else [Column(name)]
    rows = []
    for record in task.displays[-1].records:
        row = [record]
        for display in task.displays:
            place = display.records.index(record)
            cells = number(display.values[place]), display.letters[place]
            row += cells if apart else [" ".join(cells)]
        rows.append(row)
    title = f"{first.metric}; records that share a letter do not differ significantly ({first.adjustment})"
    return Table(title, heads, rows)


def _differences(family: str, comparisons: Sequence[Comparison]) -> Table:
    many = len({(one.a, one.b) for one in comparisons}) > 1
    names: dict[str, Callable[[Comparison], str]] = {
        "setting": lambda one: one.setting,
        "metric": lambda one: one.metric,
        "figure": cell_name,
    }
    if many:
        names |= {"a": lambda one: one.a, "b": lambda one: one.b}
    figures: dict[str, Callable[[Comparison], str]] = {
        "value a" if many else "a": lambda one: number(one.value_a),
        "value b" if many else "b": lambda one: number(one.value_b),
        "b - a": lambda one: signed(one.difference),
        "95% interval": lambda one: ends(one.interval),
        "by article": lambda one: ends(one.article_interval),
        "effect size": lambda one: effect(one.effect_size),
        "p": lambda one: probability(one.p),
        "p (t)": lambda one: probability(one.p_t),
        "p by article": lambda one: probability(one.p_article),
    }
    if comparisons[0].p_tukey is not None:
        figures |= {
            "p (Tukey)": lambda one: probability(one.p_tukey or 0.0),
            "p by article (Tukey)": lambda one: probability(one.p_article_tukey or 0.0),
        }
    figures |= {
        "p adjusted": lambda one: probability(one.p_adjusted),
        "p by article adjusted": lambda one: probability(one.p_article_adjusted),
        "verdict": lambda one: one.verdict,
    }
    return Table(
        f"{family}: {comparisons[0].adjustment}",
        columns(*names, *figures, names=len(names)),
        [[write(one) for write in (*names.values(), *figures.values())] for one in comparisons],
    )


# Cells that both kinds of tables have.


def _group_rows(figures: Iterable[GroupFigure]) -> list[tuple[str, ...]]:
    """(setting, name, record, value, half width by question, by article)."""
    return [
        (
            one.setting,
            one.key.replace(" - ", MINUS),
            one.record,
            *map(number, (one.value, half_width(one.interval), half_width(one.article_interval))),
        )
        for one in figures
    ]


def _worst_shares(one: WorstLanguage) -> str:
    """The languages that are worst in at least 1% of resamples, at most three."""
    ordered = sorted(one.worst_share.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in ordered[:3] if share >= 0.01)


def _power_title(detectable: Sequence[Detectable]) -> str:
    first = detectable[0]
    return f"smallest true difference that one test at {first.alpha:.0%} finds with {first.power:.0%} power"


def _spans(detectable: Sequence[Detectable]) -> dict[tuple[str, str], tuple[str, str]]:
    """(setting, metric) -> smallest detectable difference by question and by article, over all pairs."""
    spans = {}
    for place in dict.fromkeys((one.setting, one.metric) for one in detectable):
        here = [one for one in detectable if (one.setting, one.metric) == place]
        spans[place] = _span(one.question for one in here), _span(one.article for one in here)
    return spans


def _span(values: Iterable[float | None]) -> str:
    """One figure, or the least and the greatest of several."""
    defined = sorted(value for value in values if value is not None)
    if not defined:
        return "–"
    low, high = number(defined[0]), number(defined[-1])
    return low if low == high else f"{low}–{high}"
