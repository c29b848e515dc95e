"""Records on one screen, in plain words: at most 20 lines of 80 columns each, or side by side; `results` has all."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from rich.console import Group, RenderableType
from rich.text import Text

from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import CROSS_LINGUAL, MAIN_METRIC, MONOLINGUAL, MULTILINGUAL, SETTINGS
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import Figure
from xqr_bench.record import Record, unrepresented_languages
from xqr_bench.record.describe import coverage
from xqr_bench.report.numbers import MARK, THIN, half_width, metric_title, number, with_half_width
from xqr_bench.report.results import protocol_lines, warning_lines
from xqr_bench.report.table import Column, Table, columns
from xqr_bench.report.text import wrap

WIDTH = 80
LINES = 19
"""Of a record, and one more says where it is."""
FIRST = (MAIN_METRIC, "recall@10", "ndcg@10")
"""The scores that are shown; a record without them shows its first three."""
BIAS = {
    "rank_distance": ("ranks, first answer to last", "lower is better"),
    "own_language_first": ("own language's answer first", "0 never, 1 always"),
    "language_order_w_others": ("order of other languages", "0 none, 1 always the same"),
    "rank_variance": ("spread of the answers", "0 all together, 1 far apart"),
    "language_position": ("place of the own language", "0 first, 1 last"),
    "language_order_w_corrected": ("order of languages", "0 none, 1 always the same"),
    "top_right_other": ("first right, other language", "share of the queries"),
    "top_wrong_other": ("first wrong, other language", "share of the queries"),
    "top_right_own": ("first right, own language", "share of the queries"),
    "top_wrong_own": ("first wrong, own language", "share of the queries"),
}
"""Bias measures in the order in which three are shown: what each is, and how it is read; docs/metrics.md defines."""
CHANCE = {name: 0.0 for name in BIAS if name.startswith("language_order_w_")}
"""Random rankings by definition: W without its chance level."""
MORE = "all measures: --full"


def brief(record: Record, width: int = WIDTH) -> Group:
    """A record on one screen: scores in each setting, bias, languages, what to know of them.

    Args:
        record: a whole one; of a submission, macro averages alone have no languages.
        width: cells, at most.
    """
    task = record.task
    languages = f"{len(task.all_languages)} language{'s' * (len(task.all_languages) != 1)}"
    title = f"{record.model.name} on {task.title}: {languages}, {task.n_questions:,} questions"
    how = [line.removeprefix(f"{task.name}: ") for line in protocol_lines([record])]
    how.sort(key=lambda line: not line.startswith("lists cut"))  # the one that must not be cut off
    tables = [table for table in (scores_table(record), bias_table(record)) if table.rows]
    ordered = languages_in_order(record, width)
    head = [Text(line, style="bold") for line in wrap(title, width, 2)]
    head += [Text(line) for line in wrap("; ".join(how), width, 3)] if how else []
    used = len(head) + sum(1 + len(table.rows) for table in tables) + len(ordered)
    warnings = [line.removeprefix(f"{task.name}: ") for line in warning_lines([record])]
    warnings = warnings_in_short(warnings, width)
    notes = wrap("; ".join(notes_of(record, tables)), width, max(1, min(4, LINES - used - len(warnings))))
    spare = LINES - used - len(notes) - len(warnings)
    if spare < 0:
        kept = max(0, len(warnings) + spare - 1)
        warnings[kept:] = [f"! and {len(warnings) - kept} more lines of warnings: --full"]
    parts: list[RenderableType] = [*head]
    blocks: list[list[RenderableType]] = [[table.terminal()] for table in tables]
    blocks.append([Text(line) for line in ordered])
    for n, block in enumerate(blocks):
        parts += [*([""] if block and spare > n else []), *block]
    parts += [*([""] if spare > len(tables) + 1 else []), *(Text(line, style="dim") for line in notes)]
    parts += [Text(line, style="yellow") for line in warnings]
    return Group(*parts)


def warnings_in_short(warnings: Sequence[str], width: int) -> list[str]:
    """A line a warning, cut; those whose lines differ in one word are one, with all of its words, in two lines at most.

    Args:
        warnings: whole.
        width: cells.
    """
    alike: list[list[list[str]]] = []  # words of the lines
    cut = dict.fromkeys(wrap(f"! {shown_line(line)}", width, 1)[0] for line in warnings)
    for words in map(str.split, cut):
        for group in alike:
            differ = [
                [place for place, (one, other) in enumerate(zip(first, words, strict=False)) if one != other]
                for first in group
            ]
            if len(group[0]) == len(words) and all(len(places) == 1 and places == differ[0] for places in differ):
                group.append(words)
                break
        else:
            alike.append([words])
    lines = []
    for group in alike:
        merged = [", ".join(dict.fromkeys(words)) for words in zip(*group, strict=True)]
        first, *second = wrap(" ".join(merged), width if len(group) == 1 else width - 2, min(2, len(group)))
        lines += [first, *(f"  {line}" for line in second)]
    return lines


def shown_scores(record: Record) -> list[str]:
    """The names of the three scores that are shown."""
    names = [name for name in record.task.metrics if parse_metric(name).kind == "score"]
    return [*(name for name in FIRST if name in names), *(name for name in names if name not in FIRST)][:3]


def shown_bias(record: Record) -> list[str]:
    """The names of the three bias measures that are shown: the first that have a value."""
    scores = record.scores.get(MULTILINGUAL)
    macro = scores.macro if scores else {}
    names = [name for name in record.task.metrics if parse_metric(name).kind == "bias"]
    ordered = [*(name for name in BIAS if name in names), *(name for name in names if name not in BIAS)]
    return [name for name in ordered if name in macro and macro[name].value is not None][:3]


def scores_table(record: Record) -> Table:
    """A row a setting, a column a score."""
    names = shown_scores(record)
    rows = [[setting, *(_cell(record, setting, name) for name in names)] for setting in _settings([record])]
    return Table(
        "", columns("", *(metric_title(name, inside=True) for name in names)), rows if names else [], frame="list"
    )


def bias_table(record: Record) -> Table:
    """A row a measure: what it is, its value, that of random rankings, and how it is read."""
    rows = []
    for name in shown_bias(record):
        words, reading = BIAS.get(name, (metric_title(name, inside=True), ""))
        rows.append([words, _cell(record, MULTILINGUAL, name), _random(record, name), reading])
    heads = Column("bias, multilingual", "name"), Column("value"), Column("random"), Column("", "name")
    return Table("", heads, rows, frame="list")


def _settings(records: Sequence[Record]) -> list[str]:
    return [name for name in SETTINGS if any(name in record.scores for record in records)]


def _figure(record: Record, setting: str, metric: str) -> Figure | None:
    scores = record.scores.get(setting)
    return scores.macro.get(metric) if scores else None


def _cell(record: Record, setting: str, metric: str) -> str:
    """A macro average as printed; empty where the record has no such figure, – where it is undefined."""
    figure = _figure(record, setting, metric)
    return "" if figure is None else with_half_width(figure)


def _random(record: Record, metric: str) -> str:
    figure = _figure(record, MULTILINGUAL, metric)
    random = None if figure is None else figure.random_reference
    random = CHANCE.get(metric) if random is None else random
    return "" if random is None else "0" if random == 0 else number(random)


def languages_in_order(record: Record, width: int) -> list[str]:
    """The query languages from the best to the worst by the first score, in at most three lines."""
    setting = next((name for name in (MULTILINGUAL, CROSS_LINGUAL, MONOLINGUAL) if name in record.scores), None)
    metric = next(iter(shown_scores(record)), None)
    if setting is None or metric is None:
        return []
    of_language = record.scores[setting].by_query_language
    figures = [(code, of[metric]) for code, of in of_language.items() if metric in of and of[metric].value is not None]
    if len(figures) < 2:
        return []
    ordered = sorted(figures, key=lambda one: -(one[1].value or 0.0))
    marked = unrepresented_languages(record)
    items = []
    for code, one in ordered:
        thin = THIN * (one.thin[0] and bool(half_width(one.interval)))
        items.append(f"{code}{MARK if code in marked else ''} {number(one.value, digits=3)}{thin}")
    label = f"query languages by {setting} {metric_title(metric, inside=True)}, best first: "
    for kept in range(len(items) // 2, 0, -1):
        rest = len(items) - 2 * kept
        some = items if rest <= 1 else [*items[:kept], f"({rest} more)", *items[-kept:]]
        lines = textwrap.wrap(label + ", ".join(item.replace(" ", "\u00a0") for item in some), width)
        if len(lines) <= 3:
            break
    return [line.replace("\u00a0", " ") for line in lines]


def notes_of(record: Record, tables: Sequence[Table]) -> Iterator[str]:
    """What the figures that are shown need beside them."""
    shown = [(setting, name) for setting in _settings([record]) for name in shown_scores(record)]
    shown += [(MULTILINGUAL, name) for name in shown_bias(record)]
    figures = [(setting, name, figure) for setting, name in shown if (figure := _figure(record, setting, name))]
    text = "".join(chain.from_iterable(chain.from_iterable(table.texts()) for table in tables))
    if "±" in text:
        yield "±: half of the 95% interval over questions"
    for setting, name, figure in figures:
        if figure.ceiling is not None and figure.ceiling < 0.9995 and parse_metric(name).kind == "score":
            yield f"{setting} {metric_title(name, inside=True)} is at most {number(figure.ceiling, digits=3)}"
    yield from _of_marks(text)
    if unrepresented_languages(record):
        yield f"{MARK} many different queries have the same vector"
    missing = {
        f"{setting} {metric_title(name, inside=True)}": one.undefined_reason
        for setting, name, one in figures
        if one.value is None
    }
    yield from (f"no {name}: {reason or 'the record does not say why'}" for name, reason in missing.items())
    if MULTILINGUAL in record.scores and not shown_bias(record):
        macro = record.scores[MULTILINGUAL].macro
        reasons = [one.undefined_reason for name, one in macro.items() if parse_metric(name).kind == "bias"]
        if reasons:
            yield f"no measure of bias has a value: {reasons[0] or 'the record does not say why'}"
    of_all = tuple(f"{setting} means are" for setting in SETTINGS)
    yield from (line for line in coverage(record) if line.startswith(of_all) and line not in record.warnings)
    yield MORE


def _of_marks(printed: str) -> Iterator[str]:
    """What the mark of thin figures means, behind an interval and where there is none since nothing varies."""
    if re.search(rf"[^ ]{THIN}", printed):
        yield f"{THIN} fewer than 10 questions (or articles) carry the figure"
    if f" {THIN}" in printed:
        yield f"{THIN} without ±: every question has the same value"


# Several records side by side, and one by language.


def labels(records: Sequence[Record], places: Sequence[str]) -> list[str]:
    """A name a record: its model's, and where that is not the only one of its task, its place too.

    Args:
        records: any.
        places: where each was read, all different.
    """
    times = Counter((record.model.name, record.task.name) for record in records)
    return [
        record.model.name + (f" ({place})" if times[record.model.name, record.task.name] > 1 else "")
        for record, place in zip(records, places, strict=True)
    ]


def side_by_side(records: Sequence[Record], names: Sequence[str]) -> list[Table]:
    """Scores and bias: a column a record, a table a task; the tasks of one encoder stand in one table.

    Args:
        records: any.
        names: what their columns are called.
    """
    tasks = list(dict.fromkeys(record.task.name for record in records))
    if len(set(names)) == 1 and len(tasks) == len(records) > 1:
        return [_beside(names[0], records, [record.task.name for record in records], random=False)]
    tables = []
    for task in tasks:
        chosen = [(one, name) for one, name in zip(records, names, strict=True) if one.task.name == task]
        info = chosen[0][0].task
        title = f"{info.title}: {len(info.all_languages)} languages, {info.n_questions:,} questions"
        tables.append(_beside(title, *zip(*chosen, strict=True), random=True))  # type: ignore[arg-type]
    return tables


def _beside(title: str, records: Sequence[Record], names: Sequence[str], *, random: bool) -> Table:
    """A column a record; those who read bias need its random value beside it."""
    scores = list(dict.fromkeys(name for record in records for name in shown_scores(record)))
    rows = []
    for setting in _settings(records):
        for metric in scores:
            cells = [_cell(record, setting, metric) for record in records]
            if any(cells):
                rows.append([f"{setting} {metric_title(metric, inside=True)}", *cells, *([""] if random else [])])
    bias = list(dict.fromkeys(name for record in records for name in shown_bias(record)))
    for metric in sorted(bias, key=lambda name: list(BIAS).index(name) if name in BIAS else len(BIAS)):
        cells = [_cell(record, MULTILINGUAL, metric) for record in records]
        references = next((text for record in records if (text := _random(record, metric))), "")
        words, _ = BIAS.get(metric, (metric_title(metric, inside=True), ""))
        rows.append([words, *cells, *([references] if random else [])])
    heads = columns("", *names, *(["random"] if random and bias else []))
    rows = [row[: len(heads)] for row in rows]
    printed = "".join(cell for row in rows for cell in row)
    notes = [f"{BIAS[name][0]}: {BIAS[name][1]}." for name in bias if name in BIAS]
    notes += ["±: half of the 95% interval over questions."] * ("±" in printed)
    notes += [f"{line}." for line in _of_marks(printed)]
    return Table(title, heads, rows, notes, frame="open")


def by_language(records: Sequence[Record], names: Sequence[str], metric: str | None = None) -> list[Table]:
    """A row a query language: of one record a column a setting, of several a table a setting, a column a record.

    Args:
        records: whole ones of one task.
        names: what they are called.
        metric: its name; None: the first that is shown.
    """
    metric = parse_metric(metric).name if metric else next(iter(shown_scores(records[0])), MAIN_METRIC)
    languages = dict.fromkeys(code for record in records for code in record.task.all_languages)
    marked = {code for record in records for code in unrepresented_languages(record)}
    title = f"{records[0].task.title}: {metric_title(metric, inside=True)} by query language"

    def cell(record: Record, setting: str, code: str) -> str:
        scores = record.scores.get(setting)
        figure = scores.by_query_language.get(code, {}).get(metric) if scores else None
        return "" if figure is None else with_half_width(figure)

    def table(title: str, heads: Sequence[str], cells: Sequence[tuple[Record, str]]) -> Table:
        rows = [
            [f"{code}{MARK if code in marked else ''}", *(cell(record, setting, code) for record, setting in cells)]
            for code in languages
        ]
        rows = [row for row in rows if any(row[1:])]
        printed = "".join(chain.from_iterable(rows))
        notes = ["±: half of the 95% interval over questions."] * ("±" in printed)
        notes += [f"{line}." for line in _of_marks(printed)]
        notes += [f"{MARK} many different queries have the same vector."] * (MARK in printed)
        return Table(title, columns("language", *heads), rows, notes, frame="open")

    settings = _settings(records)
    if len(records) == 1:
        return [table(f"{names[0]}, {title}", settings, [(records[0], setting) for setting in settings])]
    return [table(f"{title}, {setting}", names, [(record, setting) for record in records]) for setting in settings]


FIGURES = ("value", "low", "high", "article low", "article high", "random", "n")


def exact_figures(records: Sequence[Record], names: Sequence[str], *, languages: bool = False) -> Table:
    """Every figure unrounded, a row each: macro averages, or those by query language.

    Args:
        records: any; whole ones for languages.
        names: what they are called.
        languages: those by query language.
    """
    rows = []
    for record, name in zip(records, names, strict=True):
        for setting, scores in record.scores.items():
            for part, key, metric, figure in scores.items():
                if part != ("by_query_language" if languages else "macro"):
                    continue
                both = figure.interval, figure.article_interval
                ends = [end for one in both for end in ((one.low, one.high) if one else (None, None))]
                numbers = figure.value, *ends, figure.random_reference, figure.n
                texts = ("" if value is None else repr(value) for value in numbers)
                rows.append([name, record.task.name, setting, *([key] if languages else []), metric, *texts])
    heads = ["model", "task", "setting", *(["language"] if languages else []), "metric"]
    return Table("", columns(*heads, *FIGURES, names=len(heads)), rows)
