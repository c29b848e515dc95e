"""Two stages: the best candidates of one ranker's lists, ranked again by another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.checked import checked
from xqr_bench.core.errors import UsageError
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode import ModelIdentity
from xqr_bench.encode.options import Reranking, RerankPool
from xqr_bench.evaluation.pairs import PairRanker, Pairs
from xqr_bench.evaluation.ranker import Ranker, Ranking, Scores, Task, rank_scores, stages_of
from xqr_bench.evaluation.vectors import VectorRanker
from xqr_bench.rank.counting import PROCESSOR
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.product import Vectors
from xqr_bench.rank.stages import reranked, shortlist
from xqr_bench.tasks import Selection, TaskSpec

DEPTH = 100
MOST_TIES = 2
"""A list of the first stage is at most so many times `depth` long: ties that would make it longer are left out."""
MOST_PAIRS = 200_000_000


def title(first: str, second: str, depth: int, pool: RerankPool, add_relevants: bool) -> str:
    """What a ranking in two stages of these names is called, where it is given no name."""
    top = f"top {depth}" + (" of the pool" if pool == "pool" else "")
    return f"{first} > {second.rpartition('/')[2]}, {top}" + ", relevants added" * add_relevants


@checked
@dataclass
class Reranked:
    """Ranks the best candidates of each query again; the rest keep their order, below them.

    One set of candidates of a query is ranked again, and stands above the rest in the ranking of the pool and in that
    of each language alike. With `pool` "language" it is the `depth` best of each language, by that language's own
    ranking; with "pool" the `depth` best of all. Those that tie with the last of them are taken too, unless a list
    would get longer than `MOST_TIES` times `depth`: then all that tie are left out. Candidates that the first stage
    did not retrieve are never ranked again.

    Attributes:
        first: has scores of all candidates.
        second: is asked for the scores of these candidates alone where it is a `PairRanker`, else for all.
        depth: from 1 on.
        pool: see above.
        add_relevants: rank the relevants of each query again too, wherever they stand: an upper bound.
        name: of the record; default: both names, and what was ranked again.

    Raises:
        UsageError: a depth below 1, a ranking of two stages again, an index, or changed vectors of the second.
    """

    first: Ranker
    second: Ranker
    depth: int = DEPTH
    pool: RerankPool = "language"
    add_relevants: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise UsageError(f"--rerank-depth cannot be {self.depth}", remedy="use a number from 1 on")
        for stage in self.stages:
            if stage.identity.reranking is not None:
                raise UsageError(f"{stage.name} is a ranking in two stages already", remedy="give one --rerank")
            if isinstance(stage, VectorRanker) and stage.index is not None:
                raise UsageError("--rerank needs the scores of all candidates", remedy="leave --index out")
        if any(stage.changed for stage in stages_of(self.second) if isinstance(stage, VectorRanker)):
            raise UsageError(
                f"{self.second.name} cannot rank again: the record would not say what was done to its vectors",
                remedy="leave transform and quantize out",
            )
        self._title = title(self.first.name, self.second.name, self.depth, self.pool, self.add_relevants)
        self.name = self.name or self._title

    @property
    def identity(self) -> ModelIdentity:
        """Those of both stages, and what is ranked again."""
        made_of = Reranking(
            first=self.first.identity,
            second=self.second.identity,
            depth=self.depth,
            pool=self.pool,
            relevants_added=self.add_relevants,
        )
        return ModelIdentity(kind="reranked", name=self._title, similarity="none", reranking=made_of)

    @property
    def device(self) -> str | None:
        """That of the second stage, which takes most of the time; else that of the first."""
        return self.second.device or self.first.device

    @property
    def stages(self) -> tuple[Ranker, ...]:
        """See `stages_of`."""
        return (self.first, self.second)

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Rank as the first stage does, then the best again.

        Raises:
            UsageError: a stage has no scores of all candidates, or there are more than `MOST_PAIRS` pairs.
            RanksError: scores of the second stage are not numbers.
        """
        pairs = self.second if isinstance(self.second, PairRanker) else None
        seconds = self.second.rank(tasks, observe) if pairs is None else repeat(None, len(tasks))
        for task, one, two in zip(tasks, self.first.rank(tasks, observe), seconds, strict=True):
            second = pairs if pairs is not None else _scores_of(two, self.second)
            shortlists = _Shortlists(self, observe, _scores_of(one, self.first), second)
            own_lists = one.ranks.own_lists or (two is not None and two.ranks.own_lists)
            clock = Clock(dict(one.seconds))
            for phase, taken in ({} if two is None else two.seconds).items():
                clock.seconds[f"second {phase}"] = taken
            with clock.phase("reranking"):
                ranks = rank_scores(task, shortlists.scores, observe, own_lists=own_lists)
            told = pairs.pair_warnings() if pairs is not None else () if two is None else two.warnings
            yield Ranking(
                ranks,
                warnings=(
                    *(f"{self.first.name}: {warning}" for warning in one.warnings),
                    *(f"{self.second.name}: {warning}" for warning in told),
                    self._warning(shortlists, len(task.data.queries)),
                ),
                diagnostics=one.diagnostics,
                # what the first stage was trained on says nothing of the second
                facts={name: fact for name, fact in one.facts.items() if name in ("transform", "quantization")},
                settings={
                    **one.settings,
                    "rerank": self.second.name,
                    "rerank_depth": self.depth,
                    "rerank_pool": self.pool,
                    "rerank_add_relevants": self.add_relevants,
                },
                seconds=clock.seconds,
                texts=one.texts,
                counted_on=PROCESSOR if one.counted_on is not None else None,
                scores=shortlists.scores,
            )
            if pairs is not None:
                pairs.forget()

    def chosen(self, data: TaskData, block: ScoreBlock) -> NDArray[np.bool_]:
        """Which candidates of a block are ranked again, bool `[rows, candidates]`; without relevants that are added."""
        scores, edges = (block.own, data.edges) if self.pool == "language" else (block.pooled, None)
        return shortlist(scores, self.depth, edges, most=MOST_TIES * self.depth)

    def _warning(self, of: _Shortlists, n_queries: int) -> str:
        top = "whole pool" if self.pool == "pool" else "list of each language"
        # the same task may have been asked for its scores again
        lines = [
            f"ranked again by {self.second.name}: the top {self.depth} of the {top} of {self.first.name}, and what "
            f"ties with the last of them; {of.pairs:,} pairs, {of.pairs / n_queries:,.1f} a query; they stand above "
            "the rest, which keep their order"
        ]
        if of.short:
            lines.append(
                f"{of.short:,} of {of.lists:,} lists gave less than {self.depth} to rank again: what was not "
                f"retrieved, and ties that would have made more than {MOST_TIES * self.depth}, are left out"
            )
        if self.add_relevants:
            lines.append("the relevants of each query were ranked again too: an upper bound, not what a search gives")
        return "; ".join(lines)

    def most_pairs(self, data: TaskData) -> int:
        """Of a task, where nothing ties."""
        sizes = data.column_sizes if self.pool == "language" else data.column_sizes.sum(keepdims=True)
        return int(np.minimum(sizes, self.depth).sum()) * len(data.queries)

    def rehearse(self, specs: Sequence[TaskSpec], select: Selection, observe: Observer) -> list[str]:
        """See Rehearsing."""
        lines = []
        for stage in self.stages:
            if isinstance(stage, VectorRanker):
                lines += [f"{stage.name}: {line}" for line in stage.rehearse(specs, select, observe)]
        for spec in specs:
            data = select.load(spec, observe)
            n = self.most_pairs(data)
            line = f"{data.name}: {n:,} pairs of a query and a candidate to rank again, where nothing ties"
            if isinstance(self.second, PairRanker):
                line += f"; about {self.second.seconds(data, n, observe) / 60:,.1f} min"
            else:
                line += f"; {self.second.name} scores all candidates, whatever the depth"
            lines.append(line)
        return lines


