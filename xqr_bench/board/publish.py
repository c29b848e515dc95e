"""What of a record is nobody else's business: paths of the machine it was made on."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from xqr_bench.exposure import Exposure
from xqr_bench.record import Record

_TEXTS = frozenset({"query_prompt", "candidate_prompt", "prompt_name", "context_template"})
"""Arguments that are put before texts: never paths."""
_LOCAL = frozenset({"output", "leaderboard", "trec_run"})
"""Arguments that only say where something was written."""
_PREFIXES = ("precomputed:", "run:")
_PATH = re.compile(r"(?<![\w.:/\\~])(?:~?/|~?\\|[A-Za-z]:[\\/])[^\s\\/:'\"<>|]+(?:[\\/][^\s\\/:'\"<>|]+)+[\\/]?")


def publishable(record: Record) -> Record:
    """The record with local paths cut down to their last part; scores, identity and ranks stay as they are."""
    provenance = record.provenance.model_copy(
        update={
            "arguments": _arguments(record.provenance.arguments),
            "settings": _arguments(record.provenance.settings),
            "hardware": _free(record.provenance.hardware),
        }
    )
    free = {name: _free(getattr(record, name)) for name in ("training", "run_group")}
    if record.exposure is not None:
        free["exposure"] = Exposure.model_validate(_free(record.exposure.model_dump()))
    clean = record.model_copy(update={"provenance": provenance, "warnings": _free(record.warnings), **free})
    clean._ranks = record._ranks
    return clean


def local_paths(record: Record) -> bool:
    """Whether the record holds paths of the machine it was made on."""
    clean = publishable(record)
    return clean.model_dump(exclude={"scores"}) != record.model_dump(exclude={"scores"})


def _arguments(values: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in values.items() if name not in _LOCAL}
    return {name: value if name in _TEXTS else _argument(value) for name, value in kept.items()}


def _argument(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _argument(found) for name, found in value.items()}
    if isinstance(value, list | tuple):
        return [_argument(found) for found in value]
    return short_path(value) if isinstance(value, str) else value


def short_path(value: str) -> str:
    """An argument that is a path out of the working folder: its last part, with what stands before and after."""
    for prefix in _PREFIXES:
        if value.startswith(prefix):
            return prefix + short_path(value.removeprefix(prefix))
    posix, windows = PurePosixPath(value), PureWindowsPath(value)
    if posix.is_absolute() or value.startswith("~") or ".." in posix.parts:
        return posix.name if posix.name not in ("", "..") else "."
    if windows.drive or windows.root or ".." in windows.parts:
        return windows.name if windows.name not in ("", "..") else "."
    return value


def _free(value: Any) -> Any:
    """Free text and whatever holds it: each absolute path becomes its last part."""
    if isinstance(value, dict):
        return {name: _free(found) for name, found in value.items()}
    if isinstance(value, list | tuple):
        return [_free(found) for found in value]
    if isinstance(value, str):
        return _PATH.sub(lambda found: re.split(r"[\\/]", found.group().rstrip("\\/"))[-1], value)
    return value
