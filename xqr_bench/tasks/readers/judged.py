"""Candidates, questions and judgements in files of their own, as BEIR, MTEB and TREC have them: what these share.

A candidate or question has an id and a text; a judgement names a question, a candidate and a grade. A grade above 0 is
the gain of a relevant candidate, 0 is judged not relevant. Whatever is left out is counted, and told in one line.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn
from unicodedata import normalize

import numpy as np

from xqr_bench.core import strict_json
from xqr_bench.core.collection import HELD, Columns, ColumnWriter, Digests, Places
from xqr_bench.core.errors import DataError
from xqr_bench.core.printable import has_text, is_word, looks
from xqr_bench.tasks.readers import DataFile, SourceCandidate, SourceData, SourceQuestion

PARTS = ("corpus", "queries", "qrels")
IDS = ("_id", "id", "docid", "doc_id", "qid", "query_id")
TEXTS = ("text", "query", "contents")
QUESTIONS = ("query-id", "query_id", "qid")
CANDIDATES = ("corpus-id", "corpus_id", "docid", "doc_id")
GRADES = ("score", "relevance", "grade")
HEADING_IDS = {*IDS, *QUESTIONS, *CANDIDATES, "docno", "question", "query", "topic", "topic_id"}
HEADING_TEXTS = {*TEXTS, "title", "body", "passage", "document", "question", "topic", "description", "narrative"}
"""Names of columns, in small letters, in the headings of files of columns."""
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
OWN = "xqr_bench"
"""The key of `metadata` under which an export of ours keeps what BEIR has no place for."""


class At(NamedTuple):
    """A line or row of a file, for messages."""

    file: str
    number: int
    unit: str = "line"

    def fail(self, problem: str, *, found: str | None = None, remedy: str = "correct it") -> NoReturn:
        """Raise a DataError that names the place."""
        raise DataError(f"{self.file}, {self.unit} {self.number:,}: {problem}", found=found, remedy=remedy)


class Item(NamedTuple):
    """A candidate or a question; `language`: empty where the file does not say it.

    `facts` is what an export of ours says of it beyond the format (`tasks/export.py`); empty in other files.
    """

    at: At
    id: str
    text: str
    language: str = ""
    facts: Mapping[str, Any] = MappingProxyType({})

    def fact(self, key: str) -> str:
        """One of the facts that are texts; empty where there is none."""
        value = self.facts.get(key, "")
        if not isinstance(value, str):
            self.at.fail(f"metadata.{OWN}.{key} is no text", found=repr(value)[:60])
        return value


class Judgement(NamedTuple):
    """A question, a candidate and how relevant that is."""

    at: At
    question: str
    candidate: str
    grade: float


class _LeftOut:
    """How much is left out, by reason, with an example of each: no list of it, which may be long."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, reason: str, example: str) -> None:
        self._counts[reason] += 1
        self._examples.setdefault(reason, example)

    def notes(self) -> tuple[str, ...]:
        return tuple(f"{count:,} {reason}, such as {self._examples[reason]}" for reason, count in self._counts.items())


def join(candidates: Iterable[Item], questions: Iterable[Item], judgements: Iterable[Judgement]) -> SourceData:
    """Put a section together.

    Raises:
        DataError: an id is not one word or has two texts, a grade is below 0 or not finite, or a pair has two grades.
    """
    left_out = _LeftOut()
    texts, places = _candidates(candidates, left_out)
    asked = list(_distinct("question", questions, left_out))
    grades = _grades(judgements, {item.id for item in asked}, places, left_out)
    gains = {key: {place: grade for place, grade in of.items() if grade} for key, of in grades.items()}
    forms = _forms(grades)
    for item in asked:
        if item.id not in grades:  # one that has only irrelevant ones may have a relevant candidate in another section
            _check_form(item.at, "question", item.id, grades, forms)
            left_out.add("questions have no judged candidate and are left out", item.id)
    return SourceData(
        texts,
        tuple(
            SourceQuestion(
                item.fact("question") or item.id,
                item.text,
                gains[item.id],
                cluster=_cluster(item, [texts[place] for place in gains[item.id]]),
                echoes=_echoes(item, places),
                language=item.language,
                irrelevant=tuple(place for place, grade in grades[item.id].items() if not grade),
            )
            for item in asked
            if item.id in grades
        ),
        notes=left_out.notes(),
    )


