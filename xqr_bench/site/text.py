"""Figures and labels as the pages print them."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

UNDEFINED = "–"
SETTING_LABELS = {"monolingual": "Monolingual", "cross-lingual": "Cross-lingual", "multilingual": "Multilingual"}
RELEVANCE_LABELS = {
    "strict": "strict: the labelled sentences",
    "lenient": "lenient: other sentences of the paragraph that contain the answer are left out",
    "paragraph": "paragraph: every sentence of the right paragraph",
}
SETTING_MEANINGS = {
    "monolingual": "query and candidates in one language; the mean over the languages",
    "cross-lingual": "candidates in one other language than the query's; the mean over the ordered language pairs",
    "multilingual": "candidates of all languages in one pool; the mean over the query languages",
}
MARK = "†"
MARK_MEANING = (
    "the encoder does not tell the texts of a language apart: its queries have fewer than 95 distinct vectors for 100 "
    "distinct texts, so the scores of this language say little"
)
STATUS_MEANINGS = {
    "reproduced": "somebody ran the encoder again and got the same ranks within a stated tolerance",
    "recomputed": "every score follows from the ranks stored beside the record",
    "published": "taken from a paper, without ranks: shown apart and never compared with the others",
}
KIND_MEANINGS = {
    "encoder": "a text encoder",
    "run": "a ranking made by another system",
    "baseline": "a ranking without a trained encoder, such as BM25",
    "floor": "random vectors: what no competitor should fall below; outside the contest",
    "ceiling": "an oracle that knows the answers: what nothing can exceed; outside the contest",
    "published": "figures from a paper",
}
_METRICS = {"map": "MAP", "mrr": "MRR", "ndcg": "nDCG", "w": "W"}


def number(value: float | None) -> str:
    """Three or four digits: `0.412`, `0.0034`, `361.5`, `10,846`; `–` where there is none.

    Halves are rounded away from zero, as the pages' scripts do.
    """
    if value is None or not math.isfinite(value):
        return UNDEFINED
    size = abs(value)
    digits = 0 if size >= 1000 or value == 0 else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 0.01 else 4
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded:,}".replace("-", "−")


def short_number(value: float | None) -> str:
    """A value of 0 .. 1 in the least room: `.412`, `1.00`."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    text = str(Decimal(value).quantize(Decimal("0.001"), ROUND_HALF_UP))
    return text.removeprefix("0") if text.startswith("0.") else text[:4]


def p_value(value: float | None) -> str:
    """A p-value: three digits, `<0.001` below."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def metric_label(name: str) -> str:
    """`map` -> `MAP`, `recall@10` -> `Recall@10`, `rank_distance` -> `Rank distance`."""
    base, at, cutoff = name.partition("@")
    words = [_METRICS.get(word, word) for word in base.split("_")]
    words[0] = words[0] if words[0][:1] != words[0][:1].lower() or words[0] == "nDCG" else words[0].capitalize()
    return " ".join(words) + at + cutoff


def group_label(key: str) -> str:
    """`joshi-3:out-of` -> `joshi-3, out of`."""
    group, colon, way = key.partition(":")
    return f"{group}, {way.replace('-', ' ')}" if colon else group
