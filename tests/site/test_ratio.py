"""The page of the ratio study: on the site where its figures are, and alone."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest

from tests.kit import ran
from tests.site.ratios import made_up
from xqr_bench.board.files import FIGURES, RATIOS
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.site import build_site
from xqr_bench.board.submissions import verify
from xqr_bench.report.numbers import number, probability
from xqr_bench.studies.ratio import tables
from xqr_bench.studies.ratio.beside import amount_said, levels
from xqr_bench.studies.ratio.form import Contrast, Ratios, load_ratios, save_ratios
from xqr_bench.studies.ratio.page import FILE, draw, ratio_pages, write_report_page
from xqr_bench.studies.ratio.pvalues import BOOTSTRAP, EFFECT, PERMUTATION, T, p_values_again
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
    assert written(0.5034, -8.5111, 9.4518) == "+1 [-9, 9]"
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


def test_the_curve_stands_beside_bm25_and_papers(board: Leaderboard, found: Ratios, tmp_path: Path) -> None:
    """What the board has on the condition's task, and how much was trained on; nothing of other tasks or conditions."""
    group = {"study": found.study, "condition": "S1b", "arm": "alpha-1"}
    amount = {"training": {"statistics": {"questions": 1148, "rows": 120_000, "repeats_mean": 28.578}}}
    lexical = board.rows[0].model_copy(update={"task": "b", "model": "bm25"})
    trained = board.rows[0].model_copy(update={"task": "b", "run_group": group, "training": amount})
    paper = board.published[0].model_copy(update={"task": "b", "model": "A & B"})
    fuller = board.model_copy(update={"rows": [lexical, trained], "published": [paper]})
    condition = found.conditions[0]
    table = levels(condition, fuller)
    assert [row[0] for row in table.rows][:2] == ["bm25", f"A & B, {paper.variant} (published)"]
    assert table.rows[0][1] == number(lexical.scores["monolingual"].macro["map"].value)
    assert [row[0] for row in table.rows][2:] == [f"{arm}, this study" for arm in ("alpha-0", "alpha-0.5", "alpha-1")]
    assert table.rows[3][3] == ".3000"
    build_site(board, tmp_path, ratio_pages(found, board=fuller))
    shown = (tmp_path / FILE).read_text(encoding="utf-8")
    assert "1,148 questions in 120,000 rows: a pair comes 28.6 times in alpha-1." in shown
    assert "A &amp; B" in shown
    assert levels(condition, board) is None
    assert amount_said(found.study, condition, board) is None


def test_languages_as_units_of_what_is_shipped() -> None:
    """The permutation test by hand, from the figures by language; none where levels rotate or are the same."""
    shipped = load_ratios(Path(__file__).parents[2] / "leaderboard" / RATIOS)
    found = {condition.name: tables.languages_as_units(condition) for condition in shipped.conditions}
    assert (found["S2"], found["S3"]) == (None, None)
    for name in ("S1b", "S1a"):
        (condition,) = (one for one in shipped.conditions if one.name == name)
        effects = {one.code: one.minus_cross.estimate for one in condition.by_language}
        trained = [one.code for one in condition.by_language if one.level == "retrieval-trained"]

        def gap_of(group: Sequence[str], effects: dict[str, float] = effects) -> float:
            rest = [effects[code] for code in effects if code not in group]
            return sum(effects[code] for code in group) / len(group) - sum(rest) / len(rest)

        splits = [gap_of(group) for group in combinations(effects, len(trained))]
        far = sum(abs(one) >= abs(gap_of(trained)) - 1e-12 for one in splits)
        assert (found[name].as_far, found[name].splits) == (far, len(splits))
        (test,) = (one for one in condition.view().tests if one.name == "H2")
        assert found[name].difference == pytest.approx(test.parts[0].effect.estimate, abs=1e-6)
        words = " ".join(tables.tests_said(shipped, condition))
        assert f"of all {len(splits)} ways to choose as many of them {far} give" in words
        assert "S2 -.0015 [-.0023, -.0007]" in words


def test_the_page_has_the_p_that_the_command_computes() -> None:
    """Every p of docs/ratio-study.md's table of the primary tests, from the published files alone."""
    root = Path(__file__).parents[2]
    found = p_values_again((root / "leaderboard" / RATIOS).parent)
    assert not [one for one in found if one.differs]
    primary = [one for one in found if (one.condition, one.view, one.percent) == ("S1b", "raw", 100)]
    of_page = {(one.name, one.kind): one for one in primary if one.kind not in EFFECT.values()}
    text = (root / "docs" / "ratio-study.md").read_text("utf-8").split("## The primary tests")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| H")]
    shown = {}
    for name, _, bootstrap, t, _ in rows:
        if "exact permutation" in name:
            shown["H2, languages as units", PERMUTATION] = bootstrap
        else:
            shown[name, BOOTSTRAP], shown[name, T] = bootstrap, t
    assert set(shown) == set(of_page)
    for key, written in shown.items():
        one = of_page[key]
        assert one.computed is not None, key
        # the sums are of runs made again: a p by bootstrap may differ by some resamples, as `differs` allows
        assert written == probability(one.stated if one.kind == BOOTSTRAP else one.computed), key


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


def test_a_study_beside_the_first_has_pages_of_its_own(found: Ratios, tmp_path: Path) -> None:
    own = found.conditions[0].model_copy(update={"name": "E1"})
    folder = tmp_path / "leaderboard"
    plain = own.model_copy(update={"name": "questions", "arms": own.arms[-1:]})
    second = found.model_copy(update={"conditions": [own]})
    third = found.model_copy(update={"conditions": [plain], "study": "remedies"})
    for place, study in zip(FIGURES, (found, second, third), strict=True):
        save_ratios(study, folder / place)
    (folder / FIGURES[1]).with_name("sums-E1.npz").write_bytes(b"")
    assert verify(folder, read_study=load_ratios).faults == []
    ran("leaderboard", "build", "--leaderboard", str(folder), "--out", str(tmp_path / "site"), "--quiet")
    first, other = ((tmp_path / "site" / name).read_text(encoding="utf-8") for name in (FILE, "ratio-e1.html"))
    assert 'href="ratio-e1.html"' in first
    assert "Small encoders, trained alike" in first
    assert "A multilingual retrieval encoder, trained further" in other
    assert 'href="ratio.html"' in other
    assert '<a href="ratio-questions.html"><bdi dir="auto">remedies: questions</bdi></a>' in other
    (folder / FIGURES[1]).write_text("{}", encoding="utf-8")
    assert [str(fault.path) for fault in verify(folder, read_study=load_ratios).faults] == [str(FIGURES[1])]


def test_verify_looks_at_the_figures(found: Ratios, tmp_path: Path) -> None:
    save_ratios(found, tmp_path / RATIOS)
    assert verify(tmp_path, read_study=load_ratios).faults == []
    (tmp_path / RATIOS).write_text("{}", encoding="utf-8")
    (tmp_path / "studies/ratio/more.json").write_text("{}", encoding="utf-8")
    for name in ("sweep.json", "sweep-S1a-S3.json", "sums-S1b.npz"):  # what stands beside the figures
        (tmp_path / "studies/ratio" / name).write_bytes(b"")
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
