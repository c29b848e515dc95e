"""Names that are safe in a file name, and addresses that are safe in a link."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

MAX_STEM = 90
_UNSAFE = re.compile(r"[^a-z0-9._-]+")


def file_stem(text: str) -> str:
    """Lower-case letters a-z, digits, `.`, `_` and `-`; never empty, never starting with a dot or a hyphen."""
    stem = _UNSAFE.sub("-", text.lower()).strip("-.")
    return stem[:MAX_STEM].rstrip("-.") or "model"


def unique_stems(named: Mapping[tuple[str, ...], str]) -> dict[tuple[str, ...], str]:
    """A file stem for each of these keys, made from its text; where two would share one, each gets a digest of its key.

    Stems are lower case, so that they stay apart on file systems that ignore it.
    """
    stems = {key: file_stem(text) for key, text in named.items()}
    for digits in (8, 64):
        counts = Counter(stems.values())
        for key, stem in stems.items():
            if counts[stem] > 1:
                digest = hashlib.sha256(ascii(key).encode()).hexdigest()
                stems[key] = f"{file_stem(named[key])}-{digest[:digits]}"
    return stems


def safe_url(address: str | None) -> str | None:
    """The address, where it is http or https with a host; else None: it is then shown as text."""
    if not address or any(character.isspace() or ord(character) < 32 for character in address):
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.hostname else None
