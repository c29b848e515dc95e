"""Readers of source formats: a format is one module in this folder that registers its reader in `READERS`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

from xqr_bench.core.registry import Registry

# What every reader gives: the sentences and questions of one language.


@dataclass(frozen=True, slots=True)
class Sentence:
    """A candidate at its 0-based place in the file, and the text of its paragraph (empty: there is none)."""

    article: int
    paragraph: int
    position: int
    text: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its article, and the ascending indices of its relevant sentences in the file.

    `echoes` are those of the other sentences of their paragraphs that contain one of its answers, word for word; None
    where the format does not tell.
    """

    id: str
    text: str
    article: int
    relevants: tuple[int, ...]
    echoes: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class LanguageData:
    """One file: all sentences and all questions of one language, in file order; titles by article (empty: none)."""

    sentences: tuple[Sentence, ...]
    questions: tuple[Question, ...]
    titles: tuple[str, ...] = ()


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

__all__ = ["READERS", "LanguageData", "Question", "Reader", "Sentence"]
