"""Task data: ids, relevants, articles, parts of a task, and files that are not what they should be."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit import Seen, edit
from tests.tasks.loopback import PARTIAL
from xqr_bench.core.errors import DataError, UsageError
from xqr_bench.core.types import TaskData
from xqr_bench.rank.exact import ScoreBlock, ranks_of_scores
from xqr_bench.tasks import (
    DataFile,
    SourceCandidate,
    SourceData,
    SourceQuestion,
    data_folder,
    load_spec,
    load_task,
    locate,
    verify,
)
from xqr_bench.tasks.assemble import assemble, number_components
from xqr_bench.tasks.load import first_questions, keep_languages
from xqr_bench.tasks.readers import lareqa

pytestmark = pytest.mark.usefixtures("own_surroundings")

REAL = os.environ.get("XQR_BENCH_DATA")  # read before the fixtures hide it


def check_invariants(data: TaskData) -> None:
    """What every other room relies on."""
    for things in (data.queries, data.candidates):
        order = [data.languages.index(thing.language) for thing in things]
        assert order == sorted(order), "not grouped by language in the order of languages"
        assert len({thing.id for thing in things}) == len(things)
        assert set(order) == set(range(len(data.languages)))
    assert len(data.queries) == len(data.relevants) == len(data.clusters)
    assert list(dict.fromkeys(data.clusters)) == list(range(len(set(data.clusters))))
    by_question: dict[str, set[tuple[int, ...]]] = {}
    for query, relevants in zip(data.queries, data.relevants, strict=True):
        assert query.id == f"{query.language}:{query.question}"
        assert list(relevants) == sorted(set(relevants))
        assert query.language in {data.candidates[index].language for index in relevants}
        by_question.setdefault(query.question, set()).add(relevants)
    assert all(len(found) == 1 for found in by_question.values())


@pytest.fixture
def partial() -> TaskData:
    return load_task(PARTIAL / "task.toml")


# any source


def test_a_source_with_gains_and_without_groups_and_clusters() -> None:
    def language(code: str, gains: dict[int, float]) -> SourceData:
        candidates = tuple(SourceCandidate(str(i), f"{code} {i}") for i in range(3))
        questions = tuple(SourceQuestion(f"q{n}", f"{code}?", gains) for n in range(2))
        return SourceData(candidates, questions)

    parsed = {"en": language("en", {0: 1.0, 2: 0.5}), "de": language("de", {1: 2.0})}
    data = assemble("graded", parsed, files={}, partial={})
    check_invariants(data)
    assert [candidate.id for candidate in data.candidates] == ["en:0", "en:1", "en:2", "de:0", "de:1", "de:2"]
    assert (data.relevants[0], data.clusters, data.titles) == ((0, 2, 4), (0, 1, 0, 1), {})
    assert data.row_gains.tolist() == [1.0, 0.5, 2.0] * 4
    assert (data.edges.tolist(), data.candidate_columns.tolist()) == ([0, 3, 6], [0, 0, 0, 1, 1, 1])
    scores = np.array([[3, 2, 2, 1, 0, 1]] * 4, dtype=np.float32)
    ranks = ranks_of_scores(data, [ScoreBlock(0, scores, scores)])
    assert ranks.gains.tolist() == data.row_gains.tolist()
    german = keep_languages(data, ["de"])
    assert (german.gains, [candidate.id for candidate in german.candidates]) == (
        ((2.0,),) * 2,
        ["de:0", "de:1", "de:2"],
    )
    assert first_questions(data, 1).column_sizes.tolist() == [2, 1]  # a candidate without a group stands for itself


# whole tasks


def test_mini_is_fully_parallel() -> None:
    data = load_task("mini")
    check_invariants(data)
    assert len(data.queries) == 24 * 11
    assert all(30 <= size <= 40 for size in data.column_sizes)
    assert set(map(len, data.relevants)) == {11}
    assert (dict(data.partial), len(data.files)) == ({}, 11)


def test_the_partly_parallel_task(partial: TaskData) -> None:
    check_invariants(partial)
    assert partial.column_sizes.tolist() == [21, 14, 10, 11]
    assert Counter(query.language for query in partial.queries) == {"en": 10, "de": 8, "es": 7, "vi": 8}
    assert Counter(map(len, partial.relevants)) == {4: 20, 3: 9, 2: 4}


def relevant_ids(data: TaskData, query: str) -> list[str]:
    row = [item.id for item in data.queries].index(query)
    return [data.candidates[index].id for index in data.relevants[row]]


def test_relevants_worked_by_hand(partial: TaskData) -> None:
    assert relevant_ids(partial, "de:q01") == ["en:0:0:0", "de:2:0:0", "es:1:0:0", "vi:3:1:0"]
    assert relevant_ids(partial, "vi:q04") == ["en:0:1:2", "vi:3:0:1"]
    # the English answer runs on into the next sentence; the one it starts in is relevant
    assert relevant_ids(partial, "en:q06") == ["en:1:0:1", "de:3:0:1"]


def test_articles_worked_by_hand(partial: TaskData) -> None:
    article = {query.id: number for query, number in zip(partial.queries, partial.clusters, strict=True)}
    # two German articles are one: the English one holds the questions of both
    assert article["de:q03"] == article["de:q01"] == article["vi:q04"] == 0
    assert [article[f"en:q{i:02}"] for i in range(1, 11)] == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert [article[f"es:q{i}"] for i in ("07", "01", "09", "05")] == [2, 0, 3, 1]


def test_a_repeated_sentence_stays_two_candidates(partial: TaskData) -> None:
    twice = [candidate.id for candidate in partial.candidates if candidate.text == "It is open all year."]
    assert twice == ["en:1:0:4", "en:3:0:3"]


# from the data's own description: questions, candidate sentences, articles, relevants per query
XQUAD = {"ar": 1222, "de": 1276, "el": 1234, "en": 1180, "es": 1215, "hi": 1244, "ru": 1219, "th": 852}
XQUAD |= {"tr": 1167, "vi": 1209, "zh": 1196}
MLQA = {"ar": 2545, "de": 2362, "en": 6264, "es": 1787, "hi": 2426, "vi": 2828, "zh": 2322}
MLQA_QUESTIONS = {"ar": 517, "de": 512, "en": 1148, "es": 500, "hi": 507, "vi": 511, "zh": 504}
TABLE = {
    "xquad-r": (dict.fromkeys(XQUAD, 1190), XQUAD, 48, {11: 13_090}),
    "mlqa-r": (MLQA_QUESTIONS, MLQA, 520, {4: 820 * 4, 3: 263 * 3, 2: 65 * 2}),
}


@pytest.mark.skipif(REAL is None, reason="needs XQR_BENCH_DATA: a folder with xquad-r/ and mlqa-r/")
@pytest.mark.parametrize("name", TABLE)
def test_the_published_counts(name: str) -> None:
    queries, candidates, articles, relevants = TABLE[name]
    data = load_task(name, data_dir=REAL)
    check_invariants(data)
    assert Counter(query.language for query in data.queries) == queries
    assert dict(zip(data.languages, data.column_sizes.tolist(), strict=True)) == candidates
    assert len(set(data.clusters)) == articles
    assert Counter(map(len, data.relevants)) == relevants


@pytest.mark.skipif(REAL is None, reason="needs XQR_BENCH_DATA: a folder with xquad-r/ and mlqa-r/")
@pytest.mark.parametrize("name", TABLE)
def test_the_real_files_pass_every_check(name: str) -> None:
    assert [check.fault for check in verify(load_spec(name), REAL)] == [None] * len(TABLE[name][0])


# parts


def test_languages_keep_the_order_of_the_task() -> None:
    data = load_task("mini", languages=["tr", "ar"])
    check_invariants(data)
    assert (data.languages, dict(data.partial)) == (("ar", "tr"), {"languages": ["ar", "tr"]})
    assert set(data.files) == {"ar.json", "tr.json"}
    assert set(map(len, data.relevants)) == {2}


def test_naming_every_language_leaves_nothing_out() -> None:
    whole = load_task("mini")
    assert load_task("mini", languages=whole.languages[::-1]) == whole
    assert load_task("mini", limit=24) == whole


def test_reading_a_part_equals_keeping_a_part() -> None:
    read = load_task("mini", languages=["de", "zh"], limit=5)
    kept = load_task(load_task("mini"), languages=["de", "zh"], limit=5)
    assert dict(read.partial) == {"languages": ["de", "zh"], "limit": 5}
    assert read.files != kept.files  # the kept part still names all it was read from
    for name in ("languages", "queries", "candidates", "relevants", "clusters", "partial"):
        assert getattr(read, name) == getattr(kept, name)


def test_limit_keeps_the_first_questions_and_their_paragraphs() -> None:
    whole = load_task(PARTIAL / "task.toml")
    data = load_task(whole, limit=3)
    check_invariants(data)
    assert [query.id for query in data.queries] == [
        "en:q01", "en:q02", "en:q03", "de:q03", "de:q01", "de:q02", "es:q01", "es:q02", "vi:q03", "vi:q01",
    ]  # fmt: skip
    kept = {candidate.group for candidate in data.candidates}
    assert kept == {"en:0:0", "en:0:1", "de:1:0", "de:2:0", "es:1:0", "vi:3:0", "vi:3:1"}
    assert len(data.candidates) == 7 + 2 + 2 + 2 + 3
    assert (data.clusters, dict(data.partial)) == ((0,) * 10, {"limit": 3})
    assert relevant_ids(data, "de:q01") == relevant_ids(whole, "de:q01")


@given(
    st.sets(st.sampled_from(["en", "de", "es", "vi"]), min_size=1).map(sorted),
    st.integers(1, 12),
)
def test_any_part_keeps_texts_and_relevance(languages: list[str], limit: int) -> None:
    whole = load_task(PARTIAL / "task.toml")
    data = load_task(whole, languages=languages, limit=limit)
    check_invariants(data)
    assert set(data.candidates) <= set(whole.candidates)
    for query in data.queries:
        expected = [item for item in relevant_ids(whole, query.id) if item.split(":")[0] in languages]
        assert relevant_ids(data, query.id) == expected


def test_parts_that_cannot_be_meant() -> None:
    with pytest.raises(UsageError, match="the task mini has no language 'fr', 'xx'\n  to do: use some of: ar, de, el"):
        load_task("mini", languages=["en", "fr", "xx"])
    with pytest.raises(UsageError, match="no language is left"):
        load_task("mini", languages=[])
    with pytest.raises(UsageError, match="languages cannot be 'en'"):
        load_task("mini", languages="en")
    with pytest.raises(UsageError, match="limit is 0\n  to do: keep at least one question"):
        load_task("mini", limit=0)


# places


def test_where_files_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_spec("xquad-r")
    assert locate(spec, "en").kind == "cache"
    assert locate(spec, "en").path == (
        tmp_path / "cache" / "xqr-bench" / "data" / "xquad-r" / spec.revision / "xquad-r" / "en.json"
    )
    monkeypatch.setenv("XQR_BENCH_DATA", str(tmp_path / "named"))
    assert locate(spec, "en").path == tmp_path / "named" / "xquad-r" / "en.json"
    assert locate(spec, "en", tmp_path / "given").path == tmp_path / "given" / "xquad-r" / "en.json"
    # what ships with the package or stands beside a task file has one place
    assert locate(load_spec("mini"), "en", tmp_path).kind == "package"
    assert locate(load_spec(PARTIAL / "task.toml"), "en", tmp_path).path == PARTIAL / "en.json"
    monkeypatch.setenv("XQR_BENCH_DATA", "")
    assert data_folder() is None


def test_a_named_folder_without_the_file_never_downloads(tmp_path: Path) -> None:
    (tmp_path / "mlqa-r").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError) as caught:
        load_task("xquad-r", data_dir=tmp_path)
    assert str(caught.value).splitlines() == [
        f"xquad-r: there is no file {tmp_path}/xquad-r/ar.json",
        f"  found: in {tmp_path}: mlqa-r/, notes.txt",
        "  to do: put xquad-r/ar.json there (from https://raw.githubusercontent.com/google-research-datasets/lareqa/"
        "9bc8c7fb6dd8d01d72a05a93c2cb96882b0d299c/xquad-r/ar.json); or name another folder with --data-dir or "
        "XQR_BENCH_DATA; or name none, and it is downloaded to a cache",
    ]
    with pytest.raises(DataError, match=r"found: there is no folder .*/none"):
        load_task("xquad-r", data_dir=tmp_path / "none")


def test_the_folder_below_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "ar.json").touch()
    with pytest.raises(
        DataError, match=r"name the folder above: the files are looked for as <folder>/xquad-r/ar\.json"
    ):
        load_task("xquad-r", data_dir=tmp_path)


def test_a_changed_file_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "xquad-r").mkdir()
    (tmp_path / "xquad-r" / "ar.json").write_text("{}")
    with pytest.raises(DataError, match="is not the file the task xquad-r names: its SHA-256 is another") as caught:
        load_task("xquad-r", data_dir=tmp_path)
    assert "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a (2 bytes), expected c52922d3b8ac" in str(
        caught.value
    )
    assert "take the file of upstream revision 9bc8c7fb" in str(caught.value)


# a user's own task


@pytest.fixture
def own(tmp_path: Path) -> Path:
    shutil.copytree(PARTIAL, tmp_path / "own")
    return tmp_path / "own"


def test_without_a_digest_it_is_computed(own: Path, partial: TaskData) -> None:
    data = load_task(own / "task.toml")
    assert data == partial
    edit(own / "de.json", lambda document: document.update(version="2"))
    again = load_task(own / "task.toml")
    assert {name for name in data.files if data.files[name] != again.files[name]} == {"de.json"}


def of_questions(document: Any, change: Callable[[Any], object]) -> None:
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            change(paragraph)


def renamed(paragraph: Any) -> None:
    for qa in paragraph["qas"]:
        qa["id"] = "de-" + qa["id"]


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "digest": (
        lambda own: (own / "task.toml").write_text(
            (own / "task.toml").read_text().replace('"de.json"', f'"de.json", sha256 = "{"0" * 64}"')
        ),
        "correct sha256 in the task file, or the file",
    ),
    "missing": (
        lambda own: (own / "es.json").unlink(),
        r"(?s)partial: there is no file .*/own/es\.json.*in .*: README.md, de.json, en.json, task.toml, vi.json"
        ".*put it there, or correct its path in the task file",
    ),
    "cut off": (
        lambda own: (own / "es.json").write_bytes((own / "es.json").read_bytes()[:500]),
        r"own/es\.json: the JSON is incomplete",
    ),
    "no candidate": (lambda own: edit(own / "es.json", lambda d: d.update(data=[])), "has no candidate in es"),
    "no question": (
        lambda own: edit(own / "vi.json", lambda d: of_questions(d, lambda paragraph: paragraph.update(qas=[]))),
        "the task partial has no question in vi",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_task_of_ones_own_that_is_wrong(own: Path, name: str) -> None:
    change, message = WRONG[name]
    change(own)
    with pytest.raises(DataError, match=message):
        load_task(own / "task.toml")


@pytest.mark.parametrize(("languages", "alone"), [(["en", "de"], "en, de"), (None, "de")])
def test_languages_that_share_no_question(own: Path, languages: list[str] | None, alone: str) -> None:
    edit(own / "de.json", lambda document: of_questions(document, renamed))
    wrong = rf"(?s)parallel: {alone} shares no question id.*found: en: q01, ..., de: de-q09, ...*leave {alone} out"
    with pytest.raises(DataError, match=wrong):
        load_task(own / "task.toml", languages=languages)


def test_a_part_that_leaves_a_language_without_questions(own: Path) -> None:
    edit(own / "en.json", lambda document: document["data"][0]["paragraphs"][0].update(qas=[]))
    with pytest.raises(DataError, match="partial: this part of the task leaves es without a query") as caught:
        load_task(own / "task.toml", limit=1)  # English now starts with q03, which es lacks
    assert "raise the limit, or leave es out of the languages" in str(caught.value)
    assert load_task(own / "task.toml", limit=1, languages=["en", "de", "vi"]).column_sizes.tolist() == [4, 2, 2]


def test_each_file_is_verified_for_itself(own: Path) -> None:
    (own / "en.json").unlink()
    (own / "de.json").write_text("[]")
    checks = list(verify(load_spec(own / "task.toml")))
    assert [check.place.key for check in checks if check.fault] == ["en", "de"]
    assert [(check.questions, check.candidates) for check in checks if not check.fault] == [(7, 10), (8, 11)]


# Candidates carry the text of their paragraph, one string for all its sentences.


def test_a_sentence_stands_in_its_paragraph_and_shares_it() -> None:
    data = load_task("mini")
    of_paragraph: dict[str, str] = {}
    for candidate in data.candidates:
        assert candidate.text in candidate.context
        shared = of_paragraph.setdefault(candidate.group, candidate.context)
        assert candidate.context is shared


def test_parts_of_a_task_keep_them() -> None:
    whole = {candidate.id: candidate.context for candidate in load_task("mini").candidates}
    for part in (load_task("mini", limit=2), load_task(load_task("mini"), languages=["ar", "de"])):
        assert part.candidates
        assert all(candidate.context == whole[candidate.id] for candidate in part.candidates)


def test_half_a_character_in_a_paragraph_is_refused() -> None:
    paragraph = {"context": "One. \ud800", "sentences": ["One."], "sentence_breaks": [[0, 4]], "qas": []}
    content = json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}).encode()
    with pytest.raises(DataError, match=r"data\.0\.paragraphs\.0\.context holds half of a surrogate pair"):
        lareqa.read(DataFile("x.json", content))


def test_ids_are_compared_in_one_unicode_form(own: Path) -> None:
    def load(form: Literal["NFC", "NFD"]) -> tuple[TaskData, list[str]]:
        for path in own.glob("*.json"):
            letter = normalize(form if path.stem == "de" else "NFC", "é")
            path.write_text(re.sub(r'"q\w*?(\d\d)"', rf'"q{letter}\1"', path.read_text("utf-8")), "utf-8")
        seen = Seen()
        return load_task(own / "task.toml", observe=seen), seen.notes

    composed, nothing = load("NFC")
    decomposed, (note,) = load("NFD")
    assert decomposed.relevants == composed.relevants
    assert [query.id for query in decomposed.queries] == [query.id for query in composed.queries]
    assert (nothing, "question ids of de, such as" in note) == ([], True)


# Components of shared question ids, against their literal definition.

PAIRS = st.lists(st.tuples(st.tuples(st.sampled_from(["en", "de", "zh"]), st.integers(0, 6)), st.integers(0, 9)))


def literal(pairs: list[tuple[tuple[str, int], int]]) -> tuple[int, ...]:
    """Merge the place sets of every two questions until none overlap."""
    groups: list[set[tuple[str, int]]] = []
    for question in {question for _, question in pairs}:
        groups.append({place for place, other in pairs if other == question})
    merged = True
    while merged:
        merged = False
        for i, first in enumerate(groups):
            for second in groups[i + 1 :]:
                if first & second:
                    first |= second
                    groups.remove(second)
                    merged = True
                    break
            if merged:
                break
    owner = [next(i for i, group in enumerate(groups) if place in group) for place, _ in pairs]
    order = list(dict.fromkeys(owner))
    return tuple(order.index(number) for number in owner)


@given(PAIRS)
def test_components_are_those_of_the_definition(pairs: list[tuple[tuple[str, int], int]]) -> None:
    assert number_components(pairs) == literal(pairs)


def test_places_are_joined_over_other_places() -> None:
    # en:0 and en:1 share nothing, but de:0 shares one question with each
    pairs = [(("en", 0), "a"), (("en", 1), "b"), (("en", 2), "c"), (("de", 0), "b"), (("de", 0), "a")]
    assert number_components(pairs) == (0, 0, 1, 0, 0)


def test_nothing() -> None:
    assert number_components([]) == ()