def _columns(item: Item) -> tuple[str, str, str, str, str, str]:
    """What a candidate has in each of `COLUMNS`, which are those of `SourceCandidate`."""
    return item.fact("id") or item.id, item.text, item.fact("group"), "", item.fact("cluster"), item.language


def _candidates(items: Iterable[Item], left_out: _LeftOut) -> tuple[Sequence[SourceCandidate], Mapping[str, int]]:
    """The candidates, each once, and the place of each id; more than `HELD` by column."""
    left = iter(items)
    first = list(islice(left, HELD))
    if len(first) < HELD:
        few = list(_distinct("candidate", first, left_out))
        return tuple(SourceCandidate(*_columns(one)) for one in few), {one.id: at for at, one in enumerate(few)}
    return _collected(chain(first, left), left_out)


def _collected(items: Iterable[Item], left_out: _LeftOut) -> tuple[Sequence[SourceCandidate], Mapping[str, int]]:
    """As `_candidates`, of millions: they are written by column first, and what is there again is found by digests."""
    writer, digests, empty = ColumnWriter(), Digests(), []
    files: dict[tuple[str, str], int] = {}
    file, line = array("i"), array("q")
    for place, item in enumerate(items):
        if not is_word(item.id):
            item.at.fail("the id of the candidate is not one word", found=repr(item.id))
        if not has_text(item.text):
            empty.append(place)
        writer.add(*_columns(item))
        digests.add(item.id)
        file.append(files.setdefault((item.at.file, item.at.unit), len(files)))
        line.append(item.at.number)
    every: Columns[SourceCandidate] = writer.done(SourceCandidate)
    ids, stays = Places(digests.all(), every.ids), np.ones(len(every), dtype=np.bool_)

    def at(place: int) -> At:
        name, unit = list(files)[file[place]]
        return At(name, line[place], unit)

    odd = [(place, before) for before, place in ids.again()] + [(place, place) for place in empty]
    for place, before in sorted(odd):  # in the order of the file
        one, other = every[before], every[place]
        if before != place:
            where, again = (one.text, one.language), (other.text, other.language)
            _check_again("candidate", at(before), where, at(place), again, one.id)
            left_out.add("candidates stand there again with the same text and count once", one.id)
        elif stays[place]:
            left_out.add("candidates have no text and are left out", one.id)
        stays[place] = False
    if stays.all():
        return every, ids
    return every.take(np.flatnonzero(stays)), ids.keep(stays)


def _check_again(
    what: str, at: At, before: tuple[str, str], again_at: At, again: tuple[str, str], item_id: str
) -> None:
    """Raise a DataError where an id that stands there again has another text or language than before."""
    if (looks(before[0]), before[1]) != (looks(again[0]), again[1]):
        again_at.fail(
            f"the {what} id {item_id!r} had another text or language in {at.unit} {at.number:,}",
            found=f"{before[0]!r:.60} and {again[0]!r:.60}",
            remedy=f"give each {what} an id of its own",
        )


def _cluster(question: Item, relevants: Sequence[SourceCandidate]) -> str:
    """The cluster of its relevant in its own language, or else of its first, if there is one."""
    own = [one for one in relevants if one.language == question.language]
    return next((one.cluster for one in own or relevants), "")


def _echoes(item: Item, places: Mapping[str, int]) -> tuple[int, ...] | None:
    """The candidates that an export of ours names as those that repeat an answer, ascending; None: it names none."""
    if "echoes" not in item.facts:
        return None
    echoes = item.facts["echoes"]
    if not isinstance(echoes, list) or not all(isinstance(one, str) and one in places for one in echoes):
        item.at.fail(f"metadata.{OWN}.echoes is no list of ids of candidates", found=repr(echoes)[:60])
    return tuple(sorted(places[one] for one in echoes))


