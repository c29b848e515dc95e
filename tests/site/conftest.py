"""The board and its site, made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.site.boards import hostile_board, small_board
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.site import build_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.site.test_browser import Watched

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def board() -> Leaderboard:
    return small_board()


@pytest.fixture(scope="session")
def site(board: Leaderboard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    build_site(board, folder)
    return folder


@pytest.fixture(scope="session")
def hostile_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "site"
    build_site(hostile_board(), folder)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium: apt-get install chromium")
    api.expect.set_options(timeout=60_000)  # a busy machine is no fault
    # playwright makes a fresh user data folder and runs headless
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def watched(browser: Browser, site: Path) -> Iterator[Watched]:
    """A page of the site of the module, in which nothing may go wrong."""
    from tests.site.test_browser import Watched

    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(60_000)
    found = Watched(context.new_page(), site)
    yield found
    context.close()
    assert not found.wrong
