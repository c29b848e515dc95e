"""What training passes along: parallel question-passage data, the plan of its batches, and a plan's random streams."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.types import IntArray

Int32 = NDArray[np.int32]
BatchType = Literal["monolingual", "cross-lingual", "mixed"]
BATCH_TYPES: tuple[BatchType, ...] = ("monolingual", "cross-lingual", "mixed")
"""Code of a batch type in a plan -> its name.

monolingual: every row in one and the same language; cross-lingual: in every row the languages differ;
mixed: same-language rows of several languages, or rows of both kinds."""


class TrainingPair(NamedTuple):
    """One row of a batch, as texts (without prefixes)."""

    query: str
    passage: str
    query_language: str
    passage_language: str
    question_id: str
    """Of the query; the passage answers it, unless the plan shuffles positives."""
    negatives: tuple[str, ...] = ()
    """Passages in the passage's language known not to answer it; often none."""


@dataclass(frozen=True)
class ParallelData:
    """Questions and the passage that answers each, in one or more languages; columns, one entry a question.

    A text is "" where the question is not in that language: real texts are never empty. A question is in a
    language with both its query and its passage.

    Attributes:
        name: how messages and records call it.
        languages: codes, in the order of the columns.
        ids: question ids, distinct, `[questions]`.
        queries, passages: texts, `[languages][questions]`.
        passage_ids: the identity of each passage within its language, `[languages][questions]`, "" where absent;
            two questions with an equal one have the same passage.
        relevant_keys: for each question what identifies every passage known to answer it, in any language
            (`lang:article:paragraph:sentence`); two questions that share a key never stand in one batch.
        articles: article of each question, int64 `[questions]`: the unit of folds and of held-out parts.
        paragraphs: paragraph of each question, int64 `[questions]`, -1 where not known; equal numbers: the passages
            stand in the same paragraph, in some language.
        negatives: hard negatives, `[languages][questions]`, or None.
        titles: of the articles that each question's passages stand in, `[questions]` of distinct titles; () where
            none is known. They are told of and not trained on, so they are no part of the digest.
        kind: "retrieval" (question -> passage) or "bitext" (sentence -> its translation; has no monolingual pair).
        source: as the user named it.
        files: file name -> sha256 of what it was read from.
        partial: what was left out, empty for the whole.
    """

    name: str
    languages: tuple[str, ...]
    ids: tuple[str, ...]
    queries: tuple[tuple[str, ...], ...]
    passages: tuple[tuple[str, ...], ...]
    passage_ids: tuple[tuple[str, ...], ...]
    relevant_keys: tuple[tuple[str, ...], ...]
    articles: IntArray
    paragraphs: IntArray
    negatives: tuple[tuple[tuple[str, ...], ...], ...] | None = None
    titles: tuple[tuple[str, ...], ...] = ()
    kind: Literal["retrieval", "bitext"] = "retrieval"
    source: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    partial: Mapping[str, object] = field(default_factory=dict)

    @property
    def n_questions(self) -> int:
        """Number of questions."""
        return len(self.ids)

    @cached_property
    def has(self) -> NDArray[np.bool_]:
        """Which question is in which language, bool `[questions, languages]`."""
        return np.array([[bool(text) for text in column] for column in self.queries], dtype=bool).T

    @property
    def fully_parallel(self) -> bool:
        """Whether every question is in every language."""
        return bool(self.has.all())

    @cached_property
    def language_index(self) -> Mapping[str, int]:
        """Code -> column."""
        return {code: index for index, code in enumerate(self.languages)}

    def query(self, question: int, language: str) -> str:
        """Text of a question in a language; "" where it is not in it."""
        return self.queries[self.language_index[language]][question]

    def passage(self, question: int, language: str) -> str:
        """Text of a question's passage in a language; "" where it is not in it."""
        return self.passages[self.language_index[language]][question]

    def hard_negatives(self, question: int, language: str) -> tuple[str, ...]:
        """Hard negatives of a question in a language, often none."""
        return () if self.negatives is None else self.negatives[self.language_index[language]][question]

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every text, and where it stands: `query q1 in de`; texts that come again are given again."""
        for what, table in (("query", self.queries), ("passage", self.passages)):
            for code, column in zip(self.languages, table, strict=True):
                for name, text in zip(self.ids, column, strict=True):
                    if text:
                        yield text, f"{what} {name} in {code}"
        for code, of_language in zip(self.languages, self.negatives or (), strict=False):
            for name, negatives in zip(self.ids, of_language, strict=True):
                for text in negatives:
                    yield text, f"negative of {name} in {code}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that training sees: languages, ids, texts, identities, articles; not of names or files."""
        state = hashlib.sha256()

        def add(parts: Sequence[str]) -> None:
            for part in parts:
                raw = part.encode()
                state.update(len(raw).to_bytes(8, "little"))
                state.update(raw)

        add(["parallel-data-1", self.kind, str(self.n_questions), *self.languages])
        add(self.ids)
        for table in (self.queries, self.passages, self.passage_ids):
            for column in table:
                add(column)
        for keys in (*self.relevant_keys, *(texts for column in self.negatives or () for texts in column)):
            add([str(len(keys)), *keys])
        for array in (self.articles, self.paragraphs):
            state.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        return state.hexdigest()


class PlanRow(NamedTuple):
    """One row of a plan: indices and language codes."""

    data_set: int
    question: int
    passage_question: int
    """The question whose passage stands in the row: `question`, unless positives are shuffled."""
    query_language: str
    passage_language: str


ROW_ARRAYS = PlanRow._fields
"""The arrays of a plan that have a value for each row."""


