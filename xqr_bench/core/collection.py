"""Millions of texts without an object for each: in a temporary file, and read when they are asked for.

A passage of 700 letters takes some 1,100 bytes as objects of Python, and some 60 here. Below `HELD` items nothing is
gained, and readers hold them as they are.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import DataError
from xqr_bench.core.types import Candidate, IntArray, Query, Texts

HELD = 2**15
"""Candidates of a file beyond which they are not held as objects."""
_AT_ONCE = 1024
_BUFFER = 2**16

Item = TypeVar("Item")


def utf8(text: str) -> bytes:
    """The text in UTF-8; a lone surrogate as it is written. The order of such bytes is that of the texts."""
    return text.encode("utf-8", "surrogatepass")


class _TextFile:
    """A temporary file without a name, so that nothing is left of it however a process ends."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115 - closed when nobody reads from it

    def __del__(self) -> None:
        self._file.close()

    def write(self, content: bytes) -> None:
        self._file.write(content)

    def flush(self) -> None:
        self._file.flush()

    def read(self, start: int, size: int) -> bytes:
        """Some bytes."""
        if hasattr(os, "pread"):
            content = os.pread(self._file.fileno(), size, start)
        else:  # on Windows; one thread reads at a time
            self._file.seek(start)
            content = self._file.read(size)
        if len(content) != size:
            raise DataError("the temporary file of a task's texts was cut short", remedy="run the command again")
        return content


class StoredTexts(Sequence[str]):
    """Texts in temporary files; made by `TextWriter`.

    Args:
        files: where they are.
        file, start, size: of each text the number of its file, its first byte and its bytes, integers `[n]`.
    """

    def __init__(self, files: Sequence[_TextFile], file: NDArray[Any], start: IntArray, size: NDArray[Any]) -> None:
        self._files, self._file, self._start, self._size = tuple(files), file, start, size

    def __len__(self) -> int:
        return len(self._start)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return self.take(np.arange(*place.indices(len(self))))
        content = self._files[self._file[place]].read(int(self._start[place]), int(self._size[place]))
        return content.decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        for begin in range(0, len(self), _AT_ONCE):
            here = slice(begin, begin + _AT_ONCE)
            file, start, size = self._file[here], self._start[here], self._size[here].astype(np.int64)
            if (file == file[0]).all() and (start[1:] == start[:-1] + size[:-1]).all():  # they stand in a row
                content = self._files[file[0]].read(int(start[0]), int(size.sum()))
                stops = np.cumsum(size)
                for low, high in zip((stops - size).tolist(), stops.tolist(), strict=True):
                    yield content[low:high].decode("utf-8", "surrogatepass")
            else:
                yield from map(self.__getitem__, range(begin, begin + len(start)))

    def take(self, places: IntArray) -> StoredTexts:
        """The texts at these places."""
        return StoredTexts(self._files, self._file[places], self._start[places], self._size[places])

    @classmethod
    def of(cls, texts: Sequence[str]) -> StoredTexts:
        """The same texts; as they are where they are so already.

        Raises:
            DataError: there is no room for them.
        """
        if isinstance(texts, StoredTexts):
            return texts
        writer = TextWriter()
        for text in texts:
            writer.add(text)
        return writer.done()

    @classmethod
    def joined(cls, parts: Sequence[StoredTexts]) -> StoredTexts:
        """The texts of some parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        before = np.cumsum([0, *(len(part._files) for part in parts)])
        return cls(
            [file for part in parts for file in part._files],
            np.concatenate([part._file + first for part, first in zip(parts, before.tolist(), strict=False)]),
            np.concatenate([part._start for part in parts]),
            np.concatenate([part._size for part in parts]),
        )


class TextWriter:
    """Writes texts to a temporary file, in the folder of `TMPDIR`."""

    def __init__(self) -> None:
        self._file = _TextFile()
        self._size = array("i")

    def add(self, text: str) -> None:
        """Write a text.

        Raises:
            DataError: there is no room.
        """
        content = utf8(text)
        self._size.append(len(content))
        self._try(lambda: self._file.write(content))

    def done(self) -> StoredTexts:
        """What was written.

        Raises:
            DataError: there is no room.
        """
        self._try(self._file.flush)
        size = np.frombuffer(self._size, dtype=np.int32) if self._size else np.empty(0, dtype=np.int32)
        start = np.cumsum(size, dtype=np.int64) - size
        return StoredTexts([self._file], np.zeros(len(size), dtype=np.int16), start, size)

    @staticmethod
    def _try(write: Callable[[], Any]) -> None:
        try:
            write()
        except OSError as error:
            raise DataError(
                f"the texts of the task do not fit into the folder of temporary files, {tempfile.gettempdir()}",
                found=str(error),
                remedy="make room there, or name a larger folder: TMPDIR",
            ) from error


class _CodeWriter:
    """Texts of which few differ."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}
        self._places = array("i")

    def add(self, text: str) -> None:
        self._places.append(self._number.setdefault(text, len(self._number)))

    def done(self) -> Texts:
        return Texts(list(self._number), np.frombuffer(self._places, dtype=np.int32))


