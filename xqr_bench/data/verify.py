"""Check each file of a task on its own, so that one fault does not hide the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xqr_bench.data.readers import READERS
from xqr_bench.data.sources import Place, locate, read_place
from xqr_bench.data.spec import TaskSpec
from xqr_bench.errors import DataError


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What was found of one file: its counts, or its fault."""

    place: Place
    fault: DataError | None
    size: int = 0
    questions: int = 0
    sentences: int = 0


def verify(spec: TaskSpec, data_dir: Path | str | None = None) -> Iterator[FileCheck]:
    """Check digest and content of each file, in the order of the task's languages; nothing is downloaded."""
    read = READERS.get(spec.format)
    for code in spec.languages:
        place = locate(spec, code, data_dir)
        try:
            content, _, path = read_place(spec, place)
            data = read(content, str(path))
        except DataError as error:
            yield FileCheck(place, error)
        else:
            yield FileCheck(place, None, len(content), len(data.questions), len(data.sentences))
