"""Records as tables for a terminal, and the words about how a record was made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from xqr_bench.core.printable import shown_line
from xqr_bench.core.types import JUDGED, MULTILINGUAL, SETTINGS, STRICT
from xqr_bench.encode.options import DEFAULT_TEMPLATE
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.scores import SettingScores
from xqr_bench.rank.rules import BPREF
from xqr_bench.record import Record, unrepresented_languages
from xqr_bench.record.describe import coverage
from xqr_bench.report.numbers import MARK, SHORT, THIN, THIN_NOTE, number, with_half_width
from xqr_bench.report.table import Column, Table

# What a reader must know before the figures: how candidates were encoded, what became of vectors, which index.


def protocol_lines(records: Sequence[Record]) -> list[str]:
    """Lines above the tables of one encoder; none for sentences alone, counted exactly."""
    lines: dict[str, None] = {}
    for template in (record.model.identity.candidate_context for record in records):
        if template is not None:
            named = f", as {template!r}" if template != DEFAULT_TEMPLATE else ""
            lines[f"candidates: sentence with its paragraph{named}"] = None
    of_vectors = (f"{record.task.name}: {line}" for record in records for line in _of_vectors(record))
    return [*lines, *threshold_lines(records), *of_vectors]


def _of_vectors(record: Record) -> Iterator[str]:
    transform, index = record.transform, record.index
    if transform is not None:
        yield f"vectors: {transform.name}, each language and role by itself, estimated on {transform.source}"
    if (quantised := record.quantization) is not None:
        again = f", the best {quantised.rescore} of each list scored anew" if quantised.rescore else ""
        again = ", every candidate scored by the query as it was" if quantised.rescore == "all" else again
        yield f"vectors: {quantised.precision}, {quantised.bytes_per_vector:,} bytes each{again}"
    if index is None:
        return
    parameters = ", ".join(f"{name} {value}" for name, value in index.parameters.items())
    yield (
        f"index {index.type}{f' ({parameters})' if parameters else ''}, built in {index.build_seconds:.2f} s, "
        f"searched in {index.search_seconds:.1f} s, {index.bytes / 2**20:.1f} MiB"
    )
    if index.depth is None:
        yield "its own vectors, counted exactly: the ranks are those of exact search"
        return
    if index.recall_against_exact:
        shares = ", ".join(f"{100 * share:.1f}% of the best {k}" for k, share in index.recall_against_exact.items())
        parts = ", ".join(f"{setting} {100 * of['10']:.1f}%" for setting, of in (index.recall_by_setting or {}).items())
        yield f"it found {shares} of each language" + (f" (of the best 10: {parts})" if parts else "")
    yield f"lists cut at {index.depth:,} a language: measures that need every rank are undefined (–)"


# Records as tables for a terminal of 100 columns.

WIDTH = 100
TASKS_BESIDE = 2
WEAKEST = 3
UNREPRESENTED = f"{MARK} fewer than 95 distinct vectors for 100 distinct queries: scores of the language say little\n"
HALF_WIDTH = "±: half of the 95% interval over questions; the record also holds that over articles\n"


def results(records: Sequence[Record], width: int = WIDTH) -> Group:
    """The main table of one encoder, the weakest languages, and the warnings, for a terminal of this width."""
    parts: list[RenderableType] = [Text(line) for line in protocol_lines(records)]
    weakest = [weakest_languages(record) for record in records]
    thin = any(THIN in lines for lines in weakest)
    for side_by_side in _fitting(records, width):
        for table in (main_table(side_by_side), bias_table(side_by_side)):
            parts += [table.terminal(), ""] if table.texts() else []
            thin |= any(THIN in cell for row in table.texts() for cell in row)
        if any(record.relevance for record in side_by_side):
            parts += [relevance_table(side_by_side), ""]
    parts += map(Text, weakest)
    parts += [Text(line) for tell in (order_of_languages, shares_of_languages) for line in map(tell, records) if line]
    if any(unrepresented_languages(record) for record in records):
        parts.append(Text(UNREPRESENTED, style="dim"))
    if thin:
        parts.append(Text(THIN_NOTE, style="dim"))
    if any(score.interval for record in records for scores in record.scores.values() for *_, score in scores.items()):
        parts.append(Text(HALF_WIDTH, style="dim"))
    for record in records:
        undefined = ", ".join(_undefined(record))
        lines = [f"there is no value of {undefined}; the record says why"] if undefined else []
        lines += _without_mean(record)
        lines += [line for line in coverage(record) if line not in record.warnings]
        parts += [Text(f"{record.task.name}: {line}\n", style="dim") for line in lines]
    parts += [Text(f"! {shown_line(line)}", style="yellow") for line in warning_lines(records)]
    return Group(*parts)


def _fitting(records: Sequence[Record], width: int) -> Iterator[Sequence[Record]]:
    """The tasks of one table: two where their figures fit into the width, else one."""
    for start in range(0, len(records), TASKS_BESIDE):
        chosen = records[start : start + TASKS_BESIDE]
        table = main_table(chosen)
        cells = zip([column.heading for column in table.columns], *table.texts(), strict=True)
        widths = [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in cells]
        yield from [[record] for record in chosen] if sum(widths) + 2 * len(widths) - 2 > width else [chosen]


def warning_lines(records: Sequence[Record]) -> Iterator[str]:
    """What the records warn of, once where all say it; with what makes them no basis for conclusions."""
    of_all = [line for line in records[0].warnings if all(line in record.warnings for record in records)]
    yield from of_all
    for record in records:
        name = record.task.name
        yield from (f"{name}: {line}" for line in record.warnings if line not in of_all)
        if record.task.partial:
            parts = ", ".join(f"{key}: {value}" for key, value in record.task.partial.items())
            yield f"{name}: a part only, which cannot be submitted ({parts})"
        if record.task.demonstration:
            yield record.task.demonstration_note


def _table(
    title: str, records: Sequence[Record], heading: str, parts: Iterable[str], rows: Mapping[str, list[list[str]]]
) -> Table:
    """A row a name, with these parts of each record in columns."""
    figures = (Column(f"{record.task.name}\n{part}") for record in records for part in parts)
    cells = [[name, *(cell for of_record in of_records for cell in of_record)] for name, of_records in rows.items()]
    return Table(title, (Column(heading, "name"), *figures), cells, frame="open")


def _settings(records: Sequence[Record]) -> tuple[str, ...]:
    """The settings that one of them has, or all."""
    return tuple(name for name in SETTINGS if any(name in record.scores for record in records)) or SETTINGS


def _macros(scores: Mapping[str, SettingScores], metric: str, settings: Sequence[str]) -> list[str]:
    return [with_half_width(scores[name].macro.get(metric)) if name in scores else "" for name in settings]


def main_table(records: Sequence[Record]) -> Table:
    """Scores: a row a metric, for each task the macro averages Mo. / Cr. / Mul."""
    settings = _settings(records)
    rows = {name: [_macros(record.scores, name, settings) for record in records] for name in _metrics(records, "score")}
    return _table(records[0].model.name, records, "score", [SHORT[name] for name in settings], rows)


def bias_table(records: Sequence[Record]) -> Table:
    """Bias of the multilingual rankings, beside the value of a random ranking and their ratio."""

    def cells(record: Record, metric: str) -> list[str]:
        scores = record.scores.get(MULTILINGUAL)
        score = scores.macro.get(metric) if scores else None
        if score is None:
            return ["", "", ""]
        random, ratio = score.random_reference, score.ratio_to_random
        texts = "" if random is None else number(random), "" if ratio is None else number(ratio, digits=3)
        return [with_half_width(score), *texts]

    without = set.intersection(*(set(_undefined(record)) for record in records))
    names = [name for name in _metrics(records, "bias") if name not in without]
    rows = {name: [cells(record, name) for record in records] for name in names}
    return _table("", records, "bias (multilingual)", ("value", "random", "ratio"), rows)


def _undefined(record: Record) -> list[str]:
    """The bias measures that have no value for any query language."""
    scores = record.scores.get(MULTILINGUAL)
    if scores is None:
        return []
    figures = [scores.macro, *scores.by_query_language.values(), *scores.by_language_pair.values()]
    with_value = {name for of in figures for name, figure in of.items() if figure.value is not None}
    return [name for name in _metrics([record], "bias") if name in scores.macro and name not in with_value]


def _without_mean(record: Record) -> Iterator[str]:
    """Which means of the tables are missing though others of the record are there, and why."""
    wholly = _undefined(record)
    for setting, scores in record.scores.items():
        of_reason: dict[str, list[str]] = {}
        for name, figure in scores.macro.items():
            shown = name not in wholly and (setting == MULTILINGUAL or parse_metric(name).kind == "score")
            if shown and figure.value is None and figure.undefined_reason is not None:
                of_reason.setdefault(figure.undefined_reason, []).append(name)
        for reason, names in of_reason.items():
            of_one = ", which needs a value of each language" * reason.startswith("undefined for ")
            yield f"no {setting} mean of {', '.join(names)}{of_one}: {reason}"


def relevance_table(records: Sequence[Record], metric: str = "map") -> Group:
    """The same metric under each rule of relevance, and why one is missing."""
    settings = _settings(records)
    rows, reasons = {STRICT: [_macros(record.scores, metric, settings) for record in records]}, []
    for rule in dict.fromkeys(name for record in records for name in record.relevance):
        under = [record.relevance.get(rule) for record in records]
        rows[rule] = [_macros(scored.scores if scored else {}, metric, settings) for scored in under]
        for record, scored in zip(records, under, strict=True):
            if scored is not None and scored.undefined_reason is not None:
                reasons.append(Text(f"{record.task.name}: no {rule} relevance: {scored.undefined_reason}", style="dim"))
        if rule == JUDGED and any(scored and scored.scores for scored in under):
            rows[f"{rule}: {BPREF}"] = [_macros(scored.scores if scored else {}, BPREF, settings) for scored in under]
            reasons.append(Text(f"{rule}: candidates that nobody judged have left the ranking", style="dim"))
    rows = {rule: cells for rule, cells in rows.items() if any(map(any, cells))}
    table = _table("", records, f"{metric} by relevance", [SHORT[name] for name in settings], rows)
    return Group(*([table.terminal()] if len(rows) > 1 else []), *reasons)


def threshold_lines(records: Sequence[Record]) -> list[str]:
    """From which gain on a candidate is relevant, for the tasks that say it."""
    return [
        f"{record.task.name}: relevant is a gain of {record.task.relevant_from:g} or more; nDCG reads every gain"
        for record in records
        if record.task.relevant_from is not None
    ]


def weakest_languages(record: Record, metric: str = "map") -> str:
    """The query languages with the lowest scores in each setting."""
    lines = [f"{record.task.name}: weakest query languages by {metric}"]
    marked = unrepresented_languages(record)
    for setting, scores in record.scores.items():
        by_value = sorted(
            (score.value, language, with_half_width(score))
            for language, of_metric in scores.by_query_language.items()
            if (score := of_metric.get(metric)) is not None and score.value is not None
        )
        if len(by_value) > 1:
            weakest = ", ".join(
                f"{language}{MARK if language in marked else ''} {text}" for _, language, text in by_value[:WEAKEST]
            )
            lines.append(f"  {setting:<14} {weakest}")
    return "\n".join(lines) + "\n"


SHOWN_SHARES = 4


def shares_of_languages(record: Record) -> str:
    """Which languages fill the first places, beside their shares of the pool; empty where that is not known."""
    scores = record.scores.get(MULTILINGUAL)
    shares: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for pair, figures in scores.by_language_pair.items() if scores else ():
        for name, figure in figures.items():
            if name.startswith("language_share@") and figure.value is not None and figure.random_reference is not None:
                of_language = shares.setdefault(name, {}).setdefault(pair.partition(">")[2], [])
                of_language.append((figure.value, figure.random_reference))
    lines = []
    for name, of_metric in shares.items():
        means = {code: [sum(part) / len(part) for part in zip(*both, strict=True)] for code, both in of_metric.items()}
        order = sorted(means, key=lambda code: -means[code][0])
        shown = ([number(mean, digits=3) for mean in means[code]] for code in order[:SHOWN_SHARES])
        text = " ".join(f"{code} {share} ({of_pool})" for code, (share, of_pool) in zip(order, shown, strict=False))
        more = f" and {len(order) - SHOWN_SHARES} more" if len(order) > SHOWN_SHARES else ""
        k = name.partition("@")[2]
        lines.append(f"{record.task.name}: share of the first {k} places, mean over query languages (of the pool)")
        lines.append(f"  {text}{more}\n")
    return "\n".join(lines)


def order_of_languages(record: Record) -> str:
    """Which languages' answers stand first where the query is in another language; empty where that is not known."""
    scores = record.scores.get(MULTILINGUAL)
    places: dict[str, list[float]] = {}
    for pair, figures in scores.by_language_pair.items() if scores else ():
        query, candidate = pair.split(">")
        place = figures.get("language_position")
        if query != candidate and place is not None and place.value is not None:
            places.setdefault(candidate, []).append(place.value)
    if len(places) < 2:
        return ""
    means = sorted((sum(values) / len(values), language) for language, values in places.items())
    return (
        f"{record.task.name}: mean place of answers in a language not the query's (0 first, 1 last)\n"
        f"  {' '.join(f'{language} {number(mean, digits=2)}' for mean, language in means)}\n"
    )


def _metrics(records: Sequence[Record], kind: str) -> list[str]:
    names = dict.fromkeys(name for record in records for name in record.task.metrics)
    return [name for name in names if parse_metric(name).kind == kind]
