"""Graded gains with a threshold, and judged candidates alone: against literal definitions and pytrec_eval."""

from __future__ import annotations

import io
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from xqr_bench import evaluate
from xqr_bench.analysis.asked import Choice
from xqr_bench.analysis.compare import compare
from xqr_bench.core.errors import DataError, TaskError
from xqr_bench.core.observe import Notice
from xqr_bench.core.types import (
    CROSS_LINGUAL,
    JUDGED,
    MONOLINGUAL,
    MULTILINGUAL,
    SETTINGS,
    Candidate,
    Query,
    TaskData,
)
from xqr_bench.measure.metrics import bilingual_lists, multilingual_lists, parse_metric
from xqr_bench.measure.peers import cross_check
from xqr_bench.measure.scores import all_per_query
from xqr_bench.rank.exact import ScoreBlock, exact_ranks, ranks_of_scores
from xqr_bench.rank.rules import variant_metrics
from xqr_bench.record import Result, load_record, recompute, save_record, shortened
from xqr_bench.record.describe import NONE_IRRELEVANT
from xqr_bench.report.results import results
from xqr_bench.tasks import load_spec, load_task
from xqr_bench.tasks.export import write_beir

pytestmark = pytest.mark.usefixtures("own_surroundings")

PEER = {
    "map": "map",
    "mrr": "recip_rank",
    "recall@3": "recall_3",
    "success@3": "success_3",
    "ndcg@3": "ndcg_cut_3",
    "bpref": "bpref",
}


def graded(generator: np.random.Generator, n_queries: int = 12, size: int = 15, from_gain: float = 2.0) -> TaskData:
    """Two languages; of each query some candidates are judged 1 to 3, some 0, the others not at all."""
    languages = ("de", "en")
    candidates = tuple(Candidate(f"{code}:{n}", code, f"{code} {n}") for code in languages for n in range(size))
    queries = tuple(
        Query(f"{code}:q{n}", code, f"q{n}", f"{code} {n}?") for code in languages for n in range(n_queries)
    )
    grades = [generator.choice([-1, -1, 0, 0, 1, 2, 3], size=len(candidates)) for _ in range(n_queries)] * 2
    for of_query in grades:
        of_query[generator.integers(len(candidates))] = 3
    return TaskData(
        name="graded",
        languages=languages,
        queries=queries,
        candidates=candidates,
        relevants=tuple(tuple(np.flatnonzero(one > 0).tolist()) for one in grades),
        clusters=tuple(range(n_queries)) * 2,
        relevance=(JUDGED,),
        gains=tuple(tuple(one[one > 0].astype(float).tolist()) for one in grades),
        relevant_from=from_gain,
        irrelevant=tuple(tuple(np.flatnonzero(one == 0).tolist()) for one in grades),
    )


def of_peer(
    data: TaskData, scores: np.ndarray, query: int, pool: list[int], metric: str, *, judged: bool
) -> float | None:
    """pytrec_eval's value of one list without ties; None where nothing reaches the threshold."""
    grades = dict(zip(data.relevants[query], data.gains[query], strict=True)) | dict.fromkeys(data.irrelevant[query], 0)
    qrels = {str(index): int(grades[index]) for index in pool if index in grades}
    if max(qrels.values(), default=0) < data.relevant_from:
        return None
    run = {str(index): float(scores[query, index]) for index in pool if not judged or index in grades}
    measure = PEER[metric].replace("_3", ".3") if metric[-1] == "3" else PEER[metric]
    level = max(1, int(data.relevant_from))
    evaluator = pytrec_eval.RelevanceEvaluator({"q": qrels}, {measure}, relevance_level=level)
    return evaluator.evaluate({"q": run})["q"][PEER[metric]]


