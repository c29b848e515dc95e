"""Plots of records and of their differences: PNG, SVG or PDF at the width of a paper's column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from xqr_bench.analysis.asked import Choice, Drawn, Look
from xqr_bench.analysis.choice import TaskComparison
from xqr_bench.analysis.compare import compare, pair_maps
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.types import MAIN_METRIC, MULTILINGUAL, SETTINGS, STRICT, VARIANTS
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.resampling import RESAMPLES
from xqr_bench.rank.rules import variant_metrics
from xqr_bench.record import Record, load_record
from xqr_bench.report import charts
from xqr_bench.report.canvas import check_output, save, under
from xqr_bench.report.frontier import frontier_table, points_of
from xqr_bench.report.table import Table

KINDS = ("heatmap", "languages", "forest", "bias", "frontier")


def check_plot(kind: str, output: Path | str) -> None:
    """Raise UsageError unless the kind and the format of the output are known."""
    if kind not in KINDS:
        raise UnknownNameError("kind of plot", kind, KINDS)
    check_output(output)


def check_relevance(relevance: str, kind: str, metric: str = MAIN_METRIC) -> None:
    """Raise UsageError unless a kind of plot, and a metric, can be drawn under a rule of relevance."""
    if relevance not in (STRICT, *VARIANTS):
        raise UnknownNameError("rule of relevance", relevance, (STRICT, *VARIANTS))
    if relevance == STRICT:
        return
    if kind == "bias":
        raise UsageError("places of languages are scored under strict relevance only", remedy="leave --relevance out")
    if not variant_metrics(relevance, [metric]):
        raise UsageError(f"{metric} is not scored under {relevance} relevance", remedy="choose another, such as map")


@checked
def plot_records(
    paths: Sequence[Path],
    output: Path,
    drawn: Drawn | None = None,
    look: Look | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Path:
    """Draw records.

    Args:
        paths: records; for differences with their ranks beside them.
        output: .png, .svg or .pdf.
        drawn: the kind: `heatmap` (language pairs of one record, or the difference of two), `languages` (bars by query
            language), `forest` (differences), `bias` (place of each language), `frontier` (multilingual MAP against
            own-language first); and of what.
        look: other names of the records, another title or size.
        seed, resamples: of the tests behind a difference.

    Returns:
        the path written.

    Raises:
        UsageError: the kind does not fit the records, or a name is not known.
        RecordError: a record cannot be read, or has nothing under the rule of relevance.
    """
    if not paths:
        raise UsageError("no record is named", remedy="name the JSON files of records")
    drawn, look = drawn or Drawn(), look or Look()
    setting, relevance = drawn.setting, drawn.relevance
    kind = drawn.kind or ("heatmap" if len(paths) == 1 else "forest")
    check_plot(kind, output)
    name = parse_metric(drawn.metric).name
    if setting is not None and setting not in SETTINGS:
        raise UnknownNameError("setting", setting, SETTINGS)
    if setting is not None and kind in ("heatmap", "bias", "frontier"):
        raise UsageError(f"--setting does not change a plot of the kind {kind}", remedy="leave it out")
    check_relevance(relevance, kind, name)
    if kind == "forest":
        choice = Choice(metrics=() if name == MAIN_METRIC else (name,), relevance=relevance)
        tasks = called(compare(paths, choice, seed=seed, resamples=resamples), look)
        return save(charts.draw_forest([_only(task, name, setting) for task in tasks]), output, look)
    if kind == "heatmap" and len(paths) > 1:
        maps = pair_maps(paths, name, relevance=relevance, seed=seed, resamples=resamples)
        names = look.names(label for pairs in maps for label in (pairs.a, pairs.b))
        maps = [replace(pairs, a=names[pairs.a], b=names[pairs.b]) for pairs in maps]
        return save(charts.draw_heatmap([charts.difference_matrix(pairs) for pairs in maps]), output, look)
    # records hold no scores of language pairs under another rule: these come from the ranks
    records = _called([load_record(path, ranks=kind == "heatmap" and relevance != STRICT) for path in paths], look)
    if kind == "languages":
        figure = charts.draw_bars(records, name, setting or MULTILINGUAL, relevance)
    elif kind == "frontier":
        figure = charts.draw_frontier(points_of(records, relevance), records[0].task.title + under(relevance))
    elif kind == "bias":
        figure = charts.draw_heatmap([charts.position_matrix(record) for record in records])
    else:
        figure = charts.draw_heatmap([charts.score_matrix(record, name, relevance) for record in records])
    return save(figure, output, look)


def called(tasks: Sequence[TaskComparison], look: Look) -> list[TaskComparison]:
    """The comparisons with the records called as `look` says."""
    names = look.names(record.label for task in tasks for record in task.records)
    return [task.called(names) for task in tasks]


def _called(records: Sequence[Record], look: Look) -> list[Record]:
    names = look.names(record.model.name for record in records)
    models = [record.model.model_copy(update={"name": names[record.model.name]}) for record in records]
    return [record.model_copy(update={"model": model}) for record, model in zip(records, models, strict=True)]


def frontier_of(paths: Sequence[Path], relevance: str = STRICT, look: Look | None = None) -> Table:
    """What a plot of the kind `frontier` shows, as a table."""
    records = _called([load_record(path) for path in paths], look or Look())
    return frontier_table(points_of(records, relevance), records[0].task.title + under(relevance))


def plot_comparison(
    comparisons: Sequence[TaskComparison],
    paths: Sequence[Path],
    kind: str,
    output: Path,
    choice: Choice,
    look: Look | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Path:
    """Draw what `compare` made of the records at these paths; other kinds than `forest` are drawn from the records.

    The comparisons are called as `look` says already.

    A plot of one metric or setting takes the first that was chosen. Kind and output are those of `check_plot`.
    """
    if kind == "forest":
        return save(charts.draw_forest(comparisons), output, look)
    metric = next((name for name in choice.metrics if name != "all"), "map")
    setting = next((name for name in choice.settings if name != "all"), None) if kind == "languages" else None
    drawn = Drawn(kind, metric, setting, choice.relevance)
    return plot_records(paths, output, drawn, look, seed=seed, resamples=resamples)


def _only(task: TaskComparison, metric: str, setting: str | None) -> TaskComparison:
    """The comparisons of one metric, and of one setting unless that is None."""
    chosen = tuple(one for one in task.comparisons if one.metric == metric and setting in (None, one.setting))
    if not chosen:
        raise UsageError(f"{task.title}: there is no {metric} in the setting {setting}", remedy="choose another")
    return task.model_copy(update={"comparisons": chosen})
