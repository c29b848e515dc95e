"""The losses `lakda`, `jsd` and `lancer` in a training: the loss of a batch written out, second queries, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.train.build import CODES, parallel, partly_parallel, planned, tiny_xlm_r
from tests.train.losses.test_consistency import literal_divergence, literal_probabilities
from tests.train.losses.test_lancer import literal_penalty
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.train import TrainConfig, get_recipe, train
from xqr_bench.train.losses._consistency import second_queries
from xqr_bench.train.texts import PlannedTexts
from xqr_bench.train.types import ParallelData

MIXED = partly_parallel(40, CODES, least=1)
LOSSES = ["lakda", "jsd", "lancer"]


def config(loss: str, data: ParallelData = MIXED, seed: int = 2, **changes: Any) -> TrainConfig:
    values = {"updates": 1, "batch_size": 6, "vocabulary": 320, "dimensions": 8, "temperature": 0.3, **changes}
    return TrainConfig(data=[data], alpha=0.5, seed=seed, recipe=get_recipe("static", loss=loss, **values))


def first_loss(asked: TrainConfig) -> float:
    training = train(asked).record.training
    assert training is not None
    return training.loss[0][1]


def vectors(model: Any, texts: list[str], prompt: str) -> np.ndarray:
    return np.asarray(model.encode([prompt + text for text in texts], prompt="", convert_to_numpy=True), dtype=float)


@pytest.mark.parametrize(("loss", "arguments"), [(name, {}) for name in LOSSES] + [("lakda", {"a": 0.2})])
@pytest.mark.parametrize("data", [MIXED, parallel(12)])
@pytest.mark.parametrize("seed", range(4))  # the first batches are monolingual and cross-lingual
def test_the_loss_of_a_batch_is_the_definition_written_out(
    loss: str, arguments: dict[str, float], data: ParallelData, seed: int
) -> None:
    model = train(config(loss, data, seed, updates=0)).model
    plan = planned([data], alpha=0.5, steps=1, batch_size=6, seed=seed)
    pairs = plan.pairs(0, [data])
    queries = vectors(model, [pair.query for pair in pairs], "Query: ")
    passages = vectors(model, [pair.passage for pair in pairs], "Passage: ")
    own = literal_probabilities(queries, passages, 0.3)
    info_nce = -np.log(np.diag(own)).mean()
    if loss == "lancer":
        languages = [pair.query_language for pair in pairs] + [pair.passage_language for pair in pairs]
        alone = len(set(languages)) == 1
        expected = info_nce + (0 if alone else literal_penalty(np.concatenate([queries, passages]), languages))
    else:
        texts = PlannedTexts(plan, [data])
        numbers = second_queries(texts, 0, slice(None))
        found = []
        for i, number in enumerate(numbers):
            if number >= 0:
                second = vectors(model, [texts.table.queries[number]], "Query: ")
                q = literal_probabilities(second, passages, 0.3)[0]
                middle = (own[i] + q) / 2
                jsd = (literal_divergence(own[i], middle) + literal_divergence(q, middle)) / 2
                found.append(literal_divergence(own[i], q) if loss == "lakda" else jsd)
        assert found
        a = arguments.get("a", 0.5)
        expected = (1 - a) * info_nce + a * np.mean(found) if loss == "lakda" else info_nce + np.mean(found)
    assert first_loss(config(loss, data, seed, updates=14, loss_args=arguments)) == pytest.approx(expected, abs=2e-6)


def test_the_batches_above_are_of_both_types() -> None:
    types = {planned([MIXED], alpha=0.5, steps=1, batch_size=6, seed=seed).batch_type(0) for seed in range(4)}
    assert types == {"monolingual", "cross-lingual"}


@pytest.mark.parametrize("data", [[MIXED], [MIXED, parallel(12, ["de", "zh", "th"], name="other")]])
def test_a_second_query_is_the_same_question_in_another_language(data: list[ParallelData]) -> None:
    plan = planned(data, alpha=0.5, steps=50, batch_size=6)
    texts = PlannedTexts(plan, data)
    alone = 0
    for step in range(plan.steps):
        for row, number in zip(plan.take(step), second_queries(texts, step, slice(None)), strict=True):
            part = data[row.data_set]
            others = {part.query(row.question, code) for code in part.languages if code != row.query_language} - {""}
            alone += not others
            assert (texts.table.queries[number] in others) if others else number == -1
    assert alone  # also a question in one language


def test_second_languages_come_equally_often() -> None:
    data = parallel(30, CODES)
    plan = planned(data, alpha=1.0, steps=600, batch_size=6)
    texts = PlannedTexts(plan, [data])
    numbers = np.concatenate([second_queries(texts, step, slice(None)) for step in range(plan.steps)])
    language = {text.rsplit(" ", 1)[1] for text in texts.table.queries}
    counts = {code: sum(texts.table.queries[n].endswith(code) for n in numbers) for code in language}
    assert sum(counts.values()) == 3600
    assert all(abs(n - 720) < 5 * 24 for n in counts.values())  # five standard deviations of a binomial


def test_second_queries_do_not_depend_on_the_length_of_the_plan_or_on_the_part() -> None:
    short, long = (PlannedTexts(planned(MIXED, alpha=0.5, steps=n, batch_size=6), [MIXED]) for n in (3, 9))
    for step in range(3):
        whole = second_queries(short, step, slice(None))
        np.testing.assert_array_equal(whole, second_queries(long, step, slice(None)))
        np.testing.assert_array_equal(whole[2:5], second_queries(long, step, slice(2, 5)))
    other = PlannedTexts(planned(MIXED, alpha=0.5, steps=3, batch_size=6, seed=1), [MIXED])
    assert (second_queries(other, 0, slice(None)) != second_queries(short, 0, slice(None))).any()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_arguments_give_the_same_weights_and_a_resumed_plan_the_same_second_queries(loss: str) -> None:
    digests = [train(config(loss, updates=5)).record.weights_digest for _ in range(2)]
    assert digests[0] == digests[1] != train(config("infonce", updates=5)).record.weights_digest


@pytest.mark.parametrize("loss", LOSSES)
def test_a_transformer_is_trained_too(loss: str, tmp_path: Any) -> None:
    base = tiny_xlm_r(tmp_path / "base", [text for text, _ in MIXED.texts()])
    values = get_recipe("paper", updates=3, batch_size=6, loss=loss, precision="bf16")
    result = train(TrainConfig(base=str(base), data=[MIXED], alpha=0.2, validation=MIXED, recipe=values))
    training = result.record.training
    assert training is not None
    assert training.loss[-1][1] > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_what_a_loss_cannot_do_is_refused(loss: str) -> None:
    with pytest.raises(UsageError, match="does not work with gradient caching"):
        TrainConfig(base="xlm-r-base", data=[MIXED], recipe=get_recipe("paper", mini_batch=3, loss=loss))
    with pytest.raises(UnknownNameError):
        config(loss, loss_args={"alpha": 0.5})
    for value in (0, -1, "much"):
        with pytest.raises(UsageError, match="cannot be used"):
            config(loss, loss_args={"a" if loss == "lakda" else "weight": value})


@pytest.mark.parametrize(("loss", "told"), [("lakda", "no question is in two"), ("lancer", "needs two languages")])
def test_data_of_one_language_is_refused(loss: str, told: str) -> None:
    asked = TrainConfig(data=[parallel(12, ["de"])], alpha=1.0, recipe=config(loss).values)
    with pytest.raises(UsageError, match=told):
        train(asked)
