"""A file of runs: models x tasks x variants in TOML, each combination a request as the command line of `evaluate`'s."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from shlex import split
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from xqr_bench.cli.common import Session
from xqr_bench.cli.evaluate import Evaluation, Request
from xqr_bench.core.errors import UnknownNameError, UsageError, XqrBenchError, closest
from xqr_bench.core.files import name_of_folder
from xqr_bench.core.folder import is_url
from xqr_bench.core.names import refuse_unreadable
from xqr_bench.core.options import FileKeys, from_table
from xqr_bench.core.toml import FaultyFileError, line_of, read_toml
from xqr_bench.encode import EncoderOptions
from xqr_bench.encode.providers import is_endpoint
from xqr_bench.encode.python_object import is_python_spec
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.record import record_path
from xqr_bench.tasks import Selection, resolve_task
from xqr_bench.tasks.load import choose_languages

if TYPE_CHECKING:
    from xqr_bench.tasks import TaskSpec

CLASSES = (Evaluation, Selection, EncoderOptions)
"""Whose fields are the keys of a file."""
OF_THE_COMMAND = (
    "dry_run",
    "shard",
    "wait",
    "overwrite",
    "full",
    "quiet",
    "as_json",
    "save_index",
    "trec_run",
    "trec_depth",
    "trec_settings",
)
"""Options of `evaluate` that no file has: those of the command, and folders that each entry would fill anew."""
KEYS = {one.name: cls for cls in CLASSES for one in fields(cls) if one.name not in OF_THE_COMMAND}
"""Key -> the dataclass that checks it."""
IN_SUFFIX = frozenset(
    (
        "transform",
        "transform_from",
        "quantize",
        "rescore",
        "index",
        "index_params",
        "depth",
        "candidate_context",
        "balanced",
    )
)
"""Options that name a record by themselves, for `evaluate` too."""

Kind = Literal["", "model", "variant"]
"""Of the tables of a file; what stands before the first one is of all models."""
NOT_IN: Mapping[Kind, Sequence[str]] = {"": ("name",), "model": ("output",), "variant": ("output", "tasks")}
MORE_IN: Mapping[Kind, Sequence[str]] = {"": ("model", "variant"), "model": ("model", "variants"), "variant": ()}
Made = TypeVar("Made", Evaluation, Selection, EncoderOptions)
HELP = "docs/run.md describes the file"


@dataclass(frozen=True)
class Entry:
    """One record that a file asks for.

    Attributes:
        name: of the record.
        path: where the record is to stand.
        request: how it is made.
        session: keeps it.
        arguments: what the file says of it, for the record.
        variant: what the table of its variant says.
    """

    name: str
    path: Path
    request: Request
    session: Session
    arguments: Mapping[str, Any]
    variant: Mapping[str, Any]

    @property
    def task(self) -> TaskSpec:
        """The task of the record."""
        return self.session.specs[0]

    @property
    def failed(self) -> Path:
        """Where it is written down that the entry failed."""
        return self.path.with_name(f"{self.path.stem}.failed.txt")

    @property
    def shares(self) -> tuple[object, ...]:
        """Entries for which this is equal can share what is loaded; never an endpoint, whose use a record counts."""
        asked = self.request.asked
        own = self.path if is_endpoint(self.request.model) else None
        engine = asked.chosen_engine(), asked.exchange
        return self.request.model, self.request.encoder, asked.fuse_k, asked.fuse_weights, asked.memory, engine, own


@dataclass(frozen=True)
class RunFile:
    """What a file asks for, checked.

    Attributes:
        path: the file.
        output: folder of the records.
        entries: in the order in which they are made: those that share a model follow each other.
    """

    path: Path
    output: Path
    entries: Sequence[Entry]

    @property
    def summary(self) -> Path:
        """Where the summary is written: in the folder of the records, called as the file."""
        return self.output / f"{self.path.stem}.csv"


@dataclass(frozen=True)
class _Of:
    """A table of the file.

    Attributes:
        kind: of the table.
        number: from 0 on.
        given: as it stands there.
        values: option -> its value.
        words: MODEL; empty: it has none.
    """

    kind: Kind
    number: int
    given: Mapping[str, Any]
    values: dict[str, Any]
    words: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """`model 2`; of what stands before the first table nothing."""
        return f"{self.kind} {self.number + 1}" if self.kind else ""


def read_run_file(path: Path, *, overwrite: bool = False, quiet: bool = False) -> RunFile:
    """Read a file of runs, and check all of it; nothing is loaded.

    Args:
        path: the file.
        overwrite: make records again that are there.
        quiet: tell nothing while a record is made.

    Raises:
        FaultyFileError: it asks for what cannot be done; all faults at once, with their lines.
        UsageError: it cannot be read, or is no TOML.
    """
    document, text = read_toml(path, "file of runs", UsageError)
    return _Reader(path, text).read(document, {"overwrite": overwrite, "quiet": quiet})


class _Reader:
    """Reads one file; what is wrong with it is kept until all of it was looked at."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._text = path, text
        # What is wrong in many combinations is told once, but counted each time.
        self._faults: dict[tuple[str, str], tuple[int | None, XqrBenchError]] = {}
        self._met = 0

    def read(self, document: Mapping[str, Any], command: Mapping[str, Any]) -> RunFile:
        """All entries.

        Raises:
            FaultyFileError: it asks for what cannot be done.
        """
        top = self._table("", 0, document)
        if is_url(str(top.given.get("output", ""))):
            error = UsageError("output is the address of no folder here", remedy="name a folder of this machine")
            self._fault(error, [top], ["output"])
        models, variants = self._tables("model", top), self._tables("variant", top)
        if not models and not self._faults:
            remedy = f'write [[model]], and model = "..." below it; {HELP}'
            self._fault(UsageError("it names no model", remedy=remedy), [top])
        entries: list[Entry] = []
        made: dict[str, Sequence[_Of]] = {}
        used: list[_Of | None] = []
        for model in models:
            used += (of_model := self._variants_of(model, variants))
            for variant in of_model:
                tables = [top, model, *([variant] if variant is not None else [])]
                for entry in self._entries(tables, command):
                    place = str(entry.path).casefold()  # one file where capitals are not told apart
                    if made.get(place) is tables:
                        problem = f"two tasks have the name {entry.task.name!r}"
                        error = UsageError(problem, remedy="give one of the task files another name")
                        self._fault(error, tables, ["tasks"])
                    elif place in made:
                        both = " and that of ".join(
                            " with ".join(of.place for of in some[1:]) for some in (made[place], tables)
                        )
                        problem = f"the record of {both} would both be {entry.path}"
                        self._fault(UsageError(problem, remedy="give one of them another name"), tables)
                    made[place] = tables
                    entries.append(entry)
        if self._faults:
            for variant in variants:
                if variant not in used:  # a model may have meant it
                    self._asked([top, variant], command)
            found = sorted(self._faults.items(), key=lambda one: one[1][0] or 0)
            raise FaultyFileError(self._path, [(place, error) for (place, _), (_, error) in found])
        order = [entry.shares for entry in entries]
        entries.sort(key=lambda entry: order.index(entry.shares))
        return RunFile(self._path, entries[0].request.asked.output, entries)

    def _fault(self, error: XqrBenchError, tables: Sequence[_Of], keys: Sequence[str] = ()) -> None:
        """Keep a fault, at the key that it is about, in the last of the tables that has one of these."""
        of, key = next(((of, key) for of in reversed(tables) for key in keys if key in of.given), (tables[-1], ""))
        line = line_of(self._text, of.kind, of.number, key) if key or of.kind else None
        parts = [f"line {line}" if line else "", of.place, key]
        remedy = error.remedy and file_keys().in_keys(error.remedy)
        error = UsageError(file_keys().in_keys(error.problem), found=error.found, remedy=remedy)
        self._met += 1
        self._faults[", ".join(part for part in parts if part) or "the file", str(error)] = line, error

    @contextmanager
    def _keeping(self, tables: Sequence[_Of], keys: Sequence[str] = ()) -> Iterator[None]:
        """Keep a fault of the block; where no keys are said, at those that its message names."""
        try:
            yield
        except XqrBenchError as error:
            self._fault(error, tables, keys or [key for key in KEYS if file_keys().is_about(error.problem, key)])

    def _tables(self, kind: Literal["model", "variant"], top: _Of) -> list[_Of]:
        given = top.given.get(kind, [])
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            self._fault(UsageError(f"{kind} is no list of tables", remedy=f"write [[{kind}]]; {HELP}"), [top], [kind])
            return []
        return [self._table(kind, number, one) for number, one in enumerate(given)]

    def _table(self, kind: Kind, number: int, given: Mapping[str, Any]) -> _Of:
        """A table with the values of its options."""
        of = _Of(kind, number, given, {})
        for key in given:
            if key in KEYS and key not in NOT_IN[kind]:
                with self._keeping([of], [key]):
                    of.values[key] = from_table(KEYS[key], key, given[key])
            elif key not in MORE_IN[kind]:
                self._fault(_misplaced(key, kind), [of], [key])
        if kind == "model":
            with self._keeping([of], ["model"]):
                of.words.extend(words_of(given.get("model")))
        name = of.values.pop("name", None)
        if name is not None:
            with self._keeping([of], ["name"]):
                _refuse_name(name, f"the name of the {kind}")
                of.values["name"] = name
        if "tasks" in of.values:
            self._twice(of.values["tasks"], of, "tasks")
            if not of.values["tasks"]:
                self._fault(UsageError("no task is named", remedy='write tasks = ["xquad-r"]'), [of], ["tasks"])
        for key, check in (("tasks", resolve_task), ("metrics", parse_metric)):
            for name in of.values.get(key) or ():
                with self._keeping([of], [key]):
                    check(name)
        return of

    def _twice(self, names: Sequence[object], of: _Of, key: str) -> None:
        """Keep a fault of each name that a list has more than once."""
        for name in dict.fromkeys(name for name in map(str, names) if list(map(str, names)).count(name) > 1):
            self._fault(UsageError(f"{name:.60} is named twice", remedy="name it once"), [of], [key])

    def _variants_of(self, model: _Of, variants: Sequence[_Of]) -> Sequence[_Of | None]:
        """The variants of a model: all, or those that it names; None: the model as it is."""
        names = model.given.get("variants")
        if names is None:
            return variants or [None]
        if not isinstance(names, list):
            remedy = 'write names of variants, as variants = ["centred"], or variants = []'
            self._fault(UsageError("variants is no list", remedy=remedy), [model], ["variants"])
            return [None]
        self._twice(names, model, "variants")
        named = {str(one.given["name"]): one for one in variants if "name" in one.given}
        for name in map(str, names):
            if name not in named:
                error = UnknownNameError("variant", name, named, remedy="give the variant this name")
                self._fault(error, [model], ["variants"])
            several = [one for one in variants if str(one.given.get("name")) == name]
            if len(several) > 1:
                problem = f"{' and '.join(one.place for one in several)} are both named {name!r:.60}"
                self._fault(UsageError(problem, remedy="give each a name of its own"), several, ["name"])
        return [named[name] for name in dict.fromkeys(map(str, names)) if name in named] or [None]

    def _entries(self, tables: Sequence[_Of], command: Mapping[str, Any]) -> list[Entry]:
        """The entries of a model, or of a variant of it, one a task; none where there are faults."""
        before, (model, *variant) = self._met, tables[1:]
        made = self._asked(tables, command)
        if made is None or not model.words:
            return []
        asked, select, encoder = made
        request = Request(tuple(model.words), asked, replace(encoder, name=None))
        sessions: list[Session] = []
        for task in dict.fromkeys(asked.tasks):
            with self._keeping(tables, ["tasks"]):
                spec = resolve_task(task)
                with self._keeping(tables, ["languages"]):
                    choose_languages(spec.name, spec.all_languages, select.languages)
                with self._keeping(tables, ["metrics"]):
                    sessions.append(Session(replace(asked, tasks=(task,)), select))
        for check in request.checks([session.specs[0] for session in sessions]):
            with self._keeping(tables):
                check()
        if self._met > before:
            return []
        name = record_name(request, encoder.name, variant[0].given if variant else {})
        with self._keeping(tables, ["name"]):
            refuse_unreadable(name, "the name of the record", "give the model, or the variant, a name of one line")
        given = {key: value for of in tables for key, value in of.given.items() if key in KEYS} | {"name": name}
        entries = []
        for task, session in zip(dict.fromkeys(asked.tasks), sessions, strict=True):
            path = record_path(asked.output, name, session.specs[0].name)
            arguments = request.arguments({**given, "tasks": [task]})
            entries.append(Entry(name, path, request, session, arguments, variant[0].given if variant else {}))
        return entries

    def _asked(
        self, tables: Sequence[_Of], command: Mapping[str, Any]
    ) -> tuple[Evaluation, Selection, EncoderOptions] | None:
        """What the tables say together, checked as far as no MODEL is needed; None: it cannot be meant at all."""
        values = {key: value for of in tables for key, value in of.values.items()} | dict(command)
        values["name"] = next((of.values.get("name") for of in tables if of.kind == "model"), None)  # no variant's
        asked = self._made(Evaluation, values, tables)
        select = self._made(Selection, values, tables)
        encoder = self._made(EncoderOptions, values, tables)
        for check in asked.checks() if asked is not None else ():
            with self._keeping(tables):
                check()
        return None if asked is None or select is None or encoder is None else (asked, select, encoder)

    def _made(self, cls: type[Made], values: Mapping[str, Any], tables: Sequence[_Of]) -> Made | None:
        """A value of the dataclass; options that cannot be meant are left out of it, and their faults kept."""
        left = {one.name: values[one.name] for one in fields(cast("Any", cls)) if one.name in values}
        while True:
            try:
                return cls(**left)
            except XqrBenchError as error:
                named = [key for key in left if key in KEYS and file_keys().is_about(error.problem, key)]
                self._fault(error, tables, named)
                if not named:
                    return None
                del left[named[0]]


