"""The panel of MAP against own-language first."""

from __future__ import annotations

from tests.site.boards import HOSTILE, small_board
from xqr_bench.board.site.build import make_pages
from xqr_bench.board.site.payload import frontier_panels


def test_rows_that_compete_are_shown_and_others_are_not() -> None:
    board = small_board()
    panel = frontier_panels(board)[0]
    names = [row[1].removesuffix(" *") for row in panel.table.rows]
    assert "char-ngrams" in names
    assert not {"oracle", "random"} & set(names)
    assert panel.drawing.count("<circle") == len(names)
    page = make_pages(board)["index.html"]
    assert "MAP and preference for the query" in page
    assert page.count('<svg class="frontier"') == len(frontier_panels(board))


def test_names_are_text() -> None:
    assert any("<" in name for name in HOSTILE)
    for panel in frontier_panels(small_board()):
        assert "<script" not in panel.drawing


def test_a_board_with_one_row_has_no_panel() -> None:
    board = small_board()
    one = board.model_copy(update={"rows": board.rows[:1]})
    assert frontier_panels(one) == []
    assert "MAP and preference" not in make_pages(one)["index.html"]
