"""The counting of `counting.py` with torch on a GPU: scores are made and counted there, and only counts come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import xqr_bench.rank.product as tiles
from xqr_bench.core.errors import RanksError
from xqr_bench.core.mapped import taken
from xqr_bench.core.types import IntArray
from xqr_bench.rank.counting import Block, Columns, Counter, Held, Numbers, Part, Share
from xqr_bench.rank.product import CHUNK, Vectors

if TYPE_CHECKING:
    from xqr_bench.rank.kernels import Standings


@contextmanager
def _full_precision() -> Iterator[None]:
    """float32 products in float32: TensorFloat-32 keeps 10 bits of the mantissa, and would tie and swap candidates."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


MOST_ALIKE = 16
"""Languages that are counted together; more take as much memory more."""


class _Alike(NamedTuple):
    """The scores of languages of like sizes, sorted.

    Attributes:
        languages: which, int64 `[languages]`.
        kinds: of their candidates and of their groups, where there are any: the scores in ascending order, `[rows,
            languages, width]`, -inf where a language has fewer; and how many candidates the first so many of them
            stand for, `[rows, languages, width + 1]`, None where it is one each.
    """

    languages: IntArray
    kinds: list[tuple[Any, Any]]


def alike(sizes: IntArray) -> list[IntArray]:
    """Languages whose sizes differ by a factor of two at most: filled up, they take little more room than they are.

    Few large operations are what a GPU is fast at: a language at a time was 779 for a block of XQuAD-R, now 112.
    """
    found: list[list[int]] = []
    for language in np.argsort(-sizes, kind="stable").tolist():
        if found and len(found[-1]) < MOST_ALIKE and 2 * sizes[language] >= sizes[found[-1][0]]:
            found[-1].append(language)
        else:
            found.append([language])
    return [np.array(sorted(languages), dtype=np.int64) for languages in found]


