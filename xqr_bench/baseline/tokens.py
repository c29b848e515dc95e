"""Text -> terms for BM25: one scheme for every script, without a dictionary or a language to be named.

1. NFKC, then case folding; the dot that folding leaves on a Turkish capital İ is dropped.
2. Arabic vowel signs and the lengthening stroke are dropped: they are optional in writing.
3. A run of letters, combining marks and digits is a word; everything else parts words. Python's `\\w` would cut words
   of Devanagari and Thai at their vowel signs, which are marks.
4. In scripts written without spaces between words a word's neighbouring characters are taken in pairs (bigrams;
   a character with its marks counts as one). A single character is a term by itself.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import pairwise

TOKENISATION = "words; character bigrams where a script has no spaces (1)"
"""Name and version of the scheme, kept in records; another scheme gets another number."""

# Unicode blocks of scripts that are written without spaces between words
_UNSPACED = (
    (0x0E00, 0x0EFF, "Thai, Lao"),
    (0x1000, 0x109F, "Myanmar"),
    (0x1780, 0x17FF, "Khmer"),
    (0x3005, 0x3007, "Han: iteration mark, zero"),
    (0x3040, 0x30FF, "Hiragana, Katakana"),
    (0x3400, 0x9FFF, "Han"),
    (0xF900, 0xFAFF, "Han, compatibility"),
    (0x20000, 0x3FFFF, "Han, supplementary planes"),
)
_ARABIC_OPTIONAL = frozenset("\u0640\u0670" + "".join(map(chr, range(0x064B, 0x0653))))
_BREAK, _LETTER, _MARK, _UNSPACED_LETTER, _DROPPED = range(5)


@cache
def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if character in _ARABIC_OPTIONAL or category == "Cf":  # Cf: joiners and marks of direction
        return _DROPPED
    if category[0] == "M":
        return _MARK
    if category[0] not in "LN":
        return _BREAK
    unspaced = any(first <= ord(character) <= last for first, last, _ in _UNSPACED)
    return _UNSPACED_LETTER if unspaced and category[0] == "L" else _LETTER


def terms(text: str) -> list[str]:
    """The terms of a text, in order, each as often as it occurs.

    Args:
        text: in any language.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i")
    result: list[str] = []
    word: list[str] = []  # characters with their marks
    unspaced = False

    def end() -> None:
        if word:
            result.extend(_bigrams(word) if unspaced else ["".join(word)])
            word.clear()

    for character in folded:
        kind = _kind(character)
        if kind == _BREAK:
            end()
        elif kind == _MARK:
            if word:
                word[-1] += character
        elif kind != _DROPPED:
            if word and unspaced != (kind == _UNSPACED_LETTER):
                end()
            unspaced = kind == _UNSPACED_LETTER
            word.append(character)
    end()
    return result


def _bigrams(characters: list[str]) -> list[str]:
    return [first + second for first, second in pairwise(characters)] or list(characters)
