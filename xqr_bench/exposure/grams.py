"""Runs of units that stand both in a known set and in a stream of texts, found by hashes and then compared.

The known texts (an evaluation task) are few, so every run of 8 words of them is kept: an exact index. MinHash would
estimate the same overlap for sets too large to keep; there is no need to estimate here.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from xqr_bench.exposure.units import WORD, units, weight
from xqr_bench.types import IntArray

GRAM = 8 * WORD
"""Weight of a gram: 8 words."""
BREAK = 0
"""Stands for every unit that no known text has, and between texts."""
_Words = NDArray[np.uint64]


class Vocabulary:
    """Numbers of units, 1 .. V; whatever is not in it is BREAK."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers: dict[str, int] = {}
        for text in texts:
            for unit in units(text):
                self._numbers.setdefault(unit, len(self._numbers) + 1)
        self._weights = np.array([WORD, *map(weight, self._numbers)], dtype=np.int64)

    def numbers(self, text: str) -> list[int]:
        """The units of a text by number."""
        known = self._numbers
        return [known.get(unit, BREAK) for unit in units(text)]

    def weights(self, numbers: IntArray) -> IntArray:
        """Weight of each unit, int64 `[units]`; that of an unknown one is a word's."""
        return self._weights[numbers]


class Stream:
    """Units of one or more texts in a row, with the hash of any run of them.

    The hash of the run [i, j) is the sum of value(unit_k) B^(k-i) modulo 2^64, from prefix sums (Rabin & Karp 1987);
    who finds two hashes equal compares the runs themselves.

    Args:
        numbers: int64 `[units]`, with a BREAK between texts.
        weights: of each unit.
    """

    _BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64

    def __init__(self, numbers: IntArray, weights: IntArray) -> None:
        self.numbers = numbers
        n = len(numbers)
        self.mass = np.append(0, np.cumsum(weights))
        self._breaks = np.append(0, np.cumsum(numbers == BREAK))
        powers, self._inverse = (_powers(base, n) for base in (self._BASE, pow(self._BASE, -1, 2**64)))
        self._sums = np.append(np.uint64(0), np.cumsum(_scatter(numbers) * powers))

    def grams(self) -> tuple[IntArray, IntArray]:
        """Start and end of the shortest run of at least GRAM weight from each unit on, where none is unknown."""
        starts = np.arange(len(self.numbers))
        ends = np.searchsorted(self.mass, self.mass[:-1] + GRAM, side="left")
        return self._unbroken(starts, ends)

    def runs(self, length: int) -> tuple[IntArray, IntArray]:
        """Start and end of all runs of so many units, none of them unknown."""
        starts = np.arange(max(len(self.numbers) - length + 1, 0))
        return self._unbroken(starts, starts + length)

    def _unbroken(self, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
        inside = ends <= len(self.numbers)
        starts, ends = starts[inside], ends[inside]
        whole = self._breaks[ends] == self._breaks[starts]
        return starts[whole], ends[whole]

    def hashes(self, starts: IntArray, ends: IntArray) -> _Words:
        """Hash of each run, uint64 `[runs]`."""
        found: _Words = (self._sums[ends] - self._sums[starts]) * self._inverse[starts]
        return found


class RunSet:
    """Known runs of a stream; finds those that stand in another.

    Args:
        stream: where they stand.
        starts, ends: int64 `[runs]`; equal runs are one.

    Attributes:
        number: which of the distinct runs each given one is, int64 `[runs]`.
    """

    def __init__(self, stream: Stream, starts: IntArray, ends: IntArray) -> None:
        self._stream = stream
        self._hashes, first, number = np.unique(stream.hashes(starts, ends), return_index=True, return_inverse=True)
        self._starts, self._lengths = starts[first], (ends - starts)[first]
        self.number: IntArray = number.astype(np.int64)
        self.lengths: list[int] = np.unique(self._lengths).tolist()

    def among(self, stream: Stream, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
        """Those of the stream's runs that are known: which of the given, and the number of the known run."""
        none = np.zeros(0, dtype=np.int64)
        if not len(self._hashes) or not len(starts):
            return none, none
        hashes = stream.hashes(starts, ends)
        place = np.searchsorted(self._hashes, hashes).clip(max=len(self._hashes) - 1)
        likely = np.flatnonzero((self._hashes[place] == hashes) & (self._lengths[place] == ends - starts))
        same = self._same(stream, starts[likely], place[likely])
        return likely[same], place[likely][same]

    def _same(self, stream: Stream, starts: IntArray, known: IntArray) -> NDArray[np.bool_]:
        """Whether the runs themselves are equal, and not only their hashes."""
        same = np.ones(len(starts), dtype=bool)
        lengths = self._lengths[known]
        for k in range(int(lengths.max(initial=0))):
            inside = np.flatnonzero(lengths > k)
            mine = self._stream.numbers[self._starts[known[inside]] + k]
            same[inside] &= stream.numbers[starts[inside] + k] == mine
        return same


def _powers(base: int, n: int) -> _Words:
    """1, base, base^2 ... modulo 2^64, uint64 `[n]`."""
    factors = np.full(n, base, dtype=np.uint64)
    if n:
        factors[0] = 1
    return np.multiply.accumulate(factors)


def _scatter(numbers: IntArray) -> _Words:
    """Values that differ in all bits for numbers that differ in one (the finaliser of splitmix64)."""
    x = numbers.astype(np.uint64) + np.uint64(1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))
