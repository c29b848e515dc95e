"""What the scripts of the main table and of the comparison read: the leaderboard JSON, made small."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from xqr_bench.board.model import Bias, Figure, Leaderboard, Row, SettingFigures
from xqr_bench.site.entries import PARTS, Entry
from xqr_bench.site.text import SETTING_LABELS, group_label, metric_label
from xqr_bench.types import SETTINGS

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
        "entries": [_entry(entry, board, keys, pairs) for entry in entries],
    }


def percent(level: float) -> str:
    """A confidence level: `95%`."""
    return f"{100 * level:g}%"


def _entry(entry: Entry, board: Leaderboard, keys: Mapping[str, str], pairs: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "key": entry.key,
        "page": entry.page,
        "part": entry.part,
        "model": entry.model,
        "version": entry.version,
        "kind": entry.kind,
        "protocol": entry.protocol,
        "index": entry.index,
        "exposure": entry.exposure,
        "status": entry.statuses,
        "unrepresented": entry.unrepresented,
        "scores": {},
        "bias": {},
        "standing": {},
        "record": {},
    }
    for task, row in entry.rows.items():
        found["scores"][task] = {name: _setting(figures) for name, figures in row.scores.items()}
        found["bias"][task] = _bias(row.bias)
        if isinstance(row, Row):
            found["record"][task] = row.record
            found["standing"][task] = _standing(row, board.tests.metric, keys)
        if pairs:
            of_pair = row.scores["cross-lingual"].by_language_pair if "cross-lingual" in row.scores else {}
            found.setdefault("pairs", {})[task] = {
                pair: _short(values[PAIR_METRIC]) for pair, values in of_pair.items() if PAIR_METRIC in values
            }
    return found


def _standing(row: Row, metric: str, keys: Mapping[str, str]) -> dict[str, Any]:
    return {
        setting: {
            "place": found.place,
            "verdict": found.verdict,
            "tied": found.tied_with_best,
            "best": keys.get(found.best),
            "p": found.p_adjusted,
            "pArticle": found.p_article,
        }
        for setting, of_metric in row.standing.items()
        if (found := of_metric.get(metric)) is not None
    }


def _setting(figures: SettingFigures) -> dict[str, dict[str, Any]]:
    """Languages chosen ("": all, `l:` one query language, `g:` a group) -> metric -> figure."""
    return _parts(figures.macro, figures.by_query_language, figures.by_group)


def _bias(bias: Bias) -> dict[str, dict[str, Any]]:
    return _parts(bias.macro, bias.by_query_language, bias.by_group)


def _parts(
    macro: Mapping[str, Figure],
    by_language: Mapping[str, Mapping[str, Figure]],
    by_group: Mapping[str, Mapping[str, Figure]],
) -> dict[str, dict[str, Any]]:
    return {
        "": _cells(macro, articles=True),
        **{f"l:{code}": _cells(figures) for code, figures in by_language.items()},
        **{f"g:{name}": _cells(figures) for name, figures in by_group.items()},
    }


def _cells(figures: Mapping[str, Figure], *, articles: bool = False) -> dict[str, Any]:
    return {name: _cell(figure, articles) for name, figure in figures.items()}


def _cell(figure: Figure, articles: bool) -> list[float | None] | str:
    value = _short(figure.value)
    if value is None:
        return figure.undefined_reason or "no reason is given"
    low, high = figure.interval or (None, None)
    article_low, article_high = (figure.article_interval if articles else None) or (None, None)
    cell = [value, *map(_short, (low, high, article_low, article_high, figure.random_reference))]
    while cell[-1] is None:
        cell.pop()
    return cell


def _short(value: float | None) -> float | None:
    """Six significant digits; None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
