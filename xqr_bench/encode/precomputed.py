"""`precomputed:DIR`: vectors made elsewhere, matched to the texts by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core.collection import ids_of
from xqr_bench.core.errors import EncoderError
from xqr_bench.core.files import digest_of_files, name_of_folder, read_array, read_text
from xqr_bench.core.mapped import Room, in_parts, release, taken
from xqr_bench.core.types import IntArray, TaskData
from xqr_bench.encode.bound import BoundEncoder
from xqr_bench.encode.checks import Vectors
from xqr_bench.encode.options import EncoderOptions, ModelIdentity, Role
from xqr_bench.encode.texts import items_of

PREFIX = "precomputed:"
OPTIONS = frozenset({"name", "similarity", "truncate_dim"})
FILES: dict[Role, str] = {"query": "queries", "candidate": "candidates"}
LAYOUT = "DIR/<task>/queries.npy, candidates.npy (one row a text) and .ids.txt beside each (one id a line)"


class Precomputed(BoundEncoder):
    """Vectors in a folder: `DIR/<task>/{queries,candidates}.npy` and `.ids.txt` beside each.

    Rows are matched by id, in any order. Ids that the task does not have are left aside: a task restricted by
    `--languages` or `--limit` needs only some of them. On a whole task they are a warning.
    """

    def __init__(self, folder: Path, options: EncoderOptions) -> None:
        options.refuse_all_but("precomputed vectors", OPTIONS)
        if not folder.is_dir():
            raise EncoderError(
                f"there is no folder {folder} with precomputed vectors", remedy=f"make it in the layout {LAYOUT}"
            )
        self.folder = folder
        files = [
            (path.relative_to(folder).as_posix(), path)
            for name in FILES.values()
            for suffix in (".npy", ".ids.txt")
            for path in folder.glob(f"*/{name}{suffix}")
        ]
        if not files:
            inside = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
            raise EncoderError(
                f"{folder} holds no precomputed vectors",
                found=inside,
                remedy=f"the layout is {LAYOUT}",
            )
        super().__init__(
            ModelIdentity(
                kind="precomputed",
                name=name_of_folder(folder),
                digest=digest_of_files(files),
                truncate_dim=options.truncate_dim,
                similarity=options.similarity or "cosine",
            ),
            name=options.name,
        )

    def lookup(self, task: TaskData, role: Role, room: Room) -> Vectors:
        """Vectors of the task's queries or candidates in its order, float32 `[n, d]`, C-contiguous; see `places`.

        Where they would not be in memory, they are the mapped file itself if that holds them so, else in a mapped copy.

        Raises:
            OSError: there is no room for a copy.
        """
        stored, rows = self.places(task, role)
        columns = self.identity.truncate_dim or stored.shape[1]
        if room.fits(4 * len(rows) * columns):
            return self.at(stored, rows)
        as_they_are = stored.dtype == np.float32 and stored.flags.c_contiguous and columns == stored.shape[1]
        if as_they_are and len(rows) == len(stored) and (np.diff(rows) == 1).all():
            return np.asarray(stored)
        vectors: Vectors | None = None
        for start, some in in_parts(rows):
            part = self.at(stored, some)
            if vectors is None:
                vectors = room.zeros((len(rows), part.shape[1]))
            vectors[start : start + len(part)] = part
            release(vectors)
        assert vectors is not None  # no rows would fit
        return vectors

    def at(self, stored: NDArray[Any], rows: IntArray) -> Vectors:
        """These rows of a file, as they are scored: float32 `[rows, d]`, C-contiguous."""
        return self.cut(self.matrix(taken(stored, rows), len(rows)))

    def places(self, task: TaskData, role: Role) -> tuple[NDArray[Any], IntArray]:
        """The file of the task's queries or candidates, mapped, and the row of each of them, int64 `[n]`.

        Raises:
            EncoderError: a file is missing or no array of numbers, ids and rows do not correspond, an id is there
                twice, or the task has ids that the file lacks.
        """
        vectors_path = self.folder / task.name / f"{FILES[role]}.npy"
        ids_path = vectors_path.with_name(f"{FILES[role]}.ids.txt")
        stored = self._read_vectors(vectors_path, task)
        self._require(ids_path, task)
        wanted = ids_of(items_of(task, role))
        if len(stored) == len(wanted) and _are_the_lines(ids_path, wanted):
            return stored, np.arange(len(wanted), dtype=np.int64)
        row_of = read_ids(ids_path, len(stored), f"rows of {vectors_path.name}")
        missing = [id_ for id_ in wanted if id_ not in row_of]
        if missing:
            raise EncoderError(
                f"{ids_path} lacks {len(missing):,} of the {len(wanted):,} {FILES[role]} of {task.name}",
                found=f"no {missing[0]!r}; the file begins with {next(iter(row_of), 'nothing')!r}",
                remedy="encode the same revision of the data; ids are lang:question_id for queries and "
                "lang:article:paragraph:sentence (0-based) for candidates",
            )
        extra = len(row_of) - len(set(wanted))
        if extra and not task.partial:
            self.warn(
                f"{ids_path} has {extra:,} ids that {task.name} does not have; they are left aside "
                "(were the vectors made from another revision of the data?)",
                task.name,
            )
        return stored, np.array([row_of[id_] for id_ in wanted], dtype=np.int64)

    def _read_vectors(self, path: Path, task: TaskData) -> NDArray[Any]:
        self._require(path, task)
        remedy = "write it with numpy.save from an array of shape [texts, dimensions]"
        try:
            stored = read_array(path)
        except (ValueError, OSError) as error:
            raise EncoderError(
                f"{path} cannot be read as a .npy file of numbers",
                found=str(error).splitlines()[0],
                remedy=remedy,
            ) from error
        if stored.ndim != 2:
            raise EncoderError(
                f"{path} does not hold one row a text",
                found=f"shape {stored.shape}",
                remedy=remedy,
            )
        self.identity = self.identity.model_copy(update={"dtype": str(stored.dtype)})
        return stored

    def _require(self, path: Path, task: TaskData) -> None:
        if path.is_file():
            return
        tasks = ", ".join(sorted(folder.name for folder in self.folder.iterdir() if folder.is_dir()))
        raise EncoderError(
            f"there are no precomputed vectors of {task.name}: {path} does not exist",
            found=f"{self.folder} has: {tasks or 'no task folders'}",
            remedy=f"the layout is {LAYOUT}",
        )


def _are_the_lines(path: Path, ids: Sequence[str]) -> bool:
    """Whether a file has these ids, one a line in this order: millions of them are not held a second time."""
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            pairs = zip_longest(lines, ids)
            return all(line and line.removesuffix("\n").removesuffix("\r") == id_ for line, id_ in pairs)
    except (UnicodeDecodeError, OSError):
        return False  # `read_ids` says what is wrong


def read_ids(path: Path, rows: int, what: str) -> dict[str, int]:
    """The row of each id, in a file with one id a line.

    Args:
        path: the file.
        rows: how many there are.
        what: what they are rows or columns of, such as "rows of queries.npy".

    Raises:
        EncoderError: it cannot be read, has another number of ids, or one of them twice.
    """
    try:
        text = read_text(path)
    except (UnicodeDecodeError, OSError) as error:
        raise EncoderError(
            f"{path} cannot be read as UTF-8 text", found=str(error), remedy="write one id a line"
        ) from error
    ids = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    if len(ids) != rows:
        raise EncoderError(
            f"{path} has {len(ids):,} ids for the {rows:,} {what}",
            remedy="write one id a line, in their order",
        )
    row_of = {id_: row for row, id_ in enumerate(ids)}
    if len(row_of) != len(ids):
        twice = [id_ for id_, count in Counter(ids).items() if count > 1]
        raise EncoderError(
            f"{path} has {len(twice):,} ids more than once",
            found=f"the first is {twice[0]!r}",
            remedy="give every text one row",
        )
    return row_of
