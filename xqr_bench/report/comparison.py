"""Comparisons of records as tables for a terminal, and as Markdown or LaTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xqr_bench import __version__
from xqr_bench.analysis.choice import Comparison, Detectable, Figure, TaskComparison, WorstLanguage
from xqr_bench.core.printable import markdown_shown, shown_line
from xqr_bench.measure.certainty import GAP
from xqr_bench.report.terminal import MINUS, SHORT, cell_name, effect, ends, half_width, number, probability, signed

# A comparison of records as tables for a terminal of 100 columns.

PAIRS_SHOWN = 45
ONE_LINE = 19  # characters of a name that needs no second line
STYLES = {"significant": "bold", "question level only": "yellow", "not distinguishable": "dim"}
READ = (
    "Second line of a row: by article. Effect: b - a in standard deviations of a question's difference. "
    "Significant: both adjusted p are at most .05."
)


def comparison_tables(found: TaskComparison) -> RenderableType:
    """All tables of one task."""
    parts: list[RenderableType] = [_head(found)]
    main = found.family("confirmatory")
    if found.displays:
        parts.append(letters_table(found))
    if main:
        title = f"MAP, the confirmatory family: {main[0].adjustment}"
        parts.append(differences_table(title, main))
    more = found.family("exploratory")
    if more:
        parts.append(differences_table(f"exploratory: {more[0].adjustment}", more))
    if main or more:
        parts.append(Text(READ + "\n", style="dim"))
    if found.groups:
        parts.append(groups_table(found.groups))
    if found.languages:
        parts.append(languages_table(found.languages))
    if found.power:
        parts.append(power_table(found.power))
    parts.append(Text(f"{found.resamples:,} resamples, seed {found.seed}", style="dim"))
    parts += [Text(f"! {note}", style="yellow") for note in found.notes]
    return Group(*parts)


def _head(found: TaskComparison) -> Text:
    names = "ab" if len(found.records) == 2 else "".join(" " for _ in found.records)
    width = max(len(record.label) for record in found.records)
    lines = [f"{found.title}: {found.n_questions:,} questions in {found.n_articles:,} articles"]
    if found.relevance != "strict":
        lines[0] += f"; {found.relevance} relevance (docs/relevance.md)"
    lines += [
        f"  {name}  {record.label:<{width}}  {record.path}" for name, record in zip(names, found.records, strict=True)
    ]
    text = Text("\n".join(lines) + "\n", no_wrap=False)
    text.stylize("bold", 0, len(found.title))
    return text


def differences_table(title: str, comparisons: Sequence[Comparison]) -> RenderableType:
    """One row a comparison: by question above, by article below."""
    many = len({(found.a, found.b) for found in comparisons}) > 1
    tukey = comparisons[0].p_tukey is not None
    table = _table(gap=0)
    table.add_column("b\n- a" if many else "", overflow="fold", min_width=13)
    for name in ("a", "b", "b - a"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("95% interval\nby article", justify="right", no_wrap=True)
    table.add_column("effect", justify="right", no_wrap=True)
    table.add_column("p\nart.", justify="right", no_wrap=True)
    table.add_column("Tukey\nart." if tukey else "p (t)\nart.", justify="right", no_wrap=True)
    table.add_column("p adj.\nart.", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True, min_width=15)
    shown = comparisons[:PAIRS_SHOWN]
    for (setting, metric), cells in groupby(
        sorted(shown, key=lambda found: _place(comparisons, found)), key=lambda found: (found.setting, found.metric)
    ):
        sections = many or len(shown) > len({found.setting for found in shown})
        if sections:
            table.add_row(Text(f"{setting} {metric}", style="bold", overflow="fold"))
        for found in cells:
            name = _name(found, many) if sections else setting
            table.add_row(*_row(name, found, tukey))
    more = len(comparisons) - len(shown)
    return _titled(title, table, f"and {more} rows more: --markdown and --json give all" if more else "")


def _place(comparisons: Sequence[Comparison], found: Comparison) -> int:
    """Where the section of a comparison begins."""
    return next(
        i for i, other in enumerate(comparisons) if (other.setting, other.metric) == (found.setting, found.metric)
    )


def _name(found: Comparison, many: bool) -> str:
    name = cell_name(found)
    if len(name) > ONE_LINE:
        name = name.replace(MINUS, f"\n{MINUS.lstrip()}")
    if not many:
        return name
    pair = f"{found.b}\n- {found.a}"
    return pair if found.scope == "macro" else f"{pair}\n{name}"


def _row(name: str, found: Comparison, tukey: bool) -> list[RenderableType]:
    second = (found.p_tukey or 0.0, found.p_article_tukey or 0.0) if tukey else (found.p_t, found.p_article_t)
    verdict = found.verdict.replace("question level only", "question level\nonly")
    return [
        name,
        number(found.value_a),
        number(found.value_b),
        signed(found.difference),
        f"{ends(found.interval)}\n{ends(found.article_interval)}",
        effect(found.effect_size),
        f"{probability(found.p)}\n{probability(found.p_article)}",
        f"{probability(second[0])}\n{probability(second[1])}",
        f"{probability(found.p_adjusted)}\n{probability(found.p_article_adjusted)}",
        Text(verdict.replace("not disting", "not\ndisting"), style=STYLES.get(found.verdict, "")),
    ]


def letters_table(found: TaskComparison) -> RenderableType:
    """Records by setting, with compact letters; the order is that of the last setting."""
    table = _table()
    table.add_column("record", overflow="fold", max_width=40)
    for display in found.displays:
        table.add_column(SHORT.get(display.setting, display.setting), justify="right")
        table.add_column("", justify="left")
    for record in found.displays[-1].records:
        cells = []
        for display in found.displays:
            place = display.records.index(record)
            cells += [number(display.values[place]), display.letters[place]]
        table.add_row(record, *cells)
    return _titled(
        "MAP; records that share a letter do not differ significantly in that setting",
        table,
    )


def groups_table(figures: Sequence[Figure]) -> RenderableType:
    """Group means and gaps to English of each record, with half widths by question and by article."""
    table = _table()
    table.add_column("", overflow="fold")
    table.add_column("record", max_width=36, overflow="fold")
    for name in ("value", "± question", "± article"):
        table.add_column(name, justify="right", no_wrap=True)
    keys = list(dict.fromkeys((figure.setting, figure.scope, figure.key) for figure in figures))
    keys.sort(key=lambda key: [figure.setting for figure in figures].index(key[0]))
    for setting, cells in groupby(keys, key=lambda key: key[0]):
        table.add_row(Text(setting, style="bold"))
        for key in cells:
            rows = [figure for figure in figures if (figure.setting, figure.scope, figure.key) == key]
            for index, figure in enumerate(rows):
                name = figure.key.replace(" - ", MINUS) if figure.scope == GAP else figure.key
                table.add_row(
                    name if index == 0 else "",
                    figure.record,
                    number(figure.value),
                    number(half_width(figure.interval)),
                    number(half_width(figure.article_interval)),
                )
    return _titled(
        "language groups and their gaps to English, map; ± half of the 95% interval by question, by article",
        table,
    )


def languages_table(found: Sequence[WorstLanguage]) -> RenderableType:
    """The worst query language of each record and how far apart its languages are; no test."""
    table = _table()
    table.add_column("")
    table.add_column("record", max_width=32, overflow="fold")
    table.add_column("worst", no_wrap=True)
    table.add_column("worst in resamples", no_wrap=True)
    table.add_column("best - worst", justify="right", no_wrap=True)
    table.add_column("st. dev.", justify="right", no_wrap=True)
    several = len({one.metric for one in found}) > 1
    order = list(dict.fromkeys((one.setting, one.metric) for one in found))
    last = None
    for one in sorted(found, key=lambda one: order.index((one.setting, one.metric))):
        place = (one.setting, one.metric)
        name = f"{one.setting} {one.metric}" if several else one.setting
        table.add_row(
            name if place != last else "",
            one.record,
            f"{one.worst} {number(one.values[one.worst])}",
            worst_shares(one),
            number(one.spread),
            number(one.deviation),
        )
        last = place
    return _titled(
        "worst query language, and how far apart the languages are; no test: the worst is chosen by looking",
        table,
    )


def worst_shares(one: WorstLanguage) -> str:
    """The languages that are worst in at least 1% of resamples, at most three."""
    ordered = sorted(one.worst_share.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in ordered[:3] if share >= 0.01)


def power_table(found: Sequence[Detectable]) -> RenderableType:
    """Smallest detectable differences, a row a metric; over several pairs from the least to the greatest."""
    first = found[0]
    pairs = len({(one.a, one.b) for one in found})
    over = f"; least and greatest over {pairs} pairs" if pairs > 1 else ""
    title = f"smallest true difference that one test at {first.alpha:.0%} finds with {first.power:.0%} power{over}"
    table = _table()
    table.add_column("metric")
    settings = list(dict.fromkeys(one.setting for one in found))
    for setting in settings:
        table.add_column(f"{SHORT.get(setting, setting)}\nquestion", justify="right", no_wrap=True)
        table.add_column("\narticle", justify="right", no_wrap=True)
    for metric in dict.fromkeys(one.metric for one in found):
        cells = []
        for setting in settings:
            here = [one for one in found if (one.setting, one.metric) == (setting, metric)]
            cells += [spanned(one.question for one in here), spanned(one.article for one in here)]
        table.add_row(metric, *cells)
    return _titled(title, table)


def spanned(values: Iterable[float | None]) -> str:
    """One figure, or the least and the greatest of several."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return "–"
    low, high = number(known[0]), number(known[-1])
    return low if low == high else f"{low}–{high}"


