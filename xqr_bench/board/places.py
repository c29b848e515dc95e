"""Where a submission stands below the leaderboard folder: names somebody else chose, made safe."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path, PurePosixPath

from xqr_bench.errors import RecordError
from xqr_bench.record import Record, folder_name
from xqr_bench.types import VARIANTS

MAX_NAME = 150
RECORD_SUFFIX = ".json"
RANKS_SUFFIX = ".ranks.parquet"
RELEVANCE_SUFFIXES = {name: f".{name}.parquet" for name in VARIANTS}
ATTESTATION_SUFFIX = ".reproduced.json"
PUBLISHED = "published"
STUDIES = "studies"
RATIOS = PurePosixPath(STUDIES, "ratio", "ratios.json")
"""Figures of the ratio study, as `xqr-bench report ratios` writes them."""
KEPT = (PUBLISHED, STUDIES)
"""Folders of the leaderboard that are of no model."""
FURNITURE = ("README.md", "schema.json", "leaderboard.schema.json")
"""Files of the leaderboard folder that belong to no submission."""


def check_name(name: str) -> None:
    """Check a model's name, `name` or `organisation/name`.

    Raises:
        RecordError: it is empty or long, tries to leave the folder, or holds characters that cannot be seen.
    """
    remedy = "evaluate again with --name NAME or --name ORGANISATION/NAME"
    parts = name.split("/")
    if any(part.strip() in ("", ".", "..") for part in parts) or "\\" in name or len(parts) > 2:
        raise RecordError(f"the model's name {name!r} could lead out of the leaderboard folder", remedy=remedy)
    if len(name) > MAX_NAME:
        raise RecordError(
            f"the model's name is too long: {name[:40]!r}...", found=f"{len(name)} characters", remedy=remedy
        )
    # controls, and the marks that turn text around
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for character in name):
        raise RecordError(f"the model's name {name!r} holds characters that cannot be seen", remedy=remedy)
    if folder_name(name).casefold() in KEPT:
        raise RecordError(f"the name {name!r} is kept for figures of other kinds", remedy=remedy)


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


def is_record(path: Path) -> bool:
    """Whether a file below a version folder is a record by its name."""
    return path.name.endswith(RECORD_SUFFIX) and not path.name.endswith(ATTESTATION_SUFFIX)


def record_paths(folder: Path) -> list[Path]:
    """The records below the leaderboard folder, by path; links are not followed."""
    found = []
    for model in sorted(_folders(folder)):
        if model.name not in KEPT:
            for version in sorted(_folders(model)):
                found += [path for path in sorted(version.iterdir()) if is_record(path)]
    return found


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]


def strange_files(folder: Path) -> list[tuple[Path, str]]:
    """What stands in the leaderboard folder and belongs neither to it nor to a submission, and why."""
    found: list[tuple[Path, str]] = []
    names: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_symlink():
            found.append((path, "a symbolic link"))
        elif parts[0] == STUDIES:
            if PurePosixPath(*parts) not in (RATIOS, *RATIOS.parents):
                found.append((path, "not the figures of a study"))
        elif parts[0] == PUBLISHED or path.is_dir():
            if len(parts) > 2:
                found.append((path, "a folder too deep"))
            elif len(parts) == 2 and parts[0] == PUBLISHED and path.suffix != ".json":
                found.append((path, "not a file of published figures"))
            elif names.setdefault("/".join(parts).casefold(), path) != path:
                found.append((path, f"the same name as {names['/'.join(parts).casefold()].name} on some systems"))
        elif len(parts) == 1:
            if path.name not in FURNITURE:
                found.append((path, "not part of a submission"))
        elif len(parts) != 3 or not _belongs(path):
            found.append((path, "not part of a submission"))
    return found


def _belongs(path: Path) -> bool:
    """Whether the file is a record, or stands beside the record it belongs to."""
    for suffix in (RANKS_SUFFIX, *RELEVANCE_SUFFIXES.values(), ATTESTATION_SUFFIX):
        if path.name.endswith(suffix):
            return path.with_name(path.name.removesuffix(suffix) + RECORD_SUFFIX).is_file()
    return is_record(path)