def _distinct(what: str, items: Iterable[Item], left_out: _LeftOut) -> Iterator[Item]:
    """Each item once, without those that have no text; a question may be asked in several languages."""
    seen: dict[str, Item] = {}
    for item in items:
        if not is_word(item.id):
            item.at.fail(f"the id of the {what} is not one word", found=repr(item.id))
        key = f"{item.language} {item.id}" if what == "question" else item.id
        first = seen.setdefault(key, item)
        if first is not item:
            before, again = (first.text, first.language), (item.text, item.language)
            _check_again(what, first.at, before, item.at, again, item.id)
            left_out.add(f"{what}s stand there again with the same text and count once", item.id)
        elif has_text(item.text):
            yield item
        else:
            left_out.add(f"{what}s have no text and are left out", item.id)


def _grades(
    judgements: Iterable[Judgement], asked: Collection[str], places: Mapping[str, int], left_out: _LeftOut
) -> dict[str, dict[int, float]]:
    """Question -> index of each judged candidate, ascending -> its grade."""
    forms: dict[str, set[str]] = {}  # of questions and of candidates: NFC of the ids that are not ASCII
    grades: dict[str, dict[int, float]] = {}
    for at, question, candidate, grade in judgements:
        if not 0 <= grade < math.inf:
            at.fail(f"the grade {grade:g} is no gain", remedy="write 0 for what is not relevant, above 0 for what is")
        if question not in asked or candidate not in places:
            for what, key, ids in (("question", question, asked), ("candidate", candidate, places)):
                if what not in forms:
                    forms[what] = _forms(ids)
                _check_form(at, what, key, ids, forms[what])
            left_out.add("judgements are of a question or candidate that is not there", f"{question} {candidate}")
        elif grades.setdefault(question, {}).setdefault(places[candidate], grade) != grade:
            at.fail(f"the candidate {candidate} of the question {question} had another grade before")
    return {question: dict(sorted(of_question.items())) for question, of_question in grades.items()}


def _forms(ids: Iterable[str]) -> set[str]:
    """NFC of the ids that are not ASCII."""
    return {normalize("NFC", one) for one in ids if not one.isascii()}


def _check_form(at: At, what: str, key: str, ids: Collection[str], forms: Collection[str]) -> None:
    """Raise a DataError where an id is none of `ids` (`forms`: see `_forms`), but for its Unicode form."""
    if key not in ids and ((form := normalize("NFC", key)) in forms or form in ids):
        at.fail(
            f"the {what} {key!r} has another Unicode form in another file",
            found=f"here {key!a}",
            remedy="write an id in one form in all files, such as NFC",
        )


def items(file: DataFile, *, columns: bool = False) -> Iterator[Item]:
    """The texts of a file of JSON lines; `columns`: a line may be an id and a text with a tab between them instead."""
    for first, at, line in _lines(file):
        if columns and not line.startswith("{"):
            key, tab, text = line.partition("\t")
            if not tab:
                at.fail("no tab between an id and a text", found=repr(line[:60]))
            if first and key.strip().casefold() in HEADING_IDS:
                if all(cell.strip().casefold() in HEADING_IDS | HEADING_TEXTS for cell in text.split("\t")):
                    continue
                at.fail(
                    f"the first line has the id {key.strip()!r}, as a heading has",
                    found=repr(line[:60]),
                    remedy="take the heading out; if it is none, put another line before it",
                )
            yield Item(at, key.strip(), text.strip())
        else:
            row = _object(at, line)
            yield _topic(at, row) if "topics" in row else item_of(at, row)


