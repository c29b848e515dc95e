"""The vectors of tasks made by several processes: the plan of one run dealt out, and vectors read where they are kept.

The last bits of a vector depend on the texts of its batch. So every process plans all texts as a single run does, by
the token counts that all of them have made, and encodes whole batches of that plan. Where there is an embedding store,
one of them plans for all what is taken from it and what is encoded, and each leaves there what it has encoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.collection import first_of_each, texts_of
from xqr_bench.core.errors import EncoderError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode.batches import MEASURED_AT_ONCE, Batches, Shard
from xqr_bench.encode.bound import BoundEncoder, TextEncoder
from xqr_bench.encode.checks import Vectors, check_values
from xqr_bench.encode.embed import unequal_texts
from xqr_bench.encode.options import ROLES, Role
from xqr_bench.encode.precomputed import Precomputed
from xqr_bench.encode.rows import ROWS_AT_ONCE
from xqr_bench.encode.shards import SUFFIX, PlannedShard, encoder_key, reason_not_kept, shard_name
from xqr_bench.encode.shards import texts_of as digests_of
from xqr_bench.encode.store import Shelf, VectorStore, for_a_moment
from xqr_bench.encode.stored import Keeping, Stored, Unit, open_shelves, refuse_changed, trim_store
from xqr_bench.encode.texts import UNKNOWN, BoolArray, Flags, Group, in_context, items_of, name_item, plan_groups

DEALT_TEXTS, DEALT_TOKENS = 512, 16_384
"""What is dealt out and kept at a time is no larger: texts, and tokens with padding."""


Counts = NDArray[np.int32]


class Place(NamedTuple):
    """Where texts of a group stand.

    Attributes:
        task: which of the tasks.
        role: as its queries or candidates.
        text_of_row: for each of these the index of its text in the group, int64 `[rows]`.
    """

    task: int
    role: Role
    text_of_row: IntArray


class Layout(NamedTuple):
    """Texts that are encoded alike, or rows of one file of vectors.

    Attributes:
        name: for files.
        size: how many.
        places: where they stand; every text stands in one.
    """

    name: str
    size: int
    places: tuple[Place, ...]

    def first_rows(self) -> IntArray:
        """Where each text stands first, candidates before queries, int64 `[size]`."""
        first = np.full(self.size, np.iinfo(np.int64).max)
        before = 0
        for place in sorted(self.places, key=lambda place: place.role):
            np.minimum.at(first, place.text_of_row, before + np.arange(len(place.text_of_row)))
            before += len(place.text_of_row)
        return first


class Made(NamedTuple):
    """The vectors that one process made of a group, in the order in which its texts stand first.

    Attributes:
        texts: which of the group, int64 `[n]`.
        vectors: float32 `[n, d]`; None: they stay where they were before.
        flags: whether each text was cut off, uint8 `[n]` (see `Flags`).
        stored: whether each vector came from the store, which held it before the run began, bool `[n]`.
    """

    texts: IntArray
    vectors: Vectors | None
    flags: Flags
    stored: BoolArray


class Kept(Protocol):
    """Where a process keeps what it has encoded while the rest is encoded."""

    def read(self, name: str) -> Mapping[str, NDArray[Any]] | None:
        """What stands under a name; None: nothing, or nothing that is whole."""

    def write(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays under a name."""


