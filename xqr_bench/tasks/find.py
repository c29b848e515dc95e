"""Which task is meant: a shipped one by its name, a file by its path, a data set of ir_datasets by its id."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import xqr_bench
from xqr_bench.core.checked import checked
from xqr_bench.core.errors import TaskError, UnknownNameError, UsageError
from xqr_bench.core.types import CROSS_LINGUAL, JUDGED, MONOLINGUAL, TaskData
from xqr_bench.tasks.readers.irds import PREFIX, languages_of
from xqr_bench.tasks.spec import HELP, SourceFile, TaskSpec, read_spec


def shipped_folder() -> Path:
    """The folder of the shipped task files: inside an installed package, beside it in a checkout."""
    package = Path(xqr_bench.__file__).resolve().parent
    inside = package / "_tasks"
    return inside if inside.is_dir() else package.parent / "tasks"


def shipped_tasks() -> dict[str, Path]:
    """Name -> file of each shipped task, by name."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.toml"))}


def own_file(spec: TaskSpec) -> Path | None:
    """The task's file, None where it ships with this package or was made in Python."""
    origin = spec.origin
    return None if origin is None or origin.resolve().parent == shipped_folder() else origin


def list_specs() -> list[TaskSpec]:
    """The shipped tasks: the demonstration first, parallel ones before others, then by settings, digests and format.

    Raises:
        TaskError: a shipped task file is damaged.
    """
    specs = [_read_once(path) for path in shipped_tasks().values()]
    return sorted(specs, key=_order)


@cache
def _read_once(path: Path) -> TaskSpec:
    """A shipped task file, which does not change while this runs; a leaderboard asks for all of them at each row."""
    return read_spec(path)


def _order(spec: TaskSpec) -> tuple[object, ...]:
    kind = not spec.demonstration, not spec.parallel, -len(spec.settings), not spec.digests_known, spec.format
    return *kind, -len(spec.languages), spec.name


@checked
def load_spec(name_or_path: str | Path) -> TaskSpec:
    """Read a task file.

    Args:
        name_or_path: the name of a shipped task; the path of a task file (a `Path`, or a text that ends in .toml or
            names a file); or `irds:` and the id of a data set of the library ir_datasets.

    Raises:
        UnknownNameError: no shipped task has this name; the closest ones are listed.
        TaskError: the file cannot be read or makes no sense; names file, key and remedy.
    """
    shipped = shipped_tasks()
    if isinstance(name_or_path, str):
        if name_or_path in shipped:
            return read_spec(shipped[name_or_path])
        if name_or_path.startswith(PREFIX):
            return library_spec(name_or_path.removeprefix(PREFIX))
        if not (name_or_path.endswith(".toml") or Path(name_or_path).is_file()):
            listing = ", ".join(sorted(shipped))
            raise UnknownNameError(
                "task",
                name_or_path,
                shipped,
                remedy=f"use one of: {listing}; or the path of a task file, such as ./my-task.toml",
            )
    path = Path(name_or_path).expanduser()
    spec = read_spec(path)
    if spec.name in shipped and path.resolve() != shipped[spec.name].resolve():
        raise TaskError(
            f"{path}: name: {spec.name!r} is the name of a shipped task",
            remedy="give your task another name: its scores would be mistaken for that task's",
        )
    return spec


SEARCH_METRICS = ("map", "mrr", "ndcg@10", "recall@100", "success@1", "success@10")


def library_spec(name: str) -> TaskSpec:
    """The task of a data set of ir_datasets that states its languages.

    Raises:
        UsageError: the library is not installed.
        DataError: it has no such data set with documents, queries and judgements.
        TaskError: it does not state the language of both documents and queries.
    """
    asked, answered = languages_of(name)
    if asked is None or answered is None:
        raise TaskError(
            f"ir_datasets does not state the languages of {name}",
            found=f"queries: {asked or 'not stated'}, documents: {answered or 'not stated'}",
            remedy=f'write a task file: format = "irds", languages, en = {{ path = "{name}" }} under [files]; {HELP}',
        )
    own = asked == answered
    return TaskSpec(
        name=f"irds-{re.sub('[^a-z0-9._-]+', '-', name.lower())}",
        title=f"{name} of ir_datasets",
        format="irds",
        languages=(asked,),
        candidate_languages=() if own else (answered,),
        parallel=False,
        settings=(MONOLINGUAL if own else CROSS_LINGUAL,),
        metrics=SEARCH_METRICS,
        relevance=(JUDGED,),
        groups=(),
        files={asked: SourceFile(path=name, candidates_in=None if own else answered)},
    )


def load_shipped(name: str, where: str) -> TaskSpec:
    """The shipped task that a file names: a file of somebody else's names no task file to be read.

    Args:
        name: as the file has it.
        where: the file, as the message calls it.

    Raises:
        UsageError: no task of this name ships with this package.
    """
    shipped = shipped_tasks()
    if name not in shipped:
        raise UsageError(
            f"{where} is of a task that does not ship with xqr-bench; a task file is read only when you name it",
            found=name,
            remedy="look at the task file, then name it: --task FILE",
        )
    return read_spec(shipped[name])


@checked
def resolve_task(task: str | Path | TaskSpec | TaskData) -> TaskSpec:
    """The task file behind whatever names a task.

    A `TaskData` has no settings and metrics of its own: it gets those of the shipped task of its name, else
    the defaults of a task file that says nothing (every setting, every metric, every language group).

    Raises:
        UnknownNameError, TaskError: as `load_spec`; a `TaskData` has languages that its shipped task has not.
    """
    if isinstance(task, TaskSpec):
        return task
    if not isinstance(task, TaskData):
        return load_spec(task)
    path = shipped_tasks().get(task.name)
    if path is None:
        return TaskSpec.model_construct(
            name=task.name,
            title=task.name,
            languages=task.query_languages or task.languages,
            candidate_languages=() if task.query_languages in ((), task.languages) else task.languages,
            files={},
        )
    spec = read_spec(path)
    strange = [code for code in task.all_languages if code not in spec.all_languages]
    if strange:
        raise TaskError(
            f"the task data is called {task.name!r}, as a shipped task is that has no {', '.join(strange)}",
            remedy="give your task data another name",
        )
    return spec
