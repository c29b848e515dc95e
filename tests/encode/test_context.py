"""Candidates encoded with their paragraph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.encode.toys import TOY, Counting
from xqr_bench.core.errors import EncoderError, UsageError
from xqr_bench.encode import EncoderOptions, embed_tasks, load_encoder
from xqr_bench.encode.options import DEFAULT_TEMPLATE, check_template
from xqr_bench.encode.texts import in_context
from xqr_bench.tasks import load_task

PARAGRAPH = EncoderOptions(candidate_context="paragraph")


def with_paragraphs(paragraph: str = "She wrote it. The town is near the sea.") -> object:
    return replace(TOY, candidates=tuple(replace(found, context=paragraph) for found in TOY.candidates))


def test_the_encoder_gets_sentence_and_paragraph_and_the_bare_question() -> None:
    counting = Counting()
    bound = load_encoder(counting, PARAGRAPH)
    embed_tasks(bound, [with_paragraphs()])
    assert "She wrote it.\nShe wrote it. The town is near the sea." in counting.texts("candidate")
    assert "She wrote it." not in counting.texts("candidate")
    assert set(counting.texts("query")) == {query.text for query in TOY.queries}
    assert bound.identity.candidate_context == DEFAULT_TEMPLATE
    assert bound.name == "counting+paragraph"


def test_a_template_of_ones_own() -> None:
    counting = Counting()
    options = EncoderOptions(
        candidate_context="paragraph", context_template="{{p}} {paragraph} [SEP] {sentence}", name="x"
    )
    bound = load_encoder(counting, options)
    embed_tasks(bound, [with_paragraphs("{braces} stay")])
    assert "{p} {braces} stay [SEP] She wrote it." in counting.texts("candidate")
    assert bound.identity.candidate_context == "{{p}} {paragraph} [SEP] {sentence}"
    assert bound.name == "x"


def test_equal_sentences_of_one_paragraph_are_encoded_once_and_of_two_twice() -> None:
    texts = [("Yes.", "p"), ("Yes.", "p"), ("Yes.", "q")]
    candidates = tuple(replace(TOY.candidates[0], id=f"en:{i}", text=t, context=p) for i, (t, p) in enumerate(texts))
    task = replace(
        TOY, languages=("en",), candidates=candidates, queries=TOY.queries[:1], relevants=((0,),), clusters=(0,)
    )
    counting = Counting()
    found = embed_tasks(load_encoder(counting, PARAGRAPH), [task])["toy"]
    assert sorted(counting.texts("candidate")) == ["Yes.\np", "Yes.\nq"]
    assert np.array_equal(found.candidates[0], found.candidates[1])
    assert not np.array_equal(found.candidates[0], found.candidates[2])


def test_ids_and_relevants_stay() -> None:
    task = load_task("mini", limit=2)
    found = in_context(task, DEFAULT_TEMPLATE)
    assert [c.id for c in found.candidates] == [c.id for c in task.candidates]
    assert found.relevants == task.relevants
    assert in_context(task, None) is task


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{sentence}", "the template '{sentence}' does not hold {sentence} and {paragraph}, and only these, in braces"),
        ("{sentence} {paragraph} {title}", "and only these, in braces"),
        ("{sentence!r} {paragraph}", "and only these, in braces"),
        ("{sentence {paragraph}", "is no template: "),
    ],
)
def test_a_template_that_makes_no_sense(template: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        check_template(template)
    assert message in str(error.value)


def test_options_that_contradict() -> None:
    with pytest.raises(UsageError, match=r"--context-template says how .*\n.*give --candidate-context paragraph too"):
        EncoderOptions(context_template=DEFAULT_TEMPLATE)
    with pytest.raises(UsageError, match=r"--candidate-context cannot be 'article'\n.*use one of: paragraph"):
        EncoderOptions(candidate_context="article")


def test_precomputed_vectors_have_no_context(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    folder.mkdir()
    np.save(folder / "queries.npy", np.eye(3))
    (folder / "queries.ids.txt").write_text("a\nb\nc\n")
    with pytest.raises(UsageError, match="cannot be used with precomputed vectors: they are encoded already"):
        load_encoder(f"precomputed:{tmp_path}", PARAGRAPH)


def test_a_task_without_paragraphs() -> None:
    bound = load_encoder(Counting(), PARAGRAPH)
    with pytest.raises(EncoderError, match=r"the candidates of toy have no paragraphs.*\n  found: none for en:0:0:0"):
        embed_tasks(bound, [TOY])