class Shares(ABC):
    """The vectors of some tasks, made by several processes.

    Args:
        encoder: from `load_encoder`.
        tasks: all that are encoded together.
        allow_zero: let vectors of only zeros pass.

    Attributes:
        tasks: with each candidate as the encoder is given it.
        groups: what is encoded.
        measures: whether the plan needs the tokens of all texts, so that each process has to count those of a part
            (`measure`) and to be told all counts (`take_counts`) before it makes a share.
    """

    groups: list[Layout]
    measures = False

    def __init__(self, encoder: BoundEncoder, tasks: Sequence[TaskData], *, allow_zero: bool) -> None:
        self.tasks = [in_context(task, encoder.identity.candidate_context) for task in tasks]
        self._allow_zero = allow_zero

    def measure(self, number: int, of: int, observe: Observer) -> dict[str, Counts]:
        """Count the tokens of a part of the texts of each group: every of-th one, as they are sorted by length.

        Args:
            number: which part, from 0.
            of: how many there are.
            observe: hears how many texts are done.

        Returns:
            name of the group -> tokens of each of these texts, int32 `[n]`, before it is cut off.

        Raises:
            EncoderError: the encoder failed.
        """
        return {}

    def take_counts(self, parts: Sequence[Mapping[str, Counts]]) -> None:
        """Plan by what all processes have counted, in their order (see `measure`)."""
        return

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Keep other processes that have the same store from planning, for as long as the block lasts."""
        yield

    def plan(self, of: int, observe: Observer) -> dict[str, NDArray[Any]]:
        """What is taken from the store and what is encoded, for all processes to be told (`take_plan`).

        Args:
            of: how many shares there are.
            observe: hears what is waited for, and what becomes of the store.

        Raises:
            EncoderError: the encoder failed, on texts that are encoded anew to see whether the store's vectors are its.
        """
        return {}

    def take_plan(self, plan: Mapping[str, NDArray[Any]]) -> None:
        """Make what was planned (see `plan`)."""
        return

    @abstractmethod
    def make(self, number: int, of: int, kept: Kept | None, observe: Observer) -> Iterator[Made]:
        """Make the vectors of one share, group by group.

        Args:
            number: which share, from 0.
            of: how many there are.
            kept: what was made before is taken from there, and what is made is kept there; None: nothing is kept.
            observe: hears how many texts are done.

        Raises:
            EncoderError: the encoder failed, or vectors cannot be scored.
        """

    def raw(self, group: int) -> Callable[[IntArray], Vectors] | None:
        """What gives these rows of a group; None: they are where `make` had them written."""
        return None

    def distinct(self, task: int) -> int:
        """How many texts of a task differ, in each group."""
        return sum(
            len(np.unique(np.concatenate(rows)))
            for group in self.groups
            if (rows := [place.text_of_row for place in group.places if place.task == task])
        )

    def unequal(self, task: int, role: Role, digests: NDArray[Any]) -> str | None:
        """A warning where equal texts have different vectors, by digests of these, `[rows, n]`."""
        return unequal_texts(self.tasks[task], role, digests)[1]


def measures(encoder: BoundEncoder) -> bool:
    """Whether an encoder counts tokens, so that its batches depend on those of all texts."""
    return isinstance(encoder, TextEncoder) and encoder.measure("query", ["a"]) is not None


def shelved(encoder: BoundEncoder, store: VectorStore | None) -> bool:
    """Whether vectors of an encoder are taken from a store and left there."""
    return store is not None and isinstance(encoder, TextEncoder) and reason_not_kept(encoder) is None


def shares_of(
    encoder: BoundEncoder, tasks: Sequence[TaskData], *, allow_zero: bool, store: VectorStore | None = None
) -> Shares:
    """The shares of an encoder's vectors; arguments as for `Shares`, and where vectors are kept."""
    if isinstance(encoder, Precomputed):
        return LookedUpShares(encoder, tasks, allow_zero=allow_zero)
    if isinstance(encoder, TextEncoder):
        return EncodedShares(encoder, tasks, allow_zero=allow_zero, store=store)
    raise EncoderError(
        f"a {type(encoder).__name__} is not bound", remedy="pass it to xqr_bench.encode.load_encoder first"
    )


class _Keeper:
    """Keeps shards of a group in the store, in files of the run, or in both."""

    def __init__(self, group: str, shelf: Shelf | None, kept: Kept | None) -> None:
        self.written = 0
        self._group, self._shelf, self._kept = group, shelf, kept

    def _piece(self, name: str) -> str:
        return f"{self._group}-{name.removesuffix(SUFFIX)}"

    def read(self, name: str, digests: Sequence[bytes]) -> tuple[Vectors, Flags] | None:
        """The vectors and flags of texts in a shard, where they are there."""
        if self._shelf is not None and (found := self._shelf.read(name, digests)) is not None:
            return found
        there = None if self._kept is None else self._kept.read(self._piece(name))
        return None if there is None or len(there["vectors"]) != len(digests) else (there["vectors"], there["flags"])

    def write(self, shard: PlannedShard, vectors: Vectors, flags: Flags) -> None:
        """See `Keeper`."""
        before = 0 if self._shelf is None else self._shelf.written
        if self._shelf is not None:
            self._shelf.write(shard, vectors, flags)
        if self._kept is not None:
            self._kept.write(self._piece(shard_name(shard)), {"vectors": vectors, "flags": flags})
        if self._kept is not None or (self._shelf is not None and self._shelf.written > before):
            self.written += len(vectors)


