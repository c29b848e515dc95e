"""Files of a submission: looked at before a byte is believed, their places, and what is published of them."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from xqr_bench import __version__
from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError
from xqr_bench.core.files import is_left_behind
from xqr_bench.core.names import MAX_NAME, is_device, refuse_unreadable
from xqr_bench.core.types import VARIANTS
from xqr_bench.record import Record, folder_name
from xqr_bench.record.exposure import Exposure

# Files of a submission are anybody's: what is looked at before a byte of them is believed.

MAX_RECORD = 4 * 2**20
MAX_NOTE = 2**16
_MAX_RANKS = {"xquad-r": 3 * 2**20}
_MAX_RANKS_DEFAULT = 8 * 2**20
_MAX_SHORT = 2**20
MAX_TOP = 4 * 2**20
"""Bytes of the file of the best candidates."""


def max_ranks(task: str, *, short: bool = False) -> int:
    """The greatest size of a ranks file of this task, in bytes; `short`: of a submission in the short form."""
    if short:
        return _MAX_SHORT
    return _MAX_RANKS.get(task, _MAX_RANKS_DEFAULT)


def check_file(path: Path, limit: int) -> None:
    """Check that `path` is a regular file of at most `limit` bytes, without opening it.

    Raises:
        RecordError: it is missing, a symbolic link, no regular file, or larger.
    """
    try:
        facts = path.lstat()
    except (OSError, ValueError) as error:
        raise RecordError(
            f"there is no file {path}", remedy="a submission is a record and the ranks file beside it"
        ) from error
    if stat.S_ISLNK(facts.st_mode):
        raise RecordError(f"{path} is a symbolic link", remedy="put the file itself there")
    if not stat.S_ISREG(facts.st_mode):
        raise RecordError(f"{path} is no regular file", remedy="put a file there")
    if facts.st_size > limit:
        raise RecordError(
            f"{path} is too large for a submission",
            found=f"{facts.st_size:,} bytes; at most {limit:,}",
            remedy="submit what xqr-bench wrote, unchanged",
        )


def read_json(path: Path, limit: int = MAX_RECORD) -> Any:
    """Read JSON that somebody else wrote.

    Raises:
        RecordError: as `check_file`, or it is no strict JSON.
    """
    check_file(path, limit)
    try:
        return strict_json.read(path, limit)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RecordError(f"{path} is not a record: {why}", remedy="submit what xqr-bench wrote, unchanged") from None


OLDEST_PYTHON = (3, 11)


def check_versions(code: str, python: str) -> None:
    """Check that something can have been made by this version of xqr-bench or an earlier one, under this Python.

    Raises:
        RecordError: it cannot.
    """
    code_now, code_then, python_then = (
        tuple(map(int, re.findall(r"\d+", version)[:3])) for version in (__version__, code, python)
    )
    if not OLDEST_PYTHON <= python_then < (4,):
        raise RecordError(f"xqr-bench does not run under Python {python}", remedy="submit what xqr-bench wrote")
    if code_then > code_now:
        raise RecordError(
            f"it was made by the later version {code} of xqr-bench",
            found=f"this is {__version__}",
            remedy="update xqr-bench",
        )


# Where a submission stands below the leaderboard folder: names somebody else chose, made safe.

RECORD_SUFFIX = ".json"
RANKS_SUFFIX = ".ranks.parquet"
TOP_SUFFIX = ".top.parquet"
RELEVANCE_SUFFIXES = {name: f".{name}.parquet" for name in VARIANTS}
ATTESTATION_SUFFIX = ".reproduced.json"
SIGNATURE_SUFFIX = ".minisig"
PUBLISHED = "published"
STUDIES = "studies"
RATIOS = PurePosixPath(STUDIES, "ratio", "ratios.json")
FIGURES = (RATIOS, *(PurePosixPath(STUDIES, name, RATIOS.name) for name in ("e5", "e5-remedies")))
"""Figures of studies as `xqr-bench report ratios` writes them: the ratio on small encoders and e5-small, remedies."""
_OF_STUDY = re.compile(r"(ratios|remedies|sweep(-[A-Za-z0-9-]{1,40})?)\.json|sums-[A-Za-z0-9]{1,20}\.npz")
"""Beside them: scores and digests of the runs of a machine, and the sums for `xqr-bench report p-values`."""
KEPT = (PUBLISHED, STUDIES)
"""Folders of the leaderboard that are of no model."""
FURNITURE = ("README.md", "schema.json", "leaderboard.schema.json")
"""Files of the leaderboard folder that belong to no submission."""


def check_name(name: str, remedy: str = "evaluate again with --name NAME or --name ORGANISATION/NAME") -> None:
    """Check a model's name, `name` or `organisation/name`, in any script.

    Args:
        name: the name.
        remedy: what to do where it is refused.

    Raises:
        RecordError: it is empty or long, tries to leave the folder, is no file name everywhere, or holds characters
            that cannot be seen.
    """
    parts = name.split("/")
    if any(part.strip() in ("", ".", "..") for part in parts) or "\\" in name or len(parts) > 2:
        raise RecordError(f"the model's name {name!r} could lead out of the leaderboard folder", remedy=remedy)
    refuse_unreadable(name, "the model's name", remedy, RecordError)
    if any(part != part.strip(" .") or part.startswith("-") for part in parts):
        raise RecordError(
            f"the model's name {name!r} begins or ends with a space or a dot, or begins with a hyphen", remedy=remedy
        )
    if is_device(name):
        raise RecordError(f"the model's name {name!r} is a device's on Windows", remedy=remedy)
    if folder_name(name).casefold() in map(str.casefold, (*KEPT, *FURNITURE)):
        raise RecordError(f"the name {name!r} is kept for what else stands in the leaderboard folder", remedy=remedy)


def version_of(record: Record) -> str:
    """The folder of a model's version: its revision, or 12 digits of its digest or of its trained weights' digest."""
    identity = record.model.identity
    if identity.revision:
        return folder_name(identity.revision)[:MAX_NAME]
    if identity.digest:
        return folder_name(identity.digest[:12])
    weights = (record.training or {}).get("weights_digest")  # of a model that was trained and scored in one process
    if isinstance(weights, str) and weights:
        return folder_name(weights[:12])
    facts = identity.model_dump(mode="json", exclude_none=True)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def record_place(record: Record) -> PurePosixPath:
    """The path of the record below the leaderboard folder."""
    check_name(record.model.name)
    folder = folder_name(record.model.name)
    return PurePosixPath(folder, version_of(record), f"{folder_name(record.task.name)}{RECORD_SUFFIX}")


def ranks_path(record: Path) -> Path:
    """The ranks file that belongs to a record's path."""
    return record.with_suffix(RANKS_SUFFIX)


