"""Readers of source formats: a format is one module in this folder that registers its reader in `READERS`."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ValidationError

from xqr_bench.core.errors import DataError
from xqr_bench.core.files import opened
from xqr_bench.core.registry import Registry
from xqr_bench.core.types import SETTINGS

LARGEST, LONGEST = 1 << 29, 1 << 26
"""Bytes of a file that is read whole, and of a line, at most: what is read does not outgrow memory."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a task, as readers get it.

    Attributes:
        name: how messages call it.
        source: where it is, or what it holds; where its name ends in `.gz` it is unpacked as it is read.
        cut: what cuts a paragraph without sentences into them, `[begin, end)` in characters; None: nothing does.
        more: the others, where one part of a section is several files (`Reader.several`).
    """

    name: str
    source: Path | bytes
    cut: Callable[[str], list[tuple[int, int]]] | None = None
    more: tuple[DataFile, ...] = ()

    @contextmanager
    def stream(self) -> Iterator[IO[bytes]]:
        """Its bytes, unpacked.

        Raises:
            DataError: it cannot be read, or is no whole gzip file; also while the block reads from it.
        """
        try:
            if isinstance(self.source, Path):
                with opened(self.source) as stream:
                    yield stream
            else:
                yield io.BytesIO(gzip.decompress(self.source) if self.name.endswith(".gz") else self.source)
        except (OSError, EOFError) as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(f"cannot read {self.name}: {why}", remedy="take it from its source again") from None

    def text(self) -> str:
        """All of it as text, without a byte-order mark.

        Raises:
            DataError: it cannot be read, is not UTF-8, or is too large to be read whole.
        """
        with self.stream() as stream:
            content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise DataError(
                f"{self.name}: too large: files of this format are read whole",
                found=f"more than {LARGEST >> 20:,} MiB",
                remedy="write it in a format that is read line by line, such as beir (docs/tasks.md)",
            )
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.name}: not UTF-8 text",
                found=f"byte {error.start}, on line {content.count(10, 0, error.start) + 1}: {error.reason}",
                remedy="save it as UTF-8",
            ) from None

    def lines(self) -> Iterator[tuple[int, str]]:
        r"""Number, from 1, and text of each line, one at a time; only `\n` and `\r\n` end a line.

        Raises:
            DataError: it cannot be read, is not UTF-8, or a line is too long to be one; names the line.
        """
        with self.stream() as stream:
            for number, line in enumerate(iter(partial(stream.readline, LONGEST + 1), b""), 1):
                if len(line) > LONGEST:
                    raise DataError(
                        f"{self.name}, line {number}: too long to be a line of this format",
                        found=f"more than {LONGEST >> 20:,} MiB",
                        remedy="take the file from its source again",
                    )
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{self.name}, line {number}: not UTF-8 text",
                        found=f"byte {error.start} of the line: {error.reason}",
                        remedy="save it as UTF-8",
                    ) from None
                yield number, text.removesuffix("\n").removesuffix("\r")


def json_lines(file: DataFile, model: type[Model]) -> Iterator[tuple[int, Model]]:
    """Number and content of each line of a file of JSON lines that is not blank.

    Raises:
        DataError: a line has not the form of the model; names line and key.
    """
    for number, text in file.lines():
        if not text.strip():
            continue
        try:
            yield number, model.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            raise DataError(
                f"{file.name}, line {number}: {'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}",
                remedy="take the file from its source again",
            ) from None


@dataclass(frozen=True, slots=True)
class SourceCandidate:
    """A candidate as its file has it.

    Attributes:
        id: no other candidate of its language has it, unless it is the same text; it is called `lang:id` in the task.
        text: what is encoded and ranked.
        group: the unit of candidates it belongs to; empty: none.
        context: the text it stands in, the same for all of its group; empty: none.
        cluster: the cluster it belongs to; empty: none.
        language: empty: that of its section.
    """

    id: str
    text: str
    group: str = ""
    context: str = ""
    cluster: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class SourceQuestion:
    """A question as its file has it.

    Attributes:
        id: its translations have it too, in this section or another; no other question of its language has it.
        text: what is encoded.
        gains: index of each relevant candidate of the section, ascending -> its gain, above 0; of a question and its
            translations the relevants are put together.
        cluster: the cluster of candidates it is about; empty: it is one of its own.
        echoes: ascending indices of the other candidates of the groups of its relevants that contain one of its
            answers, word for word; None where the format does not tell.
        language: empty: that of its section.
        irrelevant: ascending indices of the candidates that were judged, and are not relevant.
    """

    id: str
    text: str
    gains: Mapping[int, float]
    cluster: str = ""
    echoes: tuple[int, ...] | None = None
    language: str = ""
    irrelevant: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceData:
    """A section of a task.

    Attributes:
        candidates, questions: in file order; many candidates may be given by column (`core/collection.py`).
        titles: cluster -> title, of those that have one.
        notes: what a user should know of it, such as how much was left out and why; a sentence each.
        lines: how many lines each section of the task must have; 0: they need not be alike.
    """

    candidates: Sequence[SourceCandidate]
    questions: tuple[SourceQuestion, ...]
    titles: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lines: int = 0


@dataclass(frozen=True, slots=True)
class Reader:
    """A source format.

    Attributes:
        read: turns the files of a section into `SourceData`, and checks everything that the rest relies on; gets a
            `DataFile` for each of `parts`. It raises DataError, which names file, position and remedy.
        parts: the names of a section's files; none: it is one file.
        optional: those of the last `parts` that a section need not have.
        several: whether a part may be several files.
        of_library: whether the path of a file is what a library calls a data set, and no file.
        tells_languages: whether its items may name their languages. Else a section is a language.
        settings: those that such data can be scored in.
        local_ids: whether ids of questions count anew in every file, so that equal ones of two mean nothing.
    """

    read: Callable[..., SourceData]
    parts: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    several: bool = False
    of_library: bool = False
    tells_languages: bool = False
    settings: tuple[str, ...] = SETTINGS
    local_ids: bool = False


READERS: Registry[Reader] = Registry("source format")


def reader(name: str, **facts: Any) -> Callable[[Callable[..., SourceData]], Callable[..., SourceData]]:
    """Return a decorator that registers a function as the reader of the format called `name`.

    Args:
        name: as a task file says it.
        **facts: the other fields of `Reader`.
    """

    def add(read: Callable[..., SourceData]) -> Callable[..., SourceData]:
        READERS.register(name)(Reader(read, **facts))
        return read

    return add


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["READERS", "DataFile", "Reader", "SourceCandidate", "SourceData", "SourceQuestion", "reader"]
