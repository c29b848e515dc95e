"""What stops a command from outside: Ctrl-C, a full disk, a pipe that is closed; and terminals with few characters."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.kit import PARTIAL, ROOT, Done, ran, run, words
from xqr_bench.cli.main import main
from xqr_bench.measure.certainty import attach_certainty

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
        assert run_into(stream, *arguments) == 1
    assert capsys.readouterr().err == "error: what is printed cannot be written: Broken pipe\n"


def interrupted(target: str, *arguments: str) -> Done:
    """A command in which Ctrl-C comes where this is called."""
    with patch(target, side_effect=KeyboardInterrupt):
        return run(*arguments)


def test_ctrl_c_says_what_is_kept_and_how_to_go_on() -> None:
    asked = ("evaluate", "bm25", "--task", "mini", "--task", str(PARTIAL))
    effects = iter([attach_certainty, KeyboardInterrupt()])

    def second(*arguments: object) -> object:
        effect = next(effects)
        if isinstance(effect, KeyboardInterrupt):
            raise effect
        return effect(*arguments)

    with patch("xqr_bench.evaluation.evaluate.attach_certainty", second):
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


def test_ctrl_c_elsewhere() -> None:
    done = interrupted("xqr_bench.tasks.load_spec", "tasks", "mini")
    assert (done.code, done.err) == (130, "stopped; nothing half-written was left\n")


EARLY = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, *_):
        if name == NAME:
            os.kill(os.getpid(), signal.SIGINT)

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
