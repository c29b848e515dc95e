"""The pages of the ratio study: curves drawn when it is made, tables, and a script that only chooses what is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from xqr_bench.board.model import Leaderboard
from xqr_bench.board.site.build import MorePage
from xqr_bench.board.site.html import TICKS, asset, drawing, group_label, line, render, unique_stems, words
from xqr_bench.core.files import write_text
from xqr_bench.report.numbers import number, signed
from xqr_bench.studies.ratio.beside import amount_said, levels
from xqr_bench.studies.ratio.design import GIVEN, STUDY
from xqr_bench.studies.ratio.form import MAIN, PRIMARY_CONDITIONS, Condition, Ratios, Score
from xqr_bench.studies.ratio.tables import (
    Curve,
    condition_tables,
    curve,
    ends_said,
    measure_label,
    more_said,
    origins,
    study_tables,
    tests_said,
)

FILE, TITLE = "ratio.html", "Batch ratio"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BELOW = 300, 150, 46, 8, 8, 24
VIEWS = ("raw", "centred")
KINDS = {"score": "", "difference": ": difference from alpha .5"}
FIRST = "multilingual-map"  # the measure that is shown first
PARTS = {"all": "All languages", "group": "Groups of languages", "language": "Query languages"}
_LEADS = (
    "Small encoders, trained alike but for alpha, the share of training batches whose queries and answers are in one "
    "language: 0 is none of them, 1 all. Data of one domain (questions on Wikipedia).",
    "A multilingual retrieval encoder, trained further alike but for alpha, the share of training batches whose "
    "queries and answers are in one language: 0 is none of them, 1 all. Data of one domain (questions on Wikipedia).",
)
_PART_OF = {"all": "all", "level": "group", "group": "group", "language": "language"}


def ratio_pages(*studies: Ratios, board: Leaderboard | None = None) -> list[MorePage]:
    """Studies as pages of the site: one a condition, the first of them in the navigation.

    Args:
        studies: their figures.
        board: what stands beside the curves: BM25 and published encoders on the same task; None: nothing.
    """
    pages = _pages(studies, FILE)
    return [
        MorePage(page.file, TITLE, partial(_render, pages, place, board=board), listed=place == 0)
        for place, page in enumerate(pages)
    ]


def write_report_page(study: Ratios, path: Path, json_file: str) -> Path:
    """Write the study as pages of its own, beside its JSON: the first condition at `path`, the others next to it."""
    pages = _pages([study], path.name)
    title = "The ratio study" if study.study == STUDY else f"The study {study.study}"
    for place, page in enumerate(pages):
        common = {
            "title": title,
            "file": page.file,
            "root": "",
            "home": path.name,
            "json_file": json_file,
            "navigation": [(path.name, title)],
            "footer": f"Made by xqr-bench {study.code_version}.",
        }
        write_text(path.with_name(page.file), _render(pages, place, common))
    return path


@dataclass(frozen=True)
class _Page:
    """The file of a condition; None: its study has none."""

    file: str
    study: Ratios
    condition: Condition | None


def _pages(studies: Sequence[Ratios], first: str) -> list[_Page]:
    """A file a condition: the first has this name, the others add theirs to it."""
    shown: list[tuple[Ratios, Condition | None]] = []
    for study in studies:
        shown += [(study, one) for one in study.conditions] or [(study, None)]
    if not shown:
        return []
    names: dict[tuple[str, ...], str] = {
        (str(place),): "none" if one is None else one.name for place, (_, one) in enumerate(shown[1:])
    }
    files = [first, *(f"{Path(first).stem}-{stem}.html" for stem in unique_stems(names).values())]
    return [_Page(file, *of) for file, of in zip(files, shown, strict=True)]


def _render(pages: list[_Page], place: int, common: dict[str, Any], *, board: Leaderboard | None = None) -> str:
    """The page of a condition; of a study without any, what it says of that."""
    context: dict[str, Any] = {"condition": None, "blocks": []}
    study, condition = pages[place].study, pages[place].condition
    own = None if study.study == STUDY else study.study  # whose arms differ in what its file says
    if condition is not None:
        beside = None if board is None else levels(condition, board)
        of_study = study_tables(study) if condition is study.conditions[0] else []
        tables = [*condition_tables(study, condition), *of_study]
        context = {
            "condition": condition,
            "primary": own is None and condition.name in PRIMARY_CONDITIONS,
            "lead": _LEADS[condition.name == GIVEN] if own is None else None,
            "hypotheses": " and ".join(test.name for test in raw.tests) if (raw := condition.view()) else "",
            "found": [*ends_said(condition), *tests_said(study, condition)],
            "said": more_said(study, condition),
            "amount": None if board is None else amount_said(study.study, condition, board),
            "beside": beside and replace(beside, title=_within(condition, beside.title)),
            "origins": origins(study, condition),
            "blocks": list(_blocks(condition)),
            "tables": tables,
            "titles": [_within(condition, table.title) for table in tables],
        }
    measures = [one["measure"] for one in context["blocks"]]
    labels = {"-".join(key): measure_label(*key) for key in MAIN}
    return render(
        "ratio.html.jinja",
        script=asset("address.js") + asset("ratio.js"),
        study=study,
        own=own,
        pages=[(page.file, _tab(page.study, page.condition)) for page in pages if page.condition is not None],
        parts=PARTS,
        kinds=KINDS,
        measures={name: text for name, text in labels.items() if name in measures},
        first=FIRST if FIRST in measures else next(iter(measures), ""),
        primary_name=" and ".join(PRIMARY_CONDITIONS),
        **context,
        **common,
    )


def _tab(study: Ratios, condition: Condition) -> str:
    """A condition's name among others; of a study of one's own with that study's."""
    return condition.name if study.study == STUDY else f"{study.study}: {condition.name}"


