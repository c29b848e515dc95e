"""Who cannot be told apart from the best: tests between the rows of a contest, from their stored ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xqr_bench.board.model import Standing, Tests, Verdict
from xqr_bench.certainty import compare_many, sampling_units, shared_units, verdict
from xqr_bench.certainty.compare import ALPHA, QUESTION_ONLY, SIGNIFICANT
from xqr_bench.certainty.figures import AllValues
from xqr_bench.scores import all_per_query
from xqr_bench.stats.multiple import holm
from xqr_bench.stats.signs import RESAMPLES
from xqr_bench.stats.tukey import Tukey
from xqr_bench.types import FloatArray, Ranks

METRIC = "map"
SEED = 0
TESTS = Tests(
    metric=METRIC,
    alpha=ALPHA,
    resamples=RESAMPLES,
    seed=SEED,
    method=(
        "Within one task and protocol: randomised two-way Tukey HSD over all pairs of rows, within each setting, by "
        "question and by article; then Holm over the settings for each pair. A row is below the best when the adjusted "
        "p by question and the p by article both reach alpha; when only the first does it is 'question level only' "
        "and counts as tied."
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
            p = _p_values(tests, setting, best, i) if i != best else None
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


def _tests(values: Sequence[AllValues], ranks: Sequence[Ranks]) -> dict[str, Tukey]:
    """Setting -> all pairs."""
    units = shared_units([sampling_units(found) for found in ranks])
    found = compare_many(values, units, generator=np.random.Generator(np.random.PCG64(SEED)))
    return {result.label.setting: result for result in found}  # type: ignore[attr-defined]


def _p_values(tests: Mapping[str, Tukey], setting: str, best: int, other: int) -> tuple[float, float]:
    """Adjusted p by question and p by article of one pair in one setting."""
    adjusted = dict(zip(tests, holm([found.p[best, other] for found in tests.values()]), strict=True))
    return float(adjusted[setting]), float(tests[setting].p_article[best, other])


def _verdict(p_adjusted: float, p_article: float) -> Verdict:
    found = verdict(p_adjusted, p_article)
    return {SIGNIFICANT: "below the best", QUESTION_ONLY: "question level only"}.get(found, "not below the best")  # type: ignore[return-value]
