"""The vectors that the shards of a run have made, read where they are wanted, and what is known of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.collection import number_digests
from xqr_bench.core.errors import RecordError
from xqr_bench.core.folder import SharedFolder
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode import Embeddings
from xqr_bench.encode.options import ROLES, Role
from xqr_bench.encode.rows import Rows, Segments, TaskRows
from xqr_bench.encode.shares import Shares
from xqr_bench.encode.texts import UNKNOWN, items_of
from xqr_bench.evaluation.shard_files import About, Arrays, arrays_below
from xqr_bench.rank.exact import check_lengths, lengths_of


class EncodedVectors:
    """The vectors of all shards, read where they are wanted, and what is known of all of them.

    Args:
        shares: how they were dealt out.
        files: of all shards.
        folder: where they are.

    Attributes:
        abouts: what the files say of themselves.
    """

    def __init__(self, shares: Shares, files: Sequence[tuple[About, Arrays]], folder: SharedFolder) -> None:
        self.abouts = [about for about, _ in files]
        self._shares, self._folder = shares, folder
        self._columns = columns_of(self.abouts)
        self._all: dict[str, dict[str, NDArray[Any]]] = {}
        self._take: dict[str, Callable[[IntArray], NDArray[np.float32]]] = {}
        for at, layout in enumerate(shares.groups):
            of_group = [arrays_below(arrays, layout.name) for _, arrays in files]
            texts = [one.get("texts", np.empty(0, dtype=np.int64)) for one in of_group]
            sums = [one.get("sums", np.empty(0, dtype=np.uint32)) for one in of_group]
            read, damaged = self._reader(layout.name), partial(self._damaged, layout.name)
            segments = Segments(texts, layout.size, self._columns, read, sums, damaged)
            raw = shares.raw(at)
            self._take[layout.name] = segments.take if raw is None else raw
            put: dict[str, NDArray[Any]] = {}
            for key in ("digests", "flags", "zero", "lengths", "raw", "stored"):
                for of_shard, of_texts in zip(of_group, texts, strict=True):
                    if key in of_shard:
                        values = of_shard[key]
                        whole = put.setdefault(key, np.zeros((layout.size, *values.shape[1:]), dtype=values.dtype))
                        whole[of_texts] = values
            if "digests" in put:
                put["ids"] = number_digests(put.pop("digests"))
            self._all[layout.name] = put

    def _reader(self, group: str) -> Callable[[int, int, int], bytes]:
        def read(file: int, start: int, stop: int) -> bytes:
            return self._folder.read(self.abouts[file].made["groups"][group]["file"], start, stop)

        return read

    def _damaged(self, group: str, file: int) -> RecordError:
        about = self.abouts[file]
        return RecordError(
            f"{self._folder.place_of(about.made['groups'][group]['file'])} does not hold the vectors that shard "
            f"{about.number} of {about.of} has written there",
            remedy="remove it, run that shard again, then the others",
        )

    def _place(self, task: int, role: Role) -> tuple[str, IntArray]:
        for layout in self._shares.groups:
            for place in layout.places:
                if (place.task, place.role) == (task, role):
                    return layout.name, place.text_of_row
        raise KeyError((task, role))

    def of(self, task: int, role: Role) -> Rows:
        """The vectors of a task's queries or candidates."""
        name, text_of_row = self._place(task, role)
        return TaskRows(text_of_row, self._columns, self._take[name])

    def _known(self, task: int, role: Role, key: str) -> NDArray[Any] | None:
        name, text_of_row = self._place(task, role)
        values = self._all[name].get(key)
        return None if values is None else values[text_of_row]

    def ids(self, task: int) -> IntArray:
        """A number of each candidate, the same for equal vectors, int64 `[candidates]`."""
        ids = self._known(task, "candidate", "ids")
        return np.empty(0, dtype=np.int64) if ids is None else ids

    def check(self, task: int) -> None:
        """Check that dot products of all vectors fit, as a single run does.

        Raises:
            RanksError: they do not.
        """
        lengths = [self._known(task, role, "lengths") for role in ROLES]
        if all(one is not None for one in lengths):
            queries, candidates = (lengths_of(one[:, None].astype(np.float64)) for one in lengths if one is not None)
            check_lengths(self._shares.tasks[task], queries, candidates)

    def embeddings(self, task: int) -> Embeddings:
        """The vectors of a task with what is known of its texts; rows are read when they are asked for."""
        data = self._shares.tasks[task]
        zeros: dict[Role, dict[str, int]] = {}
        cut: dict[Role, dict[str, int] | None] = {}
        for role in ROLES:
            zero, flags = self._known(task, role, "zero"), self._known(task, role, "flags")
            zeros[role] = _by_language(data, role, zero)
            name, _ = self._place(task, role)
            unknown = flags is not None and (self._all[name]["flags"] == UNKNOWN).any()
            cut[role] = None if unknown else _by_language(data, role, None if flags is None else flags.astype(np.bool_))
        truncated = None
        queries, candidates = cut["query"], cut["candidate"]
        if queries is not None and candidates is not None:
            truncated = {
                code: {"queries": queries.get(code, 0), "candidates": candidates.get(code, 0)}
                for code in data.all_languages
            }
        return Embeddings(
            queries=self.of(task, "query"),  # type: ignore[arg-type]
            candidates=self.of(task, "candidate"),  # type: ignore[arg-type]
            distinct_texts=self._shares.distinct(task),
            stored_texts=self._stored(task),
            zero_queries=zeros["query"],
            zero_candidates=zeros["candidate"],
            truncated=truncated,
            seconds={},
        )

    def _stored(self, task: int) -> int:
        """Of how many texts of a task the vectors came from the store."""
        total = 0
        for layout in self._shares.groups:
            rows = [place.text_of_row for place in layout.places if place.task == task]
            stored = self._all[layout.name].get("stored")
            if rows and stored is not None:
                total += int(stored[np.unique(np.concatenate(rows))].sum(dtype=np.int64))
        return total

    def warnings(self, task: int) -> list[str]:
        """What the encoder says to be read beside the scores of a task, in the order of a single run."""
        lines = [line for about in self.abouts for line in about.made["warnings"]]
        name = self._shares.tasks[task].name
        for layout in self._shares.groups:
            of_group = [about.made["groups"][layout.name]["warnings"].get(name, []) for about in self.abouts]
            lines += [line for of_shard in of_group for line in of_shard]
            raw = self._all[layout.name].get("raw")
            if raw is not None and layout.places[0].task == task:
                unequal = self._shares.unequal(task, layout.places[0].role, raw)
                lines += [] if unequal is None else [unequal]
        return list(dict.fromkeys(lines))


def _by_language(data: TaskData, role: Role, rows: NDArray[Any] | None) -> dict[str, int]:
    counts: dict[str, int] = {}
    items = items_of(data, role)
    for row in [] if rows is None else np.flatnonzero(rows).tolist():
        counts[items[row].language] = counts.get(items[row].language, 0) + 1
    return counts


def columns_of(abouts: Sequence[About]) -> int:
    """How many columns the vectors of all shards have.

    Raises:
        RecordError: not all of them have as many.
    """
    known = {
        group["columns"]: about.name for about in abouts for group in about.made["groups"].values() if group["rows"]
    }
    if len(known) > 1:
        raise RecordError(
            "the vectors of the shards have different numbers of columns",
            found=", ".join(f"{columns} in {name}" for columns, name in known.items()),
            remedy="encode all shards with one encoder",
        )
    return int(next(iter(known), 0))
