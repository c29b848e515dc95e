"""Who cannot be told apart from the best: tests between the rows of a contest, from their stored ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xqr_bench.board.model import Standing, Tests, Verdict
from xqr_bench.certainty import compare_pairs, confirm, figures_by_name, sampling_units, shared_units, verdict
from xqr_bench.certainty.compare import ALPHA, QUESTION_ONLY, SIGNIFICANT
from xqr_bench.certainty.figures import AllValues
from xqr_bench.scores import all_per_query
from xqr_bench.stats.signs import RESAMPLES
from xqr_bench.types import FloatArray, Ranks

METRIC = "map"
SEED = 0
TESTS = Tests(
    metric=METRIC,
    alpha=ALPHA,
    resamples=RESAMPLES,
    seed=SEED,
    method=(
        "Within one task and protocol: every pair of rows in every setting, by question (one random sign a question) "
        "and by article (studentised bootstrap), adjusted over all of them by step-down max-T (of two rows by Holm "
        "over the settings). A row is below the best when both adjusted p reach alpha; when only the one by question "
        "does it is 'question level only' and counts as tied."
    ),
)
Standings = dict[str, dict[str, Standing]]  # setting -> metric -> standing


def standings(contestants: Mapping[str, Ranks], settings: Sequence[str]) -> dict[str, Standings]:
    """The standing of each contestant.

    Args:
        contestants: row id -> ranks, all of one task and protocol.
        settings: those to test; all contestants have them.

    Returns:
        row id -> setting -> metric -> standing.
    """
    names = sorted(contestants)
    values = [all_per_query(contestants[name], [METRIC], settings) for name in names]
    tests = _tests(values, [contestants[name] for name in names]) if len(names) > 1 else {}
    result: dict[str, Standings] = {name: {} for name in names}
    for setting in settings:
        means = _means(values, setting)
        best = int(np.argmax(means))
        order = np.argsort(-means, kind="stable").tolist()
        for i, name in enumerate(names):
            p = tests[setting, min(i, best), max(i, best)] if i != best else None
            how: Verdict = "best" if p is None else _verdict(*p)
            result[name][setting] = {
                METRIC: Standing(
                    place=order.index(i) + 1,
                    verdict=how,
                    tied_with_best=how != "below the best",
                    best=names[best],
                    difference=float(f"{means[best] - means[i]:.7g}"),
                    p_adjusted=None if p is None else p[0],
                    p_article=None if p is None else p[1],
                )
            }
    return result


def _means(values: Sequence[AllValues], setting: str) -> FloatArray:
    """Macro average of each contestant."""
    result = []
    for found in values:
        per_query = found[setting][METRIC]
        n = len(per_query.cells)
        sums = np.bincount(per_query.cell, weights=per_query.values, minlength=n)
        result.append(float((sums / np.bincount(per_query.cell, minlength=n)).mean()))
    return np.array(result)


def _tests(values: Sequence[AllValues], ranks: Sequence[Ranks]) -> dict[tuple[str, int, int], tuple[float, float]]:
    """(setting, a, b) -> adjusted p by question and by article."""
    units = shared_units([sampling_units(found) for found in ranks])
    sides = [figures_by_name(found, units, metrics=[METRIC]) for found in values]
    found = confirm(compare_pairs(sides, units, np.random.Generator(np.random.PCG64(SEED)), RESAMPLES))
    return {
        (one.result.label.setting, one.a, one.b): (one.p_adjusted, one.p_article_adjusted)  # type: ignore[attr-defined]
        for one in found
    }


def _verdict(p_adjusted: float, p_article: float) -> Verdict:
    found = verdict(p_adjusted, p_article)
    return {SIGNIFICANT: "below the best", QUESTION_ONLY: "question level only"}.get(found, "not below the best")  # type: ignore[return-value]
