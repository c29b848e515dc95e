"""Every file that somebody else may have written, damaged in thousands of ways: success, or one error of ours.

No other exception, no figure that contradicts its ranks, and never two gigabytes more than before. By default some
2,000 inputs; ten times as many under `-m slow`.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS, use_tiny_board
from xqr_bench.core.errors import XqrBenchError

INPUTS = 2_000
MEMORY = 2 * 2**30
_EACH = sum(target.share for target in TARGETS.values())


@pytest.fixture(autouse=True)
def tiny_board(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_board(monkeypatch)


@contextmanager
def bounded() -> Iterator[None]:
    """No more memory than there is now and `MEMORY`."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _try(name: str, inputs: int, folder: Path) -> None:
    target = TARGETS[name]
    target.write(folder)
    whole = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files = sorted({path for pattern in target.files for path in folder.rglob(pattern) if path in whole})
    target.read(folder, files[0])  # also compiles what is compiled, before memory is counted

    @settings(
        max_examples=max(inputs * target.share // _EACH, 1),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def damaged(data: st.DataObject) -> None:
        _restore(folder, whole)
        path = data.draw(st.sampled_from(files))
        path.write_bytes(mutated(data.draw, path.suffix, whole[path]))
        if target.repair is not None and data.draw(st.integers(0, 4)):
            with suppress(Exception):  # what cannot be read has no digest to correct
                target.repair(folder)
        with bounded(), suppress(XqrBenchError):
            target.read(folder, path)

    damaged()


def _restore(folder: Path, whole: dict[Path, bytes]) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path not in whole:
            path.unlink()
    for path, content in whole.items():
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="reads /proc")


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files(name: str, tmp_path: Path) -> None:
    _try(name, INPUTS, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_damaged_files(name: str, tmp_path: Path) -> None:
    _try(name, 10 * INPUTS, tmp_path)
