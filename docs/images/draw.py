"""Draw the pictures of docs/concepts.md: `python docs/images/draw.py` writes them into its own folder.

Each has a light ground of its own, so that it reads the same on a light page and on a dark one.
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.sax.saxutils import escape

COLOURS = {"en": "#0072b2", "de": "#e69f00", "th": "#009e73", "zh": "#cc79a7"}  # Okabe and Ito: told apart by everybody
INK, GREY = "#1f2933", "#52606d"


def text(
    x: float, y: float, words: str, size: int = 14, anchor: str = "start", ink: str = INK, weight: int = 400
) -> str:
    """A line of text; y is its base line."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{ink}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )


def box(x: float, y: float, language: str, right: bool = False, width: float = 46) -> str:
    """A candidate sentence in its language; filled where it answers the question."""
    colour = COLOURS[language]
    label = f"{language} ✓" if right else language
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="24" rx="4" fill="{colour if right else "#ffffff"}" '
        f'stroke="{colour}" stroke-width="2"/>'
        + text(
            x + width / 2,
            y + 17,
            label,
            13,
            "middle",
            "#ffffff" if right and language in ("en", "th") else INK,
            700 if right else 400,
        )
    )


def picture(width: int, height: int, title: str, *parts: str) -> str:
    """A whole SVG."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif"><title>{escape(title)}</title>'
        f'<rect x="1" y="1" width="{width - 2}" height="{height - 2}" rx="10" fill="#fbfbf8" stroke="#c8ccd1"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def pools() -> str:
    """One English question, and the candidates of each setting."""
    parts = [
        text(20, 32, "An English question. Filled: the sentence that answers it, in each language.", 15, weight=600)
    ]
    columns = (
        ("monolingual", "English candidates", ["en"]),
        ("cross-lingual", "candidates of one other language", ["de"]),
        ("multilingual", "candidates of all languages", ["en", "de", "th", "zh"]),
    )
    x = 20.0
    for name, about, languages in columns:
        width = 54 * len(languages) + 12
        parts.append(f'<rect x="{x:g}" y="86" width="{width:g}" height="128" rx="8" fill="none" stroke="{GREY}"/>')
        parts += [text(x, 62, name, 15, weight=700), text(x, 79, about, 12, ink=GREY)]
        for column, language in enumerate(languages):
            parts += [box(x + 10 + 54 * column, 94 + 30 * row, language, row == 1 + column % 2) for row in range(4)]
        x += max(width, 200) + 24
    return picture(720, 232, "The pools of the three settings", *parts)


def ties() -> str:
    """A relevant that ties with two others."""
    scores = (".91", ".74", ".74", ".74", ".60")
    parts = [text(20, 32, "Three candidates score .74, and one of them is the answer.", 15, weight=600)]
    for place, score in enumerate(scores):
        parts += [
            text(20, 74 + 32 * place, f"rank {place + 1}", 13, ink=GREY),
            box(80, 56 + 32 * place, "en", place == 2),
            text(142, 74 + 32 * place, score, 14),
        ]
    parts.append(f'<path d="M186 90 h10 v84 h-10" fill="none" stroke="{GREY}" stroke-width="2"/>')
    mean = sum(1 / rank for rank in (2, 3, 4)) / 3
    lines = (
        "Its rank is 2, 3 or 4, by nothing but chance.",
        "Answer put first: 1/2 = .500",
        "Answer put last: 1/4 = .250",
        f"Printed here: (1/2 + 1/3 + 1/4) / 3 = {mean:.3f}".replace("0.", "."),
    )
    parts += [
        text(214, 100 + 24 * line, words, 14, weight=700 if line == 3 else 400) for line, words in enumerate(lines)
    ]
    return picture(560, 228, "Ties", *parts)


def interval() -> str:
    """How a mean moves when the questions are drawn again: a normal curve around .80, as bars."""
    mean, half = 0.80, 0.014
    spread = half / 1.959964
    left, right, base = 40, 600, 190
    parts = [text(20, 32, "The same encoder, with the questions drawn again and again", 15, weight=600)]
    steps = 57
    for step in range(steps):
        value = mean + (step - steps // 2) * 3.2 * spread / (steps // 2)
        inside = abs(value - mean) <= half
        height = 120 * math.exp(-(((value - mean) / spread) ** 2) / 2)
        x = left + (right - left) * step / (steps - 1)
        parts.append(
            f'<rect x="{x - 4:.1f}" y="{base - height:.1f}" width="8" height="{height:.1f}" '
            f'fill="{"#0072b2" if inside else "#b8c4ce"}"/>'
        )
    scale = (right - left) / (2 * 3.2 * spread)
    for value in (mean - half, mean, mean + half):
        x = left + (right - left) / 2 + (value - mean) * scale
        parts += [
            f'<path d="M{x:.1f} {base} v8" stroke="{INK}" stroke-width="2"/>',
            text(x, base + 24, f"{value:.3f}".replace("0.", "."), 13, "middle"),
        ]
    parts.append(text(320, base + 48, "95 of 100 means lie in the dark part: .800 ±.014", 14, "middle", weight=700))
    return picture(640, 256, "An interval over questions", *parts)


def bias() -> str:
    """Two rankings of one Chinese question."""
    rankings = (
        ("own language first", ["zh ✓", "zh", "zh", "zh", "zh", "en ✓", "zh", "de ✓", "zh", "th ✓"]),
        ("answers first", ["zh ✓", "en ✓", "de ✓", "th ✓", "zh", "en", "zh", "de", "th", "zh"]),
    )
    parts = [text(20, 32, "A Chinese question, all languages in one pool: the first ten places", 15, weight=600)]
    for row, (name, places) in enumerate(rankings):
        y = 60 + 84 * row
        found = [place + 1 for place, one in enumerate(places) if "✓" in one]
        ap = sum((number + 1) / rank for number, rank in enumerate(found)) / len(found)
        parts.append(text(20, y + 10, name, 14, weight=700))
        parts += [box(20 + 58 * place, y + 20, one[:2], "✓" in one, 52) for place, one in enumerate(places)]
        told = f"rank distance {found[-1]} - {found[0]} = {found[-1] - found[0]}; average precision {ap:.2f}"
        parts.append(text(20, y + 62, told, 13, ink=GREY))
    return picture(620, 228, "Language bias", *parts)


def main() -> None:
    """Write all pictures."""
    for draw in (pools, ties, interval, bias):
        Path(__file__).with_name(f"concept-{draw.__name__}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
