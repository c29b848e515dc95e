"""Readers of source formats: a format is one module in this folder that registers its reader in `READERS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

from xqr_bench.core.registry import Registry


@dataclass(frozen=True, slots=True)
class SourceCandidate:
    """A candidate as its file has it.

    Attributes:
        id: no other candidate of the file has it; what it is called in the task is `lang:id`.
        text: what is encoded and ranked.
        group: the unit of candidates it belongs to; empty: none.
        context: the text it stands in, the same for all of its group; empty: none.
        cluster: the cluster it belongs to; empty: none.
    """

    id: str
    text: str
    group: str = ""
    context: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class SourceQuestion:
    """A question as its file has it.

    Attributes:
        id: its translations in other files have it too.
        text: what is encoded.
        gains: index of each relevant candidate of the file, ascending -> its gain, above 0.
        cluster: the cluster it is about; empty: it is one of its own.
        echoes: ascending indices of the other candidates of the groups of its relevants that contain one of its
            answers, word for word; None where the format does not tell.
    """

    id: str
    text: str
    gains: Mapping[int, float]
    cluster: str = ""
    echoes: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class LanguageData:
    """One file: the candidates and questions of a language, in file order, and the titles of clusters that have one."""

    candidates: tuple[SourceCandidate, ...]
    questions: tuple[SourceQuestion, ...]
    titles: Mapping[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """Turns the bytes of one file into `LanguageData`, checking everything it relies on.

    Args:
        content: the whole file.
        name: how messages call the file.

    Raises:
        DataError: the content is not in this format; names file, position and remedy.
    """

    def __call__(self, content: bytes, name: str) -> LanguageData:  # noqa: D102
        ...


READERS: Registry[Reader] = Registry("source format")


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["READERS", "LanguageData", "Reader", "SourceCandidate", "SourceQuestion"]
