"""The built pages, read as files: well-formed, escaped, self-contained, the same each time."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.site.boards import (
    ARABIC,
    BAD_URL,
    CHINESE,
    CLOSING,
    HOSTILE,
    HOSTILE_102,
    SCRIPT,
    small_board,
)
from xqr_bench.board.model import Leaderboard, Row
from xqr_bench.board.site.build import make_pages
from xqr_bench.board.site.html import (
    asset,
    datatables,
    file_stem,
    group_label,
    metric_label,
    number,
    p_value,
    safe_url,
    short_number,
    unique_stems,
)
from xqr_bench.board.site.payload import embedded_json, frontier_panels, loaded_file, make_entries, page_data

Element = ElementTree.Element
SVG = "{http://www.w3.org/2000/svg}svg"
XLINK = "{http://www.w3.org/1999/xlink}href"
FETCHED = {"img", "script", "iframe", "embed", "object", "video", "audio", "source", "track", "use", "image", "form"}


@pytest.fixture(scope="module")
def pages(board: Leaderboard) -> dict[str, Element]:
    """Path -> document; html5lib raises at the first fault."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return {name: parser.parse(text) for name, text in make_pages(board).items() if name.endswith(".html")}


def test_one_page_a_model_and_the_others(pages: dict[str, Element], board: Leaderboard) -> None:
    entries = make_entries(board)
    assert len(entries) == 11
    fixed = {"index.html", "compare.html", "about.html", "table.html", "frontier.html"}
    assert set(pages) == {*fixed, *(entry.page for entry in entries)}


def test_the_same_leaderboard_gives_the_same_bytes(board: Leaderboard) -> None:
    again = Leaderboard.model_validate(small_board().model_dump())
    assert make_pages(board) == make_pages(again)


def test_names_are_text_and_never_markup(pages: dict[str, Element]) -> None:
    for name, page in pages.items():
        assert not list(page.iter("img")), name
        scripts = list(page.iter("script"))
        assert all(element.get("type") in ("module", "application/json") for element in scripts), name
        assert not any(key.startswith("on") for element in page.iter() for key in element.attrib), name
        assert not any("style" in element.attrib for element in page.iter()), f"{name}: the policy forbids them"
    shown = {"".join(page.find(".//h1").itertext()) for page in pages.values()}
    assert {SCRIPT, CLOSING, ARABIC, CHINESE, "evilmodel"} <= shown
    for page in pages.values():
        for element in page.iter("bdi"):
            assert element.get("dir") == "auto"


def test_102_hostile_names_add_no_element(hostile_site: Path) -> None:
    """Each model's page has the tags of every other, whatever the model is called."""
    texts = [path.read_text(encoding="utf-8") for path in (hostile_site / "models").glob("*.html")]
    assert len(texts) == len(set(HOSTILE_102)) == 102
    assert len({tuple(re.findall(r"<[!/]?[a-zA-Z][a-zA-Z0-9]*", text)) for text in texts}) == 1


def test_no_declared_text_turns_a_line_around(board: Leaderboard) -> None:
    """Not even in the command that a reader is to copy: what is shown is what stands there."""
    steering = "run\u202esaelp\u2066\x1b[31m\x07"
    row = board.rows[0]
    changed = {
        "warnings": [steering],
        "training": {steering: steering},
        "run_group": {"arm": [steering]},
        "reproduce": row.reproduce.model_copy(update={"command": f"xqr-bench evaluate x --name {steering}"}),
        "exposure": row.exposure.model_copy(update={"note": steering, "sources": [steering]}),
    }
    pages = make_pages(board.model_copy(update={"rows": [row.model_copy(update=changed)]}))
    written = {name: text for name, text in pages.items() if name.endswith(".html")}
    assert max(text.count("run\ufffdsaelp") for text in written.values()) >= 6
    for name, text in written.items():
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b\x07]", text), name


