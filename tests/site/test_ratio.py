"""The page of the ratio study: on the site where its figures are, and alone."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from tests.kit import ran
from tests.site.ratios import made_up
from xqr_bench.board.files import RATIOS
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.site import build_site
from xqr_bench.board.submissions import verify
from xqr_bench.studies.ratio import tables
from xqr_bench.studies.ratio.form import Contrast, Ratios, load_ratios, save_ratios
from xqr_bench.studies.ratio.page import FILE, draw, ratio_pages, write_report_page
from xqr_bench.studies.ratio.tables import curve, gap, sentences


@pytest.fixture(scope="module")
def found() -> Ratios:
    return made_up()


@pytest.fixture(scope="module")
def page(found: Ratios, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "ratios.html"
    return write_report_page(found, path, "ratios.json").read_text(encoding="utf-8")


def test_a_page_alone_asks_for_nothing(page: str) -> None:
    assert not re.findall(r'(?:src|href)="(?!#|data:|ratios[.-])', page)
    script = page.split('<script type="module">')[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'".replace("'", "&#39;") in page or f"'sha256-{digest}'" in page
    assert "leaderboard.json" not in page


def test_every_measure_and_part_is_drawn(found: Ratios, page: str) -> None:
    blocks = set(re.findall(r'data-measure="([^"]*)" data-part="([^"]*)" data-kind="([^"]*)"', page))
    assert {
        ("multilingual-map", part, kind) for part in ("all", "group", "language") for kind in ("score", "difference")
    } <= blocks
    assert ("multilingual-rank_distance", "all", "score") in blocks
    assert "Greek el (aligned only)" in page
    assert page.count("alpha 0.5, raw: .3000, 95% .2000 to .4000") >= 1


def test_a_curve_and_its_difference(found: Ratios) -> None:
    condition = found.conditions[0]
    score = condition.view().score("multilingual", "map")
    plain, minus = curve(condition, score), curve(condition, score, minus=True)
    assert plain.alphas == minus.alphas == [0.0, 0.5, 1.0]
    assert plain.values == pytest.approx([0.25, 0.3, 0.2])
    assert minus.values == pytest.approx([-0.05, 0.0, -0.1])
    assert (minus.low[1], minus.high[1]) == (0.0, 0.0)
    drawn = draw({"raw": minus}, "a & b", difference=True)
    assert "a &amp; b" in drawn
    assert 'class="zero"' in drawn
    # alpha runs from the left end to the right one
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawn)]
    assert xs == [46.0, 169.0, 292.0]


def test_a_difference_of_ranks_has_no_decimals() -> None:
    def written(estimate: float, low: float, high: float) -> str:
        return gap(Contrast(estimate=estimate, low=low, high=high, seeds=10))

    assert written(-13.4441, -33.0251, 5.9464) == "-13 [-33, 6]"
    assert written(2608.2, 2421.4, 2789.6) == "+2,608 [2,421, 2,790]"
    assert written(-0.0025, -0.0053, 0.0002) == "-.0025 [-.0053, .0002]"
    assert gap(None) == "–"


def test_only_the_primary_condition_claims() -> None:
    """What is shipped: a test is claimed, in words and table alike, in the primary condition only."""
    shipped = load_ratios(Path(__file__).parents[2] / "leaderboard" / RATIOS)
    shown = {}
    for condition in shipped.conditions:
        table = next(table for table in tables.tests_tables(shipped, condition) if "primary tests" in table.title)
        shown[condition.name] = [row[-1] for row in table.rows if row[-1]]
        words = " ".join(text for text in sentences(shipped, condition) if text.startswith(("H1,", "H2,")))
        assert ("(exploratory here)" in words) == (condition.name != "S1b")
    assert shown == {
        "S1b": ["not claimed", "claimed"],
        "S1a": ["not by both", "by both"],
        "S2": ["not by both", "by both"],
        "S3": ["not by both"],
    }


def test_the_site_has_the_page_where_its_figures_are(board: Leaderboard, found: Ratios, tmp_path: Path) -> None:
    build_site(board, tmp_path / "with", ratio_pages(found))
    build_site(board, tmp_path / "without")
    link = f'<a href="{FILE}">Batch ratio</a>'
    assert link in (tmp_path / "with/index.html").read_text(encoding="utf-8")
    assert link not in (tmp_path / "without/index.html").read_text(encoding="utf-8")
    shown = (tmp_path / "with" / FILE).read_text(encoding="utf-8")
    assert 'aria-current="page">Batch ratio' in shown
    assert "leaderboard.json" in shown


def test_the_command_takes_the_file_of_the_folder(found: Ratios, tmp_path: Path) -> None:
    folder = tmp_path / "leaderboard"
    (folder / RATIOS).parent.mkdir(parents=True)
    save_ratios(found, folder / RATIOS)
    assert verify(folder, read_study=load_ratios).faults == []
    ran("leaderboard", "build", "--leaderboard", str(folder), "--out", str(tmp_path / "site"), "--quiet")
    assert (tmp_path / "site" / FILE).is_file()
    (tmp_path / "empty").mkdir()
    folders = ("--leaderboard", str(tmp_path / "empty"), "--out", str(tmp_path / "b"))
    ran("leaderboard", "build", *folders, "--ratios", str(folder / RATIOS))
    assert (tmp_path / "b" / FILE).read_bytes() == (tmp_path / "site" / FILE).read_bytes()


def test_verify_looks_at_the_figures(found: Ratios, tmp_path: Path) -> None:
    save_ratios(found, tmp_path / RATIOS)
    assert verify(tmp_path, read_study=load_ratios).faults == []
    (tmp_path / RATIOS).write_text("{}", encoding="utf-8")
    (tmp_path / "studies/ratio/more.json").write_text("{}", encoding="utf-8")
    (tmp_path / "studies/other").mkdir()
    faults = dict(verify(tmp_path, read_study=load_ratios).faults)
    assert set(faults) == {"studies/ratio/ratios.json", "studies/ratio/more.json", "studies/other"}
    assert "is no ratios.json" in faults["studies/ratio/ratios.json"]
    assert faults["studies/other"] == "not the figures of a study"


def test_text_of_the_file_is_escaped(found: Ratios, tmp_path: Path) -> None:
    evil = found.model_copy(
        update={"conditions": [found.conditions[0].model_copy(update={"about": "<script>alert(1)</script>"})]}
    )
    text = write_report_page(evil, tmp_path / "r.html", "r.json").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
