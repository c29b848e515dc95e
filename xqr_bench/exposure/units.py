"""Text -> units: what is compared when texts are looked for in other texts.

1. NFKC, then case folding; the dot that folding leaves on a Turkish capital İ is dropped.
2. Arabic vowel signs, the lengthening stroke and invisible format characters are dropped.
3. A run of letters, combining marks and digits is a unit: a word. Everything else, underscores too, parts words.
4. In scripts written without spaces every character is a unit of its own that counts as a part of a word: 1/2 for Han
   and Kana, 1/6 for Thai, Lao, Khmer and Myanmar (XQuAD-R has 1.77 Chinese and 5.67 Thai characters for each English
   word), so that "8 words" is about as much text in every language.
"""

from __future__ import annotations

import unicodedata

WORD = 6
"""Weight of a word; weights are in sixths of a word."""
_HALF, _SIXTH = 3, 1
# Unicode blocks of scripts that are written without spaces between words, and the weight of a character
_UNSPACED = (
    (0x0E00, 0x0EFF, _SIXTH),  # Thai, Lao
    (0x1000, 0x109F, _SIXTH),  # Myanmar
    (0x1780, 0x17FF, _SIXTH),  # Khmer
    (0x3005, 0x3007, _HALF),  # Han: iteration mark, zero
    (0x3040, 0x30FF, _HALF),  # Hiragana, Katakana
    (0x3400, 0x9FFF, _HALF),  # Han
    (0xF900, 0xFAFF, _HALF),
    (0x20000, 0x3FFFF, _HALF),
)
_ARABIC_OPTIONAL = frozenset("\u0640\u0670" + "".join(map(chr, range(0x064B, 0x0653))))


class _Table(dict[int, str]):
    """What each character becomes, found when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if character in _ARABIC_OPTIONAL or category == "Cf":
            made = ""
        elif category[0] not in "LMN":
            made = " "
        elif category != "Nd" and _character_weight(code) != WORD:
            made = f" {character} "
        else:
            made = character
        self[code] = made
        return made


_TABLE = _Table()


def _character_weight(code: int) -> int:
    return next((weight for first, last, weight in _UNSPACED if first <= code <= last), WORD)


def units(text: str) -> list[str]:
    """The units of a text, in order."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i")
    return folded.translate(_TABLE).split()


def weight(unit: str) -> int:
    """How much of a word a unit is, in sixths."""
    return _character_weight(ord(unit)) if len(unit) == 1 and not unit.isdecimal() else WORD
