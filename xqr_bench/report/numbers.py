"""Numbers and names as tables and plots print them."""

from __future__ import annotations

from collections.abc import Callable

from xqr_bench.analysis.choice import Comparison
from xqr_bench.measure.certainty import MACRO
from xqr_bench.measure.scores import Figure, Interval

LARGE = 1e6
MINUS = " minus "
SHORT = {"monolingual": "Mo.", "cross-lingual": "Cr.", "multilingual": "Mul."}
MARK = "†"
"""Of languages whose texts an encoder does not tell apart."""
THIN = "‡"
THIN_NOTE = f"{THIN} fewer than 10 questions (or articles) carry the figure: it is no more certain than they are"


def short(name: str, length: int = 34) -> str:
    """A model's name, cut in the middle where it is too long for a column: variants differ at the end."""
    if len(name) <= length:
        return name
    half = (length - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


_AS_IN_PAPERS = {"map": "MAP", "mrr": "MRR", "ndcg": "nDCG", "w": "W", "own": "own-language"}


def metric_title(name: str, *, inside: bool = False) -> str:
    """A metric as papers write it: `MAP`, `nDCG@10`, `Recall@10`, `Own-language first`.

    Args:
        name: as it is parsed.
        inside: a sentence, where only what is always written so has capitals: `recall@10`.
    """
    base, at, k = name.partition("@")
    words = [_AS_IN_PAPERS.get(word, word) for word in base.replace("own_language", "own").split("_")]
    title = " ".join(words) + at + k
    return title if inside or words[0] in ("nDCG", "bpref") else title[0].upper() + title[1:]


def number(value: float | None, *, digits: int = 4) -> str:
    """A figure as printed: `.3197`, `10,792`, `–` where it is undefined."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}" if abs(value) < LARGE else _large(value)
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _large(value: float) -> str:
    """Three digits and the power of ten: `1.24e7`."""
    return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")


def kept_score(value: float) -> str:
    """A candidate's score, no further than it is kept (`record.top_file.SCORE_BITS`): `0.0911`, `0.8742`, `12.40`."""
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(0, 4 - whole)}f}"


def signed(value: float | None) -> str:
    """A difference: `+.0123`, `-.0123`, `0`; `–` where there is none."""
    text = number(value)
    if not text.strip("-.0"):
        return "0"
    return text if value is None or value < 0 else f"+{text}"


def with_half_width(score: Figure | None, write: Callable[[float | None], str] = number) -> str:
    """A figure with half of its 95% interval over questions, where there is one: `.3197 ±.0123`.

    Args:
        score: the figure.
        write: how its value is written.
    """
    half = None if score is None else half_width(score.interval)
    if score is None or score.value is None or half is None:
        return write(None if score is None else score.value)
    text = _large(half) if abs(score.value) >= LARGE else number(half)
    if 100 <= abs(score.value) < LARGE:
        text = f"{half:,.0f}"
    return f"{write(score.value)} {marked(f'±{text}', half, score.thin[0])}"


def marked(text: str, width: float, thin: bool) -> str:
    """An interval as written, with THIN where it is no measure of certainty; THIN alone where it has no width."""
    return (text if width > 1e-12 else "") + THIN * thin


def probability(p: float | None) -> str:
    """A p-value with four digits: `.0003`, `<.0001`, `1`; `–` where there is none."""
    if p is None:
        return "–"
    if p < 0.00005:
        return "<.0001"
    return "1" if p > 0.99995 else number(p)


def ends(interval: Interval | None, thin: bool = False) -> str:
    """The ends of an interval: `.0123, .0345`; `.0123, .0345‡` where it is no measure of certainty."""
    if interval is None:
        return "–"
    both = (interval.low, interval.high)
    # ranks: the smaller end is not worth more digits than the larger
    low, high = (f"{end:,.0f}" if max(map(abs, both)) >= 100 else number(end) for end in both)
    return marked(f"{low}, {high}", both[1] - both[0], thin)


def half_width(interval: Interval | None) -> float | None:
    """Half of an interval's width."""
    return None if interval is None else (interval.high - interval.low) / 2


def effect(value: float) -> str:
    """An effect size with two digits."""
    return number(value, digits=2) if abs(value) < 1e6 else "–"


def on_two_lines(name: str, most: int) -> str:
    """A difference's name, cut before its `minus` where it has more characters than this."""
    return name.replace(MINUS, f"\n{MINUS.lstrip()}") if len(name) > most else name


def cell_name(comparison: Comparison) -> str:
    """What a comparison is of, without its setting and metric: `macro average`, `th`, `joshi-3:into minus en:into`."""
    if comparison.scope == MACRO:
        return "macro average"
    return comparison.key.replace(" - ", MINUS)
