"""What a person sees while it runs: bars on a terminal, lines elsewhere; the time is the test's own."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tests.kit import make_task
from xqr_bench.cli.progress import RunProgress, TrainingProgress
from xqr_bench.core.observe import Observer
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.encode.batches import Batches
from xqr_bench.encode.bound import TextEncoder
from xqr_bench.encode.embed import Work
from xqr_bench.encode.texts import Group


class Clock:
    """Stands still until somebody moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_line_says_what_is_done_how_fast_and_what_is_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress(clock=clock) as progress, progress.phase("encoding", 1200):
        progress.tell()
        for _ in range(60):
            clock.now += 5.0
            progress.advance(10)
        progress.tell()
        clock.now += 30.0
        progress.tell()  # nothing new: less is left all the same
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.splitlines() == [
        "encoding: 0 of 1,200, 0:00:00 so far",
        "encoding: 600 of 1,200, 2.0 a second, 0:05:00 so far, 0:05:00 left",
        "encoding: 600 of 1,200, 2.0 a second, 0:05:30 so far, 0:04:30 left",
        "encoding   600 of 1,200 in 0:05:30",
    ]


def test_slow_steps_and_steps_without_an_end(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress(clock=clock) as progress:
        with progress.phase("training", 10):
            clock.now += 100.0
            progress.advance(1, "loss 0.5")
            progress.tell()
        progress.start("counting")
        progress.advance(3)
        progress.tell()
    assert capsys.readouterr().err.splitlines() == [
        "training: 1 of 10, 0.6 a minute, 0:01:40 so far, 0:15:00 left, loss 0.5",
        "training   1 of 10 in 0:01:40, loss 0.5",
        "counting: 3, 0:00:00 so far",
    ]


def test_only_the_last_minute_counts(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A training that goes on has its first half at once: it says nothing of the pace."""
    with RunProgress(clock=clock) as progress, progress.phase("training", 1000):
        progress.advance(500)
        for _ in range(90):
            clock.now += 1.0
            progress.advance(1)
        progress.tell()
    assert "590 of 1,000, 1.0 a second, 0:01:30 so far, 0:06:50 left" in capsys.readouterr().err


def test_slow_runs_that_end_side_by_side(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Two workers, ten minutes a run: what else they say meanwhile is no step."""
    with RunProgress(clock=clock) as progress, progress.phase("runs", 20):
        for _ in range(3):
            for _ in range(600):
                clock.now += 1.0
                progress.advance(0, "training")
            progress.advance(1)
            clock.now += 1.0
            progress.advance(1)
        progress.tell()
    assert "runs: 6 of 20, 0.2 a minute, 0:30:03 so far, 1:10:06 left" in capsys.readouterr().err


def test_quiet_is_quiet(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with RunProgress(quiet=True, clock=clock) as progress, progress.phase("encoding", 2):
        progress.advance(1)
        progress.note("a note")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("notebook", ["JPY_PARENT_PID", "COLAB_RELEASE_TAG", None])
def test_a_cell_of_a_notebook_gets_no_cursor_codes(
    notebook: str | None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JPY_PARENT_PID", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    if notebook is not None:
        monkeypatch.setenv(notebook, "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with RunProgress(clock=clock) as progress, progress.phase("encoding", 2):
        progress.advance(2)
    assert ("\x1b" in terminal.getvalue()) == (notebook is None)
    assert "encoding" in terminal.getvalue()


def test_forced_colours_in_a_pipe_move_no_cursor(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with RunProgress(clock=clock) as progress, progress.phase("encoding", 2):
        progress.advance(2)
    assert "\x1b" not in capsys.readouterr().err


class Slow:
    """Takes a second for each character."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self._clock.now += sum(map(len, texts))
        return np.ones((len(texts), 2))


def test_the_time_left_follows_the_lengths_of_the_texts(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """The longest come first: by number of texts, twice as much would seem left after the first half."""
    sizes = [100] * 20 + [50] * 20 + [5] * 160
    texts = [f"{n:04} ".ljust(size, "x") for n, size in enumerate(sizes)]
    task = make_task({"en": texts[:100]}, {"en": texts[100:]})
    begun, told, truth = clock.now, [], sum(sizes)

    class Told(RunProgress):
        def advance(self, steps: int, status: str = "") -> None:
            super().advance(steps, status)
            self.tell()
            told.append(clock.now - begun)

    with Told(clock=clock) as progress:
        embed_tasks(load_encoder(Slow(clock), EncoderOptions(batch_size=10)), [task], observe=progress)
    left = re.findall(r"(\d+):(\d\d):(\d\d) left", capsys.readouterr().err)
    seconds = [3600 * int(h) + 60 * int(m) + int(s) for h, m, s in left]
    assert len(seconds) == len(told) == 20
    assert seconds == pytest.approx([truth - at for at in told], abs=2)


def test_tokens_are_counted_within_a_group_and_characters_between() -> None:
    def batches(texts: list[str], tokens: list[int] | None) -> Batches:
        def measure(role: str, some: list[str]) -> np.ndarray | None:
            return None if tokens is None else np.array([tokens[texts.index(text)] for text in some])

        encoder = SimpleNamespace(measure=measure, limit=lambda role: 30)
        made = Batches(
            cast("TextEncoder", cast("Any", encoder)), Group("query", texts, ()), allow_zero=False, observe=Observer()
        )
        made.measure(np.arange(len(texts)))
        return made

    first, second = batches(["a" * 60, "b" * 40], [99, 10]), batches(["c" * 75, "d" * 25], None)
    work = Work([first.group, second.group])
    # 100 characters each; of the first group 30 tokens (cut off there) and 10; of the second 75 and 25 characters
    assert work.left_after(np.array([0]), first) == pytest.approx(125 / 200)
    assert work.left_after(np.array([1]), first) == pytest.approx(100 / 200)
    assert work.left_after(np.array([0]), second) == pytest.approx(25 / 200)
    assert work.left_after(np.array([1]), second) == 0.0