class EncodedShares(Shares):
    """Shares of texts that are encoded: whole batches of the plan of a single run."""

    def __init__(
        self, encoder: TextEncoder, tasks: Sequence[TaskData], *, allow_zero: bool, store: VectorStore | None = None
    ) -> None:
        super().__init__(encoder, tasks, allow_zero=allow_zero)
        self._encoder = encoder
        self._store = store if shelved(encoder, store) else None
        self._units: dict[str, list[Unit]] = {}
        self._planned_with: dict[str, NDArray[np.uint8]] = {}
        self._groups = plan_groups(self.tasks, symmetric=encoder.symmetric)
        self.groups = []
        for group in self._groups:
            number = {id(task): at for at, task in enumerate(self.tasks)}
            places = [Place(number[id(one.task)], one.role, one.text_of_row) for one in group.destinations]
            self.groups.append(Layout(group.role, len(group.texts), tuple(places)))
        self.measures = measures(encoder)
        self._counts: dict[str, Counts] = {}

    def _batches(self, group: Group, observe: Observer) -> Batches:
        batches = Batches(self._encoder, group, allow_zero=self._allow_zero, observe=observe)
        batches.measured = np.arange(len(group.texts))
        return batches

    def measure(self, number: int, of: int, observe: Observer) -> dict[str, Counts]:
        """See `Shares.measure`."""
        counted = {}
        for layout, group in zip(self.groups, self._groups, strict=True):
            batches, own = self._batches(group, observe), np.arange(layout.size)[number::of]
            counts = np.empty(len(own), dtype=np.int32)
            with observe.phase("measuring", len(own)):
                for start in range(0, len(own), MEASURED_AT_ONCE):
                    some = own[start : start + MEASURED_AT_ONCE]
                    if (of_some := batches.counts(some)) is None:
                        raise EncoderError(
                            f"{self._encoder.name} counts the tokens of some texts only",
                            found=f"none for {group.name(int(some[0]))}",
                            remedy="have its measure() count those of all texts, or of none",
                        )
                    counts[start : start + len(some)] = of_some
                    observe.advance(len(some))
            counted[layout.name] = counts
        return counted

    def take_counts(self, parts: Sequence[Mapping[str, Counts]]) -> None:
        """See `Shares.take_counts`."""
        for layout in self.groups:
            self._counts[layout.name] = counts = np.zeros(layout.size, dtype=np.int32)
            for number, of_part in enumerate(parts):
                counts[number :: len(parts)] = of_part[layout.name]

    def _counted(self, observe: Observer) -> list[Batches]:
        """The batches of each group, which know the tokens of their texts."""
        every = [self._batches(group, observe) for group in self._groups]
        for layout, batches in zip(self.groups, every, strict=True):
            if self.measures:
                batches.take_counts(batches.measured, self._counts[layout.name])
        return every

    @contextmanager
    def planning(self) -> Iterator[None]:
        """See `Shares.planning`."""
        with ExitStack() as stack:
            if self._store is not None:
                with suppress(OSError, NotImplementedError):  # told when the store is opened
                    key = encoder_key(self._encoder, self._groups[0].role)
                    stack.enter_context(for_a_moment(self._store, key, "plan"))
            yield

    def plan(self, of: int, observe: Observer) -> dict[str, NDArray[Any]]:
        """See `Shares.plan`."""
        with ExitStack() as shelves:
            every = self._counted(observe)
            opened = open_shelves(every, self._store, observe, shelves, alone=False)
            stored = {
                at: Stored(batches, shelf, self._store)
                for at, (batches, shelf) in enumerate(zip(every, opened, strict=True))
                if shelf is not None and self._store is not None
            }
            refuse_changed(list(stored.values()), observe)
            plan: dict[str, NDArray[Any]] = {}
            for at, (layout, batches) in enumerate(zip(self.groups, every, strict=True)):
                size = _dealt_texts(layout, of)
                units = stored[at].units(size, DEALT_TOKENS) if at in stored else self._unstored(batches, size)
                of_group = {**_packed(units), "store": _store_of(opened[at])}
                plan |= {f"{layout.name}.{key}": values for key, values in of_group.items()}
        return plan

    def take_plan(self, plan: Mapping[str, NDArray[Any]]) -> None:
        """See `Shares.take_plan`."""
        for layout in self.groups:
            start = f"{layout.name}."
            of_group = {key.removeprefix(start): values for key, values in plan.items() if key.startswith(start)}
            self._units[layout.name] = _unpacked(of_group)
            self._planned_with[layout.name] = of_group["store"]

    def _unstored(self, batches: Batches, size: int) -> list[Unit]:
        """The plan of all texts; batches do not depend on where it is cut into pieces that are dealt out."""
        named = Keeping(batches, _Keeper("", None, None)).named
        shards = batches.plan(batches.measured, size, DEALT_TOKENS)
        return [Unit(shard_name(named(shard)), shard, False) for shard in shards]

    def make(self, number: int, of: int, kept: Kept | None, observe: Observer) -> Iterator[Made]:
        """See `Shares.make`."""
        keeps = kept if reason_not_kept(self._encoder) is None else None
        with ExitStack() as shelves:
            every = self._counted(observe)
            opened = open_shelves(every, self._store, observe, shelves, alone=False)
            self._refuse_changed(every, opened, observe)
            for layout, batches, shelf in zip(self.groups, every, opened, strict=True):
                units = self._units.get(layout.name) or self._unstored(batches, _dealt_texts(layout, of))
                yield self._made(layout, batches, units[number::of], _Keeper(layout.name, shelf, keeps), observe)
        trim_store(self._store, self._encoder, observe)

    def _refuse_changed(self, every: Sequence[Batches], opened: Sequence[Shelf | None], observe: Observer) -> None:
        """Try the kept vectors of a store that is not the one whose vectors were tried when it was planned."""
        groups = zip(self.groups, every, opened, strict=True)
        others = [
            Stored(batches, shelf, self._store)
            for layout, batches, shelf in groups
            if shelf is not None and self._store is not None
            if not np.array_equal(_store_of(shelf), self._planned_with.get(layout.name, _store_of(None)))
        ]
        if others:
            with self.planning():
                refuse_changed(others, observe)

    def _made(
        self, layout: Layout, batches: Batches, units: Sequence[Unit], keeper: _Keeper, observe: Observer
    ) -> Made:
        """The vectors of some units: those that are kept somewhere first, then the others."""
        keeping, group = Keeping(batches, keeper), batches.group
        parts: list[tuple[IntArray, Vectors]] = []
        left: list[Shard] = []
        stored = np.zeros(layout.size, dtype=np.bool_)
        with observe.phase("encoding", sum(len(batch) for unit in units for batch in unit.shard)):
            for unit in units:
                for shard, there in self._looked_up(unit, batches, keeping, keeper):
                    if there is None:
                        left.append(shard)
                        continue
                    indices = np.concatenate(shard)
                    batches.check(indices, there[0])
                    group.flags[indices], stored[indices] = there[1], unit.stored
                    batches.done += len(indices)
                    parts.append((indices, self._encoder.cut(there[0])))
                    observe.advance(len(indices))
            with closing(keeping.encode(left)) as encoded:
                for indices, vectors in encoded:
                    parts.append((indices, self._encoder.cut(vectors)))
                    observe.advance(len(indices))
        return self._in_order(layout, parts, group.flags, stored)

    @staticmethod
    def _looked_up(
        unit: Unit, batches: Batches, keeping: Keeping, keeper: _Keeper
    ) -> Iterator[tuple[Shard, tuple[Vectors, Flags] | None]]:
        """What is kept of a unit; where its batches are not known, and it is not there, others are planned."""
        named = keeping.named(unit.shard)
        there = keeper.read(unit.name, digests_of(named))
        if there is not None or shard_name(named) == unit.name:
            yield unit.shard, there
            return
        for shard in batches.plan(np.concatenate(unit.shard)):
            named = keeping.named(shard)
            yield shard, keeper.read(shard_name(named), digests_of(named))

    def _in_order(self, layout: Layout, parts: list[tuple[IntArray, Vectors]], flags: Flags, stored: BoolArray) -> Made:
        if not parts:
            nothing = np.empty((0, self._encoder.identity.dimensions or 0), dtype=np.float32)
            return Made(np.empty(0, dtype=np.int64), nothing, flags[:0], stored[:0])
        texts = np.concatenate([indices for indices, _ in parts])
        vectors = np.empty((len(texts), parts[0][1].shape[1]), dtype=np.float32)
        first = layout.first_rows()[texts]
        place = np.empty(len(texts), dtype=np.int64)
        place[np.argsort(first)] = np.arange(len(texts))
        start = 0
        while parts:  # each is let go when it is in its place
            indices, some = parts.pop(0)
            vectors[place[start : start + len(indices)]] = some
            start += len(indices)
        order = np.argsort(place)
        return Made(texts[order], vectors, flags[texts[order]], stored[texts[order]])


