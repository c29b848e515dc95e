"""Somebody else's text made fit to print: it can steer no terminal, turn no line around, and is no markup.

Records, task files and submissions come from anybody. What is printed for people goes through `shown`, which the one
outlet of the command line (`xqr_bench.cli.printing`) does for all commands; a place that prints in a language of its
own escapes that language's marks.
"""

from __future__ import annotations

import json
import re
from unicodedata import category, is_normalized, normalize

from xqr_bench.core.names import unseen

REPLACEMENT = "\ufffd"
ISOLATES = "\u2066\u2067\u2069"
"""What `xqr_bench.report.text.isolated` puts around right-to-left text."""
# Controls (C0 but tab and line feed, DEL, C1), the separators of lines and paragraphs, the embeddings, overrides and
# isolates of the bidirectional algorithm, and lone surrogates, which cannot be encoded. Joiners and the marks that
# Arabic and Hebrew are written with stay.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Of no width, and part of no word in any script, as the joiners U+200C and U+200D are.
_NO_WIDTH = re.compile("[\u00ad\u200b\u2060\ufeff]")
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_MARKDOWN = str.maketrans({**{sign: f"\\{sign}" for sign in "\\`*[]|~$"}, "&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Inside a word it is no mark, and the names of figures are full of it.
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_ADDRESS = re.compile(r"(?i)(?<=\bwww)\.|:(?=//)|(?<=\bmailto):|(?<=\bxmpp):|@(?=[\w.-]*\.[^\W\d])")


def has_text(text: str) -> bool:
    """Whether there is anything to read: more than white space, controls and characters of no width."""
    unknown = ("Co", "Cn")  # private, or of a later Unicode than Python's: may be letters
    return any(sign != " " and (not unseen(sign) or category(sign) in unknown) for sign in text)


def looks(text: str) -> str:
    """What can be seen of it: in one Unicode form (NFC), without spaces, joiners and hyphens of no width."""
    plain = _NO_WIDTH.sub("", text)
    return plain if is_normalized("NFC", plain) else normalize("NFC", plain)


def is_text(text: str) -> bool:
    """Whether UTF-8 has all of it: not halves of characters, nor the bytes of file names that are no text."""
    return text == text.encode("utf-8", "ignore").decode()


def is_word(text: str) -> bool:
    """Whether it is one word that can be seen, as an id is: no white space, no controls."""
    return has_text(text) and text.isprintable() and len(text.split()) == 1 and text == text.strip()


def stripped(text: str) -> str:
    """The text without white space around it; empty where there is nothing to read."""
    return text.strip() if has_text(text) else ""


def shown(text: str, *, keep: str = "", instead: str = REPLACEMENT) -> str:
    """The text with U+FFFD for every character that steers a terminal or turns text around; lines stay lines.

    Args:
        text: in any script; letters, marks and joiners are left as they are.
        keep: such characters of our own, where foreign text was cleaned before them.
        instead: what takes their place.
    """
    return _STEERING.sub(lambda sign: sign[0] if sign[0] in keep else instead, text)


def shown_line(text: str) -> str:
    """The text as `shown`, on one line: its line feeds and tabs are replaced too."""
    return shown(text).replace("\n", REPLACEMENT).replace("\t", REPLACEMENT)


def json_shown(text: str, *, ascii_only: bool = False) -> str:
    r"""JSON of the same value, the characters that `shown` replaces written as `\uXXXX`; all but ASCII where asked."""
    plain = _STEERING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
    return _NOT_ASCII.sub(lambda sign: json.dumps(sign[0])[1:-1], plain) if ascii_only else plain


def markdown_shown(text: str) -> str:
    """The text on one line of Markdown, where it means itself: no mark, no HTML, no link, no new cell."""
    plain = shown(text).replace("\n", " ").replace("\t", " ").translate(_MARKDOWN)
    plain = _UNDERSCORE.sub(r"\\_", plain)
    return _ADDRESS.sub(lambda sign: f"&#{ord(sign[0])};", plain)