def relevance_paths(record: Path) -> dict[str, Path]:
    """The files of the rules of relevance that belong to a record's path, whether there or not: rule -> path."""
    return {name: record.with_suffix(suffix) for name, suffix in RELEVANCE_SUFFIXES.items()}


def attestation_path(record: Path) -> Path:
    """The attestation that belongs to a record's path."""
    return record.with_suffix(ATTESTATION_SUFFIX)


def signature_path(attestation: Path) -> Path:
    """The signature that belongs to an attestation's path."""
    return attestation.with_name(attestation.name + SIGNATURE_SUFFIX)


def is_record(path: Path) -> bool:
    """Whether a file below a version folder is a record by its name."""
    return path.name.endswith(RECORD_SUFFIX) and not path.name.endswith(ATTESTATION_SUFFIX)


def record_paths(folder: Path) -> list[Path]:
    """The records below the leaderboard folder, by path; links are not followed."""
    versions = [
        version for model in sorted(_folders(folder)) if model.name not in KEPT for version in sorted(_folders(model))
    ]
    return [path for version in versions for path in sorted(version.iterdir()) if is_record(path)]


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]


def strange_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """What stands in the leaderboard folder and belongs neither to it nor to a submission, and why."""
    names: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_symlink():
            yield path, "a symbolic link"
        elif parts[0] == STUDIES:
            place = PurePosixPath(*parts)
            beside = any(place.parent == one.parent for one in FIGURES) and _OF_STUDY.fullmatch(place.name)
            if not beside and not any(place in one.parents for one in FIGURES):
                yield path, "not the figures of a study"
        elif parts[0] == PUBLISHED or path.is_dir():
            same = names.setdefault("/".join(parts).casefold(), path) if len(parts) <= 2 else path
            if len(parts) > 2:
                yield path, "a folder too deep"
            elif len(parts) == 2 and parts[0] == PUBLISHED and path.suffix != ".json":
                yield path, "not a file of published figures"
            elif same != path:
                yield path, f"the same name as {same.name} on some systems"
        elif path.name not in FURNITURE if len(parts) == 1 else len(parts) != 3 or not _belongs(path):
            yield path, "not part of a submission"


