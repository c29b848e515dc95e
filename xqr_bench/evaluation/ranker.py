"""What ranks the candidates of tasks: one protocol for encoders, BM25, bounds, runs of other systems and plugins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np

from xqr_bench.core.errors import DataError, UsageError
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.registry import Registry
from xqr_bench.core.types import IntArray, Ranks, TaskData
from xqr_bench.encode import ModelIdentity
from xqr_bench.encode.providers import EndpointUse
from xqr_bench.rank.exact import ScoreBlock, ranks_of_scores
from xqr_bench.rank.parts import rank_by_parts
from xqr_bench.record import LanguageDiagnostics, TextCounts
from xqr_bench.tasks import Selection, TaskSpec


@dataclass(frozen=True)
class Task:
    """A task as it is scored.

    Attributes:
        spec: its settings and metrics are those scored.
        data: its texts, or those of a part of it.

    Raises:
        DataError: a query has no relevant candidate, so that no measure has a value of it.
    """

    spec: TaskSpec
    data: TaskData

    def __post_init__(self) -> None:
        if lacking := [query.id for query, of in zip(self.data.queries, self.data.relevants, strict=True) if not of]:
            raise DataError(
                f"{len(lacking):,} queries of the task {self.data.name} have no relevant candidate",
                found=f"such as {lacking[0]}",
                remedy="load_task(data) gives the data without them, and tells",
            )


Scores = Callable[[TaskData, IntArray, IntArray], Iterable[ScoreBlock]]
"""Given a task, or a part of it that is ranked by itself, and the indices of its queries and candidates in the whole,
int64 each: blocks of its queries in order, each against all its candidates."""


def rank_scores(task: Task, scores: Scores, observe: Observer, *, own_lists: bool = False) -> Ranks:
    """Count the ranks of a task in scores of all its candidates, exactly and at full depth.

    Args:
        task: each of its parts is ranked by itself where `rank_by_parts` does so.
        scores: of each part; -inf: the candidate was not retrieved.
        own_lists: whether a language's own ranking is no part of the pooled one (`ScoreBlock.own`).
        observe: hears how many queries are done.
    """

    def rank(part: TaskData, queries: IntArray, candidates: IntArray, observe: Observer) -> Ranks:
        return ranks_of_scores(part, scores(part, queries, candidates), observe, own_lists=own_lists)

    return rank_by_parts(task.data, task.spec.settings, rank, observe)


@dataclass(frozen=True)
class Ranking:
    """One task ranked, and what a record says of it beside the scores.

    Attributes:
        ranks: what was counted or read.
        warnings: what a user should read beside the scores.
        diagnostics: what happened to the texts, by language.
        facts: more fields of the record: `transform`, `quantization`, `index`, `training`, `exposure`.
        settings: what the ranker was asked to do, defaults included.
        seconds: wall time of each phase.
        texts: how many texts there were, and how many of them came from the store.
        usage: what an endpoint was asked so far; None: none was.
        counted_on: where scores were counted.
        scored_settings: the settings that were ranked; None: all of the task.
        scores: makes the scores once more, such as to write a run; None: there are none of all candidates.
    """

    ranks: Ranks
    warnings: Sequence[str] = ()
    diagnostics: Mapping[str, LanguageDiagnostics] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    texts: TextCounts | None = None
    usage: EndpointUse | None = None
    counted_on: str | None = None
    scored_settings: tuple[str, ...] | None = None
    scores: Scores | None = None

    def whole(self, data: TaskData) -> Iterable[ScoreBlock] | None:
        """The scores of all queries against all candidates; None: there are none, or of the parts of the task alone."""
        if self.scores is None or self.ranks.separate:
            return None
        return self.scores(data, np.arange(len(data.queries)), np.arange(len(data.candidates)))


@runtime_checkable
class Ranker(Protocol):
    """Anything that orders the candidates of tasks.

    Attributes:
        name: names its records.
        identity: what the ranking depends on; may know more once something was ranked.
        device: where it runs; None: it has none.
    """

    name: str

    @property
    def identity(self) -> ModelIdentity:
        """What the ranking depends on."""

    @property
    def device(self) -> str | None:
        """Where it runs."""

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Rank each task, in order.

        Args:
            tasks: all that are to be ranked, so that work they have in common is done once.
            observe: hears how far it is.
        """


