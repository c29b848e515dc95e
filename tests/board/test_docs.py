"""docs/leaderboard.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xqr_bench.board.files import MAX_RECORD, max_ranks
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.published import load_published
from xqr_bench.board.submissions import MOVED_SHARE, RANK_SLACK, RANK_SLACK_SHARE, SCORE_DIFFERENCE

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "leaderboard.md").read_text(encoding="utf-8")


def test_the_published_example_loads(tmp_path: Path) -> None:
    found = re.search(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    path = tmp_path / "example.json"
    path.write_text(found.group(1), encoding="utf-8")
    assert load_published(path).rows[0].scores["multilingual"]["map"].value == 0.6817


@pytest.mark.parametrize("model", ["Leaderboard", "Row", "Figure", "PublishedRow"])
def test_every_key_is_described(model: str) -> None:
    described = TEXT.partition("## The leaderboard JSON")[2]
    schema = Leaderboard.model_json_schema()
    properties = {**schema["$defs"], "Leaderboard": schema}[model]["properties"]
    missing = [name for name in properties if not re.search(rf"\b{name}\b", described)]
    assert missing == []


def test_limits() -> None:
    assert (MAX_RECORD, max_ranks("xquad-r"), max_ranks("mlqa-r")) == (4 * 2**20, 3 * 2**20, 8 * 2**20)
    assert (MOVED_SHARE, RANK_SLACK, RANK_SLACK_SHARE, SCORE_DIFFERENCE) == (0.01, 1.0, 0.01, 0.001)
    for words in ("4 MiB; ranks: 3 MiB for XQuAD-R, else 8 MiB", "at most 1% of the", "more than 0.001"):
        assert words in " ".join(TEXT.split())
