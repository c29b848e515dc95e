"""Each distinct text is encoded once, and its vector stands wherever the text does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.encode.toys import TOY, Counting, Symmetric, vector_of
from tests.kit import Seen, make_task
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.core.types import TaskData
from xqr_bench.encode import Embeddings, EncoderOptions, embed_tasks, load_encoder

TEXTS = st.lists(st.sampled_from(["a", "b", "bb", "ab", "ünï", "文", "a b c", ""]), min_size=1, max_size=6)
BY_LANGUAGE = st.fixed_dictionaries({"en": TEXTS, "zh": TEXTS})


def check_rows(found: Embeddings, task: TaskData) -> None:
    for items, vectors in ((task.queries, found.queries), (task.candidates, found.candidates)):
        np.testing.assert_array_equal(vectors, np.array([vector_of(item.text) for item in items], np.float32))
        assert vectors.dtype == np.float32
        assert vectors.flags.c_contiguous


@given(st.lists(st.tuples(BY_LANGUAGE, BY_LANGUAGE), min_size=1, max_size=3), st.integers(1, 5))
def test_every_row_is_the_vector_of_its_text_and_no_text_is_encoded_twice(
    contents: list[tuple[dict[str, list[str]], dict[str, list[str]]]], chunk: int
) -> None:
    tasks = [make_task(queries, candidates, f"t{i}") for i, (queries, candidates) in enumerate(contents)]
    for encoder in (Counting(), Symmetric()):
        found = embed_tasks(load_encoder(encoder, EncoderOptions(batch_size=chunk)), tasks)
        for task in tasks:
            check_rows(found[task.name], task)
            queries, candidates = {q.text for q in task.queries}, {c.text for c in task.candidates}
            both = queries | candidates
            expected = len(both) if isinstance(encoder, Symmetric) else len(queries) + len(candidates)
            assert found[task.name].distinct_texts == expected
        encoded = (
            [encoder.texts] if isinstance(encoder, Symmetric) else [encoder.texts(r) for r in ("query", "candidate")]
        )
        for texts in encoded:
            assert len(texts) == len(set(texts))
            assert [len(text) for text in texts] == sorted(map(len, texts), reverse=True)


def test_different_prompts_make_it_asymmetric() -> None:
    encoder = Symmetric()
    bound = load_encoder(encoder, EncoderOptions(query_prompt="q: "))
    assert not bound.symmetric
    embed_tasks(bound, [TOY])
    assert "q: Wo ist die Stadt?" in encoder.texts
    assert "Wo ist die Stadt?" in encoder.texts
    assert (bound.identity.query_prompt, bound.identity.candidate_prompt) == ("q: ", None)


def test_progress_counts_distinct_texts() -> None:
    seen = Seen()
    embed_tasks(load_encoder(Symmetric(), EncoderOptions(batch_size=3)), [TOY], observe=seen)
    assert (seen.phases, seen.steps, seen.ended) == ([("encoding", 7)], [3, 3, 1], 1)


def test_progress_finishes_when_the_encoder_fails() -> None:
    class Failing:
        def encode(self, texts: list[str]) -> Any:
            raise RuntimeError("no\nmore")

    seen = Seen()
    with pytest.raises(EncoderError) as caught:
        embed_tasks(load_encoder(Failing()), [TOY], observe=seen)
    assert seen.ended == 1
    assert "the encoder Failing failed on texts 1 to 7 of 7 (sorted by length, longest first)" in str(caught.value)
    assert "found: RuntimeError: no (" in str(caught.value)
    assert "the candidate en:0:0:1 of toy ('The town is near the sea.')" in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_out_of_memory_says_which_option_helps() -> None:
    class Big:
        def encode(self, texts: list[str]) -> Any:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")

    seen = Seen()
    with pytest.raises(EncoderError, match="smaller --batch-size or --max-length"):
        embed_tasks(load_encoder(Big()), [TOY], observe=seen)
    assert [line.split(" together")[0] for line in seen.notes] == [
        "out of memory with 7 texts",
        "out of memory with 3 texts",
    ]


def test_ctrl_c_passes() -> None:
    class Stopped:
        def encode(self, texts: list[str]) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_tasks(load_encoder(Stopped()), [TOY])


def test_truncated_texts_are_counted_by_language_and_role() -> None:
    class Cutting(Symmetric):
        def truncated(self, texts: list[str]) -> list[bool]:
            return [len(text) > 15 for text in texts]

    twice = make_task(
        {"en": ["Where is the town?"] * 2, "de": ["kurz"]}, {"en": ["She wrote it."], "de": ["Wo ist die Stadt?"]}
    )
    found = embed_tasks(load_encoder(Cutting(), EncoderOptions(batch_size=2)), [twice])["toy"]
    assert found.truncated == {"en": {"queries": 2, "candidates": 0}, "de": {"queries": 0, "candidates": 1}}
    assert embed_tasks(load_encoder(Symmetric()), [twice])["toy"].truncated is None


def test_truncated_sees_the_prompt_and_must_answer_for_each_text() -> None:
    class Cutting(Symmetric):
        def truncated(self, texts: list[str]) -> list[bool]:
            return [text.startswith("long") for text in texts]

    found = embed_tasks(load_encoder(Cutting(), EncoderOptions(query_prompt="long ")), [TOY])["toy"]
    assert found.truncated == {"en": {"queries": 2, "candidates": 0}, "de": {"queries": 2, "candidates": 0}}

    answers: list[Any] = [[True], ["False"] * 7, [None] * 7, [0.5] * 7, {"cut": True}, (text for text in "seven")]
    for answer in answers:

        class Wrong(Symmetric):
            def truncated(self, texts: list[str], answer: Any = answer) -> Any:
                return answer

        with pytest.raises(EncoderError, match=r"truncated\(\) of the encoder Wrong returned no bool per text"):
            embed_tasks(load_encoder(Wrong()), [TOY])


def test_columns_can_be_cut() -> None:
    bound = load_encoder(Counting(), EncoderOptions(truncate_dim=2))
    found = embed_tasks(bound, [TOY])["toy"]
    assert found.dimensions == bound.identity.dimensions == bound.identity.truncate_dim == 2
    np.testing.assert_array_equal(found.queries[0], np.float32(vector_of("Who wrote it?")[:2]))
    with pytest.raises(EncoderError, match=r"cannot be cut to 9 columns\n  found: 3 columns"):
        embed_tasks(load_encoder(Counting(), EncoderOptions(truncate_dim=9)), [TOY])


def test_no_tasks_and_tasks_of_one_name() -> None:
    assert embed_tasks(load_encoder(Counting()), []) == {}
    with pytest.raises(UsageError, match="two tasks have the same name\n  found: toy, toy"):
        embed_tasks(load_encoder(Counting()), [TOY, TOY])


def test_dimensions_are_known_afterwards_and_must_stay() -> None:
    class Growing:
        width = 2

        def encode(self, texts: list[str]) -> Any:
            return np.ones((len(texts), self.width))

    encoder = Growing()
    bound = load_encoder(encoder)
    assert bound.identity.dimensions is None
    embed_tasks(bound, [TOY])
    assert bound.identity.dimensions == 2
    encoder.width = 3
    with pytest.raises(
        EncoderError, match="Growing has vectors of different dimensions\n  found: 2 columns before, 3 for"
    ):
        embed_tasks(bound, [TOY])
