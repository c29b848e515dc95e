"""The best candidates of each query with their ids and scores: a file beside a record, for whoever looks inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_parquet
from xqr_bench.core.errors import RecordError
from xqr_bench.core.types import N_HITS, Ranks, Texts
from xqr_bench.record.rank_files import Values, columns_digest, write_columns

FORMAT = "xqr-bench top 2"
SCORE_BITS = 13
"""Significant bits of a score that is kept, 12 of which are stored: it is off by at most one in 8,192."""
OTHER_TIES = "they tie otherwise than the ranks say"
_COLUMNS: dict[str, strict_parquet.Kind] = {
    "query_language": "text",
    "question": "text",
    "place": "integer",
    "candidate": "text",
    "score": "float",
    "tied": "integer",
}


class TopCandidate(NamedTuple):
    """One of the best candidates of a query.

    Attributes:
        id: of the candidate.
        score: rounded to SCORE_BITS.
        tied: whether it scored the same as the one before it, before rounding.
    """

    id: str
    score: float
    tied: bool


@dataclass(frozen=True)
class TopCandidates:
    """The best candidates of each query, best first; equal scores in the order of the pool.

    Scores are rounded to SCORE_BITS, as they are kept for people to read: different scores may have become equal. Which
    of two candidates is better is told by their places, and whether they tied by `tied`.

    Attributes:
        task: the task's name.
        query_languages, questions: of each query, in the order of its ranks.
        ids: of candidates.
        places: which of them stands there, int32 `[queries, k]`; -1 where there are fewer.
        scores: float32 `[queries, k]`, rounded.
        tied: whether it scored the same as the one before it, before rounding, bool `[queries, k]`.
    """

    task: str
    query_languages: Sequence[str]
    questions: Sequence[str]
    ids: Sequence[str]
    places: NDArray[np.int32]
    scores: NDArray[np.float32]
    tied: NDArray[np.bool_]

    def __repr__(self) -> str:
        """Without its arrays."""
        return f"<TopCandidates {self.task}: {' x '.join(map(str, self.places.shape))}>"

    @classmethod
    def of(cls, ranks: Ranks, ids: Sequence[str]) -> TopCandidates | None:
        """Those of ranks that were just counted, their scores rounded; None where they are not known.

        Args:
            ranks: whose hits have places.
            ids: of the task's candidates.
        """
        hits = ranks.hits
        if hits is None or hits.places is None or hits.scores is None:
            return None
        scores = rounded(hits.scores)
        return cls(ranks.task, ranks.query_languages, ranks.question_ids, ids, hits.places, scores, hits.tied)

    @cached_property
    def languages(self) -> list[str]:
        """Of each id: what stands before its first colon, as tasks name their candidates."""
        return [name.partition(":")[0] for name in self.ids]

    def of_query(self, query: int) -> list[TopCandidate]:
        """Each of them, best first."""
        found = zip(*(values[query].tolist() for values in (self.places, self.scores, self.tied)), strict=True)
        return [TopCandidate(self.ids[place], score, tied) for place, score, tied in found if place >= 0]

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
            "tied": self.tied[queries, at].astype(np.int32),
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


def rounded(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores to SCORE_BITS significant bits, to the nearest; order is kept, but different ones may become equal.

    Args:
        scores: float32 of any shape; what is no finite number stays.

    Returns:
        float32 of that shape.
    """
    parts, exponents = np.frexp(scores.astype(np.float64))
    near = np.ldexp(np.rint(np.ldexp(parts, SCORE_BITS)), exponents - SCORE_BITS)
    largest = np.ldexp(2.0 - 2.0 ** (1 - SCORE_BITS), 127)  # of float32: rounding up could leave it
    return np.where(np.isfinite(scores), np.clip(near, -largest, largest), scores).astype(np.float32)


