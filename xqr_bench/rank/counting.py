"""Where scores are made and counted: the columns of a product, on the processor or with torch on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import xqr_bench.rank.product as tiles
from xqr_bench.core.errors import RanksError, UsageError
from xqr_bench.core.mapped import read, taken
from xqr_bench.core.memory import usable_cores
from xqr_bench.core.types import IntArray
from xqr_bench.rank.product import Repeats, Vectors, find_repeats, multiply, unit_vectors

if TYPE_CHECKING:
    from xqr_bench.rank.kernels import GroupPairs, Standings

Numbers = NDArray[np.int32]

# What is multiplied: the candidates, then one column for each group of equal vectors; cut into parts.

MOST_WORKERS = 16


@dataclass(frozen=True)
class Part:
    """Some whole tiles of columns, multiplied together: these candidates, then these groups of equal vectors."""

    candidates: range = range(0)
    groups: range = range(0)

    @property
    def width(self) -> int:
        """Its columns."""
        return len(self.candidates) + len(self.groups)


class Columns:
    """The columns of the product.

    A candidate whose vector occurs more than once is not counted where it stands (equal columns of one product can
    have unequal bits) but in the column of its group, by how many candidates of each language are in the group.

    Args:
        edges: where each language begins among the candidates, int64 `[languages + 1]`.
        repeats: the groups.
    """

    def __init__(self, edges: IntArray, repeats: Repeats) -> None:
        self.edges = edges
        self.repeats = repeats
        self.candidates, self.groups = int(edges[-1]), len(repeats.first)
        languages = np.searchsorted(edges, repeats.positions, side="right") - 1
        self._pairs, sizes = np.unique(languages * max(1, self.groups) + repeats.groups, return_counts=True)
        self._pair_groups, self._pair_sizes = self._pairs % max(1, self.groups), sizes.astype(np.int32)

    def places(self, positions: IntArray, part: Part) -> tuple[NDArray[np.bool_], IntArray]:
        """Which of these candidates have their score in a part, bool, and in which of its columns, int64."""
        inside = (positions >= part.candidates.start) & (positions < part.candidates.stop)
        places = positions - part.candidates.start
        if self.groups:
            member = np.minimum(np.searchsorted(self.repeats.positions, positions), len(self.repeats.positions) - 1)
            repeated = self.repeats.positions[member] == positions
            group = self.repeats.groups[member]
            in_group = (group >= part.groups.start) & (group < part.groups.stop)
            inside = np.where(repeated, in_group, inside)
            places = np.where(repeated, group - part.groups.start + len(part.candidates), places)
        return inside, places[inside]

    def hidden(self, part: Part) -> IntArray:
        """The columns of a part whose candidates are counted by group, ascending int64."""
        positions = self.repeats.positions
        low, high = np.searchsorted(positions, (part.candidates.start, part.candidates.stop))
        return positions[low:high] - part.candidates.start

    def languages_in(self, part: Part) -> IntArray:
        """Where each language begins among the candidates of a part, int64 `[languages + 1]`."""
        return np.clip(self.edges, part.candidates.start, part.candidates.stop) - part.candidates.start

    def pairs_in(self, part: Part) -> GroupPairs:
        """The pairs of the groups of a part."""
        from xqr_bench.rank.kernels import GroupPairs

        first = np.arange(len(self.edges) - 1) * max(1, self.groups)  # what the pairs of a language are counted from
        return GroupPairs(
            self._pair_groups - part.groups.start + len(part.candidates),
            self._pair_sizes,
            np.searchsorted(self._pairs, first + part.groups.start),
            np.searchsorted(self._pairs, first + part.groups.stop),
        )

    def groups_in(self, part: Part) -> GroupPairs:
        """The groups of a part as pairs with one language, which holds all their candidates."""
        from xqr_bench.rank.kernels import GroupPairs

        sizes = np.bincount(self.repeats.groups, minlength=self.groups)[part.groups.start : part.groups.stop]
        both = np.zeros(1, dtype=np.int64), np.array([len(sizes)], dtype=np.int64)
        return GroupPairs(np.arange(len(sizes)) + len(part.candidates), sizes.astype(np.int32), *both)

    @cached_property
    def _members(self) -> tuple[IntArray, IntArray]:
        """Where the members of each group begin, int64 `[groups + 1]`, and the candidates, group by group."""
        starts = np.append(0, np.cumsum(np.bincount(self.repeats.groups, minlength=self.groups)))
        return starts.astype(np.int64), self.repeats.positions[np.argsort(self.repeats.groups, kind="stable")]

    def members_in(self, part: Part) -> tuple[IntArray, IntArray]:
        """The same of the groups of a part."""
        starts, members = self._members
        starts = starts[part.groups.start : part.groups.stop + 1]
        return starts - starts[0], members[starts[0] : starts[-1]]

    @cached_property
    def languages(self) -> IntArray:
        """Language of each candidate, int64 `[candidates]`."""
        return np.repeat(np.arange(len(self.edges) - 1), np.diff(self.edges))

    @property
    def tiles(self) -> int:
        """How many tiles of columns there are: those of the candidates, then those of the groups."""
        return sum(-(-size // tiles.TILE_COLUMNS) for size in (self.candidates, self.groups))

    def parts(self, width: int, only: range | None = None) -> list[Part]:
        """Cut at the edges of tiles, so that a part has at most `width` columns (at least one tile).

        Args:
            width: see above.
            only: the tiles that are wanted, by number; default: all.
        """
        step, number = tiles.TILE_COLUMNS, -1
        parts = [Part()]
        for kind, size in (("candidates", self.candidates), ("groups", self.groups)):
            for start in range(0, size, step):
                number += 1
                if only is not None and number not in only:
                    continue
                stop = min(start + step, size)
                if parts[-1].width and parts[-1].width + stop - start > width:
                    parts.append(Part())
                columns: range = getattr(parts[-1], kind)
                parts[-1] = replace(parts[-1], **{kind: range(columns.start if columns else start, stop)})
        return parts


def share(columns: int, dimensions: int, memory: int) -> tuple[int, int]:
    """How many threads and how wide a part a memory budget allows.

    A part holds its vectors once and a block of scores a thread. Parts that are not the whole are multiplied
    twice, first for the thresholds, then to count.

    Returns:
        threads and columns of a part.

    Raises:
        RanksError: a budget below the default does not hold one tile.
    """
    best = (0.0, 1, tiles.TILE_COLUMNS)
    for workers in range(1, min(usable_cores(), MOST_WORKERS) + 1):
        width = memory // (4 * (tiles.TILE_ROWS * workers + dimensions))
        if width >= columns:
            best = max(best, (float(workers), workers, max(1, columns)))
        elif width >= tiles.TILE_COLUMNS:
            best = max(best, (workers / 2, workers, width))
    least = 4 * min(columns, tiles.TILE_COLUMNS) * (tiles.TILE_ROWS + dimensions)
    if not best[0] and least > memory and memory < tiles.DEFAULT_MEMORY:
        raise RanksError(
            f"a memory budget of {memory / 2**20:,.0f} MiB is too small to rank {columns:,} vectors of "
            f"{dimensions:,} dimensions",
            remedy=f"give --memory {-(-least // 2**20)}MiB or more",
        )
    return best[1], best[2]


# Scores of a block of queries against a part, and the counting in them, on the processor.


class Block:
    """Scores of some queries against a part of the columns.

    Attributes:
        scores: float32 `[rows, part width]`; -inf where a candidate is counted by group, or was not retrieved.
        columns: what the columns of the product are.
        part: those at hand.
    """

    def __init__(self, scores: Vectors, columns: Columns, part: Part) -> None:
        self.scores, self.columns, self.part = scores, columns, part

    @classmethod
    def whole(cls, scores: Vectors, edges: IntArray) -> Block:
        """Scores of some queries against all candidates, from elsewhere: float32 `[rows, candidates]`."""
        none = np.zeros(0, dtype=np.int64)
        return cls(scores, Columns(edges, Repeats(none, none, none)), Part(range(int(edges[-1]))))

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, rows: IntArray, positions: IntArray) -> tuple[NDArray[np.bool_], Vectors]:
        """Which of these candidates have their score here, bool, and those scores, of one row each, float32."""
        inside, places = self.columns.places(positions, self.part)
        return inside, self.scores[rows[inside], places]

    def count(self, offsets: IntArray, thresholds: Vectors, gt: Numbers, eq: Numbers) -> None:
        """Add to gt and eq what each language has above and at the thresholds (see `kernels.count_rows`)."""
        from xqr_bench.rank.kernels import count_groups, count_rows

        # the whole block: the loops do not vectorise over a part of its columns
        count_rows(self.scores, self.columns.languages_in(self.part), offsets, thresholds, gt, eq)
        if self.part.groups:
            count_groups(self.scores, self.columns.pairs_in(self.part), offsets, thresholds, gt, eq)

    def count_pool(self, offsets: IntArray, thresholds: Vectors, gt: Numbers, eq: Numbers) -> None:
        """Add to gt and eq, int32 `[thresholds]`, what all languages together have above and at the thresholds."""
        from xqr_bench.rank.kernels import count_groups, count_pool

        scores = self.scores
        count_pool(scores, len(self.part.candidates), offsets, thresholds, gt, eq)
        if self.part.groups:
            count_groups(scores, self.columns.groups_in(self.part), offsets, thresholds, gt[:, None], eq[:, None])

    def count_own(self, offsets: IntArray, columns: IntArray, thresholds: Vectors, gt: Numbers, eq: Numbers) -> None:
        """Add to gt and eq, int32 `[thresholds]`, what one language of each threshold has (see `kernels.count_own`)."""
        from xqr_bench.rank.kernels import count_own, count_own_groups

        scores = self.scores
        count_own(scores, self.columns.languages_in(self.part), offsets, columns, thresholds, gt, eq)
        if self.part.groups:
            count_own_groups(scores, self.columns.pairs_in(self.part), offsets, columns, thresholds, gt, eq)

    def top(self, best: Vectors, number: Numbers) -> None:
        """Raise best and number to what stands at the top of each language (see `kernels.count_top`)."""
        from xqr_bench.rank.kernels import count_top, count_top_groups

        count_top(self.scores, self.columns.languages_in(self.part), best, number)
        if self.part.groups:
            count_top_groups(self.scores, self.columns.pairs_in(self.part), best, number)

    def best(self, standings: Standings) -> None:
        """Take the candidates that are here into the standings of the rankings (see `kernels.keep_best`)."""
        from xqr_bench.rank.kernels import keep_best, keep_best_groups

        part, languages = self.part, self.columns.languages
        keep_best(self.scores, (part.candidates.start, part.candidates.stop), languages, standings)
        if part.groups:
            starts, members = self.columns.members_in(part)
            keep_best_groups(self.scores, len(part.candidates), starts, members, languages, standings)


class Held(NamedTuple):
    """A part with its vectors where they are multiplied: arrays of numpy or torch, `[n, d]` each."""

    part: Part
    candidates: Any
    groups: Any


class Share(NamedTuple):
    """What one of several processes counts, which all know which vectors are equal.

    Attributes:
        repeats: the groups of equal vectors among all candidates.
        tiles: those of the columns that are counted here, by number.
    """

    repeats: Repeats
    tiles: range


class Counter:
    """Makes the scores that are counted, with numpy's BLAS.

    Args:
        edges: where each language begins among the candidates, int64 `[languages + 1]`.
        queries, candidates: float32 `[n, d]`; of the candidates with a share anything that gives the rows of a slice,
            or of an array of indices, and knows its shape.
        unit: bring the vectors to unit length, a block and a part at a time.
        memory: bytes for the prepared vectors and the scores, of all threads together; the counts do not depend on it.
        share: what is counted; None: everything.

    Attributes:
        columns: what is multiplied.
        parts: how it is cut.
        workers: threads that may count at once.
    """

    def __init__(
        self,
        edges: IntArray,
        queries: Vectors,
        candidates: Vectors,
        *,
        unit: bool,
        memory: int,
        share: Share | None = None,
    ) -> None:
        self._queries, self._candidates, self._unit = queries, candidates, unit
        if share is not None:
            self.columns = Columns(edges, share.repeats)
            self.workers, width = self._share(memory)
            self.parts = [part for part in self.columns.parts(width, share.tiles) if part.width]
            self._whole = None
            return
        whole = self._prepared(candidates) if self._fits(memory) else None

        def prepared(start: int, stop: int) -> Vectors:
            return self._prepared(candidates[start:stop]) if whole is None else whole[start:stop]

        self.columns = Columns(edges, find_repeats(len(candidates), prepared))
        self.workers, width = self._share(memory)
        self.parts = self.columns.parts(width)
        self._whole = whole if len(self.parts) == 1 else None

    def _fits(self, memory: int) -> bool:
        """Whether all prepared candidates are held at once."""
        return 4 * self._candidates.size <= memory

    def _share(self, memory: int) -> tuple[int, int]:
        """Threads, and columns of a part."""
        return share(self.columns.candidates + self.columns.groups, self._candidates.shape[1], memory)

    def _prepared(self, vectors: Vectors) -> Vectors:
        """Vectors as they are multiplied, float32 and contiguous; of those that are mapped a copy."""
        if self._unit:
            return unit_vectors(vectors)
        return np.ascontiguousarray(read(vectors), dtype=np.float32)

    def hold(self, part: Part) -> Held:
        """Prepare the vectors of a part, for `score` of every thread."""
        candidates = self._whole
        if candidates is None:
            candidates = self._prepared(self._candidates[part.candidates.start : part.candidates.stop])
        first = self.columns.repeats.first[part.groups.start : part.groups.stop]
        return Held(part, candidates, self._prepared(taken(self._candidates, first)))

    def buffer(self) -> Vectors:
        """Room for the scores of one thread, float32."""
        rows = min(tiles.TILE_ROWS, len(self._queries))
        return np.empty((rows, max(part.width for part in self.parts)), dtype=np.float32)

    def score(self, start: int, stop: int, held: Held, buffer: Vectors) -> Block:
        """Multiply these queries with a held part; the block is good until the buffer is used again."""
        from xqr_bench.rank.kernels import hide

        part, queries = held.part, self._prepared(self._queries[start:stop])
        scores = buffer[: stop - start, : part.width]
        multiply(queries, held.candidates, scores[:, : len(part.candidates)])
        multiply(queries, held.groups, scores[:, len(part.candidates) :])
        hide(scores, self.columns.hidden(part))
        return Block(scores, self.columns, part)


# The same with torch on a GPU.

PROCESSOR = "cpu"
AUTO = "auto"
LEAST_OF_BLOCK = 7e9
"""Multiplications of a block of scores from which it is counted on a GPU where nobody says where.