def _within(condition: Condition, title: str) -> str:
    """A table's title on the page of its condition, which need not be named again."""
    text = title.removeprefix(condition.name).lstrip(":, ") or title
    return text[0].upper() + text[1:]


def _blocks(condition: Condition) -> Iterator[dict[str, Any]]:
    """Panels that are chosen together: a measure of some languages, as it is or its difference from alpha .5."""
    view = condition.view()
    if view is None:
        return
    names = {one.code: f"{one.name} {one.code} ({one.level})" for one in condition.languages}
    for key in MAIN:
        for part, languages in PARTS.items():
            scores = [one for one in view.scores if (one.setting, one.metric) == key and _PART_OF[one.part] == part]
            for kind, words_of_kind in KINDS.items():
                panels = []
                for score in scores:
                    title = names.get(score.name) or group_label(score.name) or "all languages"
                    drawn = _drawn(condition, score, kind, title)
                    if drawn is not None:
                        panels.append({"title": title, "drawing": drawn})
                if panels:
                    title = f"{measure_label(*key)}, {languages.lower()}{words_of_kind}"
                    yield {"measure": "-".join(key), "part": part, "kind": kind, "title": title, "panels": panels}


def _drawn(condition: Condition, score: Score, kind: str, title: str) -> Markup | None:
    """The curves of a score, raw and centred; None: there are none."""
    curves: dict[str, Curve] = {}
    for name in VIEWS:
        view = condition.view(name)
        same = None if view is None else view.score(score.setting, score.metric, score.part, score.name)
        made = curve(condition, same, minus=kind == "difference")
        if made is not None and len(made.alphas) > 1:
            curves[name] = made
    label = f"{condition.name}, {measure_label(score.setting, score.metric)}, {title}, against alpha"
    return draw(curves, label, difference=kind == "difference") if curves else None


def draw(curves: dict[str, Curve], label: str, *, difference: bool) -> Markup:
    """Lines with bands; figures stand in the points' titles."""
    low = min(min(one.low) for one in curves.values())
    high = max(max(one.high) for one in curves.values())
    room = (high - low) * 0.06 or abs(high) * 0.06 or 0.1
    low, high = low - room, high + room

    def at(alpha: float, value: float) -> tuple[str, str]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * alpha
        y = TOP + (HEIGHT - TOP - BELOW) * (high - value) / (high - low)
        return f"{x:.1f}", f"{y:.1f}"

    parts = []
    for tick in TICKS:
        x, y = at(tick, low)
        parts += [line("grid", (x, x), (TOP, y)), words("tick", x, HEIGHT - 8, f"{tick:g}")]
    for share in (0.1, 0.5, 0.9):
        value = low + (high - low) * share
        _, y = at(0.0, value)
        text = signed(value) if difference else number(value)
        parts += [words("scale", LEFT - 6, float(y) + 3.5, text), line("notch", (LEFT - 4, LEFT), (y, y))]
    if difference:
        (left, zero), (right, _) = at(0.0, 0.0), at(1.0, 0.0)
        parts.append(line("zero", (left, right), (zero, zero)))
    for view, one in curves.items():
        upper, lower, middle = (
            [at(alpha, value) for alpha, value in zip(one.alphas, values, strict=True)]
            for values in (one.high, one.low, one.values)
        )
        band = Markup('<polygon class="band" points="{}"/>').format(_points(upper + lower[::-1]))
        path = Markup('<polyline class="line" points="{}"/>').format(_points(middle))
        dots = []
        for place, (x, y) in enumerate(middle):
            ends = f"95% {number(one.low[place])} to {number(one.high[place])}"
            says = f"alpha {one.alphas[place]:g}, {view}: {number(one.values[place])}, {ends}"
            if view == "raw":
                dots.append(Markup('<circle cx="{}" cy="{}" r="2.6"><title>{}</title></circle>').format(x, y, says))
            else:
                corner = f"{float(x) - 2.5:.1f}", f"{float(y) - 2.5:.1f}"
                square = Markup('<rect x="{}" y="{}" width="5" height="5"><title>{}</title></rect>')
                dots.append(square.format(*corner, says))
        parts.append(Markup('<g class="{}">{}</g>').format(view, Markup("").join([band, path, *dots])))
    return drawing("curve", WIDTH, HEIGHT, label, parts)


def _points(places: list[tuple[str, str]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)
