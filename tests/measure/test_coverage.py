"""Means over less than was asked say of how many of how many they are."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import xqr_bench.core.types as types
from tests.kit import ran, words
from xqr_bench.encode import embed_tasks, load_encoder
from xqr_bench.evaluation.evaluate import evaluate
from xqr_bench.evaluation.ranker import Task
from xqr_bench.measure.geometry import measure_geometry
from xqr_bench.record import Result, load_record, recompute, save_record
from xqr_bench.record.describe import coverage
from xqr_bench.report.results import results
from xqr_bench.tasks import SourceCandidate, SourceData, SourceQuestion, resolve_task
from xqr_bench.tasks.assemble import assemble
from xqr_bench.tasks.load import shared_line

WORDS = {"en": "lighthouse bridge tower", "el": "leuchtturm bruecke turm", "th": "faro puente torre"}
PAIRS = "cross-lingual means are over 4 of 6 language pairs: no question has an answer in el>th, th>el"
QUERIES = "cross-lingual means are over the 6 of 9 pairs of a query and another language that have an answer"


def language(code: str, letters: str) -> SourceData:
    """A candidate for each letter, and the question that it answers."""
    texts = dict(zip("abc", WORDS[code].split(), strict=True))
    return SourceData(
        tuple(SourceCandidate(letter, f"the {texts[letter]} {letter * 4}") for letter in letters),
        tuple(SourceQuestion(letter, f"{texts[letter]}?", {n: 1.0}) for n, letter in enumerate(letters)),
    )


def scored(name: str = "char-ngrams", **letters: str) -> Result:
    parsed = {code: language(code, of_language) for code, of_language in letters.items()}
    data = assemble("gaps", parsed, files={}, partial={})
    return evaluate(name, [Task(resolve_task(data), data)])[0]


@pytest.fixture(scope="module")
def gaps() -> Result:
    """Greek and Thai share no question, English shares one or two with each."""
    return scored(en="abc", el="ab", th="c")


def test_a_pair_without_a_question_is_told_with_the_mean(gaps: Result) -> None:
    scores = gaps.scores["cross-lingual"]
    figure, pairs = scores.macro["map"], {pair: of["map"].value for pair, of in scores.by_language_pair.items()}
    assert list(pairs) == ["en>el", "en>th", "el>en", "th>en"]
    assert figure.value == pytest.approx(sum(value or 0 for value in pairs.values()) / 4)
    assert (figure.n, figure.n_undefined, figure.absent) == (6, 0, ("el>th", "th>el"))
    assert scores.by_query_language["el"]["map"].absent == ("el>th",)
    assert scores.by_query_language["en"]["map"].absent is None
    assert scores.by_group["joshi-3:within"]["map"].absent == ("el>th", "th>el")
    assert PAIRS in gaps.warnings
    for setting in ("monolingual", "multilingual"):
        assert all(figure.absent is None for figure in gaps.scores[setting].macro.values())


def test_the_pairs_left_out_follow_from_the_ranks(gaps: Result) -> None:
    assert recompute(gaps)[1] == []
    shorter = gaps.scores["cross-lingual"].macro["map"].model_copy(update={"absent": ("el>th",)})
    changed = gaps.model_copy(deep=True)
    changed.scores["cross-lingual"].map = shorter
    assert [one.place for one in recompute(changed)[1]] == ["scores.cross-lingual.map.absent"]


def test_where_every_question_is_in_every_language_nothing_is_said() -> None:
    whole = scored(en="abc", el="abc", th="abc")
    assert whole.scores["cross-lingual"].macro["map"].absent is None
    assert '"absent"' not in whole.model_dump_json(exclude_none=True)
    assert coverage(whole) == []


def test_values_that_cannot_be_computed_are_told_by_metric(gaps: Result) -> None:
    alone = scored(en="abc", el="ab")  # c is in English alone: a single relevant
    assert coverage(alone)[:2] == [
        "cross-lingual means are over the 4 of 5 pairs of a query and another language that have an answer",
        "multilingual rank_distance, language_position: over 4 of 5 values; "
        "undefined where the query has a single relevant",
    ]
    assert coverage(gaps)[:2] == [PAIRS, QUERIES]


def scored_with_thai_answers(*languages: str) -> Result:
    """Three questions in three languages, answered in all of them, but for the Thai questions."""
    parsed = {code: language(code, "abc") for code in ("en", "el", "th")}
    data = assemble("gaps", parsed, files={}, partial={})
    relevants = tuple(
        tuple(i for i in of if query.language != "th" or data.candidates[i].language in languages)
        for query, of in zip(data.queries, data.relevants, strict=True)
    )
    return evaluate("char-ngrams", [Task(resolve_task(data), replace(data, relevants=relevants))])[0]


@pytest.mark.parametrize("many", [False, True])
def test_only_the_means_that_leave_something_out_are_said_to(monkeypatch: pytest.MonkeyPatch, many: bool) -> None:
    """No Thai question has a Thai answer: all multilingual means but that of each language's position are over all."""
    if many:
        monkeypatch.setattr(types, "MOST_COLUMNS", 1)
    record = scored_with_thai_answers("en", "el")
    assert record.scores["multilingual"].macro["map"].n_absent is None
    assert record.scores["multilingual"].macro["map"].absent is None
    which = "1 of them" if many else "th>th"
    monolingual = f"monolingual means are over 2 of 3 language pairs: no question has an answer in {which}"
    lines = [line for line in record.warnings if "language pairs" in line]
    assert lines == [
        monolingual,
        f"multilingual means of language_position are over 2 of 3 language pairs: no question has an answer in {which}",
    ]
    assert [line for line in coverage(record) if "language pairs" in line] == [monolingual]


