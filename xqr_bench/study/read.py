"""Reading the JSON files of a sweep's folder: what a stopped disk or a hand has broken is told, not met later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xqr_bench import strict_json
from xqr_bench.errors import RecordError


def read_object(path: Path, keys: tuple[str, ...], remedy: str) -> dict[str, Any]:
    """Read a JSON object that has these keys; `a.b` is the key b of the object a.

    Raises:
        RecordError: it cannot be read, or a key is missing.
    """
    try:
        found = strict_json.read(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RecordError(f"{path} cannot be read: {why}", remedy=remedy) from error
    if not isinstance(found, dict):
        raise RecordError(f"{path} cannot be used: it is no JSON object", remedy=remedy)
    for key in keys:
        inside: Any = found
        for part in key.split("."):
            if not isinstance(inside, dict) or part not in inside:
                raise RecordError(f"{path} cannot be used: it has no {key}", remedy=remedy)
            inside = inside[part]
    return found
