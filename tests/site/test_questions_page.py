"""The page of `inspect` in a browser: on a wide and a narrow screen, in light and dark, and in every script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from xqr_bench import evaluate
from xqr_bench.analysis.questions import Questions, texts_of
from xqr_bench.report.questions_page import questions_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    record = evaluate("char-ngrams", "mini")
    questions = Questions(record, texts_of(record), against=evaluate("random:1", "mini"))
    path: Path = tmp_path_factory.mktemp("questions") / "page.html"
    path.write_text(questions_page(questions, [questions.view(one) for one in questions.worst(3)]), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("width", [1400, 400, 320])
def test_it_fits_and_every_text_runs_in_its_direction(browser: Browser, address: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(address)
    assert page.locator("details[open]").count() == 3, "of each question the worst language"
    page.locator("summary").nth(1).press("Enter")
    assert page.locator("details[open]").count() == 4
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = "(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    assert page.locator("li, summary, h2, div[dir]").evaluate_all(cut) == 0
    for code, expected in (("ar", "rtl"), ("hi", "ltr"), ("th", "ltr"), ("zh", "ltr")):
        texts = page.locator(f"[lang={code}]")
        found = texts.evaluate_all("(all) => [...new Set(all.map((one) => getComputedStyle(one).direction))]")
        assert (texts.count() > 20, found) == (True, [expected])
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, address: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert [fault["id"] for fault in axe.run(page).response["violations"]] == []
    context.close()
