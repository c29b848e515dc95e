"""One table in three formats: the same cells in each, and nobody's text is a mark in any."""

from __future__ import annotations

import io

import html5lib
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from xqr_bench.report.table import Column, Frame, Table, columns

EVIL = "<b>x</b> | `a` *b* [c](https://evil.example) & % \\ [bold]_d"
TABLE = Table(
    f"a title {EVIL}",
    (*columns("name", "one\ntwo"), Column("why", "word")),
    [[EVIL, "-.1", (("not ", "bold"), ("told", "dim"))], ["a heading"], ["th", "", EVIL]],
    ("a note", EVIL),
)


def html_cells(page: str) -> list[list[str]]:
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    assert not {"b", "a", "em", "code"} & {element.tag for element in tree.iter() if isinstance(element.tag, str)}
    return [["".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]


def test_html_and_markdown_have_the_same_cells() -> None:
    wanted = [["name", "one two", "why"], [EVIL, "-.1", "not told"], ["a heading", "", ""], ["th", "", EVIL]]
    page = str(TABLE.html())
    assert html_cells(page) == wanted
    assert page.count('class="right"') == 4
    assert "a note &lt;b&gt;" in page
    rendered = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(TABLE.markdown())
    assert html_cells(rendered) == wanted
    assert "| --- | ---: | --- |" in TABLE.markdown()


def test_a_terminal_reads_no_markup_and_keeps_lines() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(TABLE.terminal(), TABLE.terminal(above=True))
    text = console.file.getvalue()
    assert text.count("[bold]_d") == 8
    assert text.count("not told") == 2
    assert text.count("a heading") == 2


def drawn(table: Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(table.terminal())
    text = console.file.getvalue()
    assert "…" not in text
    return text.splitlines()


@pytest.mark.parametrize("frame", ["ruled", "dense", "open", "list"])
@pytest.mark.parametrize("width", [28, 40, 57, 80])
def test_nothing_breaks_inside_a_word(frame: Frame, width: int) -> None:
    """Where a table is too wide, its columns stand in tables below each other, each with the names on the left."""
    names = ["language_order_w", "a longer name of words"]
    heads = (Column("name", "name"), *(Column(f"head{n}\ntwo") for n in range(7)), Column("verdict", "word"))
    rows = [[name, *(f".{n}{n}{n}{n} ±.{row}" for n in range(7)), "not told"] for row, name in enumerate(names)]
    lines = drawn(Table("a title", heads, [["a heading"], *rows], ("a note",), frame=frame), width)
    assert all(len(line) <= width for line in lines)
    words = {word for line in lines for word in line.split()}
    assert {*" ".join(names).split(), *(cell for row in rows for one in row[1:8] for cell in one.split())} <= words
    text = "\n".join(lines)
    assert all(text.count(cell) == 1 for row in rows for cell in row[1:8])
    assert text.count("a title") == text.count("a note") == 1
    assert (
        text.count("language_order_w") == text.count("a heading") == sum("─" in line for line in lines)
        or frame == "list"
    )
    wide = drawn(Table("a title", heads, rows, frame=frame), 200)
    assert sum("head" in line for line in wide) == 1


def test_names_that_are_too_long_are_cut_behind_their_parts() -> None:
    names = ["sentence-transformers/all-MiniLM-L6-v2", "ratio-study/S1b_alpha-0.5_seed-00", "x" * 30]
    table = Table("", (Column("model", "name", width=28), Column("map")), [[name, ".5"] for name in names])
    cells = [line[1:29].strip() for line in drawn(table, 80)[3:]]
    assert [cell for cell in cells if cell] == [
        "sentence-transformers/all-",
        "MiniLM-L6-v2",
        "ratio-study/S1b_alpha-0.5_",
        "seed-00",
        "x" * 28,
        "xx",
    ]


def test_a_table_without_names_keeps_its_first_column() -> None:
    heads = [Column("model", "word"), *(Column(f"figure {n}") for n in range(4))]
    text = "\n".join(drawn(Table("", heads, [["a-model", "1", "2", "3", "4"]]), 32))
    assert text.count("a-model") == text.count("─ ") == 2
