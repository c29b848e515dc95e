"""The counting of `counting.py` with torch on a GPU: scores are made and counted there, and only counts come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

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


class TorchBlock(Block):
    """A block whose scores are on a device of torch, and are counted there; `scores` brings them here."""

    def __init__(self, on_device: Any, columns: Columns, part: Part) -> None:
        import torch

        self._torch, self._scores = torch, on_device
        self.columns, self.part = columns, part

    @cached_property
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

    def _languages(self) -> Iterator[tuple[int, Any, Any, Any]]:
        """Each language with the scores of its candidates, those of its groups, and how many candidates these have."""
        edges, pairs = self.columns.languages_in(self.part), self.columns.pairs_in(self.part)
        for m, (low, high) in enumerate(zip(pairs.starts, pairs.stops, strict=True)):
            of_groups = self._scores[:, self._moved(pairs.columns[low:high])]
            yield m, self._scores[:, int(edges[m]) : int(edges[m + 1])], of_groups, self._moved(pairs.sizes[low:high])

    def count(self, offsets: IntArray, thresholds: Vectors, gt: Numbers, eq: Numbers) -> None:
        """See `Block.count`."""
        torch = self._torch
        lengths = np.diff(offsets)
        row_of = np.repeat(np.arange(len(lengths)), lengths)
        slot = np.arange(len(row_of)) - np.repeat(offsets[:-1], lengths)
        # a row a query, a column a relevant; inf, which nothing is above or equal to, where a query has fewer
        padded = np.full((len(lengths), max(1, int(lengths.max(initial=0)))), np.inf, dtype=np.float32)
        padded[row_of, slot] = thresholds
        limits = self._moved(padded)
        counts = torch.zeros((2, *padded.shape, gt.shape[1]), dtype=torch.int32, device=limits.device)
        for m, scores, of_groups, sizes in self._languages():
            # sorted once, however many relevants there are: a comparison with each is thousands of small kernels
            for part, weights in ((scores, None), (of_groups, sizes)):
                if part.shape[1]:
                    ordered, order = part.sort(dim=1)
                    low, high = (torch.searchsorted(ordered, limits, right=right) for right in (False, True))
                    most: Any = part.shape[1]
                    if weights is not None:
                        reached = torch.nn.functional.pad(weights[order].cumsum(1), (1, 0))
                        low, high, most = reached.gather(1, low), reached.gather(1, high), reached[:, -1:]
                    counts[0, :, :, m] += most - high
                    counts[1, :, :, m] += high - low
        above, same = counts[:, row_of, slot].cpu().numpy()
        gt += above
        eq += same

    def top(self, best: Vectors, number: Numbers) -> None:
        """See `Block.top`."""
        torch = self._torch
        highest, counted = self._moved(best), self._moved(number)
        for m, scores, of_groups, sizes in self._languages():
            before = highest[:, m : m + 1].clone()
            most = torch.cat(
                [before, *(part.amax(1, keepdim=True) for part in (scores, of_groups) if part.shape[1])], 1
            ).amax(1, keepdim=True)
            counted[:, m] = torch.where(before == most, counted[:, m : m + 1], 0).sum(1) + (scores == most).sum(1)
            counted[:, m] += torch.where(of_groups == most, sizes, 0).sum(1)
            highest[:, m] = most[:, 0]
        best[:], number[:] = highest.cpu().numpy(), counted.cpu().numpy()

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
            # the vectors, a block of scores and what sorting takes (values, places, sums), in half of what is free
            fitting = free // 2 // (4 * self._candidates.shape[1] + 32 * tiles.TILE_ROWS)
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
