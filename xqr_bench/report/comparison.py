"""Comparisons of records as tables for a terminal, and as Markdown and JSON (as LaTeX: `papers`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from xqr_bench import __version__
from xqr_bench.analysis.choice import Comparison, Detectable, TaskComparison
from xqr_bench.core.printable import markdown_shown
from xqr_bench.core.types import MAIN_METRIC
from xqr_bench.measure.paired import TOO_FEW, least_p
from xqr_bench.report.numbers import (
    MINUS,
    SHORT,
    THIN_NOTE,
    cell_name,
    effect,
    ends,
    half_width,
    marked,
    number,
    on_two_lines,
    probability,
    signed,
)
from xqr_bench.report.table import Cell, Column, Table, columns

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

PAIRS_SHOWN = 45
ONE_LINE = 19  # characters of a name that needs no second line
STYLES = {"significant": "bold", "not distinguishable": "dim"}
IN_CELL = {"question level only": "question level\nonly", "not distinguishable": "not\ndistinguishable"}
READ = (
    "Second line of a row: by article. Effect: b - a in standard deviations of a question's difference. "
    "Significant: both adjusted p are at most .05."
)
WEIGHTS = "A verdict is about these weights in these languages, not about a way of training (docs/compare.md).\n"
NEEDED = 1.2
"""Measured: how many times the printed difference a verdict needs, whose tests are two and adjusted."""
POWER_NOTE = f"A verdict, by question and by article and adjusted, needs about {NEEDED} times as much."
HOLM_NOTE = (
    "Two records are adjusted by Holm, more by max-T over all pairs: p of a pair changes with what is named beside it."
)
BH_NAME = "Benjamini-Hochberg"
BH_NOTE = (
    f"{BH_NAME} bounds the share of false ones among what it calls different, not the chance of any: by "
    "article, over 110 equal language pairs, it calls some different in 9 to 22 of 100 cases (max-T: in 3 to 4)."
)
FIGURES: dict[str, Callable[[Comparison], str]] = {
    "a": lambda one: number(one.value_a),
    "b": lambda one: number(one.value_b),
    "b - a": lambda one: signed(one.difference),
    "95% interval": lambda one: ends(one.interval, one.thin[0]),
    "by article": lambda one: ends(one.article_interval, one.thin[1]),
    "effect size": lambda one: effect(one.effect_size),
    "p": lambda one: probability(one.p),
    "p (t)": lambda one: probability(one.p_t),
    "p by article": lambda one: probability(one.p_article),
    "p by article (t)": lambda one: probability(one.p_article_t),
    "p (Tukey)": lambda one: probability(one.p_tukey),
    "p by article (Tukey)": lambda one: probability(one.p_article_tukey),
    "p adjusted": lambda one: probability(one.p_adjusted),
    "p by article adjusted": lambda one: probability(one.p_article_adjusted),
    "verdict": lambda one: one.verdict,
}
"""What a table can say of a comparison."""


def comparison_tables(task: TaskComparison) -> Group:
    """All tables of one task, for a terminal of 100 columns."""
    from rich.console import Group
    from rich.text import Text

    return Group(
        head_of(task, paths=True),
        *(table.terminal(above=True) for table in _tables(task, plain=False)),
        Text(f"{task.resamples:,} resamples, seed {task.seed}", style="dim"),
        *(Text(f"! {note}", style="yellow") for note in task.notes),
    )


def head_of(task: TaskComparison, *, paths: bool) -> Text:
    """What is compared on what, for a terminal."""
    from rich.text import Text

    rule = "" if task.relevance == "strict" else f"; {task.relevance} relevance (docs/relevance.md)"
    letters = "ab" if len(task.records) == 2 else " " * len(task.records)
    width = max(len(record.label) for record in task.records)
    beside = width + max(len(record.path) for record in task.records) < 70
    head = f": {_units(task)}{rule}\n"
    for letter, record in zip(letters, task.records, strict=True):
        if not paths:
            head += f"  {letter}  {record.label}\n" * (len(task.records) == 2)
            continue
        head += f"  {letter}  {record.label:<{width}}  " if beside else f"  {letter}  {record.label}\n     "
        head += f"{record.path}\n"
    return Text.assemble((task.title, "bold"), head)


def comparison_json(comparisons: Sequence[TaskComparison]) -> str:
    """All results as JSON: `comparisons` is one list over all tasks."""
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
        parts += [table.markdown() for table in _tables(task, plain=True)]
        parts += [f"- {markdown_shown(note)}" for note in task.notes]
    return "\n\n".join(parts)


def _units(task: TaskComparison) -> str:
    return f"{task.n_questions:,} questions in {task.n_articles:,} articles"


def _records(task: TaskComparison) -> str:
    names = [record.label for record in task.records]
    listing = f"a = {names[0]}, b = {names[1]}" if len(names) == 2 else ", ".join(names)
    return f"{listing}; {_units(task)}; {task.resamples:,} resamples, seed {task.seed}"


def _tables(task: TaskComparison, *, plain: bool) -> list[Table]:
    """All tables of one task: plain ones with a column a figure, or such as fit a terminal of 100 columns."""
    tables = [_letters(task, plain)] if task.displays else []
    for family in ("confirmatory", "exploratory"):
        if comparisons := task.family(family):
            tables.append(_one_line(family, comparisons) if plain else _two_lines(family, comparisons))
    if task.comparisons:
        notes = [] if plain else [READ]
        notes += [HOLM_NOTE] if task.family("confirmatory") else []
        notes += [BH_NOTE] if any(one.adjustment.startswith(BH_NAME) for one in task.comparisons) else []
        thin = [one.thin for one in task.comparisons] + [one.thin for one in task.groups]
        notes += [f"{THIN_NOTE}."] if any(map(any, thin)) else []
        notes += [*_too_few(task), *_largest_articles(task), WEIGHTS]
        tables[-1] = replace(tables[-1], notes=(*tables[-1].notes, *notes))
    tables += further_tables(task, plain=plain).values()
    return [*tables, power_table(task, plain=plain)] if task.power else tables


def further_tables(task: TaskComparison, *, plain: bool = True) -> dict[str, Table]:
    """What stands beside the tests, by a name for each: arms of several seeds, groups, worst languages."""
    sections = {
        "seeds": (task.over_seeds, _over_seeds),
        "groups": (task.groups, _groups),
        "worst": (task.languages, _worst),
    }
    return {name: table_of(task, plain) for name, (figures, table_of) in sections.items() if figures}


def _too_few(task: TaskComparison) -> list[str]:
    """Why a verdict says that there are too few articles."""
    return [
        f"{verdict[0].upper()}{verdict[1:]}: the least p of {n} articles is 2^(1-{n}) = {probability(least_p(n))}, "
        "too much for as many figures as are tested together."
        for verdict, n in sorted({(one.verdict, one.n_articles) for one in task.comparisons})
        if verdict.startswith(TOO_FEW)
    ]


def _largest_articles(task: TaskComparison) -> list[str]:
    """Rows whose spread is that of one article, half or more; no part of the verdict.

    Of exploratory cells those that the test by question finds; JSON has all.
    """
    many = _pairs(task.comparisons) > 1
    return [
        f"{one.setting} {one.metric}, {cell_name(one)}{f', {one.b} - {one.a}' if many else ''}: one article holds "
        f"{without.share:.0%} of the spread; without it b - a {signed(without.difference)}, "
        f"p {probability(without.p_article)} by article"
        for one in task.comparisons
        if (without := one.largest_article) is not None
        and (one.family == "confirmatory" or one.verdict != "not distinguishable")
    ]


def _letters(task: TaskComparison, plain: bool) -> Table:
    """Records by setting with compact letters, behind the figures or in columns of their own; ordered by the last."""
    first = task.displays[0]
    heads = [Column("record", "name", most=40)]
    for display in task.displays:
        name = display.setting if plain else SHORT.get(display.setting, display.setting)
        heads += [Column(name)] if plain else [Column(name), Column("", "word")]
    rows = []
    for record in task.displays[-1].records:
        row = [record]
        for display in task.displays:
            place = display.records.index(record)
            cells = number(display.values[place]), display.letters[place]
            row += [" ".join(cells)] if plain else cells
        rows.append(row)
    title = f"{first.metric}; records that share a letter do not differ significantly ({first.adjustment})"
    return Table(title, heads, rows)


def _pairs(rows: Iterable[Comparison | Detectable]) -> int:
    return len({(one.a, one.b) for one in rows})


def _one_line(family: str, comparisons: Sequence[Comparison]) -> Table:
    many = _pairs(comparisons) > 1
    without = {"p by article (t)"}
    if comparisons[0].p_tukey is None:
        without |= {"p (Tukey)", "p by article (Tukey)"}
    figures = {name: write for name, write in FIGURES.items() if name not in without}
    names = ["setting", "metric", "figure", *(("a", "b", "value a", "value b") if many else ("a", "b"))]
    rows = []
    for one in comparisons:
        cells = [one.setting, one.metric, cell_name(one), *((one.a, one.b) if many else ())]
        rows.append([*cells, *(write(one) for write in figures.values())])
    headings = columns(*names, *list(figures)[2:], names=5 if many else 3)
    return Table(f"{family}: {comparisons[0].adjustment}", headings, rows)


def _two_lines(family: str, comparisons: Sequence[Comparison]) -> Table:
    """Fewer columns: by question above, by article below."""
    many = _pairs(comparisons) > 1
    test = "t" if comparisons[0].p_tukey is None else "Tukey"
    figures = {  # heading -> what stands in the lines below it
        "a": ("a",),
        "b": ("b",),
        "b - a": ("b - a",),
        "95% interval\nby article": ("95% interval", "by article"),
        "effect": ("effect size",),
    }
    tests = {
        "p\nart.": ("p", "p by article"),
        "p (t)\nart." if test == "t" else "Tukey\nart.": (f"p ({test})", f"p by article ({test})"),
        "p adj.\nart.": ("p adjusted", "p by article adjusted"),
    }
    few = comparisons[:PAIRS_SHOWN]
    more = len(comparisons) - len(few)
    headed = many or len(few) > len({one.setting for one in few}) or any(one.metric != MAIN_METRIC for one in few)
    rows: list[Sequence[Cell]] = []
    for setting, metric in dict.fromkeys((one.setting, one.metric) for one in few):
        if headed:
            rows.append([((f"{setting} {metric}", "bold"),)])
        for one in few:
            if (one.setting, one.metric) != (setting, metric):
                continue
            cells, p_values = (
                ["\n".join(FIGURES[name](one) for name in names) for names in lines.values()]
                for lines in (figures, tests)
            )
            verdict = one.verdict.removesuffix(" to judge by article").replace("too few ", "too few\n")
            verdict = IN_CELL.get(verdict, verdict)
            name = _name(one, many) if headed else setting
            rows.append([name, *cells, ((verdict, STYLES.get(one.verdict, "yellow")),), *p_values])
    name = "MAP, the confirmatory family" if family == "confirmatory" else family
    first, verdicts = Column("b\n- a" if many else "", "name", least=13), Column("verdict", "word", least=15)
    notes = (f"and {more} rows more: --markdown and --json give all\n",) if more else ()
    # the verdict before its p: a narrow terminal shows these in a second table
    heads = (first, *map(Column, figures), verdicts, *map(Column, tests))
    return Table(f"{name}: {comparisons[0].adjustment}", heads, rows, notes, frame="dense")


def _name(comparison: Comparison, many: bool) -> str:
    name = on_two_lines(cell_name(comparison), ONE_LINE)
    if not many:
        return name
    pair = f"{comparison.b}\n- {comparison.a}"
    return pair if comparison.scope == "macro" else f"{pair}\n{name}"


def _over_seeds(task: TaskComparison, plain: bool) -> Table:
    """Arms of several seeds; on a terminal by question above, by article below."""
    title = f"MAP over seeds: Holm over {len(task.over_seeds)} differences of arms"
    rows: list[Sequence[Cell]] = []
    for one in task.over_seeds:
        names = one.setting, f"{one.b} ({one.seeds_b})", f"{one.a} ({one.seeds_a})"
        values = number(one.value_a), number(one.value_b), signed(one.difference)
        both = [
            (", ".join(map(number, interval)), probability(p), probability(adjusted))
            for interval, p, adjusted in (
                (one.interval, one.p, one.p_adjusted),
                (one.article_interval, one.p_article, one.p_article_adjusted),
            )
        ]
        if plain:
            rows.append([*names, *values, *(cell for pair in zip(*both, strict=True) for cell in pair), one.verdict])
        else:
            cells = ("\n".join(pair) for pair in zip(*both, strict=True))
            name = f"{names[0]}\n{names[1]}\n- {names[2]}"
            rows.append([name, *values, *cells, ((IN_CELL.get(one.verdict, one.verdict), ""),)])
    notes = (
        "Seeds and questions, or articles, drawn together (t): about ways of training, as far as their seeds tell.",
    )
    if plain:
        figures = "value a", "value b", "b - a", "95% interval", "by article", "p", "p by article"
        adjusted_too = "p adjusted", "p by article adjusted", "verdict"
        return Table(title, columns("setting", "b", "a", *figures, *adjusted_too, names=3), rows, notes)
    heads = ("a", "b", "b - a", "95% interval\nby article", "p\nart.", "p adj.\nart.")
    named = (
        Column("b (seeds)\n- a (seeds)", "name", least=13),
        *map(Column, heads),
        Column("verdict", "word", least=15),
    )
    return Table(title, named, rows, (f"{notes[0]}\n",), frame="dense")


def _groups(task: TaskComparison, plain: bool) -> Table:
    """Group means and gaps to English; on a terminal under each setting and name a row a record."""
    rows = []
    for one in task.groups:
        both = zip((half_width(one.interval), half_width(one.article_interval)), one.thin, strict=True)
        widths = (number(None) if half is None else marked(number(half), half, thin) for half, thin in both)
        rows.append((one.setting, one.key.replace(" - ", MINUS), one.record, number(one.value), *widths))
    if plain:
        title = "language groups and gaps to English, with half of the 95% interval by question and by article"
        return Table(title, columns("setting", "figure", "record", "value", "± question", "± article", names=3), rows)
    title = "language groups and their gaps to English, map; ± half of the 95% interval by question, by article"
    sections: list[Sequence[Cell]] = []
    for setting in dict.fromkeys(row[0] for row in rows):
        sections += [[((setting, "bold"),)], *_together(row[1:] for row in rows if row[0] == setting)]
    figure_heads = map(Column, ("value", "± question", "± article"))
    return Table(title, (Column("", "name"), Column("record", "name", most=36), *figure_heads), sections)


def _worst(task: TaskComparison, plain: bool) -> Table:
    """The worst query language of each record and how far apart its languages are; no test."""
    rows = []
    for one in task.languages:
        shares = _shares(one.worst_share), _shares(one.worst_share_article)
        figures = number(one.values[one.worst]), *shares, number(one.spread), number(one.deviation)
        rows.append((one.setting, one.metric, one.record, one.worst, *figures))
    if plain:
        headings = ["setting", "metric", "record", "worst", "value", "worst in resamples", "of articles"]
        headings += ["best - worst", "st. dev."]
        return Table("worst query language and spread over languages (no test)", columns(*headings, names=4), rows)
    several = len({one.metric for one in task.languages}) > 1
    labels = [record.label for record in task.records]
    letters = dict(zip(labels, "ab", strict=True)) if len(labels) == 2 else {}
    names = Column("", "name"), Column("record", "name", most=32)
    words = Column("worst", "word"), Column("best - worst"), Column("st. dev.")
    return Table(
        "worst query language, and how far apart the languages are; no test: the worst is chosen by looking",
        (*names, *words, Column("worst in resamples\nof articles", "word")),
        _together(
            (
                f"{setting} {metric}" if several else setting,
                letters.get(record, record),
                f"{worst} {value}",
                *more,
                f"{share}\n{of_articles}",
            )
            for setting, metric, record, worst, value, share, of_articles, *more in rows
        ),
    )


def _shares(worst: Mapping[str, float]) -> str:
    """In which share of the resamples a language is the worst: the three that are it most often."""
    most = sorted(worst.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{name} {share:.0%}" for name, share in most if share >= 0.01)


def _together(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    """The rows brought together by their name, the first cell, which stands in the first of them only."""
    by_name: dict[str, list[Sequence[str]]] = {}
    for name, *cells in rows:
        by_name.setdefault(name, []).append(cells)
    return [["" if n else name, *cells] for name, of_name in by_name.items() for n, cells in enumerate(of_name)]


def power_table(task: TaskComparison, *, plain: bool = True) -> Table:
    """Smallest detectable differences: one figure, or the least and the greatest over several pairs."""
    first = task.power[0]
    title = (
        f"smallest true difference that one unadjusted t-test at {first.alpha:.0%} finds with {first.power:.0%} power"
    )
    spans = {}
    for place in dict.fromkeys((one.setting, one.metric) for one in task.power):
        here = [one for one in task.power if (one.setting, one.metric) == place]
        spans[place] = _span(one.question for one in here), _span(one.article for one in here)
    if plain:
        headings = columns("setting", "metric", "by question", "by article", names=2)
        return Table(title, headings, [(*place, *of_place) for place, of_place in spans.items()], (POWER_NOTE,))
    settings, metrics = (dict.fromkeys(names) for names in zip(*spans, strict=True))
    if (pairs := _pairs(task.power)) > 1:
        title += f"; least and greatest over {pairs} pairs"
    return Table(
        title,
        columns("metric", *(part for name in settings for part in (f"{SHORT.get(name, name)}\nquestion", "\narticle"))),
        [
            (metric, *(cell for setting in settings for cell in spans.get((setting, metric), ("–", "–"))))
            for metric in metrics
        ],
        (f"{POWER_NOTE}\n",),
    )


def _span(values: Iterable[float | None]) -> str:
    """One figure, or the least and the greatest of several."""
    defined = sorted(value for value in values if value is not None)
    return " to ".join(dict.fromkeys(map(number, defined[:1] + defined[-1:]))) or "–"
