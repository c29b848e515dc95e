"""The tests of the comparison page beside those of `compare`: the same p, and the same intervals as printed."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.site.boards import real_records, small_board
from tests.site.test_browser import WIDTHS, Watched, choose, playwright_api, settled
from xqr_bench import evaluate
from xqr_bench.analysis.compare import compare
from xqr_bench.board.model import Leaderboard
from xqr_bench.board.row import make_row
from xqr_bench.board.site import build_site, question_values
from xqr_bench.board.site import questions as questions_module
from xqr_bench.board.site.html import asset
from xqr_bench.board.site.questions import BITS, QuestionValues, of_figures, of_ranks
from xqr_bench.core.errors import XqrBenchError
from xqr_bench.core.types import SETTINGS
from xqr_bench.measure.certainty import FigureName, Figures
from xqr_bench.measure.linear import detectable_differences, linearise
from xqr_bench.measure.paired import compare_pairs, confirm
from xqr_bench.measure.panel import Contrasts, Panel, Units
from xqr_bench.measure.tukey import compact_letters
from xqr_bench.record import Record, load_record
from xqr_bench.report.comparison import NEEDED
from xqr_bench.report.numbers import effect, ends, number, probability, signed
from xqr_bench.report.verdict import verdict

DIGITS = 1e-8
"""No printed digit is that small: ends of intervals that agree so well are printed alike but for one in 10,000."""


@pytest.fixture(scope="module")
def tab(browser: playwright_api.Browser) -> playwright_api.Page:
    return browser.new_page()


def in_page(tab: playwright_api.Page, call: str, *values: object) -> Any:
    """What an expression of `paired.js` gives; `args` are the values."""
    return tab.evaluate(
        f"([source, ...args]) => new Function('args', source + '; return (async () => ({call}))()')(args)",
        [asset("paired.js").replace('"use strict";', ""), *values],
    )


def from_page(tab: playwright_api.Page, layout: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = in_page(tab, "await compared(args[0], args[1], new Slices(() => true, () => {}))", layout, rows)
    return [{**one, "setting": layout["settings"][one["setting"]]} for one in found]


def test_the_generator_is_numpys(tab: playwright_api.Page) -> None:
    bits = np.random.PCG64(7)
    state = [f"{bits.state['state'][part]:032x}" for part in ("state", "inc")]
    drawn = in_page(
        tab,
        "[new Pcg64(args[0])].flatMap((g) => Array.from({length: 2000}, () => (g.next(), [g.high, g.low])))",
        state,
    )
    assert [(high << 32) + low for high, low in drawn] == bits.random_raw(2000).tolist()


def figures(n: int, articles: int, records: int, *, whole: bool, seed: int) -> tuple[Units, list[Figures]]:
    """Made-up values of some records in three settings of four language pairs; not whole: not every question in all."""
    random = np.random.default_rng(seed)
    article = np.sort(np.concatenate([np.arange(articles), random.integers(0, articles, n - articles)]))
    units = Units(tuple(f"{i:05}" for i in range(n)), np.arange(n), article)
    counts = np.ones((n, 4)) if whole else (random.random((n, 4)) < 0.6).astype(float)
    counts[: n // 2, 0] = 1.0  # no resample is without a value
    level = random.beta(1, 1, (n, 1, 3)) + random.normal(0, 0.2, articles)[article][:, None, None]
    sides = []
    for record in range(records):
        values = 1 / np.ceil(1 / np.clip(level + 0.02 * record + random.normal(0, 0.15, (n, 4, 3)), 0.001, 1))
        side: Figures = {}
        for setting, of_setting in zip(SETTINGS, np.moveaxis(values, 2, 0), strict=True):
            name = FigureName(setting, "map", "macro", "")
            cells = tuple((f"{cell}", f"{cell}") for cell in range(4))
            one = Panel(cells, (of_setting * counts)[..., None], counts)
            side[setting, "map"] = one, Contrasts.means(4, [(name, range(4))])
        sides.append(side)
    return units, sides


@pytest.mark.parametrize("records", [2, 4])
@pytest.mark.parametrize(("n", "articles", "whole"), [(400, 20, True), (300, 90, False), (130, 3, True)])
def test_made_up_records_give_what_the_command_gives(
    tab: playwright_api.Page, n: int, articles: int, whole: bool, records: int
) -> None:
    units, sides = figures(n, articles, records, whole=whole, seed=n + records)
    made = [of_figures(side, units, f"{place}") for place, side in enumerate(sides)]
    assert all(one is not None and one[0] == made[0][0] for one in made)
    layout = made[0][0]
    assert all(layout["redrawn"]) == whole
    found = from_page(tab, layout, [values for _, values in made])
    wanted = confirm(compare_pairs(sides, units, together=records > 2))
    assert len(found) == len(wanted) == 3 * records * (records - 1) // 2
    by_place = {(one["a"], one["b"], one["setting"]): one for one in found}
    for one in wanted:
        result, here = one.result, by_place[one.a, one.b, one.result.label.setting]
        of_pair = [sides[side][result.label.setting, "map"] for side in (one.a, one.b)]
        ((question, article),) = detectable_differences(
            linearise(of_pair[1][0], of_pair[1][1], units, minus=of_pair[0][0])
        )
        assert [here["valueA"], here["valueB"]] == pytest.approx([result.a, result.b], abs=1e-15)
        assert here["interval"] == pytest.approx([result.interval.low, result.interval.high], abs=DIGITS)
        assert here["articleInterval"] == pytest.approx(
            [result.article_interval.low, result.article_interval.high], abs=DIGITS
        )
        assert here["effect"] == pytest.approx(result.effect_size, abs=1e-6)
        assert here["detectable"] == pytest.approx([question, article], abs=DIGITS)
        # the draws are the same, so that p is as well, but for ties that rounding makes or breaks
        assert here["p"] == pytest.approx(result.p, abs=2e-4)
        assert here["pArticle"] == pytest.approx(result.p_article, abs=2e-4)
        assert here["pAdjusted"] == pytest.approx(one.p_adjusted, abs=6e-4)
        assert here["pArticleAdjusted"] == pytest.approx(one.p_article_adjusted, abs=6e-4)
        assert here["verdict"].replace("distinguishable", "significant") == one.verdict(
            3 * records * (records - 1) // 2
        )
        assert (here["largestArticle"] >= 0.5) == (result.largest is not None)


def test_records_that_hardly_differ(tab: playwright_api.Page) -> None:
    """Few questions differ, some by the same: ties with the observed difference count, and the interval is flagged."""
    units, (side, _) = figures(200, 20, 2, whole=True, seed=1)
    other: Figures = {}
    for at, (name, (panel, contrasts)) in enumerate(side.items()):
        sums = panel.sums.copy()
        sums[[3, 50, 90][: at + 1], 0, 0] += 1 / 3
        sums[[7, 120][:at], 1, 0] -= 1 / 3
        other[name] = Panel(panel.cells, sums, panel.counts), contrasts
    made = [of_figures(one, units, "") for one in (side, other)]
    found = from_page(tab, made[0][0], [values for _, values in made])
    for one, here in zip(confirm(compare_pairs([side, other], units)), found, strict=True):
        assert here["p"] == pytest.approx(one.result.p, abs=2e-4)
        assert here["pArticle"] == pytest.approx(one.result.p_article, abs=2e-4)
        assert here["thin"] == [True, True]
    (same,) = {one["verdict"] for one in from_page(tab, made[0][0], [made[0][1], made[0][1]])}
    assert same == "not distinguishable"


def test_letters(tab: playwright_api.Page) -> None:
    random = np.random.default_rng(3)
    for n in (3, 6, 9):
        p = np.triu(random.random((n, n)) ** 3, 1)
        p += p.T + np.eye(n)
        means = random.permutation(n) / n
        found = in_page(tab, "letters((a, b) => args[0][a][b] <= 0.05, args[1])", p.tolist(), means.tolist())
        assert found == compact_letters(p, means)


def test_no_value_moves_by_more_than_half_a_unit() -> None:
    units, (side,) = figures(300, 90, 1, whole=False, seed=5)
    layout, values = of_figures(side, units, "") or pytest.fail("no figure")
    numbers = unpacked(values["values"]).reshape(3, 300)
    kind = unpacked(layout["kind"]).astype(int)
    for at, (panel, contrasts) in enumerate(side.values()):
        unit = layout["unit"][at]
        assert unit <= 2.0 ** (3 - BITS), "a value is at most the number of times that a question counts"
        from_values = numbers[at] * unit / layout["n"][at]
        deviations = linearise(panel, contrasts, units).deviations[:, 0]
        levels = np.array(values["levels"][at])[kind] / layout["n"][at]
        assert from_values - levels == pytest.approx(deviations, abs=0.51 * unit / layout["n"][at])


def unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<u4").astype(np.float64)


def test_values_are_read_once_and_of_the_ranks_of_the_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XQR_BENCH_CACHE", str(tmp_path / "cache"))
    record = real_records()[0]
    place = record.save(tmp_path / "board")
    row = (
        small_board()
        .rows[0]
        .model_copy(
            update={
                "record": place.relative_to(tmp_path / "board").as_posix(),
                "ranks_digest": record.ranks_file.digest,
            }
        )
    )
    board = small_board().model_copy(update={"rows": [row]})
    found = question_values(board, tmp_path / "board")
    layout, values = of_ranks(record.ranks, list(record.scores), record.ranks_file.digest) or pytest.fail("no MAP")
    assert found.rows == {row.id: {**values, "layout": 0}}
    assert found.layouts == {"mini": [layout]}
    with monkeypatch.context() as patch:
        patch.setattr(questions_module, "of_ranks", lambda *_: pytest.fail("computed again"))
        assert question_values(board, tmp_path / "board") == found
        patch.setattr(questions_module, "MOST_QUESTIONS", 23)
        assert question_values(board, tmp_path / "board").rows == {}, "too many questions for a page"
    other = board.model_copy(update={"rows": [row.model_copy(update={"ranks_digest": "0" * 64})]})
    with pytest.raises(XqrBenchError, match="changed since the leaderboard was read"):
        question_values(other, tmp_path / "board")


# The page.


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [*real_records()[:3], evaluate("bm25", "mini", languages=["en", "de"])]


@pytest.fixture(scope="module")
def site(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tests") / "site"
    board, values = with_values(records)
    build_site(board, folder, questions=values)
    return folder


def with_values(records: list[Record]) -> tuple[Leaderboard, QuestionValues]:
    names = ["first", "second", "third", "two languages"]
    rows, values = [], QuestionValues()
    for place, (name, record) in enumerate(zip(names, records, strict=True)):
        made = make_row(Path("board") / f"org__{name}" / f"r{place}" / "mini.json", Path("board"), record)
        rows.append(made.model_copy(update={"model": name}))
        found = of_ranks(record.ranks, list(record.scores), record.ranks_file.digest)
        assert found is not None
        values.add(rows[-1], record, *found)
    return small_board().model_copy(update={"rows": rows, "published": [], "refused": []}), values


def terse(text: str) -> str:
    """What the page prints as the terminal does: `.0123,.0345`."""
    return re.sub(r"(?<!\d)0\.", ".", text).replace("−", "-").replace(" to ", ",").replace(" ‡", "‡")


NAMES = {"char-ngrams": "first", "bm25": "second", "random": "third"}


def sentence_of(records: list[Record]) -> str:
    """What `compare` says of these records in one sentence, under the names of the page."""
    text = terse(verdict(compare(records)[0]))
    for label, name in NAMES.items():
        text = text.replace(label, name)
    return text


def test_two_in_the_page_as_on_the_command_line(watched: Watched, records: list[Record]) -> None:
    page = watched.open("compare.html#a=org__first--r0&b=org__second--r1&task=mini")
    wanted = [one for one in compare(records[:2])[0].comparisons if one.family == "confirmatory"]
    for row, one in zip(page.locator("#tested tbody tr").all(), wanted, strict=True):
        change, word, intervals, adjusted, alone, a, b, effect_size, _ = row.locator("td").all_inner_texts()
        assert terse(change).split()[0] == signed(one.difference)
        assert word == one.verdict
        found = zip((one.interval, one.article_interval), one.thin, strict=True)
        assert terse(intervals).split() == [ends(*both).replace(", ", ",") for both in found]
        assert terse(adjusted).split() == [probability(one.p_adjusted), probability(one.p_article_adjusted)]
        assert terse(alone).split() == [probability(one.p), probability(one.p_article)]
        assert [terse(a), terse(b)] == [number(one.value_a), number(one.value_b)]
        assert terse(effect_size) == effect(one.effect_size)
    assert terse(page.locator("#verdict").inner_text()) == sentence_of(records[:2])
    assert f"const NEEDED = {NEEDED};" in asset("tested.js")
    choose(page, "#b", label="third")
    assert terse(page.locator("#verdict").inner_text()) == sentence_of([records[0], records[2]])
    assert "24 questions" in page.locator("#tested caption").inner_text()


def test_a_set_is_adjusted_together_and_stands_in_the_address(watched: Watched, records: list[Record]) -> None:
    page = watched.open("compare.html#a=org__first--r0&b=org__second--r1&task=mini")
    page.locator("#more summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#with label").all_inner_texts() == ["third"], "what cannot be compared is not offered"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    settled(page)
    assert page.evaluate("document.activeElement.type") == "checkbox", "the focus stays"
    (found,) = compare(records[:3])
    wanted = {label: [d.letters[d.records.index(label)] for d in found.displays] for label in found.displays[0].records}
    names = dict(zip((record.label for record in found.records), ["first", "second", "third"], strict=True))
    shown = {}
    for row in page.locator("#groups tbody tr").all():
        shown[row.locator("th").inner_text()] = [text.split()[1] for text in row.locator("td").all_inner_texts()]
    assert shown == {names[label]: letters for label, letters in wanted.items()}
    assert page.locator("#pair-tests tbody tr").count() == 9
    assert terse(page.locator("#verdict").inner_text()) == sentence_of(records[:3])
    assert "step-down max-T over 3 pairs in 3 settings" in page.locator("#groups caption").inner_text()
    assert page.locator("#command").inner_text().count("mini.json") == 3
    again = watched.open(page.url.rsplit("/", 1)[1])
    again.reload()
    settled(again)
    assert again.locator("#groups tbody tr").count() == 3
    again.locator("#none").click()
    settled(again)
    assert again.locator("#tested tbody tr").count() == 3
    assert "with=" not in again.url


def test_what_cannot_be_compared_says_why(watched: Watched, site: Path) -> None:
    page = watched.open("compare.html#a=org__first--r0&task=mini")
    choose(page, "#b", label="two languages")
    said = page.locator("#verdict").inner_text()
    assert "first and two languages cannot be compared: they differ in languages" in said
    assert "(ar, de, el, en, es, hi, ru, th, tr, vi, zh; de, en)" in said
    assert not page.locator("#more").is_visible()
    assert not page.locator("#tested").is_visible()
    choose(page, "#b", label="first")
    assert page.locator("#verdict").inner_text() == ""


def test_what_an_address_asks_for_and_is_not_there_is_said(watched: Watched) -> None:
    page = watched.open("compare.html#a=org__first--r0&b=gone&task=mini&metric=fame&with=org__two-languages--r3&seed=7")
    said = page.locator("#strange").inner_text()
    assert "metric=fame (there is: map, " in said
    assert "seed (what can be chosen: task, a, b, metric, with)" in said
    said = page.locator("#missing").inner_text()
    assert "The second model of the address, gone, is not on this site." in said
    assert "A further model of the address, org__two-languages--r3, cannot be tested with these two." in said
    assert page.locator("#tested tbody tr").count() == 3, "the others are compared"


def test_an_address_put_into_the_open_page_is_followed(watched: Watched) -> None:
    page = watched.open("compare.html#a=org__first--r0&b=org__second--r1&task=mini")
    page.goto(f"{page.url.split('#')[0]}#a=org__second--r1&b=org__third--r2&task=mini")  # nothing is loaded by this
    playwright_api.expect(page.locator("#who")).to_have_text("A: secondB: third")
    settled(page)
    page.locator("#swap").click()
    settled(page)
    page.locator(".skip").focus()
    page.keyboard.press("Enter")  # a place on the page asks for nothing
    playwright_api.expect(page.locator("#who")).to_have_text("A: thirdB: second")
    for who in ("A: thirdB: second", "A: secondB: third", "A: firstB: second"):
        with page.expect_event("load"):
            page.evaluate("history.back()")
        playwright_api.expect(page.locator("#who")).to_have_text(who)
        settled(page)
    page.goto("about:blank")
    page = watched.open("compare.html#main")
    assert page.locator("#tested tbody tr").count() == 3
    assert not page.locator("#strange").is_visible()


def test_back_takes_a_choice_back(watched: Watched) -> None:
    page = watched.open("compare.html#a=org__first--r0&b=org__second--r1&task=mini")
    choose(page, "#b", label="third")
    playwright_api.expect(page.locator("#who")).to_have_text("A: firstB: third")
    with page.expect_event("load"):
        page.evaluate("history.back()")
    playwright_api.expect(page.locator("#who")).to_have_text("A: firstB: second")
    settled(page)


def test_a_file_that_is_missing_is_named(watched: Watched, site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / "site/questions/mini/org__second--r1.js").unlink()
    watched.site = tmp_path / "site"
    page = watched.open("compare.html#a=org__first--r0&b=org__second--r1&task=mini")
    assert "questions/mini/org__second--r1.js of this site is missing" in page.locator("#unread").inner_text()
    watched.wrong = [line for line in watched.wrong if "ERR_FILE_NOT_FOUND" not in line]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(watched: Watched, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    watched.page.emulate_media(color_scheme=scheme)
    for more in ("", "&with=org__third--r2"):
        page = watched.open(f"compare.html#a=org__first--r0&b=org__second--r1&task=mini{more}")
        page.reload()
        settled(page)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        faults = axe.run(page).response["violations"]
        assert [(fault["id"], [node["html"][:200] for node in fault["nodes"]]) for fault in faults] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_does_not_scroll_sideways(watched: Watched, width: int) -> None:
    watched.page.set_viewport_size({"width": width, "height": 900})
    page = watched.open("compare.html#a=org__first--r0&b=org__second--r1&task=mini&with=org__third--r2")
    page.locator("#all-pairs summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_values_are_files_of_their_own(site: Path) -> None:
    assert sorted(path.name for path in (site / "questions/mini").iterdir()) == [
        "org__first--r0.js",
        "org__second--r1.js",
        "org__third--r2.js",
        "org__two-languages--r3.js",
    ]
    assert "values" not in (site / "index.html").read_text(encoding="utf-8").split('id="data">')[1][:200]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["xquad-r", "mlqa-r"])
def test_the_rows_of_the_board(tab: playwright_api.Page, task: str) -> None:
    """Every pair of real rows, each alone and all together: no printed digit differs."""
    paths = [path for path in sorted(Path("leaderboard").glob(f"*/*/{task}.json")) if "random" not in path.parts[1]]
    first = load_record(paths[0], whole=False)
    made = {}
    for path in paths:
        record = load_record(path, ranks=True, whole=False)
        found = of_ranks(record.ranks, list(record.scores), "")
        if found is not None and record.task.files == first.task.files and record.ranks_file.depth is None:
            made[path] = found
    layout = next(iter(made.values()))[0]
    chosen = [path for path, (of_row, _) in made.items() if of_row == layout][:8]
    (wanted,) = compare(chosen)
    labels = [record.label for record in wanted.records]
    main = {(one.a, one.b, one.setting): one for one in wanted.comparisons if one.family == "confirmatory"}
    together = from_page(tab, layout, [made[path][1] for path in chosen])
    assert len(together) == len(main) > 60
    for here in together:
        one = main[labels[here["a"]], labels[here["b"]], here["setting"]]
        for found, interval in ((here["interval"], one.interval), (here["articleInterval"], one.article_interval)):
            assert [f"{end:.4f}" for end in found] == [f"{interval.low:.4f}", f"{interval.high:.4f}"]
        for name, p in (("p", one.p), ("pArticle", one.p_article), ("pAdjusted", one.p_adjusted)):
            assert here[name] == pytest.approx(p, abs=2e-4)
        assert here["pArticleAdjusted"] == pytest.approx(one.p_article_adjusted, abs=2e-4)
        assert here["verdict"] == one.verdict.split(" (")[0]
        assert here["thin"] == list(one.thin)
