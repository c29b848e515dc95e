"""What a reader must know before the figures: how candidates were encoded, what became of vectors, which index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xqr_bench.encode.context import DEFAULT_TEMPLATE
from xqr_bench.record import Record


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
