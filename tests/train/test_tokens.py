"""Tokens counted beforehand are those that are spent; a budget of them gives the most updates that it allows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import ran, words
from tests.train.build import CODES, parallel, partly_parallel, planned, tiny_xlm_r
from xqr_bench.core.errors import UsageError
from xqr_bench.train import Recipe, TrainConfig, get_recipe, train
from xqr_bench.train.losses._consistency import second_queries
from xqr_bench.train.plans import PlanRequest
from xqr_bench.train.prepare import prepare
from xqr_bench.train.texts import PlannedTexts, TextTable
from xqr_bench.train.tokens import TextLengths, updates_within, with_padding
from xqr_bench.train.types import ParallelData

DATA = partly_parallel(30, CODES, least=1)
NEGATIVES = dataclasses.replace(
    DATA,
    negatives=tuple(
        tuple((f"not passage {i} {code}, but one that is much longer",) for i in range(DATA.n_questions))
        for code in DATA.languages
    ),
)


def static(**changes: Any) -> Recipe:
    return get_recipe("static", **{"batch_size": 6, "vocabulary": 320, "dimensions": 8, **changes})


def base(tmp_path: Path, data: ParallelData) -> str:
    return str(tiny_xlm_r(tmp_path / "base", [text for text, _ in data.texts()]))


@pytest.mark.parametrize("loss", ["infonce", "lakda", "lancer"])
@pytest.mark.parametrize("data", [DATA, NEGATIVES])
def test_the_tokens_of_a_transformer_are_those_written_out(loss: str, data: ParallelData, tmp_path: Path) -> None:
    negatives = 1 if data.negatives else 0
    recipe = get_recipe("paper", batch_size=6, updates=5, loss=loss, negatives=negatives)
    result = train(TrainConfig(base=base(tmp_path, data), data=[data], alpha=0.4, recipe=recipe))
    stage = result.record.training
    plan = planned([data], alpha=0.4, steps=5, batch_size=6)
    texts = PlannedTexts(plan, [data])

    def lengths(prompt: str, of: list[str]) -> list[int]:
        return [len(result.model.tokenizer(prompt + text)["input_ids"]) for text in of]

    plain = padded = 0
    for step in range(5):
        pairs = plan.pairs(step, [data])
        passages = [pair.passage for pair in pairs] + [text for pair in pairs for text in pair.negatives[:negatives]]
        parts = [lengths("Query: ", [pair.query for pair in pairs]), lengths("Passage: ", passages)]
        if loss == "lakda":
            second = [texts.table.queries[n] for n in second_queries(texts, step, slice(None)) if n >= 0]
            parts.append(lengths("Query: ", second))
        plain += sum(map(sum, parts))
        padded += sum(max(part) * len(part) for part in parts if part)
    assert stage is not None
    assert (stage.tokens, stage.padded_tokens) == (plain, padded)
    assert plain < padded


def test_a_static_model_has_no_padding() -> None:
    stage = train(TrainConfig(data=[DATA], recipe=static(updates=5, loss="jsd"))).record.training
    assert stage is not None
    assert stage.padded_tokens == stage.tokens > 0


@pytest.mark.parametrize("change", [{"train_length": 5}, {"parts": 3}, {"parts": 2, "negatives": 1}])
def test_what_a_transformer_is_while_it_is_trained_counts(change: dict[str, int], tmp_path: Path) -> None:
    plain, changed = (
        TrainConfig(
            base=base(tmp_path / str(i), NEGATIVES),
            data=[NEGATIVES],
            recipe=get_recipe("paper", batch_size=6, tokens=4000, **values),
        )
        for i, values in enumerate(({"negatives": change.get("negatives", 0)}, change))
    )
    stage = train(changed).record.training
    assert stage is not None
    assert stage.padded_tokens is not None
    assert stage.updates > prepare(plain).config.updates
    assert 4000 - 6 * 3 * 60 < stage.padded_tokens <= 4000


@pytest.mark.parametrize("loss", ["infonce", "lakda", "jsd", "lancer"])
@pytest.mark.parametrize("transformer", [False, True])
def test_a_budget_is_spent_to_within_one_batch(loss: str, transformer: bool, tmp_path: Path) -> None:
    budget = 6000
    if transformer:
        recipe = get_recipe("paper", batch_size=6, tokens=budget, loss=loss)
        config = TrainConfig(base=base(tmp_path, DATA), data=[DATA], alpha=0.4, recipe=recipe)
    else:
        config = TrainConfig(data=[DATA], alpha=0.4, recipe=static(tokens=budget, loss=loss))
    result = train(config)
    stage = result.record.training
    assert stage is not None
    assert stage.padded_tokens is not None
    assert stage.padded_tokens <= budget
    one_more = dataclasses.replace(config.recipe, tokens=None, updates=stage.updates + 1)
    more = train(dataclasses.replace(config, recipe=one_more)).record.training
    assert more is not None
    assert more.padded_tokens is not None
    assert more.padded_tokens > budget
    recipe = result.record.recipe
    assert (recipe["tokens"], recipe["updates"], stage.planned_updates) == (budget, stage.updates, stage.updates)
    assert f"budget: 6,000 tokens allow {stage.updates} updates" in result.prepared.summary()


def test_a_second_query_costs_updates() -> None:
    updates = [
        prepare(TrainConfig(data=[DATA], recipe=static(tokens=9000, loss=loss))).config.updates
        for loss in ("infonce", "lancer", "lakda", "jsd")
    ]
    assert updates[0] == updates[1] > updates[2] == updates[3] > 0


def test_processes_that_share_a_batch_pad_their_own_part() -> None:
    plan = planned([DATA], alpha=0.0, steps=4, batch_size=6)
    table = TextTable.of([DATA])
    rng = np.random.default_rng(0)
    lengths = TextLengths(rng.integers(1, 9, len(table.queries)), rng.integers(1, 9, len(table.passages)), padded=True)
    texts = PlannedTexts(plan, [DATA], table=table)
    expected = []
    for step in range(4):
        queries, passages = texts.batch(step)
        expected.append(
            sum(
                3 * max(of[numbers[part]])
                for of, numbers in ((lengths.queries, queries), (lengths.passages, passages))
                for part in (slice(0, 3), slice(3, 6))
            )
        )
    assert lengths.of_batches(texts, processes=2).tolist() == expected
    assert (lengths.of_batches(texts, processes=2) <= lengths.of_batches(texts)).all()


def test_padding_written_out() -> None:
    first, second = np.array([3, 9, 1, 4]), np.array([2, 2, 6, 5])
    assert with_padding([first]) == 4 * 9
    assert with_padding([first, second]) == 8 * 9
    assert with_padding([first, second], 1) == 4 * 9 + 4 * 6
    assert with_padding([first, second], 2) == 2 * 9 + 2 * 3 + 2 * 6 + 2 * 2
    assert with_padding([first[:3]], 2) == 2 * 9 + 1  # the first part is the larger
    assert with_padding([first], 9) == first.sum()
    assert with_padding([np.array([], dtype=np.int64)]) == 0


@pytest.mark.parametrize("budget", [7, 8, 699, 700, 701, 5000])
def test_updates_within_a_budget(budget: int) -> None:
    asked = PlanRequest(steps=1, batch_size=6)
    made = []

    def cost(plan: Any) -> Any:
        made.append(plan.steps)
        return np.full(plan.steps, 7, dtype=np.int64)

    assert (
        updates_within(budget, asked, lambda one: planned([DATA], steps=one.steps, batch_size=6), cost) == budget // 7
    )
    assert len(made) <= 2


def test_what_a_budget_cannot_do_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--tokens 10 is less than one batch costs"):
        prepare(TrainConfig(data=[DATA], recipe=static(tokens=10)))
    with pytest.raises(UsageError, match="both say when training ends"):
        static(tokens=10_000, updates=3)
    with pytest.raises(UsageError, match="--tokens cannot be 0"):
        static(tokens=0)
    with pytest.raises(UsageError, match="has no length to divide"):
        prepare(TrainConfig(data=[DATA], strategy="mono-first", recipe=static(tokens=10_000)))
    assert prepare(TrainConfig(data=[DATA], strategy="mono-first", turn=3, recipe=static(tokens=10_000))).config.updates
    with pytest.raises(UsageError, match="--save-at 5000 is no update of a run of"):
        prepare(TrainConfig(data=[DATA], save_at=[5000], recipe=static(tokens=10_000)))


def test_a_loss_that_does_not_say_what_it_encodes_is_refused_with_a_budget() -> None:
    from tests.train.test_losses import Further

    with pytest.raises(UsageError, match="which the budget of tokens"):
        train(TrainConfig(data=[DATA], recipe=static(tokens=6000), loss=Further))


def test_a_run_that_was_stopped_goes_on_counting(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(step: int, *_: Any) -> None:
        raise StopError

    config = TrainConfig(
        data=[DATA], alpha=0.4, recipe=static(tokens=9000, loss="lakda"), checkpoint_every=2, output=tmp_path / "out"
    )
    whole = train(dataclasses.replace(config, output=None)).record
    with pytest.raises(StopError):
        train(dataclasses.replace(config, save_at=[5]), on_kept=stop)
    with pytest.raises(UsageError, match="was asked for something else"):
        train(dataclasses.replace(config, resume=True, save_at=[5], recipe=static(tokens=9001, loss="lakda")))
    again = train(dataclasses.replace(config, resume=True, save_at=[5])).record
    assert again.training is not None
    assert whole.training is not None
    assert again.training.resumed_at == [4]
    assert again.training.padded_tokens == whole.training.padded_tokens
    assert again.weights_digest == whole.weights_digest


def test_alignment_and_vocabulary_stand_beside_the_budget() -> None:
    bitext = parallel(20, ["de", "en"], kind="bitext", name="lines")
    config = TrainConfig(
        data=[DATA], align=bitext, vocabulary_texts=[parallel(9, ["fi", "en"])], recipe=static(tokens=6000)
    )
    record = train(config).record
    assert record.training is not None
    assert record.alignment is not None
    assert record.training.padded_tokens is not None
    assert record.training.padded_tokens <= 6000
    assert record.alignment.updates == record.training.updates


def test_the_command() -> None:
    shown = ran("train", "--data", "mini", "--tokens", "20000", "--batch-size", "6", "--dry-run").out
    assert "budget: 20,000 tokens allow " in words(shown)
