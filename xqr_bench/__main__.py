"""`python -m xqr_bench` is `xqr-bench`: the first of it that runs, with next to nothing loaded."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # what the module `signal` wraps; that one loads others first
import gc
import os


def _stopped(number: int, frame: object) -> None:
    """Ctrl-C while the command line is loaded: nothing was begun, and an import that is interrupted is a riddle."""
    os.write(2, b"stopped; nothing was begun\n")
    os._exit(130)


def main() -> None:
    """Load the command line and run it."""
    handles = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # in the background it may be ignored
    if handles:
        signal.signal(signal.SIGINT, _stopped)
    gc.set_threshold(50_000)  # nearly all that is imported and read stays; to look for cycles in it takes time
    from xqr_bench.cli.main import main as run

    if handles:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
