"""Multilingual MAP against own-language first at similar monolingual MAP: a description, no test (docs/bias.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import MONOLINGUAL, MULTILINGUAL, PREFERENCE, STRICT
from xqr_bench.record import Record
from xqr_bench.report.numbers import number, short, signed
from xqr_bench.report.table import Table, columns

MATCH = 0.02
"""Monolingual MAP that differ by at most this are called similar."""
LABEL = 40
"""Characters of a name in the table."""


@dataclass(frozen=True)
class Point:
    """An encoder on a task.

    Attributes:
        label: its name.
        monolingual, multilingual: MAP.
        own_first: own-language first, the share of queries whose own-language relevant leads the relevants.
        chance: its value without preference.
    """

    label: str
    monolingual: float
    multilingual: float
    own_first: float
    chance: float

    @property
    def preference(self) -> float:
        """How far own-language first is from chance, either way."""
        return abs(self.own_first - self.chance)


def by_rank(points: Sequence[Point]) -> list[tuple[Point, bool]]:
    """The points by falling multilingual MAP, then by name: as table and drawings number them; is each on the frontier?

    It is, unless another has at least its multilingual MAP and at most its preference, and one of the two strictly.
    The Pareto frontier among these points: it says nothing about encoders that are not among them, and nothing about
    what is certain. A random ranking is always at one end of it: it has no preference, and finds nothing.
    """

    def beats(a: Point, b: Point) -> bool:
        no_worse = a.multilingual >= b.multilingual and a.preference <= b.preference
        return no_worse and (a.multilingual > b.multilingual or a.preference < b.preference)

    ranked = sorted(points, key=lambda point: (-point.multilingual, point.label))
    return [(point, not any(beats(other, point) for other in points)) for point in ranked]


def nearest(point: Point, points: Sequence[Point]) -> Point | None:
    """The other point closest in monolingual MAP (of equally close ones the first); None: it is alone."""
    others = [other for other in points if other is not point]
    return min(others, key=lambda other: abs(other.monolingual - point.monolingual), default=None)


def points_of(records: Sequence[Record], relevance: str = STRICT) -> list[Point]:
    """The points of records of one task, scored under a rule of relevance.

    Raises:
        UsageError: the records are of several tasks, or one has no MAP or own-language first.
        RecordError: a record has no scores under this rule.
    """
    tasks = {record.task.name for record in records}
    if len(tasks) > 1:
        raise UsageError("a frontier is of one task", found=", ".join(sorted(tasks)), remedy="name records of one task")
    points = []
    for record in records:
        scores, figures = record.scores_under(relevance), []
        for setting, metric in ((MONOLINGUAL, "map"), (MULTILINGUAL, "map"), (MULTILINGUAL, PREFERENCE)):
            score = scores[setting].macro.get(metric) if setting in scores else None
            if score is None or score.value is None:
                raise UsageError(
                    f"{record.model.name} on {record.task.name} has no {setting} {metric}",
                    found=score.undefined_reason if score is not None else ", ".join(record.task.metrics),
                    remedy="leave the record out, or evaluate with both metrics",
                )
            figures.append(score)
        mono, multi, own = (float(score.value or 0.0) for score in figures)
        points.append(Point(record.model.name, mono, multi, own, figures[2].random_reference or 0.0))
    return points


def frontier_table(points: Sequence[Point], title: str) -> Table:
    """A row a point, by falling multilingual MAP: its figures, whether it is on the frontier, and its nearest."""
    ranked = by_rank(points)
    place = {id(point): str(number) for number, (point, _) in enumerate(ranked, start=1)}
    rows = []
    for point, leads in ranked:
        cells = [place[id(point)], short(point.label, LABEL) + (" *" if leads else "")]
        cells += [number(value) for value in (point.monolingual, point.multilingual, point.own_first)]
        other = nearest(point, points)
        if other is None:
            cells += ["–"] * 4
        else:
            gap = point.monolingual - other.monolingual
            cells += [place[id(other)] if abs(gap) <= MATCH else f"({place[id(other)]})", signed(gap)]
            cells += [signed(point.multilingual - other.multilingual), signed(point.own_first - other.own_first)]
        rows.append(tuple(cells))
    figures = ("mono.\nMAP", "multi.\nMAP", "own\nfirst")
    return Table(
        title,
        columns("", "record", *figures, "nearest", *figures, names=2),
        rows,
        (
            "mono. and multi. MAP: monolingual and multilingual; own first: own-language first, the share of the "
            "queries whose first right answer is in their own language.",
            "* on the frontier: no other record here has at least the multilingual MAP and an own-language first "
            "at least as close to chance, one of the two strictly.",
            f"nearest: the record closest in monolingual MAP, in brackets where more than {MATCH:g} away; then this "
            "record minus that one. A description of these records, no test.",
        ),
        frame="dense",
    )
