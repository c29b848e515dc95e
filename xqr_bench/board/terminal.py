"""The leaderboard as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from xqr_bench.board.asked import EXPOSURE_TITLES, View
from xqr_bench.board.model import DECLARED, PROVED, Leaderboard, PublishedRow, Row, TaskFacts, signed_by
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.languages import GROUPS
from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import MAIN_METRIC, MULTILINGUAL, SETTINGS
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import FEW, Figure
from xqr_bench.report.numbers import THIN, marked, number
from xqr_bench.report.table import Cell, Column, Parts, Table

HEADS = {"monolingual": "mono-\nlingual", "cross-lingual": "cross-\nlingual", "multilingual": "multi-\nlingual"}
"""Settings as headings no wider than figures."""
RATIO = "rank_distance"
TIED = "="
NAME_WIDTH = 28
NARROW_NAME = 26
NOTHING = "no submission"
AnyRow = Row | PublishedRow
R = TypeVar("R", Row, PublishedRow)


def check_view(view: View, board: Leaderboard) -> None:
    """Check that the names of a view are there.

    Raises:
        UnknownNameError, UsageError: one is not, or two exclude each other.
    """
    if view.language is not None and view.group is not None:
        raise UsageError("--language and --group exclude each other", remedy="give one of them")
    metric = parse_metric(view.metric)
    if view.metric not in board.metrics:
        raise UnknownNameError("metric of the leaderboard", view.metric, board.metrics)
    languages = {language.code for task in board.tasks.values() for language in task.languages}
    groups = {name for task in board.tasks.values() for name in task.groups}
    if view.language is not None and view.language not in languages:
        raise UnknownNameError("language of these tasks", view.language, languages)
    if view.group is not None and view.group.partition(":")[0] not in groups:
        raise UnknownNameError("language group", view.group, groups)
    sortable = [*view.settings, "model", "date", "status"]
    if view.key not in sortable:
        raise UnknownNameError("order", view.key, sortable)
    if not set(view.settings) & set(metric.settings):
        raise UsageError(
            f"{view.metric} is defined in: {', '.join(metric.settings)}", remedy=f"--setting {metric.settings[0]}"
        )


def show(board: Leaderboard, view: View) -> Group:
    """A table of submissions and one of published figures for each task, and how to read them."""
    parts: list[RenderableType] = []
    for name, task in board.tasks.items():
        rows = [row for row in board.rows if row.task == name]
        published = [row for row in board.published if row.task == name]
        title = f"{task.title}: {view.metric}"
        if view.language is not None:
            title += f", queries in {view.language}"
        elif view.group is not None:
            title += f", languages of {GROUPS[view.group].label if view.group in GROUPS else view.group}"
        asked = _of_task(view, task)
        parts.append(_submissions(title, _sorted(rows, asked), asked).terminal())
        papers = _published(_sorted(published, asked), asked)
        parts += [papers.terminal()] if papers.rows else []
    parts.append(Text("\n".join(_legend(board, view)), style="dim"))
    parts += [Text(f"! {refused.path}: {refused.fault}", style="yellow") for refused in board.refused]
    return Group(*parts)


def _of_task(view: View, task: TaskFacts) -> View:
    """The view without the settings that the task has not, unless it has none of them; sorted by one that it has."""
    settings = tuple(name for name in view.settings if name in task.settings) or view.settings
    return replace(view, settings=settings, sort=None if view.sort in {*SETTINGS} - {*settings} else view.sort)


def figure_of(row: AnyRow, view: View, setting: str, part: str) -> Figure | None:
    """The figure of a row that a column shows."""
    scores = row.scores.get(setting)
    if scores is None or setting not in parse_metric(view.metric).settings:
        return None
    figures = scores if parse_metric(view.metric).kind == "score" else row.bias
    if part:
        return figures.by_group.get(part, {}).get(view.metric)
    if view.language is not None:
        return figures.by_query_language.get(view.language, {}).get(view.metric)
    return figures.macro.get(view.metric)


def _sorted(rows: Sequence[R], view: View) -> list[R]:
    """Best first; bias measures from the least; the floor and the ceiling stand where their figures put them."""
    if view.key == "model":
        return sorted(rows, key=lambda row: row.model.casefold())
    if view.key == "date":
        return sorted(rows, key=lambda row: row.provenance.created if isinstance(row, Row) else "", reverse=True)
    if view.key == "status":
        return sorted(rows, key=lambda row: row.status, reverse=True)
    part = next(part for setting, part in view.columns if setting == view.key)
    sign = -1.0 if parse_metric(view.metric).kind == "score" else 1.0

    def key(row: AnyRow) -> tuple[bool, float]:
        figure = figure_of(row, view, view.key, part)
        value = None if figure is None else figure.value
        return (True, 0.0) if value is None else (False, sign * value)

    return sorted(rows, key=key)


def _figure_columns(view: View) -> list[Column]:
    ways = [(HEADS[setting], part.partition(":")[2]) for setting, part in view.columns]
    return [Column(f"{name}\n{way}" if way else name) for name, way in ways]


def _submissions(title: str, rows: Sequence[Row], view: View) -> Table:
    """The rows by what their encoders may have seen, a heading before each class."""
    roomy = len(view.columns) <= len(SETTINGS)
    with_ratio = view.metric == MAIN_METRIC and MULTILINGUAL in view.settings and view.group is None
    with_ratio &= not rows or _has_ratio(rows)
    cells: list[Sequence[Cell]] = []
    for exposure, heading in EXPOSURE_TITLES.items():
        of_class = [row for row in rows if row.exposure_class == exposure] if exposure in view.exposure else []
        if of_class:
            cells += [*([()] if cells else []), [((heading, "italic"),)]]
        for row in of_class:
            line = [_name(row), *(_cell(row, view, setting, part) for setting, part in view.columns)]
            if with_ratio:
                bias = row.bias.macro if view.language is None else row.bias.by_query_language.get(view.language, {})
                ratio = bias[RATIO].ratio_to_random if RATIO in bias else None
                line.append((("–" if ratio is None else f"{ratio:.3f}", ""),))
            line += [((row.status, ""),)] if roomy else []  # last: a narrow terminal shows it in a second table
            # what is outside the contest is faint
            cells.append(
                line if row.contest else [tuple((text, f"dim {style}") for text, style in cell) for cell in line]
            )
    names = [cell_len("".join(text for text, _ in _name(row))) for row in rows]
    width = min(NAME_WIDTH if roomy else NARROW_NAME, max(names, default=len(NOTHING)))
    heads = [Column("model", "name", width=width), *_figure_columns(view)]
    heads += [*([Column("dist.\nratio")] if with_ratio else []), *([Column("status", "word")] if roomy else [])]
    return Table(title, heads, cells if rows else [[NOTHING]])


def _has_ratio(rows: Sequence[Row]) -> bool:
    """Whether a row has a rank distance beside that of a random ranking."""
    return any(RATIO in row.bias.macro and row.bias.macro[RATIO].ratio_to_random is not None for row in rows)


def _name(row: Row) -> Parts:
    kind = [(f" ({row.kind})", "dim")] if row.kind != "encoder" else []
    protocol = [(f" [{shown_line(row.protocol.name)}]", "italic")] if row.protocol.name != "standard" else []
    return ((row.model, ""), *kind, *protocol)


def _cell(row: Row, view: View, setting: str, part: str) -> Parts:
    figure = figure_of(row, view, setting, part)
    if figure is None or figure.value is None:
        return (("–", ""),)
    parts = [(number(figure.value), "")]
    if figure.interval is not None:
        half = (figure.interval.high - figure.interval.low) / 2
        text = f"±{number(half, digits=3 if half < 1 else 0)}"
        parts.append((f" {marked(text, half, figure.thin[0])}", "dim"))
    if view.language is None and view.group is None:
        standing = row.standing.get(setting, {}).get(view.metric)
        tied = standing is not None and standing.tied_with_best
        parts.append((f" {TIED}" if tied else "  ", "bold green"))
    return tuple(parts)


def _published(rows: Sequence[PublishedRow], view: View) -> Table:
    """The published figures that the view shows."""
    lines = []
    for row in rows:
        figures = [figure_of(row, view, setting, part) for setting, part in view.columns]
        if any(figure is not None for figure in figures):
            names = (f"{row.model}, {row.variant}", row.source.citation)
            lines.append([*map(shown_line, names), *(number(figure.value if figure else None) for figure in figures)])
    heads = [Column("model", "word"), Column("source", "word", most=44), *_figure_columns(view)]
    return Table("published, without ranks", heads, lines)


def _legend(board: Leaderboard, view: View) -> list[str]:
    lines = [
        f"± half of the {board.interval_level:.0%} interval, by question; "
        f"{THIN} fewer than {FEW} questions carry the figure"
    ]
    lines += [f"{task.title}: {left_out}" for name, task in board.tasks.items() if (left_out := board.left_out(name))]
    if view.metric == MAIN_METRIC and view.language is None and view.group is None:
        lines.append(
            f"{TIED} the best, or not significantly below it (by question and by article; floor and ceiling apart)"
        )
        if MULTILINGUAL in view.settings and _has_ratio(board.rows):
            lines.append("dist. ratio: rank distance / that of a random ranking; to be read beside MAP")
    if parse_metric(view.metric).kind == "bias":
        lines.append("a bias figure is read beside MAP: every measure of dispersion rewards a uniformly bad encoder")
    if len(view.exposure) == len(EXPOSURE_TITLES):
        lines.append("exposed: trained on the task's texts or on data of the same source, as declared or found")
    lines.append("recomputed: all scores follow from stored ranks; reproduced: somebody states to have run it again:")
    made = [row.attestation for row in board.rows if row.attestation is not None]
    lines += [f"  {n} by {name}" for name, n in sorted(Counter(signed_by(one.by, one.key) for one in made).items())]
    return [*lines, PROVED, DECLARED]
