"""Two-way bootstrap over seeds and articles, t over seeds, and the primary tests of docs/ratio-study-plan.md.

A figure of one arm is linear in its seeds: with article weights w the mean of a row is sum_g w_g sums_g / sum_g w_g
counts_g, a score the mean over its rows, and an arm the mean over its seeds. So resamples are matrix products.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import MONOLINGUAL, MULTILINGUAL, FloatArray
from xqr_bench.measure.linear import detectable_difference
from xqr_bench.measure.resampling import REDRAWS, RESAMPLES, holm, multinomial_weights
from xqr_bench.studies.ratio.design import ALPHAS
from xqr_bench.studies.ratio.form import Contrast, Hypothesis, TestPart
from xqr_bench.studies.ratio.results import LEVELS, Results

BLOCK = 250
LEVEL = 0.95
MARGIN = 0.02
SIGNIFICANT = 0.05
BEST_SHARE = 0.05

Chosen = Mapping[str, Sequence[int]]
"""Name of a score -> the rows it averages."""


@dataclass(frozen=True)
class Replicates:
    """Scores of all arms, as they are and under resampling.

    Attributes:
        names: of the scores, `[scores]`.
        arms: `[arms]`.
        by_seed: articles fixed, float64 `[scores, arms, seeds]`.
        both: seeds and articles drawn again, float64 `[resamples, scores, arms]`.
        articles_only: only articles drawn again, the same draws, float64 `[resamples, scores, arms]`.
        redrawn: resamples drawn again because a row had no value.
    """

    names: tuple[str, ...]
    arms: tuple[str, ...]
    by_seed: FloatArray
    both: FloatArray
    articles_only: FloatArray
    redrawn: int

    def place(self, score: str, arm: str) -> tuple[int, int]:
        """Indices of a score and an arm."""
        return self.names.index(score), self.arms.index(arm)


def replicate(
    results: Results, chosen: Chosen, generator: np.random.Generator, resamples: int = RESAMPLES
) -> Replicates:
    """Draw seeds and articles again, the same draws for every arm and score.

    Seeds are drawn with replacement, articles by multinomial weights. A resample in which a row gets no value is drawn
    again, at most REDRAWS times; then its score is undefined (NaN).

    Raises:
        UsageError: a score without rows.
    """
    for name, rows in chosen.items():
        if not len(rows):
            raise UsageError(f"no row of the results belongs to {name}", remedy="leave it out")
    used = sorted({row for rows in chosen.values() for row in rows})
    at = {row: index for index, row in enumerate(used)}
    means = np.zeros((len(chosen), len(used)))
    for k, rows in enumerate(chosen.values()):
        means[k, [at[row] for row in rows]] = 1.0 / len(rows)
    arms, seeds, _, articles = results.sums.shape
    sums = results.sums[:, :, used].reshape(-1, articles).T
    counts = results.counts[:, :, used].reshape(-1, articles)
    layouts, layout_of = np.unique(counts, axis=0, return_inverse=True)
    layout_of = layout_of.reshape(-1)

    def scores(weights: FloatArray) -> FloatArray:
        """float64 `[resamples, scores, arms, seeds]`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            values = (weights @ sums) / (weights @ layouts.T)[:, layout_of]
        return np.moveaxis(values.reshape(-1, arms, seeds, len(used)) @ means.T, 3, 1)

    by_seed = scores(np.ones((1, articles)))[0]
    both = np.empty((resamples, len(chosen), arms))
    fixed = np.empty_like(both)
    redrawn = 0
    for start in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - start)
        weights = multinomial_weights(articles, size, generator)
        drawn = multinomial_weights(seeds, size, generator) / seeds
        for _ in range(REDRAWS):
            empty = (weights @ layouts.T == 0).any(axis=1)
            if not empty.any():
                break
            weights[empty] = multinomial_weights(articles, int(empty.sum()), generator)
            redrawn += int(empty.sum())
        resampled = scores(weights)
        both[start : start + size] = np.einsum("bkas,bs->bka", resampled, drawn)
        fixed[start : start + size] = resampled.mean(axis=3)
    return Replicates(tuple(chosen), results.arms, by_seed, both, fixed, redrawn)


@dataclass(frozen=True)
class Term:
    """weight x score of an arm; a contrast is a sum of terms."""

    score: str
    arm: str
    weight: float = 1.0