def _dealt_texts(layout: Layout, of: int) -> int:
    """Texts of a group that are dealt out at a time: few enough that each process has some."""
    return max(min(DEALT_TEXTS, -(-layout.size // (4 * of))), 1)


def _store_of(shelf: Shelf | None) -> NDArray[np.uint8]:
    """What tells the store of a shelf from others, as bytes, uint8 `[n]`; none where there is no store."""
    return np.frombuffer(b"" if shelf is None else shelf.store.encode(), dtype=np.uint8)


def _packed(units: Sequence[Unit]) -> dict[str, NDArray[Any]]:
    batches = [batch for unit in units for batch in unit.shard]
    names = b"".join(bytes.fromhex(unit.name.removesuffix(SUFFIX)) for unit in units)
    return {
        "names": np.frombuffer(names, dtype=np.uint8),
        "stored": np.array([unit.stored for unit in units], dtype=np.uint8),
        "batches": np.array([len(unit.shard) for unit in units], dtype=np.int64),
        "rows": np.array([len(batch) for batch in batches], dtype=np.int64),
        "texts": np.concatenate(batches).astype(np.int32) if batches else np.empty(0, dtype=np.int32),
    }


def _unpacked(packed: Mapping[str, NDArray[Any]]) -> list[Unit]:
    batches = iter(np.split(packed["texts"].astype(np.int64), np.cumsum(packed["rows"])[:-1]))
    names = packed["names"].tobytes()
    width = len(names) // max(len(packed["stored"]), 1)
    return [
        Unit(names[at * width : (at + 1) * width].hex() + SUFFIX, list(islice(batches, int(number))), bool(stored))
        for at, (number, stored) in enumerate(zip(packed["batches"], packed["stored"], strict=True))
    ]


class LookedUpShares(Shares):
    """Shares of vectors that are there already: consecutive rows of each task and role."""

    def __init__(self, encoder: Precomputed, tasks: Sequence[TaskData], *, allow_zero: bool) -> None:
        super().__init__(encoder, tasks, allow_zero=allow_zero)
        self._encoder = encoder
        self.groups = [
            Layout(f"{at}.{role}", len(rows), (Place(at, role, np.arange(len(rows))),))
            for at, task in enumerate(self.tasks)
            for role in ROLES
            for rows in [items_of(task, role)]
        ]
        self._files: dict[int, tuple[NDArray[Any], IntArray]] = {}

    def make(self, number: int, of: int, kept: Kept | None, observe: Observer) -> Iterator[Made]:
        """See `Shares.make`."""
        for group, (_, size, (place,)) in enumerate(self.groups):
            task = self.tasks[place.task]
            own = np.arange(size * number // of, size * (number + 1) // of)
            with observe.phase("encoding", len(own)):
                for start in range(0, len(own), ROWS_AT_ONCE):
                    rows = own[start : start + ROWS_AT_ONCE]
                    vectors = self.raw(group)(rows)
                    what = f"the {place.role} vectors of {task.name}"
                    self._encoder.check_dimensions(vectors.shape[1], what)
                    check_values(
                        vectors,
                        self._encoder.name,
                        lambda row, rows=rows, task=task, role=place.role: name_item(task, role, int(rows[row])),  # type: ignore[misc]
                        allow_zero=self._allow_zero,
                    )
                    observe.advance(len(rows))
            flags, stored = np.full(len(own), UNKNOWN, dtype=np.uint8), np.zeros(len(own), dtype=np.bool_)
            yield Made(own, None, flags, stored)

    def distinct(self, task: int) -> int:
        """See `Shares.distinct`."""
        return sum(len(first_of_each(texts_of(items_of(self.tasks[task], role)))[0]) for role in ROLES)

    def raw(self, group: int) -> Callable[[IntArray], Vectors]:
        """See `Shares.raw`."""
        if group not in self._files:
            _, _, (place,) = self.groups[group]
            self._files[group] = self._encoder.places(self.tasks[place.task], place.role)
        stored, rows = self._files[group]
        return lambda wanted: self._encoder.at(stored, rows[wanted])
