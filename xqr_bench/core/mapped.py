"""Arrays that are larger than memory should be: in a file, mapped, and read a part at a time."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 8192
"""Rows of a part."""

_SCATTERED = 512
"""Rows that are read together where they lie apart: the system maps 64 KiB around each."""

Value = TypeVar("Value", bound=np.generic)


class Room:
    """Where vectors go: into memory up to a budget, all arrays together, and beyond it into mapped temporary files.

    A file has no name (on Windows: is removed when it is closed), so that nothing is left of it however a process ends.

    Args:
        memory: bytes; None: all stay in memory.
        folder: of the files; None, or one that cannot be written: the system's folder for temporary files.
    """

    def __init__(self, memory: int | None = None, folder: Path | None = None) -> None:
        self._left = memory
        self._folder = folder

    def fits(self, size: int) -> bool:
        """Whether an array of so many bytes would be in memory."""
        return self._left is None or size <= self._left

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A new array of zeros, float32, C-contiguous.

        Raises:
            OSError: its file does not fit in the folder.
        """
        size = 4 * prod(shape)
        if not size or self.fits(size):
            self._left = None if self._left is None else self._left - size
            return np.zeros(shape, dtype=np.float32)
        folder = self._folder if self._folder is not None and os.access(self._folder, os.W_OK) else None
        free = shutil.disk_usage(folder or tempfile.gettempdir()).free
        if size > free:
            raise OSError(f"{size / 2**30:.1f} GiB for a temporary file; {free / 2**30:.1f} are free")
        with tempfile.TemporaryFile(dir=folder) as file:  # the map stays
            if hasattr(os, "posix_fallocate"):  # a full disk is an error here, not a crash at the first write
                os.posix_fallocate(file.fileno(), 0, size)
            return np.asarray(np.memmap(file, dtype=np.float32, mode="w+", shape=shape))


def in_parts(array: NDArray[Value], rows: int = AT_ONCE) -> Iterator[tuple[int, NDArray[Value]]]:
    """Yield an array in parts: the first row of each, and the part. Mapped memory is released behind each."""
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]
        release(array)


def release(array: NDArray[Any]) -> None:
    """Give back the memory that a mapped array takes, which is read again where it is needed; else do nothing.

    What was written stays: it is the file's. An array of another kind, and a map whose changes are not the file's
    (numpy's mode "c"), is left as it is.
    """
    base = _map(array)
    if base is not None and base.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        file: Any = base._mmap
        file.madvise(mmap.MADV_DONTNEED)


def read(array: NDArray[Value]) -> NDArray[Value]:
    """An array in memory: a copy of one that is mapped, else itself."""
    if _map(array) is None:
        return array
    copy: NDArray[Value] = np.empty(array.shape, dtype=array.dtype)
    for start, part in in_parts(array):
        copy[start : start + len(part)] = part
    return copy


def taken(array: NDArray[Value], rows: NDArray[np.int64]) -> NDArray[Value]:
    """These rows of an array, copied; of one that is mapped a few at a time, since a page brings others with it."""
    if _map(array) is None:
        return array[rows]
    copy: NDArray[Value] = np.empty((len(rows), *array.shape[1:]), dtype=array.dtype)
    for start, some in in_parts(rows, _SCATTERED):
        copy[start : start + len(some)] = array[some]
        release(array)
    return copy


def _map(array: NDArray[Any]) -> Any:
    """The map that an array looks into; None: it is none."""
    base: Any = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return base if getattr(base, "_mmap", None) is not None else None
