"""The leaderboard as tables for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xqr_bench.board.model import ExposureClass, Figure, Leaderboard, PublishedRow, Row
from xqr_bench.board.row import METRIC
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import CROSS_LINGUAL, MULTILINGUAL, SETTINGS
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.report.terminal import SHORT, number

RATIO = "rank_distance"
TIED = "="
NAME_WIDTH = 28
NARROW_NAME = 26
DIRECTIONS = ("into", "out-of", "within")
EXPOSURE_TITLES: dict[ExposureClass, str] = {
    "unexposed": "no exposure declared",
    "unknown": "exposure unknown",
    "exposed": "exposed",
}
AnyRow = Row | PublishedRow
R = TypeVar("R", Row, PublishedRow)


@dataclass(frozen=True)
class View:
    """What to show.

    Attributes:
        metric: a metric or bias measure.
        settings: columns; empty: all.
        language: of the queries, instead of the macro average.
        group: language group, instead of the macro average.
        sort: a setting, "model", "date" or "status".
        exposure: only rows of these classes of exposure; empty: all.

    Raises:
        UnknownNameError: there is no such setting or class of exposure.
    """

    metric: str = METRIC
    settings: tuple[str, ...] = ()
    language: str | None = None
    group: str | None = None
    sort: str | None = None
    exposure: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        choices = {"settings": ("setting", SETTINGS), "exposure": ("class of exposure", tuple(EXPOSURE_TITLES))}
        for field, (kind, allowed) in choices.items():
            chosen = getattr(self, field)
            for name in chosen:
                if name not in allowed:
                    raise UnknownNameError(kind, name, allowed)
            object.__setattr__(self, field, tuple(name for name in allowed if name in chosen) or allowed)

    @property
    def key(self) -> str:
        """What the rows are sorted by."""
        return self.sort or (MULTILINGUAL if MULTILINGUAL in self.settings else self.settings[-1])

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(setting, part of a group): the cross-lingual setting of a group has three."""
        if self.group is None or ":" in self.group:
            return tuple((setting, self.group or "") for setting in self.settings)
        return tuple(
            (setting, name)
            for setting in self.settings
            for name in ([f"{self.group}:{way}" for way in DIRECTIONS] if setting == CROSS_LINGUAL else [self.group])
        )


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


def show(board: Leaderboard, view: View) -> RenderableType:
    """A table of submissions and one of published figures for each task, and how to read them."""
    parts: list[RenderableType] = []
    for name, task in board.tasks.items():
        rows = [row for row in board.rows if row.task == name]
        published = [row for row in board.published if row.task == name]
        title = f"{task.title}: {view.metric}{_of(view)}"
        parts.append(_table(title, _sorted(rows, view), view))
        table = _published(_sorted(published, view), view)
        if table is not None:
            parts.append(table)
    parts.append(Text("\n".join(_legend(board, view)), style="dim"))
    parts += [Text(f"! {found.path}: {found.fault}", style="yellow") for found in board.refused]
    return Group(*parts)


def figure_of(row: AnyRow, view: View, setting: str, part: str) -> Figure | None:
    """The figure of a row that a column shows."""
    scores = row.scores.get(setting)
    if scores is None or setting not in parse_metric(view.metric).settings:
        return None
    found = scores if parse_metric(view.metric).kind == "score" else row.bias
    if part:
        return found.by_group.get(part, {}).get(view.metric)
    if view.language is not None:
        return found.by_query_language.get(view.language, {}).get(view.metric)
    return found.macro.get(view.metric)


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
        found = figure_of(row, view, view.key, part)
        value = None if found is None else found.value
        return (True, 0.0) if value is None else (False, sign * value)

    return sorted(rows, key=key)


def _of(view: View) -> str:
    if view.language is not None:
        return f", queries in {view.language}"
    return f", languages of {view.group}" if view.group is not None else ""


def _add_figures(table: Table, view: View) -> None:
    for setting, part in view.columns:
        way = part.partition(":")[2]
        header = f"{SHORT[setting]}\n{way}" if way else SHORT[setting]
        table.add_column(header, justify="right", no_wrap=True)


