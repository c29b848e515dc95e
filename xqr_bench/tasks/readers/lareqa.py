"""The format of XQuAD-R and MLQA-R (Roy et al. 2020, LAReQA, arXiv 2004.05484).

SQuAD-like JSON, one file a language; a paragraph adds `sentences` and `sentence_breaks`:

    {"data": [article, ...]}
    article:   {"title": str, "paragraphs": [paragraph, ...]}
    paragraph: {"context": str, "sentences": [str, ...], "sentence_breaks": [[begin, end], ...],
                "qas": [qa, ...]}
    qa:        {"id": str, "question": str, "answers": [{"answer_start": int, "text": str}, ...]}
               or, as the hub of datasets has it, "answers": {"answer_start": [int, ...], "text": [str, ...]}

A sentence is a candidate, `article:paragraph:sentence` by 0-based positions; its group is the paragraph, whose context
is that of the candidate; its cluster is the article, whose title is optional and no part of a candidate.

Offsets count Unicode characters of `context`; a break is half-open, `[begin, end)`. The candidate's text is
the `sentences` entry as published (it may differ from `context[begin:end]`). A question's relevant sentences
are those in which one of its answers starts; an answer may run past the sentence's end. Its echoes are the other
sentences of the paragraph whose text contains one of its answers: the same characters, anywhere in the sentence.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Any, NamedTuple, NoReturn

from xqr_bench.core import strict_json
from xqr_bench.core.errors import DataError
from xqr_bench.core.printable import has_text
from xqr_bench.tasks.readers import READERS, LanguageData, SourceCandidate, SourceQuestion

REMEDY = "correct the file, or take it from its source again"


class _At(NamedTuple):
    """A place in the file, for messages; positions count from 0, as candidate ids do."""

    file: str
    place: str = "top level"

    def inside(self, what: str) -> _At:
        return _At(self.file, what if self.place == "top level" else f"{self.place}, {what}")

    def fail(self, problem: str, *, found: str | None = None, remedy: str = REMEDY) -> NoReturn:
        raise DataError(f"{self.file}: {self.place}: {problem}", found=found, remedy=remedy)


@READERS.register("lareqa")
def read(content: bytes, name: str) -> LanguageData:
    """Read one language's file (see the module's text for the format).

    Raises:
        DataError: the content breaks a rule of the format; names file, position and remedy.
    """
    at = _At(name)
    sentences: list[SourceCandidate] = []
    questions: list[SourceQuestion] = []
    seen: dict[str, str] = {}
    titles: dict[str, str] = {}
    articles = _get(_decode(content, at), "data", list, at)
    for article, body in enumerate(articles):
        at_article = at.inside(f"article {article}")
        cluster = str(article)
        for paragraph, item in enumerate(_get(body, "paragraphs", list, at_article)):
            here = at_article.inside(f"paragraph {paragraph}")
            context, starts, ends, texts = _sentences(item, here)
            first = len(sentences)
            group = f"{article}:{paragraph}"
            sentences += [
                SourceCandidate(f"{group}:{i}", text, group, context, cluster) for i, text in enumerate(texts)
            ]
            for number, qa in enumerate(_get(item, "qas", list, here)):
                at_question = here.inside(f"question {number}")
                key, text, relevant, answers = _question(qa, context, starts, ends, at_question)
                if key in seen:
                    at_question.fail(
                        f"the question id {key!r} occurs twice in this language",
                        found=f"first at {seen[key]}",
                        remedy="an id names one question of a language, and its translations in others",
                    )
                seen[key] = at_question.place
                echoes = [
                    first + i
                    for i, sentence in enumerate(texts)
                    if i not in relevant and any(answer in sentence for answer in answers)
                ]
                gains = {first + i: 1.0 for i in relevant}
                questions.append(SourceQuestion(key, text, gains, cluster, tuple(echoes)))
        if isinstance(title := body.get("title"), str) and title:
            titles[cluster] = title
    return LanguageData(tuple(sentences), tuple(questions), titles)


def _decode(content: bytes, at: _At) -> Any:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{at.file}: not UTF-8 text",
            found=f"byte {error.start}: {error.reason}",
            remedy="save it as UTF-8",
        ) from None
    try:
        return strict_json.parse(text)
    except json.JSONDecodeError as error:
        ended = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        raise DataError(
            f"{at.file}: " + ("the JSON is incomplete: the file is cut off" if ended else "not JSON"),
            found=f"line {error.lineno}, column {error.colno}: {error.msg}",
            remedy=REMEDY,
        ) from None
    except ValueError as error:
        raise DataError(f"{at.file}: not this format: {error}", remedy=REMEDY) from None


_KINDS = {list: "a list", str: "a text", int: "a whole number", dict: "an object"}


def _get(holder: Any, key: str, kind: type, at: _At) -> Any:
    """`holder[key]`, which must be there and of that kind."""
    if not isinstance(holder, dict):
        at.fail(f"expected an object with the key {key!r}", found=_describe(holder))
    if key not in holder:
        at.fail(f"the key {key!r} is missing", found=f"keys: {', '.join(sorted(holder)) or 'none'}")
    value = holder[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        at.fail(f"{key!r} is not {_KINDS[kind]}", found=_describe(value))
    return value


def _describe(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _check_text(text: str, what: str, at: _At) -> str:
    if not has_text(text):
        at.fail(f"{what} is empty", found=repr(text))
    return text


def _sentences(paragraph: Any, at: _At) -> tuple[str, list[int], list[int], list[str]]:
    """Context, begins, ends and texts of a paragraph's sentences."""
    context: str = _get(paragraph, "context", str, at)
    if "sentences" not in paragraph and "sentence_breaks" not in paragraph:
        at.fail(
            "this is plain SQuAD: its paragraphs are not cut into sentences, which are what is ranked",
            found=f"keys: {', '.join(sorted(paragraph))}",
            remedy="add sentences and sentence_breaks to each paragraph (docs/tasks.md); to train on it as it is: "
            "xqr-bench train --data FOLDER",
        )
    texts = _get(paragraph, "sentences", list, at)
    breaks = _get(paragraph, "sentence_breaks", list, at)
    if len(texts) != len(breaks):
        at.fail(
            "sentences and sentence_breaks differ in length",
            found=f"{len(texts)} sentences, {len(breaks)} breaks",
        )
    starts: list[int] = []
    ends: list[int] = []
    previous = 0
    for i, (text, span) in enumerate(zip(texts, breaks, strict=True)):
        here = at.inside(f"sentence {i}")
        if not isinstance(text, str):
            here.fail("the sentence is not a text", found=_describe(text))
        _check_text(text, "the sentence", here)
        if not (isinstance(span, list) and len(span) == 2 and all(type(edge) is int for edge in span)):
            here.fail("its break is not [begin, end] in whole numbers", found=_describe(span))
        begin, end = span
        if not previous <= begin < end <= len(context):
            here.fail(
                "its break is out of order or out of range",
                found=f"[{begin}, {end}) after {previous}, in a context of {len(context)} characters",
                remedy="breaks ascend, do not overlap, and count Unicode characters of the context",
            )
        starts.append(begin)
        ends.append(end)
        previous = end
    if texts:
        _check_text(context, "the context", at)
    return context, starts, ends, texts


