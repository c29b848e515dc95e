"""Task files: what one says, checked key by key, as a frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Annotated, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)

from xqr_bench.core.errors import TaskError, UnknownNameError, UsageError, XqrBenchError, closest
from xqr_bench.core.languages import GROUPS, XQUAD_R, all_groups, check_code, get_group
from xqr_bench.core.toml import read_toml
from xqr_bench.core.types import CROSS_LINGUAL, SETTINGS, VARIANTS
from xqr_bench.tasks.readers import READERS
from xqr_bench.tasks.segment import SEGMENTERS

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
    "language_order_w_corrected",
    "language_order_w_others",
    "language_position",
    "own_language_first",
    "top_right_other",
    "top_wrong_other",
)
"""Metrics and bias measures of a task file that names none; docs/bias.md says why no others."""
SEPARATE_METRICS = (
    "map",
    "mrr",
    "recall@1",
    "recall@10",
    "recall@100",
    "success@1",
    "success@10",
    "ndcg@10",
    "language_share@10",
    "share_vs_pool@10",
    "share_vs_relevants@10",
)
"""The same of one that is not parallel: no measure that compares the relevants of a query in several languages."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
MOST_FILES = 10_000
COMMIT = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")
"""A commit in an address: what stands there does not change."""

Text = Annotated[str, Field(min_length=1)]


NUMBERED = re.compile(r"\.\d+$")


def section_and_part(key: str) -> tuple[str, str]:
    """Section and part of the key of a file: `de` and `corpus` of `de.corpus`, and of `de.corpus.1`."""
    section, _, part = NUMBERED.sub("", key).rpartition(".")
    return section, part


def _several(key: str, value: object) -> list[object] | None:
    """The files of a part that is several: a list of them, or a `count` of files whose names have their number."""
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping) or "count" not in value:
        return None
    count, named = value["count"], {name: one for name, one in value.items() if name != "count"}
    if type(count) is not int or not 0 < count <= MOST_FILES or "{n}" not in str(named.get("path")):
        raise TaskError(
            f"files.{key}.count: no number of files, or no {{n}} in their path",
            found=repr(count)[:40],
            remedy=f'write path = "docs-{{n}}.jsonl.gz" and how many there are, from 0 on, at most {MOST_FILES:,}',
        )
    return [
        {name: one.replace("{n}", str(n)) if isinstance(one, str) else one for name, one in named.items()}
        for n in range(count)
    ]


