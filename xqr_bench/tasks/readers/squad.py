"""SQuAD-like JSON (Rajpurkar et al. 2016, arXiv 1606.05250), one file a language; a paragraph is a candidate.

    {"data": [article, ...]}
    article:   {"title": str, "paragraphs": [paragraph, ...]}
    paragraph: {"context": str, "qas": [qa, ...]}
    qa:        {"id": str, "question": str, "answers": [{"answer_start": int, "text": str}, ...]}
               or, as the hub of datasets has it, "answers": {"answer_start": [int, ...], "text": [str, ...]}

So are XQuAD, MLQA, XQuAD-IN, IndicSQuAD; other keys, such as the sentences of XQuAD-R, are not looked at. A paragraph
is a candidate, `article:paragraph` by 0-based positions; its cluster is the article, whose title is optional. The
relevant candidate of a question is its paragraph. Its id is that of its translations in other files. A question without
an answer (SQuAD v2) is left out, and counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn
from unicodedata import normalize

from xqr_bench.core import strict_json
from xqr_bench.core.errors import DataError
from xqr_bench.core.printable import has_text, is_word
from xqr_bench.tasks.readers import DataFile, SourceCandidate, SourceData, SourceQuestion, reader

REMEDY = "correct the file, or take it from its source again"


class At(NamedTuple):
    """A place in the file, for messages; positions count from 0, as candidate ids do."""

    file: str
    place: str = "top level"

    def inside(self, what: str) -> At:
        """A part of this place."""
        return At(self.file, what if self.place == "top level" else f"{self.place}, {what}")

    def fail(self, problem: str, *, found: str | None = None, remedy: str = REMEDY) -> NoReturn:
        """Raise a DataError that names the place."""
        raise DataError(f"{self.file}: {self.place}: {problem}", found=found, remedy=remedy)


@reader("squad")
def read(file: DataFile) -> SourceData:
    """Read one language's file (see the module's text for the format).

    Raises:
        DataError: the content breaks a rule of the format; names file, position and remedy.
    """
    candidates: list[SourceCandidate] = []
    questions: list[SourceQuestion] = []
    seen: dict[str, str] = {}
    titles: dict[str, str] = {}
    unanswered: list[str] = []
    for cluster, group, paragraph, at in paragraphs_of(file, titles):
        context = check_text(get(paragraph, "context", str, at), "the context", at)
        for qa, at_question in qas_of(paragraph, at):
            key, text, answers = question_of(qa, seen, at_question)
            if not answers:
                unanswered.append(key)
                continue
            for answer, at_answer in answers:
                check_answer(answer, context, at_answer)
            questions.append(SourceQuestion(key, text, {len(candidates): 1.0}, cluster))
        candidates.append(SourceCandidate(group, context, cluster=cluster))
    return SourceData(tuple(candidates), tuple(questions), titles, left_out(unanswered))


def left_out(unanswered: list[str]) -> tuple[str, ...]:
    """How many questions have no answer, as those of SQuAD v2 that cannot be answered."""
    if not unanswered:
        return ()
    return (f"{len(unanswered):,} questions have no answer and are left out, such as {unanswered[0]}",)


def paragraphs_of(file: DataFile, titles: dict[str, str]) -> Iterator[tuple[str, str, Any, At]]:
    """Cluster, id, content and place of each paragraph; `titles` gets those of the clusters."""
    at = At(file.name)
    for number, article in enumerate(get(read_json(file, at), "data", list, at)):
        at_article = at.inside(f"article {number}")
        for place, paragraph in enumerate(get(article, "paragraphs", list, at_article)):
            yield str(number), f"{number}:{place}", paragraph, at_article.inside(f"paragraph {place}")
        if isinstance(title := article.get("title"), str) and title:
            titles[str(number)] = title


def qas_of(paragraph: Any, at: At) -> Iterator[tuple[Any, At]]:
    """Content and place of each question of a paragraph."""
    for number, qa in enumerate(get(paragraph, "qas", list, at)):
        yield qa, at.inside(f"question {number}")


def read_json(file: DataFile, at: At) -> Any:
    """The whole file, parsed."""
    text = file.text()
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


def get(holder: Any, key: str, kind: type, at: At) -> Any:
    """`holder[key]`, which must be there and of that kind."""
    if not isinstance(holder, dict):
        at.fail(f"expected an object with the key {key!r}", found=describe(holder))
    if key not in holder:
        at.fail(f"the key {key!r} is missing", found=f"keys: {', '.join(sorted(holder)) or 'none'}")
    value = holder[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        at.fail(f"{key!r} is not {_KINDS[kind]}", found=describe(value))
    return value


def describe(value: Any) -> str:
    """Type and beginning of a value, for messages."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def check_text(text: str, what: str, at: At) -> str:
    """The text, which must have something to read."""
    if not has_text(text):
        at.fail(f"{what} is empty", found=repr(text))
    return text


def question_of(qa: Any, seen: dict[str, str], at: At) -> tuple[str, str, list[tuple[Any, At]]]:
    """Id and text of a question, and its answers with their places; `seen` holds the questions before it, by id."""
    key: str = get(qa, "id", str, at)
    if not is_word(check_text(key, "the id", at)):
        at.fail("the id holds a space or a control character", found=repr(key), remedy="use one word as id")
    if key in seen:
        at.fail(
            f"the question id {key!r} occurs twice in this language",
            found=f"first at {seen[key]}",
            remedy="an id names one question of a language, and its translations in others",
        )
    seen[key] = at.place
    at = at.inside(f"id {key}")
    text = check_text(get(qa, "question", str, at), "the question", at)
    return key, text, [(answer, at.inside(f"answer {number}")) for number, answer in enumerate(_answers(qa, at))]


def _answers(qa: Any, at: At) -> list[Any]:
    """The answers of a question, a list of objects; the hub of datasets has an object of two lists instead."""
    if not isinstance(qa.get("answers"), dict):
        answers: list[Any] = get(qa, "answers", list, at)
        return answers
    starts, texts = (get(qa["answers"], key, list, at.inside("answers")) for key in ("answer_start", "text"))
    if len(starts) != len(texts):
        at.fail("answer_start and text differ in length", found=f"{len(starts)} starts, {len(texts)} texts")
    return [{"answer_start": start, "text": text} for start, text in zip(starts, texts, strict=True)]


def check_answer(answer: Any, context: str, at: At) -> str:
    """The text of an answer, which stands at its start in the context."""
    start: int = get(answer, "answer_start", int, at)
    expected: str = check_text(get(answer, "text", str, at), "the answer", at)
    if start < 0 or not context.startswith(expected, start):
        form = expected not in context and normalize("NFC", expected) in normalize("NFC", context)
        at.fail(
            f"the answer's text does not stand at answer_start {start}",
            found=f"{context[max(start, 0) : max(start, 0) + len(expected)]!r} instead of {expected!r}",
            remedy="write context and answer in one Unicode form: one is in NFC, the other is not"
            if form
            else "count answer_start in Unicode characters of the context, not in bytes",
        )
    return expected