def check_top(top: TopCandidates, ranks: Ranks) -> None:
    """Check that the best candidates are those that the ranks tell of.

    A relevant that the ranks place among them stands there, at a place that they leave it, and no other relevant does.
    Candidates that the ranks say tie are marked so, and no other with them; they have one score, which others may have
    too, as scores are rounded. As many of each language stand above a relevant as the ranks say, and first of all. What
    stands between relevants is otherwise anybody's word.

    Args:
        top: whoever made it.
        ranks: of the same queries.

    Raises:
        RecordError: they are not.
    """
    places, (n_queries, k) = top.places, top.places.shape
    there, at = places >= 0, np.arange(k)
    n = there.sum(axis=1)
    of_language = {code: column for column, code in enumerate(ranks.columns)}
    of_ids = np.array([of_language.get(code, -1) for code in top.languages] + [-1])
    columns = np.where(there, of_ids[places], -1)
    tied = top.tied & there
    rising = there[:, 1:] & (top.scores[:, 1:] > top.scores[:, :-1])
    falling = top.scores[:, 1:] != top.scores[:, :-1]  # or rising, which is refused
    in_order = np.sort(places, axis=1)
    fewer = n < min(k, int(ranks.column_sizes.sum()))
    of_queries = {
        "the ranks are not of one pool": np.full(n_queries, ranks.separate),
        "there are fewer of them than could be": fewer if ranks.depth is None else n < 0,
        "a place among them is empty": (there != (at < n[:, None])).any(axis=1),
        "a score is no number, or they are not in order": rising.any(axis=1)
        | (there & ~np.isfinite(top.scores)).any(axis=1),
        "a candidate ties with none": (top.tied != tied).any(axis=1) | tied[:, 0],
        "candidates that tie have several scores": (tied[:, 1:] & falling).any(axis=1),
        "a candidate stands there twice": ((in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)).any(axis=1),
        "a candidate is of no language of the pool": (there & (columns < 0)).any(axis=1),
    }
    if ranks.hits is not None:
        of_queries["they are of other languages than the ranks say"] = (columns != ranks.hits.columns).any(axis=1)
        of_queries[OTHER_TIES] = (tied != ranks.hits.tied).any(axis=1)
    if ranks.top is not None:
        inside = np.minimum(ranks.top.sum(axis=1, dtype=np.int64), n)[:, None] > at  # as far as it stands first
        first = np.stack([((columns == column) & inside).sum(axis=1) for column in range(len(ranks.columns))], axis=1)
        whole = inside.sum(axis=1) == ranks.top.sum(axis=1, dtype=np.int64)
        of_queries["what stands first is of other languages than the ranks say"] = np.where(
            whole, (first != ranks.top).any(axis=1), (first > ranks.top).any(axis=1)
        )
    for problem, wrong in of_queries.items():
        if wrong.any():
            _refuse(problem, ranks, int(np.flatnonzero(wrong)[0]))
    rows, counts = ranks.row_queries, ranks.counts
    gt, eq, own_gt, own_eq = (values.astype(np.int64) for values in counts)
    distinct = Texts.of(ranks.relevant_ids)
    known = distinct.places
    if distinct.distinct is not top.ids:
        number = {name: index for index, name in enumerate(top.ids)}
        known = np.array([number.get(name, -2) for name in distinct.distinct], dtype=np.int64)[known]
    found = places[rows] == known[:, None]
    held, place, of = found.any(axis=1), found.argmax(axis=1), n[rows]
    high, last = (gt >= 0) & (gt < of), np.minimum(gt + eq, of) - 1
    # blocks of candidates that tie, numbered in a query; a relevant's begins at `gt` and ends at `last`
    blocks = np.cumsum(~np.pad(tied, ((0, 0), (1, 1))), axis=1)[rows]
    before, begin, end, after = (
        np.take_along_axis(blocks, np.clip(one, 0, k + 1)[:, None], axis=1)[:, 0]
        for one in (gt, gt + 1, last + 1, last + 2)
    )
    of_relevants = {
        "a relevant stands at another place than its rank": held & ~((gt >= 0) & (gt <= place) & (place < gt + eq)),
        "a relevant is missing that its rank puts there": high & (gt + eq <= of) & ~held,
        OTHER_TIES: high & ((before == begin) | (begin != end) | (end == after)),
    }
    if not ranks.own_lists:
        own = columns[rows] == ranks.relevant_columns[:, None]
        above = (own & (at < gt[:, None])).sum(axis=1)
        beside = (own & (at >= gt[:, None]) & (at <= last[:, None])).sum(axis=1)
        inside = gt + eq <= of
        of_relevants["another number of a relevant's language stands above or beside it than the ranks say"] = (
            high & ((above != own_gt) | np.where(inside, beside != own_eq, beside > own_eq))
        ) | ((gt >= of) & (above > own_gt))
    for problem, wrong in of_relevants.items():
        if wrong.any():
            _refuse(problem, ranks, int(rows[np.flatnonzero(wrong)[0]]))


def _refuse(problem: str, ranks: Ranks, query: int) -> None:
    raise RecordError(
        f"the best candidates do not follow from the ranks of {ranks.task}: {problem}",
        found=f"query {ranks.query_ids[query]}",
        remedy="get the files of one evaluation, or evaluate again",
    )


def save_top(top: TopCandidates, path: Path, *, small: bool = False) -> None:
    """Write it to `path` (Parquet, zstd), whole or not at all; `small`: in the time that a submission takes."""
    write_columns(
        top.facts(),
        [top.columns],
        path,
        # 3: a quarter of the time of 9, and the bytes of a score kept apart pack it smaller
        compression_level=19 if small else 3,
        use_dictionary=[name for name, kind in _COLUMNS.items() if kind == "text"],
        column_encoding={"place": "PLAIN", "score": "BYTE_STREAM_SPLIT", "tied": "PLAIN"},
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
        tied = np.zeros(places.shape, dtype=np.bool_)
        ties = table.numbers("tied", np.int32)
        if len(at) and not 0 <= at.min() <= at.max() < N_HITS:
            raise ValueError(f"a place is not among the first {N_HITS}")
        if not np.isin(ties, (0, 1)).all():
            raise ValueError("it says of a candidate neither that it ties, 1, nor that it does not, 0")
        places[queries, at] = candidates.places
        if (places >= 0).sum() != len(at):
            raise ValueError("two candidates stand at one place of a query")
        scores[queries, at] = values
        tied[queries, at] = ties == 1
    except KeyError as error:
        raise RecordError(f"{path} names a query that the ranks do not have: {error}", remedy=remedy) from error
    except (OSError, ValueError, TypeError) as error:
        raise RecordError(f"{path} is no file of best candidates: {error}", remedy=remedy) from error
    ids = candidates.distinct
    return TopCandidates(ranks.task, ranks.query_languages, ranks.question_ids, ids, places, scores, tied)


def _known(facts: dict[str, Any], ranks: Ranks) -> dict[str, strict_parquet.Kind]:
    if facts == {"format": "xqr-bench top 1", "task": ranks.task}:
        raise ValueError("an older xqr-bench wrote it, in a form that is not read any more")
    if facts != {"format": FORMAT, "task": ranks.task}:
        raise ValueError(f"it does not hold the best candidates of {ranks.task}")
    return _COLUMNS
