"""Where scores are counted: on the processor, or with torch on a GPU, behind the same interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import xqr_bench.rank.product as tiles
from xqr_bench.core.errors import RanksError, UsageError
from xqr_bench.core.types import IntArray
from xqr_bench.rank.counting import Columns, Counter, Held, Panel, ProcessorCounter
from xqr_bench.rank.product import CHUNK, Vectors, prepared

PROCESSOR = "cpu"
AUTO = "auto"
_DRIVER = Path("/proc/driver/nvidia/version")


def counting_device(asked: str = AUTO, encoder_device: str | None = None) -> str:
    """The device to count on.

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
            return _numbered(encoder_device) if encoder_device.startswith("cuda") else PROCESSOR
        if not _DRIVER.exists() or find_spec("torch") is None:  # torch is loaded only where it can matter
            return PROCESSOR
        import torch

        return _numbered("cuda") if torch.cuda.is_available() else PROCESSOR
    name, _, number = asked.partition(":")
    if name != "cuda" or (number and not number.isdecimal()):
        raise UsageError(f"scores cannot be counted on {asked!r}", remedy="give auto, cpu, cuda or cuda:1")
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= there:
        raise UsageError(
            f"there is no device {asked} to count on", found=f"{there} CUDA devices", remedy="give cpu, or auto"
        )
    return _numbered(asked)


def _numbered(device: str) -> str:
    return device if ":" in device else f"{device}:0"


def device_name(device: str) -> str:
    """A device in words, for a record: "cpu", "cuda:0 (NVIDIA H100)"."""
    if device == PROCESSOR:
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"


def counter_on(
    device: str, edges: IntArray, queries: Vectors, candidates: Vectors, *, unit: bool, memory: int
) -> Counter:
    """What counts on a device; arguments as for `ProcessorCounter`."""
    if device == PROCESSOR:
        return ProcessorCounter(edges, queries, candidates, unit=unit, memory=memory)
    return TorchCounter(edges, queries, candidates, unit=unit, memory=memory, device=device)


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


