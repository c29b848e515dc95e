"""What `inspect` shows of single questions: against the scores themselves, and the record's own figures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.analysis.conftest import ARTICLES, blurred
from xqr_bench import evaluate, load_encoder, load_record, load_task
from xqr_bench.analysis.questions import (
    HAS_ANSWER,
    IN_GROUP,
    IS_RELEVANT,
    Questions,
    no_hits_reason,
    question_views,
    texts_of,
)
from xqr_bench.core.errors import DataError, RecordError, UnknownNameError, UsageError
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, SETTINGS, TaskData
from xqr_bench.encode import embedder_of
from xqr_bench.rank.exact import vector_scores
from xqr_bench.record import Result, save_record, shortened


@pytest.fixture(scope="module")
def plain() -> Result:
    return evaluate("char-ngrams", "mini")


@pytest.fixture(scope="module")
def data() -> TaskData:
    return load_task("mini")


@pytest.fixture(scope="module")
def scores(data: TaskData) -> np.ndarray:
    (vectors,) = embedder_of(load_encoder("char-ngrams")).embed([data])
    return np.concatenate([block.pooled for block in vector_scores(vectors.queries, vectors.candidates)])


def test_ranks_and_hits_are_those_of_the_scores(plain: Result, data: TaskData, scores: np.ndarray) -> None:
    seen = 0
    number = {query.id: index for index, query in enumerate(data.queries)}
    columns = np.array([candidate.language for candidate in data.candidates])
    for question in question_views(plain, None, data):
        for asked in question.queries:
            of_query = scores[number[f"{asked.language}:{question.question}"]]
            assert asked.text == data.queries[number[f"{asked.language}:{question.question}"]].text
            best = np.sort(of_query)[::-1][:20]
            np.testing.assert_allclose([hit.score for hit in asked.hits], best, rtol=2.0**-13)  # as they are kept
            for hit in asked.hits:
                candidate = data.candidates[[one.id for one in data.candidates].index(hit.id)]
                assert (hit.text, hit.language) == (candidate.text, candidate.language)
            assert [one.rank for one in asked.relevants] == sorted(one.rank for one in asked.relevants if one.rank)
            for one in asked.relevants:
                index = next(i for i in range(len(columns)) if data.candidates[i].id == one.id)
                for rank, tied, pool in (
                    (one.rank, one.tied, of_query),
                    (one.own_rank, one.own_tied, of_query[columns == one.language]),
                ):
                    equal = int((pool == of_query[index]).sum())
                    assert tied == equal
                    assert rank == (pool > of_query[index]).sum() + (equal + 1) / 2
                seen += 1
    assert seen == plain.ranks.n_relevants


@pytest.mark.parametrize("metric", ["map", "ndcg@10", "rank_distance", "recall@10", "mrr"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_values_make_the_figures_of_the_record(plain: Result, metric: str, setting: str) -> None:
    if metric == "rank_distance" and setting != MULTILINGUAL:
        with pytest.raises(UsageError, match="rank_distance is not defined in the"):
            Questions(plain, metric=metric, setting=setting)
        return
    questions = Questions(plain, metric=metric, setting=setting)
    views = [questions.view(question) for question in questions.worst()]
    assert questions.n_questions == len(views) == 24
    by_language = {code: [] for code in plain.task.languages}
    for view in views:
        assert view.value == pytest.approx(np.mean([one.value for one in view.queries]), abs=1e-15)
        for one in view.queries:
            by_language[one.language].append(one.value)
    for code, values in by_language.items():
        figure = plain.scores[setting].by_query_language[code][metric].value
        assert np.mean(values) == pytest.approx(figure, abs=1e-12)
    bad = [view.value if metric == "rank_distance" else -view.value for view in views]
    assert bad == sorted(bad, reverse=True)


def test_a_pair_of_languages(plain: Result) -> None:
    questions = Questions(plain, language="de", candidates="zh")
    assert questions.setting == CROSS_LINGUAL
    views = [questions.view(question) for question in questions.worst()]
    figure = plain.scores[CROSS_LINGUAL].by_language_pair["de>zh"]["map"].value
    assert np.mean([view.value for view in views]) == pytest.approx(figure, abs=1e-12)
    for view in views:
        (asked,) = view.queries
        assert asked.language == "de"
        assert {one.language for one in (*asked.relevants, *asked.hits)} == {"zh"} or not asked.hits
    assert Questions(plain, language="deu-Latn", candidates="de").setting == MONOLINGUAL


def test_the_frame_holds_what_is_shown(plain: Result) -> None:
    frame = plain.query_frame()
    assert list(frame.columns[:7]) == [
        "task", "model", "setting", "query_language", "candidate_language", "question", "article"
    ]  # fmt: skip
    assert "language_order_w_corrected" not in frame
    pooled = frame[frame.setting == MULTILINGUAL]
    assert len(pooled) == plain.ranks.n_queries
    assert pooled.candidate_language.isna().all()
    assert frame[frame.setting == MONOLINGUAL]["rank_distance"].isna().all()
    for setting in SETTINGS:
        of_setting = frame[frame.setting == setting]
        keys = ["query_language", "candidate_language"]
        mean = of_setting.groupby(keys, dropna=False)["map"].mean().mean()
        assert mean == pytest.approx(plain.scores[setting].macro["map"].value, abs=1e-12)
    small = plain.query_frame(["recall@3"], [MULTILINGUAL])
    assert list(small.columns[7:]) == ["recall@3"]
    with pytest.raises(UsageError, match="language_position has no value of a single question"):
        plain.query_frame(["language_position"])
    with pytest.raises(UnknownNameError, match="no setting of this record named 'bilingual'"):
        plain.query_frame(settings=["bilingual"])


def test_the_loss_against_another_record(data: TaskData) -> None:
    full, worse = blurred("full", (), 0.0), blurred("worse", ARTICLES[:2], 3.0)
    questions = Questions(worse, data, against=full)
    views = [questions.view(question) for question in questions.worst()]
    losses = [view.against - view.value for view in views if view.against is not None]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 0.01
    alone = {view.question: view.value for view in question_views(full)}
    assert all(view.against == alone[view.question] for view in views)
    blurred_ones = {query.question for query, number in zip(data.queries, data.clusters, strict=True) if number < 2}
    assert {view.question for view in views if view.value != view.against} <= blurred_ones
    assert views[0].question in blurred_ones
    few = evaluate("char-ngrams", "mini", limit=4)
    with pytest.raises(UsageError, match="cannot be compared: they differ in"):
        Questions(worse, against=few)


def test_what_stands_in_the_same_paragraph_is_told(plain: Result, data: TaskData) -> None:
    told: set[str] = set()
    for view in question_views(plain, None, data):
        for asked in view.queries:
            number = plain.ranks.query_ids.index(f"{asked.language}:{view.question}")
            echoes = {data.candidates[index].id for index in (data.echoes or ())[number]}
            groups = {data.candidates[index].group for index in data.relevants[number]}
            ids = {data.candidates[index].id for index in data.relevants[number]}
            group_of = {one.id: one.group for one in data.candidates}
            for hit in asked.hits:
                expected = IN_GROUP if group_of[hit.id] in groups else ""
                expected = HAS_ANSWER if hit.id in echoes else expected
                assert hit.relation == (IS_RELEVANT if hit.id in ids else expected)
                told.add(hit.relation)
    assert {IS_RELEVANT, IN_GROUP, ""} <= told


def test_under_lenient_relevance_what_holds_the_answer_is_gone(plain: Result, data: TaskData) -> None:
    strict, lenient = Questions(plain, data), Questions(plain, data, relevance="lenient")
    figure = plain.scores_under("lenient")[MULTILINGUAL].macro["map"].value
    assert np.mean([lenient.view(one).value for one in lenient.worst()]) == pytest.approx(figure, abs=1e-12)
    gone = 0
    for question in strict.worst():
        before, after = ({asked.language: asked for asked in one.view(question).queries} for one in (strict, lenient))
        for code, asked in before.items():
            kept = [hit.id for hit in asked.hits if hit.relation != HAS_ANSWER]
            assert [hit.id for hit in after[code].hits] == kept
            assert [hit.place for hit in after[code].hits] == list(range(1, len(kept) + 1))
            gone += len(asked.hits) - len(kept)
    assert gone > 0
    assert "it is not known which candidates leave" in str(Questions(plain, relevance="lenient").why_no_hits)
    with pytest.raises(UsageError, match="paragraph relevance do not tell which sentences"):
        Questions(plain, data, relevance="paragraph")


def test_what_cannot_be_meant(plain: Result) -> None:
    for message, how in (
        ("no query language named 'xx'", {"language": "xx"}),
        ("no candidate language named 'xx'", {"candidates": "xx"}),
        ("de>zh is no part of the monolingual setting", {"language": "de", "candidates": "zh", "setting": MONOLINGUAL}),
        ("no setting of this record named 'both'", {"setting": "both"}),
        ("no value of a single question", {"metric": "language_position"}),
        ("no metric named", {"metric": "mapp"}),
        ("no judged relevance", {"relevance": "judged"}),
    ):
        with pytest.raises((UsageError, RecordError), match=message):
            Questions(plain, **how).worst()
    with pytest.raises(UsageError, match="neither a high nor a low own_language_first is a failure"):
        Questions(plain, metric="own_language_first").worst()
    with pytest.raises(UnknownNameError, match="no question named 'mini-99'"):
        Questions(plain).view("mini-99")


def test_texts_are_those_of_the_record(plain: Result, data: TaskData, tmp_path: Path) -> None:
    assert texts_of(plain).candidates == data.candidates
    part = evaluate("char-ngrams", "mini", languages=["de", "th"], limit=5)
    assert texts_of(part).partial == part.task.partial == {"languages": ["de", "th"], "limit": 5}
    with pytest.raises(DataError, match="not the texts that the record"):
        texts_of(part, data)
    with pytest.raises(DataError, match="not the texts that the record"):
        texts_of(plain, replace(data, files=dict.fromkeys(data.files, "0" * 64)))
    with pytest.raises(DataError, match="not the texts that the record"):
        texts_of(plain, replace(data, relevants=data.relevants[::-1]))


def test_without_the_file_of_the_best_it_is_told_why(plain: Result, tmp_path: Path) -> None:
    assert no_hits_reason(plain) is None
    short = shortened(plain).model_copy(update={"top": None})
    assert no_hits_reason(short) == "a submission does not keep the best candidates; evaluate it again"
    views = question_views(short)
    assert [view.value for view in views] == [view.value for view in question_views(plain)]
    assert views[0].queries[0].relevants == question_views(plain)[0].queries[0].relevants
    assert views[0].queries[0].hits == ()
    path = save_record(plain, tmp_path / "a" / "mini.json")
    read = load_record(path, ranks=True)
    first = question_views(read)
    shutil.rmtree(path.parent)  # read once
    assert question_views(read) == first


def test_a_best_candidate_that_the_task_does_not_have_is_refused(plain: Result, data: TaskData) -> None:
    top, ids = plain.top_candidates(), {candidate.id for candidate in data.candidates}
    forged = plain.model_copy(update={"top": replace(top, ids=[f"{id_}0" for id_ in top.ids])})
    with pytest.raises(RecordError, match="names one that mini does not have") as caught:
        question_views(forged, None, data)
    assert str(caught.value.found).strip("'") not in ids
