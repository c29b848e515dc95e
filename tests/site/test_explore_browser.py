"""The page of single questions in headless Chromium, opened from disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.board.conftest import mini_board  # noqa: F401
from tests.site.explored import NOT_KEPT, built, make_folder
from tests.site.test_access import SHIFTS
from tests.site.test_browser import WIDTHS, Watched, choose, playwright_api, settled
from xqr_bench.record import load_record
from xqr_bench.record.top_file import save_top
from xqr_bench.tasks import load_task

expect = playwright_api.expect


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """With texts, and without."""
    folder = tmp_path_factory.mktemp("explored")
    board = make_folder(folder)
    return {texts: built(board, folder / f"site-{texts}", texts=texts) for texts in (True, False)}


@pytest.fixture
def site(sites: dict[bool, Path]) -> Path:
    return sites[True]


def address(page: playwright_api.Page) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(str(page.evaluate("location.hash")).removeprefix("#")).items()}


def test_a_question_and_what_stood_on_top(watched: Watched) -> None:
    task = load_task("mini")
    page = watched.open("explore.html")
    choose(page, "#language", "ar")
    chosen = address(page)
    query = next(one for one in task.queries if one.id == f"ar:{chosen['question']}")
    assert page.locator("#asked bdi").inner_text() == query.text
    assert page.locator("#asked bdi").get_attribute("lang") == "ar"
    relevants = [task.candidates[place] for place in task.relevants[task.queries.index(query)]]
    assert page.locator("#answers bdi").all_inner_texts() == [one.text for one in relevants]
    assert page.locator("#ranks tbody tr").count() == 3
    heads = page.locator("#ranks thead th").all_inner_texts()
    assert heads == ["Encoder", *dict.fromkeys(one.language for one in relevants)]
    ngrams = page.locator("#tops article", has_text="char-ngrams")
    shown = ngrams.locator("li:visible")
    assert shown.count() == 5
    ngrams.locator("summary").click()
    expect(shown).to_have_count(20)
    texts = {one.text for one in relevants}
    right = ngrams.locator("li", has_text="✓ answers it")
    assert right.count() >= 1
    assert set(right.locator("bdi").all_inner_texts()) <= texts
    assert not set(ngrams.locator("li", has_text="✗ does not").locator("bdi").all_inner_texts()) & texts
    cells = page.locator("#ranks tbody tr", has_text="char-ngrams").locator("td").all_inner_texts()
    places = [n + 1 for n, text in enumerate(shown.locator("bdi").all_inner_texts()) if text in texts]
    assert places == sorted(int(cell) for cell in cells if cell.isdigit() and int(cell) <= 20), "the ranks say the same"
    assert page.locator("#untold").inner_text() == f"Not kept, so that only ranks are known: {NOT_KEPT}."
    assert "Apache-2.0" in page.locator("#licence").inner_text()
    assert not page.locator("#without").is_visible()


def test_the_address_opens_it_again(watched: Watched) -> None:
    page = watched.open("explore.html")
    page.locator("#after").click()
    settled(page)
    choose(page, "#language", "th")
    choose(page, "#among", "own")
    question = address(page)["question"]
    said, table = page.locator("#asked").inner_text(), page.locator("#ranks").inner_text()
    assert "its own language" in page.locator("#ranks caption").inner_text()
    page.reload()
    settled(page)
    assert (page.locator("#asked").inner_text(), page.locator("#ranks").inner_text()) == (said, table)
    again = watched.open("index.html")
    again.goto(f"{watched.site.as_uri()}/explore.html#task=mini&question=nobody&language=xx")
    settled(again)
    assert "There is no question nobody in" in again.locator("#missing").inner_text()
    assert again.locator("#asked").inner_text()
    assert "language=xx (there is: ar, de," in again.locator("#strange").inner_text()
    page.goto(f"{watched.site.as_uri()}/explore.html#task=mini&question={question}&language=th&among=own")
    expect(page.locator("#asked")).to_have_text(said)  # of the page that is open already
    settled(page)
    assert page.locator("#ranks").inner_text() == table
    assert not page.locator("#strange").is_visible()


def test_a_first_view_stays_in_place(watched: Watched) -> None:
    watched.page.add_init_script(SHIFTS)
    for width in WIDTHS:
        watched.page.set_viewport_size({"width": width, "height": 900})
        page = watched.open("explore.html")
        expect(page.locator("#ranks")).to_be_visible()
        page.wait_for_timeout(150)
        assert sum(page.evaluate("window.shifts")) < 0.01, width
        page.goto("about:blank")


def test_it_is_found_by_its_words(watched: Watched) -> None:
    page = watched.open("explore.html")
    for code in ("zh", "hi", "ar"):
        choose(page, "#language", code)
        asked = [query for query in load_task("mini").queries if query.language == code]
        page.locator("#search").fill("")
        expect(page.locator("#count")).to_have_text("24 of 24 questions")
        page.locator("#search").fill(asked[7].text)
        expect(page.locator("#count")).to_have_text("1 of 24 questions")
        settled(page)
        assert page.locator("#asked").inner_text() == asked[7].text
    page.locator("#search").fill("nothing like it")
    expect(page.locator("#count")).to_have_text("0 of 24 questions")
    assert not page.locator("#result").is_visible()


def test_scripts_run_in_their_direction(watched: Watched) -> None:
    page = watched.open("explore.html")
    for code, direction in (("ar", "rtl"), ("hi", "ltr"), ("th", "ltr"), ("zh", "ltr")):
        choose(page, "#language", code)
        for place in ("#asked bdi", f"#answers bdi[lang={code}]", f"#tops bdi[lang={code}]"):
            assert page.locator(place).first.evaluate("one => getComputedStyle(one).direction") == direction
    page.locator("#others summary").click()
    expect(page.locator("#versions bdi")).to_have_count(10)
    asked = {query.text for query in load_task("mini").queries}
    assert set(page.locator("#versions bdi").all_inner_texts()) <= asked


def test_by_keyboard(watched: Watched) -> None:
    page = watched.open("explore.html")
    page.locator("#question").focus()
    first = page.locator("#asked").inner_text()
    page.keyboard.press("ArrowDown")
    settled(page)
    second = page.locator("#asked").inner_text()
    assert second != first
    page.locator("#after").focus()
    page.keyboard.press("Enter")
    settled(page)
    page.locator("#before").focus()
    page.keyboard.press("Space")
    settled(page)
    assert page.locator("#asked").inner_text() == second
    page.locator("#task").focus()
    order = []
    for _ in range(12):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert order[:6] == ["language", "among", "search", "question", "before", "after"]


def test_without_texts_ids_are_shown(browser: playwright_api.Browser, sites: dict[bool, Path]) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 900})
    watched = Watched(page, sites[False])
    watched.open("explore.html")
    chosen = address(page)
    assert page.locator("#asked").inner_text() == chosen["question"]
    assert page.locator("#question option").first.inner_text().startswith("1. article 1, ")
    assert "xqr-bench leaderboard build --texts" in page.locator("#without").inner_text()
    assert page.locator("#answers code").first.inner_text().count(":") >= 1
    assert page.locator("#tops li code").count() == 10
    page.locator("#search").fill(chosen["question"])
    settled(page)
    assert not page.locator("#licence").is_visible()
    assert watched.wrong == []
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_both_modes_and_widths(
    browser: playwright_api.Browser,
    sites: dict[bool, Path],
    scheme: str,
    width: int,
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    watched = Watched(context.new_page(), sites[True])
    for code in ("ar", "zh"):
        page = watched.open(f"explore.html#language={code}")
        page.locator("#tops summary").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        first, second = (page.locator("#tops article").nth(n).bounding_box() for n in (0, 1))
        assert first is not None
        assert second is not None
        assert first["y"] == second["y"], "encoders stand side by side"
        assert first["x"] + first["width"] < second["x"] < width - 20, "and the next one can be seen"
    context.close()
    assert not watched.wrong


def test_a_file_that_is_missing_is_told(browser: playwright_api.Browser, sites: dict[bool, Path]) -> None:
    start = sites[False] / "explore" / "mini" / "0.js"
    start.rename(start.with_suffix(".gone"))
    try:
        page = browser.new_page()
        page.goto(f"{sites[False].as_uri()}/explore.html")
        expect(page.locator("#unread")).to_contain_text("explore/mini/0.js of this site is missing")
        settled(page)
        page.close()
    finally:
        start.with_suffix(".gone").rename(start)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: playwright_api.Browser, sites: dict[bool, Path], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
    for texts, site in sites.items():
        page.goto(f"{site.as_uri()}/explore.html#language=ar")
        settled(page)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        if texts:
            expect(page.locator("#versions bdi")).to_have_count(10)
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in axe.run(page).response["violations"]] == []
    page.close()


def test_hostile_ids_are_text(browser: playwright_api.Browser, tmp_path: Path) -> None:
    """Ids of candidates that answer nothing are the submitter's word: nobody can hold them against the ranks."""
    board = make_folder(tmp_path / "made")
    (path,) = board.glob("char-ngrams/*/mini.json")
    record = load_record(path, ranks=True, whole=False)
    top, answers = record.top_candidates(), set(record.ranks.relevant_ids)
    query, place = next(
        (query, place)
        for query in range(record.ranks.n_queries)
        for place, (name, *_) in enumerate(top.of_query(query)[:5])
        if name not in answers
    )
    number = int(top.places[query, place])
    hostile = f"{top.ids[number].partition(':')[0]}:<img src=x onerror=alert(1)></script>"
    ids = [hostile if at == number else name for at, name in enumerate(top.ids)]
    save_top(replace(top, ids=ids), path.with_suffix(".top.parquet"))
    for texts in (False, True):
        page = browser.new_page()
        watched = Watched(page, built(board, tmp_path / f"site-{texts}", texts=texts))
        language, question = record.ranks.query_languages[query], record.ranks.question_ids[query]
        watched.open(f"explore.html#question={question}&language={language}")
        shown = page.locator("#tops article", has_text="char-ngrams").locator("li").nth(place)
        assert shown.locator("code").inner_text() == hostile
        assert page.locator("img").count() == 0
        assert watched.wrong == []
        page.close()