@pytest.mark.parametrize("own_lists", [False, True], ids=["parts of the pool", "lists of their own"])
@pytest.mark.parametrize("from_gain", [0.0, 2.0, 3.0])
@pytest.mark.parametrize("size", [15, 4], ids=["", "lists without a relevant"])
@pytest.mark.parametrize("metric", PEER)
def test_equal_to_pytrec_eval(metric: str, size: int, from_gain: float, own_lists: bool) -> None:
    """Every setting, plain and of judged candidates: trec_eval -l, and bpref, whatever was not judged."""
    generator = np.random.default_rng(7)
    data = graded(generator, size=size, from_gain=from_gain)
    shape = (len(data.queries), len(data.candidates))
    pooled, own = (generator.permuted(np.tile(np.arange(shape[1]), (shape[0], 1)), axis=1) for _ in range(2))
    block = ScoreBlock(0, pooled.astype(np.float32), (own if own_lists else pooled).astype(np.float32))
    ranks = ranks_of_scores(data, [block], own_lists=own_lists)
    seen = 0
    for judged in (False, True):
        found = all_per_query(ranks.variants[JUDGED] if judged else ranks, [metric])
        for setting in SETTINGS:
            values = found[setting][metric]
            if metric == "bpref" and not judged:
                assert "judged candidates alone" in str(values.undefined_reason)
                continue
            ours: dict[tuple[int, str | None], float] = {}
            for query, cell, value in zip(values.queries, values.cell, values.values, strict=True):
                ours[int(query), values.cells[cell].candidate] = float(value)
            theirs = {}
            for query, one in enumerate(data.queries):
                for code in (None,) if setting == MULTILINGUAL else data.languages:
                    if setting != MULTILINGUAL and (code == one.language) != (setting == MONOLINGUAL):
                        continue
                    pool = [i for i, other in enumerate(data.candidates) if code in (None, other.language)]
                    scores = pooled if code is None or not own_lists else own
                    if (value := of_peer(data, scores, query, pool, metric, judged=judged)) is not None:
                        theirs[query, code] = value
            assert ours == pytest.approx(theirs, abs=1e-9)
            seen += len(ours)
    assert seen > 40


@settings(max_examples=60, deadline=None)
@given(
    grades=st.lists(st.sampled_from([0, 0, 1, 2, None]), min_size=2, max_size=6),
    levels=st.lists(st.integers(0, 2), min_size=6, max_size=6),
    from_gain=st.sampled_from([0.0, 2.0]),
)
def test_bpref_is_its_mean_over_orders_of_ties(grades: list[int | None], levels: list[int], from_gain: float) -> None:
    grades = [*grades, 2]
    scores = np.array([[*levels, 1][: len(grades)]], dtype=np.float32)
    data = TaskData(
        name="one",
        languages=("de",),
        queries=(Query("de:q", "de", "q", "?"),),
        candidates=tuple(Candidate(f"de:{n}", "de", str(n)) for n in range(len(grades))),
        relevants=(tuple(n for n, grade in enumerate(grades) if grade),),
        clusters=(0,),
        relevance=(JUDGED,),
        gains=(tuple(float(grade) for grade in grades if grade),),
        relevant_from=from_gain,
        irrelevant=(tuple(n for n, grade in enumerate(grades) if grade == 0),),
    )
    judged = [n for n, grade in enumerate(grades) if grade is not None]
    right = {n for n in judged if grades[n] and grades[n] >= from_gain}
    n, m = len(right), len(judged) - len(right)

    def literal(order: tuple[int, ...]) -> float:
        total, wrong = 0.0, 0
        for index in order:
            wrong += index not in right
            total += (1 - min(wrong, n) / min(m, n) if wrong else 1.0) * (index in right)
        return total / n

    blocks = [[i for i in judged if scores[0, i] == level] for level in (2, 1, 0)]
    orders = [
        tuple(itertools.chain(*chosen)) for chosen in itertools.product(*map(list, map(itertools.permutations, blocks)))
    ]
    ranks = ranks_of_scores(data, [ScoreBlock(0, scores, scores)], own_lists=False).variants[JUDGED]
    for setting in (MONOLINGUAL, MULTILINGUAL):
        values = all_per_query(ranks, ["bpref"])[setting]["bpref"]
        literals = [literal(order) for order in orders]
        assert values.values[0] == pytest.approx(np.mean(literals), abs=1e-12)
        assert values.pessimistic[0] == pytest.approx(min(literals), abs=1e-12)
        assert values.optimistic[0] == pytest.approx(max(literals), abs=1e-12)