COLUMNS = ("id", "text", "group", "context", "cluster", "language")
_fields = attrgetter(*COLUMNS)


class Columns(Sequence[Item], Generic[Item]):
    """Candidates by column; an object is made of one when it is asked for.

    Attributes:
        make: gets what is in each of `COLUMNS`, in their order.
        columns: by name.
    """

    def __init__(self, make: Callable[..., Item], columns: Mapping[str, StoredTexts | Texts]) -> None:
        self.make, self.columns = make, columns

    def __len__(self) -> int:
        return len(self.columns["text"])

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return self.take(np.arange(*place.indices(len(self))))
        return self.make(*(self.columns[name][place] for name in COLUMNS))

    def __iter__(self) -> Iterator[Item]:
        return map(self.make, *(self.columns[name] for name in COLUMNS))

    def __eq__(self, other: object) -> bool:
        """Whether these are the same items, however they are held."""
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Without its texts."""
        return f"<Columns of {len(self):,} candidates>"

    def take(self, places: IntArray) -> Columns[Item]:
        """Those at these places."""
        return Columns(self.make, {name: column.take(places) for name, column in self.columns.items()})

    def with_languages(self, of: Callable[[str], str]) -> Columns[Item]:
        """The same in other languages."""
        codes = self.columns["language"]
        assert isinstance(codes, Texts)
        renamed = Texts.of([of(code) for code in codes.distinct])
        return Columns(self.make, {**self.columns, "language": Texts(renamed.distinct, renamed.places[codes.places])})

    @cached_property
    def languages(self) -> Texts:
        """The language of each, each language named once."""
        codes = self.columns["language"]
        assert isinstance(codes, Texts)
        return codes

    @cached_property
    def ids(self) -> Sequence[str]:
        """The id of each, as its object has it."""
        return _Ids(self)

    @classmethod
    def of(cls, make: Callable[..., Item], items: Sequence[Any]) -> Columns[Item]:
        """Items that have all `COLUMNS`, by column; as they are where they are so already.

        Raises:
            DataError: there is no room for their texts.
        """
        if isinstance(items, Columns):
            return cls(make, items.columns)
        writer = ColumnWriter()
        for one in items:
            writer.add(*_fields(one))
        return writer.done(make)

    @classmethod
    def joined(cls, parts: Sequence[Columns[Item]]) -> Columns[Item]:
        """Some parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        columns: dict[str, StoredTexts | Texts] = {}
        for name in COLUMNS:
            of_parts = [part.columns[name] for part in parts]
            if isinstance(of_parts[0], StoredTexts):
                columns[name] = StoredTexts.joined(of_parts)  # type: ignore[arg-type]
                continue
            number: dict[str, int] = {}
            places = []
            for part in of_parts:
                new = [number.setdefault(text, len(number)) for text in part.distinct]  # type: ignore[union-attr]
                places.append(np.array(new, dtype=np.int32)[part.places])  # type: ignore[union-attr]
            columns[name] = Texts(list(number), np.concatenate(places))
        return cls(parts[0].make, columns)


