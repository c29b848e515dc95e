"""The schema of the leaderboard JSON."""

from __future__ import annotations

from pathlib import Path

from xqr_bench.board.schema import schema_text

ROOT = Path(__file__).resolve().parents[2]


def test_the_shipped_schema_is_current() -> None:
    stored = (ROOT / "leaderboard" / "leaderboard.schema.json").read_text(encoding="utf-8")
    assert stored == schema_text(), "run: python -m xqr_bench.board.schema > leaderboard/leaderboard.schema.json"
