"""The files of TREC runs: what they are called, which lists stand in them, writing them, and reading their lines."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import RunError, UnknownNameError, UsageError
from xqr_bench.core.files import atomic_path, opened, refuse_unwritable, write_text
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, SETTINGS, IntArray, TaskData
from xqr_bench.rank.exact import ScoreBlock, top_hits
from xqr_bench.rank.mteb_predictions import SUFFIX, predictions_path, read_predictions
from xqr_bench.tasks import TaskSpec
from xqr_bench.tasks.mteb import task_name

# What the files of a run are called, and which lists stand in them.
#
#     DIR/<task>/<setting>.run.gz     monolingual, cross-lingual, multilingual
#     DIR/<task>/<setting>.qrels
#
# A list is named by its query's id, `lang:question`, in the monolingual and multilingual setting; in the cross-lingual
# one, where a query has a list for each other language, by `lang:question>candidatelang`.

WHOLE_POOL = -1
LAYOUT = (
    f"DIR/<task>/<setting>.run or .run.gz, <setting> one of {', '.join(SETTINGS)}; or, of mteb, "
    f"DIR/{task_name('<task>', '<setting>')}{SUFFIX}"
)


@dataclass(frozen=True)
class Lists:
    """The lists of a task in one setting: those with at least one relevant candidate.

    Attributes:
        ids: what each list is called in a run.
        queries: query index of each list, int64 `[lists]`.
        pools: pool column of each list, WHOLE_POOL for all, int64 `[lists]`.
        pool_sizes: candidates in the pool of each list, int64 `[lists]`.
        offsets: the relevants of list i are rows `offsets[i]:offsets[i + 1]` of the next two, int64 `[lists + 1]`.
        positions: candidate index of each relevant, int64 `[rows]`.
        rows: where each relevant stands among all (query, relevant) rows of the task, int64 `[rows]`.
    """

    setting: str
    ids: list[str]
    queries: IntArray
    pools: IntArray
    pool_sizes: IntArray
    offsets: IntArray
    positions: IntArray
    rows: IntArray

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def number(self) -> dict[str, int]:
        """List id -> its index."""
        return {name: index for index, name in enumerate(self.ids)}


def task_lists(data: TaskData, setting: str, relevants: Sequence[tuple[int, ...]] | None = None) -> Lists:
    """The lists of a task in a setting, in the order of its queries, then of the candidates' languages.

    Args:
        data: the task.
        setting: one of SETTINGS.
        relevants: other candidates of each query than its relevants, ascending, in the same languages.
    """
    if relevants is not None:
        data = replace(data, relevants=tuple(relevants), gains=None)
    offsets, positions = data.offsets, data.positions
    query = np.repeat(np.arange(len(data.queries)), np.diff(offsets))
    column = data.candidate_columns[positions]
    number = {code: place for place, code in enumerate(data.languages)}
    own = np.array([number.get(each.language, -1) for each in data.queries], dtype=np.int64)
    if setting == MULTILINGUAL:
        rows, pool = np.arange(len(positions)), np.full(len(positions), WHOLE_POOL)
    else:
        # relevants ascend, and the candidates of a language stand together: the rows of a list do too
        rows = np.flatnonzero((column == own[query]) == (setting == MONOLINGUAL))
        pool = column[rows]
    query = query[rows]
    starts = np.flatnonzero(np.r_[True, (query[1:] != query[:-1]) | (pool[1:] != pool[:-1])]) if len(rows) else rows
    queries, pools = query[starts], pool[starts]
    ids = [data.queries[query].id for query in queries]
    if setting == CROSS_LINGUAL:
        ids = [f"{name}>{data.languages[pool]}" for name, pool in zip(ids, pools, strict=True)]
    return Lists(
        setting=setting,
        ids=ids,
        queries=queries,
        pools=pools,
        pool_sizes=np.append(data.column_sizes, len(data.candidates))[pools],
        offsets=np.append(starts, len(rows)),
        positions=positions[rows],
        rows=rows,
    )


def unjudged_ids(data: TaskData, lists: Lists) -> frozenset[str]:
    """Cross-lingual lists that the task could have, but has no relevant for."""
    if lists.setting != CROSS_LINGUAL:
        return frozenset()
    possible = {
        f"{query.id}>{language}" for query in data.queries for language in data.languages if language != query.language
    }
    return frozenset(possible - lists.number.keys())


def run_files(folder: Path, task: str) -> dict[str, Path]:
    """Setting -> its run file below `folder`, or its predictions of mteb there, for the settings that have one.

    Raises:
        RunError: there is none, or a setting has two.
    """
    runs: dict[str, Path] = {}
    for setting in SETTINGS:
        both = [folder / task / f"{setting}.run{suffix}" for suffix in ("", ".gz")]
        there = [path for path in (*both, predictions_path(folder, task, setting)) if path.is_file()]
        if len(there) > 1:
            raise RunError(
                f"the {setting} setting of {task} has two runs",
                found=", ".join(str(path) for path in there),
                remedy="remove one of them",
            )
        if there:
            runs[setting] = there[0]
    if not runs:
        place = folder / task if (folder / task).is_dir() else folder
        inside = f"no folder {folder}"
        if place.is_dir():
            inside = f"{place} holds: {', '.join(sorted(path.name for path in place.iterdir())[:8]) or 'nothing'}"
        raise RunError(f"there is no run of {task} in {folder}", found=inside, remedy=f"the layout is {LAYOUT}")
    return runs


# Lines of a TREC run, read in chunks: six columns parted by blanks or tabs.

CHUNK_BYTES = 16 * 2**20
_COLUMNS = ("query", "q0", "document", "rank", "score", "tag")
_FORMAT = "each line is `query-id Q0 document-id rank score tag`"
_UNTIDY = (b"\t", b"\r", b"\f", b"\v", b"  ", b"\n ", b" \n")


@dataclass(frozen=True)
class Chunk:
    """Some whole lines.

    Attributes:
        queries: distinct query ids.
        query: index into `queries` of each line, int64 `[lines]`.
        documents: distinct document ids.
        document: index into `documents` of each line, int64 `[lines]`.
        scores: finite, read as trec_eval reads them, float32 `[lines]`.
        exact: the same before they were rounded to 32 bits, float64 `[lines]`.
        first_line: number of the first line in the file, from 1.
        text: the lines themselves; empty where they are none of a run.
        subset: of predictions of mteb, which have no lines.
    """

    queries: list[str]
    query: IntArray
    documents: list[str]
    document: IntArray
    scores: NDArray[np.float32]
    exact: NDArray[np.float64]
    first_line: int
    text: bytes
    subset: str = ""

    def place_of(self, row: int) -> str:
        """Where a line of this chunk stands, behind the name of the file; lines of only blanks count too."""
        if self.subset:
            return f", subset {self.subset!r}"
        filled = [n for n, line in enumerate(self.text.split(b"\n")) if line.strip()]
        return f":{self.first_line + filled[row]}"


def read_chunks(path: Path, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Read a run, plain or gzip (`.gz`), some megabytes at a time; or predictions of mteb (`.json`), subset by subset.

    Raises:
        RunError: the file cannot be read, holds nothing, or has a line that is no line of a run.
    """
    if path.suffix == ".json":
        for one in read_predictions(path):
            scores = _rounded(one.scores)
            if not np.isfinite(scores).all():
                raise RunError(f"{path}, subset {one.subset!r}: a score is not finite", remedy="let mteb rank again")
            if len(scores):
                lines = (one.queries, one.query, one.documents, one.document, scores, one.scores)
                yield Chunk(*lines, first_line=1, text=b"", subset=one.subset)
        return
    first_line, empty = 1, True
    for text in _whole_lines(path, chunk_bytes):
        if text.strip():
            empty = False
            yield _parse(path, text, first_line)
        first_line += text.count(b"\n")
    if empty:
        raise RunError(f"{path} is empty", remedy=f"write the ranking into it: {_FORMAT}")


