"""The site in headless Chromium, opened from disk: it works, and asks no host for anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.site.boards import ARABIC, CHINESE, CLOSING, HOSTILE_102, SCRIPT
from tests.site.ratios import made_up
from xqr_bench.studies.ratio.page import write_report_page

playwright_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

WIDTHS = (1400, 400)


class Watched:
    """A page, and what went wrong in it."""

    def __init__(self, page: playwright_api.Page, site: Path) -> None:
        self.page, self.site = page, site
        self.wrong: list[str] = []
        page.on("console", lambda message: self.wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", self._request)

    def _request(self, request: playwright_api.Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.wrong.append(f"request: {request.url}")

    def open(self, name: str) -> playwright_api.Page:
        self.page.goto(f"{self.site.as_uri()}/{name}")
        settled(self.page)
        return self.page


def settled(page: playwright_api.Page) -> None:
    """Wait until the files of what is chosen are read."""
    playwright_api.expect(page.locator("[aria-busy=true]")).to_have_count(0)


def choose(page: playwright_api.Page, place: str, *value: str, **by: str) -> None:
    page.locator(place).select_option(*value, **by)
    settled(page)


def models(page: playwright_api.Page, part: str = "contest") -> list[str]:
    return page.locator(f"#board tbody tr.{part} th a").all_inner_texts()


def column(page: playwright_api.Page, place: int, part: str = "contest") -> list[str]:
    """The figures of a shown column, by its place after model, status and kind."""
    cells = page.locator(f"#board tbody tr.{part}").evaluate_all(
        "(rows, place) => rows.map((row) => row.cells[place].querySelector('.value, .none').firstChild.textContent)",
        place + 3,
    )
    return [str(cell) for cell in cells]


def head(page: playwright_api.Page, text: str) -> playwright_api.Locator:
    return page.locator("#board thead th", has_text=text).first


def sorts(page: playwright_api.Page, text: str, direction: str) -> None:
    """Wait until the column says that it is sorted so: DataTables sorts after the event."""
    playwright_api.expect(head(page, text)).to_have_attribute("aria-sort", direction)
    assert page.locator("th[aria-sort]").count() == 1


def test_sorting(watched: Watched) -> None:
    page = watched.open("index.html")
    sorts(page, "Multilingual", "descending")
    assert column(page, 2)[-1] == "–", "undefined figures stand last"
    head(page, "Monolingual").click()
    sorts(page, "Monolingual", "descending")
    falling = column(page, 0)
    assert falling == sorted(falling, reverse=True)
    head(page, "Monolingual").get_by_role("button").focus()
    page.keyboard.press("Enter")
    sorts(page, "Monolingual", "ascending")
    assert column(page, 0) == falling[::-1]
    head(page, "Model").click()
    sorts(page, "Model", "ascending")
    assert [name for name in models(page) if name.isascii()][-2:] == ["char-ngrams", "evilmodel"]
    for direction in ("descending", "ascending"):
        head(page, "Multilingual").click()
        sorts(page, "Multilingual", direction)
        assert column(page, 2)[-1] == "–", "undefined figures stand last both ways"


def test_published_and_reference_rows_stay_apart(watched: Watched) -> None:
    page = watched.open("index.html")
    for direction in ("descending", "ascending", "descending"):
        head(page, "Cross-lingual").click()
        sorts(page, "Cross-lingual", direction)
        classes = page.locator("#board tbody tr").evaluate_all("rows => rows.map((row) => row.className)")
        kinds = ["part" if "dtrg" in name else name.split()[0] for name in classes]
        assert kinds == ["part", *["contest"] * 7, "part", *["reference"] * 2, "part", *["published"] * 2]


def test_filtering_and_search(watched: Watched) -> None:
    page = watched.open("index.html")
    page.locator("summary", has_text="Filters").click()
    page.locator("[data-filter=status]").select_option("reproduced")
    assert models(page) == ["char-ngrams"]
    assert page.locator("#shown").inner_text().startswith("1 of 11 rows; ")
    page.locator("[data-filter=status]").select_option("published")
    assert models(page) == []
    assert len(models(page, "published")) == 2
    page.locator("button[type=reset]").click()
    playwright_api.expect(page.locator("#shown")).to_have_text(
        "11 of 11 rows"
    )  # asked again without eval, which the policy forbids
    page.locator("[data-filter=kind]").select_option("floor")
    assert models(page, "reference") == ["random"]
    page.locator("[data-filter=kind]").select_option("")
    page.locator("[data-filter=protocol]").select_option("paragraph context")
    assert models(page) == ["evilmodel"]
    page.locator("[data-filter=protocol]").select_option("")
    page.locator("[data-filter=exposure]").select_option("none declared")
    assert "char-ngrams" in models(page)
    assert SCRIPT not in models(page)
    page.locator("[data-filter=exposure]").select_option("")
    for typed, found in (
        ("ngrams", ["char-ngrams"]),
        ("<script>alert(1)", [SCRIPT]),
        ("模型", [CHINESE]),
        ("عربي", [ARABIC]),
    ):
        page.locator("#search").fill(typed)
        assert found[0] in models(page)
        assert len(models(page)) <= 2
    page.locator("#search").fill("nothing like it")
    assert "No row has all that." in page.locator("#board").inner_text()


def test_columns_are_chosen(watched: Watched) -> None:
    page = watched.open("index.html")
    assert page.locator("#board thead tr").nth(1).locator("th").count() == 6
    page.get_by_label("mini", exact=True).uncheck()
    assert models(page) == ["bm25", "char-ngrams"], "rows without a figure in these columns are not shown"
    assert models(page, "published") == []
    page.get_by_label("mini", exact=True).check()
    page.get_by_label("small", exact=True).uncheck()
    assert [cell.split("\n")[0] for cell in page.locator("#board thead tr").nth(1).locator("th").all_inner_texts()] == [
        "Monolingual",
        "Cross-lingual",
        "Multilingual",
    ]
    assert len(models(page)) == 7
    assert len(models(page, "published")) == 2
    before = column(page, 0)
    choose(page, "#metric", "recall@10")
    assert column(page, 0) != before
    assert "share of the relevants" in page.locator("#explain").inner_text()
    choose(page, "#languages", "g:joshi-3")
    heads = page.locator("#board thead tr").nth(1).inner_text()
    for way in ("into", "out of", "within"):
        assert f"Cross-lingual, {way}" in heads
    page.get_by_role("checkbox", name="Cross-lingual").uncheck()
    assert page.locator("#board thead tr").nth(1).locator("th").count() == 2
    choose(page, "#languages", "l:th")
    choose(page, "#metric", "rank_distance")
    heads = page.locator("#board thead tr").nth(1).inner_text()
    assert re.sub(r"\s+", " ", heads).strip() == "Monolingual MAP Multilingual MAP Rank distance"
    choose(page, "#languages", "")
    assert "random 339.2" in page.locator("#board tbody tr.contest", has_text="char-ngrams").inner_text()


def test_the_choice_stands_in_the_address(watched: Watched) -> None:
    """A view that is sent is the same view; back takes the last choice back."""
    page = watched.open("index.html")
    assert page.evaluate("location.hash") == "", "a first view needs no words"
    choose(page, "#metric", "recall@10")
    page.get_by_label("small", exact=True).uncheck()
    page.get_by_role("checkbox", name="Monolingual").uncheck()
    page.locator("summary", has_text="Filters").click()
    page.locator("[data-filter=kind]").select_option("encoder")
    head(page, "Cross-lingual").click()
    sorts(page, "Cross-lingual", "descending")
    page.locator("#search").press_sequentially("模型")
    page.get_by_label("intervals in figures").check()
    settled(page)

    def view() -> tuple[str, list[str]]:
        return page.locator("#board table").inner_text(), models(page)

    sent, seen = page.evaluate("location.hash"), view()
    assert sent.startswith(
        "#search=%E6%A8%A1%E5%9E%8B&metric=recall%4010&task=mini&setting=cross-lingual&setting=multi"
    )
    assert seen[1] == [CHINESE]
    page.goto("about:blank")
    watched.open(f"index.html{sent}")
    assert view() == seen
    assert page.locator("#search").input_value() == "模型"
    assert page.locator("[data-filter=kind]").input_value() == "encoder"
    sorts(page, "Cross-lingual", "descending")
    assert page.evaluate("location.hash") == sent
    assert not page.locator("#strange").is_visible()
    page.locator("button[type=reset]").click()
    playwright_api.expect(page.locator("#shown")).to_have_text("11 of 11 rows")
    assert page.evaluate("location.hash") == ""
    page.go_back()
    settled(page)
    assert view() == seen
    page.go_forward()
    playwright_api.expect(page.locator("#shown")).to_have_text("11 of 11 rows")
    sorts(page, "Multilingual", "descending")
    page.get_by_label("mini", exact=True).uncheck()
    page.get_by_label("small", exact=True).uncheck()
    assert page.evaluate("location.hash").startswith("#task=none")
    page.reload()
    settled(page)
    assert page.locator("#tasks input:checked").count() == 0


def test_an_address_that_asks_for_what_is_not_here(watched: Watched) -> None:
    evil = "%3Cimg src=x onerror=alert(1)%3E"
    page = watched.open(
        f"index.html#metric={evil}&task=mini&sort=small:monolingual&colour=red&status=reproduced&page=7"
    )
    assert models(page) == ["char-ngrams"], "the rest of it is shown"
    said = page.locator("#strange").inner_text()
    assert "metric=<img src=x onerror=alert(1)> (there is: map, " in said
    assert "colour (what can be chosen: search, metric, languages, task, setting, status, kind," in said
    assert "sort=small:monolingual (that column is not shown)" in said
    assert "page=7 (there is: 1)" in said
    page.locator("button[type=reset]").click()
    playwright_api.expect(page.locator("#strange")).to_be_hidden()
    page.keyboard.press("Home")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")  # an address that names a place of the page asks for nothing
    assert page.evaluate("location.hash") == "#main"
    assert not page.locator("#strange").is_visible()


def test_marks_and_intervals(watched: Watched) -> None:
    page = watched.open("index.html")
    assert page.locator("#board .mark.best").count() == 3, "one a setting of the one contest"
    assert page.locator("#board .mark.tied").count() >= 1
    assert page.locator("#board tr.published .mark").count() == 0
    row = page.locator("#board tbody tr.contest", has_text="bm25")
    assert "95% interval over questions" in str(row.locator("td div[title]").first.get_attribute("title"))
    assert row.locator("svg.ci .span").count() == 6
    assert not row.locator(".range").first.is_visible()
    page.get_by_label("intervals in figures").check()
    assert re.fullmatch(r"0\.\d{3} to 0\.\d{3}", row.locator(".range").first.inner_text())
    choose(page, "#metric", "mrr")
    assert page.locator("#board .mark").count() == 0, "only MAP is tested"


def test_the_page_without_scripts_shows_the_same_figures(browser: playwright_api.Browser, site: Path) -> None:
    found = []
    for scripts, name in ((True, "index.html"), (False, "table.html")):
        context = browser.new_context(java_script_enabled=scripts, viewport={"width": 1400, "height": 900})
        page = context.new_page()
        page.goto((site / name).as_uri())
        rows = {}
        for line in page.locator("#board tbody tr").filter(has=page.locator("th a")).all():
            figures = line.locator("td .value").all_inner_texts()
            rows[str(line.locator("a").get_attribute("href"))] = figures
        found.append(rows)
        context.close()
    assert found[0] == found[1]
    assert len(found[0]) == 11


def test_comparing(watched: Watched) -> None:
    page = watched.open("index.html")
    page.locator("#board a", has_text="char-ngrams").click()
    page.locator("a", has_text="Compare it").click()
    settled(page)
    assert page.locator("#a").evaluate("select => select.selectedOptions[0].textContent") == "char-ngrams"
    choose(page, "#b", label="bm25")
    [a, b, difference] = page.locator("#by-setting tbody tr").first.locator("td").all_inner_texts()
    assert float(difference.replace("−", "-")) == pytest.approx(float(b) - float(a), abs=0.0011)
    assert page.locator("#by-language tbody tr").count() == 11
    assert page.locator("#by-pair tbody td.shade").count() == 110
    command = page.locator("#command").inner_text()
    assert command == "xqr-bench compare leaderboard/org__char-ngrams/r0/mini.json leaderboard/org__bm25/r1/mini.json"
    assert "by article" in page.locator("#tests").inner_text()
    page.locator("#swap").click()
    settled(page)
    swapped = page.locator("#by-setting tbody tr").first.locator("td").all_inner_texts()
    assert swapped[:2] == [b, a]
    page.reload()
    settled(page)
    assert page.locator("#by-setting tbody tr").first.locator("td").all_inner_texts() == swapped, "kept in the address"
    choose(page, "#metric", "rank_distance")
    assert page.locator("#by-setting tbody th").all_inner_texts()[0] == "Multilingual"
    assert not page.locator("#pairs").is_visible()
    choose(page, "#b", label="A paper's model (x-x)")
    assert "no test is possible" in page.locator("#notes").inner_text()
    assert page.locator("#command").inner_text() == "xqr-bench compare A.json B.json"
    choose(page, "#task", "small")
    assert page.locator("#a option").count() == 2


def test_hostile_names_are_text(watched: Watched) -> None:
    page = watched.open("index.html")
    shown = models(page)
    for name in (SCRIPT, CLOSING, ARABIC, CHINESE):
        assert name in shown
    for name in (SCRIPT, CLOSING):
        page = watched.open("index.html")
        page.locator("#search").fill(name[:20])
        page.locator("#board tr.contest a").filter(has_text=name).first.click()
        assert page.locator("h1").inner_text() == name
    page = watched.open("compare.html")
    for name in (SCRIPT, CLOSING):
        choose(page, "#b", label=name)
        assert name in page.locator("#who").inner_text()
    assert page.locator("img").count() == 0


def test_102_hostile_names_run_no_script(browser: playwright_api.Browser, hostile_site: Path) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    watched = Watched(context.new_page(), hostile_site)
    assert sorted(models(watched.open("index.html"))) == sorted(HOSTILE_102)
    assert set(HOSTILE_102) <= set(watched.open("compare.html").locator("#b option").all_inner_texts())
    for path in sorted((hostile_site / "models").glob("*.html")):
        assert watched.open(f"models/{path.name}").locator("h1").inner_text() in HOSTILE_102
    for path in sorted((hostile_site / "models").glob("*.js")):  # each of them loaded by the comparison
        page = watched.open(f"compare.html#a={path.stem}")
        playwright_api.expect(page.locator("#by-setting tbody tr").first).to_be_visible()
    page = watched.open("index.html")
    choose(page, "#metric", "recall@10")
    playwright_api.expect(page.locator("#caption")).to_contain_text("Recall@10")
    context.close()
    assert not watched.wrong


def test_right_to_left_and_chinese_names(watched: Watched) -> None:
    page = watched.open("index.html")
    directions = page.locator("#board th bdi").evaluate_all(
        "all => Object.fromEntries(all.map((one) => [one.textContent, getComputedStyle(one).direction]))"
    )
    assert directions[ARABIC] == "rtl"
    assert directions[CHINESE] == "ltr"
    assert page.locator("html").get_attribute("dir") == "ltr"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_in_both_modes_and_widths(browser: playwright_api.Browser, site: Path, scheme: str) -> None:
    grounds = set()
    made = sorted(str(path.relative_to(site)) for path in (site / "models").glob("*.html"))
    pages = [
        "index.html",
        "compare.html",
        "about.html",
        "table.html",
        "frontier.html",
        "models/org__char-ngrams--r0.html",
        made[-3],
        made[4],
    ]
    for width in WIDTHS:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        watched = Watched(context.new_page(), site)
        for name in pages:
            page = watched.open(name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways at {width}"
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        context.close()
        assert not watched.wrong
    assert grounds == {"rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 27)"}


def test_what_is_folded_of_further_tasks_opens_by_its_link(watched: Watched, site: Path) -> None:
    """The page of a row with several tasks shows the first whole, and of the others the scores."""
    pages = sorted((site / "models").glob("*.html"))
    several = next(path.name for path in pages if "Tasks on this page" in path.read_text("utf-8"))
    page = watched.open(f"models/{several}")
    tasks = page.locator("section.task")
    assert page.locator("section.task > details.part").count() == tasks.count() - 1
    first, second = tasks.nth(0), tasks.nth(1)
    playwright_api.expect(first.get_by_text("Make it again")).to_be_visible()
    playwright_api.expect(second.locator("table").first).to_be_visible()
    playwright_api.expect(second.get_by_text("Make it again")).to_be_hidden()
    second.locator("a", has_text="the submitter declares").click()
    playwright_api.expect(second.get_by_text("Make it again")).to_be_visible()


def test_by_keyboard(watched: Watched) -> None:
    page = watched.open("index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "(() => { const at = document.activeElement; return at.id || at.getAttribute('role') || at.tagName })()"
            )
        )
    assert {"search", "metric", "languages", "board", "button", "A"} <= seen


@pytest.mark.parametrize("width", WIDTHS)
def test_the_ratio_page_shows_what_is_chosen(browser: playwright_api.Browser, tmp_path: Path, width: int) -> None:
    write_report_page(made_up(), tmp_path / "ratios.html", "ratios.json")
    page = browser.new_page(viewport={"width": width, "height": 900})
    watched = Watched(page, tmp_path)
    watched.open("ratios.html")
    shown = page.locator(".block:visible h3")
    assert shown.all_inner_texts() == ["Multilingual MAP, all languages"]
    page.get_by_role("navigation", name="Conditions").get_by_role("link", name="S3").click()
    assert page.locator("h2").first.inner_text() == "S3: made up"
    page.select_option("#part", "language")
    page.select_option("#kind", "difference")
    chosen = ["Multilingual MAP, query languages: difference from alpha .5"]
    assert shown.all_inner_texts() == chosen
    assert page.locator(".block:visible svg .centred").first.is_visible()
    page.uncheck("#centred")
    assert not page.locator(".block:visible svg .centred").first.is_visible()
    page.reload()  # the choice stands in the address
    assert shown.all_inner_texts() == chosen
    assert not page.is_checked("#centred")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.go_back()
    assert page.is_checked("#centred")
    page.go_back()
    assert shown.all_inner_texts() == ["Multilingual MAP, query languages"]
    assert not page.locator("#strange").is_visible()
    page.goto(f"{(tmp_path / 'ratios.html').as_uri()}#measure=nothing&part=language&size=3")
    assert shown.all_inner_texts() == ["Multilingual MAP, query languages"]
    said = page.locator("#strange").inner_text()
    assert "measure=nothing (there is: monolingual-map, multilingual-map, multilingual-rank_distance)" in said
    assert "size (what can be chosen: measure, part, kind, raw, centred)" in said
    page.locator("summary", has_text="Raw, 100% of the updates: arms").click()
    assert page.get_by_role("region", name="S1b, raw, 100% of the updates: arms").is_visible()
    assert watched.wrong == []
    page.close()
