"""Scores of very many languages, made one query language after the other, are those of all at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import xqr_bench.core.types as types
from tests.kit import small_task, vectors
from xqr_bench.core.types import CROSS_LINGUAL, MULTILINGUAL, SETTINGS, TaskData
from xqr_bench.measure.scored import scored
from xqr_bench.measure.scores import Group, SettingScores
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.tasks.spec import DEFAULT_METRICS

GROUPS = {"some": Group(languages=("l0", "l2")), "none": Group(languages=(), undefined_reason="no such language")}
SIZES = {"l0": 14, "l1": 13, "l2": 15, "l3": 12}


def without(data: TaskData, gone: set[tuple[str, str]]) -> TaskData:
    """The task without some questions in some languages: (language, question)."""
    kept = [i for i, query in enumerate(data.queries) if (query.language, query.question) not in gone]
    asked = {(query.language, query.question) for query in (data.queries[i] for i in kept)}

    def relevants(i: int) -> tuple[int, ...]:
        question = data.queries[i].question
        return tuple(c for c in data.relevants[i] if (data.candidates[c].language, question) in asked)

    return replace(
        data,
        queries=tuple(data.queries[i] for i in kept),
        relevants=tuple(relevants(i) for i in kept),
        clusters=tuple(int(data.queries[i].question[1:]) // 2 for i in kept),
    )


def flat(scores: dict[str, SettingScores]) -> dict[tuple[str, ...], dict[str, Any]]:
    return {
        (setting, part, key, metric): figure.model_dump()
        for setting, of_setting in scores.items()
        for part, key, metric, figure in of_setting.items()
    }


def compare(one: object, other: object, place: tuple[str, ...]) -> None:
    """Equal but for rounding, intervals too."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            compare(one[key], other[key], (*place, key))
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12), place
    else:
        assert one == other, place


PARTLY = {("l1", "q3"), ("l2", "q3"), ("l2", "q4"), ("l3", "q0"), ("l3", "q1"), ("l0", "q7")}
APART = {("l3", f"q{i}") for i in range(6)} | {("l2", f"q{i}") for i in range(6, 12)}  # no question in both


@pytest.mark.parametrize("gone", [set(), PARTLY, APART])
def test_one_language_after_the_other_gives_the_same_figures(
    monkeypatch: pytest.MonkeyPatch, gone: set[tuple[str, str]]
) -> None:
    data = without(small_task(12, SIZES), gone)
    queries, candidates = vectors(len(data.queries), 1, levels=4), vectors(len(data.candidates), 2, levels=4)
    metrics = [
        *DEFAULT_METRICS,
        "rank_variance_raw",
        "top_right_own",
        "max_rank",
        "language_share@10",
        "share_vs_pool@10",
    ]
    whole, warnings = scored(exact_ranks(data, queries, candidates), metrics, SETTINGS, GROUPS)
    monkeypatch.setattr(types, "MOST_COLUMNS", 1)
    in_turn, warnings_in_turn = scored(exact_ranks(data, queries, candidates), metrics, SETTINGS, GROUPS)
    expected = {name: figure for name, figure in flat(whole).items() if name[1] != "by_language_pair"}
    found = flat(in_turn)
    assert found.keys() == expected.keys()
    some_absent = False
    for name, figure in expected.items():
        absent = figure.pop("absent")
        some_absent |= absent is not None
        assert found[name].pop("absent") is None
        assert found[name].pop("n_absent") == (None if absent is None else len(absent))
        figure.pop("n_absent")
        compare(found[name], figure, name)
    assert some_absent == (gone is APART)
    for line, other in zip(warnings, warnings_in_turn, strict=True):
        assert line == other or (gone is APART and "no question has an answer in 2 of them" in other)


def test_pairs_of_query_languages_are_absent_with_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_task(12, SIZES)
    monkeypatch.setattr(types, "MOST_COLUMNS", 1)
    ranks = exact_ranks(data, vectors(len(data.queries), 1), vectors(len(data.candidates), 2))
    scores, _ = scored(ranks, ["ranking_agreement@10"], [MULTILINGUAL], {})
    figure = scores[MULTILINGUAL].macro["ranking_agreement@10"]
    assert figure.value is None
    assert figure.undefined_reason == "pairs of query languages are not compared where there are more than 32 languages"


def test_a_query_language_without_candidates_and_one_metric_of_sets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_task(12, SIZES)
    asked = tuple(replace(query, language="xx", id=f"xx:{query.question}") for query in data.queries[:12])
    data = replace(
        data,
        queries=(*data.queries, *asked),
        relevants=(*data.relevants, *data.relevants[:12]),
        clusters=tuple(range(12)) * 5,
    )
    queries, candidates = vectors(len(data.queries), 1), vectors(len(data.candidates), 2)
    for metrics in (["language_order_w_corrected"], ["map", "own_language_first"]):
        with monkeypatch.context() as patch:
            whole, _ = scored(exact_ranks(data, queries, candidates), metrics, SETTINGS, {})
            patch.setattr(types, "MOST_COLUMNS", 1)
            ranks = exact_ranks(data, queries, candidates)
            in_turn, _ = scored(ranks, metrics, SETTINGS, {})
            alone, _ = scored(ranks, metrics, SETTINGS, {}, details=False)
        expected, found = flat(whole), flat(in_turn)
        for name in found:
            compare(found[name], expected[name], name)
        for name, figure in flat(alone).items():
            compare(figure, found[name], name)
        assert "xx" in in_turn[MULTILINGUAL].by_query_language
        if "map" in metrics:
            assert np.isclose(in_turn[CROSS_LINGUAL].macro["map"].value or 0, whole[CROSS_LINGUAL].macro["map"].value)
