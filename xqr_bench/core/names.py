"""Names of models: which characters are unseen, which names look alike (Unicode TS 39), which are no file names."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from unicodedata import category, normalize

from xqr_bench.core.errors import UsageError, XqrBenchError

# What is drawn as nothing and is no control or format character: joiners, fillers, selectors of variants, the empty
# Braille pattern, the empty note, what stands for an object.
_NOTHING = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)
_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@lru_cache(2**12)
def unseen(character: str) -> bool:
    """Whether a character cannot be seen: controls, marks of direction, fillers, any space but the plain one."""
    kind = category(character)
    return kind in _CATEGORIES or bool(_NOTHING.match(character)) or (kind == "Zs" and character != " ")


MAX_NAME = 150


def refuse_unreadable(name: str, what: str, remedy: str, error: type[XqrBenchError] = UsageError) -> None:
    """Check that a person can read a name on one line.

    Args:
        name: the name.
        what: what has it, for the message.
        remedy: what to do where it is refused.
        error: what is raised then.

    Raises:
        XqrBenchError: it is empty, long, or holds characters that cannot be seen.
    """
    hidden = [f"U+{ord(character):04X}" for character in name if unseen(character)]
    if not name.strip():
        raise error(f"{what} is empty", remedy=remedy)
    if hidden:
        problem = f"{what} {name[:MAX_NAME]!r} holds characters that cannot be seen"
        raise error(problem, found=", ".join(hidden[:8]), remedy=remedy)
    if len(name) > MAX_NAME:
        raise error(f"{what} is too long: {name[:40]!r}...", found=f"{len(name)} characters", remedy=remedy)


def is_device(name: str) -> bool:
    """Whether Windows keeps the file name for a device, with or without a suffix: `CON`, `nul.txt`, `COM¹`."""
    return bool(_DEVICES.fullmatch(normalize("NFKC", name)))


def look_alike(a: str, b: str) -> bool:
    """Whether a reader cannot tell two names apart: they differ at most in case and in characters that look alike."""
    return any(one == other for one, other in zip(looks(a), looks(b), strict=True))


@cache
def looks(name: str) -> tuple[str, str]:
    """The name's skeleton without case, and the skeleton of the name without case: alike in one of them is alike.

    The first takes `GPT-AI` and `GPT-Al` for one, the second `GPT-AI` and `gpt-ai`.
    """
    plain = " ".join(normalize("NFKC", name).split())
    return skeleton(skeleton(plain).casefold()), skeleton(plain.casefold())


def skeleton(text: str) -> str:
    """The text with every character replaced by the one that all its look-alikes share (Unicode TS 39)."""
    seen = "".join(character for character in normalize("NFD", text) if character == " " or not unseen(character))
    return normalize("NFD", seen.translate(_prototypes()))


@cache
def _prototypes() -> dict[int, str]:
    table = {}
    for line in Path(__file__).with_name("confusables.tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            prototype, alike = ([int(number, 16) for number in part.split()] for part in line.split("\t"))
            table.update(dict.fromkeys(alike, "".join(map(chr, prototype))))
    return table