@runtime_checkable
class Rehearsing(Protocol):
    """A ranker that can tell what a run would do."""

    def rehearse(self, specs: Sequence[TaskSpec], select: Selection, observe: Observer) -> list[str]:
        """Read and check all data, try the models on a few texts, and tell what a run would do: lines for each task."""


def stages_of(ranker: Ranker) -> tuple[Ranker, ...]:
    """The rankers that one is made of (its `stages`, and theirs); itself where it is made of none."""
    stages = getattr(ranker, "stages", None)
    if not isinstance(stages, tuple):
        return (ranker,)
    return tuple(one for stage in stages for one in stages_of(stage))


class ScoreRanker(ABC):
    """A ranker that scores all candidates of a query: what it scores is counted exactly and at full depth.

    Attributes:
        name, identity, device: see `Ranker`.
        settings: what it was asked to do, defaults included.
        own_lists: whether a language's own ranking is no part of the pooled one (`ScoreBlock.own`).
    """

    name: str
    device: str | None = None
    settings: Mapping[str, Any] = MappingProxyType({})
    own_lists = False

    @property
    @abstractmethod
    def identity(self) -> ModelIdentity:
        """What the ranking depends on."""

    @abstractmethod
    def scores(self, part: TaskData, observe: Observer) -> Iterable[ScoreBlock]:
        """Scores of all queries of a task, or of a part of it that is ranked by itself, against all its candidates.

        They are the same each time they are asked for.
        """

    def warnings_for(self, data: TaskData) -> Sequence[str]:
        """What a user should read beside the scores of a task that was ranked."""
        return ()

    def diagnostics_for(self, data: TaskData) -> Mapping[str, LanguageDiagnostics]:
        """What happened to the texts of a task that was ranked, by language; empty: unknown."""
        return {}

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Score and count each task."""
        for task in tasks:

            def scores(part: TaskData, queries: IntArray, candidates: IntArray) -> Iterable[ScoreBlock]:
                return self.scores(part, observe)

            clock = Clock()
            with clock.phase("ranking"):
                ranks = rank_scores(task, scores, observe, own_lists=self.own_lists)
            yield Ranking(
                ranks,
                warnings=self.warnings_for(task.data),
                diagnostics=self.diagnostics_for(task.data),
                settings=self.settings,
                seconds=clock.seconds,
                scores=scores,
            )


RANKERS: Registry[Callable[[str], Ranker]] = Registry("ranker", "xqr_bench.rankers")
"""Name -> a function (or class) that is given what stands after `name:` in MODEL, "" where nothing does."""


@dataclass
class HandedOn:
    """A ranker whose scores are handed on too, such as to write TREC runs.

    Args:
        ranker: what ranks.
        write: is given each task and its scores, once it is ranked.
        check: is given each task before any is ranked; raises where its scores cannot be written.
    """

    ranker: Ranker
    write: Callable[[TaskData, Iterable[ScoreBlock]], None]
    check: Callable[[TaskData], None] = lambda data: None

    def __post_init__(self) -> None:
        self.name = self.ranker.name

    @property
    def identity(self) -> ModelIdentity:
        """That of the ranker."""
        return self.ranker.identity

    @property
    def device(self) -> str | None:
        """That of the ranker."""
        return self.ranker.device

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Rank as the ranker does.

        Raises:
            UsageError: it has no scores.
        """
        for task in tasks:
            self.check(task.data)
        for task, ranking in zip(tasks, self.ranker.rank(tasks, observe), strict=True):
            blocks = ranking.whole(task.data)
            if blocks is None:
                raise UsageError(f"{self.name} has no scores to write", remedy="leave --trec-run out")
            clock = Clock(dict(ranking.seconds))
            with clock.phase("run"):
                self.write(task.data, blocks)
            yield replace(ranking, seconds=clock.seconds)