def test_embedded_json_cannot_end_its_script(board: Leaderboard) -> None:
    text = embedded_json({"name": CLOSING + SCRIPT + "<!--\u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"name": CLOSING + SCRIPT + "<!--\u2028"}
    found = page_data(board, make_entries(board))
    assert json.loads(embedded_json(found)) == json.loads(json.dumps(found))


# Files that pages load: their first view stays small.


def test_a_loaded_file_is_one_call_with_one_string() -> None:
    value = {"__proto__": [CLOSING, SCRIPT, "\"'`${1}\\\u2028", "\ud800"], "b": None}
    text = loaded_file(value)
    assert not set("<>&\u2028") & set(text)
    call = re.fullmatch(r'receive\(("(?:[^"\\\n]|\\.)*")\)\n', text)
    assert call
    value["__proto__"][-1] = "?"  # half a character cannot be written
    assert json.loads(json.loads(call[1])) == value


def received(text: str) -> object:
    return json.loads(json.loads(text.removeprefix("receive(").removesuffix(")\n")))


def test_a_file_of_figures_holds_what_the_board_has(board: Leaderboard) -> None:
    pages, entries = make_pages(board), make_entries(board)
    found = received(pages["figures/recall-10/joshi-3.js"])
    place = next(place for place, entry in enumerate(entries) if entry.model == "char-ngrams")
    scores = entries[place].rows["mini"].scores
    ways = [("monolingual", ""), ("cross-lingual", ""), ("multilingual", "")]
    ways += [("cross-lingual", way) for way in (":into", ":out-of", ":within")]
    wanted = [scores[setting].by_group.get("joshi-3" + way, {}).get("recall@10") for setting, way in ways]
    assert [cell and cell[0] for cell in found[place][0]] == [
        figure and float(f"{figure.value:.6g}") for figure in wanted
    ]
    assert found[-1][1] is None, "a paper's row is of one task"
    bias = received(pages["figures/rank_distance/th.js"])[place][0]
    value = entries[place].rows["mini"].bias.by_query_language["th"]["rank_distance"].value
    assert [len(bias), bias[0][0]] == [1, pytest.approx(value, rel=1e-5)]
    metrics = {name.split("/")[1] for name in pages if name.startswith("figures/")}
    assert metrics == {re.sub("[^a-z0-9._-]", "-", name.lower()) for name in board.metrics}
    assert "figures/map/all.js" not in pages, "they stand in the index"


def test_a_row_weighs_little_in_a_first_view(board: Leaderboard) -> None:
    """A first view of 1,000 rows stays below 1 MB: the pages that hold all rows hold a line of each."""
    few, many = (make_pages(board.model_copy(update={"rows": copies(board.rows[0], n)})) for n in (20, 120))
    weight = {name: len(many[name].encode()) - len(few[name].encode()) for name in ("index.html", "compare.html")}
    assert weight["index.html"] / 100 < 290, "two tasks, three settings, and names of 60 characters"
    assert weight["compare.html"] / 100 < 110
    assert len(few["index.html"].encode()) < 680_000, "of which DataTables are 620,000"


def copies(row: Row, n: int) -> list[Row]:
    """A row of a long name on two tasks, n times."""
    return [
        row.model_copy(
            update={
                "id": f"{task}/{place}",
                "task": task,
                "folder": f"some-organisation__multilingual-encoder-of-some-size-v2.{place:04}",
                "model": f"some-organisation/multilingual-encoder-of-some-size-v2.{place:04}",
                "version": f"{place:012x}",
            }
        )
        for place in range(n)
        for task in ("mini", "small")
    ]


def test_all_links_resolve(pages: dict[str, Element]) -> None:
    ids = {name: {element.get("id") for element in page.iter()} for name, page in pages.items()}
    for name, page in pages.items():
        for element in page.iter("a"):
            address = urlsplit(element.get("href") or "")
            if address.scheme:
                assert address.scheme in ("http", "https")
                assert "noopener" in (element.get("rel") or "")
                continue
            target = str(Path(name).parent / unquote(address.path)) if address.path else name
            target = re.sub(r"(^|/)[^/]+/\.\./", r"\1", target)
            if target == "leaderboard.json":
                continue
            assert target in pages, f"{name} -> {element.get('href')}"
            if address.fragment and "=" not in address.fragment:
                assert address.fragment in ids[target], f"{name} -> {element.get('href')}"


def test_unsafe_addresses_are_shown_and_not_linked(pages: dict[str, Element]) -> None:
    links = [element.get("href") for page in pages.values() for element in page.iter("a")]
    assert "https://example.org/paper" in links
    assert not any(link and link.startswith("javascript") for link in links)
    assert any(BAD_URL in "".join(page.itertext()) for page in pages.values())


def test_nothing_is_fetched(pages: dict[str, Element]) -> None:
    for name, page in pages.items():
        for element in page.iter():
            if element.tag == "link":
                assert element.get("href") == "data:,", name
            if element.tag.split("}")[-1] in FETCHED:
                assert not {"src", "href", "data", "action", "srcset", XLINK} & set(element.attrib), name
    style = asset("site.css")
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_this_style_and_this_script_and_no_more(pages: dict[str, Element]) -> None:
    def digest(text: str | None) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256((text or "").encode()).digest()).decode()

    for name, page in pages.items():
        metas = [element.get("content") for element in page.iter("meta") if element.get("http-equiv")]
        policy, *more = [dict(part.strip().split(" ", 1) for part in str(meta).split(";")) for meta in metas]
        scripts = [element.text for element in page.iter("script") if element.get("type") == "module"]
        [style] = [element.text for element in page.iter("style")]
        assert policy == {
            "default-src": "'none'",
            "script-src": f"'{digest(scripts[0])}' 'strict-dynamic'" if scripts else "'none'",
            "style-src": f"'{digest(style)}'",
            "img-src": "data:",
            "base-uri": "'none'",
            "form-action": "'none'",
        }, name
        assert bool(scripts) == (name in ("index.html", "compare.html"))
        # both policies hold: what this script adds, and of that only files of the site
        assert more == ([{"script-src": f"'{digest(scripts[0])}' 'self' file:"}] if scripts else []), name


def test_tables_have_captions_and_scopes(pages: dict[str, Element]) -> None:
    for name, page in pages.items():
        assert page.get("lang") == "en"
        for table in page.iter("table"):
            if not list(table):
                continue  # filled by a script
            assert table.find("caption") is not None, name
            assert all(cell.get("scope") for cell in table.iter("th")), name
        for box in page.iter("div"):
            if box.get("class", "").split()[:1] == ["scroll"]:
                assert (box.get("role"), box.get("tabindex")) == ("region", "0")
                assert box.get("aria-label")


def test_a_model_page_has_its_parts(pages: dict[str, Element]) -> None:
    page = pages["models/org__char-ngrams--r0.html"]
    text = " ".join(" ".join(page.itertext()).split())
    assert len(list(page.iter(SVG))) == 2 * 3, "two tasks, three settings"
    for drawing in page.iter(SVG):
        assert drawing.get("role") == "img"
        assert drawing.get("aria-label")
    assert "xqr-bench evaluate char-ngrams" in text
    assert "xqr-bench recompute leaderboard/org__char-ngrams/r0/mini.json" in text
    for part in (
        "Scores",
        "By query language",
        "By language pair",
        "Language bias",
        "Its files",
        "the lab (unsigned) states that the encoder was run again.",
        "Declared by the submitter No rank can prove what follows.",
        "Name, kind, protocol and version as declared by the submitter.",
        "Arabic ar",
    ):
        assert part in text
    proved, declared = text.split("Declared by the submitter No rank", maxsplit=2)[:2]
    assert "Macro averages, with 95% intervals over questions; proved" in proved
    assert "What it may have seen of the task" in declared
    assert "What it may have seen of the task" not in proved
    heat = [table for table in page.iter("table") if "heat" in table.get("class", "")]
    assert len(heat) == 2 * 2
    assert all(len(list(table.iter("td"))) == 11 * 11 for table in heat)


def test_a_rule_scored_on_a_sample_says_so(board: Leaderboard) -> None:
    def samples(data: dict) -> int:
        return sum(str(page).count("(a sample: ") for page in make_pages(Leaderboard.model_validate(data)).values())

    data = json.loads(board.model_dump_json())
    assert samples(data) == 0
    changed = [row for row in data["rows"] if row["relevance"].get("paragraph", {}).get("scores")]
    assert changed
    for row in changed:
        for figures in row["relevance"]["paragraph"]["scores"].values():
            figures["map"]["n"] -= 1
    assert samples(data) == len(changed)


def test_a_published_page_says_what_it_is(pages: dict[str, Element]) -> None:
    text = " ".join(pages["models/published--a-paper-s-model--x-x.html"].itertext())
    assert "nobody here can recompute" in text
    assert "95%" not in text
    assert "proved" not in text.lower()
    assert "declared" not in text.lower()
    assert "Make it again" not in text


def test_undefined_figures_say_why(pages: dict[str, Element]) -> None:
    assert any(f"undefined: cut {SCRIPT}" in "".join(found.itertext()) for found in pages.values())


def test_the_bundle_is_a_script_that_a_page_can_hold() -> None:
    source = datatables()
    assert "globalThis.datatables={jQuery:" in source
    assert "</script" not in source.lower()
    assert "<!--" not in source


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def stylesheet_colours(mode: int) -> dict[str, str]:
    """The colours of the light (0) or the dark mode by name."""
    blocks = re.findall(r":root \{(.*?)\}", asset("site.css"), re.DOTALL)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[mode]))


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_contrast(mode: int) -> None:
    colours = stylesheet_colours(mode)
    for text in ("ink", "soft", "accent", "up", "down"):
        for ground in ("paper", "wash"):
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert _contrast(colours["ink"], colours["note"]) >= 4.5
    for shade in range(10):
        rising = "on-low" if shade < 5 else "on-high"
        turning = "on-high" if shade in (0, 1, 8, 9) else "on-low"
        assert _contrast(colours[rising], colours[f"r{shade}"]) >= 4.5, f"r{shade}"
        assert _contrast(colours[turning], colours[f"t{shade}"]) >= 4.5, f"t{shade}"