class SourceFile(BaseModel):
    """One data file: `path` with forward slashes, and its SHA-256.

    Without a SHA-256 it is computed when read, not checked; of a file that is downloaded a commit in its address must
    pin it then.

    `upstream` is the path in its address, where that is another; `candidates_in` and `questions_in` are the languages
    of the section's candidates and questions that name none, where that is not the section.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Text
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    upstream: Text | None = None
    candidates_in: Text | None = None
    questions_in: Text | None = None


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
    """Of a task of languages of XQuAD-R: its languages among those that the task has not."""


class TaskSpec(BaseModel):
    """A task file, validated. Each attribute is the key of that name; `docs/tasks.md` describes them.

    `files` has a section for each language, or as the format has it: `de` where a section is one file, and `de.corpus`,
    `de.queries` and so on where it has parts, which are tables inside `[files.de]` in the task file.

    Where the files come from follows from three keys: `base_url` (downloaded to a cache, or found in a data folder),
    `source` (brought to a data folder by people), `embedded` (a folder inside this package), or none (beside the task
    file).

    Raises:
        TaskError: values that make no sense together; names key and remedy.
        pydantic.ValidationError: a key is missing, unknown or of another type; `load_spec` makes it a `TaskError`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text
    title: str = ""
    description: str = ""
    format: Text = "lareqa"
    languages: tuple[Text, ...]
    candidate_languages: tuple[Text, ...] = ()
    parallel: StrictBool = True
    settings: tuple[Text, ...] = SETTINGS
    segmenter: str = ""
    metrics: tuple[Text, ...] = DEFAULT_METRICS
    relevance: tuple[Text, ...] = ()
    relevant_from: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] | None = None
    groups: tuple[Text, ...] | Mapping[Text, tuple[Text, ...]] = tuple(GROUPS)
    demonstration: StrictBool = False
    licence: Licence | None = None
    citation: str = ""
    revision: str = ""
    base_url: str | None = None
    source: str = ""
    embedded: Text | None = None
    files: Mapping[str, SourceFile]

    _origin: Path | None = PrivateAttr(default=None)

    @property
    def origin(self) -> Path | None:
        """The task file it was read from; None for a spec made in Python."""
        return self._origin

    @property
    def digests_known(self) -> bool:
        """Whether it names the digest of every file."""
        return all(file.sha256 for file in self.files.values())

    @property
    def downloadable(self) -> bool:
        """Whether its files can be fetched."""
        return self.base_url is not None

    @property
    def beside(self) -> bool:
        """Whether its files are beside the task file."""
        return self.base_url is None and self.embedded is None and not self.source

    @property
    def pool(self) -> tuple[str, ...]:
        """The languages of the candidates."""
        return self.candidate_languages or self.languages

    @property
    def all_languages(self) -> tuple[str, ...]:
        """The languages of the queries, then those that only candidates have."""
        return tuple(dict.fromkeys((*self.languages, *self.candidate_languages)))

    def sections(self, languages: Sequence[str] | None = None) -> dict[str, tuple[str, ...]]:
        """The keys of the files of each section that can hold these languages (default: all), by section.

        Where lines may name their languages, any file can hold any; of files that are not beside the task file, and may
        be large, only the section's name and its `candidates_in` are taken into account.
        """
        reader = READERS.get(self.format)
        place = {part: number for number, part in enumerate(reader.parts)}
        wanted = set(self.all_languages) if languages is None else set(languages)
        other = set(self.all_languages) - wanted
        keys: dict[str, list[str]] = {}
        for key in self.files:
            keys.setdefault(section_and_part(key)[0] if place else key, []).append(key)

        def can_hold(name: str, files: Sequence[SourceFile]) -> bool:
            if name not in other or (reader.tells_languages and self.beside):
                return True
            named = {file.candidates_in for file in files}
            return bool(wanted & (named if reader.tells_languages else named | {file.questions_in for file in files}))

        return {
            name: tuple(sorted(of, key=lambda key: place.get(section_and_part(key)[1], -1)))
            for name, of in keys.items()
            if can_hold(name, [self.files[key] for key in of])
        }

    def url(self, key: str) -> str | None:
        """The upstream address of a file, None where there is none."""
        if self.base_url is None:
            return None
        return self.base_url.format(revision=self.revision, path=self.files[key].upstream or self.files[key].path)

    def group_description(self, name: str) -> str:
        """What the languages of a group of the task have in common."""
        return "named in the task file" if isinstance(self.groups, Mapping) else get_group(name).description

    def group_members(self, languages: Sequence[str] | None = None) -> dict[str, GroupMembers]:
        """Each group of the task by name: its members among `languages` (default: all), or why none."""
        chosen = self.languages if languages is None else tuple(languages)
        whole = set(chosen) == set(self.languages)
        table: dict[str, GroupMembers] = {}
        for name in self.groups:
            if isinstance(self.groups, Mapping):
                group, members = None, tuple(code for code in chosen if code in self.groups[name])
            else:
                group = get_group(name)
                members = group.members(chosen)
            subject = f"no language of {self.name}" if whole else f"none of {', '.join(chosen)} ({self.name})"
            table[name] = GroupMembers(
                members=members,
                reason=None if members else f"{subject} belongs to the group {name}",
                absent=tuple(code for code in group.members(XQUAD_R) if code not in chosen)
                if group and set(self.all_languages) <= set(XQUAD_R)
                else (),
            )
        return table

    @model_validator(mode="before")
    @classmethod
    def _separate(cls, given: object) -> object:
        separate = isinstance(given, Mapping) and given.get("parallel") is False
        return {"metrics": SEPARATE_METRICS, **given} if separate else given  # type: ignore[dict-item]

    @field_validator("files", mode="before")
    @classmethod
    def _flat(cls, files: object) -> object:
        if not isinstance(files, Mapping):
            return files
        flat: dict[object, object] = {}
        for name, value in files.items():
            items = value.items() if isinstance(value, Mapping) else ()
            nested = items and all(isinstance(one, Mapping | list) for _, one in items)
            for key, one in [(f"{name}.{part}", of) for part, of in items] if nested else [(name, value)]:
                several = _several(key, one)
                flat |= {key: one} if several is None else {f"{key}.{n}": each for n, each in enumerate(several)}
        return flat

    @model_validator(mode="after")
    def _makes_sense(self) -> TaskSpec:
        _check_names(self)
        _check_groups(self)
        _check_source(self)
        _check_files(self)
        return self


