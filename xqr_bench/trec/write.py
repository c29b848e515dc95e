"""Scores -> TREC runs and qrels, streamed to disk."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xqr_bench.data import TaskSpec
from xqr_bench.errors import UnknownNameError, UsageError
from xqr_bench.files import atomic_path, write_text
from xqr_bench.search.hits import ScoreBlock, top_hits
from xqr_bench.trec.layout import WHOLE_POOL, Lists, check_ids, task_lists
from xqr_bench.types import SETTINGS, IntArray, TaskData

DEFAULT_DEPTH = 1000
GZIP_LEVEL = 4
GZIP_BYTES_PER_LINE = 13  # measured on XQuAD-R with a dense encoder: 12.0 (monolingual) and 12.1 (multilingual)
SCORE_BYTES = 11  # nine digits, point and sign


@dataclass(frozen=True)
class RunPlan:
    """What writing the runs of a task will take.

    Attributes:
        folder: where they go, `DIR/<task>`.
        lists: the lists of each setting.
        depth: candidates a list.
        lines: lines of each setting's run.
        plain_bytes: estimated bytes of all runs before compression.
    """

    folder: Path
    lists: tuple[Lists, ...]
    depth: int
    lines: dict[str, int]
    plain_bytes: int

    def __str__(self) -> str:
        counts = ", ".join(f"{setting} {lines:,}" for setting, lines in self.lines.items())
        total = sum(self.lines.values())
        return (
            f"writing runs to {self.folder}: {total:,} lines ({counts}), about "
            f"{_size(total * GZIP_BYTES_PER_LINE)} compressed, {_size(self.plain_bytes)} unpacked"
        )


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


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


def plan_runs(
    data: TaskData, folder: Path, settings: Sequence[str], *, tag: str, depth: int = DEFAULT_DEPTH
) -> RunPlan:
    """Count what `write_runs` will write.

    Raises:
        RunError: an id cannot stand in a run.
        UsageError: `depth` is below 1.
    """
    if depth < 1:
        raise UsageError(f"--trec-depth cannot be {depth}", remedy="write at least one candidate a list")
    check_ids(data)
    lists = tuple(task_lists(data, setting) for setting in settings)
    per_list = {found.setting: np.minimum(found.pool_sizes, depth) for found in lists}
    lines = {setting: int(counts.sum()) for setting, counts in per_list.items()}
    document = float(np.mean([len(found.id.encode()) for found in data.candidates]))
    fixed = document + len(" Q0    \n") + SCORE_BYTES + 3 + len(clean_tag(tag).encode())
    plain = sum(
        float(per_list[found.setting] @ np.array([len(name.encode()) + fixed for name in found.ids]))
        for found in lists
        if len(found)
    )
    return RunPlan(folder / data.name, lists, depth, lines, int(plain))


def clean_tag(name: str) -> str:
    """The last column of a run: a name without blanks."""
    return re.sub(r"\s+", "_", name.strip()) or "xqr-bench"


def write_runs(
    data: TaskData,
    blocks: Iterable[ScoreBlock],
    plan: RunPlan,
    *,
    tag: str,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write a run (gzip, always the same bytes for the same scores) and the qrels of each setting.

    Scores have nine significant digits: a float32 comes back as it was, so that ties stay ties. Where candidates tie,
    they stand in the order in which trec_eval ranks them, larger id first; so does the choice at the cut.

    Args:
        data: the task.
        blocks: the scores of all its queries, in order.
        plan: as `plan_runs` makes it.
        tag: the name of the system.
        progress: called with the number of queries done, after each block.

    Returns:
        the paths of the runs.

    Raises:
        XqrBenchError: the folder cannot be written; no half-written file is left.
    """
    writer = _Writer(data, plan.depth, clean_tag(tag))
    paths = [plan.folder / f"{lists.setting}.run.gz" for lists in plan.lists]
    for lists in plan.lists:
        write_text(plan.folder / f"{lists.setting}.qrels", "".join(_qrels(data, lists)))
    with ExitStack() as stack:
        streams = [stack.enter_context(_gzip_text(path)) for path in paths]
        for block in blocks:
            for lists, stream in zip(plan.lists, streams, strict=True):
                writer.write(lists, block, stream)
            if progress is not None:
                progress(block.start + len(block.pooled))
    return paths


def _qrels(data: TaskData, lists: Lists) -> Iterator[str]:
    for index, name in enumerate(lists.ids):
        for position in lists.relevants(index):
            yield f"{name} 0 {data.candidates[position].id} 1\n"


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


class _Writer:
    def __init__(self, data: TaskData, depth: int, tag: str) -> None:
        self._depth = depth
        self._names = [f" Q0 {candidate.id} " for candidate in data.candidates]
        self._ends = [f" {tag}\n"]
        self._ranks = [f"{rank} " for rank in range(1, min(depth, len(data.candidates)) + 1)]
        self._edges = np.append(0, np.cumsum(data.column_sizes))
        by_id = sorted(range(len(data.candidates)), key=lambda index: data.candidates[index].id.encode(), reverse=True)
        self._places = np.empty(len(by_id), dtype=np.int64)
        self._places[by_id] = np.arange(len(by_id))

    def write(self, lists: Lists, block: ScoreBlock, stream: io.TextIOWrapper) -> None:
        """Write the lists whose queries are in the block."""
        first, last = np.searchsorted(lists.queries, (block.start, block.start + len(block.pooled)))
        pools = lists.pools[first:last]
        for pool in np.unique(pools):
            chosen = first + np.flatnonzero(pools == pool)
            rows = lists.queries[chosen] - block.start
            everything = pool == WHOLE_POOL
            start, stop = (0, len(self._names)) if everything else self._edges[pool : pool + 2]
            scores = (block.pooled if everything else block.own)[rows, start:stop]
            columns, best = top_hits(scores, self._depth, self._places[start:stop])
            self._write_lists([lists.ids[index] for index in chosen], columns + start, best.tolist(), stream)

    def _write_lists(
        self, ids: list[str], candidates: IntArray, scores: list[list[float]], stream: io.TextIOWrapper
    ) -> None:
        names, ranks, (end,) = self._names, self._ranks, self._ends
        for name, found, values in zip(ids, candidates.tolist(), scores, strict=True):
            lines = [
                f"{name}{names[candidate]}{rank}{value:.9g}{end}"
                for candidate, rank, value in zip(found, ranks, values, strict=False)
            ]
            stream.write("".join(lines))
