"""Records as tables for a terminal, the figures in their cells, and the words about how a record was made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from xqr_bench.analysis.choice import Comparison
from xqr_bench.core.types import MULTILINGUAL, SETTINGS, STRICT
from xqr_bench.encode.options import DEFAULT_TEMPLATE
from xqr_bench.measure.certainty import GAP, MACRO
from xqr_bench.measure.scores import Interval, Score
from xqr_bench.record import Record, unrepresented_languages

# What a reader must know before the figures: how candidates were encoded, what became of vectors, which index.


def protocol_lines(records: Sequence[Record]) -> list[str]:
    """Lines above the tables of one encoder; none for sentences alone, counted exactly."""
    lines = list(dict.fromkeys(line for record in records for line in _of_encoder(record)))
    for record in records:
        lines += [f"{record.task.name}: {line}" for line in (*_of_transform(record), *_of_index(record))]
    return lines


def _of_encoder(record: Record) -> Iterator[str]:
    template = record.model.identity.candidate_context
    if template is not None:
        yield "candidates: sentence with its paragraph" + (f", as {template!r}" if template != DEFAULT_TEMPLATE else "")


def _of_transform(record: Record) -> Iterator[str]:
    found = record.transform
    if found is not None:
        yield f"vectors: {found.name}, each language and role by itself, estimated on {found.source}"


def _of_index(record: Record) -> Iterator[str]:
    index = record.index
    if index is None:
        return
    parameters = ", ".join(f"{name} {value}" for name, value in index.parameters.items())
    named = f"index {index.type}" + (f" ({parameters})" if parameters else "")
    timed = (
        f"built in {index.build_seconds:.2f} s, searched in {index.search_seconds:.1f} s, {index.bytes / 2**20:.1f} MiB"
    )
    yield f"{named}, {timed}"
    if index.depth is None:
        yield "its own vectors, counted exactly: the ranks are those of exact search"
        return
    if index.recall_against_exact:
        found = ", ".join(f"{100 * share:.1f}% of the best {k}" for k, share in index.recall_against_exact.items())
        parts = ", ".join(f"{setting} {100 * of['10']:.1f}%" for setting, of in (index.recall_by_setting or {}).items())
        yield f"it found {found} of each language" + (f" (of the best 10: {parts})" if parts else "")
    yield f"lists cut at {index.depth:,} a language: measures that need every rank are undefined (–)"


# Records as tables for a terminal of 100 columns.

SHORT = {"monolingual": "Mo.", "cross-lingual": "Cr.", "multilingual": "Mul."}
WIDTH = 100
TASKS_BESIDE = 2
WEAKEST = 3
LARGE = 1e6
NARROW: dict[str, Any] = {  # two tasks and their half widths fit into WIDTH
    "box": box.SIMPLE_HEAD,
    "show_edge": False,
    "pad_edge": False,
    "padding": (0, 1, 0, 0),
}
MARK = "†"
UNREPRESENTED = f"{MARK} fewer than 95 distinct vectors for 100 distinct queries: scores of the language say little\n"
HALF_WIDTH = "±: half of the 95% interval over questions; the record also holds that over articles\n"


def number(value: float | None, *, digits: int = 4) -> str:
    """A figure as printed: `.3197`, `10,792`, `–` where it is undefined."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}" if abs(value) < LARGE else _large(value)
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _large(value: float) -> str:
    """Three digits and the power of ten: `1.24e7`."""
    return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")


def with_half_width(score: Score | None) -> str:
    """A figure with half of its 95% interval over questions, where the record holds one: `.3197 ±.0123`."""
    if score is None or score.value is None or score.interval is None:
        return number(_value(score))
    half = (score.interval.high - score.interval.low) / 2
    text = _large(half) if abs(score.value) >= LARGE else number(half)
    if 100 <= abs(score.value) < LARGE:
        text = f"{half:,.0f}"
    return f"{number(score.value)} ±{text}"


def results(records: Sequence[Record]) -> RenderableType:
    """The main table of one encoder, the weakest languages, and the warnings."""
    parts: list[RenderableType] = [Text(line) for line in protocol_lines(records)]
    for beside in _beside(records):
        parts += [main_table(beside), Text(), bias_table(beside), Text()]
        if any(record.relevance for record in beside):
            parts += [relevance_table(beside), Text()]
    parts += [weakest_languages(record) for record in records]
    if any(unrepresented_languages(record) for record in records):
        parts.append(Text(UNREPRESENTED, style="dim"))
    if any(score.interval for record in records for scores in record.scores.values() for *_, score in scores.items()):
        parts.append(Text(HALF_WIDTH, style="dim"))
    parts += [Text(f"! {line}", style="yellow") for line in _warnings(records)]
    return Group(*parts)