def _table(*, gap: int = 1) -> Table:
    # the box itself puts one space between columns
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0))


def _titled(title: str, table: Table, below: str = "") -> Group:
    """A table under its title, which may be wider than the table."""
    return Group(Text(title, style="bold italic"), table, *([Text(below + "\n", style="dim")] if below else []))


# A comparison of records as Markdown, LaTeX and JSON.

LATEX = {
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
    "–": "--",
    "≤": r"$\le$",
    # behind the \\ of a row these would be read as its arguments
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}


@dataclass(frozen=True)
class TextTable:
    """A table of plain text; columns before `numbers` are names, the others are set to the right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1


def comparison_json(comparisons: Sequence[TaskComparison]) -> str:
    """All that was found, as JSON: `comparisons` is one list over all tasks."""
    dumped = [found.model_dump(mode="json") for found in comparisons]
    data = {
        "version": __version__,
        "comparisons": [row for task in dumped for row in task.pop("comparisons")],
        "power": [row for task in dumped for row in task.pop("power")],
        "tasks": dumped,
    }
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False)


def comparison_markdown(comparisons: Sequence[TaskComparison]) -> str:
    """All tables in Markdown (GitHub's tables)."""
    parts = []
    for found in comparisons:
        parts += [
            f"## {markdown_shown(found.title)}",
            f"{markdown_shown(_records(found))}.",
            *(_markdown(table) for table in tables(found)),
        ]
        parts += [f"- {markdown_shown(note)}" for note in found.notes]
    return "\n\n".join(parts)


def comparison_latex(comparisons: Sequence[TaskComparison]) -> str:
    """The tables for LaTeX; they need the package booktabs, and graphicx where one is wider than the page."""
    parts = ["% needs \\usepackage{booktabs,graphicx}"]
    for found in comparisons:
        parts += [_latex(table, found) for table in tables(found)]
    return "\n\n".join(parts)


def tables(found: TaskComparison) -> list[TextTable]:
    """All tables of one task."""
    result = []
    if found.displays:
        first = found.displays[0]
        rows = []
        for record in found.displays[-1].records:
            places = [(display, display.records.index(record)) for display in found.displays]
            rows.append((record, *(f"{number(one.values[at])} {one.letters[at]}" for one, at in places)))
        result.append(
            TextTable(
                f"{first.metric}; records that share a letter do not differ significantly ({first.adjustment})",
                ("record", *(display.setting for display in found.displays)),
                tuple(rows),
            )
        )
    for family in ("confirmatory", "exploratory"):
        comparisons = found.family(family)
        if comparisons:
            result.append(_differences(family, comparisons))
    if found.groups:
        result.append(
            TextTable(
                "language groups and gaps to English, with half of the 95% interval by question and by article",
                ("setting", "figure", "record", "value", "± question", "± article"),
                tuple(
                    (
                        figure.setting,
                        figure.key.replace(" - ", " minus "),
                        figure.record,
                        number(figure.value),
                        number(half_width(figure.interval)),
                        number(half_width(figure.article_interval)),
                    )
                    for figure in found.groups
                ),
                names=3,
            )
        )
    if found.languages:
        result.append(
            TextTable(
                "worst query language and spread over languages (no test)",
                ("setting", "metric", "record", "worst", "value", "worst in resamples", "best - worst", "st. dev."),
                tuple(
                    (
                        one.setting,
                        one.metric,
                        one.record,
                        one.worst,
                        number(one.values[one.worst]),
                        worst_shares(one),
                        number(one.spread),
                        number(one.deviation),
                    )
                    for one in found.languages
                ),
                names=4,
            )
        )
    if found.power:
        result.append(_power(found))
    return result


def _differences(family: str, comparisons: Sequence[Comparison]) -> TextTable:
    many = len({(found.a, found.b) for found in comparisons}) > 1
    columns: list[tuple[str, Callable[[Comparison], str]]] = [
        ("setting", lambda found: found.setting),
        ("metric", lambda found: found.metric),
        ("figure", cell_name),
    ]
    if many:
        columns += [("a", lambda found: found.a), ("b", lambda found: found.b)]
    names = len(columns)
    columns += [
        ("value a" if many else "a", lambda found: number(found.value_a)),
        ("value b" if many else "b", lambda found: number(found.value_b)),
        ("b - a", lambda found: signed(found.difference)),
        ("95% interval", lambda found: ends(found.interval)),
        ("by article", lambda found: ends(found.article_interval)),
        ("effect size", lambda found: effect(found.effect_size)),
        ("p", lambda found: probability(found.p)),
        ("p (t)", lambda found: probability(found.p_t)),
        ("p by article", lambda found: probability(found.p_article)),
    ]
    if comparisons[0].p_tukey is not None:
        columns += [
            ("p (Tukey)", lambda found: probability(found.p_tukey or 0.0)),
            ("p by article (Tukey)", lambda found: probability(found.p_article_tukey or 0.0)),
        ]
    columns += [
        ("p adjusted", lambda found: probability(found.p_adjusted)),
        ("p by article adjusted", lambda found: probability(found.p_article_adjusted)),
        ("verdict", lambda found: found.verdict),
    ]
    return TextTable(
        f"{family}: {comparisons[0].adjustment}",
        tuple(name for name, _ in columns),
        tuple(tuple(cell(found) for _, cell in columns) for found in comparisons),
        names,
    )


def _power(found: TaskComparison) -> TextTable:
    first = found.power[0]
    places = list(dict.fromkeys((one.setting, one.metric) for one in found.power))
    rows = []
    for setting, metric in places:
        here = [one for one in found.power if (one.setting, one.metric) == (setting, metric)]
        rows.append((setting, metric, spanned(one.question for one in here), spanned(one.article for one in here)))
    return TextTable(
        f"smallest true difference that one test at {first.alpha:.0%} finds with {first.power:.0%} power",
        ("setting", "metric", "by question", "by article"),
        tuple(rows),
        names=2,
    )


def _records(found: TaskComparison) -> str:
    names = [record.label for record in found.records]
    listing = f"a = {names[0]}, b = {names[1]}" if len(names) == 2 else ", ".join(names)
    units = f"{found.n_questions:,} questions in {found.n_articles:,} articles"
    return f"{listing}; {units}; {found.resamples:,} resamples, seed {found.seed}"


def _markdown(table: TextTable) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(markdown_shown, cells)) + " |"

    rule = ["---" if column < table.names else "---:" for column in range(len(table.header))]
    return "\n".join(
        [f"**{markdown_shown(table.title)}**", "", line(table.header), line(rule), *(line(row) for row in table.rows)]
    )


def _latex(table: TextTable, found: TaskComparison) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(latex_text(cell) for cell in cells) + r" \\"

    caption = latex_text(f"{found.title}, {table.title}. {_records(found)}.")
    wide = len(table.header) > 6
    begin, end = (r"\resizebox{\linewidth}{!}{%", "}") if wide else ("", "")
    columns = "l" * table.names + "r" * (len(table.header) - table.names)
    lines = [
        r"\begin{table*}" if wide else r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        begin,
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        line(table.header),
        r"\midrule",
        *(line(row) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}" + end,
        r"\end{table*}" if wide else r"\end{table}",
    ]
    return "\n".join(part for part in lines if part)


def latex_text(text: str) -> str:
    """Text escaped for LaTeX, with the signs of numbers in mathematics."""
    escaped = "".join(LATEX.get(character, character) for character in shown_line(text))
    return re.sub(r"(?<![\w.])([+-])(?=[.\d]|\s)", lambda sign: f"${sign[1]}$", escaped)
