"""Several devices in one machine: batches of one encoding, each encoded by whichever process is free.

`--device cuda:0,cuda:1`. The first device is this process's; each other one has a process of its own, begun with the
first batch that it is given. Batches are planned, checked and kept as they are with one device, so the vectors and
what the embedding store holds are the same.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from typing import Any

from xqr_bench.core.children import begin, end
from xqr_bench.core.errors import EncoderError, UsageError, XqrBenchError, located
from xqr_bench.core.memory import usable_cores
from xqr_bench.encode.bound import Lanes
from xqr_bench.encode.options import Role


def devices_of(asked: str | None) -> tuple[str | None, ...]:
    """The devices of `--device`, one or several between commas.

    Raises:
        UsageError: one is empty, a GPU is there twice, or they are of different kinds.
    """
    if asked is None or "," not in asked:
        return (asked,)
    devices = tuple(part.strip() for part in asked.split(","))
    kinds = {device.partition(":")[0] for device in devices}
    numbered = [f"{device}:0" if device == "cuda" else device for device in devices]
    if not all(devices) or len(kinds) > 1:
        raise UsageError(
            f"--device {asked} does not name several devices of one kind",
            remedy="write them as cuda:0,cuda:1: on devices of another kind the vectors would have other last bits",
        )
    if kinds != {"cpu"} and len(set(numbered)) < len(numbered):
        raise UsageError(f"--device {asked} names a device twice", remedy="name each once")
    return devices


class Devices:
    """Encodes batches on several devices.

    Args:
        devices: names, all of one kind; the first one's model is here.
        here: encodes a batch on the first device.
        load: the name of a device -> the encoder there, which has `call`; can be pickled.
    """

    def __init__(
        self, devices: Sequence[str], here: Callable[[Role, list[str]], Any], load: Callable[[str], Any]
    ) -> None:
        self._devices, self._here, self._load = devices, here, load
        self._free: SimpleQueue[int] = SimpleQueue()
        for number in range(len(devices)):
            self._free.put(number)
        self._pools: dict[int, ProcessPoolExecutor] = {}
        self._lock = threading.Lock()
        # on processors they share the threads; several batches at a time in each would share them again
        self._threads = max(1, usable_cores() // len(devices)) if devices[0] == "cpu" else None
        self.lanes = Lanes(len(devices), self._share, stop=self.stop)

    def _share(self) -> None:
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)

    def call(self, role: Role, texts: list[str]) -> Any:
        """Encode a batch where nothing else is encoded; threads may call it together.

        Raises:
            EncoderError: the process of the device ended, or could not load the model.
            RuntimeError: the model failed there.
        """
        number = self._free.get()
        try:
            return self._here(role, texts) if not number else self._there(number, role, texts)
        finally:
            self._free.put(number)

    def _there(self, number: int, role: Role, texts: list[str]) -> Any:
        device = self._devices[number]
        try:
            vectors, failure = self._pool(number).submit(_encode, role, texts).result()
        except BrokenProcessPool as error:
            raise EncoderError(
                f"the process that encoded on {device} ended",
                found="it was killed, or crashed",
                remedy="look whether memory ran out; in a program of your own, what starts the run must stand behind "
                'if __name__ == "__main__"',
            ) from error
        if failure:
            raise RuntimeError(f"on {device}: {failure}")
        return vectors

    def _pool(self, number: int) -> ProcessPoolExecutor:
        with self._lock:
            pool = self._pools.get(number)
        if pool is None:
            pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), begin)
            with self._lock:
                self._pools[number] = pool
            if (failure := pool.submit(_begin, self._load, self._devices[number], self._threads).result()) is not None:
                problem, found, remedy = failure
                raise EncoderError(problem, found=found, remedy=remedy)
        return pool

    def stop(self) -> None:
        """End the other processes, whatever they do; the next call begins new ones."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            end(pool)


# What runs in the other processes.

_encoder: Any = None


def _begin(load: Callable[[str], Any], device: str, threads: int | None) -> tuple[str, str | None, str | None] | None:
    """Load the model; returns what was wrong, in the parts of an error."""
    global _encoder
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    try:
        _encoder = load(device)
    except XqrBenchError as error:
        return error.problem, error.found, error.remedy
    except Exception as error:  # whatever a library raises
        return f"the model cannot be loaded on {device}", located(error), None
    return None


def _encode(role: Role, texts: list[str]) -> tuple[Any, str]:
    """Vectors as numpy, and why there are none."""
    from xqr_bench.encode.batches import free_cache, out_of_memory
    from xqr_bench.encode.checks import as_numpy

    try:
        return as_numpy(_encoder.call(role, texts)), ""
    except Exception as error:  # whatever a model raises
        failure, exhausted = located(error), out_of_memory(error)
    if exhausted:  # outside of the handler: what the failed call held is free now
        free_cache()
        failure = f"out of memory: {failure}"
    return None, failure
