"""Remedies of language bias: their table, what a choice on another task gives, and their curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xqr_bench.analysis.remedies import UNTOUCHED, Change, Curves, Dose, HeldOut
from xqr_bench.report.canvas import COLOURS, DARK, WIDTH, drawing, legend
from xqr_bench.report.frontier import Point, by_rank
from xqr_bench.report.numbers import half_width, number, short, signed
from xqr_bench.report.table import Table, columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HALF = "±: half of the 95% interval of the difference from untouched, over questions"
PANEL = 2.4  # inches
KEYS = 4  # in a line


def on_frontier(curves: Curves) -> set[str]:
    """The labels of the doses that no other beats: more multilingual MAP, own-language first nearer to chance."""
    points = [
        Point(dose.label, dose.monolingual_map.value, dose.multilingual_map.value, dose.own_first.value, curves.chance)
        for dose in curves.doses
    ]
    return {point.label for point, leads in by_rank(points) if leads}


def remedies_table(curves: Curves) -> Table:
    """A row a dose: each figure, and its difference from the untouched vectors."""
    leaders = on_frontier(curves)
    figures = ("mono.\nMAP", "multi.\nMAP", "own\nfirst", "rank\ndistance")
    heads = [head for name in figures for head in (name, "minus\nuntouched")]
    rows = []
    for dose in curves.doses:
        cells = [dose.label + " *" * (dose.label in leaders)]
        for change in (dose.monolingual_map, dose.multilingual_map, dose.own_first, dose.rank_distance):
            cells += [number(change.value), _difference(change) if dose.remedy != UNTOUCHED else ""]
        rows.append((*cells, number(dose.lost, digits=3)))
    return Table(
        f"{short(curves.encoder, 50)}, {curves.title}: what remedies buy and cost",
        columns("remedy", *heads, "lost"),
        rows,
        (
            f"{HALF} ({curves.n_questions:,}). Intervals are for one look each, not adjusted for the number of rows.",
            f"own first: own-language first, {number(curves.chance)} without preference. rank distance: from the first "
            "right answer to the last. lost: the share of cross-lingual MAP that multilingual MAP does not reach.",
            "* on the frontier: no other row has at least the multilingual MAP and an own-language first at least as "
            "close to chance, one of the two strictly.",
        ),
        frame="dense",
    )


def _difference(change: Change) -> str:
    half = half_width(change.interval)
    if change.value >= 100:  # ranks
        return f"{change.difference:+,.0f}" + ("" if half is None else f" ±{half:,.0f}")
    return signed(change.difference) + ("" if half is None else f" ±{number(half)}")


def held_out_table(found: Sequence[HeldOut]) -> Table:
    """A row a remedy and a pair of tasks."""
    rows = [
        (
            f"{short(one.encoder, 30)}, {one.chosen_on}",
            one.looked_at_on,
            one.dose.label,
            number(one.dose.multilingual_map.value),
            _difference(one.dose.multilingual_map),
            _difference(one.dose.monolingual_map),
            _difference(one.dose.own_first),
            one.best.label,
            number(one.best.multilingual_map.value),
        )
        for one in found
    ]
    heads = ("multi.\nMAP", "minus\nuntouched", "mono. MAP minus\nuntouched", "own first minus\nuntouched")
    return Table(
        "Strengths chosen by multilingual MAP on one task, looked at on another",
        columns("chosen on", "looked at on", "remedy", *heads, "best\nthere", "its multi.\nMAP", names=3),
        rows,
        (
            f"{HALF}. The best of several strengths on a task is chosen by looking at its answers, and looks better "
            "than it is: a claim about a remedy stands on the task that it was not chosen on.",
        ),
        frame="dense",
    )


def remedies_tables(curves: Sequence[Curves], found: Sequence[HeldOut]) -> list[Table]:
    """One of each encoder and task; that of choices where there are two tasks."""
    return [*map(remedies_table, curves), *([held_out_table(found)] if found else [])]


def draw_remedies(curves: Sequence[Curves]) -> Figure:
    """A row of two panels for each encoder and task: multilingual and monolingual MAP against own-language first.

    The doses of a remedy are joined from where it has no strength on, weakest first; the strongest has the large dot;
    those on the frontier have an edge.
    """
    names = list(dict.fromkeys(remedy for one in curves for remedy in one.remedies))
    looks = {name: _look(place) for place, name in enumerate(names)}
    lines = -(-(len(names) + 2) // KEYS)
    with drawing(PANEL * len(curves) + 0.15 * lines, len(curves), 2) as (figure, axes):
        figure.set_figwidth(2 * WIDTH)
        for (left, right), one in zip(axes, curves, strict=True):
            _panel(left, one, "multilingual_map", looks, on_frontier(one))
            _panel(right, one, "monolingual_map", looks, set())
            left.set_title(f"{short(one.encoder, 30)}, {one.title}", loc="left")
            left.set_ylabel("multilingual MAP")
            right.set_ylabel("monolingual MAP")
        keys: list[dict[str, Any]] = [{"label": name, "markersize": 3, "linewidth": 1} | looks[name] for name in names]
        keys.append({"label": UNTOUCHED, "color": DARK, "marker": "s", "markersize": 4, "linewidth": 0})
        keys.append({"label": "on the frontier", **_RING, "color": "white", "linewidth": 0})
        legend(figure, keys, KEYS)
        return figure


_RING: dict[str, Any] = {"marker": "o", "markersize": 5, "markeredgecolor": DARK, "markeredgewidth": 0.9}
_MARKS = (("o", "-"), ("^", "--"), ("D", ":"))


def _look(place: int) -> dict[str, Any]:
    """Of a remedy: its colour, and where there are more remedies than colours another mark and line."""
    marker, line = _MARKS[place // len(COLOURS) % len(_MARKS)]
    return {"color": COLOURS[place % len(COLOURS)], "marker": marker, "linestyle": line}


def _panel(ax: Axes, curves: Curves, field: str, looks: dict[str, dict[str, Any]], leaders: set[str]) -> None:
    def place(dose: Dose) -> tuple[float, float]:
        return dose.own_first.value, getattr(dose, field).value

    untouched = curves.doses[0]
    for name in curves.remedies:
        of_remedy = [dose for dose in curves.doses if dose.remedy == name]
        doses = [curves.of(of_remedy[0].start) or untouched, *of_remedy]
        x, y = zip(*map(place, doses), strict=True)
        ax.plot(x, y, **(looks[name] | {"marker": None, "linewidth": 0.9, "zorder": 2}))
        for dose in doses[1:]:
            size = 4.5 if dose is doses[-1] else 2.5
            edge = {**_RING, "markersize": max(size, 3.5)} if dose.label in leaders else {"markersize": size}
            ax.plot(*place(dose), **(edge | looks[name] | {"zorder": 3}))
    ax.plot(*place(untouched), marker="s", markersize=4, color=DARK, zorder=4)
    ax.set_xlabel(f"own-language first ({number(curves.chance, digits=2)} without preference)")
