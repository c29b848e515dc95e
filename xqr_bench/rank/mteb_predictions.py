"""Predictions of mteb, `<Task>_predictions.json`, as the lines of runs: ranked lists that end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xqr_bench.core import strict_json
from xqr_bench.core.errors import RunError
from xqr_bench.core.types import IntArray
from xqr_bench.tasks.mteb import SPLIT, task_name

SUFFIX = "_predictions.json"
MOST_BYTES = 4 * 2**30
_BY = "mteb_model_meta"
_BEGINNING = re.compile(rf'\s*{{\s*"{_BY}"\s*:\s*(?P<facts>{{[^{{}}]*}})')
_REMEDY = "write it again: mteb.evaluate(model, mteb_tasks(TASK), prediction_folder=DIR)"


class Predicted(NamedTuple):
    """The lists of one subset.

    Attributes:
        subset: its name.
        queries: what each list is called in a run.
        query: index into `queries` of each line, int64 `[lines]`.
        documents: distinct document ids.
        document: index into `documents` of each line, int64 `[lines]`.
        scores: float64 `[lines]`.
    """

    subset: str
    queries: list[str]
    query: IntArray
    documents: list[str]
    document: IntArray
    scores: NDArray[np.float64]


def predictions_path(folder: Path, task: str, setting: str) -> Path:
    """Where mteb puts the predictions of a setting of a task of ours (`prediction_folder`)."""
    return folder / f"{task_name(task, setting)}{SUFFIX}"


def predicted_by(path: Path) -> tuple[str, str | None] | None:
    """Name and revision of the model that predictions are of, from their first bytes; None: they do not say."""
    with path.open(encoding="utf-8", errors="replace") as file:
        begun = _BEGINNING.match(file.read(4096))
    try:
        facts = {} if begun is None else strict_json.parse(begun["facts"])
    except ValueError:
        return None
    name, revision = facts.get("model_name"), facts.get("revision")
    return (name, revision if isinstance(revision, str) else None) if isinstance(name, str) and name else None


def read_predictions(path: Path) -> Iterator[Predicted]:
    """Read predictions, a subset at a time: `{subset: {"test": {query: {candidate: score}}}}`.

    The list of a query is called as in runs: `de:q1`, and `de:q1>th` in the subset `de>th`.

    Raises:
        RunError: the file cannot be read, has another form, or holds a score that is no finite number.
    """
    try:
        data = strict_json.read(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} holds no predictions: {error}", remedy=_REMEDY) from error
    subsets = _object(data, path, "the file")
    subsets.pop(_BY, None)
    if not subsets:
        raise RunError(f"{path} is empty", remedy=_REMEDY)
    for subset, splits in subsets.items():
        where = f"subset {subset!r}"
        if list(_object(splits, path, where)) != [SPLIT]:
            raise RunError(f"{path}, {where}: it has the splits {', '.join(splits)[:80]}, not {SPLIT}", remedy=_REMEDY)
        pool = subset.partition(">")[2]
        lists = _object(splits[SPLIT], path, where)
        numbers = [len(_object(ranked, path, f"{where}, query {name!r:.60}")) for name, ranked in lists.items()]
        candidates = [candidate for ranked in lists.values() for candidate in ranked]
        scores = [score for ranked in lists.values() for score in ranked.values()]
        if any(type(score) not in (int, float) for score in scores):
            raise RunError(f"{path}, {where}: a score is no number", remedy=_REMEDY)
        place = {name: index for index, name in enumerate(dict.fromkeys(candidates))}
        yield Predicted(
            subset,
            [f"{name}>{pool}" if pool else name for name in lists],
            np.repeat(np.arange(len(lists)), numbers),
            list(place),
            np.array([place[name] for name in candidates], dtype=np.int64),
            np.array(scores, dtype=np.float64),
        )


def _object(value: Any, path: Path, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RunError(f"{path}: {where} is no object of JSON", found=str(value)[:60], remedy=_REMEDY)
    return value
