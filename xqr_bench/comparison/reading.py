"""What a reader must know of the records before their differences: what was done to vectors, which languages count."""

from __future__ import annotations

from collections.abc import Sequence

from xqr_bench.comparison.gather import Side
from xqr_bench.record import unrepresented_languages


def reading_notes(sides: Sequence[Side]) -> list[str]:
    """Notes on records of one task: transforms, where any has one, and languages that an encoder does not represent."""
    notes = []
    if any(side.record.transform is not None for side in sides):
        notes.append(f"transforms of the vectors: {'; '.join(_transform(side) for side in sides)}")
    for side in sides:
        flagged = unrepresented_languages(side.record)
        if flagged:
            notes.append(
                f"{side.label}: fewer than 95% distinct query vectors in {', '.join(flagged)}: the figures of "
                f"{'this language' if len(flagged) == 1 else 'these languages'} say little about it"
            )
    return notes


def _transform(side: Side) -> str:
    found = side.record.transform
    if found is None:
        return f"{side.label} none"
    return f"{side.label} {found.label}" + (" (transductive)" if found.transductive else "")