def test_a_relevant_without_a_rank_counts_nothing() -> None:
    data = replace(graded(np.random.default_rng(1), n_queries=1), relevant_from=0.0)
    scores = np.full((2, len(data.candidates)), -np.inf, dtype=np.float32)
    scores[:, data.relevants[0][0]] = 1
    ranks = ranks_of_scores(data, [ScoreBlock(0, scores, scores)], own_lists=False, depth=1)
    lists = multilingual_lists(replace(ranks.variants[JUDGED], depth=None))
    kernel = parse_metric("bpref").kernel
    assert kernel is not None
    assert kernel(lists).tolist() == [1 / len(data.relevants[0])] * 2


def test_a_threshold_leaves_what_it_does_not_touch_bit_equal() -> None:
    generator = np.random.default_rng(2)
    data = graded(generator, from_gain=0.0)
    vectors = [generator.standard_normal((len(of), 8)).astype(np.float32) for of in (data.queries, data.candidates)]
    names = ["map", "ndcg@10", "language_ndcg@10", "rank_distance"]
    every = exact_ranks(data, *vectors)
    least = exact_ranks(replace(data, relevant_from=1.0), *vectors)
    for setting, of_metric in all_per_query(every, names).items():
        for name, values in of_metric.items():
            other = all_per_query(least, names)[setting][name]
            np.testing.assert_array_equal(values.values, other.values)
    highest = exact_ranks(replace(data, relevant_from=3.0), *vectors)
    assert len(multilingual_lists(highest)) == len(data.queries)
    counts = {name: len(all_per_query(highest, names)[CROSS_LINGUAL][name].values) for name in names[:2]}
    assert len(set(counts.values())) == 1, "nDCG is of other lists than MAP"
    assert counts["map"] < (bilingual_lists(every).pools >= 0).sum()


def write_task(folder: Path, qrels: str, **keys: str) -> Path:
    """A task of the format `trec`: a language of four passages and two questions."""
    (folder / "corpus.tsv").write_text("d1\tIt rains.\nd2\tIt snows.\nd3\tRain and snow.\nd4\tThe sun.\n")
    (folder / "topics.tsv").write_text("q1\train?\nq2\tsnow?\n")
    (folder / "qrels.txt").write_text(qrels)
    lines = ['name = "weather"', 'format = "trec"', 'languages = ["en"]', 'settings = ["monolingual"]']
    lines += [f"{key} = {value}" for key, value in keys.items()]
    lines += ["[files.en]", *(f'{part} = {{ path = "{name}" }}' for part, name in PARTS.items())]
    (folder / "weather.toml").write_text("\n".join(lines))
    return folder / "weather.toml"


PARTS = {"corpus": "corpus.tsv", "queries": "topics.tsv", "qrels": "qrels.txt"}
QRELS = "q1 0 d1 3\nq1 0 d3 1\nq1 0 d4 0\nq2 0 d2 2\nq2 0 d1 0\n"


def test_threshold_and_judgements_from_the_file_to_the_record(tmp_path: Path) -> None:
    file = write_task(tmp_path, QRELS, relevance='["judged"]', relevant_from="2", metrics='["map", "ndcg@10"]')
    data = load_task(file)
    assert (data.relevants, data.gains, data.irrelevant) == (((0, 2), (1,)), ((3.0, 1.0), (2.0,)), ((3,), (0,)))
    assert data.relevant_from == 2.0
    result = evaluate("char-ngrams", file, cache=False)
    assert result.task.relevant_from == 2.0
    assert set(result.relevance[JUDGED].scores[MONOLINGUAL].macro) == {"map", "ndcg@10", "bpref"}
    path = save_record(result, tmp_path / "out" / "weather.json")
    assert json.loads(path.read_text())["task"]["relevant_from"] == 2.0
    loaded = load_record(path, ranks=True)
    assert loaded.ranks_under(JUDGED).rule == JUDGED
    assert recompute(loaded)[1] == []
    other = save_record(evaluate("bm25", file), tmp_path / "other" / "weather.json")
    (compared,) = compare([path, other], Choice(relevance=JUDGED, metrics=("bpref",)), resamples=200)
    assert "bpref" in {one.metric for one in compared.comparisons}
    short = save_record(shortened(loaded), tmp_path / "short" / "weather.json")
    assert recompute(load_record(short, ranks=True))[1] == []
    assert all(check.agrees for check in cross_check(loaded.ranks, ["map", "ndcg@10"], [MONOLINGUAL]))
    shown = shown_of(result)
    figures = [result.scores[MONOLINGUAL].macro["map"], *result.relevance[JUDGED].scores[MONOLINGUAL].macro.values()]
    rows = [line.split()[:2] for line in shown.splitlines() if line.strip().startswith(("strict", "judged"))]
    assert [float(value) for _, value in rows[:2]] == pytest.approx([figure.value for figure in figures[:2]], abs=5e-5)
    assert "judged: bpref" in shown
    assert "judged: candidates that nobody judged have left the ranking" in shown
    assert "weather: relevant is a gain of 2 or more; nDCG reads every gain" in shown


