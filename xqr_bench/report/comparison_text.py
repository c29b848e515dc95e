"""A comparison of records as Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xqr_bench import __version__
from xqr_bench.comparison import Comparison, TaskComparison
from xqr_bench.printable import markdown_shown, shown_line
from xqr_bench.report.comparison import spanned, worst_shares
from xqr_bench.report.figures import cell_name, effect, ends, half_width, probability, signed
from xqr_bench.report.terminal import number

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