_BESIDE = (
    RANKS_SUFFIX,
    TOP_SUFFIX,
    *RELEVANCE_SUFFIXES.values(),
    ATTESTATION_SUFFIX,
    ATTESTATION_SUFFIX + SIGNATURE_SUFFIX,
)


def _belongs(path: Path) -> bool:
    """Whether the file is a record, or stands beside the record it belongs to."""
    for suffix in _BESIDE:
        if path.name.endswith(suffix):
            return path.with_name(path.name.removesuffix(suffix) + RECORD_SUFFIX).is_file()
    return is_record(path)


def is_ours_left_behind(path: Path, folder: Path) -> bool:
    """Whether a stopped run may have left the file: it is named after one that has its place there."""
    if not is_left_behind(path) or path.is_symlink() or not path.is_file():
        return False
    name = path.name
    while is_left_behind(Path(name)):
        name = name[1:].rsplit(".", 2)[0]
    parts = (*path.relative_to(folder).parts[:-1], name)
    if any(PurePosixPath(*parts).parent == one.parent for one in FIGURES):
        return _OF_STUDY.fullmatch(parts[-1]) is not None
    if len(parts) == 1:
        return parts[-1] in FURNITURE
    return name.endswith((RECORD_SUFFIX, *_BESIDE)) and len(parts) == (2 if parts[0] == PUBLISHED else 3)


Published = TypeVar("Published", bound=Record)

# What of a record is nobody else's business: paths of the machine it was made on.

_TEXTS = frozenset({"query_prompt", "candidate_prompt", "prompt_name", "context_template"})
"""Arguments that are put before texts: never paths."""
_LOCAL = frozenset({"output", "leaderboard", "trec_run"})
"""Arguments that only say where something was written."""
_PREFIXES = ("precomputed:", "run:", "scores:")
_PATH = re.compile(r"(?<![\w.:/\\~])(?:~?/|~?\\|[A-Za-z]:[\\/])[^\s\\/:'\"<>|]+(?::?[\\/]+[^\s\\/:'\"<>|]+)+[\\/]*")


def publishable(record: Published) -> Published:
    """The record with local paths cut down to their last part; scores, identity and ranks stay as they are."""
    given = record.provenance
    hardware = _mapped(given.hardware, _without_paths)
    clean = {"arguments": _arguments(given.arguments), "settings": _arguments(given.settings), "hardware": hardware}
    texts = {name: _mapped(getattr(record, name), _without_paths) for name in ("warnings", "training", "run_group")}
    if record.exposure is not None:
        texts["exposure"] = Exposure.model_validate(_mapped(record.exposure.model_dump(), _without_paths))
    return record.model_copy(update={"provenance": given.model_copy(update=clean), **texts})


def local_paths(record: Record) -> bool:
    """Whether the record holds paths of the machine it was made on."""
    clean = publishable(record)
    return clean.model_dump(exclude={"scores"}) != record.model_dump(exclude={"scores"})


def _arguments(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if name in _TEXTS else _mapped(value, short_path)
        for name, value in values.items()
        if name not in _LOCAL
    }


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The value with every text in it changed, keys left as they are."""
    if isinstance(value, dict):
        return {name: _mapped(child, change) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(child, change) for child in value]
    return change(value) if isinstance(value, str) else value


def short_path(value: str) -> str:
    """An argument that is a path out of the working folder: its last part, with what stands before and after."""
    if value.startswith("fuse:"):
        with suppress(ValueError):  # quotes that do not end: no fusion
            first, *models = shlex.split(value)
            return shlex.join([first, *map(short_path, models)])
    for prefix in _PREFIXES:
        if value.startswith(prefix):
            return prefix + short_path(value.removeprefix(prefix))
    for path in (PurePosixPath(value), PureWindowsPath(value)):
        if path.is_absolute() or path.drive or path.root or value.startswith("~") or ".." in path.parts:
            last = path.name if path.name not in ("", "..") else "."
            return last if last == value else short_path(last)  # the last part may be a path elsewhere: `C:run`
    return value


def _without_paths(text: str) -> str:
    """Free text in which each absolute path became its last part."""
    return _PATH.sub(lambda path: re.split(r"[\\/]", path.group().rstrip("\\/"))[-1], text)
