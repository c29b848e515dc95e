"""Plots of records and of their differences: PNG, SVG or PDF at the width of a paper's column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xqr_bench.comparison import CONFIRMATORY, Choice, TaskComparison, compare, pair_maps
from xqr_bench.errors import UnknownNameError, UsageError
from xqr_bench.metrics import parse_metric
from xqr_bench.record import Record, load_record
from xqr_bench.report.frontier import points_of
from xqr_bench.report.plots import bars, forest, frontier, heatmap
from xqr_bench.report.plots.style import check_output, save
from xqr_bench.stats.signs import RESAMPLES
from xqr_bench.types import MULTILINGUAL, SETTINGS

__all__ = ["KINDS", "check_plot", "plot_comparison", "plot_records"]

KINDS = ("heatmap", "languages", "forest", "bias", "frontier")


def check_plot(kind: str, output: Path | str) -> None:
    """Raise UsageError unless the kind and the format of the output are known."""
    if kind not in KINDS:
        raise UnknownNameError("kind of plot", kind, KINDS)
    check_output(output)


def plot_records(
    paths: Sequence[Path],
    output: Path,
    kind: str | None = None,
    *,
    metric: str = "map",
    setting: str | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Path:
    """Draw records.

    Args:
        paths: records; for differences with their ranks beside them.
        output: .png, .svg or .pdf.
        kind: `heatmap` (language pairs of one record, or the difference of two), `languages` (bars by query
            language), `forest` (differences), `bias` (place of each language); default: heatmap of one record, forest
            of several; `frontier`: multilingual MAP against own-language first.
        metric: what is drawn.
        setting: of `languages` (default multilingual) and `forest` (default all).
        seed, resamples: of the tests behind a difference.

    Returns:
        the path written.

    Raises:
        UsageError: the kind does not fit the records, or a name is not known.
        RecordError: a record cannot be read.
    """
    if not paths:
        raise UsageError("no record is named", remedy="name the JSON files of records")
    kind = kind or ("heatmap" if len(paths) == 1 else "forest")
    check_plot(kind, output)
    name = parse_metric(metric).name
    if setting is not None and setting not in SETTINGS:
        raise UnknownNameError("setting", setting, SETTINGS)
    if setting is not None and kind in ("heatmap", "bias", "frontier"):
        raise UsageError(f"--setting does not change a plot of the kind {kind}", remedy="leave it out")
    if kind == "forest":
        choice = Choice(metrics=() if name == CONFIRMATORY else (name,))
        found = compare(paths, choice, seed=seed, resamples=resamples)
        return save(forest.draw([_only(task, name, setting) for task in found]), output)
    if kind == "heatmap" and len(paths) > 1:
        maps = pair_maps(paths, name, seed=seed, resamples=resamples)
        return save(heatmap.draw([heatmap.difference_matrix(found) for found in maps]), output)
    records = [load_record(path) for path in paths]
    if kind == "languages":
        by_task: dict[str, list[Record]] = {}
        for record in records:
            by_task.setdefault(record.task.name, []).append(record)
        return save(bars.draw(list(by_task.values()), name, setting or MULTILINGUAL), output)
    if kind == "frontier":
        return save(frontier.draw(points_of(records), records[0].task.title), output)
    if kind == "bias":
        return save(heatmap.draw([heatmap.position_matrix(record) for record in records]), output)
    return save(heatmap.draw([heatmap.score_matrix(record, name) for record in records]), output)


def plot_comparison(
    found: Sequence[TaskComparison],
    paths: Sequence[Path],
    kind: str,
    output: Path,
    choice: Choice,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Path:
    """Draw what `compare` found; other kinds than `forest` are drawn from the records.

    Args:
        found: as `compare` gives it.
        paths: the records.
        kind: as for `plot_records`.
        output: .png, .svg or .pdf.
        choice: what was compared; a plot of one metric or setting takes the first of them.
        seed, resamples: as for `plot_records`.
    """
    check_plot(kind, output)
    if kind == "forest":
        return save(forest.draw(found), output)
    metric = next((name for name in choice.metrics if name != "all"), "map")
    setting = next((name for name in choice.settings if name != "all"), None) if kind == "languages" else None
    return plot_records(paths, output, kind, metric=metric, setting=setting, seed=seed, resamples=resamples)


def _only(found: TaskComparison, metric: str, setting: str | None) -> TaskComparison:
    """The comparisons of one metric, and of one setting unless that is None."""
    chosen = tuple(
        one for one in found.comparisons if one.metric == metric and (setting is None or one.setting == setting)
    )
    if not chosen:
        raise UsageError(f"{found.title}: there is no {metric} in the setting {setting}", remedy="choose another")
    return found.model_copy(update={"comparisons": chosen})