@dataclass(frozen=True)
class Effect:
    """A contrast between arms.

    Attributes:
        estimate: mean over seeds.
        low, high: 95%, percentiles of the two-way bootstrap.
        p_greater, p_less: one-sided, by bootstrap: of "not above 0", "not below 0".
        t_greater, t_two_sided: p of the paired t over seeds, articles fixed; None with one seed or without spread.
        error: standard deviation of the replicates.
        article_error: with seeds fixed.
        seed_deviation: standard deviation over seeds, articles fixed.
        seeds: how many.
    """

    estimate: float
    low: float
    high: float
    p_greater: float
    p_less: float
    t_greater: float | None
    t_two_sided: float | None
    error: float
    article_error: float
    seed_deviation: float | None
    seeds: int

    @property
    def p_two_sided(self) -> float:
        """Twice the smaller one-sided p, at most 1."""
        return min(1.0, 2 * min(self.p_greater, self.p_less))

    @property
    def detectable(self) -> float | None:
        """Smallest true value found with 80% power by a two-sided t test at 5%; None: cannot be told."""
        return detectable_difference(self.error, self.seeds - 1)

    def contrast(self, **changes: float | None) -> Contrast:
        """The same as `ratios.json` has it, some values changed; by t: estimate -+ t(.975, n - 1) s / sqrt(n)."""
        t_low = t_high = None
        if self.seed_deviation is not None:
            quantile = scipy_stats.t.ppf((1 + LEVEL) / 2, self.seeds - 1)
            half = float(quantile * self.seed_deviation / np.sqrt(self.seeds))
            t_low, t_high = self.estimate - half, self.estimate + half
        names = ("estimate", "low", "high", "seeds", "seed_deviation", "detectable")
        values = {name: getattr(self, name) for name in names} | {"t_low": t_low, "t_high": t_high}
        return Contrast(**{**values, **changes})


def effect(scores: Replicates, terms: Sequence[Term]) -> Effect:
    """Estimate a contrast, with its interval and p-values."""
    places = [(term.weight, *scores.place(term.score, term.arm)) for term in terms]
    drawn, fixed = (
        np.sum([weight * values[:, k, a] for weight, k, a in places], axis=0)
        for values in (scores.both, scores.articles_only)
    )
    return effect_of(drawn, fixed, np.sum([weight * scores.by_seed[k, a] for weight, k, a in places], axis=0))


_ROUNDING = 1e-12
"""A replicate nearer to 0 is on it: sums in another order give some 1e-17 where the scores are equal."""


def effect_of(drawn: FloatArray, articles_only: FloatArray, by_seed: FloatArray) -> Effect:
    """The effect that has these replicates, float64 `[resamples]`, and these values by seed, float64 `[seeds]`.

    A one-sided p is (1 + resamples on the wrong side of 0, or on it) / (B + 1).
    """
    seeds, estimate = len(by_seed), float(by_seed.mean())
    # written so that an undefined replicate counts against every claim
    greater, less = ((1 + int((~side).sum())) / (len(drawn) + 1) for side in (drawn > _ROUNDING, drawn < -_ROUNDING))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    deviation = float(by_seed.std(ddof=1)) if seeds > 1 else None
    one_sided = two_sided = None
    if deviation:
        t = estimate / (deviation / np.sqrt(seeds))
        one_sided = float(scipy_stats.t.sf(t, seeds - 1))
        two_sided = float(2 * scipy_stats.t.sf(abs(t), seeds - 1))
    return Effect(
        estimate=estimate,
        low=float(low),
        high=float(high),
        p_greater=greater,
        p_less=less,
        t_greater=one_sided,
        t_two_sided=two_sided,
        error=float(drawn.std(ddof=1)),
        article_error=float(articles_only.std(ddof=1)),
        seed_deviation=deviation,
        seeds=seeds,
    )


def seeds_needed(measured: Effect, size: float, most: int = 10_000) -> int | None:
    """The smallest number of seeds with which a true value of `size` is found with 80% power, same articles.

    The squared error is taken as seed_deviation^2 / seeds + article_error^2. None: no number up to `most` is enough.
    """
    deviation = measured.seed_deviation
    if deviation is None:
        return None

    def enough(seeds: int) -> bool:
        least = detectable_difference(float(np.sqrt(deviation**2 / seeds + measured.article_error**2)), seeds - 1)
        return least is not None and least <= abs(size)

    seeds = 2 + bisect_left(range(2, most + 1), True, key=enough)
    return seeds if seeds <= most else None


