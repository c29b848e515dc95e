"""The documentation as a site: it builds strictly, with no dead link, and no page loads anything from elsewhere."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import xqr_bench
from tests.kit import ROOT, page_text

CONFIG = ROOT / ".mkdocs.yml"
pytestmark = pytest.mark.skipif(not CONFIG.is_file(), reason=".mkdocs.yml is not beside an installed package")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as a strict build builds it: a page outside the navigation and a dead link are errors."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(CONFIG), "-d", str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert {path.with_name("index") if path.name == "README" else path for path in pages} <= built


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?https?:[^>]*>|<link[^>]*stylesheet[^>]*https?:[^>]*>"""
    )
    for page in site.rglob("*.html"):
        assert loaded.findall(page.read_text(encoding="utf-8")) == [], page.name


def test_the_reference_is_of_the_code(site: Path) -> None:
    commands = (site / "commands.html").read_text(encoding="utf-8")
    assert all(option in commands for option in ("--query-prompt", "--resamples", "leaderboard build"))
    python = (site / "api.html").read_text(encoding="utf-8")
    listed = re.findall(r"^::: xqr_bench\.(\w+)$", page_text("api.md"), re.MULTILINE)
    assert sorted(listed) == sorted(set(xqr_bench.__all__) - {"__version__"})
    assert [name for name in listed if f'id="xqr_bench.{name}"' not in python] == []


def test_the_pictures_are_those_of_their_program() -> None:
    drawn = runpy.run_path(str(ROOT / "docs" / "images" / "draw.py"))
    for name in ("pools", "ties", "interval", "bias"):
        assert (ROOT / "docs" / "images" / f"concept-{name}.svg").read_text(encoding="utf-8") == drawn[name]()
