"""The best candidates of each query with their ids and scores: a file beside a record, for whoever looks inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_parquet
from xqr_bench.core.errors import RecordError
from xqr_bench.core.types import N_HITS, Ranks, Texts
from xqr_bench.record.rank_files import Values, columns_digest, write_columns

FORMAT = "xqr-bench top 1"
_COLUMNS: dict[str, strict_parquet.Kind] = {
    "query_language": "text",
    "question": "text",
    "place": "integer",
    "candidate": "text",
    "score": "float",
}


@dataclass(frozen=True)
class TopCandidates:
    """The best candidates of each query, best first; equal scores in the order of the pool.

    Attributes:
        task: the task's name.
        query_languages, questions: of each query, in the order of its ranks.
        ids: of candidates.
        places: which of them stands there, int32 `[queries, k]`; -1 where there are fewer.
        scores: float32 `[queries, k]`.
    """

    task: str
    query_languages: Sequence[str]
    questions: Sequence[str]
    ids: Sequence[str]
    places: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __repr__(self) -> str:
        """Without its arrays."""
        return f"<TopCandidates {self.task}: {' x '.join(map(str, self.places.shape))}>"

    @classmethod
    def of(cls, ranks: Ranks, ids: Sequence[str]) -> TopCandidates | None:
        """Those of ranks that were just counted; None where they are not known.

        Args:
            ranks: whose hits have places.
            ids: of the task's candidates.
        """
        hits = ranks.hits
        if hits is None or hits.places is None or hits.scores is None:
            return None
        return cls(ranks.task, ranks.query_languages, ranks.question_ids, ids, hits.places, hits.scores)

    def of_query(self, query: int) -> list[tuple[str, float]]:
        """Id and score of each, best first."""
        found = zip(self.places[query].tolist(), self.scores[query].tolist(), strict=True)
        return [(self.ids[place], score) for place, score in found if place >= 0]

    @cached_property
    def columns(self) -> dict[str, Values]:
        """The columns of the file: a row for each query and place."""
        queries, at = np.nonzero(self.places >= 0)
        return {
            "query_language": Texts.of(self.query_languages).take(queries),
            "question": Texts.of(self.questions).take(queries),
            "place": (at + 1).astype(np.int32),
            "candidate": Texts(self.ids, self.places[queries, at]),
            "score": self.scores[queries, at].astype(np.float64),
        }

    def facts(self) -> dict[str, Any]:
        """What the file says of itself."""
        return {"format": FORMAT, "task": self.task}

    def digest(self) -> str:
        """SHA-256 over the facts and columns, however the file is packed."""
        return columns_digest(self.facts(), self.columns.items())

    def with_places(self, ranks: Ranks) -> Ranks:
        """The ranks of the same queries, with hits that tell which candidates they are."""
        hits = ranks.hits
        if hits is None:
            return ranks
        if ((hits.columns >= 0) != (self.places >= 0)).any():
            raise RecordError(
                "the best candidates are not those of the ranks", remedy="get the files of one evaluation"
            )
        return replace(ranks, hits=hits._replace(places=self.places, scores=self.scores))


def save_top(top: TopCandidates, path: Path) -> None:
    """Write it to `path` (Parquet, zstd), whole or not at all."""
    write_columns(
        top.facts(),
        [top.columns],
        path,
        compression_level=3,  # a quarter of the time of 9, and the bytes of a score kept apart pack it smaller
        use_dictionary=[name for name, kind in _COLUMNS.items() if kind == "text"],
        column_encoding={"place": "PLAIN", "score": "BYTE_STREAM_SPLIT"},
    )


def load_top(path: Path, ranks: Ranks) -> TopCandidates:
    """Read it back.

    Args:
        path: the file; nobody needs to have checked it.
        ranks: of the same record, for the order of the queries.

    Raises:
        RecordError: the file is missing, or is no such file.
    """
    remedy = "evaluate again with --overwrite, or get the file that belongs to the record"
    if not path.is_file():
        raise RecordError(f"there is no file {path} of the best candidates", remedy=remedy)
    try:
        table = strict_parquet.read(path, lambda facts: _known(facts, ranks))
        if missing := [name for name in _COLUMNS if name not in table.names]:
            raise ValueError(f"it lacks the column {missing[0]!r}")
        number = {key: q for q, key in enumerate(zip(ranks.query_languages, ranks.question_ids, strict=True))}
        keys = zip(table.texts("query_language"), table.texts("question"), strict=True)
        queries = np.array([number[key] for key in keys], dtype=np.int64)
        at = table.numbers("place", np.int32) - 1
        candidates, values = table.texts("candidate"), table.numbers("score", np.float64)
        places = np.full((ranks.n_queries, N_HITS), -1, dtype=np.int32)
        scores = np.full(places.shape, -np.inf, dtype=np.float32)
        if len(at) and not 0 <= at.min() <= at.max() < N_HITS:
            raise ValueError(f"a place is not among the first {N_HITS}")
        places[queries, at] = candidates.places
        scores[queries, at] = values
    except KeyError as error:
        raise RecordError(f"{path} names a query that the ranks do not have: {error}", remedy=remedy) from error
    except (OSError, ValueError, TypeError) as error:
        raise RecordError(f"{path} is no file of best candidates: {error}", remedy=remedy) from error
    return TopCandidates(ranks.task, ranks.query_languages, ranks.question_ids, candidates.distinct, places, scores)


def _known(facts: dict[str, Any], ranks: Ranks) -> dict[str, strict_parquet.Kind]:
    if facts != {"format": FORMAT, "task": ranks.task}:
        raise ValueError(f"it does not hold the best candidates of {ranks.task}")
    return _COLUMNS