def filled_up(starts: IntArray, sizes: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """Consecutive numbers, a row for each start, and which of them are meant: `[starts, greatest size]` both."""
    steps = np.arange(int(sizes.max()))
    there = steps < sizes[:, None]
    return np.where(there, starts[:, None] + steps, 0), there


class TorchBlock(Block):
    """A block whose scores are on a device of torch, and are counted there; `scores` brings them here, for tests."""

    def __init__(self, on_device: Any, columns: Columns, part: Part) -> None:
        import torch

        self._torch, self._scores = torch, on_device
        self.columns, self.part = columns, part

    @property
    def scores(self) -> Vectors:  # type: ignore[override]
        """The scores here, float32 `[rows, part width]`."""
        scores: Vectors = self._scores.cpu().numpy()
        return scores

    def __len__(self) -> int:
        return len(self._scores)

    def _moved(self, values: np.ndarray) -> Any:
        return self._torch.from_numpy(values).to(self._scores.device)

    def at(self, rows: IntArray, positions: IntArray) -> tuple[NDArray[np.bool_], Vectors]:
        """See `Block.at`."""
        inside, places = self.columns.places(positions, self.part)
        return inside, self._scores[self._moved(rows[inside]), self._moved(places)].cpu().numpy()

    @cached_property
    def _alike(self) -> list[_Alike]:
        """The scores of all languages, sorted once for all that is counted in them."""
        torch = self._torch
        edges, pairs = self.columns.languages_in(self.part), self.columns.pairs_in(self.part)
        sizes, of_groups = np.diff(edges), pairs.stops - pairs.starts
        made = []
        for languages in alike(sizes + of_groups):
            kinds: list[tuple[Any, Any]] = []
            if sizes[languages].any():
                kinds.append((self._padded(*filled_up(edges[languages], sizes[languages])).sort(dim=2).values, None))
            if of_groups[languages].any():
                at, there = filled_up(pairs.starts[languages], of_groups[languages])
                ordered, order = self._padded(pairs.columns[at], there).sort(dim=2)
                weights = self._moved(np.where(there, pairs.sizes[at], np.int32(0)))
                reached = weights.expand(len(order), -1, -1).gather(2, order).cumsum(2, dtype=torch.int32)
                kinds.append((ordered, torch.nn.functional.pad(reached, (1, 0))))
            made.append(_Alike(languages, kinds))
        return made

    def _padded(self, columns: IntArray, there: NDArray[np.bool_]) -> Any:
        """Columns of some languages, `[rows, languages, width]`, and -inf where one has none."""
        scores = self._scores[:, self._moved(np.where(there, columns, 0))]
        return scores if there.all() else scores.masked_fill_(~self._moved(there), -self._torch.inf)

    def _rows(self, offsets: IntArray, values: NDArray[Any], nothing: float) -> tuple[Any, tuple[IntArray, IntArray]]:
        """Values of thresholds, a row a query, filled up with what stands for none; and where each of them is."""
        lengths = np.diff(offsets)
        row_of = np.repeat(np.arange(len(lengths)), lengths)
        slot = np.arange(len(row_of)) - np.repeat(offsets[:-1], lengths)
        padded = np.full((len(lengths), max(1, int(lengths.max(initial=0)))), nothing, dtype=values.dtype)
        padded[row_of, slot] = values
        return self._moved(padded), (row_of, slot)

    def _counts(self, some: _Alike, limits: Any) -> Any:
        """What some languages have above and at their thresholds, `[2, rows, languages, thresholds]`, int32."""
        torch = self._torch
        counts = torch.zeros((2, *limits.shape), dtype=torch.int32, device=limits.device)
        # looked up, however many thresholds there are: a comparison with each is thousands of small kernels
        for ordered, reached in some.kinds:
            low, high = (torch.searchsorted(ordered, limits, right=right) for right in (False, True))
            most: Any = ordered.shape[2]
            if reached is not None:
                low, high, most = reached.gather(2, low), reached.gather(2, high), reached[:, :, -1:]
            counts[0] += most - high
            counts[1] += high - low
        return counts

    def _of_languages(self, limits: Any) -> Iterator[tuple[IntArray, Any]]:
        """Some languages after others, and their counts at the same thresholds, `[rows, thresholds]`."""
        for some in self._alike:
            yield some.languages, self._counts(some, limits[:, None].expand(-1, len(some.languages), -1).contiguous())

    def count(self, offsets: IntArray, thresholds: Vectors, gt: Numbers, eq: Numbers) -> None:
        """See `Block.count`."""
        limits, (rows, slots) = self._rows(offsets, thresholds, np.inf)  # which nothing is above or equal to
        for languages, counts in self._of_languages(limits):
            above, same = counts.transpose(2, 3).cpu().numpy()[:, rows, slots]
            gt[:, languages] += above
            eq[:, languages] += same

    def count_pool(self, offsets: IntArray, thresholds: Vectors, gt: Numbers, eq: Numbers) -> None:
        """See `Block.count_pool`: each candidate is in one language."""
        limits, places = self._rows(offsets, thresholds, np.inf)
        above, same = sum(counts.sum(2) for _, counts in self._of_languages(limits)).cpu().numpy()
        gt += above[places]
        eq += same[places]

    def count_own(self, offsets: IntArray, columns: IntArray, thresholds: Vectors, gt: Numbers, eq: Numbers) -> None:
        """See `Block.count_own`."""
        limits, places = self._rows(offsets, thresholds, np.inf)
        asked = self._rows(offsets, columns, -1)[0][:, None]
        above, same = (
            sum(
                (counts * (asked == self._moved(languages)[:, None])).sum(2)
                for languages, counts in self._of_languages(limits)
            )
            .cpu()
            .numpy()
        )
        gt += above[places]
        eq += same[places]

    def top(self, best: Vectors, number: Numbers) -> None:
        """See `Block.top`."""
        torch = self._torch
        for some in self._alike:
            before, counted = (self._moved(values[:, some.languages])[:, :, None] for values in (best, number))
            most = torch.cat([before, *(ordered[:, :, -1:] for ordered, _ in some.kinds)], 2).amax(2, keepdim=True)
            counted = torch.where(before == most, counted, 0) + self._counts(some, most)[1]
            best[:, some.languages] = most[:, :, 0].cpu().numpy()
            number[:, some.languages] = counted[:, :, 0].cpu().numpy()

    def best(self, standings: Standings) -> None:
        """See `Block.best`: what reaches the k-th score of its row is brought here."""
        from xqr_bench.rank.kernels import keep_best_groups, keep_best_of

        torch, part, languages = self._torch, self.part, self.columns.languages
        k, n = min(standings.scores.shape[1], self._scores.shape[1]), len(part.candidates)
        least = self._scores.topk(k, dim=1).values[:, -1:]  # of columns, each a candidate or several
        if k < standings.scores.shape[1]:
            least = torch.full_like(least, -torch.inf)
        rows, columns = torch.nonzero(self._scores[:, :n] >= least, as_tuple=True)
        values = self._scores[rows, columns].cpu().numpy()
        places = columns.cpu().numpy() + part.candidates.start
        keep_best_of(rows.cpu().numpy(), places, values, languages, standings)
        if part.groups:
            starts, members = self.columns.members_in(part)
            keep_best_groups(self._scores[:, n:].cpu().numpy(), 0, starts, members, languages, standings)


class TorchCounter(Counter):
    """Makes scores with torch: the same tiling and the same rule for equal vectors, thresholds from the same product.

    The last bits of a score are those of the device's own matrix product.

    Args:
        edges, queries, candidates, unit, share: as for `Counter`.
        memory: bytes for a block of scores, on the device and where it is brought back.
        device: of torch; "cuda:0", or any other in tests.
    """

    def __init__(
        self,
        edges: IntArray,
        queries: Vectors,
        candidates: Vectors,
        *,
        unit: bool,
        memory: int,
        device: str,
        share: Share | None = None,
    ) -> None:
        import torch

        self._torch, self._device = torch, torch.device(device)
        super().__init__(edges, queries, candidates, unit=unit, memory=memory, share=share)

    def _fits(self, memory: int) -> bool:
        return False

    def _share(self, memory: int) -> tuple[int, int]:
        width = memory // (4 * tiles.TILE_ROWS)
        if self._device.type == "cuda":
            free, _ = self._torch.cuda.mem_get_info(self._device)
            # the vectors, a block of scores and what sorting takes, in half of what is free: of languages filled up to
            # twice as many columns the scores, as they are and sorted, their places, and both again while it sorts
            fitting = free // 2 // (4 * self._candidates.shape[1] + (4 + 2 * (4 + 12 + 12)) * tiles.TILE_ROWS)
            if fitting < min(tiles.TILE_COLUMNS, self.columns.candidates):
                raise RanksError(
                    f"{self._device} has too little free memory to count on",
                    found=f"{free / 2**20:,.0f} MiB free",
                    remedy="count on the processor (--score-device cpu)",
                )
            width = min(width, fitting)
        return 1, max(width, tiles.TILE_COLUMNS)

    def _moved(self, vectors: Vectors, rows: IntArray) -> Any:
        """These rows, prepared, on the device; brought there some thousands at a time."""
        result = self._torch.empty((len(rows), vectors.shape[1]), dtype=self._torch.float32, device=self._device)
        for start in range(0, len(rows), CHUNK):
            some = self._prepared(taken(vectors, rows[start : start + CHUNK]))
            result[start : start + len(some)] = self._torch.from_numpy(some)
        return result

    def hold(self, part: Part) -> Held:
        """Bring the vectors of a part to the device."""
        every = np.arange(part.candidates.start, part.candidates.stop)
        first = self.columns.repeats.first[part.groups.start : part.groups.stop]
        return Held(part, self._moved(self._candidates, every), self._moved(self._candidates, first))

    def buffer(self) -> Vectors:
        """None is used: the device has its own."""
        return np.empty((0, 0), dtype=np.float32)

    def score(self, start: int, stop: int, held: Held, buffer: Vectors) -> Block:
        """Multiply these queries with a held part."""
        torch, part = self._torch, held.part
        queries = self._moved(self._queries, np.arange(start, stop))
        scores = torch.empty((stop - start, part.width), dtype=torch.float32, device=self._device)
        with _full_precision():
            self._multiply(queries, held.candidates, scores[:, : len(part.candidates)])
            self._multiply(queries, held.groups, scores[:, len(part.candidates) :])
        hidden = self.columns.hidden(part)
        if len(hidden):
            scores[:, torch.from_numpy(hidden).to(self._device)] = -torch.inf
        return TorchBlock(scores, self.columns, part)

    def _multiply(self, rows: Any, columns: Any, out: Any) -> None:
        """See `product.multiply`: one tiling, no tile of one row or column."""
        left = rows if len(rows) > 1 else rows.repeat(2, 1)
        for start in range(0, len(columns), tiles.TILE_COLUMNS):
            right = columns[start : start + tiles.TILE_COLUMNS]
            padded = right if len(right) > 1 else right.repeat(2, 1)
            out[:, start : start + len(right)] = (left @ padded.T)[: len(rows), : len(right)]
