"""A probe: can a linear classifier tell from a vector which language the text is in?"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from xqr_bench.types import FloatArray, IntArray

FOLDS = 2
ITERATIONS = 200
TOLERANCE = 1e-3
MOST = 4000
"""Vectors a fold trains on, at most: more make the probe slow, and hardly better."""


@dataclass(frozen=True)
class Probe:
    """What the probe found.

    Attributes:
        accuracy: share of the held-out texts whose language it names.
        chance: share that naming the most frequent language of the held-out texts would get.
        recall: language number -> the same share of the texts of that language.
        n: held-out texts, over the folds.
    """

    accuracy: float
    chance: float
    recall: dict[int, float]
    n: int


def language_probe(vectors: FloatArray, languages: IntArray, articles: IntArray) -> Probe | None:
    """Train logistic regression on the texts of some articles, test it on those of the others, and the other way round.

    Articles are dealt to two folds in turn, by their number, so no article is on both sides: the probe cannot
    recognise an article instead of a language. Multinomial, L2 with C = 1 on vectors of length
    sqrt(d) (so that a component is about 1), lbfgs from zero: nothing is drawn at random.

    Args:
        vectors: of length 1, float64 `[n, d]`.
        languages: number of the language of each, int64 `[n]`.
        articles: number of the article of each, int64 `[n]`.

    Returns:
        None where there are fewer than two languages or articles, or a fold lacks a language.
    """
    fold = np.unique(articles, return_inverse=True)[1].reshape(-1) % FOLDS
    classes = np.unique(languages)
    if len(classes) < 2 or any(len(np.unique(languages[fold == f])) < len(classes) for f in range(FOLDS)):
        return None
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    scaled = vectors * math.sqrt(vectors.shape[1])
    right = np.zeros(len(languages), dtype=np.bool_)
    most_frequent = 0
    for held_out in range(FOLDS):
        train = np.flatnonzero(fold != held_out)
        train = train[np.unique(np.linspace(0, len(train) - 1, min(MOST, len(train))).astype(np.int64))]
        test = fold == held_out
        model = LogisticRegression(C=1.0, solver="lbfgs", max_iter=ITERATIONS, tol=TOLERANCE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # nearly converged is as good for a share
            model.fit(scaled[train], languages[train])
        right[test] = model.predict(scaled[test]) == languages[test]
        most_frequent += int(np.unique(languages[test], return_counts=True)[1].max())
    return Probe(
        accuracy=float(right.mean()),
        chance=most_frequent / len(languages),
        recall={int(code): float(right[languages == code].mean()) for code in classes},
        n=len(languages),
    )
