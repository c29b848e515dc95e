"""Differences of two records: which figures, their tests, and p-values adjusted over the family they stand in."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from xqr_bench.certainty import MACRO, PairTest, compare_many, confirm, verdict
from xqr_bench.certainty.compare import NOT_SIGNIFICANT
from xqr_bench.certainty.intervals import to_interval
from xqr_bench.comparison.choice import CONFIRMATORY, Cells
from xqr_bench.comparison.material import Material, name_of
from xqr_bench.comparison.model import Comparison
from xqr_bench.stats.multiple import benjamini_hochberg
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
    """MAP in each setting: Holm over the settings; of more than two records max-T over pairs and settings.

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
    tested = confirm(material.compared(cells, together=many))
    n_settings = len({name_of(one.result.label).setting for one in tested})
    over = f"{n_settings} setting{'s' * (n_settings != 1)}"
    adjustment = f"step-down max-T over {len(material.pairs)} pairs in {over}" if many else f"Holm over {over}"
    found = []
    for one in tested:
        tukey = of_setting.get(name_of(one.result.label).setting)
        more = (
            {"p_tukey": float(tukey.p[one.a, one.b]), "p_article_tukey": float(tukey.p_article[one.a, one.b])}
            if tukey
            else {}
        )
        found.append(_comparison(material, one, CONFIRMATORY_FAMILY, adjustment, **more))
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
        p_article = np.array([result.p_article_max_t for _, _, result in found])
        adjustment = f"max-T over {cells_text}"
    else:
        p = benjamini_hochberg([result.p for _, _, result in found])
        p_article = benjamini_hochberg([result.p_article for _, _, result in found])
        adjustment = f"Benjamini-Hochberg over {cells_text}"
    return [
        _comparison(material, PairTest(*one, float(p[i]), float(p_article[i])), EXPLORATORY_FAMILY, adjustment)
        for i, one in enumerate(found)
    ]


def verdict_of(p_adjusted: float, p_article: float) -> str:
    """The words for it: significant, question level only, or not distinguishable."""
    word = verdict(p_adjusted, p_article)
    return NOT_DISTINGUISHABLE if word == NOT_SIGNIFICANT else word


def _comparison(material: Material, test: PairTest, family: str, adjustment: str, **more: float) -> Comparison:
    result = test.result
    name = name_of(result.label)
    return Comparison(
        task=material.task,
        a=material.sides[test.a].label,
        b=material.sides[test.b].label,
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
        p_adjusted=test.p_adjusted,
        p_article_adjusted=test.p_article_adjusted,
        adjustment=adjustment,
        verdict=verdict_of(test.p_adjusted, test.p_article_adjusted),
        n_questions=result.n_questions,
        n_articles=result.n_articles,
        seed=material.seed,
        resamples=result.resamples,
        **more,
    )