def _check_names(spec: TaskSpec) -> None:
    if not NAME.fullmatch(spec.name):
        raise TaskError(
            f"name: {spec.name!r} cannot name a task (it becomes a file name)",
            remedy="use lower-case letters, digits, '-', '_' and '.', such as 'my-task'",
        )
    if spec.format not in READERS:
        raise _under("format", UnknownNameError("source format", spec.format, READERS))
    for key in ("languages", "candidate_languages", "settings", "metrics", "relevance", "groups"):
        values: tuple[str, ...] = tuple(getattr(spec, key))
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise TaskError(f"{key}: {', '.join(twice)} stands there twice", remedy="name each once")
        if not values and key not in ("candidate_languages", "groups", "relevance"):
            raise TaskError(f"{key}: the list is empty", remedy="name at least one, or leave an optional key out")
    for code in spec.all_languages:
        try:
            check_code(code)
        except UsageError as error:
            raise _under("languages" if code in spec.languages else "candidate_languages", error) from None
    choices = {
        "settings": ("setting", SETTINGS),
        "relevance": ("rule of relevance", VARIANTS),
    }
    for key, (kind, names) in choices.items():
        for value in getattr(spec, key):
            if value not in names:
                raise _under(key, UnknownNameError(kind, value, names))
    if spec.segmenter and spec.segmenter not in SEGMENTERS:
        raise _under("segmenter", UnknownNameError("segmenter", spec.segmenter, SEGMENTERS))
    if spec.segmenter and spec.format != "lareqa":
        raise TaskError(
            f"segmenter: data of the format {spec.format} is not cut into sentences",
            remedy='write format = "lareqa", which ranks sentences, or take segmenter out',
        )
    settings = READERS.get(spec.format).settings
    if any(value not in settings for value in spec.settings):
        raise TaskError(
            f"settings: data of the format {spec.format} cannot be scored in every setting; docs/tasks.md says why",
            found=", ".join(spec.settings),
            remedy=f"write settings = {list(settings)}".replace("'", '"'),
        )
    if spec.parallel and READERS.get(spec.format).local_ids:
        raise TaskError(
            f"parallel: ids of the format {spec.format} count anew in every file: equal ones are different questions",
            remedy="write parallel = false",
        )
    if len(spec.all_languages) == 1 and CROSS_LINGUAL in spec.settings:
        raise TaskError(
            "settings: a task of one language has no cross-lingual setting",
            remedy='add a language, or write settings = ["monolingual"]',
        )


def _check_groups(spec: TaskSpec) -> None:
    if isinstance(spec.groups, Mapping):
        for name, members in spec.groups.items():
            if strange := [code for code in members if code not in spec.all_languages]:
                raise TaskError(
                    f"groups.{name}: {strange[0]!r} is not among the languages of the task",
                    remedy="name languages of the task",
                )
            if name in all_groups() or not NAME.fullmatch(name):
                raise TaskError(
                    f"groups.{name}: this cannot name a group of your own",
                    remedy="use a name that no group of the table has, of lower-case letters, digits, '-', '_' and '.'",
                )
    else:
        for name in spec.groups:
            try:
                get_group(name)
            except UnknownNameError as error:
                raise _under("groups", error) from None


def _check_source(spec: TaskSpec) -> None:
    if len([key for key in (spec.base_url, spec.embedded, spec.source or None) if key is not None]) > 1:
        raise TaskError("embedded: base_url, source and embedded exclude each other", remedy="keep one of them")
    if spec.source and spec.licence is None:
        raise TaskError("licence: a task with source needs a licence", remedy=_EXPECTED["licence"])
    if spec.base_url is None:
        return
    try:
        names = {name for _, name, _, _ in Formatter().parse(spec.base_url) if name is not None}
    except ValueError as error:
        raise TaskError(f"base_url: not a template: {error}", remedy="close each brace") from None
    if "path" not in names or names - {"path", "revision"} or not spec.base_url.startswith(("https://", "http://")):
        raise TaskError(
            f"base_url: {spec.base_url!r} is no address template",
            remedy="write a http(s) address that holds {path}, and {revision} where upstream has one",
        )
    if not NAME.fullmatch(spec.revision.lower()):
        raise TaskError(
            "revision: a task with base_url needs a revision",
            found=repr(spec.revision),
            remedy="name the upstream commit or release the files are taken from",
        )
    if spec.licence is None:
        raise TaskError(
            "licence: a task with base_url needs a licence, to be shown before its download",
            remedy='add licence = { name = "...", url = "..." }',
        )


def _check_files(spec: TaskSpec) -> None:
    _check_sections(spec)
    is_own = spec.beside
    shared = bool(READERS.get(spec.format).parts)  # several sections can have one corpus
    owner: dict[str, str] = {}
    for name, file in spec.files.items():
        key = f"files.{name}"
        for named, value, what, codes in (
            ("candidates_in", file.candidates_in, "candidate_languages", spec.pool),
            ("questions_in", file.questions_in, "languages", spec.languages),
        ):
            if value is not None and value not in codes:
                raise TaskError(
                    f"{key}.{named}: {value} is not among the languages of the {named.removesuffix('_in')}",
                    found=", ".join(codes),
                    remedy=f"add it to {what}",
                )
        path = PurePosixPath(file.path)
        if path.is_absolute() or "\\" in file.path or (not is_own and ".." in path.parts):
            raise TaskError(
                f"{key}.path: {file.path!r} is not a relative path with forward slashes"
                + ("" if is_own else " that stays inside the data folder"),
                remedy="write it relative to " + ("the task file" if is_own else "the data folder"),
            )
        if file.path in owner and not shared:
            raise TaskError(
                f"{key}.path: {file.path!r} is also the file of {owner[file.path]}",
                remedy="give each language a file of its own",
            )
        if spec.files.get(owner.setdefault(file.path, name), file).sha256 != file.sha256:
            raise TaskError(
                f"{key}.sha256: {file.path!r} has another digest under files.{owner[file.path]}",
                remedy="it is one file: write one digest",
            )
        if file.sha256 is None and not (is_own or spec.source) and not COMMIT.search(spec.url(name) or ""):
            raise TaskError(
                f"{key}.sha256: a file that is downloaded or embedded needs its digest",
                remedy=f"add sha256 (sha256sum {path.name} prints it)"
                + ("" if spec.base_url is None else ", or have a commit of 40 hex digits in its address"),
            )