def _misplaced(key: str, kind: Kind) -> UsageError:
    """A key that does not belong into a table of this kind."""
    known = {of: [*(one for one in KEYS if one not in NOT_IN[of]), *MORE_IN[of]] for of in NOT_IN}
    places = [f"in [[{of}]]" if of else "before the first table" for of, keys in known.items() if key in keys]
    if places:
        return UsageError(f"{key} cannot stand here", remedy=f"write it {' or '.join(places)}")
    if key in OF_THE_COMMAND:
        return UsageError(f"{key} cannot stand in a file", remedy="leave it out: it is for a single command")
    return UsageError(f"there is no option {key!r:.60}", found=closest(key, known[kind]), remedy=HELP)


def _refuse_name(name: str, what: str) -> None:
    """Check that a name is one of a record.

    Raises:
        UsageError: a person cannot read it on one line, or it reads as a path, which it is not: no name leads out of
            the folder of the records.
    """
    refuse_unreadable(name, what, "give it a name of one line")
    if {"", ".", ".."} & set(re.split(r"[/\\]", name)):
        remedy = "give it a plain name, such as e5-small; `output` says in which folder the records are"
        raise UsageError(f"{what}, {name!r}, reads as a path", remedy=remedy)


@cache
def file_keys() -> FileKeys:
    """The options of `evaluate` as the file has them."""
    return FileKeys(KEYS, {"--no-cache": "cache = false"})


