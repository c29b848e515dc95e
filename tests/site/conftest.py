"""The board and its site, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.site.boards import hostile_board, small_board
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.site import build_site


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
