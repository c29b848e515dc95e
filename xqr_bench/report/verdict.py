"""A comparison on one screen: the table of MAP, and in one sentence what it says; `comparison_tables` has all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xqr_bench.analysis.choice import Comparison, Display, TaskComparison
from xqr_bench.core.types import MAIN_METRIC
from xqr_bench.measure.linear import ALPHA
from xqr_bench.measure.paired import QUESTION_ONLY, SIGNIFICANT, TOO_FEW, least_p
from xqr_bench.measure.scores import Interval
from xqr_bench.report.brief import WIDTH
from xqr_bench.report.comparison import NEEDED, head_of
from xqr_bench.report.numbers import THIN, cell_name, ends, metric_title, number, probability, short, signed
from xqr_bench.report.table import Column, Table, columns
from xqr_bench.report.text import wrap

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

NAME = 60
"""Characters of a name in a sentence."""
BOTH_NAMES = 64
"""Of two names together; where they are longer, the sentence calls the records a and b, as the table does."""


def comparison_brief(task: TaskComparison, width: int = WIDTH) -> Group:
    """What `compare` prints first of one task.

    Args:
        task: what was found.
        width: cells, at most.
    """
    from rich.console import Group
    from rich.text import Text

    main, asked = task.family("confirmatory"), task.family("exploratory")
    tables = [letters_table(task)] if task.displays else [differences_table(main)] if main else []
    further = [differences_table(asked, of_pairs=len(task.records) > 2)] if asked and task.asked else []
    parts: list[RenderableType] = [head_of(task, paths=False)]
    parts += [part for table in tables for part in (table.terminal(), "")]
    parts += [Text(line, style="bold") for line in wrap(verdict(task), width)]
    for table in further:
        parts += ["", table.terminal(), ""]
        found = sum(one.verdict == SIGNIFICANT for one in asked)
        told = f"Told apart: {found} of {len(asked)}."
        few = [one for one in asked if one.verdict.startswith(TOO_FEW)]
        if few:
            told += f" Not judged: {len(few)}, since {few[0].n_articles} articles are too few."
        parts += [Text(line) for line in wrap(told, width)]
    parts += ["", *(Text(line, style="dim") for line in wrap("; ".join(_notes(task, tables + further)), width))]
    parts += [Text(line, style="yellow") for note in task.notes for line in wrap(f"! {note}", width)]
    return Group(*parts)


def _notes(task: TaskComparison, shown: Sequence[Table]) -> list[str]:
    printed = "".join(cell for table in shown for row in table.texts() for cell in row)
    notes = ["records that share a letter are not told apart"] if task.displays else []
    main = task.family("confirmatory")
    if task.displays and least_p(main[0].n_articles) * len({one.setting for one in main}) > ALPHA:
        notes.append(
            f"{main[0].n_articles} articles are too few to tell by article: p is never below "
            f"{probability(least_p(main[0].n_articles))} before it is adjusted"
        )
    if len(shown) > bool(task.displays):
        notes.append("p: the greater of two, by question and by article, adjusted for how many are tested")
    if THIN in printed:
        notes.append(f"{THIN} fewer than 10 questions (or articles) carry the figure")
    if task.over_seeds:
        notes.append("arms of several seeds are compared too: --full")
    return [*notes, "about these weights and languages, not a way of training", "all tests: --full"]


def differences_table(shown: Sequence[Comparison], *, of_pairs: bool = False) -> Table:
    """A row a figure: both values, their difference, its intervals and p."""
    several = len({(one.metric, one.key) for one in shown}) > 1 or shown[0].metric != MAIN_METRIC
    rows = []
    for one in shown:
        name = one.setting
        if several:
            of = f" {cell_name(one)}" if one.key else ""
            name = f"{name} {metric_title(one.metric, inside=True)}{of}"
        if of_pairs:
            name = f"{name}, {short(one.b, NAME)} - {short(one.a, NAME)}"
        intervals = ends(one.interval, one.thin[0]), ends(one.article_interval, one.thin[1])
        p = probability(max(one.p_adjusted, one.p_article_adjusted))
        rows.append([name, number(one.value_a), number(one.value_b), signed(one.difference), *intervals, p])
    first = "" if several else metric_title(MAIN_METRIC, inside=True)
    both = "95% interval\nby question", "\nby article"
    return Table("", (Column(first, "name"), *columns("a", "b", "b - a", *both, "p", names=0)), rows, frame="list")


def letters_table(task: TaskComparison) -> Table:
    """A row a record, best first: its MAP in each setting, with letters for what is not told apart."""
    heads = [Column("MAP", "name", most=36)]
    rows: list[list[str]] = [[record] for record in task.displays[-1].records]
    for display in task.displays:
        heads += [Column(display.setting), Column("", "word")]
        for row in rows:
            place = display.records.index(row[0])
            row += [number(display.values[place]), display.letters[place]]
    return Table("", heads, rows, frame="list")


# The sentence.


def verdict(task: TaskComparison) -> str:
    """Which record is better in which setting and by how much, or what could have been found, in one sentence."""
    main = task.family("confirmatory")
    if not main:
        return "Not every record holds MAP, so there is no verdict."
    parts = _of_many(task.displays, main) if task.displays else _of_two(task, main)
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:] if text.startswith(("in the ", "in all ", "in both ", "a is ", "b is ")) else text


def _of_many(displays: Sequence[Display], main: Sequence[Comparison]) -> list[str]:
    """The best records of each setting, those together that say the same."""
    few = {(one.setting, one.a, one.b) for one in main if one.verdict.startswith(TOO_FEW)}
    said: dict[str, list[str]] = {}
    for display in displays:
        best, letters = display.records[0], set(display.letters[0])
        equal = [
            record for record, own in zip(display.records[1:], display.letters[1:], strict=True) if letters & set(own)
        ]
        unjudged = [one for one in equal if {(display.setting, *pair) for pair in ((best, one), (one, best))} & few]
        what = f"{_named(best)} is the best of all"
        if equal:
            rest = [one for one in equal if one not in unjudged]
            reasons = [f"is not told apart from {_joined(list(map(_named, rest)))}"] if rest else []
            if unjudged:
                names = _joined(list(map(_named, unjudged)))
                reasons.append(f"{main[0].n_articles} articles are too few to tell it apart from {names}")
            what = f"{_named(best)} has the highest MAP but {' and '.join(reasons)}"
        said.setdefault(what, []).append(display.setting)
    return [f"{_where(settings, len(displays))}, {what}" for what, settings in said.items()]


def _named(record: str) -> str:
    """A record's name in a sentence; in quotes where it could be read as two, or as a part of the sentence."""
    name = short(record, NAME)
    return f'"{name}"' if any(sign in name for sign in (",", ";", " and ")) else name


