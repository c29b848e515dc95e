"""Figures from papers: files of their own, rows of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xqr_bench.board.files import PUBLISHED, read_json
from xqr_bench.board.model import Bias, PublishedRow, SettingFigures, Source
from xqr_bench.board.tasks import board_tasks
from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError, XqrBenchError
from xqr_bench.core.types import SETTINGS
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import Figure

MEAN_TOLERANCE = 0.00015
"""Means of four-digit figures differ by up to this from the printed mean."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedSource(_Part):
    """The paper."""

    citation: str
    url: str
    notes: list[str] = []


class PublishedFigure(_Part):
    """A printed figure, and those of each query language where they are printed."""

    value: float
    by_query_language: dict[str, float] = {}
    slip: str | None = Field(default=None, description="why the languages do not average to the value")


class PublishedModel(_Part):
    """One model on one task."""

    model: str
    variant: str
    task: str = Field(description="tasks that the leaderboard does not have are kept and not shown")
    notes: list[str] = []
    scores: dict[str, dict[str, PublishedFigure]] = Field(description="setting -> metric -> figure")


class PublishedFile(_Part):
    """One file: the figures of one paper."""

    published_version: Literal[1]
    source: PublishedSource
    rows: list[PublishedModel]


def load_published(path: Path) -> PublishedFile:
    """Read and check a file of published figures.

    Raises:
        RecordError: it does not have the form, or a figure is not possible.
        UnknownNameError, UsageError: a metric's name.
    """
    remedy = "docs/leaderboard.md describes files of published figures"
    try:
        found = strict_json.validate(PublishedFile, read_json(path))
    except ValidationError as error:
        raise RecordError(f"{path.name}: {strict_json.first_fault(error)}", remedy=remedy) from None
    seen = set()
    for row in found.rows:
        name = f"{path.name}: {row.model} {row.variant} {row.task}"
        if (row.model, row.variant, row.task) in seen:
            raise RecordError(f"{name} stands there twice", remedy=remedy)
        seen.add((row.model, row.variant, row.task))
        for setting, of_metric in row.scores.items():
            if setting not in SETTINGS:
                raise RecordError(f"{name}: there is no setting {setting!r}", remedy=remedy)
            for metric, figure in of_metric.items():
                _check_figure(f"{name}: {setting} {metric}", metric, figure, remedy)
    return found


def _check_figure(name: str, metric: str, figure: PublishedFigure, remedy: str) -> None:
    values = [figure.value, *figure.by_query_language.values()]
    most = 1.0 if parse_metric(metric).kind == "score" else float("inf")
    if not all(0 <= value <= most for value in values):
        raise RecordError(f"{name} is out of bounds", found=str(values), remedy=remedy)
    if not figure.by_query_language:
        return
    mean = sum(figure.by_query_language.values()) / len(figure.by_query_language)
    near = abs(mean - figure.value) <= (MEAN_TOLERANCE if most == 1.0 else 0.15)
    if near == (figure.slip is not None):
        raise RecordError(
            f"{name}: the mean over languages {'is' if near else 'is not'} the printed figure",
            found=f"{mean:.4f} and {figure.value}",
            remedy="take the slip out" if near else "correct it, or explain it as a slip",
        )


def published_paths(folder: Path) -> list[Path]:
    """The files of published figures."""
    return sorted((folder / PUBLISHED).glob("*.json"))


def check_published(folder: Path) -> Iterator[tuple[Path, XqrBenchError]]:
    """The faults of the files of published figures."""
    for path in published_paths(folder):
        try:
            load_published(path)
        except XqrBenchError as error:
            yield path, error


def published_rows(folder: Path) -> list[PublishedRow]:
    """The rows of the tasks that the leaderboard has, by task, source, model and variant as printed.

    A faulty file has none; `check_published` names it.
    """
    rows = []
    for path in published_paths(folder):
        try:
            found = load_published(path)
        except XqrBenchError:
            continue
        rows += [_row(path.stem, found.source, row) for row in found.rows if row.task in board_tasks()]
    order = list(board_tasks())
    return sorted(rows, key=lambda row: order.index(row.task))


def _row(stem: str, source: PublishedSource, row: PublishedModel) -> PublishedRow:
    scores, bias, notes = {}, Bias(), [*source.notes, *row.notes]
    for setting, of_metric in row.scores.items():
        made = SettingFigures()
        for metric, figure in of_metric.items():
            part = made if parse_metric(metric).kind == "score" else bias
            part.macro[metric] = Figure(value=figure.value, n=0)
            for language, value in figure.by_query_language.items():
                part.by_query_language.setdefault(language, {})[metric] = Figure(value=value, n=0)
            if figure.slip is not None:
                notes.append(f"{setting} {metric}: {figure.slip}")
        scores[setting] = made
    return PublishedRow(
        id=f"{PUBLISHED}/{stem}/{row.model}/{row.variant}/{row.task}",
        task=row.task,
        model=row.model,
        variant=row.variant,
        source=Source(citation=source.citation, url=source.url),
        scores=scores,
        bias=bias,
        notes=notes,
    )