def test_the_table_says_which_language_leaves_a_mean_without_a_value() -> None:
    """The Thai questions have one relevant each, so that there is no distance between their relevants."""
    record = scored_with_thai_answers("en")
    of_language = record.scores["multilingual"].by_query_language
    assert record.scores["multilingual"].macro["rank_distance"].value is None
    assert {code for code, of in of_language.items() if of["rank_distance"].value is None} == {"th"}
    console = Console(width=300, file=io.StringIO())
    console.print(results([record]))
    shown = words(console.file.getvalue())  # type: ignore[attr-defined]
    assert "gaps: no multilingual mean of rank_distance" in shown
    assert "which needs a value of each language: undefined for th: the query has a single relevant" in shown


def test_terminal_and_comparison_say_it(gaps: Result, tmp_path: Path) -> None:
    paths = [str(tmp_path / name / "gaps.json") for name in ("a", "b")]
    save_record(gaps, Path(paths[0]))
    save_record(scored("random:1", en="abc", el="ab", th="c"), Path(paths[1]))
    notes = ran("compare", *paths, "--resamples", "100").out
    assert words(notes).count(PAIRS) == words(notes).count(QUERIES) == 1
    assert json.loads(Path(paths[0]).read_text("utf-8"))["scores"]["cross-lingual"]["map"]["absent"] == [
        "el>th",
        "th>el",
    ]
    assert load_record(paths[0]).scores["cross-lingual"].macro["map"].absent == ("el>th", "th>el")


def test_the_data_says_which_languages_share_questions() -> None:
    def line(**letters: str) -> str | None:
        parsed = {code: language(code, of_language) for code, of_language in letters.items()}
        return shared_line(assemble("gaps", parsed, files={}, partial={}))

    assert line(en="abc", el="abc") is None
    assert line(en="abc", el="ab") == (
        "1 of 1 pairs of languages share questions, from 2 (en and el) to 2 (en and el) of 3"
    )
    assert line(en="abc", el="ab", th="c") == (
        "2 of 3 pairs of languages share questions, from 0 (el and th) to 2 (en and el) of 3; none: el and th, "
        "which cross-lingual means leave out"
    )


def test_geometry_says_which_pairs_a_mean_is_over() -> None:
    """Alignment over two of three pairs of languages, and its ratio over the pairs that have other questions too."""
    parsed = {code: language(code, letters) for code, letters in {"en": "abc", "el": "ab", "th": "c"}.items()}
    data = assemble("gaps", parsed, files={}, partial={})
    (vectors,) = embed_tasks(load_encoder("char-ngrams"), [data]).values()
    found = measure_geometry(data, vectors, model="toy")
    assert found.reasons["alignment"] == "a mean over 2 of 3 pairs of languages"
    assert found.reasons["cosine_within"] == "a mean over 2 of 3 languages"
