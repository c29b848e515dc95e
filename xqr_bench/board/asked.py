"""What the commands of the leaderboard are asked for; their options are made from these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.options import Option
from xqr_bench.core.types import CROSS_LINGUAL, MAIN_METRIC, MULTILINGUAL, SETTINGS

DIRECTIONS = ("into", "out-of", "within")
EXPOSURE_TITLES = {"unexposed": "no exposure declared", "unknown": "exposure unknown", "exposed": "exposed"}


@dataclass(frozen=True)
class Submission:
    """How a record is put on the leaderboard, and what is said of it.

    Attributes:
        replace: Overwrite a submission of the same model, version and task.
        exposure: What the encoder may have seen of the task: 'evaluation text', 'same source', 'language only',
            'none declared', 'unknown', or a JSON file that says it (docs/exposure.md).
        exposure_note: In words: which data, and where that can be read.
        top_only: Only add the best candidates of each query (RECORD.top.parquet) to the submission that is there: they
            must follow from its ranks, and nothing else of it changes.

    Raises:
        UsageError: top_only, with something that changes the submission.
    """

    replace: bool = False
    exposure: Annotated[str | None, Option(metavar="LEVEL|FILE")] = None
    exposure_note: Annotated[str | None, Option(metavar="TEXT")] = None
    top_only: bool = False

    def __post_init__(self) -> None:
        if self.top_only and (self.replace or self.exposure is not None):
            raise UsageError("--top-only changes nothing of a submission", remedy="leave --replace or --exposure out")


@dataclass(frozen=True, kw_only=True)
class Rerun:
    """What is run again, where the record alone does not say it.

    Attributes:
        data_dir: Folder with the data files (<folder>/xquad-r/en.json). Default: XQR_BENCH_DATA, else the cache.
        model: What to run, where it is not at hand under the record's own MODEL.
        rerank: What ranks the top again, where it is not at hand under the record's own --rerank.
        task: The task file, where the record is of a task of somebody's own.
        transform_from: The translated sentences a transform was estimated on, where they are elsewhere now.
    """

    data_dir: Path | None = None
    model: str | None = None
    rerank: Annotated[str | None, Option(metavar="MODEL")] = None
    task: Annotated[str | None, Option(metavar="FILE")] = None
    transform_from: Annotated[Path | None, Option(metavar="DIR")] = None


@dataclass(frozen=True, kw_only=True)
class Witness:
    """Who attests that the encoder was run again.

    Attributes:
        by: Your name, or your organisation's. Without it the ranks are compared, and no attestation is written.
        sign: Secret key of minisign to sign the attestation with; needs pip install 'xqr-bench[sign]'.

    Raises:
        UsageError: a key without a name.
    """

    by: str | None = None
    sign: Annotated[Path | None, Option(metavar="KEYFILE")] = None

    def __post_init__(self) -> None:
        if self.sign is not None and self.by is None:
            raise UsageError("--sign without --by", remedy="name yourself: --by NAME")


@dataclass(frozen=True)
class View:
    """What is shown of the leaderboard: macro averages, or those of a language or a group.

    Attributes:
        metric: Metric or bias measure.
        settings: Only this setting; repeat for more.
        language: Figures of the queries in this language.
        group: Figures of this language group, such as joshi-3.
        sort: A setting, model, date or status.  [default: multilingual]
        exposure: Only unexposed, unknown or exposed rows; repeat for more.

    Raises:
        UnknownNameError: there is no such setting or class of exposure.
    """

    metric: str = MAIN_METRIC
    settings: tuple[str, ...] = ()
    language: str | None = None
    group: str | None = None
    sort: str | None = None
    exposure: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        choices = {"settings": ("setting", SETTINGS), "exposure": ("class of exposure", tuple(EXPOSURE_TITLES))}
        for field, (kind, allowed) in choices.items():
            chosen = getattr(self, field)
            for name in chosen:
                if name not in allowed:
                    raise UnknownNameError(kind, name, allowed)
            object.__setattr__(self, field, tuple(name for name in allowed if name in chosen) or allowed)

    @property
    def key(self) -> str:
        """What the rows are sorted by."""
        return self.sort or (MULTILINGUAL if MULTILINGUAL in self.settings else self.settings[-1])

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(setting, part of a group): the cross-lingual setting of a group has three."""
        if self.group is None or ":" in self.group:
            return tuple((setting, self.group or "") for setting in self.settings)
        return tuple(
            (setting, name)
            for setting in self.settings
            for name in ([f"{self.group}:{way}" for way in DIRECTIONS] if setting == CROSS_LINGUAL else [self.group])
        )