def _table(title: str, rows: Sequence[Row], view: View) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left", title_style="bold"
    )
    roomy = len(view.columns) <= len(SETTINGS)
    table.add_column("model", width=_name_width(rows, roomy), overflow="fold")
    if roomy:
        table.add_column("status", no_wrap=True)
    _add_figures(table, view)
    beside = view.metric == METRIC and MULTILINGUAL in view.settings and view.group is None
    if beside:
        table.add_column("dist.\nratio", justify="right", no_wrap=True)
    for row, heading in _by_exposure(rows, view):
        if heading is not None:
            table.add_section()
            table.add_row(Text(heading, style="italic"))
        if row is None:
            continue
        cells: list[Text] = [_name(row), *([Text(row.status)] if roomy else [])]
        cells += [_cell(row, view, setting, part) for setting, part in view.columns]
        if beside:
            found = row.bias.macro if view.language is None else row.bias.by_query_language.get(view.language, {})
            ratio = found[RATIO].ratio_to_random if RATIO in found else None
            cells.append(Text("–" if ratio is None else f"{ratio:.3f}"))
        table.add_row(*cells, style=None if row.contest else "dim")
    if not rows:
        table.add_row("no submission")
    return table


def _by_exposure(rows: Sequence[Row], view: View) -> Iterator[tuple[Row | None, str | None]]:
    """The rows by what their encoders may have seen, a title before each class."""
    for name in EXPOSURE_TITLES:
        found = [row for row in rows if row.exposure_class == name] if name in view.exposure else []
        if found:
            yield None, EXPOSURE_TITLES[name]
        yield from ((row, None) for row in found)


def _name_width(rows: Sequence[Row], roomy: bool) -> int:
    return min(
        NAME_WIDTH if roomy else NARROW_NAME, max((_name(row).cell_len for row in rows), default=len("no submission"))
    )


def _name(row: Row) -> Text:
    text = Text(row.model)
    if row.kind != "encoder":
        text.append(f" ({row.kind})", style="dim")
    if row.protocol.name != "standard":
        text.append(f" [{shown_line(row.protocol.name)}]", style="italic")
    return text


def _cell(row: Row, view: View, setting: str, part: str) -> Text:
    found = figure_of(row, view, setting, part)
    if found is None or found.value is None:
        return Text("–")
    text = Text(number(found.value))
    if found.interval is not None:
        half = (found.interval[1] - found.interval[0]) / 2
        text.append(f" ±{number(half, digits=3 if half < 1 else 0)}", style="dim")
    standing = row.standing.get(setting, {}).get(view.metric)
    if view.language is None and view.group is None:
        tied = standing is not None and standing.tied_with_best
        text.append(f" {TIED}" if tied else "  ", style="bold green")
    return text


def _published(rows: Sequence[PublishedRow], view: View) -> Table | None:
    """The published figures that the view shows; None where there are none."""
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title="published, without ranks",
        title_justify="left",
    )
    table.add_column("model", no_wrap=True)
    table.add_column("source", max_width=44, overflow="ellipsis", no_wrap=True)
    _add_figures(table, view)
    for row in rows:
        figures = [figure_of(row, view, setting, part) for setting, part in view.columns]
        if any(found is not None for found in figures):
            cells = [Text(number(found.value) if found is not None else "–") for found in figures]
            names = (f"{row.model}, {row.variant}", row.source.citation)
            table.add_row(*(Text(shown_line(name)) for name in names), *cells)
    return table if table.row_count else None


def _legend(board: Leaderboard, view: View) -> list[str]:
    lines = [", ".join(f"{SHORT[setting]} {setting}" for setting in view.settings)]
    lines.append(f"± half of the {board.interval_level:.0%} interval, by question")
    if view.metric == METRIC and view.language is None and view.group is None:
        lines.append(
            f"{TIED} the best, or not significantly below it (by question and by article; floor and ceiling apart)"
        )
        if MULTILINGUAL in view.settings:
            lines.append("dist. ratio: rank distance / that of a random ranking; to be read beside MAP")
    if parse_metric(view.metric).kind == "bias":
        lines.append("a bias figure is read beside MAP: every measure of dispersion rewards a uniformly bad encoder")
    if len(view.exposure) == len(EXPOSURE_TITLES):
        lines.append("exposed: trained on the task's texts or on data of the same source, as declared or found")
    lines.append("recomputed: all scores follow from stored ranks; reproduced: the encoder was run again")
    return lines
