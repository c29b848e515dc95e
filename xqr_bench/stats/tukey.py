"""More than two records: randomised two-way Tukey HSD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xqr_bench.errors import UsageError
from xqr_bench.jit import compiled
from xqr_bench.stats.contrasts import Contrasts
from xqr_bench.stats.grid import on_grid
from xqr_bench.stats.linear import presence, shares
from xqr_bench.stats.panel import Panel, check_same_layout
from xqr_bench.stats.signs import RESAMPLES, TOLERANCE, p_value
from xqr_bench.stats.units import Units
from xqr_bench.types import FloatArray


@dataclass(frozen=True)
class Tukey:
    """All pairs of systems on one figure.

    Attributes:
        label: what the figure is.
        means: of each system, float64 `[systems]`.
        p: by question, float64 `[systems, systems]`, symmetric, 1 on the diagonal.
        p_article: by article.
        n_questions, n_articles: units with a value in the figure.
        resamples: B.
    """

    label: object
    means: FloatArray
    p: FloatArray
    p_article: FloatArray
    n_questions: int
    n_articles: int
    resamples: int


def tukey_hsd(
    panels: list[Panel],
    contrasts: Contrasts,
    units: Units,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> list[Tukey]:
    """Randomised two-way Tukey HSD for each figure (Carterette 2012, ACM TOIS 30(1), section 4.3).

    Under the null all systems are exchangeable within a question: each resample permutes the systems within every
    question (its translations and settings together) and keeps the range, largest minus smallest mean. A pair's p is
    the share of ranges that reach its difference, so the chance of any false difference among all pairs is kept.
    p_article permutes within articles. Of a set statistic the questions' pseudo-values are permuted.

    Args:
        panels: the same metric and setting of each system.
        contrasts: figures.
        units: questions and articles.
        generator: source of permutations; two streams are spawned from it.
        resamples: B.

    Raises:
        UsageError: fewer than two systems, or they do not have the same queries.
    """
    if len(panels) < 2:
        raise UsageError("one record cannot be compared", remedy="name two records or more")
    check_same_layout(panels)
    by_system = np.stack([contrasts.apply(shares(panel)) for panel in panels], axis=2)
    present = presence(panels[0], contrasts)
    streams = generator.spawn(2)
    result = []
    for figure, label in enumerate(contrasts.labels):
        rows = by_system[:, figure]
        has = present[:, figure] > 0
        question_rows = rows[has]
        article_rows = units.by_article(rows)
        result.append(
            Tukey(
                label=label,
                means=np.array([contrasts.apply(panel.estimate)[figure] for panel in panels]),
                p=range_p(question_rows, streams[0], resamples),
                p_article=range_p(article_rows, streams[1], resamples),
                n_questions=int(has.sum()),
                n_articles=len(np.unique(units.article[has])),
                resamples=resamples,
            )
        )
    return result


def range_p(rows: FloatArray, generator: np.random.Generator, resamples: int = RESAMPLES) -> FloatArray:
    """p-values of all pairs of columns, float64 `[systems, systems]`.

    Args:
        rows: what each unit adds to each system's mean, `[units, systems]`.
        generator: source of permutations.
        resamples: B.
    """
    magnitude = float(np.abs(rows).max(axis=1, initial=0.0).sum())
    rows = on_grid(rows, 4.0 * magnitude)
    totals = rows.sum(axis=0)
    differences = np.abs(totals[:, None] - totals[None, :])
    scale = np.abs(rows[:, :, None] - rows[:, None, :]).sum(axis=0)
    ranges = np.sort(_ranges(np.ascontiguousarray(rows), generator, resamples))
    reached = resamples - np.searchsorted(ranges, differences - TOLERANCE * scale, side="left")
    p = p_value(reached.astype(np.float64), resamples)
    np.fill_diagonal(p, 1.0)
    return p


@compiled()
def _ranges(rows: FloatArray, generator: np.random.Generator, resamples: int) -> FloatArray:
    """Largest minus smallest column total under random permutations (Fisher & Yates) of every row."""
    units, systems = rows.shape
    row = np.empty(systems)
    totals = np.empty(systems)
    found = np.empty(resamples)
    for b in range(resamples):
        totals[:] = 0.0
        for unit in range(units):
            row[:] = rows[unit]
            for j in range(systems - 1, 0, -1):
                k = int(generator.random() * (j + 1))
                totals[j] += row[k]
                row[k] = row[j]
            totals[0] += row[0]
        found[b] = totals.max() - totals.min()
    return found
