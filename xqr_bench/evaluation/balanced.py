"""A reference: lists of single languages merged in turn, so that no score of one is compared with one of another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from xqr_bench.core.errors import UsageError
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode import ModelIdentity
from xqr_bench.evaluation.ranker import Ranker, Ranking, Scores, Task, rank_scores
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.fusion import middle_ranks

SUFFIX = ", balanced"
WARNING = "the lists of single languages merged in turn: a reference that has no preference, not what the ranker gives"


@dataclass
class Balanced:
    """Ranks each candidate of the pool by its rank among those of its language.

    The first of every language come first, in random order, then the second ones, and so on. What a ranker finds within
    a language is the same; a preference for a language is gone.

    Args:
        ranker: whose scores rank the candidates within their languages.
    """

    ranker: Ranker

    def __post_init__(self) -> None:
        self.name = f"{self.ranker.name}{SUFFIX}"

    @property
    def identity(self) -> ModelIdentity:
        """A ranking made from that of the ranker."""
        of_ranker = self.ranker.identity
        changed = {"kind": "run", "name": f"{of_ranker.name}{SUFFIX}", "base": of_ranker.name, "similarity": "none"}
        return of_ranker.model_copy(update=changed)

    @property
    def device(self) -> str | None:
        """That of the ranker."""
        return self.ranker.device

    @property
    def stages(self) -> tuple[Ranker, ...]:
        """See `stages_of`."""
        return (self.ranker,)

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Rank as the ranker does, then by turns.

        Raises:
            UsageError: it has no scores of whole lists.
        """
        for task, ranking in zip(tasks, self.ranker.rank(tasks, observe), strict=True):
            if ranking.scores is None:
                raise UsageError(
                    f"{self.ranker.name} has no scores of all candidates to balance", remedy="leave --balanced out"
                )
            clock, scores = Clock(dict(ranking.seconds)), partial(_of_part, ranking.scores)
            with clock.phase("balancing"):
                ranks = rank_scores(task, scores, observe)
            warnings = (*ranking.warnings, WARNING)
            yield replace(ranking, ranks=ranks, warnings=warnings, seconds=clock.seconds, scores=scores)


def _of_part(scores: Scores, part: TaskData, queries: IntArray, candidates: IntArray) -> Iterator[ScoreBlock]:
    return balanced(part, scores(part, queries, candidates))


def balanced(data: TaskData, blocks: Iterable[ScoreBlock]) -> Iterator[ScoreBlock]:
    """Scores that are less, the lower a candidate stands in its language; those not retrieved stay so."""
    for block in blocks:
        scores = np.empty_like(block.own)
        for start, stop in zip(data.edges[:-1].tolist(), data.edges[1:].tolist(), strict=True):
            scores[:, start:stop] = -middle_ranks(block.own[:, start:stop])
        scores[np.isneginf(block.own)] = -np.inf
        yield ScoreBlock(block.start, scores, scores)
