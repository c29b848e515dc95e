"""What an encoder may have seen of a task: levels, declarations, and a search for evaluation texts in training data.

find_texts(data, texts) -> Findings       questions, sentences, paragraphs and titles found in `texts`
EvaluationTexts(data).hits(texts)         the same, text by text: what to leave out of a training set
"""

from xqr_bench.exposure.declaration import Exposure, FoundTexts, default_exposure, read_declaration
from xqr_bench.exposure.find import NEAR, EvaluationTexts, Hit, Placed, find_texts
from xqr_bench.exposure.findings import KINDS, Findings, Found, KindCounts
from xqr_bench.exposure.levels import LEVELS, MEANING, Level

__all__ = [
    "KINDS",
    "LEVELS",
    "MEANING",
    "NEAR",
    "EvaluationTexts",
    "Exposure",
    "Findings",
    "Found",
    "FoundTexts",
    "Hit",
    "KindCounts",
    "Level",
    "Placed",
    "default_exposure",
    "find_texts",
    "read_declaration",
]