def _whole_lines(path: Path, size: int) -> Iterator[bytes]:
    rest = b""
    try:
        with opened(path) as handle:
            while block := handle.read(size):
                lines, end, begun = block.rpartition(b"\n")
                if end:
                    yield rest + lines + end
                    rest = b""
                rest += begun
    except OSError as error:
        raise RunError(
            f"{path} cannot be read: {error}",
            remedy="write the file again; a name that ends in .gz must be a gzip file, whole",
        ) from error
    if rest:
        yield rest + b"\n"


def _parse(path: Path, text: bytes, first_line: int) -> Chunk:
    import pyarrow as pa
    from pyarrow import csv

    tidy = text
    if text.startswith(b" ") or any(blank in text for blank in _UNTIDY):
        tidy = re.sub(rb"[ \t\r\f\v]+", b" ", text)
        tidy = re.sub(rb"^ | $", b"", tidy, flags=re.MULTILINE)
    words = pa.dictionary(pa.int32(), pa.string())
    try:
        table = csv.read_csv(
            pa.BufferReader(tidy),
            read_options=csv.ReadOptions(column_names=list(_COLUMNS), block_size=4 * 2**20),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False, double_quote=False),
            convert_options=csv.ConvertOptions(
                include_columns=["query", "document", "score"],
                column_types={"query": words, "document": words, "score": pa.float64()},
                null_values=[],
            ),
        )
    except pa.ArrowException as error:
        raise _first_fault(path, text, first_line, str(error)) from error
    exact = table.column("score").to_numpy()
    scores = _rounded(exact)
    if not np.isfinite(scores).all():
        raise _first_fault(path, text, first_line, "a score is not finite")
    queries, query = _words(table.column("query"))
    documents, document = _words(table.column("document"))
    return Chunk(queries, query, documents, document, scores, exact, first_line, text)


