"""Registries: a decorator, entry points, and the closest names for a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Generic, TypeVar, cast

from xqr_bench.core.errors import UnknownNameError, XqrBenchError, code_of_others

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one kind.

    Args:
        kind: the word used in messages, such as "metric".
        entry_point_group: installed packages may add to this group (optional).
    """

    def __init__(self, kind: str, entry_point_group: str | None = None) -> None:
        self.kind = kind
        self.entry_point_group = entry_point_group
        self._own: dict[str, T] = {}
        self._later: dict[str, metadata.EntryPoint] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers its argument under `name`; a name is taken once."""

        def add(thing: T) -> T:
            if name in self._own:
                raise XqrBenchError(f"the {self.kind} {name!r} is registered twice")
            self._own[name] = thing
            return thing

        return add

    def register_module(self, name: str, place: str) -> None:
        """Register what stands at `place` ("package.module:attribute"); it is imported when it is first asked for."""
        self._later[name] = metadata.EntryPoint(name, place, self.entry_point_group or self.kind)

    def _entry_points(self) -> dict[str, metadata.EntryPoint]:
        if self.entry_point_group is None:
            return {}
        return {point.name: point for point in metadata.entry_points(group=self.entry_point_group)}

    def names(self) -> list[str]:
        """All names, built-in ones first in order of registration, then plugins by name."""
        own = dict.fromkeys([*self._own, *self._later])
        return [*own, *sorted(set(self._entry_points()) - set(own))]

    def origins(self) -> dict[str, str]:
        """Name -> what brings it: "built in", or the installed distribution and its version."""
        points = self._entry_points()
        return {name: _distribution(points[name]) if name in points else "built in" for name in self.names()}

    def get(self, name: str) -> T:
        """Return what is registered under `name`.

        Raises:
            UnknownNameError: nothing is; the closest names are listed.
            XqrBenchError: a plugin is, but cannot be imported.
        """
        if name in self._own:
            return self._own[name]
        if name in self._later:
            return cast(T, self._later[name].load())
        points = self._entry_points()
        if name not in points:
            raise UnknownNameError(self.kind, name, self.names())
        problem = f"the plugin {name!r} ({points[name].value}) cannot be loaded"
        with code_of_others(problem, "reinstall or update the package that brings it"):
            thing: T = points[name].load()
        return thing

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._later or name in self._entry_points()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())


def _distribution(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