# The panel of MAP against own-language first.


def test_rows_that_compete_are_shown_and_others_are_not() -> None:
    board = small_board()
    panel = frontier_panels(board)[0]
    names = [row[1].removesuffix(" *") for row in panel["table"].rows]
    assert "char-ngrams" in names
    assert not {"oracle", "random"} & set(names)
    assert panel["drawing"].count("<circle") == len(names)
    pages = make_pages(board)
    page = pages["frontier.html"]
    assert "MAP and preference for the query" in page
    assert 'href="frontier.html"' in pages["index.html"]
    assert page.count('<svg class="frontier"') == len(frontier_panels(board))


def test_names_are_text() -> None:
    assert any("<" in name for name in HOSTILE)
    for panel in frontier_panels(small_board()):
        assert "<script" not in panel["drawing"]


def test_a_board_with_one_row_has_no_panel() -> None:
    board = small_board()
    one = board.model_copy(update={"rows": board.rows[:1]})
    assert frontier_panels(one) == []
    assert "frontier.html" not in make_pages(one)
    assert "frontier.html" not in make_pages(one)["index.html"]


# Figures and labels.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.41234, "0.412"),
        (0.0625, "0.063"),
        (0.00341, "0.0034"),
        (-0.0034, "−0.0034"),
        (1.0, "1.000"),
        (0.0, "0"),
        (12.345, "12.35"),
        (361.49, "361.5"),
        (10846.4, "10,846"),
        (1234567.0, "1,234,567"),
        (1e30, f"{int(1e30):,}"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_three_or_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.4126, ".413"), (0.0, ".000"), (1.0, "1.00"), (None, "–")])
