"""What the pages are made from: entries, the data of their scripts, and the frontier."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from markupsafe import Markup

from xqr_bench.board.model import Bias, Figures, Leaderboard, PublishedRow, Row, SettingFigures, Verdict
from xqr_bench.board.site.html import (
    CAPTION,
    SETTING_LABELS,
    TICKS,
    as_shown,
    drawing,
    group_label,
    line,
    metric_label,
    number,
    unique_stems,
    words,
)
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, PREFERENCE, SETTINGS
from xqr_bench.measure.scores import Figure
from xqr_bench.report.frontier import Point, by_rank, frontier_table
from xqr_bench.report.text import visible

# The rows of the leaderboard JSON put together: one entry a model and version, over all tasks.

CONTEST, EXPOSED, REFERENCE, PUBLISHED = "contest", "exposed", "reference", "published"
PARTS = {
    CONTEST: "Submissions: recomputed from their ranks, compared with each other",
    EXPOSED: "Submissions trained on the task's source or texts: compared with the others, shown apart",
    REFERENCE: "References: the floor and the ceiling, outside the contest",
    PUBLISHED: "Published: figures from papers, without ranks, never compared with the others",
}


@dataclass(frozen=True)
class Entry:
    """One line of the main table.

    Attributes:
        key: what tells it from all others; safe in file names and addresses.
        page: path of its page within the site.
        part: contest, exposed (to the task's source or texts), reference or published.
        model: untrusted text, without control and direction characters.
        version: folder name of revision or digest; a published row's variant.
        rows: task -> row.
    """

    key: str
    page: str
    part: str
    model: str
    version: str
    kind: str
    protocol: str
    rows: Mapping[str, Row | PublishedRow] = field(default_factory=dict)

    @property
    def statuses(self) -> dict[str, str]:
        """Task -> published, recomputed or reproduced."""
        return {task: row.status for task, row in self.rows.items()}

    @property
    def index(self) -> str:
        """The approximate index its ranks come from; `exact` where there is none."""
        indexes = {row.protocol.index or "exact" for row in self.rows.values() if isinstance(row, Row)}
        return ", ".join(sorted(indexes)) or "not stated"

    @property
    def unrepresented(self) -> dict[str, list[str]]:
        """Task -> languages whose queries the encoder does not tell apart; tasks without are left out."""
        return {
            task: row.unrepresented for task, row in self.rows.items() if isinstance(row, Row) and row.unrepresented
        }

    @property
    def exposure(self) -> str:
        """What is declared of the task's text in its training: a level where there is one."""
        levels = {row.exposure.level for row in self.rows.values() if isinstance(row, Row)}
        return ", ".join(sorted(levels)) or "not stated"


def make_entries(board: Leaderboard) -> list[Entry]:
    """All entries, in the order of the JSON: contest, references, published.

    Rows of one folder and version share an entry where they share the protocol.
    """
    grouped: dict[tuple[str, ...], dict[str, Row | PublishedRow]] = {}
    for row in board.rows:
        part = (EXPOSED if row.exposure_class == "exposed" else CONTEST) if row.contest else REFERENCE
        grouped.setdefault((part, row.folder, row.version, row.protocol.name), {})[row.task] = row
    for paper in board.published:
        grouped.setdefault((PUBLISHED, paper.model, paper.variant, paper.source.citation), {})[paper.task] = paper
    names: dict[tuple[str, ...], str] = {}
    for part, model, version, protocol in sorted(grouped, key=lambda key: list(PARTS).index(key[0])):
        parts = ["published"] if part == PUBLISHED else []
        parts += [model, version, *([protocol] if part != PUBLISHED and protocol != "standard" else [])]
        names[part, model, version, protocol] = "--".join(parts)
    entries = []
    for key, stem in unique_stems(names).items():
        first = next(iter(grouped[key].values()))
        entry = Entry(
            key=stem,
            page=f"models/{stem}.html",
            part=key[0],
            model=visible(first.model) or "(no name)",
            version=visible(key[2]),
            kind=first.kind if isinstance(first, Row) else "published",
            protocol=visible(first.protocol.name) if isinstance(first, Row) else "as published",
            rows=grouped[key],
        )
        entries.append(entry)
    return entries


# What the scripts of the main table and of the comparison read: the leaderboard JSON, made small. The page of the main
# table holds its rows and the figures that it shows first; all others are files, read when they are chosen.

PAIR_METRIC = "map"
# what would end a script element, or a line of one in an old parser
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
VERDICTS = get_args(Verdict)
WAYS = (":into", ":out-of", ":within")
_FIRST_COLUMNS = ("key", "model", "version")
_REPEATED_COLUMNS = ("part", "kind", "protocol", "index", "exposure", "statuses", "unrepresented")


def embedded_json(value: object) -> Markup:
    """JSON that may stand in a script element: no `<`, `>` or `&` is left in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_ESCAPES))


def loaded_file(value: object) -> str:
    """A script that hands a value to the page that loads it: one call, whose argument is one string, JSON text."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"receive({embedded_json(text)})\n".encode("utf-8", "replace").decode("utf-8")


def page_data(board: Leaderboard, entries: Sequence[Entry]) -> dict[str, Any]:
    """What the page of the main table and that of the comparison hold: all but the figures.

    An entry is a list: what `fields` names, where `values` has a field by the place of its value there; the key is
    null where it is `usual_key`.
    """
    values: dict[str, list[Any]] = {name: [] for name in _REPEATED_COLUMNS}
    lines = []
    for entry in entries:
        line: list[Any] = [getattr(entry, name) for name in _FIRST_COLUMNS]
        if entry.key == usual_key(entry):
            line[0] = None
        for name, distinct in values.items():
            value = getattr(entry, name)
            if value not in distinct:
                distinct.append(value)
            line.append(distinct.index(value))
        lines.append(line)
    metrics, languages = metrics_of(board, entries), languages_of(board)
    return {
        "level": percent(board.interval_level),
        "tested": board.tests.metric,
        "settings": [[name, SETTING_LABELS[name]] for name in SETTINGS],
        "parts": PARTS,
        "caption": CAPTION,
        "verdicts": VERDICTS,
        "metrics": [
            {
                "name": name,
                "file": stem,
                "label": metric_label(name),
                "kind": board.metrics[name].kind,
                "summary": board.metrics[name].summary,
            }
            for name, stem in metrics.items()
        ],
        "chosen": [[chosen, label, stem] for chosen, (label, stem) in languages.items()],
        "tasks": [
            {
                "name": name,
                "title": task.title,
                "settings": task.settings,
                "languages": [[language.code, language.name] for language in task.languages],
                "groups": [[group, group_label(group)] for group in task.groups],
            }
            for name, task in board.tasks.items()
        ],
        "fields": [*_FIRST_COLUMNS, *_REPEATED_COLUMNS],
        "values": values,
        "entries": lines,
    }


def usual_key(entry: Entry) -> str:
    """The key of an entry of a usual name, as `keyOf` in common.js makes it too: a page of many need not repeat it."""
    parts = [_SIGN.sub("_", entry.model.replace("/", "__")), _SIGN.sub("-", entry.version)]
    parts += [] if entry.protocol == "standard" else [_SIGN.sub("-", entry.protocol)]
    return "--".join(parts).lower()


_SIGN = re.compile(r"[^A-Za-z0-9._-]")


def percent(level: float) -> str:
    """A confidence level: `95%`."""
    return f"{100 * level:g}%"


def metrics_of(board: Leaderboard, entries: Sequence[Entry]) -> dict[str, str]:
    """The measures that some entry has, in the order of the JSON -> their names as parts of a path."""
    rows = [row for entry in entries for row in entry.rows.values()]
    there = {name for row in rows for of in (*row.scores.values(), row.bias) for name in of.macro}
    named: dict[tuple[str, ...], str] = {
        (name,): name for name in board.metrics if name in there or name == board.tests.metric
    }
    return {name: stem for (name,), stem in unique_stems(named).items()}


def languages_of(board: Leaderboard) -> dict[str, tuple[str, str]]:
    """Languages to choose -> label and name as part of a path: all (``), groups (`g:`), query languages (`l:`)."""
    labels = {"": "all languages"}
    labels |= {f"g:{group}": group_label(group) for task in board.tasks.values() for group in task.groups}
    labels |= {f"l:{one.code}": f"{one.name} ({one.code})" for task in board.tasks.values() for one in task.languages}
    named: dict[tuple[str, ...], str] = {(chosen,): chosen[2:] or "all" for chosen in labels}
    stems = unique_stems(named)
    return {chosen: (label, stems[chosen,]) for chosen, label in labels.items()}


Cell = list[float | None] | str | None
"""Value, ends of the interval over questions, random reference, 1 where fewer than 10 questions carry it (2: articles,
3: both), ends of the interval over articles; shortened after the last one known. Or why there is no value."""


def table_figures(
    board: Leaderboard, entries: Sequence[Entry], metric: str, chosen: str = ""
) -> list[list[list[Cell] | None]]:
    """A measure over the languages chosen, of each entry and task: a cell a setting, and of a group a cell a way.

    A measure of bias has one cell.
    """
    bias = metric in board.metrics and board.metrics[metric].kind == "bias"
    return [
        [None if (row := entry.rows.get(task)) is None else _cells(row, metric, chosen, bias) for task in board.tasks]
        for entry in entries
    ]


def _cells(row: Row | PublishedRow, metric: str, chosen: str, bias: bool) -> list[Cell]:
    scores = row.scores
    of = [row.bias] if bias else [scores.get(setting) for setting in SETTINGS]
    found = [_chosen(one, chosen).get(metric) for one in of]
    if chosen.startswith("g:") and not bias:
        found += [_chosen(scores.get(CROSS_LINGUAL), chosen + way).get(metric) for way in WAYS]
    cells = [None if figure is None else _cell(figure) for figure in found]
    while cells and cells[-1] is None:
        cells.pop()
    return cells


def _chosen(of: SettingFigures | Bias | None, chosen: str) -> Figures:
    if of is None:
        return {}
    if not chosen:
        return of.macro
    figures = of.by_group if chosen.startswith("g:") else of.by_query_language
    return figures.get(chosen[2:], {})


def table_standings(board: Leaderboard, entries: Sequence[Entry]) -> list[list[list[tuple[int, int] | None] | None]]:
    """Of each entry, task and setting: the place, and the verdict by number, in the measure that is tested."""
    return [
        [None if (row := entry.rows.get(task)) is None else _places(row, board.tests.metric) for task in board.tasks]
        for entry in entries
    ]


def _places(row: Row | PublishedRow, metric: str) -> list[tuple[int, int] | None] | None:
    if not isinstance(row, Row) or not row.standing:
        return None
    found = [row.standing.get(setting, {}).get(metric) for setting in SETTINGS]
    return [None if test is None else (test.place, VERDICTS.index(test.verdict)) for test in found]


def model_data(entry: Entry, board: Leaderboard, keys: Mapping[str, str]) -> dict[str, Any]:
    """All figures of an entry, for the comparison.

    Args:
        entry: one of `make_entries(board)`.
        board: the leaderboard.
        keys: id of a row -> key of its entry.
    """
    shown: dict[str, Any] = {"scores": {}, "bias": {}, "standing": {}, "record": {}, "pairs": {}}
    for task, row in entry.rows.items():
        shown["scores"][task] = {name: _figures(figures) for name, figures in row.scores.items()}
        shown["bias"][task] = _figures(row.bias)
        if isinstance(row, Row):
            shown["record"][task] = row.record
            shown["standing"][task] = _standing(row, board.tests.metric, keys)
        of_pair = row.scores[CROSS_LINGUAL].by_language_pair if CROSS_LINGUAL in row.scores else {}
        shown["pairs"][task] = {
            pair: _short(values[PAIR_METRIC]) for pair, values in of_pair.items() if PAIR_METRIC in values
        }
    return shown


def _standing(row: Row, metric: str, keys: Mapping[str, str]) -> dict[str, Any]:
    return {
        setting: {
            "place": test.place,
            "verdict": test.verdict,
            "tied": test.tied_with_best,
            "best": keys.get(test.best),
            "p": test.p_adjusted,
            "pArticle": test.p_article,
        }
        for setting, of_metric in row.standing.items()
        if (test := of_metric.get(metric)) is not None
    }


def _figures(of: SettingFigures | Bias) -> dict[str, dict[str, Any]]:
    """Languages chosen ("": all, `l:` one query language, `g:` a group) -> metric -> figure."""
    parts = {f"l:{code}": figures for code, figures in of.by_query_language.items()}
    parts |= {f"g:{name}": figures for name, figures in of.by_group.items()}
    return {
        "": {name: _cell(figure, articles=True) for name, figure in of.macro.items()},
        **{part: {name: _cell(figure) for name, figure in figures.items()} for part, figures in parts.items()},
    }


def _cell(figure: Figure, *, articles: bool = False) -> Cell:
    value = _short(figure.value)
    if value is None:
        return figure.undefined_reason or "no reason is given"
    thin = figure.thin if articles else (figure.thin[0], False)
    intervals = zip((figure.interval, figure.article_interval if articles else None), thin, strict=True)
    low, high, *of_articles = [
        end
        for interval, few in intervals
        for end in ((as_shown(interval.low), as_shown(interval.high)) if interval and not few else (None, None))
    ]
    flag = thin[0] + 2 * thin[1] or None
    cell = [value, low, high, _short(figure.random_reference), flag, *of_articles]
    while cell[-1] is None:
        cell.pop()
    return cell


def _short(value: float | None) -> float | None:
    """Six significant digits; None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


# The panel of multilingual MAP against own-language first: a drawing without scripts and its table, a task each.

WIDTH, HEIGHT, LEFT, BELOW = 360, 220, 40, 34


def frontier_panels(board: Leaderboard) -> list[dict[str, Any]]:
    """Title, drawing and table of each task with at least two rows that compete under the standard protocol."""
    panels = []
    for name, task in board.tasks.items():
        rows = [row for row in board.rows if row.task == name and row.contest and row.protocol.name == "standard"]
        points = [point for row in rows if (point := _point(row)) is not None]
        if len(points) > 1:
            table = frontier_table(points, f"{task.title}: nearest rows in monolingual MAP")
            panels.append({"title": task.title, "drawing": _drawing(points, task.title), "table": table})
    return panels


def _point(row: Row) -> Point | None:
    """A row's point; None where one of its figures has no value."""
    maps = [row.scores[name].macro.get("map") for name in (MONOLINGUAL, MULTILINGUAL) if name in row.scores]
    values = [figure.value for figure in maps if figure is not None and figure.value is not None]
    own = row.bias.macro.get(PREFERENCE)
    if len(values) < 2 or own is None or own.value is None:
        return None
    mono, multi = values
    return Point(visible(row.model) or "(no name)", mono, multi, own.value, own.random_reference or 0.0)


def _free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Where a circle's number stands: at the first place around it that no other number has, else on its right."""
    around = ((13, 4), (-13, 4), (0, -10), (0, 18), (13, -9), (-13, -9), (13, 17), (-13, 17))
    places = [
        (x + right, y + down) for right, down in around if 0 < y + down < HEIGHT - BELOW and x + right < WIDTH - 4
    ]
    free = (one for one in places if all(abs(one[0] - a) > 15 or abs(one[1] - b) > 11 for a, b in taken))
    return next(free, (x + 13, y + 4))


def _drawing(points: Sequence[Point], title: str) -> Markup:
    """Circles, larger for more monolingual MAP, numbered as in the table; those on the frontier are filled."""
    highest = max(min(1.0, point.multilingual) for point in points)  # a JSON may hold any number
    step = next((step for step in (0.05, 0.1) if highest <= 5 * step), 0.2)
    ticks = [step * place for place in range(1 + max(1, math.ceil(highest / step)))]
    top = ticks[-1] * 1.06

    def at(own: float, multi: float) -> tuple[str, str]:
        x = LEFT + (WIDTH - LEFT - 16) * min(1.0, max(0.0, own))
        return f"{x:.1f}", f"{(HEIGHT - BELOW) * (1 - multi / top):.1f}"

    label = f"{title}: multilingual MAP against own-language first"
    parts = []
    for tick in TICKS:
        x, low = at(tick, 0.0)
        parts += [line("grid", (x, x), (0, low)), words("tick", x, HEIGHT - BELOW + 14, f"{tick:g}")]
    for tick in ticks:
        _, y = at(0.0, tick)
        parts.append(words("tick", LEFT - 14, f"{float(y) + 3:.1f}", f"{tick:g}"))
    parts.append(words("axis", LEFT + 5, 11, "multilingual MAP"))
    chance, low = at(points[0].chance, 0.0)
    parts.append(line("chance", (chance, chance), (0, low)))
    parts.append(words("tick", (WIDTH + LEFT) // 2, HEIGHT - 4, "own language first"))
    taken: list[tuple[float, float]] = []
    for place, (point, leads) in enumerate(by_rank(points), start=1):
        x, y = at(point.own_first, point.multilingual)
        says = (
            f"{point.label}: multilingual MAP {number(point.multilingual)}, own-language first "
            f"{number(point.own_first)}, monolingual MAP {number(point.monolingual)}"
        )
        circle = Markup('<g><title>{}</title><circle class="{}" cx="{}" cy="{}" r="{:.1f}"/>').format(
            says, "on" if leads else "off", x, y, 3 + 5 * point.monolingual
        )
        beside = _free(float(x), float(y), taken)
        taken.append(beside)
        text = Markup('<text class="number" x="{:.1f}" y="{:.1f}">{}</text></g>')
        parts += [circle, text.format(*beside, place)]
    return drawing("frontier", WIDTH, HEIGHT, label, parts)
