"""The finding on the front page: its figures are those of the rows, whatever they are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.site.boards import SCRIPT
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.site.build import make_pages
from xqr_bench.board.site.finding import SHOWN, Seen, best_of_each, finding
from xqr_bench.measure.scores import Figure

MAP = {"monolingual": 0.8, "cross-lingual": 0.6, "multilingual": 0.3}


def changed(board: Leaderboard, name: str, scores: dict[str, float], own_first: float, **fields: Any) -> Leaderboard:
    """The board with the figures of one row as given."""
    rows = []
    for row in board.rows:
        if row.model == name and row.task == "mini":
            row = row.model_copy(deep=True, update=fields)
            for setting, value in scores.items():
                found = row.scores[setting].macro
                interval = found["map"].interval.model_copy(update={"low": value - 0.01, "high": value + 0.02})
                found["map"] = found["map"].model_copy(update={"value": value, "interval": interval})
            first = row.bias.macro["own_language_first"]
            row.bias.macro["own_language_first"] = first.model_copy(update={"value": own_first, "interval": None})
        rows.append(row)
    return board.model_copy(update={"rows": rows})


def said(board: Leaderboard) -> str:
    text = re.search('<p class="says">(.*?)</p>', make_pages(board)["index.html"], re.DOTALL)
    return "" if text is None else " ".join(re.sub("<[^>]*>", "", text[1]).split())


def test_it_says_what_the_rows_say(board: Leaderboard) -> None:
    made = changed(board, "char-ngrams", MAP, 0.9642, kind="encoder")
    assert said(made) == (
        f"With all 11 languages in one pool, the encoder with the highest MAP on {board.tasks['mini'].title}, "
        "char-ngrams, loses 50% of the MAP that it has in one other language at a time: 0.300 (0.290 to 0.320) against "
        "0.600 (0.590 to 0.620). In 96% of the queries the answer in the query's own language comes first, by chance "
        "in 9%. "
        "How this is measured"
    )
    assert 'id="finding"' in make_pages(made)["about.html"]


def test_an_encoder_that_loses_nothing_is_not_said_to(board: Leaderboard) -> None:
    made = changed(board, "char-ngrams", {**MAP, "multilingual": 0.7}, 0.5, kind="encoder")
    assert "char-ngrams, keeps the MAP that it has in one other language at a time: 0.700" in said(made)
    made = changed(board, "char-ngrams", {**MAP, "multilingual": 0.599}, 0.5, kind="encoder")
    assert "char-ngrams, keeps the MAP" in said(made), "not: loses 0%"


def test_training_on_the_task_is_said(board: Leaderboard) -> None:
    made = changed(board, "char-ngrams", MAP, 0.5, kind="encoder", exposure_class="exposed")
    assert "char-ngrams (trained on the task's source or texts), loses 50%" in said(made)


def test_only_encoders_that_compete_as_they_are(board: Leaderboard) -> None:
    """No baseline, no reference, nothing that was done to vectors, and nobody without all figures."""
    shown = finding(board)
    assert shown is not None
    assert shown.best.model != "char-ngrams", "a baseline here"
    assert "oracle" not in shown.figure
    assert "evilmodel" not in shown.figure, "another protocol"
    assert "نموذج" in shown.figure
    encoders = [row for row in board.rows if row.kind == "encoder"]
    best = changed(board, encoders[-1].model, dict.fromkeys(MAP, 0.99), 0.5)
    assert finding(best).best.model != encoders[-1].model
    others = [row for row in board.rows if row.kind != "encoder"]
    none = board.model_copy(update={"rows": others})
    assert finding(none) is None
    assert said(none) == ""
    assert "How this is measured" not in make_pages(none)["index.html"]
    assert 'id="finding"' not in make_pages(none)["about.html"]
    assert finding(board.model_copy(update={"tasks": {}, "rows": []})) is None


def test_one_row_of_a_model() -> None:
    def seen(model: str, value: float) -> Seen:
        return Seen(model, {"multilingual": Figure(value=value, n=1)}, Figure(value=0.5, n=1), exposed=False)

    given = [seen("e5 (4-bit)", 0.4), seen("LaBSE", 0.3), seen("e5, MaxSim", 0.5), seen("(unnamed)", 0.1)]
    assert [one.model for one in best_of_each(given)] == ["e5, MaxSim", "LaBSE", "(unnamed)"]


@pytest.mark.parametrize("value", [7.0, -1.0, 0.0])
def test_numbers_that_no_ranking_has_are_no_finding(board: Leaderboard, value: float) -> None:
    """Such as a JSON of somebody else may hold; the other pages are made all the same."""
    made = changed(board, "char-ngrams", {**MAP, "multilingual": value}, 0.5, kind="encoder")
    assert finding(made).best.model != "char-ngrams"
    assert "frontier.html" in make_pages(made)
    assert finding(changed(board, "char-ngrams", MAP, 2.0, kind="encoder")).best.model != "char-ngrams"


def test_the_figure_has_a_shape_a_setting_and_names_are_text(board: Leaderboard) -> None:
    shown = finding(board)
    lines = shown.figure.count("<g>")
    assert 1 < lines <= SHOWN
    for shape in ('<circle class="monolingual"', '<rect class="cross-lingual"', '<polygon class="multilingual"'):
        assert shown.figure.count(shape) == lines
    assert SCRIPT not in shown.figure
    [x] = re.findall(
        r'<circle class="monolingual" cx="([\d.]+)"',
        finding(changed(board, "char-ngrams", MAP, 0.5, kind="encoder")).figure,
    )[:1]
    assert float(x) == pytest.approx(8 + 384 * 0.8, abs=0.06)
