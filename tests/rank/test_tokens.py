"""Terms: words where a script parts them, bigrams where it does not."""

from __future__ import annotations

import pytest

from xqr_bench.rank.lexical import terms

CASES = {
    "The Peak District's 2nd-oldest FIRE": ["the", "peak", "district", "s", "2nd", "oldest", "fire"],
    "Straße STRASSE": ["strasse", "strasse"],
    "ΟΔΟΣ οδός": ["οδοσ", "οδόσ"],
    "İstanbul istanbul": ["istanbul", "istanbul"],
    "cà phê ca\u0300": ["cà", "phê", "cà"],  # composed and decomposed are the same, tones are kept
    "हिन्दी में क्षत्रिय": ["हिन्दी", "में", "क्षत्रिय"],  # vowel signs are marks: they stay in the word
    "كِتَابٌ كتاب كتـــاب": ["كتاب"] * 3,
    "北京大学": ["北京", "京大", "大学"],
    "在2008年，我": ["在", "2008", "年", "我"],
    "ＢＭ２５": ["bm25"],
    "ที่นี่": ["ที่นี่"],  # two characters with their marks: one pair
    "ประเทศไทย": ["ปร", "ระ", "ะเ", "เท", "ทศ", "ศไ", "ไท", "ทย"],
    "カタカナ": ["カタ", "タカ", "カナ"],
    "GPS定位x": ["gps", "定位", "x"],
    "می\u200cخواهم": ["میخواهم"],
    "?! — …": [],
    "": [],
    "\u0301a": ["a"],  # a mark without a letter before it
}


@pytest.mark.parametrize("text", CASES)
def test_terms(text: str) -> None:
    assert terms(text) == CASES[text]
