"""The pages for everybody: axe finds nothing, the keyboard reaches everything, they load fast and stay in place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.site.boards import small_board
from tests.site.test_pages import stylesheet_colours
from xqr_bench.board.files import RATIOS
from xqr_bench.board.site import build_site
from xqr_bench.studies.ratio.form import load_ratios
from xqr_bench.studies.ratio.page import ratio_pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SHIPPED = Path(__file__).parents[2] / "leaderboard" / RATIOS
PAGES = (
    "index.html",
    "compare.html",
    "ratio.html",
    "ratio-s3.html",
    "frontier.html",
    "about.html",
    "table.html",
    "models/org__char-ngrams--r0.html",
    "models/published--a-paper-s-model--x-x.html",
)
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((one) => one.value)))
  .observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with every kind of page, that of the study with its real figures."""
    folder = tmp_path_factory.mktemp("whole") / "site"
    build_site(small_board(), folder, ratio_pages(load_ratios(SHIPPED)))
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    made = browser.new_page(viewport={"width": 1400, "height": 900})
    yield made
    made.close()


def opened(page: Page, site: Path, name: str) -> Page:
    page.goto("about:blank")  # else an address that differs in what follows # loads nothing
    page.goto(f"{site.as_uri()}/{name}")
    page.wait_for_function("document.querySelector('[aria-busy=true]') === null")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, whole: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.emulate_media(color_scheme=scheme)
    found = []
    for name in PAGES:
        for fault in axe.run(opened(page, whole, name)).response["violations"]:
            found.append((name, fault["id"], [node["html"][:200] for node in fault["nodes"]]))
    for name in ("index.html", "ratio.html", "models/org__char-ngrams--r0.html"):
        opened(page, whole, name).evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        found += [(f"{name}, opened", fault["id"], []) for fault in axe.run(page).response["violations"]]
    assert found == []


def test_at_twice_the_size(browser: Browser, whole: Path) -> None:
    """A window of 700 pixels at 200%: tables scroll in their own boxes, and nothing else does."""
    page = browser.new_page(viewport={"width": 350, "height": 450}, device_scale_factor=2)
    for name in PAGES:
        assert opened(page, whole, name).evaluate("document.documentElement.scrollWidth") <= 350, name
        cut = page.evaluate(
            """() => ["h1", "h2", "h3", "p", "li", "summary", "label"]
              .flatMap((name) => [...document.querySelectorAll(`main ${name}`)])
              .filter((one) => one.offsetParent && !one.closest(".scroll, .vh") && one.scrollWidth > one.clientWidth + 1
                && getComputedStyle(one).display !== "inline" && !one.classList.contains("skip"))
              .map((one) => one.textContent.trim().slice(0, 80))"""
        )
        assert cut == [], name
    page.close()


def test_the_study_is_found_on_one_screen(page: Page, whole: Path) -> None:
    for name in ("ratio.html", "ratio-s3.html"):
        opened(page, whole, name)
        box = page.locator(".block:visible svg.curve").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 900, "findings and curve"
        assert page.evaluate("document.documentElement.scrollHeight") < 2_500, name
    page.set_viewport_size({"width": 400, "height": 900})
    assert opened(page, whole, "ratio.html").evaluate("document.documentElement.scrollHeight") < 4_000


def test_a_first_view_is_light_and_stays_in_place(page: Page, whole: Path) -> None:
    page.add_init_script(SHIFTS)
    for width in (1400, 400):
        page.set_viewport_size({"width": width, "height": 900})
        for name in PAGES:
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            opened(page, whole, name)
            page.wait_for_timeout(150)
            files = {Path(url.removeprefix("file://").split("#")[0]) for url in asked if url.startswith("file:")}
            assert whole / name in files
            assert sum(file.stat().st_size for file in files) < 1_000_000, name
            assert sum(page.evaluate("window.shifts")) < 0.01, (name, width)


def test_everything_is_reached_by_keyboard_and_seen(page: Page, whole: Path) -> None:
    for name in PAGES:
        opened(page, whole, name)
        wanted = page.evaluate(
            """() => {
              const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
              const there = all.filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled);
              there.forEach((one, place) => (one.dataset.place = place));
              return there.length;
            }"""
        )
        reached: set[str] = set()
        for _ in range(wanted + 5):
            page.keyboard.press("Tab")
            place, outline = page.evaluate(
                """() => { const at = document.activeElement;
                  return [at.dataset.place ?? "", getComputedStyle(at).outlineStyle] }"""
            )
            assert not place or outline == "solid", f"{name}: focus on {place} cannot be seen"
            reached.add(place)
        assert len(reached - {""}) == wanted, name


def test_the_table_is_sorted_by_buttons(page: Page, whole: Path) -> None:
    opened(page, whole, "index.html")
    assert page.locator("#board thead th[aria-sort]").count() == 1
    buttons = page.locator("#board thead").get_by_role("button")
    assert buttons.count() == 3 + 2 * 3, "model, status, kind, and three settings of two tasks"
    for button in buttons.all():
        assert button.get_attribute("tabindex") == "0"
        assert button.get_attribute("aria-label")


# Colours: what red-green, and blue-yellow, blindness leaves of them (Machado et al. 2009, severity 1, linear RGB).

BLIND = {
    "none": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def _lab(colour: str, blindness: str) -> np.ndarray:
    """CIE Lab (D65) of a colour as it is seen."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(BLIND[blindness] @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    scaled = to_xyz @ seen / np.array([0.9505, 1.0, 1.089])
    root = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("blindness", BLIND)
@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_that_mean_something_are_told_apart(mode: int, blindness: str) -> None:
    """Raw and centred, more and less: a difference (CIE 1976) of 20 is seen at a glance; 2.3 is just seen."""
    colours = stylesheet_colours(mode)
    for one, other in combinations(("up", "down", "ink"), 2):
        distance = np.linalg.norm(_lab(colours[one], blindness) - _lab(colours[other], blindness))
        assert distance > 20, (one, other, distance)
    rising = [_lab(colours[f"r{shade}"], blindness)[0] for shade in range(10)]
    assert rising == sorted(rising, reverse=mode == 0), "a heat map is read by its lightness alone"
    for low, high in ((0, 9), (1, 8), (2, 7), (3, 6)):
        ends = [_lab(colours[f"t{shade}"], blindness) for shade in (low, high)]
        assert np.linalg.norm(ends[0] - ends[1]) > 20, (low, high)
