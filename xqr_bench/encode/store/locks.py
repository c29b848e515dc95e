"""One process at a time in the folder of an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(shelves: Path, name: str, *, wait: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold the lock of an encoder's folder; the system releases it when a process dies.

    Args:
        shelves: the folder of all encoders; locks stand beside the folders, so that these can be removed.
        name: of the encoder's folder.
        wait: called once before waiting for another process; None: do not wait.

    Yields:
        whether the lock is held.

    Raises:
        OSError, NotImplementedError: the file system cannot lock, or the lock file cannot be made.
    """
    from filelock import FileLock, Timeout

    folder = shelves / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if wait is None:
            yield False
            return
        wait()
        lock.acquire(poll_interval=0.2)
    try:
        yield True
    finally:
        lock.release()