MONO, MULTI = "monolingual", "multilingual"
TRAINED, OTHER = "multilingual, retrieval-trained", "multilingual, not retrieval-trained"
OWN, OWN_LANGUAGE = "own language first", (MULTILINGUAL, "own_language_first")


def primary_scores(results: Results, *, own_language: bool = False) -> dict[str, list[int]]:
    """The scores of the primary tests; those of a level only where both levels have query languages.

    `own_language`: own language first too, which H3 is about.
    """
    trained, other = (results.family(MULTILINGUAL, level=level) for level in LEVELS)
    return {
        MONO: results.family(MONOLINGUAL),
        MULTI: results.family(MULTILINGUAL),
        **({TRAINED: trained, OTHER: other} if trained and other else {}),
        **({OWN: results.family(*OWN_LANGUAGE)} if own_language else {}),
    }


def primary_tests(scores: Replicates) -> list[Hypothesis]:
    """H1 (intersection-union of four one-sided tests), H2 (interaction, two-sided), H3 (one-sided), Holm over them.

    The p of a hypothesis is the largest of its parts'. It is claimed when both adjusted p-values, by bootstrap and by
    t, are at most 5%. H2 is left out where all query languages have the same level, H3 where `primary_scores` was not
    asked for own language first.
    """
    share = 1 - MARGIN
    middle, mono, cross = "alpha-0.5", "alpha-1", "alpha-0"
    stated = {
        "H1": {
            "mono(.5) > .98 mono(1)": [Term(MONO, middle), Term(MONO, mono, -share)],
            "multi(.5) > .98 multi(0)": [Term(MULTI, middle), Term(MULTI, cross, -share)],
            "mono(.5) > mono(0)": [Term(MONO, middle), Term(MONO, cross, -1)],
            "multi(.5) > multi(1)": [Term(MULTI, middle), Term(MULTI, mono, -1)],
        }
    }
    if OTHER in scores.names:
        terms = [Term(TRAINED, middle), Term(TRAINED, cross, -1), Term(OTHER, middle, -1), Term(OTHER, cross)]
        stated["H2"] = {"effect on retrieval-trained minus effect on others": terms}
    if OWN in scores.names:
        stated["H3"] = {"own(1) > own(.5)": [Term(OWN, mono), Term(OWN, middle, -1)]}
    effects = {name: {text: effect(scores, terms) for text, terms in of.items()} for name, of in stated.items()}
    p_of_parts = {
        name: [
            (one.p_two_sided, one.t_two_sided) if name == "H2" else (one.p_greater, one.t_greater)
            for one in of.values()
        ]
        for name, of in effects.items()
    }
    p = [max(by_bootstrap for by_bootstrap, _ in of) for of in p_of_parts.values()]
    by_t = [[t for _, t in of if t is not None] for of in p_of_parts.values()]
    p_t = [max(of) if len(of) == len(p_of_parts[name]) else None for name, of in zip(effects, by_t, strict=True)]
    adjusted, adjusted_t = holm(p), holm([1.0 if one is None else one for one in p_t])
    return [
        Hypothesis(
            name=name,
            parts=[
                TestPart(
                    name=text, effect=one.contrast(), p=of[0], p_t=of[1], seeds_needed=seeds_needed(one, one.estimate)
                )
                for (text, one), of in zip(effects[name].items(), p_of_parts[name], strict=True)
            ],
            p=p[k],
            p_t=p_t[k],
            adjusted=float(adjusted[k]),
            adjusted_t=None if p_t[k] is None else float(adjusted_t[k]),
            claimed=p_t[k] is not None and bool(max(adjusted[k], adjusted_t[k]) <= SIGNIFICANT),
        )
        for k, name in enumerate(effects)
    ]


def best_alphas(
    scores: Replicates, score: str, alphas: Sequence[float] = ALPHAS, *, lowest: bool = False
) -> dict[float, float]:
    """Alpha -> share of the resamples in which its mean is the highest, of those best in at least 5%.

    Alphas that are equally high share a resample. `lowest`: the best is the lowest, as of rank distance.
    """
    places = [scores.place(score, f"alpha-{alpha:g}") for alpha in alphas]
    values = np.stack([scores.both[:, k, a] for k, a in places], axis=1) * (-1 if lowest else 1)
    best = values == values.max(axis=1, keepdims=True)
    shares = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return {alpha: float(share) for alpha, share in zip(alphas, shares, strict=True) if share >= BEST_SHARE}