def _scores_of(ranking: Ranking | None, stage: Ranker) -> Scores:
    if ranking is None or ranking.scores is None:
        raise UsageError(f"{stage.name} has no scores of all candidates", remedy="leave --rerank out")
    return ranking.scores


class _Shortlists:
    """The scores of both stages as one; counts what is ranked again when a task is asked for first.

    Attributes:
        pairs, lists, short: how many pairs are ranked again; of how many lists; of which so many are shorter than the
            depth and than the list of all candidates.
    """

    def __init__(self, asked: Reranked, observe: Observer, first: Scores, second: Scores | PairRanker) -> None:
        self._asked, self._observe, self._first, self._second = asked, observe, first, second
        self.pairs = self.lists = self.short = 0

    def scores(self, part: TaskData, queries: IntArray, candidates: IntArray) -> Iterator[ScoreBlock]:
        """See Scores."""
        second = self._second
        if isinstance(second, PairRanker):
            return self._of_pairs(part, partial(self._first, part, queries, candidates), second)
        return self._of_all(part, self._first(part, queries, candidates), Rows(second(part, queries, candidates)))

    def _chosen(self, part: TaskData, block: ScoreBlock) -> NDArray[np.bool_]:
        asked = self._asked
        chosen = asked.chosen(part, block)
        edges = part.edges if asked.pool == "language" else part.edges[[0, -1]]
        filled = edges[:-1] < edges[1:]
        sizes = np.add.reduceat(chosen, edges[:-1][filled], axis=1, dtype=np.int64)
        self.lists += sizes.size
        self.short += int((sizes < np.minimum(np.diff(edges)[filled], asked.depth)).sum())
        if asked.add_relevants:
            for row in range(len(chosen)):
                chosen[row, list(part.relevants[block.start + row])] = True
        self.pairs += int(chosen.sum())
        return chosen

    def _of_all(self, part: TaskData, blocks: Iterable[ScoreBlock], second: Rows) -> Iterator[ScoreBlock]:
        for block in blocks:
            yield _both(block, second.take(len(block.pooled)), self._chosen(part, block))

    def _of_pairs(
        self, part: TaskData, first: Callable[[], Iterable[ScoreBlock]], second: PairRanker
    ) -> Iterator[ScoreBlock]:
        found, total = [], 0
        for block in first():
            rows, columns = np.nonzero(self._chosen(part, block))
            total += len(rows)
            if total > MOST_PAIRS:
                raise UsageError(
                    f"more than {MOST_PAIRS:,} pairs of {part.name} would be ranked again",
                    remedy="give a smaller --rerank-depth, or --rerank-pool pool",
                )
            found.append((rows + block.start, columns))
        pairs = Pairs(*(np.concatenate(numbers) for numbers in zip(*found, strict=True)))
        values = second.pair_scores(part, pairs, self._observe)
        for block in first():
            here = slice(*np.searchsorted(pairs.queries, (block.start, block.start + len(block.pooled))))
            place = pairs.queries[here] - block.start, pairs.candidates[here]
            chosen, scores = np.zeros(block.pooled.shape, dtype=np.bool_), np.zeros_like(block.pooled)
            chosen[place], scores[place] = True, values[here]
            yield _both(block, ScoreBlock(block.start, scores, scores), chosen)


