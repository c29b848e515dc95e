"""Frozen value types that pass between the rooms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

MONOLINGUAL = "monolingual"
CROSS_LINGUAL = "cross-lingual"
MULTILINGUAL = "multilingual"
SETTINGS = (MONOLINGUAL, CROSS_LINGUAL, MULTILINGUAL)
MAIN_METRIC = "map"
"""What encoders are compared by, on the leaderboard and in a comparison."""
PREFERENCE = "own_language_first"
"""The bias that stands beside it, in a comparison and on the frontier."""

STRICT = "strict"
LENIENT = "lenient"
PARAGRAPH = "paragraph"
JUDGED = "judged"
VARIANTS = (LENIENT, PARAGRAPH, JUDGED)
"""Rules of relevance beside the strict one (docs/relevance.md)."""
LEAVING = (LENIENT, JUDGED)
"""Those under which some candidates leave the ranking, and the relevants stay what they are."""
RULES = (STRICT, *VARIANTS)


MOST_COLUMNS = 32
"""Of so many candidate languages what stands above a relevant is counted in each; of more in the collapsed form."""


def collapses(languages: Collection[str]) -> bool:
    """Whether counts of so many candidate languages are collapsed: whole pool, relevant's language, query's language.

    The full form has two counts for each relevant and language: 13 GB for 122 languages of 900 questions.
    """
    return len(languages) > MOST_COLUMNS


class Texts(Sequence[str]):
    """Texts of which many are the same, without an object for each place.

    Attributes:
        distinct: each text once.
        places: which of them stands at each place, integers.
    """

    def __init__(self, distinct: Sequence[str], places: NDArray[Any]) -> None:
        self.distinct, self.places = distinct, places

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """The same texts; as they are where they are so already."""
        if isinstance(texts, Texts):
            return texts
        number = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        places = np.fromiter(map(number.__getitem__, texts), dtype=np.int32, count=len(texts))
        return cls(list(number), places)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Texts(self.distinct, self.places[place])
        return self.distinct[self.places[place]]

    def __iter__(self) -> Iterator[str]:
        return map(self.distinct.__getitem__, self.places.tolist())

    def take(self, places: IntArray) -> Texts:
        """The texts at these places."""
        return Texts(self.distinct, self.places[places])


def language_counts(items: Sequence[Any]) -> Counter[str]:
    """How many items are in each language, in the order in which these come first."""
    codes: Texts | None = getattr(items, "languages", None)  # of items by column (`core/collection.py`)
    if codes is None:
        return Counter(item.language for item in items)
    numbers, first, counts = np.unique(codes.places, return_index=True, return_counts=True)
    return Counter({codes.distinct[numbers[at]]: int(counts[at]) for at in np.argsort(first).tolist()})


@dataclass(frozen=True, slots=True)
class Query:
    """A question in one language; `id` is `lang:question_id`."""

    id: str
    language: str
    question: str
    """The id that its translations have too: the unit of sampling."""
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that can answer; `id` begins with its language, as `en:` and what the reader calls it."""

    id: str
    language: str
    text: str
    group: str = ""
    """The unit of candidates it belongs to, such as `lang:article:paragraph`; empty where the source has none."""
    context: str = ""
    """The text it stands in, one string for all of its group; empty where the source has none."""
    cluster: str = ""
    """The cluster it belongs to in its language, such as `lang:article`; empty where the source has none."""

    @property
    def unit(self) -> str:
        """Its group; where it has none, it is a unit of its own."""
        return self.group or self.id


