"""Intervals that are no measure of certainty: which figures are flagged, and that every reader says so."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from pydantic import TypeAdapter
from rich.console import Console

from xqr_bench import evaluate
from xqr_bench.board.model import Figures
from xqr_bench.board.site.html import describe
from xqr_bench.measure.certainty import interval_figures
from xqr_bench.measure.metrics.per_query import Cell
from xqr_bench.measure.paired import Pair, paired
from xqr_bench.measure.panel import Contrasts, Panel, Units
from xqr_bench.measure.scores import Figure
from xqr_bench.report.listings import language_tables
from xqr_bench.report.model_card import model_card
from xqr_bench.report.results import results

N, ARTICLES = 1_190, 48


def of_values(values: np.ndarray) -> Figure:
    """The mean of a value a question with both intervals, as a record holds it; questions go round the articles."""
    numbers = np.arange(N)
    units = Units(tuple(map(str, numbers)), numbers, numbers % ARTICLES)
    panel = Panel((Cell("de", "de"),), values[:, None, None].astype(float), np.ones((N, 1)))
    figures = {("monolingual", "recall@1"): (panel, Contrasts.means(1, [("one", [0])]))}
    (both,) = interval_figures(figures, units, np.random.default_rng(0)).values()
    return Figure(value=float(values.mean()), n=N, **both._asdict())


@pytest.mark.parametrize("near_the_top", [False, True])
def test_hits_are_counted_from_the_figure(near_the_top: bool) -> None:
    """k hits in k articles (or misses): flagged where k is below 10, and no width is flagged."""
    for k in range(25):
        hits = np.arange(N) < k
        assert of_values(~hits if near_the_top else hits).thin == (k < 10, k < 10), k


def test_many_hits_in_few_articles() -> None:
    figure = of_values(np.isin(np.arange(N) % ARTICLES, range(9)))
    assert figure.value == pytest.approx(9 / 48, abs=0.002)
    assert figure.thin == (False, True)


def test_what_varies_everywhere_is_not_flagged() -> None:
    generator = np.random.default_rng(1)
    assert of_values(0.005 + 0.001 * generator.random(N)).thin == (False, False)
    assert of_values(500 + 100 * generator.random(N)).thin == (False, False)


def test_differences_are_counted() -> None:
    """Two records that differ in three questions of two articles; and by the same everywhere but in four."""
    numbers = np.arange(N)
    units = Units(tuple(map(str, numbers)), numbers, numbers % ARTICLES)
    a = np.random.default_rng(2).random(N)
    contrasts = Contrasts.means(1, [("one", [0])])
    for changed, moved, n_articles in (([0, 1, 48], 0.0, 2), ([3, 4, 5, 6], 0.25, 4)):
        b = a + moved
        b[changed] += 0.5
        sides = [Panel((Cell("de", "de"),), side[:, None, None], np.ones((N, 1))) for side in (a, b)]
        (found,) = paired([Pair(*sides, contrasts)], units, np.random.default_rng(0), 100)
        assert (found.n_varying, found.n_varying_articles) == (len(changed), n_articles)


def test_every_reader_says_so() -> None:
    """The figures of a record that is right everywhere: no table, page, card or frame shows [1, 1] as certain."""
    record = evaluate("oracle", "mini")
    figure = record.scores["monolingual"].macro["map"]
    assert figure.value == pytest.approx(figure.interval.low) == pytest.approx(figure.interval.high) == 1.0
    frame = record.to_frame()
    assert frame[frame.interval_low.notna()].interval_thin.all()
    assert frame[frame.article_interval_low.notna()].article_interval_thin.all()
    (table, *_) = language_tables(record, "map")
    assert table.texts()[0][-3:] == ["1.0000‡", "1.0000‡", "1.0000‡"]
    assert any(note.startswith("‡ fewer than 10 questions") for note in table.notes)
    console = Console(width=100, file=StringIO())
    console.print(results([record]))
    assert "1.0000 ‡" in console.file.getvalue()
    assert "±.0000" not in console.file.getvalue()
    whole = record.model_copy(update={"task": record.task.model_copy(update={"demonstration": False})})
    assert "interval" not in model_card([whole])
    written = TypeAdapter(Figures).dump_python({"map": figure})["map"]
    assert written["thin"] == ["interval", "article_interval"]
    assert TypeAdapter(Figures).validate_python({"map": written})["map"].value == 1.0
    assert describe(figure) == "1.000, carried by fewer than 10 questions, carried by fewer than 10 articles"
