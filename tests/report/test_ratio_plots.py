"""Plots of the ratio study: which are drawn, their width, the same bytes."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.site.ratios import made_up
from xqr_bench.studies.ratio.plots import draw_ratio


def test_the_plots_of_a_condition(tmp_path: Path) -> None:
    condition = made_up().conditions[0]
    written = draw_ratio(condition, tmp_path / "a")
    names = {path.name for path in written}
    # one checkpoint only: no plot of checkpoints
    kinds = (
        "settings",
        "groups",
        "languages",
        "settings-difference",
        "groups-difference",
        "languages-difference",
        "arms",
    )
    assert names == {f"S1b-{kind}.{form}" for kind in kinds for form in ("png", "svg")}
    for path in draw_ratio(condition, tmp_path / "b"):
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()
    arms = (tmp_path / "a" / "S1b-arms.svg").read_text(encoding="utf-8")
    for text in ("mono MAP", "multi MAP", "S1b: arm minus alpha-0.5, 95% intervals (filled: told apart)"):
        assert arms.count(f"<!-- {text} -->") == 1
    for path in written:
        if path.suffix == ".png":  # 3.3 inches at 300 dots
            assert struct.unpack(">I", path.read_bytes()[16:20]) == (990,)


def test_what_cannot_be_drawn_is_left_out(tmp_path: Path) -> None:
    condition = made_up().conditions[0]
    bare = condition.model_copy(update={"views": [], "arms": []})
    assert draw_ratio(bare, tmp_path) == []
