"""Runs -> counts: one pass over a run file, a bounded number of its lines in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xqr_bench.errors import RunError
from xqr_bench.search.variants import paragraph_relevants
from xqr_bench.trec.layout import Lists, candidate_columns, task_lists, unjudged_ids
from xqr_bench.trec.parse import Chunk, read_chunks
from xqr_bench.trec.peers import PytrecEval
from xqr_bench.types import MULTILINGUAL, FloatArray, IntArray, TaskData

_UNKNOWN, _IGNORED = -2, -1


@dataclass
class Counts:
    """Counts of some candidates of each list.

    Attributes:
        lists: the lists, with these candidates as their relevants.
        gt, eq: see `SettingCounts`.
        seen: the last list in which each candidate of the task stood, int64 `[candidates]`.
    """

    lists: Lists
    gt: NDArray[np.int32]
    eq: NDArray[np.int32]
    seen: IntArray

    @classmethod
    def none_yet(cls, lists: Lists, columns: int, candidates: int) -> Counts:
        """Before a line is read: nothing was retrieved."""
        shape = (len(lists.positions), columns)
        return cls(
            lists,
            np.full(shape, -1, dtype=np.int32),
            np.zeros(shape, dtype=np.int32),
            np.full(candidates, -1, dtype=np.int64),
        )


@dataclass(frozen=True)
class SettingCounts:
    """What a run says of a setting.

    Attributes:
        lists: the lists of the setting.
        gt, eq: candidates above and beside each relevant, by language in the multilingual setting, else in one
            column, int32 `[rows, columns]`; -1 and 0 where the relevant was not retrieved.
        lengths: candidates in each list, 0 where the run lacks it, int64 `[lists]`.
        unjudged: lists of the run that no relevant belongs to; they are left aside, as trec_eval does.
        merged: neighbouring lines whose scores differ only beyond 32 bits.
        top: candidates of each language that have the list's highest score, int32 `[lists, languages]`; zeros where the
            run lacks the list, or in a setting other than the multilingual one.
        theirs: pytrec_eval's values, float64 `[lists, metrics]`, NaN for lists that were not evaluated.
        wide: the same counts of all sentences of the relevants' paragraphs; None where no rule asks for them.
    """

    lists: Lists
    gt: NDArray[np.int32]
    eq: NDArray[np.int32]
    lengths: IntArray
    unjudged: int
    merged: int
    top: NDArray[np.int32]
    theirs: FloatArray
    wide: Counts | None = None

    @property
    def missing(self) -> int:
        """Lists that the run lacks."""
        return int((self.lengths == 0).sum())

    @property
    def cut(self) -> int | None:
        """The longest list that does not hold its whole pool, None when all that are there do."""
        short = (self.lengths > 0) & (self.lengths < self.lists.pool_sizes)
        return int(self.lengths[short].max()) if short.any() else None


@dataclass
class _Pending:
    """Lines of lists that may go on in the next chunk."""

    numbers: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    documents: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


class RunReader:
    """Reads the run of one setting.

    Args:
        path: the file.
        data: the task.
        lists: its lists in the setting.
        peer: evaluates the lists too.
        checked: which lists it evaluates, bool `[lists]`; all when None.
    """

    def __init__(
        self,
        path: Path,
        data: TaskData,
        lists: Lists,
        peer: PytrecEval,
        checked: NDArray[np.bool_] | None = None,
    ) -> None:
        self._path, self._data, self._lists, self._peer = path, data, lists, peer
        self._checked = np.ones(len(lists), dtype=bool) if checked is None else checked
        self._unjudged = unjudged_ids(data, lists)
        self._keys = [str(index) for index in range(len(data.candidates))]
        self._index = {candidate.id: index for index, candidate in enumerate(data.candidates)}
        self._columns = candidate_columns(data)
        pooled = lists.setting == MULTILINGUAL
        self._count_columns = self._columns if pooled else np.zeros_like(self._columns)
        columns = len(data.languages) if pooled else 1
        self._found = Counts.none_yet(lists, columns, len(data.candidates))
        self._wide: Counts | None = None
        if data.relevance:
            wide = task_lists(data, lists.setting, paragraph_relevants(data))
            self._wide = Counts.none_yet(wide, columns, len(data.candidates))
        self._lengths = np.zeros(len(lists), dtype=np.int64)
        self._top = np.zeros((len(lists), len(data.languages)), dtype=np.int32)
        self._theirs = np.full((len(lists), len(peer.metrics)), np.nan)
        self._score_of = np.zeros(len(data.candidates), dtype=np.float32)
        self._ignored: set[str] = set()
        self._merged = 0

    def read(self, progress: Callable[[int], None] | None = None) -> SettingCounts:
        """Read the whole file; `progress` is called with the number of lists that are complete.

        Raises:
            RunError: a line that is no line of a run; a query or document that the task has not; a document outside
                the list's pool, or twice in a list; lines of a query that do not stand together; no line at all.
        """
        pending = _Pending()
        for chunk in read_chunks(self._path):
            pending = self._take(chunk, pending)
            if progress is not None:
                progress(int((self._lengths > 0).sum()))
        self._count(pending)
        if progress is not None:
            progress(len(self._lists))
        return SettingCounts(
            self._lists,
            self._found.gt,
            self._found.eq,
            self._lengths,
            len(self._ignored),
            self._merged,
            self._top,
            self._theirs,
            self._wide,
        )

    def _take(self, chunk: Chunk, pending: _Pending) -> _Pending:
        numbers = self._numbers(chunk)
        documents = self._documents(chunk)
        kept = numbers != _IGNORED
        numbers, documents, scores = numbers[kept], documents[kept], chunk.scores[kept]
        self._check_pools(chunk, numbers, documents)
        together = numbers[1:] == numbers[:-1]
        exact = chunk.exact[kept]
        self._merged += int((together & (scores[1:] == scores[:-1]) & (exact[1:] != exact[:-1])).sum())
        whole = _Pending(
            np.concatenate([pending.numbers, numbers]),
            np.concatenate([pending.documents, documents]),
            np.concatenate([pending.scores, scores]),
        )
        if not len(whole.numbers):
            return whole
        open_from = int(np.flatnonzero(np.r_[True, whole.numbers[1:] != whole.numbers[:-1]])[-1])
        done, rest = slice(0, open_from), slice(open_from, None)
        self._count(_Pending(whole.numbers[done], whole.documents[done], whole.scores[done]))
        return _Pending(whole.numbers[rest], whole.documents[rest], whole.scores[rest])

    def _numbers(self, chunk: Chunk) -> IntArray:
        """The list of each line, _IGNORED where no relevant belongs to it."""
        known = self._lists.number
        found = np.array([known.get(name, _UNKNOWN) for name in chunk.queries], dtype=np.int64)
        for code in np.flatnonzero(found == _UNKNOWN):
            name = chunk.queries[int(code)]
            if name not in self._unjudged:
                raise RunError(
                    f"{self._path}:{_line(chunk, chunk.query, int(code))}: {self._data.name} has no list {name!r} in "
                    f"the {self._lists.setting} setting",
                    found=f"lists are called like {self._lists.ids[0]!r}",
                    remedy="rank the queries of this task, all of its languages and questions; `xqr-bench data` "
                    "and docs/interop.md tell the ids",
                )
            self._ignored.add(name)
            found[code] = _IGNORED
        return found[chunk.query]

    def _documents(self, chunk: Chunk) -> IntArray:
        found = np.array([self._index.get(name, _UNKNOWN) for name in chunk.documents], dtype=np.int64)
        for code in np.flatnonzero(found == _UNKNOWN)[:1]:
            raise RunError(
                f"{self._path}:{_line(chunk, chunk.document, int(code))}: {self._data.name} has no candidate "
                f"{chunk.documents[int(code)]!r}",
                found=f"candidates are called like {self._data.candidates[0].id!r}",
                remedy="rank the candidates of this task: lang:article:paragraph:sentence, 0-based",
            )
        return found[chunk.document]

    def _check_pools(self, chunk: Chunk, numbers: IntArray, documents: IntArray) -> None:
        if self._lists.setting == MULTILINGUAL:
            return
        wrong = np.flatnonzero(self._columns[documents] != self._lists.pools[numbers])
        if len(wrong):
            number, document = int(numbers[wrong[0]]), int(documents[wrong[0]])
            name, candidate = self._lists.ids[number], self._data.candidates[document]
            raise RunError(
                f"{self._path}: the list {name!r} ranks the candidate {candidate.id!r}, which is outside its pool",
                found=f"the candidates of the list are in {self._data.languages[self._lists.pools[number]]}",
                remedy="rank each language by itself in this setting; rankings of all languages together are the "
                f"{MULTILINGUAL} setting",
            )

    def _count(self, lines: _Pending) -> None:
        """Count complete lists and have them evaluated."""
        from xqr_bench.trec.kernel import count_lines

        if not len(lines.numbers):
            return
        starts = np.flatnonzero(np.r_[True, lines.numbers[1:] != lines.numbers[:-1], True])
        numbers = lines.numbers[starts[:-1]]
        again = self._lengths[numbers] > 0
        again |= np.bincount(numbers, minlength=len(self._lists))[numbers] > 1
        if again.any():
            raise RunError(
                f"{self._path}: the lines of {self._lists.ids[int(numbers[again][0])]!r} do not stand together",
                remedy="sort the file by query: sort -s -k1,1",
            )
        line = -1
        for counts in (self._found, self._wide):
            if counts is not None and line < 0:
                line = count_lines(
                    starts,
                    lines.documents,
                    lines.scores,
                    self._count_columns,
                    numbers,
                    counts.lists.offsets,
                    counts.lists.positions,
                    counts.seen,
                    self._score_of,
                    counts.gt,
                    counts.eq,
                )
        if line >= 0:
            name = self._lists.ids[int(lines.numbers[line])]
            raise RunError(
                f"{self._path}: the list {name!r} holds the document "
                f"{self._data.candidates[int(lines.documents[line])].id!r} twice",
                remedy="keep its best line; a document has one place in a list",
            )
        self._lengths[numbers] = np.diff(starts)
        if self._lists.setting == MULTILINGUAL:
            of_list = np.repeat(np.arange(len(numbers)), np.diff(starts))
            first = lines.scores == np.maximum.reduceat(lines.scores, starts[:-1])[of_list]
            np.add.at(self._top, (numbers[of_list[first]], self._columns[lines.documents[first]]), 1)
        self._evaluate(starts, numbers, lines)

    def _evaluate(self, starts: IntArray, numbers: IntArray, lines: _Pending) -> None:
        lists = [i for i, number in enumerate(numbers.tolist()) if self._checked[number]]
        names = [self._lists.ids[int(numbers[i])] for i in lists]
        keys, run, qrels = self._keys, {}, {}
        for name, i in zip(names, lists, strict=True):
            of_list = slice(starts[i], starts[i + 1])
            documents = [keys[document] for document in lines.documents[of_list].tolist()]
            run[name] = dict(zip(documents, lines.scores[of_list].tolist(), strict=True))
            qrels[name] = {keys[position]: 1 for position in self._lists.relevants(int(numbers[i])).tolist()}
        self._theirs[numbers[lists]] = self._peer.evaluate(qrels, run, names)


def _line(chunk: Chunk, codes: IntArray, code: int) -> int:
    return chunk.line_of(int(np.flatnonzero(codes == code)[0]))
