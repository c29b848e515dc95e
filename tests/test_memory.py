"""Freed memory is kept inside, and given back at the end; in a process whose heap nothing else has filled."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, os
from contextlib import ExitStack
from xqr_bench.core.memory import memory_kept

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def fill_and_free():
    blocks = [bytearray(b"x" * 4_000_000) for _ in range(20)]
    del blocks

seen = []
with ExitStack() as outermost:
    outermost.enter_context(memory_kept())
    seen.append(resident())
    with ExitStack() as inner:
        for _ in range(DEEPER):
            inner.enter_context(memory_kept())
        fill_and_free()
        seen.append(resident())
    seen.append(resident())
seen.append(resident())
print(json.dumps([size - seen[0] for size in seen]))
"""


@pytest.mark.parametrize("deeper", [0, 1])
def test_memory_is_kept_until_the_outermost_ends(deeper: int) -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("not glibc")
    program = PROGRAM.replace("DEEPER", str(deeper))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    _, inside, after_the_inner, after = json.loads(done.stdout)
    assert inside > 50_000_000
    assert after_the_inner > 50_000_000
    assert after < 20_000_000
