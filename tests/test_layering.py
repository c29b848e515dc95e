"""The house: the contracts of pyproject.toml hold, and what is loaded only when it is asked for stays out till then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

CONTRACTS = Path(__file__).resolve().parent.parent / "pyproject.toml"


def test_imports_go_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_imports(str(CONTRACTS), no_cache=True) == 0, capsys.readouterr().out


def test_a_study_is_loaded_when_a_command_of_it_runs() -> None:
    code = (
        "import sys, xqr_bench.cli.leaderboard, xqr_bench.cli.report, xqr_bench.cli.sweep\n"
        "print([name for name in sys.modules if name.startswith('xqr_bench.studies')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
