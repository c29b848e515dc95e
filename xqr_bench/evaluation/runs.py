"""TREC runs as rankers: any system's ranking, counted in one pass and scored like an encoder's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import RunError
from xqr_bench.core.files import digest_of_files, name_of_folder, named_folder
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import (
    LENIENT,
    MULTILINGUAL,
    N_HITS,
    PARAGRAPH,
    SETTINGS,
    Counts,
    FloatArray,
    Hits,
    IntArray,
    Ranks,
    TaskData,
    collapses,
)
from xqr_bench.encode import ModelIdentity
from xqr_bench.evaluation.ranker import RANKERS, Ranking, Task
from xqr_bench.measure.metrics.per_query import setting_views
from xqr_bench.measure.peers import Agreement, PytrecEval, compare, peer_gains, require_agreement
from xqr_bench.rank.mteb_predictions import SUFFIX, predicted_by
from xqr_bench.rank.rules import Tally, group_relevants, own_and_others, ranks_of
from xqr_bench.rank.runs import (
    LAYOUT,
    Chunk,
    Lists,
    read_chunks,
    run_files,
    task_lists,
    unjudged_ids,
)

_UNKNOWN, _IGNORED = -2, -1
MAX_CHECKED = 20_000
CHECK_SEED = 0


class ListCounts:
    """Counts of some candidates of each list.

    Attributes:
        lists: the lists, with these candidates as their relevants.
        gt, eq: candidates above and beside each relevant, by language in the multilingual setting (where counts are
            collapsed: in the relevant's own, and in all others), else in one column, int32 `[rows, columns]`; -1 and 0
            where the relevant was not retrieved.
        seen: the last list in which each candidate of the task stood, int64 `[candidates]`.
    """

    def __init__(self, lists: Lists, data: TaskData) -> None:
        of_pool = 2 if collapses(data.languages) else len(data.languages)
        shape = (len(lists.positions), of_pool if lists.setting == MULTILINGUAL else 1)
        self.lists = lists
        self.gt, self.eq = np.full(shape, -1, dtype=np.int32), np.zeros(shape, dtype=np.int32)
        self.seen = np.full(len(data.candidates), -1, dtype=np.int64)


class SettingCounts(ListCounts):
    """What a run says of a setting.

    Attributes:
        lengths: candidates in each list, 0 where the run lacks it, int64 `[lists]`.
        unjudged: lists of the run that no relevant belongs to, as trec_eval leaves them aside.
        merged: neighbouring lines whose scores differ only beyond 32 bits.
        top: candidates of each language that have the list's highest score, int32 `[lists, languages]`; zeros where the
            run lacks the list, or in a setting other than the multilingual one.
        best: the best candidates of each list (see `kernels.Standings`); None where `top` is zeros.
        theirs: pytrec_eval's values, float64 `[lists, metrics]`, NaN for lists that were not evaluated.
        wide: the same counts of all sentences of the relevants' paragraphs; None where no rule asks for them.
    """

    def __init__(self, lists: Lists, data: TaskData, n_metrics: int) -> None:
        super().__init__(lists, data)
        self.lengths = np.zeros(len(lists), dtype=np.int64)
        self.unjudged: set[str] = set()
        self.merged = 0
        self.top = np.zeros((len(lists), len(data.languages)), dtype=np.int32)
        self.best: tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]] | None = None
        if lists.setting == MULTILINGUAL:
            shape = (len(lists), N_HITS)
            nothing = np.full(shape, -np.inf, dtype=np.float32), np.full(shape, -1, dtype=np.int32)
            self.best = (*nothing, np.zeros_like(self.top))
        self.theirs: FloatArray = np.full((len(lists), n_metrics), np.nan)
        self.wide: ListCounts | None = None
        if {LENIENT, PARAGRAPH} & set(data.relevance):
            self.wide = ListCounts(task_lists(data, lists.setting, group_relevants(data)), data)

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
class _Lines:
    """Lines of a run: the number of the list, the candidate and the score of each."""

    numbers: IntArray
    documents: IntArray
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, part: slice) -> _Lines:
        return _Lines(self.numbers[part], self.documents[part], self.scores[part])

    @property
    def starts(self) -> IntArray:
        """Where the lines of each list begin, and where the last one ends, int64 `[lists + 1]`."""
        return np.flatnonzero(np.r_[True, self.numbers[1:] != self.numbers[:-1], True])


class RunReader:
    """Reads the run of one setting: counts its `lists` and has `peer` evaluate them too, MAX_CHECKED at most."""

    def __init__(self, path: Path, data: TaskData, lists: Lists, peer: PytrecEval) -> None:
        self._path, self._data, self._lists, self._peer = path, data, lists, peer
        self._checked = np.ones(len(lists), dtype=bool)
        if len(lists) > MAX_CHECKED:
            self._checked[:] = False
            self._checked[np.random.default_rng(CHECK_SEED).choice(len(lists), MAX_CHECKED, replace=False)] = True
        self._unjudged = unjudged_ids(data, lists)
        self._grades = peer_gains(data)[lists.rows]
        self._keys = [str(index) for index in range(len(data.candidates))]
        self._index = {candidate.id: index for index, candidate in enumerate(data.candidates)}
        self._columns = data.candidate_columns
        self._pooled = lists.setting == MULTILINGUAL
        self._counts = SettingCounts(lists, data, len(peer.metrics))
        self._score_of = np.zeros(len(data.candidates), dtype=np.float32)

    def read(self, observe: Observer | None = None) -> SettingCounts:
        """Read the whole file; `observe` hears how many lists are complete.

        Raises:
            RunError: a line that is no line of a run; a query or document that the task has not; a document outside
                the list's pool, or twice in a list; lines of a query that do not stand together; no line at all.
        """
        observe = observe or Observer()
        complete = 0
        none = np.zeros(0, dtype=np.int64)
        pending = _Lines(none, none, none.astype(np.float32))  # of a list that may go on in the next chunk
        with observe.phase(self._lists.setting, len(self._lists)):
            for chunk in read_chunks(self._path):
                pending = self._take(chunk, pending)
                before, complete = complete, int((self._counts.lengths > 0).sum())
                observe.advance(complete - before)
            self._count(pending)
            observe.advance(len(self._lists) - complete)
        return self._counts

    def _take(self, chunk: Chunk, pending: _Lines) -> _Lines:
        """Count the lists that are complete; return the lines of the last one."""
        numbers = self._numbers(chunk)
        documents = self._documents(chunk)
        judged = numbers != _IGNORED
        numbers, documents, scores = numbers[judged], documents[judged], chunk.scores[judged]
        self._check_pools(numbers, documents)
        together = numbers[1:] == numbers[:-1]
        exact = chunk.exact[judged]
        self._counts.merged += int((together & (scores[1:] == scores[:-1]) & (exact[1:] != exact[:-1])).sum())
        lines = _Lines(
            np.concatenate([pending.numbers, numbers]),
            np.concatenate([pending.documents, documents]),
            np.concatenate([pending.scores, scores]),
        )
        if not len(lines):
            return lines
        last = int(lines.starts[-2])
        self._count(lines[:last])
        return lines[last:]

    def _numbers(self, chunk: Chunk) -> IntArray:
        """The list of each line, _IGNORED where no relevant belongs to it."""
        numbers = np.array([self._lists.number.get(name, _UNKNOWN) for name in chunk.queries], dtype=np.int64)
        for code in np.flatnonzero(numbers == _UNKNOWN):
            name = chunk.queries[int(code)]
            if name not in self._unjudged:
                raise RunError(
                    f"{self._path}{_place(chunk, chunk.query, int(code))}: {self._data.name} has no list {name!r} in "
                    f"the {self._lists.setting} setting",
                    found=f"lists are called like {self._lists.ids[0]!r}",
                    remedy="rank the queries of this task, all of its languages and questions; `xqr-bench data` "
                    "and docs/interop.md tell the ids",
                )
            self._counts.unjudged.add(name)
            numbers[code] = _IGNORED
        return numbers[chunk.query]

    def _documents(self, chunk: Chunk) -> IntArray:
        documents = np.array([self._index.get(name, _UNKNOWN) for name in chunk.documents], dtype=np.int64)
        for code in np.flatnonzero(documents == _UNKNOWN)[:1]:
            raise RunError(
                f"{self._path}{_place(chunk, chunk.document, int(code))}: {self._data.name} has no candidate "
                f"{chunk.documents[int(code)]!r}",
                found=f"candidates are called like {self._data.candidates[0].id!r}",
                remedy="rank the candidates of this task: lang:article:paragraph:sentence, 0-based",
            )
        return documents[chunk.document]

    def _check_pools(self, numbers: IntArray, documents: IntArray) -> None:
        if self._pooled:
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

    def _count(self, lines: _Lines) -> None:
        """Count complete lists and have them evaluated."""
        from xqr_bench.rank.kernels import Lines, Standings, count_lines, keep_best_of

        if not len(lines):
            return
        starts = lines.starts
        numbers = lines.numbers[starts[:-1]]
        again = self._counts.lengths[numbers] > 0
        again |= np.bincount(numbers, minlength=len(self._lists))[numbers] > 1
        if again.any():
            raise RunError(
                f"{self._path}: the lines of {self._lists.ids[int(numbers[again][0])]!r} do not stand together",
                remedy="sort the file by query: sort -s -k1,1",
            )
        columns = self._columns if self._pooled else np.zeros_like(self._columns)
        for counts in (self._counts, self._counts.wide):
            if counts is None:
                continue
            line = count_lines(
                Lines(starts, numbers, lines.documents, lines.scores),
                columns,
                counts.lists.offsets,
                counts.lists.positions,
                counts.seen,
                self._score_of,
                counts.gt,
                counts.eq,
                self._pooled and collapses(self._data.languages),
            )
            if line >= 0:
                name = self._lists.ids[int(lines.numbers[line])]
                raise RunError(
                    f"{self._path}: the list {name!r} holds the document "
                    f"{self._data.candidates[int(lines.documents[line])].id!r} twice",
                    remedy="keep its best line; a document has one place in a list",
                )
        self._counts.lengths[numbers] = np.diff(starts)
        if self._pooled:
            of_list = np.repeat(np.arange(len(numbers)), np.diff(starts))
            first = lines.scores == np.maximum.reduceat(lines.scores, starts[:-1])[of_list]
            np.add.at(self._counts.top, (numbers[of_list[first]], self._columns[lines.documents[first]]), 1)
        if self._counts.best is not None:
            of_line = np.repeat(numbers, np.diff(starts))
            keep_best_of(of_line, lines.documents, lines.scores, self._columns, Standings(*self._counts.best))
        self._evaluate(starts, numbers, lines)

    def _evaluate(self, starts: IntArray, numbers: IntArray, lines: _Lines) -> None:
        """Have pytrec_eval evaluate those of the lists that are checked."""
        lists = [i for i, number in enumerate(numbers.tolist()) if self._checked[number]]
        names = [self._lists.ids[int(numbers[i])] for i in lists]
        keys, run, qrels = self._keys, {}, {}
        for name, i in zip(names, lists, strict=True):
            of_list = slice(starts[i], starts[i + 1])
            documents = [keys[document] for document in lines.documents[of_list].tolist()]
            run[name] = dict(zip(documents, lines.scores[of_list].tolist(), strict=True))
            rows = slice(*self._lists.offsets[numbers[i] : numbers[i] + 2])
            relevants, grades = (of[rows].tolist() for of in (self._lists.positions, self._grades))
            qrels[name] = {keys[one]: grade for one, grade in zip(relevants, grades, strict=True)}
        self._counts.theirs[numbers[lists]] = self._peer.evaluate(qrels, run, names)


def _place(chunk: Chunk, codes: IntArray, code: int) -> str:
    return chunk.place_of(int(np.flatnonzero(codes == code)[0]))


@dataclass
class RunRanker:
    """The TREC runs below a folder, `<task>/<setting>.run` or `.run.gz`; records hold the settings that have a run.

    Predictions of mteb in the folder, `XqrBench-<task>-<setting>_predictions.json`, are runs too.

    Candidates are ranked by score, as trec_eval does, and never by the rank column; scores are read as 32-bit
    floats, as trec_eval does. Every figure is also computed by pytrec_eval (on at most 20,000 lists a setting).

    Depth: a setting whose lists all hold their whole pool is not cut. If every list of every setting does, and none
    is missing, the record is of full depth; else its depth is its longest list, a relevant that is not in its list
    has no rank, and measures that need all ranks are undefined.

    Attributes:
        folder: holds the runs.
        name: names the records; "": as the folder is called.
    """

    folder: Path
    name: str = ""
    device: str | None = None

    def __post_init__(self) -> None:
        self.folder = self.folder.expanduser()
        self.identity = run_identity(self.folder)
        self.name = self.name or self.identity.name

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Read the runs of each task.

        Raises:
            RunError: a run is missing or cannot be scored: see `RunReader.read`; or it is cut above a metric's cutoff.
        """
        files = {task.spec.name: run_files(self.folder, task.spec.name) for task in tasks}
        for task in tasks:
            yield self._read(task, files[task.spec.name], observe)

    def _read(self, task: Task, files: Mapping[str, Path], observe: Observer) -> Ranking:
        spec, data, clock = task.spec, task.data, Clock()
        chosen = {setting: path for setting, path in files.items() if setting in spec.settings}
        if not chosen:
            raise RunError(
                f"{self.folder} has runs of {spec.name} only in settings that the task has not",
                found=", ".join(files),
                remedy=f"the task has: {', '.join(spec.settings)}; the layout is {LAYOUT}",
            )
        peer = PytrecEval(spec.metrics, data)
        with clock.phase("reading"):
            counts = {
                setting: RunReader(path, data, task_lists(data, setting), peer).read(observe)
                for setting, path in chosen.items()
            }
        ranks = ranks_of_run(data, counts)
        _refuse_cut(spec.metrics, counts)
        with clock.phase("cross-check"):
            views = setting_views(ranks, tuple(counts))
            agreed = [item for name, run in counts.items() for item in compare(views[name], peer, _listed(data, run))]
            require_agreement(agreed, f"{self.folder} on {spec.name}")
        return Ranking(
            ranks,
            warnings=_warnings(counts),
            settings={"cross_check": {"with": "pytrec_eval", **_summary(agreed)}},
            seconds=clock.seconds,
            scored_settings=tuple(chosen),
        )


@RANKERS.register("run")
def _run(argument: str) -> RunRanker:
    """A ranking made elsewhere: run:DIR reads the TREC runs in a folder, or the predictions of mteb."""
    return RunRanker(named_folder(f"run:{argument}"))


def run_identity(folder: Path) -> ModelIdentity:
    """The folder's name and a digest over all its run files; of predictions of one model in mteb, that model's name."""
    files = [
        (path.relative_to(folder).as_posix(), path)
        for setting in SETTINGS
        for suffix in ("", ".gz")
        for path in folder.glob(f"*/{setting}.run{suffix}")
    ]
    predictions = sorted(folder.glob(f"*{SUFFIX}"))
    models = {predicted_by(path) for path in predictions} if not files else set()
    name, revision = (models.pop() if len(models) == 1 else None) or (name_of_folder(folder), None)
    files += [(path.name, path) for path in predictions]
    digest = digest_of_files(files) if files else None
    return ModelIdentity(kind="run", name=name, revision=revision, digest=digest, similarity="none")


def ranks_of_run(data: TaskData, counts: Mapping[str, SettingCounts]) -> Ranks:
    """Put the settings of a run together: the pooled lists by language column, the others as lists of their own.

    Where counts are collapsed, the pooled lists are one column, and the query's language is not counted.
    """
    positions, collapsed = data.positions, collapses(data.languages)
    pooled = counts.get(MULTILINGUAL)
    shape = (len(positions), 2 if collapsed else len(data.languages))
    gt = np.full(shape, -1, dtype=np.int32) if pooled is None else pooled.gt
    eq = np.zeros(shape, dtype=np.int32) if pooled is None else pooled.eq
    bilingual = [run for setting, run in counts.items() if setting != MULTILINGUAL]
    own_gt, own_eq = np.full(len(positions), -1, dtype=np.int32), np.zeros(len(positions), dtype=np.int32)
    for run in bilingual:
        own_gt[run.lists.rows] = run.gt[:, 0]
        own_eq[run.lists.rows] = run.eq[:, 0]
    if collapsed:
        if not bilingual:
            own_gt, own_eq = gt[:, 0], eq[:, 0]
        gt = np.where(gt[:, :1] < 0, np.int32(-1), gt.sum(axis=1, keepdims=True, dtype=np.int32))
        eq = eq.sum(axis=1, keepdims=True, dtype=np.int32)
    whole = pooled is not None and all(run.missing == 0 and run.cut is None for run in counts.values())
    depth = None if whole else max(int(run.lengths.max(initial=0)) for run in counts.values())
    ranks = ranks_of(data, gt, eq, depth)
    if bilingual or collapsed:
        ranks = replace(ranks, own_gt=own_gt, own_eq=own_eq, own_parts=not bilingual)
    if pooled is not None:
        top = np.zeros((len(data.queries), len(data.languages)), dtype=np.int32)
        top[pooled.lists.queries] = pooled.top
        own = np.where(ranks.query_numbers < len(data.languages), ranks.query_numbers, -1)
        ranks = replace(ranks, own_top=own_and_others(top, own)) if collapsed else replace(ranks, top=top)
        if pooled.best is not None and (depth is None or depth >= N_HITS):
            place = np.argsort(pooled.lists.queries)  # each query has one list
            scores, places, beyond = pooled.best
            hits = Hits.of(places, scores, beyond, data.candidate_columns).take(place)
            ranks = replace(ranks, hits=hits)
    return with_rules(data, ranks, {setting: run.wide for setting, run in counts.items() if run.wide is not None})


def with_rules(data: TaskData, ranks: Ranks, counts: Mapping[str, ListCounts]) -> Ranks:
    """The strict ranks with those under the other rules, from counts of all sentences of the relevants' paragraphs."""
    if not counts:
        return ranks
    whole = Counts.zeros(sum(map(len, group_relevants(data))))
    whole.gt[:] = whole.own_gt[:] = -1
    for setting, run in counts.items():
        rows = run.lists.rows
        if setting != MULTILINGUAL:
            whole.own_gt[rows], whole.own_eq[rows] = run.gt[:, 0], run.eq[:, 0]
            continue
        whole.gt[rows] = np.where(run.gt[:, 0] >= 0, run.gt.sum(axis=1), -1)
        whole.eq[rows] = run.eq.sum(axis=1)
        if not ranks.own_lists:  # a language's ranking is a part of the pooled one
            each, column = np.arange(len(rows)), data.candidate_columns[run.lists.positions]
            column = np.zeros_like(column) if collapses(data.languages) else column
            whole.own_gt[rows], whole.own_eq[rows] = run.gt[each, column], run.eq[each, column]
    tally = Tally(replace(data, irrelevant=None), own_lists=True)  # not all judged candidates were counted
    tally.take_counts(whole)
    return tally.with_rules(ranks)


def _listed(data: TaskData, run: SettingCounts) -> FloatArray:
    """pytrec_eval's values of the lists with a relevant, float64 `[lists, metrics]`."""
    highest = np.maximum.reduceat(data.row_gains[run.lists.rows], run.lists.offsets[:-1])
    return run.theirs[highest >= data.relevant_from]


def _refuse_cut(metrics: Sequence[str], counts: Mapping[str, SettingCounts]) -> None:
    for setting, run in counts.items():
        for metric in metrics:
            _, at, cutoff = metric.partition("@")
            if at and run.cut is not None and run.cut < int(cutoff):
                fitting = [name for name in metrics if "@" not in name or int(name.partition("@")[2]) <= run.cut]
                raise RunError(
                    f"{metric} cannot be computed: the {setting} run is cut at {run.cut}",
                    remedy=f"rank at least {cutoff} candidates a query, or choose other metrics: "
                    f"--metrics {','.join(fitting) or 'map'}",
                )


def _summary(agreed: Sequence[Agreement]) -> dict[str, dict[str, float]]:
    summary: dict[str, dict[str, float]] = {}
    for item in agreed:
        most = summary.setdefault(item.setting, {"lists": 0, "tied": 0, "greatest_difference": 0.0})
        values = (item.lists, item.tied, item.difference)
        summary[item.setting] = {
            name: max(before, value) for (name, before), value in zip(most.items(), values, strict=True)
        }
    return summary


def _warnings(counts: Mapping[str, SettingCounts]) -> list[str]:
    lines = []
    for setting, run in counts.items():
        texts = {
            f"{run.missing:,} of {len(run.lists):,} lists are not in the run; they score 0": run.missing,
            f"the run is cut at {run.cut or 0:,}; a relevant below has no rank and counts 0, so that map and mrr come "
            "out lower than at full depth": run.cut is not None,
            f"{len(run.unjudged):,} lists of the run have no relevant candidate; they are left out": run.unjudged,
            f"{run.merged:,} neighbouring candidates have scores that differ only beyond a 32-bit float, in which "
            "trec_eval reads scores; they tie": run.merged,
        }
        lines += [f"{setting}: {text}" for text, applies in texts.items() if applies]
    return lines
