"""What is said beside the tests: letters, groups, worst languages, and what the benchmark can detect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xqr_bench.certainty import GAP, MACRO, figures_of, interval_figures, language_spreads
from xqr_bench.comparison.choice import CONFIRMATORY, Cells
from xqr_bench.comparison.material import Material, name_of
from xqr_bench.comparison.model import Comparison, Detectable, Display, Figure, WorstLanguage
from xqr_bench.stats.letters import compact_letters
from xqr_bench.stats.linear import joined, linearise
from xqr_bench.stats.power import detectable_differences
from xqr_bench.stats.tukey import Tukey


def display(material: Material, setting: str, test: Tukey, comparisons: Sequence[Comparison]) -> Display:
    """Compact letters of one setting, best record first.

    Two records differ where both levels say so: the adjusted p-values by question and by article.
    """
    labels = [side.label for side in material.sides]
    p = np.ones(test.p.shape)
    adjustment = ""
    for found in comparisons:
        if found.setting == setting:
            a, b = labels.index(found.a), labels.index(found.b)
            p[a, b] = p[b, a] = max(found.p_adjusted, found.p_article_adjusted)
            adjustment = found.adjustment
    letters = compact_letters(p, test.means)
    order = sorted(range(len(labels)), key=lambda index: -test.means[index])
    return Display(
        task=material.task,
        setting=setting,
        metric=CONFIRMATORY,
        adjustment=adjustment,
        records=tuple(labels[index] for index in order),
        values=tuple(float(test.means[index]) for index in order),
        letters=tuple(letters[index] for index in order),
    )


def group_figures(material: Material, cells: Cells) -> list[Figure]:
    """The chosen group means and gaps of each record, with intervals."""
    result = []
    for index, side in enumerate(material.sides):
        figures = list(material.figures(index, cells).values())
        found = interval_figures(figures, material.units, material.generator)
        for panel, contrasts in figures:
            for label, value in zip(contrasts.labels, contrasts.apply(panel.estimate), strict=True):
                name = name_of(label)
                if name.part not in ("by_group", GAP):
                    continue
                result.append(
                    Figure(
                        record=side.label,
                        setting=name.setting,
                        metric=name.metric,
                        scope=name.part,
                        key=name.key,
                        value=float(value),
                        interval=found[name].interval,
                        article_interval=found[name].article_interval,
                    )
                )
    return result


def worst_languages(material: Material, cells: Cells) -> list[WorstLanguage]:
    """Worst language and spread of each record."""
    result = []
    for side, values in zip(material.sides, material.values, strict=True):
        spreads = language_spreads(
            values, material.units, material.generator, metrics=cells.metrics, settings=cells.settings
        )
        result += [
            WorstLanguage(
                task=material.task,
                record=side.label,
                setting=setting,
                metric=metric,
                worst=found.worst,
                values=found.values,
                worst_share=found.worst_share,
                spread=found.spread,
                deviation=found.deviation,
            )
            for (setting, metric), found in spreads.items()
            if len(found.values) > 1
        ]
    return result


def power(material: Material, metrics: Sequence[str]) -> list[Detectable]:
    """Smallest detectable difference of each macro average, from the spread of each pair's differences."""
    names, sides = [], []
    for values in material.values:
        found = figures_of(values, material.units, parts=(MACRO,), metrics=metrics)
        if not found:
            return []
        names.append([name_of(contrasts.labels[0]) for _, contrasts in found])
        sides.append(joined([linearise(panel, contrasts, material.units) for panel, contrasts in found]))
    result = []
    for a, b in material.pairs:
        if names[a] != names[b]:  # a figure that only one of them has
            continue
        # what a question adds to a difference is the difference of what it adds to the two
        difference = replace(
            sides[a],
            estimate=sides[b].estimate - sides[a].estimate,
            deviations=sides[b].deviations - sides[a].deviations,
        )
        for name, least in zip(names[a], detectable_differences(difference), strict=True):
            result.append(
                Detectable(
                    task=material.task,
                    a=material.sides[a].label,
                    b=material.sides[b].label,
                    setting=name.setting,
                    metric=name.metric,
                    question=least.question,
                    article=least.article,
                    power=least.power,
                    alpha=least.alpha,
                )
            )
    return result
