"""Scripts of names, and a font that has each: for LaTeX and for figures."""

from __future__ import annotations

from unicodedata import bidirectional, category, name

_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC", "BOPOMOFO"})
OTHER = "othersign"
"""The script of what is of none: an emoji, a private character."""
_FONTS = {
    "cjk": "Noto Sans CJK SC",
    "arabic": "Noto Naskh Arabic",
    "latin": "Noto Sans",
    "greek": "Noto Sans",
    "cyrillic": "Noto Sans",
    OTHER: "Noto Sans Symbols",
}


def script_of(sign: str) -> str:
    """The script of a character, in one word of small letters: `latin`, `arabic`, `cjk` (with kana and hangul)."""
    first = name(sign, "").partition(" ")[0]
    if first in _EAST_ASIAN:
        return "cjk"
    return first.lower() if category(sign)[0] in "LMN" and first.isalpha() and first != "MODIFIER" else OTHER


def font_of(script: str) -> str:
    """A free font with the letters of a script."""
    return _FONTS.get(script, f"Noto Sans {script.title()}")


def needs_shaping(text: str) -> bool:
    """Whether letters of the text join, move or run from right to left: Arabic, Hebrew, the scripts of India, Thai."""
    return any(
        bidirectional(sign) in ("R", "AL")
        or (category(sign) in ("Mn", "Mc") and script_of(sign) != OTHER and sign > "\u036f")
        for sign in text
    )