def _topic(at: At, row: Mapping[str, Any]) -> Item:
    """A topic of HC4 and NeuCLIR, which holds one in each language: the English one, its description and its title."""
    every = row["topics"] if isinstance(row["topics"], list) else []
    english = [one for one in every if isinstance(one, dict) and one.get("lang") in ("eng", "en")]
    if not english:
        at.fail("the topic has no English form", found=repr(every)[:60])
    parts = [english[0].get(key) or "" for key in ("topic_description", "topic_title")]
    if not all(isinstance(part, str) for part in parts):
        at.fail("title and description of a topic are texts", found=repr(parts)[:60])
    return Item(at, _id(at, row, ("topic_id", *IDS)), " ".join(parts).strip())


def item_of(at: At, row: Mapping[str, Any]) -> Item:
    """The candidate or question of a row; title and text are joined by a space, as BEIR does."""
    title, text = row.get("title") or "", _value(at, row, TEXTS) or ""
    language = row.get("lang") or row.get("language") or ""
    for value in (title, text, language):
        if not isinstance(value, str):
            at.fail("title, text and language are texts", found=repr(value)[:60])
    metadata = row.get("metadata")
    facts = metadata.get(OWN) if isinstance(metadata, dict) else None
    if facts is not None and not isinstance(facts, dict):
        at.fail(f"metadata.{OWN} is no object of JSON", found=repr(facts)[:60])
    return Item(at, _id(at, row, IDS), f"{title} {text}".strip() if title else text, language, facts or {})


def judgements(file: DataFile) -> Iterator[Judgement]:
    """Lines of question, candidate and grade, of TREC's four columns (the second is not looked at), or of JSON."""
    for first, at, line in _lines(file):
        if line.startswith("{"):
            yield judgement_of(at, _object(at, line))
            continue
        cells = line.split("\t") if "\t" in line else line.split()
        if len(cells) not in (3, 4):
            at.fail("not three columns (question, candidate, grade), nor the four of TREC", found=repr(line[:60]))
        question, *_, candidate, grade = (cell.strip() for cell in cells)
        if first and question.casefold() in HEADING_IDS and not NUMBER.fullmatch(grade):
            continue
        yield Judgement(at, question, candidate, _grade(at, grade))


def judgement_of(at: At, row: Mapping[str, Any]) -> Judgement:
    """The judgement of a row."""
    grade = _grade(at, _value(at, row, GRADES))
    return Judgement(at, _id(at, row, QUESTIONS), _id(at, row, CANDIDATES), grade)


def _lines(file: DataFile) -> Iterator[tuple[bool, At, str]]:
    """Each line that is not blank, with its place, and whether it is the first of its file."""
    for one in (file, *file.more):
        first = True
        for number, line in one.lines():
            if line.strip():
                yield first, At(one.name, number), line
                first = False


def _object(at: At, line: str) -> dict[str, Any]:
    try:
        row = strict_json.parse(line)
    except ValueError as error:
        at.fail(f"not a line of JSON: {error}")
    if not isinstance(row, dict):
        at.fail("not an object of JSON", found=repr(line[:60]))
    return row


def _value(at: At, row: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The value of the first of these names that the row has."""
    for name in names:
        if name in row:
            return row[name]
    at.fail(f"none of {', '.join(names)} is there", found=", ".join(map(str, row)) or "nothing")


def _id(at: At, row: Mapping[str, Any], names: Sequence[str]) -> str:
    value = _value(at, row, names)
    if not isinstance(value, str | int) or isinstance(value, bool):
        at.fail(f"the id {value!r} is no text")
    return str(value)


def _grade(at: At, value: object) -> float:
    """A grade: a number, or a text that is a decimal number a float can hold."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number or (isinstance(value, str) and NUMBER.fullmatch(value)):
        try:
            grade = float(value)  # type: ignore[arg-type]
        except OverflowError:
            grade = math.inf
        if grade == 0 and isinstance(value, str) and re.search("[1-9]", value.casefold().partition("e")[0]):
            at.fail(f"the grade {value!r} is nearer to 0 than a float can be", remedy="write a greater number")
        return grade
    at.fail(
        f"the grade {value!r} is no number",
        remedy="write 0 for what is not relevant, a decimal number above 0 for what is; a heading is the first line, "
        "such as query-id, corpus-id, score",
    )
