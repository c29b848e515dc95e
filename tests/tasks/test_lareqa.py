"""The reader of the LAReQA format: positions, relevants, and one clear error for each way a file can be wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xqr_bench.core.errors import DataError
from xqr_bench.tasks import READERS, DataFile, SourceData
from xqr_bench.tasks.readers import lareqa

pytestmark = pytest.mark.usefixtures("own_surroundings")


def read(content: bytes, name: str) -> SourceData:
    """The reader, of bytes."""
    return lareqa.read(DataFile(name, content))


GOOD: dict[str, Any] = {
    "version": "1.0",
    "data": [
        {
            "title": "first",
            "paragraphs": [
                {
                    "context": "One stone. Two birds sing. Three.",
                    "sentences": ["One stone.", "Two birds sing.", "Three."],
                    "sentence_breaks": [[0, 10], [11, 26], [27, 33]],
                    "qas": [
                        {"id": "q1", "question": "Who?", "answers": [{"answer_start": 15, "text": "birds"}]},
                        {
                            "id": "q2",
                            "question": "How many?",
                            "answers": [
                                {"answer_start": 27, "text": "Three"},
                                {"answer_start": 0, "text": "One"},
                                {"answer_start": 4, "text": "stone"},
                            ],
                        },
                    ],
                }
            ],
        },
        {
            "title": "second",
            "paragraphs": [
                {"context": "Alone.", "sentences": ["Alone!"], "sentence_breaks": [[0, 6]], "qas": []},
                {
                    "context": "一。二。",
                    "sentences": ["一。", "二。"],
                    "sentence_breaks": [[0, 2], [2, 4]],
                    "qas": [{"id": "q3", "question": "几？", "answers": [{"answer_start": 1, "text": "。二"}]}],
                },
            ],
        },
    ],
}


def encode(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def test_positions_texts_and_relevants() -> None:
    data = read(encode(GOOD), "good.json")
    assert [(s.id, s.group, s.cluster) for s in data.candidates] == [
        ("0:0:0", "0:0", "0"), ("0:0:1", "0:0", "0"), ("0:0:2", "0:0", "0"),
        ("1:0:0", "1:0", "1"), ("1:1:0", "1:1", "1"), ("1:1:1", "1:1", "1"),
    ]  # fmt: skip
    assert data.candidates[3].text == "Alone!", "the published sentence, not the slice of the context"
    assert [(q.id, q.text, q.cluster, q.gains) for q in data.questions] == [
        ("q1", "Who?", "0", {1: 1.0}),
        ("q2", "How many?", "0", {0: 1.0, 2: 1.0}),  # three answers start in two sentences
        ("q3", "几？", "1", {4: 1.0}),  # runs past its sentence: the sentence it starts in
    ]


def test_a_byte_order_mark_is_no_fault() -> None:
    assert read(b"\xef\xbb\xbf" + encode(GOOD), "bom.json") == read(encode(GOOD), "good.json")


Change = Callable[[dict[str, Any]], object]


def first(document: dict[str, Any]) -> dict[str, Any]:
    return document["data"][0]["paragraphs"][0]


def answer(document: dict[str, Any]) -> dict[str, Any]:
    return first(document)["qas"][0]["answers"][0]


FAULTS: dict[str, tuple[Change, str]] = {
    "no data": (lambda d: d.pop("data"), "top level: the key 'data' is missing\n  found: keys: version"),
    "data of another kind": (
        lambda d: d.update(data={}),
        "top level: 'data' is not a list\n  found: dict {}",
    ),
    "article of another kind": (
        lambda d: d["data"].insert(0, 7),
        "article 0: expected an object with the key 'paragraphs'\n  found: int 7",
    ),
    "no paragraphs": (lambda d: d["data"][1].pop("paragraphs"), "article 1: the key 'paragraphs' is missing"),
    "no context": (
        lambda d: first(d).pop("context"),
        "article 0, paragraph 0: the key 'context' is missing\n  found: keys: qas, sentence_breaks, sentences",
    ),
    "no qas": (lambda d: first(d).pop("qas"), "article 0, paragraph 0: the key 'qas' is missing"),
    "lengths": (
        lambda d: first(d)["sentences"].pop(),
        "paragraph 0: sentences and sentence_breaks differ in length\n  found: 2 sentences, 3 breaks",
    ),
    "sentence of another kind": (
        lambda d: first(d)["sentences"].__setitem__(1, None),
        "paragraph 0, sentence 1: the sentence is not a text\n  found: NoneType None",
    ),
    "empty sentence": (
        lambda d: first(d)["sentences"].__setitem__(2, " \n"),
        "article 0, paragraph 0, sentence 2: the sentence is empty",
    ),
    "sentence without anything to see": (
        lambda d: first(d)["sentences"].__setitem__(2, "\u200b\ufeff\u200d \ufe0f\u00a0\u2060"),
        "article 0, paragraph 0, sentence 2: the sentence is empty\n  found: '\\u200b",
    ),
    "plain SQuAD": (
        lambda d: [first(d).pop(key) for key in ("sentences", "sentence_breaks")],
        "paragraph 0: this is plain SQuAD: its paragraphs are not cut into sentences, which are what is ranked\n"
        "  found: keys: context, qas\n"
        '  to do: to rank its paragraphs: format = "squad" in the task file; to rank sentences: add sentences and '
        'sentence_breaks to each paragraph, or segmenter = "sentencex" to the task file (docs/tasks.md); '
        "to train on it as it is: xqr-bench train --data FOLDER",
    ),
    "one of the two keys": (lambda d: first(d).pop("sentences"), "paragraph 0: the key 'sentences' is missing"),
    "half a surrogate pair": (
        lambda d: first(d)["sentences"].__setitem__(0, "\ud83d"),
        "the text data.0.paragraphs.0.sentences.0 holds half of a surrogate pair",
    ),
    "break of another kind": (
        lambda d: first(d)["sentence_breaks"].__setitem__(0, [0, 10.0]),
        r"sentence 0: its break is not [begin, end] in whole numbers",
    ),
    "breaks overlap": (
        lambda d: first(d)["sentence_breaks"].__setitem__(1, [9, 26]),
        "sentence 1: its break is out of order or out of range\n"
        "  found: [9, 26) after 10, in a context of 33 characters",
    ),
    "break is empty": (
        lambda d: first(d)["sentence_breaks"].__setitem__(1, [11, 11]),
        "found: [11, 11) after 10",
    ),
    "break past the end": (
        lambda d: first(d)["sentence_breaks"].__setitem__(2, [27, 34]),
        "[27, 34) after 26",
    ),
    "no id": (lambda d: first(d)["qas"][0].pop("id"), "question 0: the key 'id' is missing"),
    "id with a space": (
        lambda d: first(d)["qas"][0].update(id="q 1"),
        "question 0: the id holds a space or a control character\n  found: 'q 1'",
    ),
    "empty id": (lambda d: first(d)["qas"][0].update(id=""), "question 0: the id is empty"),
    "id twice": (
        lambda d: d["data"][1]["paragraphs"][1]["qas"][0].update(id="q1"),
        "article 1, paragraph 1, question 0: the question id 'q1' occurs twice in this language\n"
        "  found: first at article 0, paragraph 0, question 0",
    ),
    "question without anything to see": (
        lambda d: first(d)["qas"][1].update(question="\u200b"),
        "question 1, id q2: the question is empty",
    ),
    "answers of the hub of different lengths": (
        lambda d: first(d)["qas"][0].update(answers={"text": ["birds"], "answer_start": []}),
        "id q1: answer_start and text differ in length\n  found: 0 starts, 1 texts",
    ),
    "answers of the hub without texts": (
        lambda d: first(d)["qas"][0].update(answers={"answer_start": [15]}),
        "id q1, answers: the key 'text' is missing",
    ),
    "empty question": (
        lambda d: first(d)["qas"][1].update(question=""),
        "question 1, id q2: the question is empty",
    ),
    "no answer_start": (
        lambda d: answer(d).pop("answer_start"),
        "id q1, answer 0: the key 'answer_start' is missing\n  found: keys: text",
    ),
    "answer_start is a truth value": (
        lambda d: answer(d).update(answer_start=True),
        "answer 0: 'answer_start' is not a whole number\n  found: bool True",
    ),
    "answer between sentences": (
        lambda d: answer(d).update(answer_start=10),
        "id q1, answer 0: the answer starts outside every sentence, at 10",
    ),
    "answer past the end": (lambda d: answer(d).update(answer_start=33), "outside every sentence, at 33"),
    "negative answer_start": (lambda d: answer(d).update(answer_start=-1), "outside every sentence, at -1"),
    "answer elsewhere": (
        lambda d: answer(d).update(answer_start=14),
        "answer 0: the answer's text does not stand at answer_start 14\n  found: ' bird' instead of 'birds'",
    ),
}


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS)
def test_each_fault_names_file_position_and_remedy(change: Change, message: str) -> None:
    document = copy.deepcopy(GOOD)
    change(document)
    with pytest.raises(DataError) as caught:
        read(json.dumps(document).encode(), "folder/xx.json")
    assert str(caught.value).startswith("folder/xx.json: ")
    assert message in str(caught.value)
    assert "to do: " in str(caught.value)


def test_answers_as_the_hub_of_datasets_has_them() -> None:
    document = copy.deepcopy(GOOD)
    for article in document["data"]:
        for qa in (qa for paragraph in article["paragraphs"] for qa in paragraph["qas"]):
            qa["answers"] = {key: [one[key] for one in qa["answers"]] for key in ("text", "answer_start")}
    assert read(encode(document), "x.json") == read(encode(GOOD), "x.json")


@pytest.mark.parametrize("answers", [[], {"text": [], "answer_start": []}])
def test_a_question_without_an_answer_is_left_out_and_counted(answers: object) -> None:
    document = copy.deepcopy(GOOD)
    first(document)["qas"][0].update(answers=answers)
    data, whole = read(encode(document), "x.json"), read(encode(GOOD), "x.json")
    assert (data.candidates, data.questions) == (whole.candidates, whole.questions[1:])
    assert data.notes == ("1 questions have no answer and are left out, such as q1",)


def test_top_level_of_another_shape() -> None:
    with pytest.raises(DataError, match=r"x.json: top level: expected an object with the key 'data'\n  found: list"):
        read(b"[]", "x.json")


@pytest.mark.parametrize("length", [1, 40, 301, len(encode(GOOD)) - 1])
def test_a_truncated_file_is_called_cut_off(length: int) -> None:
    with pytest.raises(DataError, match=r"x.json: the JSON is incomplete: the file is cut off\n  found: line 1"):
        read(encode(GOOD)[:length].rstrip(b"\xe4\xb8\x80"), "x.json")


def test_not_json() -> None:
    with pytest.raises(DataError, match=r"x.json: not JSON\n  found: line 1, column 1: Expecting value"):
        read(b"<html></html>", "x.json")


def test_nested_too_deep() -> None:
    with pytest.raises(DataError, match=r"x.json: .*nested more than 64 levels"):
        read(b"[" * 200_000, "x.json")


def test_not_utf8() -> None:
    with pytest.raises(DataError, match=r"x.json: not UTF-8 text\n  found: byte 0, on line 1: .*\n  to do: save it"):
        read("Ärger".encode("latin-1"), "x.json")


@given(st.integers(0, len(encode(GOOD))), st.binary(max_size=3))
def test_damaged_bytes_are_read_or_refused_never_a_crash(cut: int, patch: bytes) -> None:
    content = encode(GOOD)
    message = "x.json: read"
    try:
        read(content[:cut] + patch + content[cut + len(patch) :], "x.json")
    except DataError as error:
        message = str(error)
    assert message.startswith("x.json: ")


SENTENCE = st.text("ab。é😀 ", min_size=1, max_size=8).filter(lambda text: text.strip())


@given(st.lists(SENTENCE, min_size=1, max_size=6), st.lists(st.integers(0, 3), min_size=6, max_size=6), st.data())
def test_the_relevant_sentence_holds_the_start_of_the_answer(
    texts: list[str], gaps: list[int], draw: st.DataObject
) -> None:
    context, breaks = "", []
    for text, gap in zip(texts, gaps, strict=False):
        context += " " * gap
        breaks.append([len(context), len(context) + len(text)])
        context += text
    starts = [i for i, character in enumerate(context) if character != " "]
    start = draw.draw(st.sampled_from(starts))
    qa = {"id": "q", "question": "?", "answers": [{"answer_start": start, "text": context[start:]}]}
    paragraph = {"context": context, "sentences": texts, "sentence_breaks": breaks, "qas": [qa]}
    data = read(encode({"data": [{"title": "", "paragraphs": [paragraph]}]}), "x.json")
    literal = [i for i, (begin, end) in enumerate(breaks) if begin <= start < end]
    assert list(data.questions[0].gains) == literal


def test_the_format_is_registered() -> None:
    assert READERS.get("lareqa").read is lareqa.read