def _rounded(exact: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return exact.astype(np.float32)


def _words(column: Any) -> tuple[list[str], IntArray]:
    whole = column.unify_dictionaries()
    values: list[str] = whole.chunk(0).dictionary.to_pylist()
    codes = np.concatenate([part.indices.to_numpy() for part in whole.chunks])
    return values, codes.astype(np.int64)


def _first_fault(path: Path, text: bytes, first_line: int, otherwise: str) -> RunError:
    """The error of the first line that is no line of a run."""
    for number, line in enumerate(text.split(b"\n"), start=first_line):
        if problem := _fault(line):
            shown = line.decode("utf-8", errors="replace").strip()
            return RunError(
                f"{path}:{number}: {problem}",
                found=shown if len(shown) <= 100 else shown[:99] + "…",
                remedy=f"correct the line; {_FORMAT}",
            )
    return RunError(f"{path} cannot be read: {otherwise}", remedy=_FORMAT)


def _fault(line: bytes) -> str | None:
    try:
        fields = [field.decode("utf-8") for field in line.split()]  # by ASCII blanks alone, as trec_eval does
    except UnicodeDecodeError:
        return "the line is not UTF-8"
    if fields and len(fields) != len(_COLUMNS):
        return f"the line has {len(fields)} columns instead of {len(_COLUMNS)}"
    if not fields:
        return None
    try:
        value = float(fields[4].replace("_", "?"))  # float() takes 1_000, a run does not
    except ValueError:
        return f"the score {fields[4]!r} is not a number"
    with np.errstate(over="ignore"):
        if not np.isfinite(np.float32(value)):
            return f"the score {fields[4]} is not a finite 32-bit number"
    return None


# Scores -> TREC runs and qrels, streamed to disk.

DEFAULT_DEPTH = 1000
GZIP_LEVEL = 4
GZIP_BYTES_PER_LINE = 13  # measured on XQuAD-R with a dense encoder: 12.0 (monolingual) and 12.1 (multilingual)
SCORE_BYTES = 11  # nine digits, point and sign


def check_settings(settings: Sequence[str] | None, spec: TaskSpec) -> tuple[str, ...]:
    """The settings to write, in the order of the task; all of the task when None.

    Raises:
        UnknownNameError: one is no setting.
        UsageError: none is named that the task has.
    """
    for name in settings or ():
        if name not in SETTINGS:
            raise UnknownNameError("setting", name, SETTINGS)
    chosen = tuple(name for name in spec.settings if settings is None or name in settings)
    if not chosen:
        raise UsageError(f"{spec.name} has none of the settings to write", remedy=f"name {', '.join(spec.settings)}")
    return chosen


class TaskRuns:
    """The runs and qrels of one task: how large they become, and writing them.

    Args:
        data: the task.
        folder: they go into `folder/<task>`.
        settings: those to write.
        tag: the name of the system, the last column of a run, with blanks replaced.
        depth: candidates a list.

    Attributes:
        paths: where the run of each setting is written.
        lines: lines of each setting's run.
        plain_bytes: estimated bytes of all runs before compression.

    Raises:
        RunError: an id cannot stand in a run.
        UsageError: `depth` is below 1.
    """

    def __init__(
        self, data: TaskData, folder: Path, settings: Sequence[str], *, tag: str, depth: int = DEFAULT_DEPTH
    ) -> None:
        if depth < 1:
            raise UsageError(f"--trec-depth cannot be {depth}", remedy="write at least one candidate a list")
        for kind, items in (("query", data.queries), ("candidate", data.candidates)):
            for item in items:
                if len(item.id.split()) != 1:
                    raise RunError(
                        f"{data.name} cannot be written as a TREC run: the {kind} id {item.id!r} holds a blank",
                        remedy="give questions ids without blanks in the data files; columns of a run are parted by "
                        "blanks",
                    )
        self._data, self._folder, self._depth = data, folder / data.name, depth
        self._tag = re.sub(r"\s+", "_", tag.strip()) or "xqr-bench"
        self._lists = [task_lists(data, setting) for setting in settings]
        lengths = [np.minimum(lists.pool_sizes, depth) for lists in self._lists]
        self.paths = [self._folder / f"{lists.setting}.run.gz" for lists in self._lists]
        self.lines = {lists.setting: int(of.sum()) for lists, of in zip(self._lists, lengths, strict=True)}
        ids = [candidate.id.encode() for candidate in data.candidates]
        fixed = float(np.mean([len(name) for name in ids])) + SCORE_BYTES + len(f" Q0    \n{self._tag}".encode()) + 3
        self.plain_bytes = int(
            sum(
                float(of @ np.array([len(name.encode()) + fixed for name in lists.ids]))
                for lists, of in zip(self._lists, lengths, strict=True)
                if len(lists)
            )
        )
        # where candidates tie, the one with the larger id stands first
        by_id = sorted(range(len(ids)), key=lambda index: ids[index], reverse=True)
        self._places = np.empty(len(ids), dtype=np.int64)
        self._places[by_id] = np.arange(len(ids))

    def __str__(self) -> str:
        counts = ", ".join(f"{setting} {lines:,}" for setting, lines in self.lines.items())
        total = sum(self.lines.values())
        return (
            f"writing runs to {self._folder}: {total:,} lines ({counts}), about "
            f"{_size(total * GZIP_BYTES_PER_LINE)} compressed, {_size(self.plain_bytes)} unpacked"
        )

    def write(self, blocks: Iterable[ScoreBlock], observe: Observer | None = None) -> list[Path]:
        """Write a run (gzip, always the same bytes for the same scores) and the qrels of each setting.

        Scores have nine significant digits: a float32 comes back as it was, so that ties stay ties. Where candidates
        tie, they stand in the order in which trec_eval ranks them, larger id first; so does the choice at the cut.

        Args:
            blocks: the scores of all queries of the task, in order.
            observe: hears how many queries are written.

        Returns:
            the paths of the runs.

        Raises:
            XqrBenchError: the folder cannot be written; no half-written file is left.
        """
        data, observe = self._data, observe or Observer()
        for lists in self._lists:
            write_text(self._folder / f"{lists.setting}.qrels", "".join(_qrels(data, lists)))
        with observe.phase("writing", len(data.queries)), ExitStack() as stack:
            streams = [stack.enter_context(_gzip_text(path)) for path in self.paths]
            for block in blocks:
                for lists, stream in zip(self._lists, streams, strict=True):
                    self._write_block(lists, block, stream)
                observe.advance(len(block.pooled))
        return self.paths

    def _write_block(self, lists: Lists, block: ScoreBlock, stream: io.TextIOWrapper) -> None:
        """Write the lists whose queries are in the block."""
        first, last = np.searchsorted(lists.queries, (block.start, block.start + len(block.pooled)))
        pools = lists.pools[first:last]
        for pool in np.unique(pools):
            chosen = first + np.flatnonzero(pools == pool)
            whole = pool == WHOLE_POOL
            start, stop = (0, len(self._places)) if whole else self._data.edges[pool : pool + 2]
            scores = (block.pooled if whole else block.own)[lists.queries[chosen] - block.start, start:stop]
            columns, best = top_hits(scores, self._depth, self._places[start:stop])
            for index, of_list, values in zip(chosen, (columns + start).tolist(), best.tolist(), strict=True):
                stream.writelines(
                    f"{lists.ids[index]} Q0 {self._data.candidates[candidate].id} {rank} {value:.9g} {self._tag}\n"
                    for rank, (candidate, value) in enumerate(zip(of_list, values, strict=True), start=1)
                )


def _qrels(data: TaskData, lists: Lists) -> Iterator[str]:
    """The judgements of each list: its relevants with their gains, then the candidates judged irrelevant with 0."""
    for index, (name, query, pool) in enumerate(zip(lists.ids, lists.queries, lists.pools, strict=True)):
        rows = slice(*lists.offsets[index : index + 2])
        graded = list(zip(lists.positions[rows].tolist(), data.row_gains[lists.rows[rows]].tolist(), strict=True))
        graded += [
            (other, 0.0)
            for other in (data.irrelevant[query] if data.irrelevant is not None else ())
            if pool in (WHOLE_POOL, data.candidate_columns[other])
        ]
        yield from (f"{name} 0 {data.candidates[position].id} {gain:g}\n" for position, gain in graded)


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


@contextmanager
def _gzip_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """A text stream into a gzip file that knows neither its name nor the time."""
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=GZIP_LEVEL, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n", write_through=False) as text,
    ):
        yield text


