"""Small comparisons for tests: questions of several languages, some of them missing, in a few articles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xqr_bench.core.types import MULTILINGUAL
from xqr_bench.measure.metrics import parse_metric
from xqr_bench.measure.metrics.language_order import _features
from xqr_bench.measure.metrics.per_query import Cell, PerQuery
from xqr_bench.measure.panel import Contrasts, Units

LANGUAGES = ("de", "en", "th")
CELLS = tuple(Cell(language, None) for language in LANGUAGES)
FIGURES = Contrasts.means(3, [("macro", [0, 1, 2]), ("de", [0]), ("en", [1]), ("group", [0, 2])])
FIGURES = FIGURES + FIGURES.gaps([("group - en", "group", "en")])


@dataclass
class Small:
    """Values of two encoders on the same queries: x[question][language], None where the question lacks it."""

    a: list[list[float | None]]
    b: list[list[float | None]]
    units: Units
    of_a: PerQuery
    of_b: PerQuery


def small(seed: int = 0, questions: int = 14, articles: int = 5, missing: float = 0.3, step: float = 0.0) -> Small:
    """Random values; with `step` they are multiples of it, so that sums tie."""
    generator = np.random.default_rng(seed)
    a = generator.random((questions, 3))
    b = np.clip(a + generator.normal(0.1, 0.2, (questions, 3)), 0, 1)
    if step:
        a, b = np.round(a / step) * step, np.round(b / step) * step
    there = generator.random((questions, 3)) >= missing
    there[:, 1] = True
    article = np.append(np.arange(articles), generator.integers(0, articles, questions - articles))
    # queries in the order of languages, as tasks have them
    language, question = np.nonzero(there.T)
    names = tuple(f"q{i:03d}" for i in range(questions))
    units = Units(names, question.astype(np.int64), article.astype(np.int64))

    def values(x: np.ndarray) -> PerQuery:
        return PerQuery(
            parse_metric("map"),
            MULTILINGUAL,
            CELLS,
            cell=language,
            queries=np.arange(len(language)),
            values=x[question, language],
            tied=np.zeros(len(language)),
        )

    def listed(x: np.ndarray) -> list[list[float | None]]:
        return [[float(v) if t else None for v, t in zip(*row, strict=True)] for row in zip(x, there, strict=True)]

    return Small(listed(a), listed(b), units, values(a), values(b))


def orders(seed: int, questions: int = 12, strength: float = 0.5) -> tuple[PerQuery, Units]:
    """Features of W: orders of four languages in two cells, some of them always the same."""
    generator = np.random.default_rng(seed)
    places = np.array(
        [
            np.arange(1.0, 5.0) if generator.random() < strength else generator.permutation(4) + 1.0
            for _ in range(2 * questions)
        ]
    )
    places[0, :2] = places[0, :2].mean()  # one tie
    metric = parse_metric("language_order_w")
    units = Units(
        tuple(f"q{i:03d}" for i in range(questions)),
        np.tile(np.arange(questions), 2),
        np.arange(questions) // 3,
    )
    values = PerQuery(
        metric,
        MULTILINGUAL,
        CELLS[:2],
        cell=np.repeat([0, 1], questions),
        queries=np.arange(2 * questions),
        values=np.full(2 * questions, np.nan),
        tied=np.zeros(2 * questions),
        features=_features(places),
    )
    return values, units
