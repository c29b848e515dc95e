"""Lines in any script: they fit their column, nothing is cut apart, and right-to-left text stays in its cell."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from xqr_bench.report.text import cells, clusters, hits_lines, isolated, right_to_left, visible, wrap
from xqr_bench.tasks import load_task

ARABIC = "يبلغ ارتفاع برجها الغرانيتي 42 مترًا، وتؤدي 198 درجة إلى غرفة المصباح."
THAI = "หอคอยหินแกรนิตของประภาคารสูง 42 เมตร และมีบันได 198 ขั้นขึ้นไปยังห้องโคมไฟ"
CHINESE = "花岗岩塔身高42米,198级台阶通向灯室。"


def test_direction_is_that_of_the_first_letter() -> None:
    assert right_to_left(ARABIC)
    assert right_to_left("42 (" + ARABIC)
    assert not right_to_left("BBC " + ARABIC)
    assert not right_to_left(CHINESE)
    assert not right_to_left("42")


def test_only_what_can_be_reordered_is_isolated() -> None:
    assert isolated(ARABIC, rtl=True) == f"\u2067{ARABIC}\u2069"
    assert isolated("Orlan", rtl=True) == "\u2067Orlan\u2069"  # a line of an Arabic sentence
    assert isolated(f"the word {ARABIC}", rtl=False) == f"\u2066the word {ARABIC}\u2069"
    assert isolated(THAI, rtl=False) == THAI
    assert cell_len(isolated(ARABIC, rtl=True)) == cell_len(ARABIC)


def test_wide_characters_count_twice() -> None:
    assert wrap("中文字符测试", 4) == ["中文", "字符", "测试"]
    assert wrap("中文字符测试", 5) == ["中文", "字符", "测试"]


def test_words_are_kept_whole_where_there_are_spaces() -> None:
    assert wrap("the quick brown fox", 10) == ["the quick", "brown fox"]
    assert wrap("the quick brown fox", 9) == ["the quick", "brown fox"]
    assert wrap("incomprehensibilities", 8) == ["incompre", "hensibil", "ities"]
    assert wrap("", 8) == [""]


def test_too_many_lines_end_in_an_ellipsis_that_fits() -> None:
    assert wrap("the quick brown fox jumps", 9, lines=2) == ["the quick", "brown fo…"]
    assert wrap("the quick brown fox", 9, lines=2) == ["the quick", "brown fox"]
    assert wrap("中文字符测试", 4, lines=2) == ["中文", "字…"]


def test_marks_stay_with_their_character() -> None:
    assert list(clusters("ก็น้ำ")) == ["ก็", "น้ำ"]
    assert list(clusters("किताब")) == ["कि", "ता", "ब"]
    assert "".join(clusters(THAI)) == THAI


def test_text_cannot_steer_the_terminal() -> None:
    assert visible("a\x1b[31mb\u202ec\n d\u2067") == "a[31mbc d"


@pytest.mark.parametrize("width", [7, 20, 64])
def test_every_sentence_of_mini_fits_and_loses_nothing(width: int) -> None:
    for candidate in load_task("mini").candidates:
        lines = wrap(candidate.text, width)
        assert all(cells(line) <= width for line in lines)
        assert "".join("".join(lines).split()) == "".join(visible(candidate.text).split())
        assert not any(line and unicodedata.category(line[0]) in ("Mn", "Mc", "Me") for line in lines)


@given(st.text(max_size=80), st.integers(4, 30))
def test_any_text_fits(text: str, width: int) -> None:
    for line in wrap(text, width):
        assert cells(line) <= width or len(list(clusters(line))) == 1


ROWS = [
    (1, 0.51234, "ar", "ar:0:0:2", ARABIC * 3),
    (2, 0.4, "zh", "zh:10:0:2", CHINESE * 4),
    (10, -0.25, "th", "th:0:0:1", THAI),
]


@pytest.mark.parametrize("isolate", [True, False])
def test_a_hundred_columns_are_enough_and_the_text_begins_in_one_column(isolate: bool) -> None:
    lines = hits_lines(ROWS, width=100, isolate=isolate)
    assert max(cell_len(line) for line in lines) == 100
    assert lines[0] == "rank    score  lang  id         text"
    start = lines[0].index("text")
    for line in lines[2:]:
        assert cell_len(line[:start]) == start
        assert line[start - 1] == " "
        assert line[start] != " "
    assert lines[2].startswith("   1   0.5123  ar    ar:0:0:2   ")
    assert ("\u2067" in lines[2]) is isolate
    # isolates are closed on the line they are opened on
    assert all(line.count("\u2067") == line.count("\u2069") for line in lines)


def test_long_sentences_are_shown_whole_when_asked() -> None:
    whole = "".join("".join(hits_lines(ROWS, lines=None, isolate=False)).split())
    assert "".join((CHINESE * 4).split()) in whole.replace("zh:10:0:2", "")
    assert "…" not in whole
    assert "…" in "".join(hits_lines(ROWS, lines=1))
