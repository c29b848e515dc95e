"""Differences of two records: which figures, their tests, and p-values adjusted over the family they stand in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from xqr_bench.certainty import MACRO, compare_many, verdict
from xqr_bench.certainty.compare import NOT_SIGNIFICANT
from xqr_bench.certainty.intervals import to_interval
from xqr_bench.comparison.choice import CONFIRMATORY, Cells
from xqr_bench.comparison.material import Material, name_of
from xqr_bench.comparison.model import Comparison
from xqr_bench.stats.multiple import benjamini_hochberg, holm
from xqr_bench.stats.paired import PairedResult
from xqr_bench.stats.tukey import Tukey
from xqr_bench.types import FloatArray

CONFIRMATORY_FAMILY = "confirmatory"
EXPLORATORY_FAMILY = "exploratory"
MAX_T = "max-t"
BH = "bh"
ADJUSTMENTS = (MAX_T, BH)
LEAST = sys.float_info.min  # what a p of the t test is where it underflows: a p is never 0
NOT_DISTINGUISHABLE = "not distinguishable"


def confirmatory(material: Material, settings: Sequence[str]) -> tuple[list[Comparison], dict[str, Tukey]]:
    """MAP in each setting: Holm over the settings; of more than two records Tukey HSD first.

    Returns:
        the comparisons, and with more than two records Tukey's p-values of each setting.
    """
    cells = Cells((CONFIRMATORY,), frozenset([CONFIRMATORY]), tuple(settings), frozenset(), frozenset(), ())
    many = len(material.sides) > 2
    of_setting: dict[str, Tukey] = {}
    if many:
        tests = compare_many(
            material.values, material.units, generator=material.generator, parts=(MACRO,), metrics=[CONFIRMATORY],
            settings=list(settings), resamples=material.resamples,
        )  # fmt: skip
        of_setting = {name_of(test.label).setting: test for test in tests}
    found: list[Comparison] = []
    for (a, b), group in groupby(material.compared(cells), key=lambda one: one[:2]):
        results = [result for _, _, result in group]
        tukey = [of_setting[name_of(result.label).setting] for result in results] if many else []
        raw = [float(test.p[a, b]) for test in tukey] or [result.p for result in results]
        by_article = [float(test.p_article[a, b]) for test in tukey] or [result.p_article for result in results]
        over = f"Holm over {len(results)} setting{'s' * (len(results) != 1)}"
        adjustment = f"Tukey HSD over {len(material.pairs)} pairs, then {over}" if many else over
        for number, (result, p) in enumerate(zip(results, holm(raw), strict=True)):
            more = {"p_tukey": raw[number], "p_article_tukey": by_article[number]} if many else {}
            word = verdict_of(float(p), by_article[number])
            found.append(_comparison(material, a, b, result, CONFIRMATORY_FAMILY, float(p), adjustment, word, **more))
    return found, of_setting


def exploratory(material: Material, cells: Cells, adjust: str) -> list[Comparison]:
    """The chosen cells: max-T over those of two records, or Benjamini & Hochberg over those of all pairs."""
    found = material.compared(cells)
    if not found:
        return []
    cells_text = f"{len(found)} cell{'s' * (len(found) != 1)}"
    p: FloatArray
    if adjust == MAX_T:
        p = np.array([result.p_max_t for _, _, result in found])
        adjustment = f"max-T over {cells_text}"
    else:
        p = benjamini_hochberg([result.p for _, _, result in found])
        adjustment = f"Benjamini-Hochberg over {cells_text}"
    return [
        _comparison(
            material, a, b, result, EXPLORATORY_FAMILY, float(value), adjustment,
            verdict_of(float(value), result.p_article),
        )
        for (a, b, result), value in zip(found, p, strict=True)
    ]  # fmt: skip


def verdict_of(p_adjusted: float, p_article: float) -> str:
    """The words for it: significant, question level only, or not distinguishable."""
    word = verdict(p_adjusted, p_article)
    return NOT_DISTINGUISHABLE if word == NOT_SIGNIFICANT else word


def _comparison(
    material: Material,
    a: int,
    b: int,
    result: PairedResult,
    family: str,
    p_adjusted: float,
    adjustment: str,
    word: str,
    **more: float,
) -> Comparison:
    name = name_of(result.label)
    return Comparison(
        task=material.task,
        a=material.sides[a].label,
        b=material.sides[b].label,
        setting=name.setting,
        metric=name.metric,
        scope=name.part,
        key=name.key,
        family=family,
        value_a=result.a,
        value_b=result.b,
        difference=result.difference,
        interval=to_interval(result.interval),
        article_interval=to_interval(result.article_interval),
        effect_size=result.effect_size,
        p=result.p,
        p_t=max(result.p_t, LEAST),
        p_article=result.p_article,
        p_article_t=max(result.p_article_t, LEAST),
        p_adjusted=p_adjusted,
        adjustment=adjustment,
        verdict=word,
        n_questions=result.n_questions,
        n_articles=result.n_articles,
        seed=material.seed,
        resamples=result.resamples,
        **more,
    )
