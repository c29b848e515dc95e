"""Records as tables for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xqr_bench.record import Record
from xqr_bench.report.protocol import protocol_lines
from xqr_bench.scores import Score
from xqr_bench.types import MULTILINGUAL, SETTINGS

SHORT = {"monolingual": "Mo.", "cross-lingual": "Cr.", "multilingual": "Mul."}
TASKS_BESIDE = 2
WEAKEST = 3


def number(value: float | None, *, digits: int = 4) -> str:
    """A figure as printed: `.3197`, `10,792`, `–` where it is undefined."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}" if abs(value) < 1e6 else f"{value:.3g}"
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def results(records: Sequence[Record]) -> RenderableType:
    """The main table of one encoder, the weakest languages, and the warnings."""
    parts: list[RenderableType] = [Text(line) for line in protocol_lines(records)]
    for start in range(0, len(records), TASKS_BESIDE):
        beside = records[start : start + TASKS_BESIDE]
        parts += [main_table(beside), bias_table(beside)]
    parts += [weakest_languages(record) for record in records]
    parts += [Text(f"! {line}", style="yellow") for line in _warnings(records)]
    return Group(*parts)


def _warnings(records: Sequence[Record]) -> Iterable[str]:
    shared = [line for line in records[0].warnings if all(line in record.warnings for record in records)]
    yield from shared
    for record in records:
        for line in record.warnings:
            if line not in shared:
                yield f"{record.task.name}: {line}"
        if record.task.partial:
            yield f"{record.task.name}: scored on a part only ({_partial(record)}); this record cannot be submitted"
        if record.task.demonstration:
            yield (
                f"{record.task.name} is a small demonstration: draw conclusions from --task xquad-r and --task mlqa-r"
            )


def _partial(record: Record) -> str:
    return ", ".join(f"{key}: {value}" for key, value in record.task.partial.items())


def main_table(records: Sequence[Record]) -> Table:
    """Scores: a row a metric, for each task the macro averages Mo. / Cr. / Mul."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=_title(records), title_justify="left")
    table.add_column("score")
    for record in records:
        for setting in SETTINGS:
            table.add_column(f"{record.task.name}\n{SHORT[setting]}", justify="right")
    for metric in _metrics(records, "score"):
        cells = [
            number(_value(record.scores[setting].macro.get(metric))) if setting in record.scores else ""
            for record in records
            for setting in SETTINGS
        ]
        table.add_row(metric, *cells)
    return table


def bias_table(records: Sequence[Record]) -> Table:
    """Bias of the multilingual rankings, beside the value of a random ranking and their ratio."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("bias (multilingual)")
    for record in records:
        for name in ("value", "random", "ratio"):
            table.add_column(f"{record.task.name}\n{name}", justify="right")
    for metric in _metrics(records, "bias"):
        cells: list[str] = []
        for record in records:
            scores = record.scores.get(MULTILINGUAL)
            score = scores.macro.get(metric) if scores else None
            if score is None:
                cells += ["", "", ""]
            else:
                cells += [
                    number(score.value),
                    number(score.random_reference) if score.random_reference is not None else "",
                    f"{score.ratio_to_random:.3f}" if score.ratio_to_random is not None else "",
                ]
        table.add_row(metric, *cells)
    return table


def weakest_languages(record: Record, metric: str = "map") -> Text:
    """The query languages with the lowest scores in each setting."""
    lines = [f"{record.task.name}: weakest query languages by {metric}"]
    for setting, scores in record.scores.items():
        found = [
            (score.value, language)
            for language, of_metric in scores.by_query_language.items()
            if (score := of_metric.get(metric)) is not None and score.value is not None
        ]
        if len(found) > 1:
            weakest = ", ".join(f"{language} {number(value)}" for value, language in sorted(found)[:WEAKEST])
            lines.append(f"  {setting:<14} {weakest}")
    return Text("\n".join(lines) + "\n")


def _title(records: Sequence[Record]) -> str:
    return records[0].model.name


def _metrics(records: Sequence[Record], kind: str) -> list[str]:
    from xqr_bench.metrics import parse_metric

    names = dict.fromkeys(name for record in records for name in record.task.metrics)
    return [name for name in names if parse_metric(name).kind == kind]


def _value(score: Score | None) -> float | None:
    return None if score is None else score.value
