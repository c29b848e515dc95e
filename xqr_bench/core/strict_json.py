"""JSON that somebody else may have written: bounded, without ambiguity, every fault a ValueError.

The json module alone reads more than JSON (NaN, lone surrogates, two values under one key, of which the last counts)
and fails with a RecursionError where lists are nested deeply. All foreign JSON comes in here, so that what one command
accepts no other command stumbles over.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    Model = TypeVar("Model", bound=BaseModel)

MAX_NESTING = 64
MAX_BYTES = 32 * 2**20
MOST_INTEGER = 2**63 - 1
"""The greatest whole number that a file of ours can hold; what is to stand in one is no greater."""
_MAX_DIGITS = len(str(MOST_INTEGER))
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read(path: Path, limit: int = MAX_BYTES) -> Any:
    """Read a file of JSON.

    Args:
        path: the file, UTF-8, with or without a byte order mark.
        limit: the greatest size in bytes.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger, or as `parse`.
    """
    from xqr_bench.core.files import stored

    size = stored(path).stat().st_size
    if size > limit:
        raise ValueError(f"the file has {size:,} bytes, more than the {limit:,} allowed")
    return parse(path.read_bytes())


def parse(content: bytes | str) -> Any:
    """Parse JSON text.

    Raises:
        ValueError: it is not UTF-8 or not JSON (json.JSONDecodeError), is nested too deeply, has a key twice, half of a
            surrogate pair, or a number that is not finite or has more digits than 64 bits hold.
    """
    text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    too_deep = ValueError(f"it is nested more than {MAX_NESTING} levels deep")
    try:
        data = _DECODER.decode(text)
    except RecursionError:
        raise too_deep from None
    if text.count("[") + text.count("{") > MAX_NESTING and _too_deep(data):
        raise too_deep
    if _SURROGATE.search(text):
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            place = _broken_text(data)
            raise ValueError(f"the text {place} holds half of a surrogate pair, which is no character") from None
    return data


def validate(model: type[Model], data: Any) -> Model:
    """Check parsed JSON against a pydantic model: a number must be a number, not a text that reads like one.

    Raises:
        pydantic.ValidationError: it does not have that form.
    """
    return model.model_validate_json(json.dumps(data), strict=True)


def first_fault(error: ValidationError) -> str:
    """The first fault that pydantic found, with its place: `languages.en.query: Field required`."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place + ': ' if place else ''}{first['msg']}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key[:40]!r} stands there twice")
            seen.add(key)
    return made


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large for a number")
    return value


def _int(text: str) -> int:
    if len(text.lstrip("-")) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text):,} digits is too large")
    return int(text)


def _too_deep(data: Any) -> bool:
    """Whether lists and objects are nested too deeply, found level by level, without recursion."""
    level = [data]
    for _ in range(MAX_NESTING + 1):
        level = [value for value in level if isinstance(value, dict | list)]
        if not level:
            return False
        level = [child for value in level for child in (value.values() if isinstance(value, dict) else value)]
    return True


def _broken_text(data: Any) -> str:
    """Where the first text stands that UTF-8 cannot hold, as keys and numbers (from 0) joined by points."""
    left = [(data, "")]
    while left:
        value, place = left.pop()
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        left += reversed([(child, f"{place}.{key}") for key, child in children])
        texts = list(value) if isinstance(value, dict) else [value] if isinstance(value, str) else []
        if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
            return (place or ".").removeprefix(".").encode(errors="replace").decode() or "at the top"
    return "somewhere"


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_float, parse_int=_int)
