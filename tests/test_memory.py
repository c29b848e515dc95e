"""Freed memory is kept inside, and given back at the end."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path

import pytest

from xqr_bench.memory import collector_paused, memory_kept


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fill_and_free() -> None:
    blocks = [bytearray(b"x" * 4_000_000) for _ in range(20)]
    del blocks


@pytest.fixture(autouse=True)
def glibc() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("not glibc")


def test_memory_is_given_back() -> None:
    """What was freed inside is the system's again at the end, where the C library can be told so."""
    with memory_kept():
        before = resident()
        fill_and_free()
        kept = resident()
    assert kept - before > 50_000_000
    assert resident() - before < 20_000_000


def test_memory_is_kept_until_the_outermost_ends() -> None:
    with memory_kept():
        before = resident()
        with memory_kept():
            fill_and_free()
        assert resident() - before > 50_000_000
    assert resident() - before < 20_000_000


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was_after_a_pause(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with collector_paused():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