@dataclass(frozen=True)
class RunWriter:
    """Writes the runs of tasks as their scores come, and tells how large they become.

    Attributes:
        folder: theirs.
        tag: name of the system.
        depth: candidates a list.
        settings: task -> those that are written.
        observe: hears of it.
    """

    folder: Path
    tag: str
    depth: int
    settings: Mapping[str, tuple[str, ...]]
    observe: Observer

    def _runs(self, data: TaskData) -> TaskRuns:
        return TaskRuns(data, self.folder, self.settings[data.name], tag=self.tag, depth=self.depth)

    def check(self, data: TaskData) -> None:
        """Check that the runs of a task can be written; raises as TaskRuns does, or as `refuse_unwritable`."""
        for path in self._runs(data).paths:
            refuse_unwritable(path)

    def __call__(self, data: TaskData, blocks: Iterable[ScoreBlock]) -> None:
        """Write the runs of one task."""
        settings, runs = self.settings[data.name], self._runs(data)
        hint = ""
        if CROSS_LINGUAL in settings and len(settings) > 1:
            others = ",".join(name for name in settings if name != CROSS_LINGUAL)
            hint = f"; with --trec-settings {others} it would be far less"
        self.observe.note(f"{runs}{hint}")
        paths = runs.write(blocks, self.observe)
        size = sum(path.stat().st_size for path in paths)
        self.observe.note(f"wrote {', '.join(str(path) for path in paths)}: {size / 1e6:,.1f} MB")
