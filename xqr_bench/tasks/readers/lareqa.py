"""The format of XQuAD-R and MLQA-R (Roy et al. 2020, LAReQA, arXiv 2004.05484).

SQuAD-like JSON (`squad.py`), one file a language; a paragraph adds `sentences` and `sentence_breaks`:

    paragraph: {"context": str, "sentences": [str, ...], "sentence_breaks": [[begin, end], ...],
                "qas": [qa, ...]}

A sentence is a candidate, `article:paragraph:sentence` by 0-based positions; its group is the paragraph, whose context
is that of the candidate; its cluster is the article, whose title is optional and no part of a candidate.

Offsets count Unicode characters of `context`; a break is half-open, `[begin, end)`. The candidate's text is
the `sentences` entry as published (it may differ from `context[begin:end]`). A question's relevant sentences
are those in which one of its answers starts; an answer may run past the sentence's end. Its echoes are the other
sentences of the paragraph whose text contains one of its answers: the same characters, anywhere in the sentence.

A paragraph without `sentences` is cut into them where the task file names a segmenter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from xqr_bench.tasks.readers import DataFile, SourceCandidate, SourceData, SourceQuestion, reader
from xqr_bench.tasks.readers.squad import (
    At,
    check_answer,
    check_text,
    describe,
    get,
    left_out,
    paragraphs_of,
    qas_of,
    question_of,
)


@reader("lareqa")
def read(file: DataFile) -> SourceData:
    """Read one language's file (see the module's text for the format).

    Raises:
        DataError: the content breaks a rule of the format; names file, position and remedy.
    """
    sentences: list[SourceCandidate] = []
    questions: list[SourceQuestion] = []
    seen: dict[str, str] = {}
    titles: dict[str, str] = {}
    unanswered: list[str] = []
    for cluster, group, paragraph, at in paragraphs_of(file, titles):
        context, starts, ends, texts = _sentences(paragraph, at, file.cut)
        first = len(sentences)
        sentences += [SourceCandidate(f"{group}:{i}", text, group, context, cluster) for i, text in enumerate(texts)]
        for qa, at_question in qas_of(paragraph, at):
            key, text, found = question_of(qa, seen, at_question)
            if not found:
                unanswered.append(key)
                continue
            relevant = {_sentence_of(answer, starts, ends, here) for answer, here in found}
            strings = {check_answer(answer, context, here).strip() for answer, here in found}
            echoes = [
                first + i
                for i, sentence in enumerate(texts)
                if i not in relevant and any(answer in sentence for answer in strings)
            ]
            gains = {first + i: 1.0 for i in sorted(relevant)}
            questions.append(SourceQuestion(key, text, gains, cluster, tuple(echoes)))
    return SourceData(tuple(sentences), tuple(questions), titles, left_out(unanswered))


def _sentence_of(answer: Any, starts: list[int], ends: list[int], at: At) -> int:
    """The place of the sentence in which an answer starts."""
    start: int = get(answer, "answer_start", int, at)
    position = bisect_right(starts, start) - 1
    if position < 0 or start >= ends[position]:
        at.fail(
            f"the answer starts outside every sentence, at {start}",
            found=f"sentences from {starts[0]} to {ends[-1]}, with gaps" if starts else "no sentences",
            remedy="correct answer_start or sentence_breaks; both count characters of the context",
        )
    return position


def _sentences(
    paragraph: Any, at: At, cut: Callable[[str], list[tuple[int, int]]] | None
) -> tuple[str, list[int], list[int], list[str]]:
    """Context, begins, ends and texts of a paragraph's sentences."""
    context: str = get(paragraph, "context", str, at)
    if "sentences" not in paragraph and "sentence_breaks" not in paragraph:
        if cut is not None:
            spans = cut(check_text(context, "the context", at))
            return context, [begin for begin, _ in spans], [end for _, end in spans], [context[a:b] for a, b in spans]
        at.fail(
            "this is plain SQuAD: its paragraphs are not cut into sentences, which are what is ranked",
            found=f"keys: {', '.join(sorted(paragraph))}",
            remedy='to rank its paragraphs: format = "squad" in the task file; to rank sentences: add sentences and '
            'sentence_breaks to each paragraph, or segmenter = "sentencex" to the task file (docs/tasks.md); '
            "to train on it as it is: xqr-bench train --data FOLDER",
        )
    texts = get(paragraph, "sentences", list, at)
    breaks = get(paragraph, "sentence_breaks", list, at)
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
            here.fail("the sentence is not a text", found=describe(text))
        check_text(text, "the sentence", here)
        if not (isinstance(span, list) and len(span) == 2 and all(type(edge) is int for edge in span)):
            here.fail("its break is not [begin, end] in whole numbers", found=describe(span))
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
        check_text(context, "the context", at)
    return context, starts, ends, texts
