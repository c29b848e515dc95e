"""TOML that a user wrote: read with one clear error, and where in the file a key stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.files import read_text


class FaultyFileError(UsageError):
    """All faults of a file that says what is to be run, of which nothing was.

    Attributes:
        faults: where each stands, and what it is.
    """

    def __init__(self, path: Path, faults: Sequence[tuple[str, XqrBenchError]]) -> None:
        self.faults = list(faults)
        super().__init__(f"{path} has {len(faults)} fault{'s' * (len(faults) != 1)}, so nothing was run")

    def __str__(self) -> str:
        lines = [self.problem]
        for place, fault in self.faults:
            lines += [f"{place}: {first}" if n == 0 else first for n, first in enumerate(str(fault).splitlines())]
        return "\n  ".join(lines)


def read_toml(
    path: Path, what: str, error: type[XqrBenchError], *, remedy: str = "correct that line"
) -> tuple[dict[str, Any], str]:
    """The document of a file, and its text.

    Args:
        path: the file.
        what: what it should be, such as "task file".
        error: what is raised.
        remedy: what to do where it is no TOML.

    Raises:
        XqrBenchError: it cannot be read, or is no TOML.
    """
    try:
        text = read_text(path)
        return tomllib.loads(text), text
    except FileNotFoundError:
        raise error(f"there is no {what} {path}", remedy="check the path") from None
    except OSError as fault:
        raise error(f"cannot read the {what} {path}: {fault.strerror or fault}") from fault
    except UnicodeDecodeError as fault:
        raise error(f"{path}: not UTF-8 text, at byte {fault.start}", remedy="save it as UTF-8") from None
    except ValueError as fault:  # TOMLDecodeError, or an integer of more digits than Python reads
        raise error(f"{path}: not TOML: {fault}", remedy=remedy) from None
    except RecursionError:
        problem = f"{path}: not a {what}: nested too deeply"
        raise error(problem, remedy="write its tables as the documentation has them") from None


def line_of(text: str, table: str = "", number: int = 0, key: str = "") -> int | None:
    """The line, from 1 on, in which a table of an array of tables begins, or a key of it; None: it was not found.

    A table or key that is written within a line (`model = [{...}]`) is not found, nor is one with escapes in its name.

    Args:
        text: TOML that can be read.
        table: `model` of `[[model]]`; empty: the keys before the first table.
        number: which of these tables, from 0 on.
        key: empty: the heading of the table.
    """
    name = rf"""["']?{re.escape(key)}["']?\s*"""
    within = rf"\[\s*{re.escape(table)}\s*\.\s*{name}[\].]" if table else rf"\[\[?\s*{name}[\].]"
    wanted = re.compile(rf"\s*(?:{name}[.=]|{within})")
    heading = re.compile(r"\s*\[\[\s*([\w-]+)\s*\]\]")
    seen = {"": 1}
    here = ""
    before = ""
    for line_number, line in enumerate(text.splitlines(keepends=True), 1):
        found = heading.match(line)
        if (found or wanted.match(line)) and _complete(before):
            if found:
                here = found[1]
                seen[here] = seen.get(here, 0) + 1
            of_table = (here == table and seen[here] == number + 1) or (not table and line.lstrip().startswith("["))
            if of_table and (wanted.match(line) if key else found):
                return line_number
        before += line
    return None


def _complete(before: str) -> bool:
    """Whether a line that follows stands in no text or list of several lines."""
    try:
        tomllib.loads(before)
    except tomllib.TOMLDecodeError:
        return False
    return True