class TorchCounter:
    """Counts with torch: the same tiling and the same rule for equal vectors, thresholds from the same product.

    The last bits of a score are those of the device's own matrix product.

    Args:
        edges, queries, candidates, unit: as for `ProcessorCounter`.
        memory: bytes for a block of scores, on the device and where it is brought back.
        device: of torch; "cuda:0", or any other in tests.
    """

    workers = 1

    def __init__(
        self, edges: IntArray, queries: Vectors, candidates: Vectors, *, unit: bool, memory: int, device: str
    ) -> None:
        import torch

        self._torch, self._device, self._unit = torch, torch.device(device), unit
        self._queries, self._candidates = queries, candidates
        self.columns = Columns(edges, lambda start, stop: self._prepared(candidates[start:stop]))
        self.panels = self.columns.panels(max(self._width(memory, candidates.shape[1]), tiles.TILE_COLUMNS))
        self._held: Held | None = None
        self._scores: Any = None

    def _width(self, memory: int, dimensions: int) -> int:
        width = memory // (4 * tiles.TILE_ROWS)
        if self._device.type == "cuda":
            free, _ = self._torch.cuda.mem_get_info(self._device)
            # the vectors, a block of scores and what comparisons need, in half of what is free
            held = free // 2 // (4 * dimensions + 16 * tiles.TILE_ROWS)
            if held < min(tiles.TILE_COLUMNS, self.columns.candidates):
                raise RanksError(
                    f"{self._device} has too little free memory to count on",
                    found=f"{free / 2**20:,.0f} MiB free",
                    remedy="count on the processor (--score-device cpu)",
                )
            width = min(width, held)
        return width

    def _prepared(self, vectors: Vectors) -> Vectors:
        return prepared(vectors, self._unit)

    def _moved(self, rows: int, take: Any) -> Any:
        """Rows brought to the device, some thousands at a time."""
        result = self._torch.empty((rows, self._candidates.shape[1]), dtype=self._torch.float32, device=self._device)
        for start in range(0, rows, CHUNK):
            part = self._prepared(take(start, min(start + CHUNK, rows)))
            result[start : start + len(part)] = self._torch.from_numpy(np.array(part, copy=not part.flags.writeable))
        return result

    def hold(self, panel: Panel) -> Held:
        """Bring a panel's vectors to the device."""
        first = self.columns.repeats.first[panel.group_start : panel.group_stop]
        vectors = self._candidates[panel.start : panel.stop]
        return Held(
            panel,
            self._moved(len(vectors), lambda start, stop: vectors[start:stop]),
            self._moved(len(first), lambda start, stop: self._candidates[first[start:stop]]),
        )

    def another(self) -> Counter:
        """There is one thread."""
        return self

    def score(self, start: int, stop: int, held: Held) -> None:
        """Multiply these queries with a held panel."""
        torch, panel = self._torch, held.panel
        self._held = held
        self._scores = None  # before the next block is allocated
        block = self._moved(stop - start, lambda low, high: self._queries[start + low : start + high])
        scores = torch.empty((stop - start, panel.width), dtype=torch.float32, device=self._device)
        with _full_precision():
            self._multiply(block, held.candidates, scores[:, : panel.candidates])
            self._multiply(block, held.groups, scores[:, panel.candidates :])
        hidden = self.columns.hidden(panel)
        if len(hidden):
            scores[:, torch.from_numpy(hidden).to(self._device)] = -torch.inf
        self._scores = scores

    def _multiply(self, rows: Any, columns: Any, out: Any) -> None:
        """See `product.multiply`: one tiling, no tile of one row or column."""
        left = rows if len(rows) > 1 else rows.repeat(2, 1)
        for start in range(0, len(columns), tiles.TILE_COLUMNS):
            right = columns[start : start + tiles.TILE_COLUMNS]
            padded = right if len(right) > 1 else right.repeat(2, 1)
            out[:, start : start + len(right)] = (left @ padded.T)[: len(rows), : len(right)]

    def at(self, rows: IntArray, places: IntArray) -> Vectors:
        """Scores at these rows and places."""
        torch = self._torch
        index = torch.from_numpy(rows).to(self._device), torch.from_numpy(places).to(self._device)
        found: Vectors = self._scores[index].cpu().numpy()
        return found

    def scores(self) -> Vectors:
        """The block at hand."""
        found: Vectors = self._scores.cpu().numpy()
        return found

    def count(self, offsets: IntArray, thresholds: Vectors, gt: NDArray[np.int32], eq: NDArray[np.int32]) -> None:
        """Add to gt and eq what the block at hand has above and at the thresholds."""
        torch, panel, columns = self._torch, self._panel(), self.columns
        lengths = np.diff(offsets)
        row_of = np.repeat(np.arange(len(lengths)), lengths)
        slot = np.arange(len(row_of)) - np.repeat(offsets[:-1], lengths)
        # a row a query, a column a relevant; NaN, which nothing is above or equal to, where a query has fewer
        padded = np.full((len(lengths), max(1, int(lengths.max(initial=0)))), np.nan, dtype=np.float32)
        padded[row_of, slot] = thresholds
        limits = torch.from_numpy(padded).to(self._device)
        found = torch.zeros((2, *padded.shape, gt.shape[1]), dtype=torch.int32, device=self._device)
        inside, groups = columns.languages_in(panel), self._scores[:, panel.candidates :]
        for m, (low, high) in enumerate(zip(*columns.pairs_in(panel), strict=True)):
            scores = self._scores[:, int(inside[m]) : int(inside[m + 1])]
            which = torch.from_numpy(columns.pair_groups[low:high] - panel.group_start).to(self._device)
            weights = torch.from_numpy(columns.pair_counts[low:high]).to(self._device)
            shared = groups[:, which]
            for r in range(padded.shape[1]):
                limit = limits[:, r : r + 1]
                for kind, compare in enumerate((torch.gt, torch.eq)):
                    found[kind, :, r, m] = compare(scores, limit).sum(dim=1)
                    if len(which):
                        found[kind, :, r, m] += torch.where(compare(shared, limit), weights, 0).sum(dim=1)
        above, same = found[:, row_of, slot].cpu().numpy()
        gt += above
        eq += same

    def top(self, best: Vectors, count: NDArray[np.int32]) -> None:
        """Raise best and count to what the block at hand has at the top of each language."""
        torch, panel, columns = self._torch, self._panel(), self.columns
        highest, held = (torch.from_numpy(part).to(self._device) for part in (best, count))
        inside, groups = columns.languages_in(panel), self._scores[:, panel.candidates :]
        for m, (low, high) in enumerate(zip(*columns.pairs_in(panel), strict=True)):
            scores = self._scores[:, int(inside[m]) : int(inside[m + 1])]
            which = torch.from_numpy(columns.pair_groups[low:high] - panel.group_start).to(self._device)
            weights = torch.from_numpy(columns.pair_counts[low:high]).to(self._device)
            shared, before = groups[:, which], highest[:, m : m + 1].clone()
            most = torch.cat([before, *(part.amax(1, keepdim=True) for part in (scores, shared) if part.shape[1])], 1)
            most = most.amax(1, keepdim=True)
            held[:, m] = torch.where(before == most, held[:, m : m + 1], 0).sum(1) + (scores == most).sum(1)
            held[:, m] += torch.where(shared == most, weights, 0).sum(1)
            highest[:, m] = most[:, 0]
        best[:], count[:] = highest.cpu().numpy(), held.cpu().numpy()

    def _panel(self) -> Panel:
        if self._held is None:
            raise TypeError("nothing was scored yet")
        return self._held.panel
