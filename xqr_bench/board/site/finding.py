"""The finding on the front page, from the board's rows: what one pool of all languages does to the best encoders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from xqr_bench.board.model import Leaderboard, Row, TaskFacts
from xqr_bench.board.site.html import TICKS, drawing, line, number, words
from xqr_bench.core.types import CROSS_LINGUAL, MAIN_METRIC, MONOLINGUAL, MULTILINGUAL, PREFERENCE, SETTINGS
from xqr_bench.measure.scores import Figure
from xqr_bench.report.text import visible

SHOWN = 5  # encoders in the figure
WIDTH, ROW, EDGE, BELOW = 400, 38, 8, 22
NAME_LENGTH = 56


@dataclass(frozen=True)
class Seen:
    """An encoder's figures: MAP by setting, and how often its query's own language comes first.

    `exposed`: it declares that it was trained on the task's source or texts.
    """

    model: str
    scores: dict[str, Figure]
    own_first: Figure
    exposed: bool

    @property
    def lost(self) -> float:
        """The share of cross-lingual MAP that multilingual MAP does not reach; negative where it is higher."""
        return 1 - (self.scores[MULTILINGUAL].value or 0.0) / (self.scores[CROSS_LINGUAL].value or 1.0)


@dataclass(frozen=True)
class Finding:
    """What the front page says first.

    Attributes:
        name: of the task with the most encoders that have all its figures.
        languages: how many have candidates.
        best: the encoder with the highest multilingual MAP.
        figure: the best encoders by setting, one of each model.
    """

    name: str
    task: TaskFacts
    languages: int
    best: Seen
    figure: Markup


def finding(board: Leaderboard) -> Finding | None:
    """The finding; None where no task has an encoder with all figures that it needs.

    Looked at are encoders that compete under the standard protocol, so without a transform of their vectors; also those
    that declare to have been trained on the task's source, of which the sentence says so.
    """
    by_task = {name: best_of_each(_encoders(board, name)) for name in board.tasks}
    name = max(by_task, key=lambda one: len(by_task[one]), default=None)
    if name is None or not by_task[name]:
        return None
    task, shown = board.tasks[name], by_task[name][:SHOWN]
    languages = sum(language.candidates > 0 for language in task.languages)
    return Finding(name, task, languages, shown[0], _drawing(shown, task.title))


def share(value: float) -> str:
    """`96%`."""
    return f"{100 * value:.0f}%"


def _multilingual(seen: Seen) -> float:
    return seen.scores[MULTILINGUAL].value or 0.0


def best_of_each(encoders: Iterable[Seen]) -> list[Seen]:
    """By falling multilingual MAP; of names that are the same up to a comma or bracket, variants of one model, one."""
    best: dict[str, Seen] = {}
    for one in sorted(encoders, key=_multilingual, reverse=True):
        best.setdefault(re.split(r"[,(]", one.model)[0].strip() or one.model, one)
    return list(best.values())


def _encoders(board: Leaderboard, task: str) -> Iterator[Seen]:
    for row in board.rows:
        if row.task == task and row.kind == "encoder" and row.contest and row.protocol.name == "standard":
            own, scores = row.bias.macro.get(PREFERENCE), _scores(row)
            if own is not None and own.value is not None and 0 <= own.value <= 1 and len(scores) == len(SETTINGS):
                yield Seen(visible(row.model) or "(no name)", scores, own, row.exposure_class == "exposed")


def _scores(row: Row) -> dict[str, Figure]:
    """MAP by setting, where it is above 0 and at most 1: a JSON may hold any number."""
    found = {name: row.scores[name].macro.get(MAIN_METRIC) for name in SETTINGS if name in row.scores}
    return {name: figure for name, figure in found.items() if figure is not None and 0 < (figure.value or 0.0) <= 1}


# The figure: a line an encoder, a shape a setting, so that no colour is needed to tell them apart.


def _x(value: float) -> float:
    return EDGE + (WIDTH - 2 * EDGE) * min(1.0, max(0.0, value))


def _mark(setting: str, x: float, y: float) -> Markup:
    """A circle, a square or a triangle."""
    if setting == MONOLINGUAL:
        return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.2"/>').format(setting, x, y)
    if setting == CROSS_LINGUAL:
        square = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="8" height="8"/>')
        return square.format(setting, x - 4, y - 4)
    corners = f"{x - 5:.1f},{y + 4:.1f} {x + 5:.1f},{y + 4:.1f} {x:.1f},{y - 5:.1f}"
    return Markup('<polygon class="{}" points="{}"/>').format(setting, corners)


def shape(setting: str) -> Markup:
    """The shape of a setting beside its name."""
    return Markup('<svg class="finding key" viewBox="0 0 12 12" aria-hidden="true">{}</svg>').format(
        _mark(setting, 6, 6.5)
    )


def _drawing(encoders: Sequence[Seen], title: str) -> Markup:
    bottom = ROW * len(encoders) + 14
    parts = [words("head", WIDTH, 9, "own language first")]
    for tick in TICKS:
        x = f"{_x(tick):.1f}"
        parts += [line("grid", (x, x), (16, bottom + 3)), words("tick", x, bottom + 16, f"{tick:g}")]
    for place, one in enumerate(encoders):
        top = 14 + ROW * place
        middle = top + 24.0
        ends = [_x(figure.value or 0.0) for figure in one.scores.values()]
        says = ", ".join(f"{name} {number(figure.value)}" for name, figure in one.scores.items())
        shown = one.model if len(one.model) <= NAME_LENGTH else one.model[: NAME_LENGTH - 1] + "…"
        parts += [
            Markup("<g><title>{}</title>").format(f"{one.model}: MAP {says}"),
            words("name", 0, top + 13, shown),
            words("value", WIDTH, top + 13, share(one.own_first.value or 0.0)),
            line("span", (f"{min(ends):.1f}", f"{max(ends):.1f}"), (middle, middle)),
        ]
        for setting, figure in one.scores.items():
            if figure.interval is not None and not figure.thin[0]:
                low, high = (f"{_x(end):.1f}" for end in (figure.interval.low, figure.interval.high))
                parts.append(line("ends", (low, high), (middle, middle)))
            parts.append(_mark(setting, _x(figure.value or 0.0), middle))
        parts.append(Markup("</g>"))
    says = "; ".join(
        f"{one.model}: {', '.join(f'{name} {number(figure.value)}' for name, figure in one.scores.items())}"
        for one in encoders
    )
    return drawing("finding", WIDTH, bottom + BELOW, f"MAP by setting on {title}. {says}", parts)
