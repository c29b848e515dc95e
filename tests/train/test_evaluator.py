"""The evaluator: the figures of `evaluate`, inside any training run; training records in result records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.train.build import parallel
from xqr_bench import evaluate
from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.train import TrainConfig, XqrEvaluator, get_recipe, train

SMALL = get_recipe("static", updates=6, batch_size=4, vocabulary=400, dimensions=16, validate_every=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("models")
    bitext = parallel(12, ["en", "el"], kind="bitext", name="lines")
    return train(TrainConfig(data=[parallel(12, ["de", "en"])], recipe=SMALL, align=bitext, output=folder / "model"))


def test_figures_are_those_of_evaluate(trained: Any) -> None:
    found = XqrEvaluator("mini")(trained.model)
    record = evaluate(str(trained.folder), "mini", cache=False)
    for setting, scores in record.scores.items():
        for metric in ("map", "rank_distance"):
            key = f"mini_{setting}_{metric}"
            if metric in scores.macro and scores.macro[metric].value is not None:
                assert found[key] == pytest.approx(scores.macro[metric].value, rel=1e-12)
    assert {"mini_monolingual_map", "mini_cross-lingual_map", "mini_multilingual_map"} <= set(found)


def test_inside_a_training_run() -> None:
    evaluator = XqrEvaluator("mini", name="", primary="monolingual_map")
    seen = []

    class Spy(XqrEvaluator):
        def __call__(self, *arguments: Any, **options: Any) -> dict[str, float]:
            found = super().__call__(*arguments, **options)
            seen.append(dict(found))  # the trainer adds names of its own to what it gets
            return found

    spy = Spy("mini", name="", primary="monolingual_map")
    result = train(TrainConfig(data=[parallel(12)], recipe=SMALL), evaluator=spy)
    assert len(seen) == 2
    assert seen[-1] == evaluator(result.model)
    assert (spy.primary_metric, spy.greater_is_better) == ("monolingual_map", True)


def test_a_primary_metric_that_is_no_score() -> None:
    with pytest.raises(UsageError, match="multilingual_map"):
        XqrEvaluator("mini", primary="multilingual_rank_distance")
    with pytest.raises(UnknownNameError):
        XqrEvaluator("mini", metrics=["mapp"])


def test_evaluate_finds_the_training_record(trained: Any) -> None:
    record = evaluate(str(trained.folder), "mini", cache=False)
    assert record.training == trained.record.model_dump(mode="json")
    assert (record.exposure.level, record.exposure.declared_by) == ("unknown", "training record")
    levels = record.exposure.languages
    assert set(levels) == set(record.task.languages)
    assert (levels["de"], levels["el"]) == ("trained", "aligned only")
    assert "untouched" in levels.values()
    assert evaluate("char-ngrams", "mini", cache=False).training is None


def test_a_training_record_that_cannot_be_read_is_told_before_encoding(trained: Any, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(trained.folder, folder)
    (folder / "xqr_bench_training.json").write_text('{"training_version": 99}')
    with pytest.raises(RecordError, match="version 99"):
        evaluate(str(folder), "mini", cache=False)
    (folder / "xqr_bench_training.json").write_text("{}")
    with pytest.raises(RecordError, match="not a training record"):
        evaluate(str(folder), "mini", cache=False)


def test_zero_shot_refuses_the_tasks_own_texts() -> None:
    from xqr_bench.train.prepare import prepare

    config = TrainConfig(data=["mini"], recipe=SMALL, zero_shot=["mini"])
    with pytest.raises(UsageError, match="would not be zero-shot") as error:
        prepare(config)
    assert "questions exactly" in str(error.value)
    assert prepare(TrainConfig(data=[parallel(12)], recipe=SMALL, zero_shot=["mini"])).findings[0].level is None
    aligned = parallel(12, ["en", "de"], kind="bitext")
    from xqr_bench.train.data import load_training_data

    mini = load_training_data("mini")
    text = mini.query(0, "en")
    import dataclasses

    queries = list(aligned.queries)
    queries[0] = (text, *queries[0][1:])
    leaking = dataclasses.replace(aligned, queries=tuple(queries))
    with pytest.raises(UsageError, match="would not be zero-shot"):
        prepare(TrainConfig(data=[parallel(12)], recipe=SMALL, align=leaking, zero_shot=["mini"]))


def test_an_article_of_the_same_title_is_told_and_not_refused() -> None:
    import dataclasses

    from xqr_bench.tasks import load_task
    from xqr_bench.train.prepare import prepare

    title = next(iter(load_task("mini").titles.values()))
    data = parallel(12)
    named = dataclasses.replace(data, titles=((title,), *((),) * 11))
    assert named.digest == data.digest
    prepared = prepare(TrainConfig(data=[named], recipe=SMALL, zero_shot=["mini"]))
    assert prepared.findings[0].level is None
    assert f"  titles: {title} (the title of an article of {data.name})" in prepared.summary()
    # where it is a whole text that is trained on, it is refused
    queries = ((title, *data.queries[0][1:]), *data.queries[1:])
    with pytest.raises(UsageError, match="would not be zero-shot"):
        prepare(TrainConfig(data=[dataclasses.replace(named, queries=queries)], recipe=SMALL, zero_shot=["mini"]))


def test_looking_for_texts_records_what_was_found() -> None:
    result = train(TrainConfig(data=["mini"], recipe=SMALL, look_for=["mini"]))
    assert result.record.exposure["mini"]["level"] == "evaluation text"
