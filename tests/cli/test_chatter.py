"""What libraries and encoders of users print never stands in what a command prints; their errors say where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import ROOT, run
from xqr_bench.cli.printing import console, only_ours
from xqr_bench.cli.progress import RunProgress

LOUD = """
import logging, os, sys, warnings
import numpy as np
print("at import")
os.system("echo of a child")
class Loud:
    def encode(self, texts):
        print("while encoding")
        os.write(1, b"of C code\\n")
        sys.__stdout__.write("past us\\n")
        sys.__stdout__.flush()
        logging.getLogger("loud").warning("\\x1b[1mlogged\\x1b[0m")
        warnings.warn("warned")
        print("half a line", end="")
        return np.array([[len(text), 1.0] for text in texts])
class Broken(Loud):
    def encode(self, texts):
        raise ValueError("not today")
"""
FEW = ("--limit", "2", "--languages", "de,en", "--no-relevance", "--no-cache")


def test_a_plugin_that_prints_breaks_no_json(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(LOUD)
    done = subprocess.run(
        [sys.executable, "-m", "xqr_bench", "evaluate", "loud.py:Loud", *FEW, "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [record["model"]["name"] for record in json.loads(done.stdout)] == ["Loud"]
    for line in ("at import", "of a child", "while encoding", "of C code", "past us", "logged", "half a line"):
        assert line in done.stderr.splitlines()
    assert "UserWarning: warned" in done.stderr


def test_in_this_process_too_and_again() -> None:
    Path("loud.py").write_text(LOUD.replace("warnings.warn", "str"))  # pytest makes an error of it
    for _ in range(2):
        done = run("evaluate", "loud.py:Loud", *FEW, "--json", "--overwrite")
        assert len(json.loads(done.out)) == 1
        assert "while encoding\n" in done.err


def test_the_whole_error_is_printed_where_it_is_asked_for() -> None:
    Path("loud.py").write_text(LOUD)
    number = LOUD.splitlines().index('        raise ValueError("not today")') + 1
    line = f"(loud.py, line {number})"
    done = run("evaluate", "loud.py:Broken", *FEW)
    assert (done.code, done.out) == (1, "")
    assert f"found: ValueError: not today {line}" in done.err
    assert "Traceback" not in done.err
    for arguments in (("--traceback", "evaluate", "loud.py:Broken"), ("evaluate", "loud.py:Broken", "--traceback")):
        whole = run(*arguments, *FEW)
        assert whole.code == 1
        assert 'raise ValueError("not today")' in whole.err
        assert f"found: ValueError: not today {line}" in whole.err


def test_lines_stand_above_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xqr_bench.cli.progress.can_draw", lambda: True)
    with only_ours():
        shared = console(err=True)
        assert console(err=True) is shared
        with RunProgress():
            assert shared.drawn
        assert not shared.drawn
