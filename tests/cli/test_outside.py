"""What stops a command from outside: Ctrl-C, a full disk, a pipe that is closed; and terminals with few characters."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from tests.kit import PARTIAL, ROOT, Done, contents, edit, every_kill, ran, run, words
from xqr_bench.cli.main import CLOSED_PIPE, main
from xqr_bench.measure.scored import scored

SMALL = ("--languages", "de,en", "--limit", "2", "--metrics", "map", "--no-relevance")


def run_into(stream: io.TextIOBase, *arguments: str) -> int:
    """The exit code of a command whose standard output goes there."""
    with patch.object(sys, "stdout", stream), patch.object(sys, "argv", ["xqr-bench", *arguments]):
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
    raise AssertionError("main does not return")


def printed(encoding: str, *arguments: str) -> str:
    """What a command prints on a terminal of this encoding."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    assert run_into(stream, *arguments) == 0
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_with_few_characters(encoding: str) -> None:
    asked = ("evaluate", "char-ngrams", *SMALL, "--name", "\u6a21\u578b \u00e9")
    table = printed(encoding, *asked)
    assert ("???? \u00e9" if encoding == "latin-1" else "???? ?") in table
    assert "record: results/\\u6a21\\u578b_" in table
    text = printed(encoding, *asked, "--json")
    assert text.isascii()
    assert json.loads(text)[0]["model"]["name"] == "\u6a21\u578b \u00e9"
    assert text.replace("\\u6a21\\u578b \\u00e9", "\u6a21\u578b \u00e9") in printed("utf-8", *asked, "--json")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_takes_anything(closed: str) -> None:
    """Nor does a file that is opened later get its number."""
    command = f"{sys.executable} -m xqr_bench evaluate char-ngrams {' '.join(SMALL)} {closed}"
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], env=here, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert run("recompute", "results/char-ngrams/mini.json").code == 0


def test_of_a_figure_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 20 cells shows the figures that a wide one shows."""
    ran("evaluate", "char-ngrams", *SMALL, "--quiet")
    figures = []
    for width in ("20", "200"):
        monkeypatch.setenv("COLUMNS", width)
        figures.append(set(re.findall(r"\.\d+", ran("evaluate", "char-ngrams", *SMALL).out)))
    assert figures[0] == figures[1]


def test_signs_that_a_terminal_lacks_stay_apart() -> None:
    """As wide as those they stand for, in the tables and in what is said below them."""
    asked = ("evaluate", "char-ngrams", *SMALL)
    figures = re.findall(r"[\d.]+ [±‡][\d.]*‡?", printed("utf-8", *asked))
    plain = printed("ascii", *asked)
    assert {sign for figure in figures for sign in figure if sign in "±‡"} == {"±", "‡"}
    assert re.findall(r"[\d.]+ [~#][\d.]*#?", plain) == [figure.translate({177: "~", 8225: "#"}) for figure in figures]
    assert "~: half of the 95% interval" in plain
    assert "# fewer than 10 questions" in plain


@contextmanager
def closed_pipe() -> Iterator[io.TextIOBase]:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        yield stream


@pytest.mark.parametrize("arguments", [("tasks",), ("--help",), ("metrics",), ("encoders", "--json")])
def test_what_cannot_be_printed_is_one_line(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        assert run_into(stream, *arguments) == 1
    assert capsys.readouterr().err == "error: what is printed cannot be written: No space left on device\n"
    if arguments == ("--help",):  # click ends that itself, without a word
        return
    with closed_pipe() as stream:
        assert run_into(stream, *arguments) == CLOSED_PIPE
    assert capsys.readouterr().err == ""


def interrupted(target: str, *arguments: str) -> Done:
    """A command in which Ctrl-C comes where this is called."""
    with patch(target, side_effect=KeyboardInterrupt):
        return run(*arguments)


def test_ctrl_c_says_what_is_kept_and_how_to_go_on() -> None:
    asked = ("evaluate", "bm25", "--task", "mini", "--task", str(PARTIAL))
    effects = iter([scored, KeyboardInterrupt()])

    def second(*arguments: object, **more: object) -> object:
        effect = next(effects)
        if isinstance(effect, KeyboardInterrupt):
            raise effect
        return effect(*arguments, **more)

    with patch("xqr_bench.evaluation.evaluate.scored", second):
        done = run(*asked)
    assert done.code == 130
    assert words(done.err).endswith("stopped; kept are records: results/bm25/mini.json; the same command goes on")
    before = Path("results/bm25/mini.json").stat().st_mtime_ns
    ran(*asked)
    assert Path("results/bm25/mini.json").stat().st_mtime_ns == before
    assert Path("results/bm25/partial.json").is_file()


def test_ctrl_c_in_a_training_says_how_to_go_on() -> None:
    asked = ("train", "--data", "mini", "--updates", "2", "--batch-size", "4", "--output", "model", "--quiet")
    done = interrupted("xqr_bench.train.run.prepare", *asked)
    assert (done.code, done.err) == (130, "stopped; nothing was trained yet\n")
    done = interrupted("xqr_bench.train.run.run_stage", *asked)
    told = "stopped; model.unfinished is kept: the same command with --resume goes on from its last checkpoint\n"
    assert (done.code, done.err) == (130, told)
    assert ran(*asked, "--resume").out == "model\n"


def test_ctrl_c_in_a_sweep_says_how_to_go_on() -> None:
    asked = ("sweep", "--output", "study", "--condition", "demo", "--arm", "alpha-0", "--seeds", "0", "--quiet")
    done = interrupted("xqr_bench.studies.ratio.sweep.do_run", *asked, "--updates", "4", "--batch-size", "4")
    told = "stopped; runs that have their results in study are kept: the same command goes on\n"
    assert (done.code, done.err) == (130, told)


@pytest.mark.parametrize("target", ["xqr_bench.tasks.load_spec", "click.Group.parse_args"])
def test_ctrl_c_elsewhere(target: str) -> None:
    done = interrupted(target, "tasks", "mini")
    assert (done.code, done.err) == (130, "stopped; nothing half-written was left\n")


EARLY = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, *_):
        if name == NAME:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background is born deaf to it
sys.meta_path.insert(0, Interrupts())
from xqr_bench.__main__ import main
sys.argv = ["xqr-bench", "tasks"]
main()
"""