def _where(settings: Sequence[str], n: int) -> str:
    if len(settings) == n > 1:
        return f"in {'both' if n == 2 else 'all three'} settings"
    return f"in the {_joined(settings)} setting{'s' * (len(settings) > 1)}"


def _of_two(task: TaskComparison, main: Sequence[Comparison]) -> list[str]:
    """What is told apart, by each winner, and what is not, with its reason."""
    better: dict[str, list[Comparison]] = {}
    others: dict[str, list[Comparison]] = {}
    for one in main:
        if one.verdict == SIGNIFICANT:
            better.setdefault(one.b if one.difference > 0 else one.a, []).append(one)
        else:
            others.setdefault("too few articles" if one.verdict.startswith(TOO_FEW) else one.verdict, []).append(one)
    parts = []
    called = {one: _named(one) for one in (main[0].a, main[0].b)}
    if sum(map(len, called.values())) > BOTH_NAMES:
        called = {main[0].a: "a", main[0].b: "b"}
    for winner, won in better.items():
        loser = won[0].a if winner == won[0].b else won[0].b
        amounts = [_amount(one, one.setting if len(won) > 1 else "") for one in won]
        where = _where([one.setting for one in won], len(main))
        parts.append(f"{called[winner]} is better than {called[loser]} {where}, by {_joined(amounts)}")
    for reason, same in others.items():
        where = _where([one.setting for one in same], len(main))
        if reason == QUESTION_ONLY:
            parts.append(f"{where} they are told apart by questions, but not by articles")
        elif reason == "too few articles":
            parts.append(f"{where} {same[0].n_articles} articles are too few to tell them apart by article")
        else:
            parts.append(f"{where} they are not told apart{_detectable(task, same)}")
    return parts


def _amount(one: Comparison, setting: str) -> str:
    """The size of a difference with the wider one of its intervals."""
    intervals = [interval for interval in (one.interval, one.article_interval) if interval is not None]
    widest = max(intervals, key=_width, default=None)
    inside = [setting] if setting else []
    if widest is not None:
        ends = (widest.low, widest.high) if one.difference > 0 else (-widest.high, -widest.low)
        inside.append(f"95% interval {' to '.join(map(number, ends))}")
    return number(abs(one.difference)) + (f" ({', '.join(inside)})" if inside else "")


def _width(interval: Interval) -> float:
    return interval.high - interval.low


def _detectable(task: TaskComparison, same: Sequence[Comparison]) -> str:
    """The smallest differences that could have been found in these settings, where they are known."""
    sizes = {
        (power.setting, power.metric): NEEDED * max(power.question, power.article)
        for power in task.power
        if power.question is not None and power.article is not None
    }
    found = [
        number(sizes[one.setting, one.metric], digits=3) + (f" ({one.setting})" if len(same) > 1 else "")
        for one in same
        if (one.setting, one.metric) in sizes
    ]
    return f", where a difference of about {_joined(found)} could have been found" if found else ""


def _joined(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