@dataclass(frozen=True)
class TaskData:
    """The texts of a task, ready to encode and score.

    Attributes:
        name: the task's name.
        languages: the candidate languages, in the order of the pool columns.
        queries: grouped by language.
        candidates: grouped by language in the order of `languages`, so that each language is one contiguous slice;
            of a large collection by column, with an object made of one when it is asked for (`core/collection.py`).
        relevants: for each query the ascending indices into `candidates` of its relevant candidates.
        clusters: for each query the number of its cluster (an article, in LAReQA): the connected component of clusters
            of its language that are linked by questions in several of them (MEASURES.md 5); numbered by first
            appearance. Where a source has no clusters, every question is one.
        files: file name -> sha256 of the source it was read from.
        partial: what was left out (`languages`, `limit`), empty for the whole task.
        relevance: the rules of relevance counted beside the strict one, of VARIANTS.
        echoes: for each query the ascending indices into `candidates` of those that leave its ranking under lenient
            relevance: irrelevant candidates of a relevant's group that contain the answer; None: not known.
        titles: cluster of candidates -> title, of the clusters that have one.
        gains: for each query the gains of its relevants; None: all are 1.
        relevant_from: see `Ranks`.
        irrelevant: for each query the ascending indices into `candidates` of those that were judged, and are not
            relevant; None: not known, or none is.
    """

    name: str
    languages: tuple[str, ...]
    queries: tuple[Query, ...]
    candidates: Sequence[Candidate]
    relevants: tuple[tuple[int, ...], ...]
    clusters: tuple[int, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    partial: Mapping[str, object] = field(default_factory=dict)
    relevance: tuple[str, ...] = ()
    echoes: tuple[tuple[int, ...], ...] | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    gains: tuple[tuple[float, ...], ...] | None = None
    relevant_from: float = 0.0
    irrelevant: tuple[tuple[int, ...], ...] | None = None

    def __repr__(self) -> str:
        """Without its texts, which are thousands."""
        sizes = f"{len(self.queries):,} queries, {len(self.candidates):,} candidates{', partial' * bool(self.partial)}"
        return f"<TaskData {self.name}: {len(self.all_languages)} languages, {sizes}>"

    @cached_property
    def query_languages(self) -> tuple[str, ...]:
        """The languages of the queries, in their order."""
        return tuple(dict.fromkeys(query.language for query in self.queries))

    @cached_property
    def all_languages(self) -> tuple[str, ...]:
        """The candidate languages, then those that only queries have."""
        return tuple(dict.fromkeys([*self.languages, *self.query_languages]))

    @cached_property
    def column_sizes(self) -> IntArray:
        """Candidates of each language, int64 `[languages]`."""
        counts = language_counts(self.candidates)
        return np.array([counts[code] for code in self.languages], dtype=np.int64)

    @cached_property
    def edges(self) -> IntArray:
        """Language m has the candidates `edges[m]:edges[m + 1]`, int64 `[languages + 1]`."""
        return np.append(0, np.cumsum(self.column_sizes))

    @cached_property
    def candidate_columns(self) -> IntArray:
        """The column (language) of each candidate, int64 `[candidates]`."""
        return np.repeat(np.arange(len(self.languages)), self.column_sizes)

    @cached_property
    def offsets(self) -> IntArray:
        """Query q has the rows `offsets[q]:offsets[q + 1]` of `positions`, int64 `[queries + 1]`."""
        return np.append(0, np.cumsum([len(relevants) for relevants in self.relevants], dtype=np.int64))

    @cached_property
    def positions(self) -> IntArray:
        """`relevants` of all queries one after the other, int64 `[relevants]`."""
        return np.fromiter(chain.from_iterable(self.relevants), dtype=np.int64, count=int(self.offsets[-1]))

    @cached_property
    def row_gains(self) -> FloatArray:
        """The gain of each of `positions`, float64 `[relevants]`."""
        if self.gains is None:
            return np.broadcast_to(1.0, len(self.positions))
        return np.fromiter(chain.from_iterable(self.gains), dtype=np.float64, count=len(self.positions))


class Counts(NamedTuple):
    """What stands above and beside each relevant: the same four arrays under every rule of relevance.

    Attributes:
        gt, eq: candidates of the whole pool that score above it, and the same (itself included), int32 `[relevants]`;
            -1 and 0 where it was not retrieved.
        own_gt, own_eq: the same in the ranking of its own language.
    """

    gt: NDArray[np.int32]
    eq: NDArray[np.int32]
    own_gt: NDArray[np.int32]
    own_eq: NDArray[np.int32]

    @classmethod
    def zeros(cls, rows: int) -> Counts:
        """Nothing counted yet."""
        return cls(*np.zeros((4, rows), dtype=np.int32))

    def take(self, rows: slice | IntArray | NDArray[np.bool_]) -> Counts:
        """Those of some relevants; parts of these arrays where `rows` is a slice."""
        return Counts(*(values[rows] for values in self))


N_HITS = 20
"""So many candidates at the top of each ranking are known by themselves."""


class Hits(NamedTuple):
    """The best candidates of each query's ranking of the whole pool, k of them; equal scores in the order of the pool.

    Attributes:
        columns: language of each, int16 `[queries, k]`; -1 where there are fewer.
        tied: whether it scores the same as the one before it, bool `[queries, k]`.
        beyond: candidates of each language beyond these k that score the same as the k-th, int32 `[queries, columns]`.
        places: which candidate each is, int32 `[queries, k]`; -1 where there are fewer; None: not known.
        scores: float32 `[queries, k]`; None: not known.
    """

    columns: NDArray[np.int16]
    tied: NDArray[np.bool_]
    beyond: NDArray[np.int32]
    places: NDArray[np.int32] | None = None
    scores: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls, places: NDArray[np.int32], scores: NDArray[np.float32], beyond: NDArray[np.int32], columns: IntArray
    ) -> Hits:
        """Those of these candidates.

        Args:
            places, scores, beyond: see above.
            columns: language of each candidate of the task, int64 `[candidates]`.
        """
        there = places >= 0
        tied = np.zeros(there.shape, dtype=np.bool_)
        tied[:, 1:] = there[:, 1:] & (scores[:, 1:] == scores[:, :-1])
        return cls(np.where(there, columns[places], -1).astype(np.int16), tied, beyond, places, scores)

    def take(self, queries: IntArray | slice) -> Hits:
        """Those of some queries."""
        return Hits(*(None if values is None else values[queries] for values in self))  # type: ignore[arg-type]


