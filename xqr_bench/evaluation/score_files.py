"""`scores:DIR`: score matrices made elsewhere, matched to the queries and candidates by id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.errors import EncoderError
from xqr_bench.core.files import digest_of_files, name_of_folder, named_folder, read_array
from xqr_bench.core.observe import Observer
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode import ModelIdentity
from xqr_bench.encode.checks import to_scores
from xqr_bench.encode.precomputed import read_ids
from xqr_bench.evaluation.ranker import RANKERS, Ranking, ScoreRanker, Task
from xqr_bench.evaluation.score_object import checked_scores
from xqr_bench.rank.exact import ScoreBlock
from xqr_bench.rank.product import DEFAULT_MEMORY, TILE_ROWS

LAYOUT = (
    "DIR/<task>/scores.npy (one row a query, one column a candidate), or scores-0.npy, scores-1.npy, ... with the rows "
    "of one after those of the other; queries.ids.txt and candidates.ids.txt beside, one id a line"
)
_SHARD = re.compile(r"scores-(\d+)\.npy")
_BYTES = 24
"""Of a score while a block is put together: the rows as they stand, in the order of the task, and in float32."""


@dataclass(frozen=True)
class Matrix:
    """The scores of a task in files, which stay there until they are read.

    Attributes:
        shards: mapped, with the rows of one after those of the other.
        begins: the first row of each, and where the last one ends, int64 `[shards + 1]`.
        row_of, column_of: of each query and candidate, by id.
    """

    shards: Sequence[NDArray[Any]]
    begins: IntArray
    row_of: dict[str, int]
    column_of: dict[str, int]

    def take(self, rows: IntArray, columns: IntArray) -> NDArray[Any]:
        """Some rows and columns, in the order asked for."""
        at = np.searchsorted(self.begins, rows, side="right") - 1
        made: NDArray[Any] = np.empty((len(rows), len(columns)), dtype=self.shards[0].dtype)
        for shard in np.unique(at).tolist():
            here = np.flatnonzero(at == shard)
            # row by row: a row of the file is read as a whole, and no more than one is held
            for place, row in zip(here.tolist(), (rows[here] - self.begins[shard]).tolist(), strict=True):
                made[place] = self.shards[shard][row][columns]
        return made


class ScoreFiles(ScoreRanker):
    """Score matrices in a folder, `scores:DIR`; records have the folder's name and a digest over its files.

    Rows and columns are matched by id, in any order. Ids that the task does not have are an error; where a part of a
    task is ranked (`--languages`, `--limit`), they are left aside.

    Attributes:
        folder: holds a folder for each task.

    Raises:
        EncoderError: there is no such folder, or it holds no scores.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise EncoderError(f"there is no folder {folder} with scores", remedy=f"make it in the layout {LAYOUT}")
        self.folder = folder
        names = ("scores.npy", "scores-*.npy", "queries.ids.txt", "candidates.ids.txt")
        files = [(path.relative_to(folder).as_posix(), path) for name in names for path in folder.glob(f"*/{name}")]
        if not any(path.suffix == ".npy" for _, path in files):
            inside = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
            raise EncoderError(f"{folder} holds no scores", found=inside, remedy=f"the layout is {LAYOUT}")
        self.name = name_of_folder(folder)
        self._identity = ModelIdentity(kind="scores", name=self.name, digest=digest_of_files(files), similarity="none")
        self._open: dict[str, Matrix] = {}
        self._unequal: dict[str, set[str]] = {}

    @property
    def identity(self) -> ModelIdentity:
        """The folder's name and a digest over all its files."""
        return self._identity

    def rank(self, tasks: Sequence[Task], observe: Observer) -> Iterator[Ranking]:
        """Look over the files of all tasks, then score and count each."""
        for task in tasks:
            self._open[task.data.name] = self._matrix(task.data)
        yield from super().rank(tasks, observe)

    def scores(self, part: TaskData, observe: Observer) -> Iterator[ScoreBlock]:
        """See ScoreRanker; the rows of a block are read when it is asked for."""
        matrix = self._open[part.name]
        rows, columns = (
            np.array([places[one.id] for one in items], dtype=np.int64)
            for places, items in ((matrix.row_of, part.queries), (matrix.column_of, part.candidates))
        )
        first: dict[str, int] = {}
        of_text = np.array([first.setdefault(one.text, i) for i, one in enumerate(part.candidates)], dtype=np.int64)
        again = np.flatnonzero(of_text != np.arange(len(of_text)))
        unequal = np.zeros(len(again), dtype=np.bool_)
        step = max(1, min(TILE_ROWS, DEFAULT_MEMORY // (_BYTES * len(columns))))
        for start in range(0, len(rows), step):
            values = matrix.take(rows[start : start + step], columns)
            scores = checked_scores(values, part, start, str(self.folder / part.name))
            unequal |= (scores[:, again] != scores[:, of_text[again]]).any(axis=0)
            yield ScoreBlock(start, scores, scores)
        others = {part.candidates[index].id for index in again[unequal].tolist()}
        self._unequal.setdefault(part.name, set()).update(others)

    def warnings_for(self, data: TaskData) -> Sequence[str]:
        """That equal texts have other scores."""
        number = len(self._unequal.get(data.name, ()))
        text = f"{number:,} candidates have other scores than an earlier one of the same text, and do not tie with it"
        return [text] if number else []

    def _matrix(self, task: TaskData) -> Matrix:
        """The files of a task.

        Raises:
            EncoderError: one is missing, is no matrix of numbers, or is of other queries or candidates.
        """
        place = self.folder / task.name
        numbered = {int(found[1]): path for path in place.glob("*.npy") if (found := _SHARD.fullmatch(path.name))}
        paths = [place / "scores.npy"] if (place / "scores.npy").is_file() else []
        if bool(paths) == bool(numbered):
            problem = "has both scores.npy and shards of scores" if paths else f"has no scores of {task.name}"
            tasks = ", ".join(sorted(path.name for path in self.folder.iterdir() if path.is_dir()))
            raise EncoderError(f"{self.folder} {problem}", found=f"it has: {tasks}", remedy=f"the layout is {LAYOUT}")
        paths = paths or [numbered[number] for number in sorted(numbered)]
        shards = [_mapped(path) for path in paths]
        shapes = sorted({(shard.shape[1], str(shard.dtype)) for shard in shards})
        if len(shapes) > 1:
            raise EncoderError(
                f"the shards of {place} are of different matrices",
                found=" and ".join(f"{columns:,} columns of {dtype}" for columns, dtype in shapes[:2]),
                remedy="cut one matrix into parts of its rows",
            )
        begins = np.cumsum([0, *(len(shard) for shard in shards)])
        places: list[dict[str, int]] = []
        for name, items, number, what in (
            ("queries", task.queries, int(begins[-1]), "rows"),
            ("candidates", task.candidates, shapes[0][0], "columns"),
        ):
            ids = place / f"{name}.ids.txt"
            if not ids.is_file():
                raise EncoderError(f"there is no {ids}", remedy=f"write the ids of the {what}, one a line")
            places.append(
                read_ids(ids, number, f"{what} of {paths[0].name}" if len(paths) == 1 else f"{what} of its shards")
            )
            _refuse_others(ids, places[-1], [one.id for one in items], task)
        return Matrix(shards, begins, places[0], places[1])


def _mapped(path: Path) -> NDArray[Any]:
    """A matrix of a `.npy` file, not loaded.

    Raises:
        EncoderError: it is none.
    """
    remedy = "write it with numpy.save from an array of shape [queries, candidates]"
    try:
        there = read_array(path)
    except (ValueError, OSError) as error:
        found = str(error).splitlines()[0]
        raise EncoderError(f"{path} cannot be read as a .npy file of numbers", found=found, remedy=remedy) from error
    if there.ndim != 2:
        raise EncoderError(f"{path} holds no matrix", found=f"shape {there.shape}", remedy=remedy)
    to_scores(there[:0], (0, there.shape[1]), str(path), remedy)  # of numbers
    return there


def _refuse_others(path: Path, places: dict[str, int], wanted: Sequence[str], task: TaskData) -> None:
    """Refuse ids that are not those of the task.

    Raises:
        EncoderError: some are missing; or some are there that a whole task does not have.
    """
    known = set(wanted)
    missing = [one for one in wanted if one not in places]
    strange = [] if task.partial else [one for one in places if one not in known]
    if not missing and not strange:
        return
    found = [f"no {missing[0]!r}"] if missing else []
    found += [f"{strange[0]!r}, which the task has not"] if strange else []
    raise EncoderError(
        f"{path} has not the ids of {task.name}: {len(missing):,} of {len(wanted):,} are missing, {len(strange):,} are "
        "of others",
        found="; ".join(found),
        remedy="score the same revision of the data, with the ids that load_task(NAME) gives",
    )


@RANKERS.register("scores")
def _scores(argument: str) -> ScoreFiles:
    """Score matrices made elsewhere: scores:DIR reads DIR/<task>/scores.npy, ids beside."""
    return ScoreFiles(named_folder(f"scores:{argument}"))
