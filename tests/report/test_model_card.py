"""Records as model-index metadata, read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from tests.kit import run
from xqr_bench import evaluate
from xqr_bench.core.errors import UsageError
from xqr_bench.record import Record, save_record
from xqr_bench.report.model_card import model_card


@pytest.fixture(name="record")
def submittable(record: Record) -> Record:
    return record.model_copy(update={"task": record.task.model_copy(update={"demonstration": False})})


def test_it_parses_back(record: Record) -> None:
    card = ModelCard(model_card([record]) + "\n# char-ngrams\n")
    name, results = model_index_to_eval_results(card.data.to_dict()["model-index"])
    assert name == "char-ngrams"
    found = {(result.dataset_config, result.metric_type): result for result in results}
    score = record.scores["multilingual"].macro["map"]
    result = found["mini-multilingual", "map"]
    assert result.metric_value == pytest.approx(score.value, rel=1e-5)
    assert result.metric_args["interval"] == pytest.approx([score.interval.low, score.interval.high], rel=1e-5)
    assert result.metric_args["level"] == 0.95
    assert result.dataset_name == "mini (multilingual)"
    assert result.dataset_revision == "1"
    assert found["mini-monolingual", "recall_at_10"].metric_name == "recall@10, monolingual, macro average"
    distance = found["mini-multilingual", "rank_distance"]
    assert distance.metric_args["random_reference"] > 0
    assert len(results) == 3 * 8 + 2  # language_ndcg@10 and the rank distance are of the multilingual setting


def test_chosen_metrics(record: Record, tmp_path: Path) -> None:
    path = save_record(record, tmp_path / "mini.json")
    done = run("export", "model-card", str(path), "--metrics", "map")
    assert done.code == 0
    assert done.out == model_card([record], metrics=["map"])
    assert done.out.startswith("---\nmodel-index:\n- name: char-ngrams\n")
    assert done.out.count("type: map") == 3
    assert "recall" not in done.out


def test_a_name_is_no_markup(record: Record) -> None:
    model = record.model.model_copy(update={"name": "x: y\n- z"})
    card = ModelCard(model_card([record.model_copy(update={"model": model})], metrics=["map"]))
    assert card.data.to_dict()["model-index"][0]["name"] == "x: y\n- z"


def test_what_is_refused(record: Record) -> None:
    other = record.model_copy(update={"model": record.model.model_copy(update={"name": "other"})})
    partial = record.model_copy(update={"task": record.task.model_copy(update={"partial": {"limit": 3}})})
    for records, metrics, message in (
        ([], None, "no record to export"),
        ([record, other], None, "about one model"),
        ([record, record], None, "two records of mini"),
        ([partial], None, "a part of a task"),
        ([evaluate("char-ngrams", "mini", limit=2)], None, "a part of a task"),
        ([record], ["recall@7"], "none of these metrics"),
        ([record], ["bliss"], "no metric named 'bliss'"),
    ):
        with pytest.raises(UsageError, match=message):
            model_card(records, metrics=metrics)
    with pytest.raises(UsageError, match="a demonstration"):
        model_card([evaluate("char-ngrams", "mini")])
