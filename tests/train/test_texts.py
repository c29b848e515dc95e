"""Plan rows as texts, tokens and batches: each against its literal form."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.train.build import parallel, planned
from xqr_bench.train.initial import Tokens, learn_vocabulary, static_model
from xqr_bench.train.texts import PlannedTexts, TextTable, distinct_texts
from xqr_bench.train.types import ParallelData

TEXTS = ["Wie geht es dir?", "how are you", "你好吗", "สวัสดีครับ", "مرحبا بك", "how is it", "Straße"]


def with_negatives(data: ParallelData) -> ParallelData:
    negatives = tuple(
        tuple((f"wrong {i} {code}", f"also wrong {i} {code}") for i in range(data.n_questions))
        for code in data.languages
    )
    return dataclasses.replace(data, negatives=negatives)


@pytest.mark.parametrize("negatives", [0, 2])
def test_batches_are_the_plans_texts(negatives: int) -> None:
    data = [with_negatives(parallel(20)), with_negatives(parallel(30, ["en", "th"], name="other"))]
    plan = planned(data, alpha=0.5, steps=12, batch_size=6, seed=3)
    assert set(plan.data_set.ravel().tolist()) == {0, 1}
    texts = PlannedTexts(plan, data, negatives)
    for step in range(plan.steps):
        columns = texts.batch(step)
        expected = plan.pairs(step, data)
        assert [texts.table.queries[n] for n in columns[0]] == [pair.query for pair in expected]
        assert [texts.table.passages[n] for n in columns[1]] == [pair.passage for pair in expected]
        assert len(columns) == 2 + negatives
        for i, column in enumerate(columns[2:]):
            assert [texts.table.passages[n] for n in column] == [pair.negatives[i] for pair in expected]
        part = texts.batch(step, slice(2, 5))
        assert all((a == b[2:5]).all() for a, b in zip(part, columns, strict=True))


def test_shuffled_positives_bring_the_other_questions_passage() -> None:
    data = [parallel(40)]
    plan = planned(data, alpha=0.5, steps=4, batch_size=6, seed=1, shuffle_positives=True)
    texts = PlannedTexts(plan, data)
    for step in range(plan.steps):
        expected = [pair.passage for pair in plan.pairs(step, data)]
        assert [texts.table.passages[n] for n in texts.batch(step)[1]] == expected


def test_each_distinct_text_is_numbered_once() -> None:
    data = parallel(10, passage_of={1: 0, 2: 0})
    table = TextTable.of([data])
    assert len(set(table.passages)) == len(table.passages) == 8 * 3
    numbers = table.passage_numbers[0]
    assert (numbers[:, 0] == numbers[:, 1]).all()
    assert distinct_texts([data]) == sorted({*table.queries, *table.passages})


def test_vocabulary_does_not_depend_on_the_order_of_the_texts() -> None:
    first, second = learn_vocabulary(TEXTS, 300), learn_vocabulary([*reversed(TEXTS), *TEXTS], 300)
    assert first.to_str() == second.to_str()
    assert first.get_vocab_size() <= 300


def test_any_text_can_be_written_with_a_vocabulary_of_other_text() -> None:
    tokenizer = learn_vocabulary(["abc"], 300)
    text = "Ελλάδα, हिन्दी 123"
    assert tokenizer.decode(tokenizer.encode(text).ids).strip() == text.lower()


def test_tokens_are_those_of_the_models_own_preprocessing() -> None:
    tokenizer = learn_vocabulary(TEXTS, 400)
    model = static_model(tokenizer, 8, seed=1)
    tokens = Tokens(tokenizer, TEXTS, "Query: ")
    numbers = np.array([3, 0, 0, 6], dtype=np.int32)
    ids, offsets = tokens.batch(numbers)
    expected = model[0].preprocess([TEXTS[n] for n in numbers], prompt="Query: ")
    assert ids.tolist() == expected["input_ids"].tolist()
    assert offsets.tolist() == expected["offsets"].tolist()


def test_a_static_model_is_its_seeds() -> None:
    tokenizer = learn_vocabulary(TEXTS, 300)
    weights = [static_model(tokenizer, 16, seed)[0].embedding.weight.detach().numpy() for seed in (1, 1, 2)]
    assert weights[0].tobytes() == weights[1].tobytes() != weights[2].tobytes()
    assert weights[0].std() == pytest.approx(1 / 4, rel=0.05)
