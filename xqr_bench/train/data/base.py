"""What a reader of training data is, and the registry that finds one for a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from xqr_bench.registry import Registry
from xqr_bench.train.types import ParallelData


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a reader.

    Attributes:
        source: the path (or name) as given, without a format in front.
        languages: keep only these, in this order; None: all there are.
        data_dir: the folder of data files, as for tasks; None: XQR_BENCH_DATA, else the cache.
        limit: keep only the first so many questions; None: all.
        options: of the format, such as `negatives` of mMARCO.
    """

    source: str
    languages: tuple[str, ...] | None = None
    data_dir: Path | None = None
    limit: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The source as a path."""
        return Path(self.source).expanduser()

    def chosen(self, found: Sequence[str]) -> tuple[str, ...]:
        """The languages to keep of those that are there, in the order asked for.

        Raises:
            UsageError: one asked for is not there, or named twice.
        """
        from xqr_bench.errors import UsageError

        if self.languages is None:
            return tuple(found)
        missing = [code for code in self.languages if code not in found]
        if missing:
            raise UsageError(
                f"{self.source} has no language {', '.join(missing)}",
                found=f"languages: {', '.join(found)}",
                remedy="name some of these",
            )
        if not self.languages or len(set(self.languages)) < len(self.languages):
            raise UsageError("name each language once, and at least one", found=", ".join(self.languages) or "none")
        return self.languages


class DataReader(Protocol):
    """Reads one format of training data.

    `claims` tells from the outside (name, suffix, files of a folder) whether a source is in this format; `read` reads
    it, checking everything it relies on, and names file and line of what is wrong.
    """

    summary: str

    def claims(self, request: Request) -> bool:  # noqa: D102
        ...

    def read(self, request: Request) -> ParallelData:  # noqa: D102
        ...


FORMATS: Registry[DataReader] = Registry("format of training data", "xqr_bench.training_data")
