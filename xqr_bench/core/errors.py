"""The one family of exceptions: what was asked, what is there, what to do next."""

from __future__ import annotations

import difflib
import os
import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class XqrBenchError(Exception):
    """Base of every error a user can cause or meet.

    Args:
        problem: what was asked and why it cannot be done, in one sentence.
        found: what is there instead (optional).
        remedy: what to do next (optional).
    """

    def __init__(self, problem: str, *, found: str | None = None, remedy: str | None = None) -> None:
        self.problem = problem
        self.found = found
        self.remedy = remedy
        super().__init__(problem, found, remedy)

    @property
    def fault(self) -> str:
        """What is wrong, on one line, for an error that has a remedy of its own."""
        return _one_line(f"{self.problem} ({self.found})" if self.found else self.problem)

    def __str__(self) -> str:
        parts = [_one_line(self.problem)]
        if self.found:
            parts.append(f"found: {_one_line(self.found)}")
        if self.remedy:
            parts.append(f"to do: {_one_line(self.remedy)}")
        return "\n  ".join(parts)


def _one_line(part: str) -> str:
    """No name or text of others begins a line of its own, which would look like ours."""
    return re.sub(r"\s*\n\s*", " ", part)


class UsageError(XqrBenchError):
    """An argument that cannot be meant as given."""


def closest(name: str, names: Iterable[str], what: str = "closest") -> str | None:
    """`closest: a, b` of the names that may be meant, in small or capital letters; None: none is close."""
    folded = {one.casefold(): one for one in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.55)
    return f"{what}: {', '.join(folded[one] for one in close)}" if close else None


class UnknownNameError(UsageError):
    """A name that nothing is registered under; the message lists the closest ones."""

    def __init__(self, kind: str, name: str, there: Iterable[str], *, remedy: str | None = None) -> None:
        names = sorted(set(there))
        listing = ", ".join(names) or "none"
        remedy = remedy or f"use one of: {listing}"
        found = closest(name, names) or (None if listing in remedy else f"known: {listing}")
        super().__init__(f"there is no {kind} named {name!r}", found=found, remedy=remedy)


_OURS = str(Path(__file__).resolve().parent.parent)


def located(error: BaseException) -> str:
    """An error of code that is not ours: its type, its first line, and the file and line where that code raised it."""
    lines = str(error).strip().splitlines()
    text = type(error).__name__ + (f": {lines[0]}" if lines else "")
    if isinstance(error, SyntaxError):  # Python's own text of it names them
        return text
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    installed = [frame for frame in frames if "-packages" in frame.filename]
    standard = os.path.dirname(os.__file__)  # noqa: PTH120
    own = [frame for frame in frames if not frame.filename.startswith(("<", standard)) and frame not in installed]
    frame = own[-1] if own else next(iter(installed), None)  # of an installed plugin: what we called
    if frame is None:
        return text
    path = Path(frame.filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{text} ({shown}, line {frame.lineno})"


def pass_on_stops(error: BaseException) -> None:
    """Raise what stops us, such as Ctrl-C; whatever else code of others raises, an exit too, is a failure of it."""
    if isinstance(error, KeyboardInterrupt | GeneratorExit):
        raise error


_their_folders: list[str] = []


def begin_in_our_folder() -> None:
    """Have the next code of others, such as another encoder, begin in the current folder."""
    _their_folders.clear()


@contextmanager
def folder_of_others() -> Iterator[None]:
    """Run code that may change the current folder: it finds the one that it left again, and we keep ours."""
    ours = os.getcwd()  # noqa: PTH109
    for theirs in _their_folders:
        os.chdir(theirs)
    try:
        yield
    finally:
        with suppress(OSError):
            theirs = os.getcwd()  # noqa: PTH109
            _their_folders[:] = [theirs] if theirs != ours else []
        os.chdir(ours)


@contextmanager
def code_of_others(problem: str, remedy: str) -> Iterator[None]:
    """Run code that is not ours, such as an encoder of the user; whatever it raises is one error that says where.

    Raises:
        EncoderError: it raised something.
    """
    try:
        with folder_of_others():
            yield
    except XqrBenchError:
        raise
    except BaseException as error:
        pass_on_stops(error)
        raise EncoderError(problem, found=located(error), remedy=f"{remedy}; --traceback shows all of it") from error


class TaskError(XqrBenchError):
    """A task file that cannot be read or does not make sense."""


class DataError(XqrBenchError):
    """A data file that is missing, damaged, or not what the task says."""


class DownloadError(DataError):
    """A download that failed; nothing was left half-written."""


class EncoderError(XqrBenchError):
    """An encoder that cannot be loaded or returned what cannot be scored."""


class RanksError(XqrBenchError):
    """Ranks that cannot be counted or are not possible."""


class RunError(XqrBenchError):
    """A TREC run or qrels file that cannot be written, read or scored."""


class SavedIndexError(XqrBenchError):
    """A saved index that cannot be read, or that belongs to another encoder or other data."""


class RecordError(XqrBenchError):
    """A record that cannot be read, or whose scores do not follow from its ranks."""


class TrainingError(XqrBenchError):
    """A training that cannot go on."""


class EngineError(XqrBenchError):
    """Workers on other machines that cannot be had, or failed."""
