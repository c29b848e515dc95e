"""What a leaderboard has to set beside a condition's curve: other encoders on its task, and how much was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xqr_bench.board.model import Bias, Leaderboard, SettingFigures
from xqr_bench.report.numbers import number
from xqr_bench.report.table import Table, columns
from xqr_bench.studies.ratio.form import MAIN, Condition
from xqr_bench.studies.ratio.tables import SHORT

_SHOWN = ("alpha-0", "alpha-0.5", "alpha-1")
LEXICAL = "bm25"


def levels(condition: Condition, board: Leaderboard) -> Table | None:
    """BM25 and published encoders on the condition's task, then arms of this study; None: the board has neither."""
    others = [
        (row.model, row.scores, row.bias)
        for row in board.rows
        if row.task == condition.evaluate and row.model == LEXICAL
    ]
    others += [
        (f"{row.model}, {row.variant} (published)", row.scores, row.bias)
        for row in board.published
        if row.task == condition.evaluate and row.scores
    ]
    if not others:
        return None
    rows = [(name, *_figures(scores, bias)) for name, scores, bias in others]
    raw = condition.view()
    names = [arm.name for arm in condition.arms]
    of_curve = [arm for arm in _SHOWN if arm in names]
    for arm in of_curve or names:  # a study of one's own need not be about the ratio
        scores = [] if raw is None else [raw.score(*key) for key in MAIN]
        shown = [one.arms.get(arm) if one is not None else None for one in scores]
        if any(shown):
            rows.append((f"{arm}, this study", *(number(None if one is None else one.value) for one in shown)))
    return Table(
        f"{condition.name}: the {'curve' if of_curve else 'arms'} beside other encoders on {condition.evaluate}",
        columns("encoder", *(SHORT[key] for key in MAIN)),
        rows,
        ("Published: from a paper, other models and other training data, without intervals.",),
    )


def _figures(scores: Mapping[str, SettingFigures], bias: Bias) -> Iterator[str]:
    for setting, metric in MAIN:
        macro = scores[setting].macro if metric == "map" and setting in scores else bias.macro
        figure = macro.get(metric)
        yield number(None if figure is None else figure.value)


def amount_said(study: str, condition: Condition, board: Leaderboard) -> str | None:
    """How much was trained on, and how often a pair came, by the training records of the condition's rows."""
    stages: dict[str, dict[str, Any]] = {}
    for row in board.rows:
        group = row.run_group or {}
        if (group.get("study"), group.get("condition")) == (study, condition.name) and row.training is not None:
            stages[str(group.get("arm"))] = row.training.get("training") or {}
    amounts = {arm: stage["statistics"] for arm in _SHOWN if (stage := stages.get(arm))}
    if not amounts:
        return None
    first = next(iter(amounts.values()))
    repeats = ", ".join(f"{one['repeats_mean']:.1f} times in {arm}" for arm, one in amounts.items())
    return (
        f"Trained on {first['questions']:,} questions in {first['rows']:,} rows: a pair comes {repeats}. What is said "
        "here holds where pairs repeat as often."
    )