@dataclass(frozen=True)
class BatchPlan:
    """Which question, query language and passage language stand in each row of each batch.

    A plan of fewer steps is the beginning of the plan of more, with the same arguments: a run that goes on, and a
    checkpoint halfway, follow the same plan. On several devices a step is one global batch: rank r of n takes the
    rows r * batch / n to (r + 1) * batch / n, so the type of a batch is drawn once for all.

    Attributes:
        strategy: name it was made by.
        seed: of all its draws.
        arguments: of the strategy, as given and by default: `alpha`, `mix`, `shuffle_positives`, ...
        data_names, data_digests: of the data sets, in order.
        languages: codes; the language arrays index into it.
        types: type of each step, int8 `[steps]`, an index into `BATCH_TYPES`.
        data_set: int32 `[steps, batch]`; a batch is drawn from one data set.
        question: index into the data set's questions, int32 `[steps, batch]`.
        passage_question: likewise, of the passage; differs from `question` only where positives are shuffled.
        query_language, passage_language: indices into `languages`, int32 `[steps, batch]`.
    """

    strategy: str
    seed: int
    arguments: Mapping[str, object]
    data_names: tuple[str, ...]
    data_digests: tuple[str, ...]
    languages: tuple[str, ...]
    types: NDArray[np.int8]
    data_set: Int32
    question: Int32
    passage_question: Int32
    query_language: Int32
    passage_language: Int32

    @property
    def steps(self) -> int:
        """Number of batches: one update each."""
        return int(self.question.shape[0])

    @property
    def batch_size(self) -> int:
        """Rows of a batch, over all devices together."""
        return int(self.question.shape[1])

    @property
    def batch_types(self) -> tuple[BatchType, ...]:
        """Types of batches that there are."""
        return tuple(BATCH_TYPES[code] for code in np.unique(self.types))

    def batch_type(self, step: int) -> BatchType:
        """Type of a step's batch."""
        return BATCH_TYPES[int(self.types[step])]

    def row(self, step: int, i: int) -> PlanRow:
        """Row `i` of the batch of `step`."""
        part, question, passage, *languages = (int(getattr(self, name)[step, i]) for name in ROW_ARRAYS)
        of_query, of_passage = (self.languages[index] for index in languages)
        return PlanRow(part, question, passage, of_query, of_passage)

    def take(self, step: int) -> list[PlanRow]:
        """All rows of the batch of `step`."""
        return [self.row(step, i) for i in range(self.batch_size)]

    def pairs(self, step: int, data: Sequence[ParallelData]) -> list[TrainingPair]:
        """The texts of the batch of `step`; `data` is what the plan was made from."""
        return [
            TrainingPair(
                part.query(row.question, row.query_language),
                part.passage(row.passage_question, row.passage_language),
                row.query_language,
                row.passage_language,
                part.ids[row.question],
                part.hard_negatives(row.passage_question, row.passage_language),
            )
            for row in self.take(step)
            for part in (data[row.data_set],)
        ]

    def digest(self) -> str:
        """SHA-256 of the rows and of the data they point into; equal plans have equal digests."""
        state = hashlib.sha256()
        state.update("\0".join(["batch-plan-1", *self.data_digests, "", *self.languages]).encode())
        for array in (self.types, *(getattr(self, name) for name in ROW_ARRAYS)):
            state.update(repr(array.shape).encode())
            state.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
        return state.hexdigest()


# Random streams of a plan: one for each kind of draw, so that a change in one leaves the others as they are.


class Stream(IntEnum):
    """What is drawn. The numbers are part of every plan: never change one."""

    BATCH_TYPE = 0
    DATA_SET = 1
    BATCH_LANGUAGE = 2
    ROW_LANGUAGE = 3
    ROW_PAIR = 4
    BATCH_PAIR = 5
    ROW_TYPE = 6
    QUESTIONS = 7
    SHUFFLED_PASSAGES = 8
    ALLOWED_PAIRS = 9
    SECOND_QUERY = 10


def generator(seed: int, stream: Stream, data_set: int = 0) -> np.random.Generator:
    """The generator of one stream of one data set."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream), data_set)))


def deck(rng: np.random.Generator, cards: int, n: int) -> Int32:
    """The first `n` cards of decks of `cards`, each shuffled anew; more cards continue the same sequence.

    Returns:
        int32 `[n]`, values 0..cards-1; each whole deck holds each once.
    """
    decks = -(-n // cards)
    shuffled = rng.permuted(np.tile(np.arange(cards, dtype=np.int32), (decks, 1)), axis=1)
    return np.ascontiguousarray(shuffled.reshape(-1)[:n])


def pair_deck(rng: np.random.Generator, languages: int, n: int) -> tuple[Int32, Int32]:
    """The first `n` ordered pairs of decks that hold each pair of two different languages once.

    A deck is dealt in rounds of `languages` pairs, in which each language comes once on either side: a ring of the
    languages, each with the one some places further. More pairs continue the same sequence.

    Returns:
        First and second languages, int32 `[n]` each.
    """
    decks = -(-n // (languages * (languages - 1)))
    rings, steps, orders = rng.spawn(3)
    ring = deck(rings, languages, decks * languages).reshape(decks, 1, languages)
    step = 1 + deck(steps, languages - 1, decks * (languages - 1)).reshape(decks, languages - 1, 1)
    place = deck(orders, languages, decks * (languages - 1) * languages).reshape(decks, languages - 1, languages)
    ring = np.broadcast_to(ring, place.shape)
    first = np.take_along_axis(ring, place, axis=2)
    second = np.take_along_axis(ring, (place + step) % languages, axis=2)
    return first.reshape(-1)[:n].astype(np.int32), second.reshape(-1)[:n].astype(np.int32)
