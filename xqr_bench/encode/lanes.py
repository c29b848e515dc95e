"""Batches side by side: each in a thread of its own, collected in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from xqr_bench.memory import memory_kept

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_LANES = 8


class Lanes:
    """How many batches are computed at a time.

    Args:
        number: 1: one after the other, in the caller's thread.
        enter: called at the beginning of each thread.
        around: what all of it happens in, entered and left in the caller's thread.
    """

    def __init__(
        self,
        number: int = 1,
        enter: Callable[[], None] | None = None,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.number = number
        self._enter = enter or _nothing
        self._around = around

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result]:
        """Yield the result of each item, in order; the first one is done alone.

        So whatever a model settles in its first call, such as how its tokenizer pads, is settled before two threads
        look at it. At most `number + 1` items are under way or done and not yet collected. When an item fails, those
        before it have been yielded, and its exception is raised once the items under way are done.
        """
        with self._around():
            if self.number == 1 or len(items) < 2:
                yield from map(work, items)
                return
            pool = ThreadPoolExecutor(self.number, "encode", self._enter)
            try:
                yield pool.submit(work, items[0]).result()
                under_way: deque[Future[Result]] = deque()
                for item in items[1:]:
                    under_way.append(pool.submit(work, item))
                    if len(under_way) > self.number:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)


def _nothing() -> None: ...


def cpu_lanes() -> Lanes:
    """Lanes that share torch's threads, as many as it has in this process, `MOST_LANES` at most.

    Two batches with one thread each are done sooner than two after each other with two threads: nobody waits at the
    end of each operation, and what a thread computes with stays in its core's cache (tests/benchmarks/bench_encode.py).
    """
    import torch

    threads = torch.get_num_threads()
    number = min(threads, MOST_LANES)

    def share() -> None:
        torch.set_num_threads(threads // number)  # of this thread, and of threads begun later: so put back at the end

    @contextmanager
    def around() -> Iterator[None]:
        try:
            with memory_kept():
                yield
        finally:
            torch.set_num_threads(threads)

    return Lanes(number, share, around)
