"""What the files of a run are called, and which lists stand in them.

    DIR/<task>/<setting>.run.gz     monolingual, cross-lingual, multilingual
    DIR/<task>/<setting>.qrels

A list is named by its query's id, `lang:question`, in the monolingual and multilingual setting; in the cross-lingual
one, where a query has a list for each other language, by `lang:question>candidatelang`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from xqr_bench.errors import RunError
from xqr_bench.search.exact import relevant_rows
from xqr_bench.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL, SETTINGS, IntArray, TaskData

WHOLE_POOL = -1
LAYOUT = f"DIR/<task>/<setting>.run or .run.gz, <setting> one of {', '.join(SETTINGS)}"


@dataclass(frozen=True)
class Lists:
    """The lists of a task in one setting: those with at least one relevant candidate.

    Attributes:
        setting: the setting.
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

    def relevants(self, index: int) -> IntArray:
        """Candidate indices of the relevants of a list."""
        return self.positions[self.offsets[index] : self.offsets[index + 1]]


def candidate_columns(data: TaskData) -> IntArray:
    """Pool column of each candidate, int64 `[candidates]`."""
    return np.repeat(np.arange(len(data.languages)), data.column_sizes)


def task_lists(data: TaskData, setting: str, relevants: Sequence[tuple[int, ...]] | None = None) -> Lists:
    """The lists of `data` in a setting, in the order of its queries, then of the candidates' languages.

    Args:
        data: the task.
        setting: the setting.
        relevants: other candidates of each query than its relevants, ascending, in the same languages.
    """
    offsets, positions = relevant_rows(data if relevants is None else replace(data, relevants=tuple(relevants)))
    query = np.repeat(np.arange(len(data.queries)), np.diff(offsets))
    column = candidate_columns(data)[positions]
    of_language = {language: number for number, language in enumerate(data.languages)}
    own = np.array([of_language[found.language] for found in data.queries], dtype=np.int64)
    if setting == MULTILINGUAL:
        rows, pool = np.arange(len(positions)), np.full(len(positions), WHOLE_POOL)
    else:
        # relevants ascend, and the candidates of a language stand together: the rows of a list do too
        rows = np.flatnonzero((column == own[query]) == (setting == MONOLINGUAL))
        pool = column[rows]
    query = query[rows]
    starts = np.flatnonzero(np.r_[True, (query[1:] != query[:-1]) | (pool[1:] != pool[:-1])]) if len(rows) else rows
    queries, pools = query[starts], pool[starts]
    sizes = np.append(data.column_sizes, data.column_sizes.sum())
    return Lists(
        setting=setting,
        ids=[_list_id(data, setting, q, p) for q, p in zip(queries.tolist(), pools.tolist(), strict=True)],
        queries=queries,
        pools=pools,
        pool_sizes=sizes[pools],
        offsets=np.append(starts, len(rows)),
        positions=positions[rows],
        rows=rows,
    )


def _list_id(data: TaskData, setting: str, query: int, pool: int) -> str:
    name = data.queries[query].id
    return f"{name}>{data.languages[pool]}" if setting == CROSS_LINGUAL else name


def unjudged_ids(data: TaskData, lists: Lists) -> frozenset[str]:
    """Cross-lingual lists that the task could have, but has no relevant for."""
    if lists.setting != CROSS_LINGUAL:
        return frozenset()
    possible = {
        f"{query.id}>{language}" for query in data.queries for language in data.languages if language != query.language
    }
    return frozenset(possible - lists.number.keys())


def check_ids(data: TaskData) -> None:
    """Check that the ids can stand in a run.

    Raises:
        RunError: one holds a blank.
    """
    for kind, items in (("query", data.queries), ("candidate", data.candidates)):
        for item in items:
            if len(item.id.split()) != 1:
                raise RunError(
                    f"{data.name} cannot be written as a TREC run: the {kind} id {item.id!r} holds a blank",
                    remedy="give questions ids without blanks in the data files; columns of a run are parted by blanks",
                )


def run_files(folder: Path, task: str) -> dict[str, Path]:
    """Setting -> its run file below `folder`, for the settings that have one.

    Raises:
        RunError: there is none, or a setting has two.
    """
    found: dict[str, Path] = {}
    for setting in SETTINGS:
        both = [folder / task / f"{setting}.run{suffix}" for suffix in ("", ".gz")]
        there = [path for path in both if path.is_file()]
        if len(there) > 1:
            raise RunError(
                f"the {setting} setting of {task} has two runs",
                found=", ".join(str(path) for path in there),
                remedy="remove one of them",
            )
        if there:
            found[setting] = there[0]
    if not found:
        place = folder / task if (folder / task).is_dir() else folder
        inside = sorted(path.name for path in place.iterdir())[:8] if place.is_dir() else []
        raise RunError(
            f"there is no run of {task} in {folder}",
            found=f"{place} holds: {', '.join(inside) or 'nothing'}" if place.is_dir() else f"no folder {folder}",
            remedy=f"the layout is {LAYOUT}",
        )
    return found
