"""The house: the contracts of pyproject.toml hold, and what is loaded only when it is asked for stays out till then."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "pyproject.toml"


def test_imports_go_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_imports(str(CONTRACTS), no_cache=True) == 0, capsys.readouterr().out


def test_a_study_is_loaded_when_a_command_of_it_runs() -> None:
    code = (
        "import sys, xqr_bench.cli.leaderboard, xqr_bench.cli.report, xqr_bench.cli.sweep\n"
        "print([name for name in sys.modules if name.startswith('xqr_bench.studies')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_study_uses_what_is_public() -> None:
    section = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").split("## What is public")[1].split("\n## ")[0]
    public = {"xqr_bench", *re.findall(r"`(xqr_bench\.[a-z_.]+)`", section)}
    imported: set[tuple[str, str]] = set()
    for path in (ROOT / "xqr_bench" / "studies").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {(alias.name, "") for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported |= {(node.module or "", alias.name) for alias in node.names}
    own = ("xqr_bench.studies", "xqr_bench.core")  # all of the core is public
    used = {one for one in imported if one[0].partition(".")[0] == "xqr_bench" and not one[0].startswith(own)}
    assert {module for module, _ in used} <= public
    for module, name in sorted(used):
        named = getattr(import_module(module), "__all__", None)
        assert (not name.startswith("_")) if named is None else (name in named), f"{module}: {name} is not public"
