"""The end of a pool's processes, whether they have something to do or not."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from xqr_bench.core.children import begin, end

IDLE = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from xqr_bench.core.children import begin, end
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), begin)
    pool.submit(exec, "import multiprocessing; globals()['held'] = multiprocessing.RLock()").result()
    end(pool)
"""


def test_a_process_with_nothing_to_do_gives_back_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(IDLE, encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_process_in_the_middle_of_something_is_not_waited_for() -> None:
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), begin)
    future = pool.submit(time.sleep, 600)
    while not future.running():
        time.sleep(0.01)
    begun = time.monotonic()
    end(pool)
    assert time.monotonic() - begun < 60
