"""What a public function or dataclass is given in Python, held to its annotations: one error says what is wanted."""

from __future__ import annotations

import functools
import inspect
import operator
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.strict_json import MOST_INTEGER

T = TypeVar("T", bound=Callable[..., Any])


def checked(thing: T) -> T:
    """Decorate a function or a dataclass: what it is given is of the annotated types, or a UsageError.

    A number of numpy is a number, and a text is a path where one is wanted; a text is no list of letters. What an
    annotation says beyond that, such as the words of a Literal, is not looked at.
    """
    public: Any = thing
    if not isinstance(thing, type):
        return typing.cast(T, _checking(public, public))
    public.__init__ = _checking(public.__init__, public)
    return thing


def _checking(function: Callable[..., Any], annotated: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
    several = {name for name, one in signature.parameters.items() if one.kind is inspect.Parameter.VAR_POSITIONAL}

    @functools.cache
    def hints() -> dict[str, Any]:
        there = {name: hint for name, hint in typing.get_type_hints(annotated).items() if name in signature.parameters}
        for name, hint in list(there.items()):
            if typing.get_origin(hint) is typing.Unpack:
                there |= typing.get_type_hints(typing.get_args(there.pop(name))[0])
        return there

    @functools.wraps(function)
    def held(*arguments: Any, **named: Any) -> Any:
        for name in named:
            if name not in hints():
                raise UnknownNameError("argument", name, hints())
        try:
            given = signature.bind(*arguments, **named).arguments
        except TypeError as error:
            raise UsageError(str(error), remedy=f"the arguments are: {', '.join(hints())}") from None
        values = {**named, **{name: value for name, value in given.items() if name in hints()}}
        values = {
            name: tuple(fitting(name, one, hints()[name]) for one in value)
            if name in several
            else fitting(name, value, hints()[name])
            for name, value in values.items()
        }
        positional: list[Any] = []
        for name, value in given.items():
            positional += values.get(name, value) if name in several else [values.get(name, value)]
        return function(*positional[: len(arguments)], **{name: values[name] for name in named})

    return held


def fitting(name: str, value: Any, hint: Any) -> Any:
    """The value of an argument, as its annotation wants it; see `checked`.

    Raises:
        UsageError: it is something else.
    """
    try:
        return _as(value, hint)
    except OverflowError:  # no file could hold it
        raise UsageError(
            f"{name} cannot be {value!r:.60}: it has more than 64 bits", remedy="give a smaller number"
        ) from None
    except TypeError:
        raise UsageError(
            f"{name} cannot be {value!r:.60} ({type(value).__name__})", remedy=f"give {_wanted(hint)}"
        ) from None


def _as(value: Any, hint: Any) -> Any:
    """The value as what is wanted.

    Raises:
        TypeError: it is something else.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _as_one_of(value, inner)
    if origin is typing.Literal:
        return _as(value, type(inner[0]))
    if origin is tuple and inner[1:] != (...,):
        return _as(value, tuple)
    if origin in _MANY and isinstance(value, str | bytes):
        raise TypeError
    if inner and origin in (Sequence, list, tuple):
        if not isinstance(value, Sequence):
            raise TypeError
        made = [_as(one, inner[0]) for one in value]
        if origin is tuple:
            return tuple(made)
        return value if all(map(operator.is_, made, value)) else made
    kind = origin or hint
    if kind is int or kind is float:
        if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real):
            raise TypeError
        number = kind(value)  # type: ignore[call-overload]
        if kind is int and abs(number) > MOST_INTEGER:
            raise OverflowError
        return number
    if kind is Path and isinstance(value, str | Path):
        if "\0" in str(value):  # the path of no file
            raise TypeError
        return Path(value)
    anything = kind is Any or not isinstance(kind, type) or getattr(kind, "_is_protocol", False)
    if not anything and not isinstance(value, kind):
        raise TypeError
    return value


def _as_one_of(value: Any, hints: Sequence[Any]) -> Any:
    for hint in sorted(hints, key=lambda hint: hint is not type(value)):
        try:
            return _as(value, hint)
        except TypeError:
            continue
    raise TypeError


_MANY = (Sequence, Iterable, Collection, list, tuple)
_WORDS = {int: "whole number", float: "number", str: "text", Path: "path", Mapping: "dict"}


def _wanted(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_wanted, inner))
    if hint is bool:
        return "True or False"
    if hint is type(None):
        return "None"
    if inner and origin in _MANY:
        if typing.get_origin(inner[0]) in _MANY:
            return f"a list of lists, each entry of which is {_wanted(typing.get_args(inner[0])[0])}"
        return f"a list, even of one, each {_wanted(inner[0])}"
    kind = origin or hint
    named = _WORDS.get(kind, kind.__name__)
    return f"a {named}" + (f" ({kind.__module__})" if kind.__module__.startswith("xqr_bench.") else "")
