"""The scores of a condition, of all languages and of parts of them, and their figures for every arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from xqr_bench.languages import LANGUAGES
from xqr_bench.report.ratio.model import BASE_ARM, ArmFigure, Contrast, Part, Score
from xqr_bench.study.design import ALPHAS
from xqr_bench.study.results import LEVELS, Results
from xqr_bench.study.statistics import LEVEL, Effect, Replicates, Term, best_alphas, effect
from xqr_bench.types import CROSS_LINGUAL, MONOLINGUAL, MULTILINGUAL

FAMILIES = (
    (MONOLINGUAL, "map"),
    (CROSS_LINGUAL, "map"),
    (MULTILINGUAL, "map"),
    (MULTILINGUAL, "rank_distance"),
    (MULTILINGUAL, "own_language_first"),
)
LOWER_IS_BETTER = ("rank_distance",)
NO_BEST = ("own_language_first",)


@dataclass(frozen=True)
class Key:
    """Which score: all languages, or those of a level, a Joshi class or one language, by query language."""

    setting: str
    metric: str
    part: Part = "all"
    name: str = ""

    @property
    def text(self) -> str:
        """Its name among replicates."""
        return "/".join((self.setting, self.metric, self.part, self.name))


def joshi_class(code: str) -> int | None:
    """Resource class of Joshi et al. 2020; None: not in the table."""
    return LANGUAGES[code].resource_class if code in LANGUAGES else None


def query_languages(results: Results) -> list[str]:
    """Query languages in the order of the rows."""
    return list(dict.fromkeys(row.split("/")[2].split(">")[0] for row in results.rows))


def chosen_scores(results: Results, *, detailed: bool) -> dict[Key, list[int]]:
    """Score -> rows.

    Languages that an encoder cannot represent are left out but for their own figures. A part that has no language, or
    all of them, is left out.

    Args:
        results: of one condition.
        detailed: also by Joshi class and by language.
    """
    codes = query_languages(results)
    classes = sorted({found for code in codes if (found := joshi_class(code)) is not None}) if detailed else []
    chosen: dict[Key, list[int]] = {}
    for setting, metric in FAMILIES:
        everything = results.family(setting, metric)
        chosen[Key(setting, metric)] = everything
        for level in LEVELS:
            chosen[Key(setting, metric, "level", level)] = results.family(setting, metric, level=level)
        for joshi in classes:
            chosen[Key(setting, metric, "group", f"joshi-{joshi}")] = [
                row for row in everything if joshi_class(_pair(results, row)[0]) == joshi
            ]
        for code in codes if detailed else ():
            chosen[Key(setting, metric, "language", code)] = [
                row
                for row in results.family(setting, metric, query=code)
                if not results.excluded.keys() & (set(_pair(results, row)) - {code})
            ]
    whole = {(key.setting, key.metric): len(rows) for key, rows in chosen.items() if key.part == "all"}
    return {
        key: rows
        for key, rows in chosen.items()
        if rows and (key.part in ("all", "language") or len(rows) < whole[key.setting, key.metric])
    }


def _pair(results: Results, row: int) -> list[str]:
    return results.rows[row].split("/")[2].split(">")


def defined(found: Replicates, name: str) -> bool:
    """Whether a score is there, with a value in every arm, seed and resample."""
    if name not in found.names:
        return False
    place = found.names.index(name)
    return bool(np.isfinite(found.by_seed[place]).all() and np.isfinite(found.both[:, place]).all())


def made_contrast(one: Effect) -> Contrast:
    """An effect as `ratios.json` has it."""
    half = None if one.seed_deviation is None else t_half_width(one.seed_deviation, one.seeds)
    return Contrast(
        estimate=one.estimate,
        low=one.low,
        high=one.high,
        t_low=None if half is None else one.estimate - half,
        t_high=None if half is None else one.estimate + half,
        seeds=one.seeds,
        seed_deviation=one.seed_deviation,
        detectable=one.detectable,
    )


def t_half_width(deviation: float, seeds: int) -> float:
    """Half of the 95% interval of a mean over seeds: t(.975, n - 1) s / sqrt(n)."""
    return float(scipy_stats.t.ppf((1 + LEVEL) / 2, seeds - 1) * deviation / np.sqrt(seeds))


def contrast(found: Replicates, terms: list[Term]) -> Contrast:
    """A sum of weighted scores of arms."""
    return made_contrast(effect(found, terms))


def difference(found: Replicates, score: str, arm: str, base: str) -> Contrast:
    """An arm minus another on one score."""
    return contrast(found, [Term(score, arm), Term(score, base, -1)])


def score_figures(found: Replicates, keys: Mapping[Key, list[int]]) -> list[Score]:
    """The figures of every score that is defined."""
    return [_score(found, key) for key in keys if defined(found, key.text)]


def _score(found: Replicates, key: Key) -> Score:
    arms: dict[str, ArmFigure] = {}
    for arm in found.arms:
        k, a = found.place(key.text, arm)
        low, high = np.quantile(found.both[:, k, a], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        seeds = found.by_seed[k, a]
        compared = BASE_ARM in found.arms and arm != BASE_ARM
        arms[arm] = ArmFigure(
            value=float(seeds.mean()),
            low=float(low),
            high=float(high),
            deviation=float(seeds.std(ddof=1)) if len(seeds) > 1 else None,
            difference=difference(found, key.text, arm, BASE_ARM) if compared else None,
        )
    on_curve = [f"alpha-{alpha:g}" for alpha in ALPHAS]
    best = {}
    if key.metric not in NO_BEST and set(on_curve) <= set(found.arms):
        shares = best_alphas(found, key.text, lowest=key.metric in LOWER_IS_BETTER)
        best = {f"{alpha:g}": share for alpha, share in shares.items()}
    gaps = [
        one.difference.detectable
        for arm, one in arms.items()
        if arm in on_curve and one.difference is not None and one.difference.detectable is not None
    ]
    return Score(
        setting=key.setting,
        metric=key.metric,
        part=key.part,
        name=key.name,
        arms=arms,
        best=best,
        detectable=max(gaps, default=None),
    )