def _answers(qa: Any, at: _At) -> list[Any]:
    """The answers of a question, a list of objects; the hub of datasets has an object of two lists instead."""
    if not (isinstance(qa, dict) and isinstance(qa.get("answers"), dict)):
        answers: list[Any] = _get(qa, "answers", list, at)
        return answers
    starts, texts = (_get(qa["answers"], key, list, at.inside("answers")) for key in ("answer_start", "text"))
    if len(starts) != len(texts):
        at.fail("answer_start and text differ in length", found=f"{len(starts)} starts, {len(texts)} texts")
    return [{"answer_start": start, "text": text} for start, text in zip(starts, texts, strict=True)]


def _question(
    qa: Any, context: str, starts: list[int], ends: list[int], at: _At
) -> tuple[str, str, tuple[int, ...], set[str]]:
    """Id, text, the ascending positions of the sentences in which an answer starts, and the answers' texts."""
    key: str = _get(qa, "id", str, at)
    if not _check_text(key, "the id", at).isprintable() or len(key.split()) != 1 or key != key.strip():
        at.fail("the id holds a space or a control character", found=repr(key), remedy="use one word as id")
    at = at.inside(f"id {key}")
    text = _check_text(_get(qa, "question", str, at), "the question", at)
    answers = _answers(qa, at)
    if not answers:
        at.fail("the question has no answer", remedy="give it an answer, or take it out")
    positions: set[int] = set()
    strings: set[str] = set()
    for i, answer in enumerate(answers):
        here = at.inside(f"answer {i}")
        start: int = _get(answer, "answer_start", int, here)
        expected: str = _check_text(_get(answer, "text", str, here), "the answer", here)
        position = bisect_right(starts, start) - 1
        if position < 0 or start >= ends[position]:
            here.fail(
                f"the answer starts outside every sentence, at {start}",
                found=f"sentences from {starts[0]} to {ends[-1]}, with gaps" if starts else "no sentences",
                remedy="correct answer_start or sentence_breaks; both count characters of the context",
            )
        if not context.startswith(expected, start):
            here.fail(
                f"the answer's text does not stand at answer_start {start}",
                found=f"{context[start : start + len(expected)]!r} instead of {expected!r}",
                remedy="count answer_start in Unicode characters of the context, not in bytes",
            )
        positions.add(position)
        strings.add(expected.strip())
    return key, text, tuple(sorted(positions)), strings