class _Ids(Sequence[str]):
    """The ids of candidates, without their texts."""

    def __init__(self, items: Columns[Any]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def take(self, places: IntArray) -> _Ids:
        """Those at these places."""
        return _Ids(self._items.take(places))

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return _Ids(self._items[place])
        columns = self._items.columns
        return self._items.make(columns["id"][place], "", "", "", "", columns["language"][place]).id

    def __iter__(self) -> Iterator[str]:
        none, columns = repeat(""), self._items.columns
        return (one.id for one in map(self._items.make, columns["id"], none, none, none, none, columns["language"]))


class ColumnWriter:
    """Writes items by column."""

    def __init__(self) -> None:
        self._columns: list[TextWriter | _CodeWriter] = [TextWriter(), TextWriter(), *(_CodeWriter() for _ in range(4))]

    def add(self, *item: str) -> None:
        """Write what is in each of `COLUMNS`.

        Raises:
            DataError: there is no room.
        """
        for column, text in zip(self._columns, item, strict=True):
            column.add(text)

    def done(self, make: Callable[..., Item]) -> Columns[Item]:
        """What was written."""
        return Columns(make, dict(zip(COLUMNS, (column.done() for column in self._columns), strict=True)))


# Questions that readers of candidates ask, whether these are objects or columns.


def ids_of(items: Sequence[Query | Candidate]) -> Sequence[str]:
    """Their ids, in order."""
    return items.ids if isinstance(items, Columns) else [item.id for item in items]


def texts_of(items: Sequence[Query | Candidate]) -> Sequence[str]:
    """Their texts, in order."""
    return items.columns["text"] if isinstance(items, Columns) else [item.text for item in items]


def rows_in(items: Sequence[Any], code: str) -> IntArray:
    """Where those of a language are, ascending, int64 `[n]`."""
    if not isinstance(items, Columns):
        return np.array([row for row, item in enumerate(items) if item.language == code], dtype=np.int64)
    codes = items.languages
    return (
        np.flatnonzero(codes.places == codes.distinct.index(code)) if code in codes.distinct else np.empty(0, np.int64)
    )


def chosen_of(items: Sequence[Item], places: IntArray) -> Sequence[Item]:
    """Those at some places, int64 `[n]`; by column where all are."""
    return items.take(places) if isinstance(items, Columns) else tuple(items[place] for place in places.tolist())


# Equal texts.


class Digests:
    """Digests of texts, of 128 bits, which texts that differ do not share."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._packed = bytearray()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Add that of a text."""
        self._packed += blake2b(utf8(text), digest_size=16).digest()

    def all(self) -> NDArray[np.uint8]:
        """Of each text, uint8 `[n, 16]`."""
        return np.frombuffer(self._packed, dtype=np.uint8).reshape(-1, 16)


class Places(Mapping[str, int]):
    """The place of each id, found by digests.

    Args:
        digests: of the ids, uint8 `[n, 16]`.
        ids: these ids, or what they are called elsewhere.
    """

    def __init__(self, digests: NDArray[np.uint8], ids: Sequence[str]) -> None:
        self._digests, self._ids = digests, ids
        halves = np.ascontiguousarray(digests).view(np.uint64)
        self._order = np.argsort(halves[:, 0], kind="stable")
        self._sorted, self._other = halves[self._order, 0], halves[:, 1]

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __getitem__(self, item_id: str) -> int:
        half, other = Digests([item_id]).all().view(np.uint64)[0]
        at = int(np.searchsorted(self._sorted, half))
        while at < len(self._sorted) and self._sorted[at] == half:
            if self._other[self._order[at]] == other:
                return int(self._order[at])
            at += 1
        raise KeyError(item_id)

    def again(self) -> Iterator[tuple[int, int]]:
        """Each place of an id that has stood before, after where it stood first; in the order of these places."""
        yield from sorted(self._again(), key=itemgetter(1))

    def _again(self) -> Iterator[tuple[int, int]]:
        same = np.flatnonzero(self._sorted[1:] == self._sorted[:-1]) + 1
        for low in np.setdiff1d(same - 1, same).tolist():
            first: dict[int, int] = {}
            at = low
            while at < len(self._sorted) and self._sorted[at] == self._sorted[low]:
                place = int(self._order[at])  # ascending among equal ones
                before = first.setdefault(int(self._other[place]), place)
                if before != place:
                    yield before, place
                at += 1

    def keep(self, stays: NDArray[np.bool_]) -> Places:
        """Those of some places, which are then numbered anew."""
        kept = np.flatnonzero(stays)
        left = self._ids.take(kept) if isinstance(self._ids, _Ids) else [self._ids[at] for at in kept.tolist()]
        return Places(self._digests[kept], left)


def number_digests(digests: NDArray[np.uint8]) -> IntArray:
    """A number of each row, the same for equal rows, int64 `[n]`, from digests of the rows, uint8 `[n, 16]`."""
    halves = np.ascontiguousarray(digests).view(np.uint64)
    _, first, numbers = np.unique(halves[:, 0], return_index=True, return_inverse=True)
    if (halves[first[numbers], 1] != halves[:, 1]).any():  # two that differ share 64 bits
        _, numbers = np.unique(np.ascontiguousarray(digests).view("V16")[:, 0], return_inverse=True)
    return numbers.astype(np.int64, copy=False)


def first_of_each(texts: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Where each distinct text stands first, ascending, int64 `[distinct]`; and which of these each is, int64 `[n]`."""
    if not isinstance(texts, StoredTexts):
        place: dict[str, int] = {}
        numbers = np.fromiter((place.setdefault(text, len(place)) for text in texts), np.int64, len(texts))
        return np.unique(numbers, return_index=True)[1], numbers
    _, first, numbers = np.unique(number_digests(Digests(texts).all()), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return first[order], rank[numbers]


def longest_first(texts: Sequence[str], characters: IntArray) -> IntArray:
    """The order of texts by length, the longest first, then by their characters, int64 `[n]`.

    Args:
        texts: all different.
        characters: of each, int64 `[n]`.
    """
    order = np.argsort(-characters, kind="stable")
    cuts = np.flatnonzero(np.diff(characters[order])) + 1
    for low, high in zip([0, *cuts.tolist()], [*cuts.tolist(), len(order)], strict=True):
        alike = order[low:high].tolist()
        if len(alike) > 1:  # as many texts as have one length are in memory
            order[low:high] = [row for _, row in sorted((texts[row], row) for row in alike)]
    return order