def _beside(records: Sequence[Record]) -> Iterable[Sequence[Record]]:
    """The tasks of one table: two where their figures fit into the width, else one."""
    console = Console(width=10 * WIDTH)
    for start in range(0, len(records), TASKS_BESIDE):
        chosen = records[start : start + TASKS_BESIDE]
        wide = Measurement.get(console, console.options, main_table(chosen)).maximum > WIDTH
        yield from [[record] for record in chosen] if wide else [chosen]


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
    table = Table(**NARROW, title=_title(records), title_justify="left")
    table.add_column("score", overflow="fold")
    for record in records:
        for setting in SETTINGS:
            table.add_column(f"{record.task.name}\n{SHORT[setting]}", justify="right")
    for metric in _metrics(records, "score"):
        cells = [
            with_half_width(record.scores[setting].macro.get(metric)) if setting in record.scores else ""
            for record in records
            for setting in SETTINGS
        ]
        table.add_row(metric, *cells)
    return table


def bias_table(records: Sequence[Record]) -> Table:
    """Bias of the multilingual rankings, beside the value of a random ranking and their ratio."""
    table = Table(**NARROW)
    table.add_column("bias (multilingual)", overflow="fold")
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
                    with_half_width(score),
                    number(score.random_reference) if score.random_reference is not None else "",
                    f"{score.ratio_to_random:.3f}" if score.ratio_to_random is not None else "",
                ]
        table.add_row(metric, *cells)
    return table


def relevance_table(records: Sequence[Record], metric: str = "map") -> RenderableType:
    """The same metric under each rule of relevance, and why one is missing."""
    table = Table(**NARROW)
    table.add_column(f"{metric} by relevance", overflow="fold")
    for record in records:
        for setting in SETTINGS:
            table.add_column(f"{record.task.name}\n{SHORT[setting]}", justify="right")
    rules = dict.fromkeys(name for record in records for name in record.relevance)
    reasons = []
    for rule in (STRICT, *rules):
        cells = []
        for record in records:
            info = record.relevance.get(rule)
            scores = record.scores if rule == STRICT else info.scores if info is not None else {}
            for setting in SETTINGS:
                cells.append(with_half_width(scores[setting].macro.get(metric)) if setting in scores else "")
            if info is not None and info.undefined_reason is not None:
                reasons.append(Text(f"{record.task.name}: no {rule} relevance: {info.undefined_reason}", style="dim"))
        if any(cells):
            table.add_row(rule, *cells)
    return Group(*([table] if table.row_count > 1 else []), *reasons)


def weakest_languages(record: Record, metric: str = "map") -> Text:
    """The query languages with the lowest scores in each setting."""
    lines = [f"{record.task.name}: weakest query languages by {metric}"]
    marked = unrepresented_languages(record)
    for setting, scores in record.scores.items():
        found = [
            (score.value, language, score)
            for language, of_metric in scores.by_query_language.items()
            if (score := of_metric.get(metric)) is not None and score.value is not None
        ]
        if len(found) > 1:
            weakest = ", ".join(
                f"{language}{MARK if language in marked else ''} {with_half_width(score)}"
                for _, language, score in sorted(found, key=_by_value)[:WEAKEST]
            )
            lines.append(f"  {setting:<14} {weakest}")
    return Text("\n".join(lines) + "\n")


def _by_value(found: tuple[float, str, Score]) -> tuple[float, str]:
    return found[:2]


def _title(records: Sequence[Record]) -> str:
    return records[0].model.name


def _metrics(records: Sequence[Record], kind: str) -> list[str]:
    from xqr_bench.measure.metrics import parse_metric

    names = dict.fromkeys(name for record in records for name in record.task.metrics)
    return [name for name in names if parse_metric(name).kind == kind]


def _value(score: Score | None) -> float | None:
    return None if score is None else score.value


# Numbers and names as tables and plots print them.

MINUS = " minus "


def signed(value: float) -> str:
    """A difference: `+.0123`, `-.0123`, `0`."""
    text = number(value)
    if not text.strip("-.0"):
        return "0"
    return text if value < 0 else f"+{text}"


def probability(p: float) -> str:
    """A p-value with four digits: `.0003`, `<.0001`, `1`."""
    if p < 0.00005:
        return "<.0001"
    return "1" if p > 0.99995 else number(p)


def ends(interval: Interval | None) -> str:
    """The ends of an interval: `.0123, .0345`."""
    if interval is None:
        return "–"
    both = (interval.low, interval.high)
    if max(map(abs, both)) >= 100:  # ranks: the smaller end is not worth more digits than the larger
        return f"{both[0]:,.0f}, {both[1]:,.0f}"
    return f"{number(both[0])}, {number(both[1])}"


def half_width(interval: Interval | None) -> float | None:
    """Half of an interval's width."""
    return None if interval is None else (interval.high - interval.low) / 2


def effect(value: float) -> str:
    """An effect size with two digits."""
    return number(value, digits=2) if abs(value) < 1e6 else "–"


def cell_name(comparison: Comparison) -> str:
    """What a comparison is of, without its setting and metric: `macro average`, `th`, `joshi-3:into minus en:into`."""
    if comparison.scope == MACRO:
        return "macro average"
    return comparison.key.replace(" - ", MINUS) if comparison.scope == GAP else comparison.key
