"""One table in four formats: the same cells in each, and nobody's text is a mark in any."""

from __future__ import annotations

import io
import re

import html5lib
from markdown_it import MarkdownIt
from rich.console import Console

from xqr_bench.report.table import Column, Table, columns

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


def test_latex_has_as_many_cells_in_every_row() -> None:
    lines = TABLE.latex().splitlines()
    assert lines[0] == r"\begin{table}"
    assert r"\begin{tabular}{lrl}" in lines
    rows = [line for line in lines if line.endswith(r" \\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [2, 2, 2, 2]
    assert r"a note" in lines[2]
    wide = Table("wide", columns(*"abcdefg"), [list("1234567")]).latex()
    assert wide.startswith(r"\begin{table*}")
    assert r"\resizebox{\linewidth}{!}{%" in wide


def test_a_terminal_reads_no_markup_and_keeps_lines() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(TABLE.terminal(), TABLE.terminal(above=True))
    text = console.file.getvalue()
    assert text.count("[bold]_d") == 8
    assert text.count("not told") == 2
    assert text.count("a heading") == 2
