"""Processes that this one begins and ends: none of them outlives it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor


def begin() -> None:
    """In a new process: Ctrl-C is for the one that began it, and when that one is killed this one ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def end(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool, in the middle of what they do, and wait until they are gone.

    Those that have nothing to do end by themselves, and give back what they hold, such as the semaphores of progress
    bars, of which Python warns otherwise.
    """
    with pool._shutdown_lock:  # a thread that is submitting has begun its process, or has not submitted
        if pool._pending_work_items:
            for process in list((pool._processes or {}).values()):
                process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)
