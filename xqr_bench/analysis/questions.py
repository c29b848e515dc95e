"""Which questions an encoder fails on, and what stood above the sentences that answer them: facts for any report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xqr_bench.analysis.compared import unlike
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import DataError, RecordError, UnknownNameError, UsageError
from xqr_bench.core.languages import code_meant
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import (
    CROSS_LINGUAL,
    JUDGED,
    LENIENT,
    MAIN_METRIC,
    MONOLINGUAL,
    MULTILINGUAL,
    N_HITS,
    PARAGRAPH,
    STRICT,
    FloatArray,
    IntArray,
    TaskData,
)
from xqr_bench.measure.metrics.lists import pooled_counts
from xqr_bench.record import Record, Result
from xqr_bench.record.query_values import held_metrics, metric_of_one_list, query_values
from xqr_bench.tasks import TaskSpec, load_task, pending_downloads, resolve_task

if TYPE_CHECKING:
    import pandas

# What a hit is to the query, in words; "" of any other candidate.
IS_RELEVANT = "relevant"
IN_GROUP = "same paragraph as a relevant"
HAS_ANSWER = "same paragraph, contains the answer"
NOT_RELEVANT = "judged not relevant"
LARGER_IS_WORSE = ("rank_distance", "max_rank")


@dataclass(frozen=True)
class RankedRelevant:
    """A candidate that answers a query, and where it stands.

    Attributes:
        id, language, text: the candidate; the text is None where the data is not at hand.
        gain: 1 where judgements are not graded.
        counts: whether its gain makes it relevant to metrics that do not read gains.
        rank: in the pool of all languages, the mean over all orders of candidates with equal scores; None: it has none,
            because the ranking is cut or there was no such pool.
        tied: candidates of that pool with its score, itself included.
        own_rank, own_tied: the same among the candidates of its own language.
    """

    id: str
    language: str
    text: str | None
    gain: float
    counts: bool
    rank: float | None
    tied: int
    own_rank: float | None
    own_tied: int


@dataclass(frozen=True)
class TopHit:
    """One of the 20 best candidates of a query in the pool of all languages.

    Attributes:
        place: from 1; candidates with equal scores stand in the order of the pool.
        id, language, text: the candidate.
        score: on the scale of whatever ranked: a cosine, BM25, a fused score; None: of two stages only the order is
            kept.
        tied: whether it scores the same as the one before it.
        relation: what it is to the query: one of the words above, or "".
    """

    place: int
    id: str
    language: str
    text: str | None
    score: float | None
    tied: bool
    relation: str


@dataclass(frozen=True)
class QueryView:
    """A question in one language, and what was found for it.

    Attributes:
        language, text: of the query.
        value: of the metric in the setting; the mean over candidate languages where there are several.
        against: the same of the other record; None: there is no other.
        relevants: in the candidate languages looked at, best rank first.
        hits: of the 20 best candidates those in these languages, best first; empty where they are not known.
    """

    language: str
    text: str | None
    value: float
    against: float | None
    relevants: tuple[RankedRelevant, ...]
    hits: tuple[TopHit, ...]


@dataclass(frozen=True)
class QuestionView:
    """A question in the query languages looked at.

    Attributes:
        question: its id.
        article: title of its article; "" where it has none or the data is not at hand.
        value, against: means of those of its queries.
        queries: worst first.
    """

    question: str
    article: str
    value: float
    against: float | None
    queries: tuple[QueryView, ...]


class _Told(Observer):
    """Repeats no note of the data: the run that made the record told them."""

    def note(self, line: str) -> None:
        """Say nothing."""


def texts_of(
    record: Result, task: str | Path | TaskSpec | TaskData | None = None, *, data_dir: Path | str | None = None
) -> TaskData:
    """The texts of the task that a record is of; nothing is downloaded.

    Args:
        record: with its ranks.
        task: the task's file, where it is not one of the shipped tasks, or its data.
        data_dir: the folder with the data files; default: XQR_BENCH_DATA, else the cache.

    Raises:
        DataError: the files are not here, or are others than the record's.
        UnknownNameError: the task is none of the shipped ones, and no file is named.
        RecordError: the record is of a part of the task that cannot be read again.
    """
    info = record.task
    if isinstance(task, TaskData):
        data = task
    else:
        try:
            spec = resolve_task(task or info.name)
        except UnknownNameError as error:
            if task is not None:
                raise
            raise UnknownNameError(
                "task", info.name, (), remedy="name its file: --task FILE, or show ids without texts: --ids"
            ) from error
        left_out = dict(info.partial)
        languages, limit = left_out.pop("languages", None), left_out.pop("limit", None)
        if left_out:
            raise RecordError(
                f"the record is of a part of {info.name} that was chosen by {', '.join(left_out)}",
                remedy="show ids without texts: --ids",
            )
        if missing := pending_downloads(spec, data_dir, languages):
            raise DataError(
                f"the texts of {info.name} are not here",
                found=f"missing: {', '.join(spec.files[key].path for key in missing)}",
                remedy=f"get them: xqr-bench data fetch {info.name}; or name their folder: --data-dir; "
                "or show ids without texts: --ids",
            )
        data = load_task(spec, data_dir=data_dir, languages=languages, limit=limit, observe=_Told())
    _refuse_others(record, data)
    return data


def _refuse_others(record: Result, data: TaskData) -> None:
    """Refuse data that is not what the record was made from."""
    ranks, stated = record.ranks, record.task.files
    changed = sorted(name for name in {*stated, *data.files} if stated.get(name) != data.files.get(name))
    ids = [data.candidates[index].id for index in data.positions.tolist()]
    asked = [f"{query.language}:{query.question}" for query in data.queries]
    same = asked == ranks.query_ids and ids == list(ranks.relevant_ids)
    if data.name == record.task.name and not changed and same:
        return
    if data.name != record.task.name:
        found = f"the data is of {data.name}"
    elif changed:
        name = changed[0]
        there, wanted = data.files.get(name, "no such file"), stated.get(name, "no such file")
        found = f"{name} has the SHA-256 {there:.12}, the record {wanted:.12}" + (
            f"; {len(changed) - 1} more files differ" if len(changed) > 1 else ""
        )
    else:
        found = "the files are the same, the questions or their answers are not: the task file differs"
    raise DataError(
        f"these are not the texts that the record of {record.model.name} on {record.task.name} was made from",
        found=found,
        remedy="name the folder with the record's data (--data-dir) or its task file (--task), or show ids: --ids",
    )


def no_hits_reason(record: Record) -> str | None:
    """Why it is not known what stood above the relevants of a record; None: its file tells.

    The reason ends in "evaluate it again" where that helps.
    """
    if record.top_file is not None or (isinstance(record, Result) and record.find_top() is not None):
        return None
    depth = record.ranks_file.depth
    if isinstance(record, Result) and record.ranks.separate:
        return "each group of languages was ranked by itself, and the best candidates of such rankings are not kept"
    if depth is not None and depth < N_HITS:
        return f"the best {N_HITS} candidates are kept, and the ranking is cut at {depth}"
    if MULTILINGUAL not in record.task.settings:
        return "there was no ranking of all languages in one pool, whose best candidates are kept"
    kind = "a submission" if record.short else "an older record"
    return f"{kind} does not keep the best candidates; evaluate it again"


class Questions:
    """The questions of a record, how well each is answered, and what was found for it.

    Args:
        record: with its ranks.
        data: the texts, as of `texts_of`; None: ids only.
        metric: one that gives a value for each ranking, such as map, ndcg@10 or rank_distance.
        setting: of the record; default: multilingual, or the record's last.
        language: only queries in this language.
        candidates: only candidates of this language: then the setting is monolingual or cross-lingual.
        relevance: strict, lenient or judged.
        against: another record of the same task data.

    Raises:
        UnknownNameError, UsageError: what is asked is not in the record.
        RecordError: the record has no ranks under this rule.
    """

    def __init__(
        self,
        record: Result,
        data: TaskData | None = None,
        *,
        metric: str = MAIN_METRIC,
        setting: str | None = None,
        language: str | None = None,
        candidates: str | None = None,
        relevance: str = STRICT,
        against: Result | None = None,
    ) -> None:
        self.record, self.data, self.against = record, data, against
        self.metric, self.relevance = metric_of_one_list(metric), relevance
        if relevance == PARAGRAPH:
            raise UsageError(
                "ranks under paragraph relevance do not tell which sentences they are of",
                remedy="look at the questions by strict relevance, which marks what stands in the same paragraph",
            )
        self.ranks = record.ranks_under(relevance)
        self.language = self._code(language, list(dict.fromkeys(self.ranks.query_languages)), "query language")
        self.candidates = self._code(candidates, record.task.languages, "candidate language")
        self.setting = self._setting(setting)
        if self.setting not in self.metric.settings:
            raise UsageError(
                f"{self.metric.name} is not defined in the {self.setting} setting",
                remedy=f"choose {' or '.join(self.metric.settings)}, or another metric",
            )
        if against is not None and against.ranks_file.digest == record.ranks_file.digest:
            raise UsageError("both records have the same ranks: nothing is lost", remedy="name another after --against")
        if against is not None and (differing := unlike(record, against)):
            raise UsageError(
                f"these records cannot be compared: they differ in {', '.join(differing)}",
                found="; ".join(f"{name}: {a} and {b}" for name, (a, b) in differing.items()),
                remedy="name a record of the same task data after --against",
            )
        self.why_no_hits = self._why_no_hits()
        self._values = self._of_queries(record)
        self._other = None if against is None else self._of_queries(against)
        if not self._queries:
            figure = record.scores_under(relevance)[self.setting].macro.get(self.metric.name)
            raise UsageError(
                f"no question has a {self.metric.name} in what is looked at",
                found=None if figure is None else figure.undefined_reason,
                remedy="choose another metric, setting or language",
            )

    @staticmethod
    def _code(code: str | None, there: Sequence[str], what: str) -> str | None:
        if code is None:
            return None
        meant = code_meant(code, there)
        if meant not in there:
            raise UnknownNameError(what, code, there)
        return meant

    def _setting(self, asked: str | None) -> str:
        there = self.record.task.settings
        meant = asked
        if self.candidates is not None:
            meant = MONOLINGUAL if self.candidates == self.language else CROSS_LINGUAL
            if self.language is None:
                meant = asked or CROSS_LINGUAL
            if asked not in (None, meant):
                raise UsageError(
                    f"{self.language}>{self.candidates} is no part of the {asked} setting", remedy=f"leave {asked} out"
                )
        if meant is None:
            meant = MULTILINGUAL if MULTILINGUAL in there else there[-1]
        if meant not in there:
            raise UnknownNameError("setting of this record", meant, there)
        return meant

    def _why_no_hits(self) -> str | None:
        reason = no_hits_reason(self.record)
        if reason is None and self.setting != MULTILINGUAL and self.ranks.own_lists:
            return (
                f"in the {self.setting} setting each language has a ranking of its own, and the best candidates are "
                "kept of the one of all languages"
            )
        if reason is None and self.relevance != STRICT and self.data is None:
            return f"without the texts it is not known which candidates leave a ranking by {self.relevance} relevance"
        return reason

    @property
    def only_order(self) -> bool:
        """Whether the scores of the best candidates say nothing but their order (see `rank.stages.reranked`)."""
        return self.record.model.identity.reranking is not None

    def _of_queries(self, record: Result) -> FloatArray:
        """The value of each query looked at, float64 `[queries]`: the mean over candidate languages, else NaN."""
        ranks = record.ranks_under(self.relevance)
        columns = query_values(ranks, [self.metric.name], [self.setting])
        values, queries = columns[self.metric.name], columns["query"]
        chosen = ~np.isnan(values)
        for wanted, of_row in ((self.language, "query_language"), (self.candidates, "candidate_language")):
            if wanted is not None:
                chosen &= columns[of_row] == wanted
        number = np.bincount(queries[chosen], minlength=ranks.n_queries)
        total = np.bincount(queries[chosen], values[chosen], minlength=ranks.n_queries)
        means = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        if record is self.record:
            return means
        place = {query: index for index, query in enumerate(ranks.query_ids)}
        if place.keys() != set(self.ranks.query_ids):
            raise UsageError(
                "these records cannot be compared: their ranks are of other questions",
                remedy="name a record of the same task data after --against",
            )
        return means[[place[query] for query in self.ranks.query_ids]]

    @cached_property
    def _queries(self) -> dict[str, list[int]]:
        """Question -> its queries that have a value, of both records where there are two."""
        there = ~np.isnan(self._values if self._other is None else self._values + self._other)
        found: dict[str, list[int]] = {}
        for query, question in enumerate(self.ranks.question_ids):
            if there[query]:
                found.setdefault(question, []).append(query)
        return found

    @property
    def n_questions(self) -> int:
        """How many questions have a value."""
        return len(self._queries)

    def _how_bad(self, value: float, against: float | None) -> float:
        """The value, or the loss against the other record, so that a larger number is worse."""
        sign = 1.0 if self.metric.name in LARGER_IS_WORSE else -1.0
        return sign * (value if against is None else value - against)

    def worst(self, number: int | None = None) -> list[str]:
        """Ids of the questions, the worst first: by value, or by loss against the other record; at most `number`.

        Questions with equal values stand in the order of the task.

        Raises:
            UsageError: by a bias measure, of which neither more nor less is worse.
        """
        if self.metric.kind == "bias" and self.metric.name not in LARGER_IS_WORSE:
            raise UsageError(
                f"neither a high nor a low {self.metric.name} is a failure",
                remedy=f"choose a score such as map or ndcg@10, or {' or '.join(LARGER_IS_WORSE)}",
            )
        how_bad = np.array([self._how_bad(*self._means(queries)) for queries in self._queries.values()])
        questions = list(self._queries)
        return [questions[place] for place in np.argsort(-how_bad, kind="stable")[:number].tolist()]

    def frame(self, questions: Collection[str] = ()) -> pandas.DataFrame:
        """The values of the queries looked at, with the columns of `Result.query_frame`, one row a ranking.

        With another record also its value of the metric, in the column `<metric>_against`.

        Args:
            questions: only these; empty: all.
        """
        name = self.metric.name
        made = self.record.query_frame(
            [*held_metrics(self.record, self.relevance), name], [self.setting], self.relevance
        )
        if self.against is not None:
            keys = ["query_language", "candidate_language", "question"]
            other = self.against.query_frame([name], [self.setting], self.relevance)[[*keys, name]]
            made = made.merge(other, on=keys, how="left", suffixes=("", "_against"), validate="one_to_one")
        chosen = made["question"].isin(list(questions)) if questions else made["question"].notna()
        for wanted, column in ((self.language, "query_language"), (self.candidates, "candidate_language")):
            if wanted is not None:
                chosen &= made[column] == wanted
        return made[chosen].reset_index(drop=True)

    def _means(self, queries: Sequence[int]) -> tuple[float, float | None]:
        other = None if self._other is None else float(self._other[queries].mean())
        return float(self._values[queries].mean()), other

    def view(self, question: str) -> QuestionView:
        """All that is known of a question.

        Args:
            question: its id in the task.

        Raises:
            UnknownNameError: there is no such question.
            UsageError: it has no value in what is looked at.
        """
        queries = self._queries.get(question)
        if queries is None:
            if question not in self.ranks.question_ids:
                raise UnknownNameError(
                    "question", question, self.ranks.question_ids, remedy="use an id as --csv FILE lists them"
                )
            raise UsageError(
                f"the question {question!r} has no {self.metric.name} in what is looked at",
                remedy="choose another language, setting or metric",
            )
        views = [self._view(query) for query in queries]
        views.sort(key=lambda view: -self._how_bad(view.value, view.against))
        return QuestionView(question, self._article(queries[0]), *self._means(queries), tuple(views))

    def _article(self, query: int) -> str:
        if self.data is None:
            return ""
        answers = [self.data.candidates[index] for index in self.data.relevants[query]]
        answers.sort(key=lambda one: one.language != "en")  # as the rest of a report
        return next((self.data.titles[one.cluster] for one in answers if one.cluster in self.data.titles), "")

    def _view(self, query: int) -> QueryView:
        language = self.ranks.query_languages[query]
        looked_at = {self.candidates} if self.candidates is not None else set(self.record.task.languages)
        if self.setting == MONOLINGUAL:
            looked_at &= {language}
        elif self.setting == CROSS_LINGUAL:
            looked_at -= {language}
        return QueryView(
            language,
            None if self.data is None else self.data.queries[query].text,
            float(self._values[query]),
            None if self._other is None else float(self._other[query]),
            self._relevants(query, looked_at),
            self._hits(query, looked_at),
        )

    @cached_property
    def _ranked(self) -> list[IntArray]:
        """Candidates above each relevant and beside it: in the pool of all languages, and in its own."""
        counts = self.ranks.counts
        return [*pooled_counts(self.ranks), counts.own_gt.astype(np.int64), counts.own_eq.astype(np.int64)]

    def _rows(self, query: int) -> Iterator[tuple[str, int, float, list[int]]]:
        """Of each relevant its id, column and gain, and what `_ranked` has of it."""
        ranks = self.ranks
        part = slice(int(ranks.offsets[query]), int(ranks.offsets[query + 1]))
        counts = np.column_stack([one[part] for one in self._ranked]).tolist()
        columns, gains = ranks.relevant_columns[part].tolist(), ranks.gains[part].tolist()
        yield from zip(ranks.relevant_ids[part], columns, gains, counts, strict=True)

    def _relevants(self, query: int, looked_at: Collection[str]) -> tuple[RankedRelevant, ...]:
        found = []
        for id_, column, gain, (above, tied, own_above, own_tied) in self._rows(query):
            language = self.ranks.columns[column]
            if language not in looked_at:
                continue
            text, counts = self._text(id_), gain >= self.ranks.relevant_from
            pooled, own = (None if gt < 0 else gt + (eq + 1) / 2 for gt, eq in ((above, tied), (own_above, own_tied)))
            found.append(RankedRelevant(id_, language, text, gain, counts, pooled, tied, own, own_tied))
        key = "rank" if self.setting == MULTILINGUAL else "own_rank"
        return tuple(sorted(found, key=lambda one: (getattr(one, key) is None, getattr(one, key))))

    def _hits(self, query: int, looked_at: Collection[str]) -> tuple[TopHit, ...]:
        if self.why_no_hits is not None:
            return ()
        ranks, place, found = self.ranks, 0, []
        relevants = set(ranks.relevant_ids[int(ranks.offsets[query]) : int(ranks.offsets[query + 1])])
        block = before = 0  # of those that tie
        for id_, score, tied in self.record.top_candidates().of_query(query):
            block += not tied
            relation = IS_RELEVANT if id_ in relevants else self._relation(query, id_)
            if self._leaves(relation):
                continue
            place += 1
            language = id_.partition(":")[0]  # as every id begins (core.types.Candidate)
            if language in looked_at:
                shown = None if self.only_order else score
                found.append(TopHit(place, id_, language, self._text(id_), shown, block == before, relation))
            before = block
        return tuple(found)

    def _leaves(self, relation: str) -> bool:
        """Whether a candidate is no part of the ranking under the rule of relevance."""
        if self.relevance == LENIENT:
            return relation == HAS_ANSWER
        return self.relevance == JUDGED and relation not in (IS_RELEVANT, NOT_RELEVANT)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {} if self.data is None else {one.id: index for index, one in enumerate(self.data.candidates)}

    def _number(self, id_: str) -> int:
        """Which candidate of the data it is."""
        if id_ not in self._numbers:  # what stands between relevants is anybody's word (record.top_file.check_top)
            raise RecordError(
                f"the file of the best candidates of {self.record.model.name} names one that {self.record.task.name} "
                "does not have",
                found=repr(id_),
                remedy="get the files of one evaluation, or evaluate again with --overwrite",
            )
        return self._numbers[id_]

    def _text(self, id_: str) -> str | None:
        return None if self.data is None else self.data.candidates[self._number(id_)].text

    def _relation(self, query: int, id_: str) -> str:
        """What a candidate that is no relevant is to a query."""
        data = self.data
        if data is None:
            return ""
        index = self._number(id_)
        if data.irrelevant is not None and index in data.irrelevant[query]:
            return NOT_RELEVANT
        if data.echoes is not None and index in data.echoes[query]:
            return HAS_ANSWER
        group = data.candidates[index].group
        same = bool(group) and any(data.candidates[one].group == group for one in data.relevants[query])
        return IN_GROUP if same else ""


@checked
def question_views(
    record: Result,
    questions: Iterable[str] | None = None,
    data: TaskData | None = None,
    *,
    metric: str = MAIN_METRIC,
    setting: str | None = None,
    relevance: str = STRICT,
) -> list[QuestionView]:
    """Questions in their languages, with the ranks of their relevants and what stands above these.

    Args:
        record: with its ranks.
        questions: their ids; default: all, the worst first.
        data: the texts, as of `texts_of`; None: ids only.
        metric, setting, relevance: as of `Questions`.

    Raises:
        XqrBenchError: as `Questions`; there is no such question.
    """
    made = Questions(record, data, metric=metric, setting=setting, relevance=relevance)
    return [made.view(question) for question in (made.worst() if questions is None else questions)]