def words_of(model: object) -> list[str]:
    """MODEL as the words of the command line: a text, or a list of them for a fusion.

    Raises:
        UsageError: it is neither.
    """
    words = split(model) if isinstance(model, str) and model.startswith("fuse:") else model
    words = [words] if isinstance(words, str) else words
    if isinstance(words, list) and words and all(isinstance(one, str) and one.strip() for one in words):
        return words
    raise UsageError(
        "the model is missing" if model is None else f"{model!r:.60} names no model",
        remedy='write it as model = "intfloat/multilingual-e5-small", a fusion as ["fuse:rrf", "bm25", "char-ngrams"]',
    )


def record_name(request: Request, name: str | None, variant: Mapping[str, Any]) -> str:
    """What the records of a request are called: the model, and what its variant is.

    What `evaluate` says in the name of a record, such as `+center`, is said alike.

    Args:
        request: what is asked for.
        name: of the model; None: what its MODEL says before anything is loaded.
        variant: its table, with a `name` or without.
    """
    from xqr_bench.evaluation.balanced import SUFFIX

    asked, context = request.asked, request.encoder.candidate_context
    called = name or _named_by(request.model, request.encoder.served_model)
    two_stages = name is None and "rerank" not in variant
    if "name" in variant:
        return f"{_reranked(called, asked) if two_stages else called}+{variant['name']}"
    for key, value in variant.items():
        if key not in IN_SUFFIX:
            called += f"+{key}" if value is True else f"+{key}-{_short(value)}"
    called += f"+{context}" if context is not None else ""
    done = asked.chosen_transform(), asked.chosen_quantize(), asked.chosen_index()
    called += "".join(options.suffix for options in done if options is not None)
    return (_reranked(called, asked) if two_stages else called) + SUFFIX * asked.balanced


def _reranked(called: str, asked: Evaluation) -> str:
    """The name with that of a second stage, where there is one."""
    if asked.rerank is None:
        return called
    from xqr_bench.evaluation.reranked import DEPTH, title

    second, depth = _named_by(asked.rerank, None), asked.rerank_depth or DEPTH
    return title(called, second, depth, asked.chosen_pool(), asked.rerank_add_relevants)


def _named_by(model: str, served: str | None) -> str:
    """`e5` of precomputed:vectors/e5, of a folder ./e5 and of mine.py:e5; the name that an endpoint has for a model."""
    form, _, rest = model.partition(":")
    if form in ("precomputed", "scores", "run") and rest:
        return name_of_folder(Path(rest).expanduser())
    if is_endpoint(model):
        return served or model
    if is_python_spec(model):
        return model.rpartition(":")[2]
    return name_of_folder(Path(model).expanduser()) if Path(model).expanduser().is_dir() else model


def _short(value: object) -> str:
    """A value of a table as a part of a name: of a path its last part."""
    if isinstance(value, dict):
        return "-".join(f"{key}-{_short(one)}" for key, one in value.items())
    if isinstance(value, list):
        return "-".join(map(_short, value))
    return str(value).strip("/").rpartition("/")[2]
