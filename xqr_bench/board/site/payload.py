"""What the pages are made from: entries, the data of their scripts, and the frontier."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from xqr_bench.board.model import Bias, Leaderboard, PublishedRow, Row, SettingFigures
from xqr_bench.board.site.html import (
    CAPTION,
    SETTING_LABELS,
    TICKS,
    drawing,
    group_label,
    line,
    metric_label,
    number,
    unique_stems,
    words,
)
from xqr_bench.core.types import MONOLINGUAL, MULTILINGUAL, PREFERENCE, SETTINGS
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


# What the scripts of the main table and of the comparison read: the leaderboard JSON, made small.

PAIR_METRIC = "map"
# what would end a script element, or a line of one in an old parser
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def embedded_json(value: object) -> Markup:
    """JSON that may stand in a script element: no `<`, `>` or `&` is left in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_ESCAPES))


def payload(board: Leaderboard, entries: Sequence[Entry], *, pairs: bool = False) -> dict[str, Any]:
    """Everything that the scripts show.

    A figure is `[value, low, high, article low, article high, random reference]`, shortened after the last one known,
    or the reason why it has no value.

    Args:
        board: the leaderboard.
        entries: of `make_entries(board)`.
        pairs: with the values of language pairs.
    """
    keys = {row.id: entry.key for entry in entries for row in entry.rows.values()}
    return {
        "level": percent(board.interval_level),
        "tested": board.tests.metric,
        "settings": [[name, SETTING_LABELS[name]] for name in SETTINGS],
        "parts": PARTS,
        "caption": CAPTION,
        "metrics": [
            {"name": name, "label": metric_label(name), "kind": facts.kind, "summary": facts.summary}
            for name, facts in board.metrics.items()
        ],
        "tasks": [
            {
                "name": name,
                "title": task.title,
                "languages": [[language.code, language.name] for language in task.languages],
                "groups": [[group, group_label(group)] for group in task.groups],
            }
            for name, task in board.tasks.items()
        ],
        "entries": [_entry_payload(entry, board, keys, pairs) for entry in entries],
    }


def percent(level: float) -> str:
    """A confidence level: `95%`."""
    return f"{100 * level:g}%"


def _entry_payload(entry: Entry, board: Leaderboard, keys: Mapping[str, str], pairs: bool) -> dict[str, Any]:
    fields = ("key", "page", "part", "model", "version", "kind", "protocol", "index", "exposure")
    shown: dict[str, Any] = {
        **{name: getattr(entry, name) for name in fields},
        "status": entry.statuses,
        "unrepresented": entry.unrepresented,
        "scores": {},
        "bias": {},
        "standing": {},
        "record": {},
    }
    for task, row in entry.rows.items():
        shown["scores"][task] = {name: _figures(figures) for name, figures in row.scores.items()}
        shown["bias"][task] = _figures(row.bias)
        if isinstance(row, Row):
            shown["record"][task] = row.record
            shown["standing"][task] = _standing(row, board.tests.metric, keys)
        if pairs:
            of_pair = row.scores["cross-lingual"].by_language_pair if "cross-lingual" in row.scores else {}
            shown.setdefault("pairs", {})[task] = {
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


def _cell(figure: Figure, *, articles: bool = False) -> list[float | None] | str:
    value = _short(figure.value)
    if value is None:
        return figure.undefined_reason or "no reason is given"
    thin = figure.thin if articles else (figure.thin[0], False)
    intervals = zip((figure.interval, figure.article_interval if articles else None), thin, strict=True)
    ends = [
        end
        for interval, few in intervals
        for end in ((interval.low, interval.high) if interval and not few else (None, None))
    ]
    flag = thin[0] + 2 * thin[1] or None
    cell = [value, *map(_short, [*ends, figure.random_reference]), flag]
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


def _drawing(points: Sequence[Point], title: str) -> Markup:
    """Circles, larger for more monolingual MAP, numbered as in the table; those on the frontier are filled."""
    top = max(0.1, *(point.multilingual for point in points)) * 1.1

    def at(own: float, multi: float) -> tuple[str, str]:
        x = LEFT + (WIDTH - LEFT - 16) * min(1.0, max(0.0, own))
        return f"{x:.1f}", f"{(HEIGHT - BELOW) * (1 - multi / top):.1f}"

    label = f"{title}: multilingual MAP against own-language first"
    parts = []
    for tick in TICKS:
        x, low = at(tick, 0.0)
        parts += [line("grid", (x, x), (0, low)), words("tick", x, HEIGHT - BELOW + 14, f"{tick:g}")]
    for share in (0.0, 0.5, 1.0):
        _, y = at(0.0, top / 1.1 * share)
        parts.append(words("tick", LEFT // 2, y, number(top / 1.1 * share)))
    chance, low = at(points[0].chance, 0.0)
    parts.append(line("chance", (chance, chance), (0, low)))
    parts.append(words("tick", (WIDTH + LEFT) // 2, HEIGHT - 4, "own-language first"))
    for place, (point, leads) in enumerate(by_rank(points), start=1):
        x, y = at(point.own_first, point.multilingual)
        says = (
            f"{point.label}: multilingual MAP {number(point.multilingual)}, own-language first "
            f"{number(point.own_first)}, monolingual MAP {number(point.monolingual)}"
        )
        circle = Markup('<g><title>{}</title><circle class="{}" cx="{}" cy="{}" r="{:.1f}"/>').format(
            says, "on" if leads else "off", x, y, 3 + 5 * point.monolingual
        )
        parts += [circle, Markup('<text x="{}" y="{}">{}</text></g>').format(f"{float(x) + 9:.1f}", y, place)]
    return drawing("frontier", WIDTH, HEIGHT, label, parts)