def shown_of(result: Result) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(results([result]))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_export_reads_back_the_same(tmp_path: Path) -> None:
    file = write_task(tmp_path, QRELS, relevance='["judged"]', relevant_from="2", parallel="false")
    data = load_task(file)
    write_beir(load_spec(file), data, tmp_path / "beir")
    again = load_task(tmp_path / "beir" / "weather-beir.toml")
    kept = ("relevants", "gains", "irrelevant", "relevant_from", "relevance")
    assert {name: getattr(again, name) for name in kept} == {name: getattr(data, name) for name in kept}


def test_the_oracle_has_the_ideal_ranking(tmp_path: Path) -> None:
    file = write_task(tmp_path, QRELS, metrics='["map", "ndcg@10", "ndcg@1"]', relevant_from="1.5")
    scores = evaluate("oracle", file).scores[MONOLINGUAL].macro
    assert [scores[name].value for name in ("map", "ndcg@10", "ndcg@1")] == [1.0, 1.0, 1.0]


def test_a_question_below_the_threshold_is_left_out_and_told(tmp_path: Path) -> None:
    with pytest.warns(Notice, match="weather: questions without a candidate of gain 3 or more are left out: en 1"):
        result = evaluate("char-ngrams", write_task(tmp_path, QRELS, relevant_from="3"), cache=False)
    assert result.task.n_questions == 1
    file = write_task(tmp_path, QRELS, relevant_from="4")
    with pytest.raises(DataError, match="no question in en with a candidate of gain 4 or more"):
        load_task(file)
    for value in ("0", "-1", "inf", '"2"', "true"):
        with pytest.raises(TaskError, match="write a number above 0, such as 2"):
            load_spec(write_task(tmp_path, QRELS, relevant_from=value))


def test_a_question_with_irrelevant_candidates_only_is_left_out_and_told(tmp_path: Path) -> None:
    file = write_task(tmp_path, QRELS.replace("q2 0 d2 2\n", ""))
    with pytest.warns(Notice, match="weather: questions without a relevant candidate are left out: en 1"):
        data = load_task(file)
    assert (data.relevants, data.irrelevant) == (((0, 2),), ((3,),))


def test_without_judged_irrelevant_candidates_there_is_a_reason(tmp_path: Path) -> None:
    file = write_task(tmp_path, QRELS.replace("q1 0 d4 0\n", "").replace("q2 0 d1 0\n", ""), relevance='["judged"]')
    data = load_task(file)
    assert data.irrelevant is None
    result = evaluate("char-ngrams", file, cache=False)
    assert result.relevance[JUDGED].undefined_reason == NONE_IRRELEVANT
    assert recompute(load_record(save_record(result, tmp_path / "o" / "weather.json"), ranks=True))[1] == []


def test_a_limit_keeps_the_judged_candidates(tmp_path: Path) -> None:
    data = load_task(write_task(tmp_path, QRELS), limit=1)
    assert [one.id for one in data.candidates] == ["en:d1", "en:d3", "en:d4"]
    assert (data.relevants, data.irrelevant) == (((0, 1),), ((2,),))


def test_what_is_scored_of_judged_candidates() -> None:
    assert variant_metrics(JUDGED, ["map", "recall@7", "rank_distance"]) == ["map", "recall@7", "bpref"]
    assert variant_metrics(JUDGED, ["bpref"]) == ["bpref"]