def _check_sections(spec: TaskSpec) -> None:
    """The sections and their parts are those that the format has."""
    reader = READERS.get(spec.format)
    wanted = ", ".join(f'{part} = {{ path = "..." }}' for part in reader.parts)
    for name in spec.files:
        part = section_and_part(name)[1]
        if not reader.several and NUMBERED.search(name):
            raise TaskError(
                f"files.{NUMBERED.sub('', name)}: the format {spec.format} has one file here", remedy="name one"
            )
        if bool(reader.parts) != ("." in name) or (reader.parts and part not in reader.parts):
            raise TaskError(
                f"files.{name}: the format {spec.format} has no such file",
                remedy=f"write [files.{name.partition('.')[0]}] with {wanted}"
                if reader.parts
                else f'write {name.partition(".")[0]} = {{ path = "..." }} under [files]',
            )
    for section, keys in spec.sections().items():
        there = {*reader.optional, *(section_and_part(key)[1] for key in keys)}
        if lacking := [part for part in reader.parts if part not in there]:
            problem = f"files.{section}.{lacking[0]}: the format {spec.format} needs this file"
            raise TaskError(problem, remedy=f"add it: {wanted}")
        if section not in spec.all_languages and not reader.tells_languages:
            raise TaskError(
                f"files.{section}: there is a file for {section}, which is not among the languages",
                found=f"languages: {', '.join(spec.all_languages)}",
                remedy=f"add {section} to languages, or take its file out",
            )
    elsewhere = {code for file in spec.files.values() for code in (file.candidates_in, file.questions_in)}
    for code in () if reader.tells_languages else spec.all_languages:
        if code not in spec.sections() and code not in elsewhere:
            raise TaskError(
                f"files.{code}: the language {code} has no file",
                remedy=f'add {code} = {{ path = "..." }} under [files], or take {code} out of languages',
            )


def _under(key: object, error: XqrBenchError) -> TaskError:
    """The error, with the key or file that it is about before it."""
    return TaskError(f"{key}: {error.problem}", found=error.found, remedy=error.remedy)


_EXPECTED = {
    "languages": 'a list of language codes, such as ["de", "en"]',
    "settings": 'a list such as ["monolingual", "cross-lingual", "multilingual"]',
    "metrics": 'a list of names, such as ["map", "recall@10"]',
    "groups": 'a list of names, such as ["joshi-3"], or a table [groups] with lines such as north = ["da", "sv"]',
    "demonstration": "true or false",
    "relevant_from": "a number above 0, such as 2",
    "licence": '{ name = "...", url = "..." }',
    "files": 'a table [files] with lines such as de = { path = "de.json" }',
    "sha256": "64 lower-case hex digits",
}
HELP = "docs/tasks.md describes every key"


def read_spec(path: Path) -> TaskSpec:
    """Read the task file at a path, whatever its name.

    Raises:
        TaskError: as `load_spec`.
    """
    data = path.suffix in (".json", ".jsonl", ".gz")
    remedy = f"write a task file (TOML) that names this data; {HELP}" if data else "correct that line"
    document, _ = read_toml(path, "task file", TaskError, remedy=remedy)
    try:
        spec = TaskSpec.model_validate(document)
    except TaskError as error:
        raise _under(path, error) from None
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
    name = str(first["loc"][-1])
    expected = next((_EXPECTED[str(p)] for p in reversed(first["loc"]) if str(p) in _EXPECTED), "a text")
    if first["type"] == "missing":
        return TaskError(f"{path}: the key {key} is missing{more}", remedy=f"add it: {expected}; {HELP}")
    if first["type"] == "extra_forbidden":
        keys = {1: list(TaskSpec.model_fields), 2: list(Licence.model_fields), 3: list(SourceFile.model_fields)}[
            len(first["loc"])
        ]
        return TaskError(
            f"{path}: unknown key {key}{more}",
            found=closest(name, keys) or f"known: {', '.join(keys)}",
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
