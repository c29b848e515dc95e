"""What a task file says: one TOML file, checked key by key, as a frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from xqr_bench.data.readers import READERS
from xqr_bench.errors import UnknownNameError
from xqr_bench.languages import GROUPS, LANGUAGES, get_group
from xqr_bench.types import CROSS_LINGUAL, SETTINGS, VARIANTS

DEFAULT_METRICS = (
    "map",
    "mrr",
    "recall@1",
    "recall@10",
    "recall@100",
    "success@1",
    "success@10",
    "ndcg@10",
    "language_ndcg@10",
    "rank_distance",
    "rank_variance",
    "rank_variance_raw",
    "language_order_w",
    "language_order_w_corrected",
    "language_order_w_others",
    "language_position",
    "own_language_first",
    "top_right_own",
    "top_right_other",
    "top_wrong_own",
    "top_wrong_other",
)
"""Metrics and bias measures of a task file that names none."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")

Text = Annotated[str, Field(min_length=1)]


class SourceFile(BaseModel):
    """One data file: `path` with forward slashes, and its SHA-256 (None: computed when read, not checked)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Text
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Licence(BaseModel):
    """The licence of the data: its short name and the address of its text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text
    url: Text


class GroupMembers(NamedTuple):
    """A language group as a task has it."""

    members: tuple[str, ...]
    """Its languages that the task has, in the task's order."""
    reason: str | None
    """Why the group is absent; None when it has a member."""
    absent: tuple[str, ...]
    """Its languages that the task has not, in the order of the language table."""


class TaskSpec(BaseModel):
    """A task file, validated. Each attribute is the key of that name; `docs/tasks.md` describes them.

    Where the files come from follows from two keys: `base_url` (downloaded to a cache, or found in a data
    folder), `embedded` (a folder inside this package), or neither (beside the task file).

    Raises:
        pydantic.ValidationError: when made by hand from values that make no sense;
            `load_spec` turns it into a `TaskError` that names file, key and remedy.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text
    title: str = ""
    description: str = ""
    format: Text = "lareqa"
    languages: tuple[Text, ...]
    settings: tuple[Text, ...] = SETTINGS
    metrics: tuple[Text, ...] = DEFAULT_METRICS
    relevance: tuple[Text, ...] = ()
    groups: tuple[Text, ...] = tuple(GROUPS)
    demonstration: StrictBool = False
    licence: Licence | None = None
    citation: str = ""
    revision: str = ""
    base_url: str | None = None
    embedded: Text | None = None
    files: Mapping[str, SourceFile]

    _origin: Path | None = PrivateAttr(default=None)

    @property
    def origin(self) -> Path | None:
        """The task file it was read from; None for a spec made in Python."""
        return self._origin

    @property
    def downloadable(self) -> bool:
        """Whether its files can be fetched."""
        return self.base_url is not None

    def url(self, language: str) -> str | None:
        """The upstream address of a language's file, None where there is none."""
        if self.base_url is None:
            return None
        return self.base_url.format(revision=self.revision, path=self.files[language].path)

    def group_members(self, languages: Sequence[str] | None = None) -> dict[str, GroupMembers]:
        """Each group of the task by name: its members among `languages` (default: all), or why none."""
        chosen = self.languages if languages is None else tuple(languages)
        whole = set(chosen) == set(self.languages)
        table: dict[str, GroupMembers] = {}
        for name in self.groups:
            group = get_group(name)
            members = group.members(chosen)
            subject = f"no language of {self.name}" if whole else f"none of {', '.join(chosen)} ({self.name})"
            table[name] = GroupMembers(
                members=members,
                reason=None if members else f"{subject} belongs to the group {name}",
                absent=tuple(code for code in group.members(LANGUAGES) if code not in chosen),
            )
        return table

    @model_validator(mode="after")
    def _makes_sense(self) -> TaskSpec:
        _check_names(self)
        _check_source(self)
        _check_files(self)
        return self


def fault(key: str, problem: str, *, remedy: str, found: str | None = None) -> PydanticCustomError:
    """A fault that carries its key and remedy through pydantic."""
    context = {"key": key, "problem": problem, "remedy": remedy, "found": found}
    return PydanticCustomError("task_fault", "{key}: {problem}; {remedy}", context)