What a block takes on a GPU hardly depends on its size, on processors it grows with it. Reckoned, not measured: an H200
took .87 s for the 26 blocks of XQuAD-R, and the 16 cores beside it .31 s for its 65 billion multiplications, so a block
of 33 ms there is worth 7 billion here. The counting has fewer operations since, so it may pay earlier.
tests/benchmarks/gpu_eight_minutes.py prints the figure to put here. XQuAD-R has 2.6 billion, with 384 columns.
"""
_DRIVER = Path("/proc/driver/nvidia/version")


def multiplications(pools: Sequence[tuple[int, int]], dimensions: int) -> float:
    """Multiplications of a block of scores, on average.

    Args:
        pools: queries and candidates of each pool that is ranked by itself.
        dimensions: columns of the vectors.
    """
    blocks = sum(-(-queries // tiles.TILE_ROWS) for queries, _ in pools)
    return dimensions * sum(queries * candidates for queries, candidates in pools) / max(1, blocks)


def counting_device(asked: str = AUTO, encoder_device: str | None = None) -> str:
    """The device to count on, for a task that is large enough (see `LEAST_OF_BLOCK`).

    Args:
        asked: "cpu", "cuda", "cuda:1", or "auto": the encoder's own GPU; the processor where the encoder is on none;
            for an encoder that runs on no device (vectors computed before), a GPU where there is one.
        encoder_device: where the encoder runs, None when it has no device.

    Returns:
        "cpu" or a CUDA device with its number.

    Raises:
        UsageError: there is no such device.
    """
    if asked == PROCESSOR:
        return PROCESSOR
    if asked == AUTO:
        if encoder_device is not None:
            encoder_device = encoder_device.partition(",")[0]  # of several the first
            return _numbered(encoder_device) if encoder_device.startswith("cuda") else PROCESSOR
        if not _DRIVER.exists() or find_spec("torch") is None:  # torch is loaded only where it can matter
            return PROCESSOR
        import torch

        return _numbered("cuda") if torch.cuda.is_available() else PROCESSOR
    name, _, number = asked.partition(":")
    if name != "cuda" or (number and not number.isdecimal()):
        raise UsageError(f"scores cannot be counted on {asked!r}", remedy="give auto, cpu, cuda or cuda:1")
    import torch

    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= devices:
        raise UsageError(
            f"there is no device {asked} to count on", found=f"{devices} CUDA devices", remedy="give cpu, or auto"
        )
    return _numbered(asked)


def _numbered(device: str) -> str:
    return device if ":" in device else f"{device}:0"


def device_name(device: str) -> str:
    """A device in words, for a record: "cpu", "cuda:0 (NVIDIA H100)"; of several each."""
    if not device.startswith("cuda"):
        return device
    import torch

    return ", ".join(f"{one} ({torch.cuda.get_device_name(one)})" for one in device.split(","))
