"""Options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from xqr_bench.core.errors import UsageError
from xqr_bench.core.options import Option


@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """Where the data files of tasks are.

    Attributes:
        data_dir: Folder with the data files (<folder>/xquad-r/en.json). Default: XQR_BENCH_DATA, else the cache.
    """

    data_dir: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random numbers of tests.

    Attributes:
        seed: Of every draw.
        resamples: Of the randomisation tests.
    """

    seed: int = 0
    resamples: int = 10_000


@dataclass(frozen=True, kw_only=True)
class Form:
    """In which form tables are printed; for people where none is asked for.

    Attributes:
        as_json: Print everything as JSON.
        as_markdown: Print the tables in Markdown.

    Raises:
        UsageError: two forms are asked for.
    """

    as_json: Annotated[bool, Option("--json")] = False
    as_markdown: Annotated[bool, Option("--markdown")] = False

    def __post_init__(self) -> None:
        forms = [name.removeprefix("as_") for name, asked in vars(self).items() if asked]
        if len(forms) > 1:
            raise UsageError(f"--{forms[0]} and --{forms[1]} exclude each other", remedy="give one of them")
