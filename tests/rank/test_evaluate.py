"""Runs become records: depth, missing lists, cuts, the second opinion."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from tests.conftest import VECTORS, needs_data, needs_vectors
from xqr_bench import evaluate
from xqr_bench.core.errors import RunError
from xqr_bench.core.types import LENIENT, MONOLINGUAL, MULTILINGUAL, PARAGRAPH, SETTINGS
from xqr_bench.encode import embed_tasks, load_encoder
from xqr_bench.evaluation import runs as module
from xqr_bench.evaluation.evaluate import evaluate as evaluate_tasks
from xqr_bench.evaluation.runs import RunRanker
from xqr_bench.measure.peers import PytrecEval
from xqr_bench.measure.scores import all_per_query
from xqr_bench.rank.exact import vector_scores
from xqr_bench.rank.rules import group_relevants
from xqr_bench.rank.runs import TaskRuns
from xqr_bench.record import Record, load_record, recompute, save_record
from xqr_bench.tasks import Selection, load_task, resolve_task

CHOSEN = ["map", "mrr", "recall@1", "recall@10", "success@1", "success@10", "ndcg@10"]


@pytest.fixture
def exact(record: Record) -> Record:
    return record


def runs(folder: Path, depth: int, settings: Sequence[str] = SETTINGS) -> Path:
    data = load_task("mini")
    vectors = embed_tasks(load_encoder("char-ngrams"), [data])["mini"]
    written = TaskRuns(data, folder, settings, tag="char-ngrams", depth=depth)
    written.write(vector_scores(vectors.queries, vectors.candidates))
    return folder


def figures(record: Record) -> dict[tuple[str, str, str, str], float | None]:
    return {
        (setting, part, key, name): score.value
        for setting, scores in record.scores.items()
        for part, key, name, score in scores.items()
    }


def test_at_full_depth_everything_is_the_same(tmp_path: Path, exact: Record) -> None:
    (record,) = evaluate_tasks(RunRanker(runs(tmp_path / "mine", 10_000)))
    assert record.ranks_file.depth is None
    assert figures(record) == figures(exact)
    for rule in (LENIENT, PARAGRAPH):
        assert record.scores_under(rule) == exact.scores_under(rule)
    assert record.model.name == "mine"
    assert (record.model.identity.kind, record.model.identity.similarity) == ("run", "none")
    assert len(record.model.identity.digest or "") == 64
    checked = record.provenance.settings["cross_check"]
    assert checked["with"] == "pytrec_eval"
    assert {name: found["lists"] for name, found in checked.items() if name != "with"} == {
        MONOLINGUAL: 264,
        "cross-lingual": 2640,
        MULTILINGUAL: 264,
    }
    assert not any("cut" in line for line in record.warnings)


def test_a_cut_run(tmp_path: Path, exact: Record) -> None:
    (record,) = evaluate_tasks(RunRanker(runs(tmp_path / "cut", 20), "other"), metrics=[*CHOSEN, "rank_distance"])
    assert record.ranks_file.depth == 20
    assert record.model.name == "other"
    found, expected = figures(record), figures(exact)
    for key, value in found.items():
        if key[3] == "rank_distance":
            assert value is None
        elif key[3] in ("map", "mrr"):
            assert value is not None
            assert value <= (expected[key] or 0) + 1e-12
        else:
            assert value == pytest.approx(expected[key], abs=1e-12), key
    reason = record.scores[MULTILINGUAL].macro["rank_distance"].undefined_reason
    assert "cut at a depth" in reason
    assert any(line.startswith("multilingual: the run is cut at 20; a relevant below") for line in record.warnings)
    path = save_record(record, tmp_path / "record.json")
    loaded = load_record(path, ranks=True)
    assert loaded.model.identity == record.model.identity
    assert recompute(loaded)[1] == []


@pytest.mark.parametrize("rule", [LENIENT, PARAGRAPH])
def test_a_cut_run_under_other_rules_of_relevance(tmp_path: Path, rule: str) -> None:
    """pytrec_eval on the same lists: without the sentences that leave, as far as is sure then; all of the paragraph."""
    depth, data = 150, load_task("mini")
    folder = runs(tmp_path / "cut", depth, [MULTILINGUAL])
    (record,) = evaluate_tasks(RunRanker(folder), metrics=["map", "success@10"])
    lists: dict[str, dict[str, float]] = {}
    with gzip.open(next(folder.glob("mini/multilingual.run*")), "rt", encoding="utf-8") as lines:
        for line in lines:
            query, _, candidate, _, value, _ = line.split()
            lists.setdefault(query, {})[candidate] = float(np.float32(value))
    wanted = group_relevants(data) if rule == PARAGRAPH else data.relevants
    qrels, run = {}, {}
    for number, query in enumerate(data.queries):
        left = {data.candidates[i].id for i in (data.echoes or ())[number]} if rule == LENIENT else set()
        ranked = sorted(lists[query.id].items(), key=lambda item: -item[1])
        kept = [item for item in ranked if item[0] not in left][: depth - len(left)]
        run[query.id] = dict(kept)
        qrels[query.id] = {data.candidates[i].id: 1 for i in wanted[number]}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"map", "success.10"}).evaluate(run)
    ours = all_per_query(record.ranks.variants[rule], ["map", "success@10"], [MULTILINGUAL])[MULTILINGUAL]
    untied = ours["map"].tied == 0
    assert untied.mean() > 0.5
    assert (record.ranks.variants[rule].gt < 0).any()
    for name, peer in (("map", "map"), ("success@10", "success_10")):
        values = np.array([theirs[query.id][peer] for query in data.queries])
        np.testing.assert_allclose(ours[name].values[untied], values[untied], atol=1e-12)
    path = save_record(record, tmp_path / "record.json")
    assert recompute(load_record(path, ranks=True))[1] == []


def test_a_cut_that_the_sentences_that_leave_could_use_up(tmp_path: Path) -> None:
    (record,) = evaluate_tasks(RunRanker(runs(tmp_path, 10, [MULTILINGUAL])), metrics=["map", "success@10"])
    reason = record.relevance[LENIENT].undefined_reason
    assert reason.startswith("the ranking is cut at 10; up to ")
    assert record.scores_under(PARAGRAPH)
    path = save_record(record, tmp_path / "record.json")
    assert recompute(load_record(path, ranks=True))[1] == []


def test_only_the_settings_that_are_there(tmp_path: Path, exact: Record) -> None:
    (record,) = evaluate_tasks(RunRanker(runs(tmp_path, 10_000, [MONOLINGUAL])), metrics=CHOSEN)
    assert record.task.settings == [MONOLINGUAL]
    assert list(record.scores) == [MONOLINGUAL]
    for name in CHOSEN:
        assert record.scores[MONOLINGUAL].macro[name].value == exact.scores[MONOLINGUAL].macro[name].value
    for rule in (LENIENT, PARAGRAPH):
        assert list(record.scores_under(rule)) == [MONOLINGUAL]
        mine, theirs = (found.scores_under(rule)[MONOLINGUAL].macro["map"] for found in (record, exact))
        assert mine.value == theirs.value
    assert recompute(record)[1] == []


def test_a_cut_above_a_metrics_k(tmp_path: Path) -> None:
    folder = runs(tmp_path, 50, [MULTILINGUAL])
    with pytest.raises(RunError) as caught:
        evaluate_tasks(RunRanker(folder))
    assert str(caught.value) == (
        "recall@100 cannot be computed: the multilingual run is cut at 50\n"
        "  to do: rank at least 100 candidates a query, or choose other metrics: --metrics "
        + ",".join(name for name in resolve_task("mini").metrics if name != "recall@100")
    )
    (record,) = evaluate_tasks(RunRanker(folder), metrics=["map", "recall@10"])
    assert list(record.scores[MULTILINGUAL].macro) == ["map", "recall@10"]


def test_missing_lists_score_0(tmp_path: Path, exact: Record) -> None:
    path = runs(tmp_path, 10_000, [MONOLINGUAL]) / "mini" / "monolingual.run.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    missing = {"de:mini-001", "th:mini-003"}
    kept = "".join(line for line in lines if line.split()[0] not in missing)
    path.write_bytes(gzip.compress(kept.encode()))
    (record,) = evaluate_tasks(RunRanker(tmp_path), metrics=["map", "recall@10"])
    assert record.warnings[0] == "monolingual: 2 of 264 lists are not in the run; they score 0"
    score = record.scores[MONOLINGUAL].macro["map"]
    assert score.n == 264
    assert (score.value or 1) < (exact.scores[MONOLINGUAL].macro["map"].value or 0)


def test_a_disagreement_is_called_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(PytrecEval):
        def evaluate(self, *arguments: object) -> np.ndarray:
            values = super().evaluate(*arguments)
            values[:, 0] += 1e-6
            return values

    monkeypatch.setattr(module, "PytrecEval", Wrong)
    with pytest.raises(RunError) as caught:
        evaluate_tasks(RunRanker(runs(tmp_path, 10_000, [MULTILINGUAL])), metrics=["map", "mrr"])
    assert "otherwise than xqr-bench does: multilingual map differs by up to 1e-06" in str(caught.value)
    assert "1 of 2 metrics differ by more than 1e-09" in str(caught.value)
    assert "this is a bug in one of the two" in str(caught.value)


def test_many_lists_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHECKED", 50)
    (record,) = evaluate_tasks(RunRanker(runs(tmp_path, 10_000, [MULTILINGUAL])), metrics=["map"])
    assert record.provenance.settings["cross_check"][MULTILINGUAL]["lists"] == 50


@needs_data
@needs_vectors
def test_a_run_of_real_vectors_that_is_cut(tmp_path: Path) -> None:
    """Equal where the cut does not matter; MAP lower by the relevants it loses. Two languages, to be quick."""
    codes = ["en", "th"]
    encoder = load_encoder(f"precomputed:{VECTORS}")
    data = load_task("xquad-r", languages=codes)
    vectors = embed_tasks(encoder, [data])["xquad-r"]
    written = TaskRuns(data, tmp_path, [MONOLINGUAL, MULTILINGUAL], tag="minilm", depth=300)
    written.write(vector_scores(vectors.queries, vectors.candidates))
    (cut,) = evaluate_tasks(RunRanker(tmp_path), ["xquad-r"], select=Selection(codes))
    whole = evaluate(f"precomputed:{VECTORS}", "xquad-r", languages=codes)
    assert cut.ranks_file.depth == 300
    for setting in (MONOLINGUAL, MULTILINGUAL):
        for name, score in whole.scores[setting].macro.items():
            found = cut.scores[setting].macro[name].value
            if "@" in name or name.startswith("top_"):
                assert found == pytest.approx(score.value, abs=1e-12)
            elif name in ("map", "mrr"):
                assert 0.9 * (score.value or 0) < (found or 0) < (score.value or 0)
            else:
                assert found is None
