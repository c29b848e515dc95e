"""Languages that an encoder does not tell apart, and transformed vectors, as the pages show them."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from tests.site.boards import small_board
from xqr_bench.board.model import Leaderboard, Representation, Row
from xqr_bench.board.site import build_site
from xqr_bench.board.site.html import MARK, MARK_MEANING


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    """The first row with Thai texts that share vectors; the second with transformed vectors."""
    found = small_board().model_copy(deep=True)
    first, second = found.rows[0], found.rows[1]
    first.unrepresented = ["th"]
    first.diagnostics["th"].queries = Representation(texts=24, vectors=6, distinct_share=0.25, unknown_share=0.5)
    first.diagnostics["th"].truncated_queries, first.diagnostics["th"].truncated_candidates = 1, 2
    second.protocol.name = "transform center"
    second.protocol.transform = "center"
    second.transform = {"name": "center", "transductive": True, "source": "the task's own texts"}
    return found


@pytest.fixture(scope="module")
def site(board: Leaderboard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    build_site(board, folder)
    return folder


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def page_of(site: Path, row: Row) -> str:
    index = (site / "index.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', index, re.S)[1])
    version = data["fields"].index("version")
    key = next(line[0] for line in data["entries"] if line[1] == row.model and line[version] == row.version)
    return (site / "models" / f"{key}.html").read_text(encoding="utf-8")


def test_the_main_page_has_the_mark_and_its_legend(site: Path, board: Leaderboard) -> None:
    index, plain = ((site / name).read_text(encoding="utf-8") for name in ("index.html", "table.html"))
    table = plain[plain.index("<table>") : plain.index("</table>")]
    assert table.count(f'<span class="mark" title="{MARK_MEANING}">{MARK}</span>') == 1
    assert f"{MARK} {MARK_MEANING}: {board.rows[0].model} in th of mini" in text_of(plain)
    assert f"{MARK} {MARK_MEANING}." in text_of(index)
    assert '"unrepresented":[{"mini":["th"]},{}]' in index


def test_no_mark_without_need(tmp_path: Path) -> None:
    build_site(small_board(), tmp_path / "site")
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert MARK not in index[: index.index('<script type="application/json"')]


def test_the_models_page_tells_the_counts(site: Path, board: Leaderboard) -> None:
    page = page_of(site, board.rows[0])
    assert f"{MARK} {MARK_MEANING}" in text_of(page)
    row = page[page.index('title="6 vectors for 24 texts"') :]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row[: row.index("</tr>")], re.S)
    assert [text_of(cell) for cell in cells] == ["1.000", "0.500", "– not known", "3"]  # after the first, 0.250
    assert f'<tspan class="code">th{MARK}</tspan>' in page  # beside the bars


def test_an_encoder_without_tokenizer_says_so(site: Path, board: Leaderboard) -> None:
    page = page_of(site, board.rows[0])
    english = page[page.index("Texts and vectors") :]
    english = english[english.index('<span class="code">en</span>') :]
    assert text_of(english[: english.index("</tr>")]).endswith("1.000 1.000 – not known – not known 0")


def test_transformed_vectors_are_named(site: Path, board: Leaderboard) -> None:
    page = text_of(page_of(site, board.rows[1]))
    assert "protocol: transform center" in page
    assert "What was done to the vectors name center transductive true source the task's own texts" in page
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "transform center" in index[: index.index('<script type="application/json"')]  # among the filters
