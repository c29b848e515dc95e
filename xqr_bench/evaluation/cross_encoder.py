"""A CrossEncoder as a ranker: of all pairs of a task that is small enough, or of those it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter

import numpy as np

from xqr_bench.core.errors import UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import TaskData
from xqr_bench.encode import EncoderOptions, ModelIdentity
from xqr_bench.encode.cross_encoder import CrossEncoderModel, TextPairs
from xqr_bench.encode.kinds import OtherModel
from xqr_bench.encode.texts import name_item
from xqr_bench.evaluation.pairs import Pairs, distinct
from xqr_bench.evaluation.ranker import Ranking, ScoreRanker, Task
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.product import TILE_ROWS, Vectors
from xqr_bench.tasks import Selection, TaskSpec

MOST_ALONE = 2_000_000
"""Pairs of a task that a CrossEncoder ranks alone, at most."""
TRIED = 64
"""Pairs that tell how long all of them take."""


class CrossEncoderRanker(ScoreRanker):
    """Ranks by a CrossEncoder: each distinct pair of texts is scored once.

    Args:
        other: the model, as `OtherKindError` has it.
        options: how to load it.
    """

    def __init__(self, other: OtherModel, options: EncoderOptions) -> None:
        self.model = CrossEncoderModel(other, options)
        self.name, self.device = self.model.name, self.model.device

    @property
    def identity(self) -> ModelIdentity:
        """That of the model."""
        return self.model.identity

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Score and count each task."""
        for ranking in super().rank(tasks, observe):
            yield ranking
            self.forget()

    def scores(self, part: TaskData, observe: Observer) -> Iterator[ScoreBlock]:
        """Scores of all pairs.

        Raises:
            UsageError: there are more than `MOST_ALONE`.
            EncoderError: see `CrossEncoderModel.score`.
        """
        shape = (len(part.queries), len(part.candidates))
        n = shape[0] * shape[1]
        if n > MOST_ALONE:
            hours = self.seconds(part, n, observe) / 3600
            raise UsageError(
                f"{self.name} alone would score each of {n:,} pairs of a query and a candidate of {part.name}",
                found=f"about {hours:,.1f} hours; at most {MOST_ALONE:,} pairs are scored so",
                remedy=f"rank the top of another ranking again, such as: xqr-bench evaluate bm25 --rerank {self.name}; "
                "or score a part: --languages, --limit",
            )
        pairs = Pairs(*(numbers.ravel() for numbers in np.indices(shape)))
        scores = self.pair_scores(part, pairs, observe).reshape(shape)
        for start in range(0, shape[0], TILE_ROWS):
            block = scores[start : start + TILE_ROWS]
            yield ScoreBlock(start, block, block)

    def pair_scores(self, part: TaskData, pairs: Pairs, observe: Observer) -> Vectors:
        """See PairRanker."""
        queries, of_query = distinct([query.text for query in part.queries])
        candidates, of_candidate = distinct([candidate.text for candidate in part.candidates])
        numbers = of_query[pairs.queries] * len(candidates) + of_candidate[pairs.candidates]
        _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)

        def name(pair: int) -> str:
            row, column = int(pairs.queries[first[pair]]), int(pairs.candidates[first[pair]])
            return f"{name_item(part, 'query', row)} and {name_item(part, 'candidate', column)}"

        left, right = of_query[pairs.queries[first]], of_candidate[pairs.candidates[first]]
        scores: Vectors = self.model.score(TextPairs(queries, candidates, left, right, name), observe)[inverse]
        return scores

    def pair_warnings(self) -> Sequence[str]:
        """See PairRanker."""
        cut = self.model.cut
        longer = f"{cut:,} pairs of texts were cut off after {self.identity.max_length} tokens"
        return [*self.model.warnings, *([longer] if cut else [])]

    def warnings_for(self, data: TaskData) -> Sequence[str]:
        """See ScoreRanker."""
        return self.pair_warnings()

    def seconds(self, data: TaskData, pairs: int, observe: Observer) -> float:
        """See PairRanker."""
        n = min(TRIED, len(data.queries), len(data.candidates))
        some = Pairs(*(np.linspace(0, len(all_) - 1, n).astype(np.int64) for all_ in (data.queries, data.candidates)))
        took, kept, self.model.store = 0.0, self.model.store, None
        for _ in range(2):  # what is done at the first call alone says nothing of the rest
            begun = perf_counter()
            self.pair_scores(data, some, Observer())
            took = perf_counter() - begun
            self.forget()
        self.model.store, self.model.cut = kept, self.model.cut and 0
        return took / n * pairs

    def forget(self) -> None:
        """See PairRanker."""
        self.model.forget()
        self.model.cut = self.model.cut and 0

    def rehearse(self, specs: Sequence[TaskSpec], select: Selection, observe: Observer) -> list[str]:
        """See Rehearsing."""
        lines = []
        for spec in specs:
            data = select.load(spec, observe)
            n = len(data.queries) * len(data.candidates)
            minutes = self.seconds(data, n, observe) / 60
            line = f"{data.name}: {n:,} pairs of a query and a candidate, about {minutes:,.1f} min"
            lines.append(line if n <= MOST_ALONE else f"{line}: too many; rank the top of another again (--rerank)")
        return lines
