"""Task files by name or path."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path

from pydantic import ValidationError

import xqr_bench
from xqr_bench.data.spec import TaskSpec
from xqr_bench.errors import TaskError, UnknownNameError, UsageError
from xqr_bench.types import TaskData

_EXPECTED = {
    "languages": 'a list of language codes, such as ["de", "en"]',
    "settings": 'a list such as ["monolingual", "cross-lingual", "multilingual"]',
    "metrics": 'a list of names, such as ["map", "recall@10"]',
    "groups": 'a list of names, such as ["joshi-3"]',
    "demonstration": "true or false",
    "licence": '{ name = "...", url = "..." }',
    "files": 'a table [files] with lines such as de = { path = "de.json" }',
    "sha256": "64 lower-case hex digits",
}
HELP = "docs/tasks.md describes every key"


def shipped_folder() -> Path:
    """The folder of the shipped task files: inside an installed package, beside it in a checkout."""
    package = Path(xqr_bench.__file__).resolve().parent
    inside = package / "_tasks"
    return inside if inside.is_dir() else package.parent / "tasks"


def own_file(spec: TaskSpec) -> Path | None:
    """The task's file, None where it ships with this package or was made in Python."""
    origin = spec.origin
    return None if origin is None or origin.resolve().parent == shipped_folder() else origin


def list_specs() -> list[TaskSpec]:
    """The shipped tasks: the demonstration first, then those with most languages first, then by name.

    Raises:
        TaskError: a shipped task file is damaged.
    """
    specs = [_read(path) for path in sorted(shipped_folder().glob("*.toml"))]
    return sorted(specs, key=lambda spec: (not spec.demonstration, -len(spec.languages), spec.name))


def load_spec(name_or_path: str | Path) -> TaskSpec:
    """Read a task file.

    Args:
        name_or_path: the name of a shipped task; or the path of a task file (a `Path`, or a text that ends in
            .toml or names a file).

    Raises:
        UnknownNameError: no shipped task has this name; the closest ones are listed.
        TaskError: the file cannot be read or makes no sense; names file, key and remedy.
    """
    shipped = {path.stem: path for path in shipped_folder().glob("*.toml")}
    if isinstance(name_or_path, str):
        if name_or_path in shipped:
            return _read(shipped[name_or_path])
        if not (name_or_path.endswith(".toml") or Path(name_or_path).is_file()):
            listing = ", ".join(sorted(shipped))
            raise UnknownNameError(
                "task",
                name_or_path,
                shipped,
                remedy=f"use one of: {listing}; or the path of a task file, such as ./my-task.toml",
            )
    path = Path(name_or_path).expanduser()
    spec = _read(path)
    if spec.name in shipped and path.resolve() != shipped[spec.name].resolve():
        raise TaskError(
            f"{path}: name: {spec.name!r} is the name of a shipped task",
            remedy="give your task another name: its scores would be mistaken for that task's",
        )
    return spec


def load_shipped(name: str, where: str) -> TaskSpec:
    """The shipped task that a file names: a file of somebody else's names no task file to be read.

    Args:
        name: as the file has it.
        where: the file, as the message calls it.

    Raises:
        UsageError: no task of this name ships with this package.
    """
    path = shipped_folder() / f"{name}.toml"
    if name not in {shipped.stem for shipped in shipped_folder().glob("*.toml")}:
        raise UsageError(
            f"{where} is of a task that does not ship with xqr-bench; a task file is read only when you name it",
            found=name,
            remedy="look at the task file, then name it: --task FILE",
        )
    return _read(path)


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
    path = shipped_folder() / f"{task.name}.toml"
    if not path.is_file():
        return TaskSpec.model_construct(name=task.name, title=task.name, languages=task.languages, files={})
    spec = _read(path)
    strange = [code for code in task.languages if code not in spec.languages]
    if strange:
        raise TaskError(
            f"the task data is called {task.name!r}, as a shipped task is that has no {', '.join(strange)}",
            remedy="give your task data another name",
        )
    return spec


def _read(path: Path) -> TaskSpec:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TaskError(f"there is no task file {path}", remedy="check the path") from None
    except OSError as error:
        raise TaskError(f"cannot read the task file {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TaskError(f"{path}: not UTF-8 text, at byte {error.start}", remedy="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise TaskError(f"{path}: not TOML: {error}", remedy="correct that line") from None
    try:
        spec = TaskSpec.model_validate(document)
    except ValidationError as error:
        raise _explain(path, error) from None
    if not spec.title:
        spec = spec.model_copy(update={"title": spec.name})
    spec._origin = path
    return spec


def _explain(path: Path, error: ValidationError) -> TaskError:
    """The first fault as a message with file, key and remedy, and how many there are."""
    first, *others = error.errors()
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(others)} more after it)" if others else ""
    if first["type"] == "task_fault":
        context = first["ctx"]
        return TaskError(
            f"{path}: {context['key']}: {context['problem']}{more}",
            found=context["found"],
            remedy=context["remedy"],
        )
    name = str(first["loc"][-1])
    expected = next((_EXPECTED[str(p)] for p in reversed(first["loc"]) if str(p) in _EXPECTED), "a text")
    if first["type"] == "missing":
        return TaskError(f"{path}: the key {key} is missing{more}", remedy=f"add it: {expected}; {HELP}")
    if first["type"] == "extra_forbidden":
        known = {1: list(TaskSpec.model_fields), 2: ["name", "url"], 3: ["path", "sha256"]}[len(first["loc"])]
        close = difflib.get_close_matches(name, known, n=1) or known
        return TaskError(
            f"{path}: unknown key {key}{more}",
            found=f"closest: {', '.join(close)}" if close is not known else f"known: {', '.join(known)}",
            remedy=f"rename it or take it out; {HELP}",
        )
    return TaskError(
        f"{path}: {key}: {first['msg']}{more}",
        found=_short(first["input"]),
        remedy=f"write {expected}; {HELP}",
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