@pytest.mark.parametrize("name", ["xqr_bench.cli", "click"])
def test_ctrl_c_while_the_command_line_is_loaded(name: str) -> None:
    code = EARLY.replace("NAME", repr(name))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped; nothing was begun\n")


@pytest.mark.parametrize("again", [(), ("--overwrite",)])
def test_an_evaluation_that_is_killed_ends_in_the_same_bytes(again: tuple[str, ...]) -> None:
    """Killed at any renaming, and run again: the files of an undisturbed run, but for times."""
    place = Path("results/char-ngrams")

    def evaluated() -> dict[str, bytes]:
        ran("evaluate", "char-ngrams", *SMALL[:-1], "--quiet", *again)
        edit(place / "mini.json", lambda record: [record["provenance"].pop(name) for name in ("created", "seconds")])
        return contents(place)

    def begin() -> None:
        shutil.rmtree(place, ignore_errors=True)
        if again:
            ran("evaluate", "char-ngrams", "--languages", "de,th", "--limit", "3", "--quiet")

    begin()
    wanted = evaluated()
    for n in every_kill(place, begin, lambda: run("evaluate", "char-ngrams", *SMALL[:-1], "--quiet", *again)):
        if n % 3 == 0:
            assert evaluated() == wanted


@pytest.mark.slow
@pytest.mark.parametrize(("command", "kills"), [("evaluate", 30), ("train", 10), ("sweep", 12)])
def test_kills_end_in_the_same_bytes(command: str, kills: int) -> None:
    """Killed by the system at random moments, and started again until it ends."""
    small = ("--updates", "40", "--batch-size", "4")
    asked = {
        "evaluate": ("evaluate", "char-ngrams", "--task", "mini", "--task", str(PARTIAL), "--output", "FOLDER"),
        "train": ("train", "--data", "mini", *small, "--checkpoint-every", "8", "--output", "FOLDER", "--resume"),
        "sweep": ("sweep", "--output", "FOLDER", "--condition", "demo", "--arm", "alpha-0", "--seeds", "0-1", *small),
    }[command]

    def begun(folder: str) -> subprocess.Popen[bytes]:
        arguments = [folder if part == "FOLDER" else part for part in asked]
        return subprocess.Popen([sys.executable, "-m", "xqr_bench", *arguments, "--quiet"], stdout=subprocess.DEVNULL)

    def results(folder: str) -> dict[str, bytes]:
        return {name: text for name, text in contents(Path(folder)).items() if not name.endswith((".json", ".lock"))}

    started = time.monotonic()
    assert begun("whole").wait() == 0
    seconds = time.monotonic() - started
    moments = np.random.default_rng(0).uniform(0.3, 1.0, kills) * seconds
    for moment in moments:
        process = begun("killed")
        time.sleep(moment)
        process.kill()
        process.wait()
        if command == "train" and Path("killed").exists():
            break
    if not (command == "train" and Path("killed").exists()):
        assert begun("killed").wait() == 0
    assert results("killed") == results("whole")