def test_the_cells_of_a_heat_map_are_short(value: float | None, text: str) -> None:
    assert short_number(value) == text


def test_p_values() -> None:
    assert [p_value(p) for p in (0.0001, 0.0123, 1.0, None)] == ["<0.001", "0.012", "1.000", "–"]


def test_labels() -> None:
    names = ["map", "mrr", "recall@10", "ndcg@10", "rank_distance", "language_order_w"]
    assert [metric_label(name) for name in names] == [
        "MAP",
        "MRR",
        "Recall@10",
        "nDCG@10",
        "Rank distance",
        "Language order W",
    ]
    assert group_label("joshi-3:out-of") == "resource class 3, out of"
    assert group_label("joshi-3") == "resource class 3"
    assert group_label("paper-unseen:within") == "unseen by Elmahdy et al. 2024, within"
    assert group_label("script-cyrl") == "written in Cyrl"
    assert group_label("north") == "north", "a task's own"


# File names and addresses made from untrusted text.

SAFE = re.compile(r"[a-z0-9_][a-z0-9._-]*")


@given(st.text())
def test_a_stem_is_safe(text: str) -> None:
    stem = file_stem(text)
    assert SAFE.fullmatch(stem)
    assert len(stem) <= 90
    assert ".." not in stem.strip(".") or "/" not in stem


@given(st.lists(st.tuples(st.text(), st.text()), unique=True, max_size=8))
def test_stems_of_different_keys_differ(keys: list[tuple[str, str]]) -> None:
    stems = unique_stems({key: "--".join(key) for key in keys})
    assert len({stem.lower() for stem in stems.values()}) == len(keys)
    assert all(SAFE.fullmatch(stem) for stem in stems.values())


def test_names_that_look_alike_to_a_file_system() -> None:
    keys = [("A/B", "1"), ("a-b", "1"), ("a--b", "1"), ("a", "b--1"), ("../a-b", "1"), ("模型", "1"), ("نموذج", "1")]
    stems = unique_stems({key: "--".join(key) for key in keys})
    assert len(set(stems.values())) == len(keys)
    assert unique_stems({("org__m", "r1"): "org__m--r1"}) == {("org__m", "r1"): "org__m--r1"}


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//host/path",
        "https://",
        "http://[",
        "",
        None,
    ],
)
def test_other_addresses_are_no_links(address: str | None) -> None:
    assert safe_url(address) is None


def test_web_addresses_are_links() -> None:
    for address in ("https://example.org/a?b=c", "http://example.org"):
        assert safe_url(address) == address