def _both(first: ScoreBlock, second: ScoreBlock, chosen: NDArray[np.bool_]) -> ScoreBlock:
    pooled = reranked(first.pooled, second.pooled, chosen)
    if first.own is first.pooled and second.own is second.pooled:
        return ScoreBlock(first.start, pooled, pooled)
    return ScoreBlock(first.start, pooled, reranked(first.own, second.own, chosen))


class Rows:
    """Blocks of one ranker, cut as those of another are."""

    def __init__(self, blocks: Iterable[ScoreBlock]) -> None:
        self._blocks, self._left, self._done = iter(blocks), 0, 0
        self._block: ScoreBlock | None = None

    def take(self, rows: int) -> ScoreBlock:
        """The next rows, as many as are asked for."""
        parts: list[tuple[Vectors, Vectors]] = []
        start = self._done
        while rows:
            if self._block is None or not self._left:
                self._block = next(self._blocks)
                self._left = len(self._block.pooled)
            block, begin = self._block, len(self._block.pooled) - self._left
            here = slice(begin, begin + min(rows, self._left))
            pooled = block.pooled[here].copy()  # the next block may stand in its place
            parts.append((pooled, pooled if block.own is block.pooled else block.own[here].copy()))
            rows, self._left, self._done = rows - len(pooled), self._left - len(pooled), self._done + len(pooled)
        if len(parts) == 1:
            return ScoreBlock(start, *parts[0])
        pooled, own = (np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))
        return ScoreBlock(start, pooled, own)
