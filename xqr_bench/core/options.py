"""Command-line options made from a dataclass: flag, type and default from its fields, help from its "Attributes:"."""

from __future__ import annotations

import functools
import inspect
import json
import operator
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import click

from xqr_bench.core import strict_json
from xqr_bench.core.checked import fitting
from xqr_bench.core.errors import UsageError
from xqr_bench.core.strict_json import MOST_INTEGER


class Place(click.Path):
    """A path; no empty text, which would stand for the current folder."""

    def convert(self, value: Any, parameter: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse the empty text."""
        if value == "":
            what = parameter.opts[-1] if isinstance(parameter, click.Option) else "a file or folder that is named"
            raise UsageError(f"{what} is an empty text", remedy="name a file or folder; . is the current one")
        return super().convert(value, parameter, ctx)


@dataclass(frozen=True)
class Option:
    """What the option of a field has beside the field's type: `as_json: Annotated[bool, Option("--json")] = False`.

    Attributes:
        flag: instead of the field's name; "--cache/--no-cache" has two sides, "-o --output" two names.
        metavar: what stands for the value in the help text.
        type: how click reads the value, where the annotation does not say it.
        parse: makes the field's value of what click has read; a ValueError says what to write instead.
        repeated: whether it may be given several times, all of which `parse` gets.
        section: the heading it stands under in a long help text, instead of that of its dataclass.
    """

    flag: str | None = None
    metavar: str | None = None
    type: click.Path | None = None
    parse: Callable[[Any], Any] | None = None
    repeated: bool = False
    section: str | None = None


@dataclass(frozen=True)
class Part:
    """Some fields of a dataclass as options; a command takes a dict of those that have a value.

    Attributes:
        of: the dataclass.
        only: these fields; empty: all.
        leave: all but these fields.
        defaults: whether an option that is not given has the field's default; otherwise it stands in no dict.
        help: texts that replace those of the dataclass.
    """

    of: type
    only: Collection[str] = ()
    leave: Collection[str] = ()
    defaults: bool = True
    help: Mapping[str, str] = field(default_factory=dict)


def takes(**parts: type | Part) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate the function of a command: it takes a value of each of these dataclasses, and has their options.

    An option is called as its field, "--no-x" where the default of x is True, and by the singular where a tuple is
    wanted, and it may be repeated; `Option` changes that. A field without default must be given.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        given = {name: part if isinstance(part, Part) else Part(part) for name, part in parts.items()}
        options = {name: _options(part) for name, part in given.items()}

        @functools.wraps(function)
        def called(*arguments: Any, **values: Any) -> Any:
            for name, part in parts.items():
                read = {option.field.name: option.value(values.pop(option.name)) for option in options[name]}
                read = {key: value for key, value in read.items() if value is not None}
                values[name] = read if isinstance(part, Part) else part(**read)
            return function(*arguments, **values)

        command: Callable[..., Any] = called
        for option in [option for name in given for option in options[name]][::-1]:
            command = option.add(command)
        return command

    return decorate


class SectionOption(click.Option):
    """An option that stands under a heading in a long help text."""

    def __init__(self, *arguments: Any, section: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.section = section


class Sections(click.Command):
    """A command of many options: its help text has those that most users need first, the others under headings.

    Args:
        first: the flags of those.
    """

    def __init__(self, *arguments: Any, first: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.first = first

    def sections(self, ctx: click.Context) -> dict[str, list[click.Option]]:
        """Heading -> its options, as the help text has them."""
        headed: dict[str, list[click.Option]] = {MOST_NEEDED: []} if self.first else {}
        options = (one for one in self.get_params(ctx) if isinstance(one, click.Option))
        shown = [one for one in options if one.get_help_record(ctx) is not None]
        for flag_name in self.first:
            headed[MOST_NEEDED] += [one for one in shown if flag_name in one.opts]
        for one in shown:
            if not set(one.opts) & set(self.first):
                headed.setdefault(getattr(one, "section", OTHERS), []).append(one)
        if OTHERS in headed:
            headed[OTHERS] = headed.pop(OTHERS)  # last
        return headed

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them."""
        for heading, options in self.sections(ctx).items():
            with formatter.section(heading):
                formatter.write_dl([record for one in options if (record := one.get_help_record(ctx)) is not None])


MOST_NEEDED = "Most needed"
OTHERS = "Other options"


def _options(part: Part) -> list[_FieldOption]:
    hints, texts = typing.get_type_hints(part.of, include_extras=True), {**attribute_texts(part.of), **part.help}
    wanted = [one for one in fields(part.of) if one.name not in part.leave and (not part.only or one.name in part.only)]
    return [
        _FieldOption(one, hints[one.name], texts[one.name], part.defaults, _section(part.of, one.name))
        for one in wanted
    ]


def _section(cls: type, name: str) -> str:
    """The heading of a field's option: what the class that declares the field calls `section`, or is said to be."""
    declaring = next(one for one in cls.__mro__ if name in vars(one).get("__annotations__", {}))
    named: str | None = vars(declaring).get("section")
    return named or re.split(r"[.;:,\n]", inspect.cleandoc(declaring.__doc__ or ""))[0]


class _FieldOption:
    """The option of one field."""

    def __init__(self, one: Field[Any], hint: Any, text: str, defaults: bool, section: str) -> None:
        self.field = one
        kind, more, many = _kind(hint)
        if more.parse is not None:  # one text holds them all
            kind, many = (str if many or more.repeated else kind), _repeats(more, many)
        self._parse = more.parse or (_paths if kind is Path else _of_64_bits if kind is int else None)
        self._negated = kind is bool and one.default is True and more.flag is None
        self.name = f"no_{one.name}" if self._negated else one.name
        self._flags = (more.flag or flag(self.name.removesuffix("s") if many else self.name)).split()
        default = one.default if defaults and not self._negated and one.default not in (MISSING, ()) else None
        self._settings: dict[str, Any] = {"help": text, "metavar": more.metavar, "cls": SectionOption}
        self._settings["section"] = more.section or section
        if kind is bool:
            self._settings |= {"is_flag": True, "default": bool(default)}
        else:
            self._settings |= {
                "type": more.type or (Place() if kind is Path else kind),
                "multiple": many,
                "show_default": default is not None,
                "required": defaults and one.default is MISSING and one.default_factory is MISSING,
            }
            if default is not None:  # to click None would be a value, and an option that has to be given be given
                self._settings["default"] = str(default) if isinstance(default, Path) else default

    def add(self, command: Callable[..., Any]) -> Callable[..., Any]:
        """Add the option to a command."""
        return click.option(*self._flags, self.name, **self._settings)(command)

    def value(self, given: Any) -> Any:
        """The field's value; None: the default.

        Raises:
            UsageError: it cannot be read.
        """
        if self._negated:
            return not given
        if given is None or self._parse is None:
            return given
        try:
            return self._parse(given)
        except ValueError as error:
            shown = ", ".join(map(repr, given if isinstance(given, tuple) else (given,)))
            raise UsageError(f"{self._flags[-1]} cannot be {shown}", remedy=str(error)) from None


def _kind(hint: Any) -> tuple[type, Option, bool]:
    """The type of a value, what `Option` adds to it, and whether there may be many."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        kind, more, many = _kind(inner[0])
        for outer in (one for one in inner[1:] if isinstance(one, Option)):
            more = Option(**{name: value or getattr(more, name) for name, value in vars(outer).items()})
        return kind, more, many
    if origin in (typing.Union, types.UnionType):
        first = next(one for one in inner if one is not type(None))
        return (str, Option(type=Place()), False) if first is Path and str in inner else _kind(first)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Collection):
        kind, more, _ = _kind(inner[0])
        return kind, more, not issubclass(origin, Mapping)
    return hint if hint in (bool, int, float, Path) else str, Option(), False


def _repeats(more: Option, many: bool) -> bool:
    """Whether an option may be given several times: many values are wanted, and no one text holds them all."""
    return more.repeated or (many and more.parse is None)


def _paths(given: str | tuple[str, ...]) -> Any:
    return Path(given).expanduser() if isinstance(given, str) else tuple(Path(one).expanduser() for one in given)


def _of_64_bits(given: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """Numbers that files can hold.

    Raises:
        ValueError: they are larger.
    """
    if any(abs(number) > MOST_INTEGER for number in (given if isinstance(given, tuple) else (given,))):
        raise ValueError("give a smaller number: it has more than 64 bits")
    return given


def from_table(cls: type, name: str, given: Any) -> Any:
    """The value of a field as a table of TOML has it: of the type of its annotation, or a text as of the command line.

    Raises:
        UsageError: it is neither.
    """
    hint = typing.get_type_hints(cls, include_extras=True)[name]
    _, more, _ = _kind(hint)
    if more.parse is not None and not more.repeated and isinstance(given, str | int):
        try:
            return more.parse(given)
        except ValueError as error:
            raise UsageError(f"{name} cannot be {given!r:.60}", remedy=str(error)) from None
    plain = typing.get_type_hints(cls)[name]
    if types.NoneType in typing.get_args(plain):  # TOML has none
        plain = functools.reduce(operator.or_, (one for one in typing.get_args(plain) if one is not types.NoneType))
    try:
        value = fitting(name, given, plain)
    except UsageError as error:
        remedy = (error.remedy or "").replace("True or False", "true or false").replace("a dict", "a table")
        raise UsageError(error.problem, remedy=remedy) from None
    return value.expanduser() if isinstance(value, Path) else value


def attribute_texts(cls: type) -> dict[str, str]:
    """Field -> what the "Attributes:" section of the class's docstring (and of those it inherits) says of it."""
    texts: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        section = inspect.cleandoc(one.__doc__ or "").partition("\nAttributes:\n")[2]
        for names, text in re.findall(r"^    ([a-z0-9_, ]+): (.*(?:\n        .*)*)", section, re.MULTILINE):
            texts.update(dict.fromkeys(names.split(", "), " ".join(text.split())))
    return texts


def flag(name: str) -> str:
    """The option of this name as it is written on the command line."""
    return "--" + name.replace("_", "-")


def flag_of(cls: type, name: str) -> str:
    """The option of a field of a dataclass as it is written on the command line."""
    _, more, many = _kind(typing.get_type_hints(cls, include_extras=True)[name])
    return (more.flag or flag(name.removesuffix("s") if _repeats(more, many) else name)).split()[-1]


class FileKeys:
    """The options that a file has as keys; messages of the command line for who wrote the file.

    Args:
        of: key -> the dataclass whose field it is.
        also: flags of another form -> what the file says.
    """

    def __init__(self, of: Mapping[str, type], also: Mapping[str, str] | None = None) -> None:
        self._flags = {key: flag_of(cls, key) for key, cls in of.items()}
        self._key_of = {**(also or {}), **{one.partition("/")[0]: key for key, one in self._flags.items()}}

    def in_keys(self, text: str) -> str:
        """`--index flat` as `index = "flat"`, `--index` as `index`."""
        valued = r"(?<!\S)(--[a-z][a-z-]+) (?!out\b)([\w.]+)(?=$|[,;])"  # of "leave --index out" it is no value
        text = re.sub(valued, self._key_and_value, text, flags=re.MULTILINE)
        return re.sub(r"(?<![\w-])--[a-z][a-z-]+", lambda found: self._key_of.get(found[0], found[0]), text)

    def _key_and_value(self, found: re.Match[str]) -> str:
        key = self._key_of.get(found[1])
        value = found[2] if found[2].isdigit() else f'"{found[2]}"'
        return found[0] if key is None else f"{key} = {value}"

    def is_about(self, text: str, key: str) -> bool:
        """Whether a message names an option, as a key of the file or as the command line has it."""
        names = "|".join(map(re.escape, (self._flags[key], key)))
        return re.search(rf"(?<![\w-])(?:{names})(?![\w-])", text) is not None


def line_breaks(text: str) -> str:
    """The text with a line break for each `\\n` written as two characters, as shells hand it over."""
    return text.replace("\\n", "\n")


def split(text: str) -> list[str]:
    """The parts of a list separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def whole_numbers(text: str) -> list[int]:
    """Whole numbers separated by commas.

    Raises:
        ValueError: they are none.
    """
    try:
        return [int(part) for part in split(text)]
    except ValueError:
        raise ValueError("write them as 150,300") from None


def numbers(text: str) -> list[float]:
    """Numbers separated by commas.

    Raises:
        ValueError: they are none.
    """
    try:
        return [float(part) for part in split(text)]
    except ValueError:
        raise ValueError("write them as 0.7,0.3") from None


def json_object(text: str) -> dict[str, Any]:
    """A JSON object; strict.

    Raises:
        ValueError: it is none.
    """
    remedy = """write it as '{"key": 1}'"""
    try:
        value = strict_json.parse(text)
    except ValueError as error:
        raise ValueError(f"{remedy} ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(remedy)
    return value


def key_values(given: Sequence[str]) -> dict[str, Any]:
    """What `KEY=VALUE` texts say: a value is a number, true, false, null or "text" as JSON writes them, else text.

    Raises:
        ValueError: one is not of that form.
    """
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"write each as KEY=VALUE, which {text!r:.60} is not")
        if name in values:
            raise ValueError(f"give {name} once")
        try:
            values[name] = strict_json.parse(value)
        except json.JSONDecodeError:
            values[name] = value
        except ValueError as error:
            raise ValueError(f"{name}: {error}; a text stands in quotes: '{name}=\"...\"'") from None
    return values


def from_one(number: int) -> int:
    """A number from 1 on.

    Raises:
        ValueError: it is none.
    """
    if not 1 <= number <= MOST_INTEGER:
        raise ValueError("use a number from 1 on, of at most 64 bits")
    return number


Commas = Annotated[Sequence[str] | None, Option(parse=split)]
Counted = Annotated[int | None, Option(parse=from_one)]
Folder = Annotated[Path, Option(type=Place(file_okay=False))]
KeyValues = Annotated[Mapping[str, Any], Option(metavar="KEY=VALUE", parse=key_values, repeated=True)]
JsonObject = Annotated[Mapping[str, Any], Option(metavar="JSON", parse=json_object)]
