"""Code of others that scores pairs of texts: an object with `score(queries, candidates)`, or such a function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError, code_of_others
from xqr_bench.core.names import refuse_unreadable
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import TaskData
from xqr_bench.encode import EncoderOptions, ModelIdentity
from xqr_bench.encode.checks import to_scores
from xqr_bench.encode.conventions import Waiting, scorer_of
from xqr_bench.encode.kinds import OtherModel
from xqr_bench.encode.python_object import names_of, source_digest
from xqr_bench.encode.texts import name_item
from xqr_bench.evaluation.pairs import Pairs, distinct
from xqr_bench.evaluation.ranker import ScoreRanker
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.fusion import in_32_bits
from xqr_bench.rank.product import DEFAULT_MEMORY, TILE_ROWS, Vectors

OPTIONS = frozenset({"name", "batch_size", "encoder_arg"})
_BYTES = 24
"""Of a score while a block is put together: as it was returned, beside the others, and in its place."""
_BYTES_OF_CALL = 64
"""What a call may take for each pair, in the code that is called too."""
_SAMPLE = 3, 8
"""Queries and candidates that are scored again, alone."""
_TRIED = 16
"""Pairs that tell how long all of them take."""
_UNKNOWN = "the source of {} cannot be found: its record cannot say which code made the scores"
_TOLERANCE = 0.01
"""How far a score may be from what it is alone, of the range of its row: less precise numbers stay below that."""


def checked_scores(values: NDArray[Any], part: TaskData, start: int, who: str) -> Vectors:
    """Scores of some queries of a task against all its candidates as float32, in their order and with their ties.

    Args:
        values: real numbers of at most 64 bits, `[rows, candidates]`.
        part: the task.
        start: the first of the queries.
        who: whose scores they are.

    Raises:
        EncoderError: one is no finite number, or does not fit; the first one is named.
    """
    wrong = ~np.isfinite(values) if values.dtype.kind == "f" else np.abs(values.astype(np.float64)) >= 2**53
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        pair = f"{name_item(part, 'query', start + row)} and {name_item(part, 'candidate', column)}"
        raise EncoderError(
            f"{who} has scores that are not finite, or whole numbers that 53 bits do not hold",
            found=f"{values[row, column]} for {pair}",
            remedy="score every candidate with a finite number; a ranking that leaves candidates out is scored as TREC "
            "runs: run:DIR",
        )
    if values.dtype in (np.float16, np.float32):
        return values.astype(np.float32)
    return in_32_bits(values.astype(np.float64))


class ScoreObject(ScoreRanker):
    """Ranks by what code of others returns for queries and candidates: a matrix, one row a query.

    It is called with some queries and some candidates at a time, as the memory allows; equal candidates are handed over
    once, so that they tie. So a score must depend on its two texts alone: a few are asked for again, alone.

    Attributes:
        batch_size: queries in a call, at most; None: as the memory allows.
        memory: bytes for a block of scores and for a call.
    """

    def __init__(self, made: OtherModel, options: EncoderOptions, memory: int = DEFAULT_MEMORY) -> None:
        what, name = names_of(made.thing, made.how.get("what"))
        options.refuse_all_but(f"code that scores pairs of texts ({what})", OPTIONS)
        self.name = options.name or name
        refuse_unreadable(self.name, "the ranker's name", "give it one that can be read on one line: --name NAME")
        self.batch_size = options.batch_size
        self.allow(memory)
        revision, device = (getattr(made.thing, attribute, None) for attribute in ("revision", "device"))
        self.device = None if device is None else str(device)
        self._identity = ModelIdentity(
            kind="python",
            name=what,
            revision=None if revision is None else str(revision),
            digest=source_digest(made.thing, made.how.get("module")),
            similarity="none",
            model_kwargs=dict(options.encoder_arg),
        )
        self._score = scorer_of(made.thing)
        self._close = getattr(made.thing, "close", None) if made.how.get("owned", True) else None
        self._waiting = Waiting()
        self._alone: dict[str, str | None] = {}

    @property
    def identity(self) -> ModelIdentity:
        """The object, a digest of its source, and its arguments."""
        return self._identity

    def allow(self, memory: int) -> None:
        """Take so many bytes for a block of scores and for a call; no score depends on it."""
        self.memory = memory
        self.settings = {"batch_size": self.batch_size, "memory": memory}

    def warnings_for(self, data: TaskData) -> Sequence[str]:
        """That the code cannot be named, or that a score depends on what else is in the call."""
        alone = self._alone.get(data.name)
        return [*self.pair_warnings(), *([] if alone is None else [alone])]

    def scores(self, part: TaskData, observe: Observer) -> Iterator[ScoreBlock]:
        """See ScoreRanker."""
        texts = list(dict.fromkeys(candidate.text for candidate in part.candidates))
        place = {text: i for i, text in enumerate(texts)}
        places = np.array([place[candidate.text] for candidate in part.candidates], dtype=np.int64)
        rows = max(1, min(self.batch_size or TILE_ROWS, self.memory // (_BYTES * len(places)), len(part.queries)))
        width = max(1, self.memory // (_BYTES_OF_CALL * rows))
        for start in range(0, len(part.queries), rows):
            queries = [query.text for query in part.queries[start : start + rows]]
            panels = [self._called(queries, texts[at : at + width]) for at in range(0, len(texts), width)]
            values = panels[0] if len(panels) == 1 else np.concatenate(panels, axis=1)
            del panels
            if part.name not in self._alone:
                self._alone[part.name] = self._compared(queries, texts, values, width)
            scores = checked_scores(values[:, places], part, start, self.name)
            yield ScoreBlock(start, scores, scores)

    def pair_scores(self, part: TaskData, pairs: Pairs, observe: Observer) -> Vectors:
        """See PairRanker: each query is handed over alone, with those of its candidates that differ."""
        scores = np.empty(len(pairs.queries), dtype=np.float32)
        edges = np.searchsorted(pairs.queries, np.arange(len(part.queries) + 1)).tolist()
        width = max(1, self.memory // _BYTES_OF_CALL)
        with observe.phase("scoring pairs", len(scores)):
            for query, (start, stop) in enumerate(pairwise(edges)):
                if start == stop:
                    continue
                places = pairs.candidates[start:stop]
                texts, of_text = distinct([part.candidates[place].text for place in places.tolist()])
                both = [part.queries[query].text], [texts[at : at + width] for at in range(0, len(texts), width)]
                values = np.concatenate([self._called(both[0], some) for some in both[1]], axis=1)[0, of_text]
                row = np.zeros((1, len(part.candidates)), dtype=values.dtype)  # so that an error names the candidate
                row[0, places] = values
                scores[start:stop] = checked_scores(row, part, query, self.name)[0, places]
                observe.advance(stop - start)
        return scores

    def pair_warnings(self) -> Sequence[str]:
        """See PairRanker."""
        return () if self._identity.digest else (_UNKNOWN.format(self.name),)

    def seconds(self, data: TaskData, pairs: int, observe: Observer) -> float:
        """See PairRanker."""
        n = min(_TRIED, len(data.candidates))
        begun = perf_counter()
        self.pair_scores(data, Pairs(np.zeros(n, dtype=np.int64), np.arange(n)), Observer())
        return (perf_counter() - begun) / n * pairs

    def forget(self) -> None:
        """See PairRanker: nothing is kept."""

    def _called(self, queries: list[str], candidates: list[str]) -> NDArray[Any]:
        """What the code returns for some texts, checked but for its values."""
        if self._score is None:
            raise TypeError(f"{self.name} has no score(queries, candidates)")
        which = f"{len(queries):,} queries and {len(candidates):,} candidates, the first {queries[0][:60]!r} and "
        problem = f"score() of {self.name} failed on {which}{candidates[0][:60]!r}"
        with code_of_others(problem, "score these alone to see why, or give a smaller --batch-size or --memory"):
            returned = self._waiting.settled(self._score(queries, candidates))
        return to_scores(returned, (len(queries), len(candidates)), f"score() of {self.name}")

    def _compared(self, queries: list[str], texts: list[str], values: NDArray[Any], width: int) -> str | None:
        """Score a few pairs again, each query alone with a few candidates; what to tell where that differs."""
        rows, columns = (
            np.unique(np.linspace(0, of - 1, number).astype(np.int64))
            for of, number in zip(values.shape, _SAMPLE, strict=True)
        )
        differing = 0
        for row in rows.tolist():
            alone = self._called([queries[row]], [texts[column] for column in columns.tolist()])[0].astype(np.float64)
            together = values[row].astype(np.float64)
            if np.isfinite(together).all():  # else an error says so
                differing += int((np.abs(alone - together[columns]) > _TOLERANCE * np.ptp(together)).sum())
        if not differing:
            return None
        return (
            f"scores depend on which texts are scored together: {differing} of {len(rows) * len(columns)} that were "
            f"asked for again, alone, are others ({len(queries):,} queries and {min(width, len(texts)):,} of "
            f"{len(texts):,} candidates were scored together)"
        )

    def close(self) -> None:
        """Call the object's own `close()`, if it has one and was made here."""
        if callable(self._close):
            with code_of_others(f"close() of {self.name} failed", "mend it there, or leave it out"):
                self._waiting.settled(self._close())
        self._waiting.close()