def _check_names(spec: TaskSpec) -> None:
    if not NAME.fullmatch(spec.name):
        raise fault(
            "name",
            f"{spec.name!r} cannot name a task (it becomes a file name)",
            remedy="use lower-case letters, digits, '-', '_' and '.', such as 'my-task'",
        )
    if spec.format not in READERS:
        raise _unknown("format", UnknownNameError("source format", spec.format, READERS))
    for key in ("languages", "settings", "metrics", "relevance", "groups"):
        values: tuple[str, ...] = getattr(spec, key)
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise fault(key, f"{', '.join(twice)} stands there twice", remedy="name each once")
        if not values and key not in ("groups", "relevance"):
            raise fault(key, "the list is empty", remedy="name at least one, or leave an optional key out")
    for code in spec.languages:
        if not CODE.fullmatch(code):
            raise fault(
                "languages",
                f"{code!r} is no language code",
                remedy="use ISO 639 codes such as 'de', with a tag where needed ('zh-Hant')",
            )
    for setting in spec.settings:
        if setting not in SETTINGS:
            raise _unknown("settings", UnknownNameError("setting", setting, SETTINGS))
    for rule in spec.relevance:
        if rule not in VARIANTS:
            raise _unknown("relevance", UnknownNameError("rule of relevance", rule, VARIANTS))
    if len(spec.languages) == 1 and CROSS_LINGUAL in spec.settings:
        raise fault(
            "settings",
            "a task of one language has no cross-lingual setting",
            remedy='add a language, or write settings = ["monolingual"]',
        )
    for group in spec.groups:
        if group not in GROUPS:
            raise _unknown("groups", UnknownNameError("language group", group, GROUPS))


def _check_source(spec: TaskSpec) -> None:
    if spec.base_url is None:
        return
    if spec.embedded is not None:
        raise fault("embedded", "base_url and embedded exclude each other", remedy="keep one of them")
    try:
        names = {name for _, name, _, _ in Formatter().parse(spec.base_url) if name is not None}
    except ValueError as error:
        raise fault("base_url", f"not a template: {error}", remedy="close each brace") from None
    if "path" not in names or names - {"path", "revision"} or not spec.base_url.startswith(("https://", "http://")):
        raise fault(
            "base_url",
            f"{spec.base_url!r} is no address template",
            remedy="write a http(s) address that holds {path}, and {revision} where upstream has one",
        )
    if not NAME.fullmatch(spec.revision.lower()):
        raise fault(
            "revision",
            "a task with base_url needs a revision",
            found=repr(spec.revision),
            remedy="name the upstream commit or release the files are taken from",
        )
    if spec.licence is None:
        raise fault(
            "licence",
            "a task with base_url needs a licence, to be shown before its download",
            remedy='add licence = { name = "...", url = "..." }',
        )


def _check_files(spec: TaskSpec) -> None:
    for code in spec.languages:
        if code not in spec.files:
            raise fault(
                f"files.{code}",
                f"the language {code} has no file",
                remedy=f'add {code} = {{ path = "..." }} under [files], or take {code} out of languages',
            )
    for code in spec.files:
        if code not in spec.languages:
            raise fault(
                f"files.{code}",
                f"there is a file for {code}, which is not among the languages",
                found=f"languages: {', '.join(spec.languages)}",
                remedy=f"add {code} to languages, or take its file out",
            )
    beside = spec.base_url is None and spec.embedded is None
    owner: dict[str, str] = {}
    for code, file in spec.files.items():
        key = f"files.{code}"
        path = PurePosixPath(file.path)
        if path.is_absolute() or "\\" in file.path or (not beside and ".." in path.parts):
            raise fault(
                f"{key}.path",
                f"{file.path!r} is not a relative path with forward slashes"
                + ("" if beside else " that stays inside the data folder"),
                remedy="write it relative to " + ("the task file" if beside else "the data folder"),
            )
        if file.path in owner:
            raise fault(
                f"{key}.path",
                f"{file.path!r} is also the file of {owner[file.path]}",
                remedy="give each language a file of its own",
            )
        owner[file.path] = code
        if file.sha256 is None and not beside:
            raise fault(
                f"{key}.sha256",
                "a file that is downloaded or embedded needs its digest",
                remedy=f"add sha256 (sha256sum {path.name} prints it)",
            )


def _unknown(key: str, error: UnknownNameError) -> PydanticCustomError:
    return fault(key, error.problem, found=error.found, remedy=error.remedy or "")