_COUNTS = ("gt", "eq", "own_gt", "own_eq", "query_gt", "query_eq")


@dataclass(frozen=True)
class Ranks:
    """The thin waist: for each relevant of each query, how many candidates of each language stand above it.

    A query's relevants are the rows `offsets[q]:offsets[q + 1]`. Everything after the counting is a function of
    these arrays; a pool made of whole columns is a sum over columns.

    Attributes:
        task: the task's name.
        columns: candidate languages, the pool columns.
        column_sizes: candidates of each column, int64 `[columns]`.
        question_ids: str `[queries]`.
        query_languages: language of each query, str `[queries]`.
        articles: article of each query, int64 `[queries]`.
        offsets: int64 `[queries + 1]`.
        relevant_ids: str `[relevants]`.
        relevant_columns: column of each relevant, int64 `[relevants]`.
        gains: gain of each relevant, float64 `[relevants]`.
        relevant_from: the lowest gain of a relevant for all metrics but those that read gains; a relevant below it is
            one for these alone. 0: every gain.
        rule: the rule of relevance that the ranks are counted under, of RULES.
        gt: candidates of each column that score above the relevant, int32 `[relevants, columns]`.
        eq: candidates of each column that score the same, itself included, int32 `[relevants, columns]`.
        depth: where the ranking was cut, None when it was not. A relevant that was not retrieved has `gt` -1 and
            `eq` 0 in every column it is not known for.
        own_gt, own_eq: counts within the relevant's own language where that is a ranking of its own (a run whose
            monolingual and cross-lingual lists were not cut out of the pooled one), int32 `[relevants]`;
            None: they are the own column of `gt` and `eq`.
        own_parts: `own_gt` and `own_eq` are counts within the pooled ranking all the same, kept because `gt` and `eq`
            hold those of the whole pool in one column, `[relevants, 1]`: of a submission (`pooled`), or because there
            are more than MOST_COLUMNS languages.
        separate: the languages fall into groups that no question joins, and each was ranked by itself: the whole pool
            of `gt` and `eq` is that of the group (see `xqr_bench.rank.parts`).
        top: candidates of each column that have the query's highest score, int32 `[queries, columns]`; None: not
            counted. It is of the whole pool: a part of the columns can have another top.
        own_top: in place of `top` where counts are collapsed: candidates that have the query's highest score in its own
            language, and in all others, int32 `[queries, 2]`.
        query_gt, query_eq: where counts are collapsed, those in the query's own language within the pooled ranking,
            int32 `[relevants]`; 0 of a language without candidates. None: not counted.
        hits: the best candidates of each query's ranking; None: not known.
        removed: candidates of each column that leave the query's ranking (rules of LEAVING), int32
            `[queries, columns]`; None: none does.
        variants: the same scores counted under other rules of relevance, by name. The ranks of `paragraph` hold the
            whole pool's counts in one column (`gt` and `eq` are `[relevants, 1]`), those of the relevant's own
            language in `own_gt` and `own_eq`, and no `relevant_ids`; of a submission, some questions only.
    """

    task: str
    columns: tuple[str, ...]
    column_sizes: IntArray
    question_ids: Sequence[str]
    query_languages: Sequence[str]
    articles: IntArray
    offsets: IntArray
    relevant_ids: Sequence[str]
    relevant_columns: IntArray
    gains: FloatArray
    gt: NDArray[np.int32]
    eq: NDArray[np.int32]
    depth: int | None = None
    own_gt: NDArray[np.int32] | None = None
    own_eq: NDArray[np.int32] | None = None
    own_parts: bool = False
    separate: bool = False
    top: NDArray[np.int32] | None = None
    own_top: NDArray[np.int32] | None = None
    query_gt: NDArray[np.int32] | None = None
    query_eq: NDArray[np.int32] | None = None
    hits: Hits | None = None
    removed: NDArray[np.int32] | None = None
    variants: Mapping[str, Ranks] = field(default_factory=dict)
    relevant_from: float = 0.0
    rule: str = STRICT

    def __repr__(self) -> str:
        """Without its arrays."""
        sizes = f"{len(self.columns)} languages, {self.n_queries:,} queries, {self.n_relevants:,} relevants"
        return f"<Ranks {self.task}, {self.rule}: {sizes}>"

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.question_ids)

    @property
    def n_relevants(self) -> int:
        """Number of (query, relevant) rows."""
        return len(self.relevant_columns)

    @property
    def by_language(self) -> bool:
        """Whether `gt` and `eq` tell of each language by itself."""
        return self.gt.shape[1] == len(self.columns) and not self.own_parts

    @property
    def own_lists(self) -> bool:
        """Whether a language's ranking is one of its own, and no part of the pooled one."""
        return self.own_gt is not None and not self.own_parts

    def pooled(self) -> Ranks:
        """The same ranks with the counts that figures need: of the whole pool, and of each relevant's own language."""
        if not self.by_language:
            return self
        gt, eq, own_gt, own_eq = self.counts
        one_column = replace(self, gt=gt[:, None], eq=eq[:, None], own_gt=own_gt, own_eq=own_eq, variants={})
        return replace(one_column, own_parts=self.own_gt is None)

    def of_questions(self, questions: Collection[str]) -> Ranks:
        """The ranks of these questions, in all languages."""
        return self.take(np.flatnonzero([question in questions for question in self.question_ids]))

    def parts(self, rows: int) -> Iterator[Ranks]:
        """The ranks of consecutive queries, of about so many relevants each; all at once where there are no more."""
        if self.n_relevants <= rows:
            yield self
            return
        edges = np.searchsorted(self.offsets, np.arange(0, self.n_relevants, rows), side="right") - 1
        for start, stop in pairwise([*np.unique(edges).tolist(), self.n_queries]):
            yield self.take(np.arange(start, stop))

    def take(self, chosen: IntArray) -> Ranks:
        """The ranks of these queries, ascending; without those under other rules of relevance."""
        lengths = np.diff(self.offsets)[chosen]
        offsets = np.append(0, np.cumsum(lengths))
        rows = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        changed: dict[str, Any] = {"offsets": offsets, "variants": {}}
        changed["hits"] = None if self.hits is None else self.hits.take(chosen)
        for indices, names in (
            (chosen, ("question_ids", "query_languages", "articles", "top", "own_top", "removed")),
            (rows, ("relevant_ids", "relevant_columns", "gains", *_COUNTS)),
        ):
            for name in names:
                values = getattr(self, name)
                if isinstance(values, np.ndarray):
                    changed[name] = values[indices]
                elif isinstance(values, Texts):
                    changed[name] = values.take(indices)
                elif values:
                    changed[name] = [values[index] for index in indices.tolist()]
        return replace(self, **changed)

    @cached_property
    def counts(self) -> Counts:
        """The counts by whole pool and own language, of the same shape under every rule of relevance."""
        rows = (np.arange(self.n_relevants), self.relevant_columns)
        return Counts(
            np.where((self.gt < 0).any(axis=1), np.int32(-1), self.gt.sum(axis=1, dtype=np.int32)),
            self.eq.sum(axis=1, dtype=np.int32),
            self.gt[rows] if self.own_gt is None else self.own_gt,
            self.eq[rows] if self.own_eq is None else self.own_eq,
        )

    @cached_property
    def query_ids(self) -> list[str]:
        """What each query is called: by its language and question."""
        return [f"{code}:{question}" for code, question in zip(self.query_languages, self.question_ids, strict=True)]

    @cached_property
    def row_queries(self) -> IntArray:
        """Query index of each relevant, int64 `[relevants]`."""
        return np.repeat(np.arange(self.n_queries), np.diff(self.offsets))

    @cached_property
    def all_languages(self) -> tuple[str, ...]:
        """The languages of the columns, then those that only queries have."""
        return tuple(dict.fromkeys([*self.columns, *self.query_languages]))

    @cached_property
    def query_numbers(self) -> IntArray:
        """Place of each query's language among `all_languages`, int64 `[queries]`."""
        number = {language: index for index, language in enumerate(self.all_languages)}
        return np.array([number[language] for language in self.query_languages], dtype=np.int64)
