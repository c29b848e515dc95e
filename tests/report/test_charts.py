"""Figures as papers need them: axes on the data, a scale for each setting, names and sizes of one's own."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.kit import BOARD, run
from xqr_bench.analysis.asked import Choice, Look
from xqr_bench.analysis.choice import TaskComparison
from xqr_bench.analysis.compare import compare
from xqr_bench.core.errors import UsageError
from xqr_bench.core.observe import Notice
from xqr_bench.report.canvas import WIDTH, drawing, headline, save
from xqr_bench.report.charts import BAR_COLOURS, MARGIN, PLAIN_BARS, draw_forest, draw_frontier
from xqr_bench.report.frontier import Point
from xqr_bench.report.plots import called

PATHS = [next(BOARD.glob(f"{model}/*/xquad-r.json")) for model in ("bm25", "char-ngrams")]


@pytest.fixture(scope="module")
def two() -> TaskComparison:
    (task,) = compare(PATHS, Choice(metrics=("own_language_first",)), resamples=200)
    return task


def texts(figure: Figure) -> list[str]:
    return [one.get_text() for one in figure.findobj(Text) if one.get_text()]


def test_each_setting_of_a_forest_has_its_scale(two: TaskComparison) -> None:
    (task,) = called([two], Look(labels=["BM25", "n-grams"]))
    figure = draw_forest([task])
    names = [f"difference in {name}\nn-grams minus BM25" for name in ("MAP", "own-language first")]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", *names]  # --title leaves them
    assert len({ax.get_xlim() for ax in figure.axes}) == 4
    for ax, one in zip(figure.axes, two.comparisons, strict=True):
        low, high = ax.get_xlim()
        assert one.interval is not None
        assert low <= min(0.0, one.interval.low) < max(0.0, one.interval.high) <= high
        assert (high - low) < 2 * max(abs(one.article_interval.low), abs(one.article_interval.high))
    assert "XQuAD-R" in texts(figure)
    assert not {"map", "own_language_first"} & set(" ".join(texts(figure)).split())


def test_the_axes_of_a_frontier_cover_the_points_and_no_more() -> None:
    points = [Point("a", 0.8, 0.5, 0.95, 0.1), Point("b", 0.7, 0.3, 0.9, 0.1), Point("c", 0.6, 0.4, 0.92, 0.1)]
    figure = draw_frontier(points, "t")
    ax, bar = figure.axes
    assert ax.get_xlim() == pytest.approx((0.9 - MARGIN * 0.05, 0.95 + MARGIN * 0.05))
    assert ax.get_ylim() == pytest.approx((0.3 - MARGIN * 0.2, 0.5 + MARGIN * 0.2))
    assert bar.get_ylim() == pytest.approx((0.6, 0.8))
    assert ax.get_xlabel() == "own-language first (.10 without preference)"  # too far away to be drawn
    near = draw_frontier([*points, Point("d", 0.5, 0.2, 0.12, 0.1)], "t").axes[0]
    assert near.get_xlim()[0] < 0.1
    assert "dotted" in near.get_xlabel()
    alone = draw_frontier(points[:1], "t").axes[0]
    assert alone.get_xlim()[0] < 0.95 < alone.get_xlim()[1]


def test_numbers_of_a_frontier_do_not_stand_on_each_other() -> None:
    points = [Point(str(n), 0.5, 0.5 + n / 200, 0.5 + n / 300, 0.1) for n in range(12)]
    figure = draw_frontier(points, "t")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 12
    for place, box in enumerate(boxes):
        assert not any(box.shrunk(0.7, 0.7).overlaps(other.shrunk(0.7, 0.7)) for other in boxes[place + 1 :])


def test_bars_are_told_apart_without_colour() -> None:
    greys = [sum(a * b for a, b in zip((0.299, 0.587, 0.114), to_rgb(colour), strict=True)) for colour in BAR_COLOURS]
    assert all(abs(a - b) > 0.1 for a, b in pairwise(greys[:PLAIN_BARS]))
    assert len(set(BAR_COLOURS)) == 8


def test_title_and_size(tmp_path: Path) -> None:
    def saved(look: Look, panels: int = 1) -> Figure:
        with drawing(2.0, panels) as (figure, axes):
            for ax in axes.flat:
                headline(figure, ax, "its own")
        save(figure, tmp_path / "a.png", look)
        return figure

    assert texts(saved(Look())).count("its own") == 1
    figure = saved(Look(title="Mine", size=(6.3, 3.0)))
    assert "Mine" in texts(figure)
    assert "its own" not in texts(figure)
    assert figure.get_size_inches().tolist() == [6.3, 3.0]
    assert "its own" not in texts(saved(Look(title="")))
    of_two = texts(saved(Look(title="Mine"), 2))
    assert (of_two.count("Mine"), of_two.count("its own")) == (1, 2)
    assert saved(Look(size=(5.0, None))).get_size_inches().tolist() == [5.0, 2.0]
    with pytest.warns(Notice, match="need a height of 2.0 inches"):
        saved(Look(size=(WIDTH, 1.0)))


def test_the_commands_take_names_and_sizes(tmp_path: Path) -> None:
    paths = [str(path) for path in PATHS]
    out = str(tmp_path / "a.svg")
    done = run("plot", *paths, "--kind", "languages", "--labels", "A,B", "--title", "", "--size", "5x2.5", "-o", out)
    assert done.code == 0, done.err
    assert 'width="360pt" height="180pt"' in (tmp_path / "a.svg").read_text(encoding="utf-8")
    for given, said in (
        (("--size", "5 cm"), "give inches from 1 to 50"),
        (("--labels", "A"), "names 1 of 2 records"),
    ):
        assert said in run("plot", *paths, "--kind", "languages", *given, "-o", out).err
    assert "--title and --size are about a figure" in run("compare", *paths, "--size", "3").err
    with pytest.raises(UsageError, match="the same"):
        Look(labels=["a", "a"]).names(["x", "y"])
