"""Two records on the same task data: differences, intervals, effect sizes and randomisation tests.

    a = panel(values_a["multilingual"]["map"], units)
    b = panel(values_b["multilingual"]["map"], units)
    figures = Contrasts.means(len(a.cells), [("macro", range(len(a.cells)))])
    (result,) = paired([Pair(a, b, figures)], units, np.random.default_rng(0))
    result.difference, result.p, result.p_article

All figures of all pairs are tested with the same signs: one matrix product per block of resamples.
`compare_pairs` makes the pairs and labels for every figure of several records. The macro MAP of two in three settings,
with Holm:

    units = shared_units([sampling_units(a.ranks), sampling_units(b.ranks)])
    sides = [figures_of(all_per_query(side.ranks, ["map"]), units, parts=[MACRO]) for side in (a, b)]
    for _, _, result, p, p_article in confirm(compare_pairs(sides, units, together=True)):
        print(result.label.setting, result.difference, result.interval, p, p_article, verdict(p, p_article))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby
from typing import Any, NamedTuple

import numpy as np

from xqr_bench.core.types import FloatArray
from xqr_bench.measure import resampling
from xqr_bench.measure.certainty import Figures
from xqr_bench.measure.linear import (
    ALPHA,
    Linearised,
    article_intervals,
    joined,
    linearise,
    question_intervals,
    shares,
)
from xqr_bench.measure.panel import Contrasts, Panel, Units, check_same_layout
from xqr_bench.measure.resampling import (
    BLOCK,
    RESAMPLES,
    TOLERANCE,
    StepDown,
    bootstrap,
    holm,
    multinomial_weights,
    on_grid,
    p_value,
)
from xqr_bench.measure.scores import Interval

# The test by article: a bootstrap of the studentised difference over articles.


def bootstrap_t(
    rows: FloatArray, present: FloatArray, generator: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[FloatArray, FloatArray]:
    """p-values and step-down max-T adjusted p-values `[figures]` of "the sum over articles is 0".

    Articles are drawn with replacement; of each draw the sum is centred and studentised, and p is the share of
    |t*| that reach |t| (symmetric bootstrap-t: Hall 1992, section 3.5; by cluster: Cameron, Gelbach & Miller 2008,
    Rev. Econ. Stat. 90). With z_g what article g adds to the difference, m articles with a value, and mean z:

        t  = sum z_g / sqrt(m/(m-1) sum (z_g - mean z)^2)
        t* = sum w_g (z_g - mean z) / sqrt(m*/(m*-1) (sum w_g (z_g - mean z)^2 - (sum w_g (z_g - mean z))^2 / m*))

    Why not one sign per article: that test, and the wild cluster bootstrap-t with signs, which is the same test here
    since signs do not change the sum of squares, needs sums that are symmetric about 0. One article of XQuAD-R may
    hold half of the variance of a difference; of true nulls made by resampling articles signs then reject up to 8%,
    this test less (docs/compare.md has the figures). It errs to the safe side with few articles: 3% at 6.

    The sums are exact (`on_grid`), so that the p-values are the same on any number of threads.

    Args:
        rows: z_g, float64 `[articles, figures]`, 0 where an article has no value.
        present: 1.0 where it has one, `[articles, figures]`.
        generator: source of draws.
        resamples: B; p = (1 + #) / (B + 1), never 0.
    """
    n = len(rows)
    m = present.sum(axis=0)
    total = rows.sum(axis=0)
    size = np.abs(rows).sum(axis=0)
    centred = present * (rows - total / np.maximum(m, 1))
    # articles that all add the same have no spread but rounding
    centred[:, np.abs(centred).sum(axis=0) <= TOLERANCE * size] = 0.0
    squares = on_grid(centred**2, n * (centred**2).max(axis=0, initial=0.0))
    centred = on_grid(centred, n * np.abs(centred).max(axis=0, initial=0.0))
    least = 1e-12 * squares.sum(axis=0)
    all_there = bool((present == 1.0).all())

    spread = squares.sum(axis=0) * m / np.maximum(m - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.where(np.abs(total) <= TOLERANCE * size, 0.0, np.abs(total) / np.sqrt(spread))
    observed *= 1.0 - TOLERANCE
    step_down = StepDown(observed)
    reached = np.zeros(rows.shape[1])
    for start in range(0, resamples, BLOCK):
        weights = multinomial_weights(n, min(BLOCK, resamples - start), generator)
        drawn = np.full((len(weights), 1), float(n)) if all_there else weights @ present
        sums = weights @ centred
        spread = np.maximum(weights @ squares - sums**2 / np.maximum(drawn, 1), least)
        with np.errstate(invalid="ignore"):
            t = np.abs(sums) / np.sqrt(spread * drawn / np.maximum(drawn - 1, 1))
        t[:, least == 0] = 0.0
        reached += (t >= observed).sum(axis=0)
        step_down.add(t)
    # with m articles there are 2^m ways to give each the one sign or the other: nothing is rarer than 2 of them
    floor = np.where(size == 0, 1.0, 2.0 ** (1 - np.maximum(m, 1)))
    return np.maximum(p_value(reached, resamples), floor), np.maximum(step_down.p(), floor)


@dataclass(frozen=True)
class Pair:
    """One metric in one family of settings of two records, and the figures to compare."""

    a: Panel
    b: Panel
    contrasts: Contrasts


class LargestArticle(NamedTuple):
    """An article that holds half of the spread of a difference or more, and what is found without its questions.

    Attributes:
        share: of the sum of squares of the articles' deviations.
        difference: b - a on the questions of the other articles.
        p_article: of that difference, as it is.
    """

    share: float
    difference: float
    p_article: float


DOMINANT = 0.5


@dataclass(frozen=True)
class PairedResult:
    """One difference, b minus a.

    Attributes:
        label: what the figure is.
        a, b: the two figures.
        difference: b - a.
        d: the questions' differences, whose mean is the difference, float64 `[n_questions]` (only questions with a
            value in the figure).
        interval: by bootstrap over questions; None when it cannot be, or was not, computed.
        article_interval: linearised, summed by article, t.
        effect_size: difference / standard deviation of the linearised d (Cohen's d_z).
        p: paired randomisation, one sign per question across all its settings.
        p_t: its t twin on the linearised differences.
        p_article, p_article_t: by article: the studentised bootstrap (`bootstrap_t`), and a t test.
        p_max_t, p_article_max_t: step-down max-T adjusted over all figures tested together.
        n_varying, n_varying_articles: questions whose difference is not the commonest (mostly 0), articles with one.
        n_questions, n_articles: units with a value in the figure.
        resamples: B.
        largest: the article that holds DOMINANT of the spread or more, if one does.
    """

    label: Any
    a: float
    b: float
    difference: float
    d: FloatArray
    interval: Interval | None
    article_interval: Interval | None
    effect_size: float
    p: float
    p_t: float
    p_article: float
    p_article_t: float
    p_max_t: float
    p_article_max_t: float
    n_varying: int
    n_varying_articles: int
    n_questions: int
    n_articles: int
    resamples: int
    largest: LargestArticle | None


def paired(
    pairs: Sequence[Pair],
    units: Units,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    *,
    replicates: FloatArray | None = None,
    redrawn: int = 0,
) -> list[PairedResult]:
    """Compare two records: one result for each figure.

    With x_is a question's value in setting s and n_s the setting's questions, d_i = m sum over s of
    weight_s (b_is - a_is) / n_s for the m questions of the figure; its mean is the difference of the figures, exactly.
    Under the null the two records are exchangeable within a question, so every vector of signs is equally likely and
    n_s does not change (Smucker et al. 2007). p counts |statistic| >= |observed|. For a set statistic the rows of a
    question are exchanged and the statistic recomputed from the summed features. By article, the articles' sums of
    d_i (of a set statistic, of its jackknife pseudo-values) are resampled: see `bootstrap_t`.

    Args:
        pairs: each a metric in a setting; all over the same questions.
        units: questions and articles.
        generator: source of signs and resamples; four streams are spawned from it, the third for `replicates`.
        resamples: B of the randomisation tests.
        replicates: the differences under resampled questions, `[resamples, figures]`; None: no intervals by question.
        redrawn: resamples among them that were drawn again.

    Raises:
        UsageError: the two records do not have the same queries in the same settings.
    """
    for pair in pairs:
        check_same_layout([pair.a, pair.b])
    question_stream, article_stream, _, without_stream = generator.spawn(4)
    linearised = joined([linearise(pair.b, pair.contrasts, units, minus=pair.a) for pair in pairs])
    all_shares = np.hstack([pair.contrasts.apply(shares(pair.b) - shares(pair.a)) for pair in pairs])
    present = linearised.present
    p, p_max = _randomise(pairs, all_shares, present, question_stream, resamples)
    in_article = (units.by_article(present) > 0).astype(np.float64)
    p_article, p_article_max = bootstrap_t(units.by_article(all_shares), in_article, article_stream, resamples)
    by_article = article_intervals(linearised)
    by_question = [None] * len(p) if replicates is None else question_intervals(replicates, linearised, redrawn)
    largest = _dominating(pairs, linearised, without_stream, resamples)
    columns: dict[str, Any] = {
        "a": np.concatenate([pair.contrasts.apply(pair.a.estimate) for pair in pairs]),
        "b": np.concatenate([pair.contrasts.apply(pair.b.estimate) for pair in pairs]),
        "difference": linearised.estimate,
        "effect_size": linearised.effect_size,
        "p": p,
        "p_t": linearised.p_t,
        "p_article": p_article,
        "p_article_t": linearised.p_article_t,
        "p_max_t": p_max,
        "p_article_max_t": p_article_max,
        "n_varying": linearised.n_varying[0],
        "n_varying_articles": linearised.n_varying[1],
        "n_questions": linearised.n_questions,
        "n_articles": linearised.n_articles,
    }
    return [
        PairedResult(
            label=label,
            d=all_shares[present[:, f] > 0, f] * int(linearised.n_questions[f]),
            interval=by_question[f],
            article_interval=by_article[f],
            resamples=resamples,
            largest=largest[f],
            **{name: values[f].item() for name, values in columns.items()},
        )
        for f, label in enumerate(label for pair in pairs for label in pair.contrasts.labels)
    ]


def _randomise(
    pairs: Sequence[Pair],
    all_shares: FloatArray,
    present: FloatArray,
    generator: np.random.Generator,
    resamples: int,
) -> tuple[FloatArray, FloatArray]:
    """p-values and step-down max-T adjusted p-values `[figures]` with one sign per question.

    The shares sum to the differences; shares and presence are float64 `[questions, figures]`.
    """
    scale = np.abs(all_shares).sum(axis=0)
    rows = resampling.sign_grid(all_shares)
    observed = rows.sum(axis=0)
    sets = []
    stop = 0
    for pair in pairs:
        columns = slice(stop, stop + len(pair.contrasts))
        stop = columns.stop
        if pair.a.statistic is not None:
            sets.append((columns, pair, (pair.b.sums - pair.a.sums).reshape(len(rows), -1)))
            observed[columns] = pair.contrasts.apply(pair.b.estimate) - pair.contrasts.apply(pair.a.estimate)
    studentised = resampling.SignedT((rows**2).sum(axis=0), present.sum(axis=0).astype(np.int64), scale)
    step_down = StepDown(studentised.observed(observed))
    count = np.zeros(len(observed))
    for coins in resampling.coin_blocks(len(rows), resamples, generator):
        statistics = resampling.signed_sums(rows, coins)
        for columns, pair, features in sets:
            statistics[:, columns] = _exchanged(pair, coins @ features)
        count += resampling.at_least(statistics, observed, scale).sum(axis=0)
        step_down.add(studentised(statistics))
    return resampling.p_value(count, resamples), step_down.p()


def _dominating(
    pairs: Sequence[Pair], linearised: Linearised, generator: np.random.Generator, resamples: int
) -> list[LargestArticle | None]:
    """Of each figure the article that holds DOMINANT of its spread or more, where there are more than two."""
    units = linearised.units
    squares = units.by_article(linearised.deviations) ** 2
    total = squares.sum(axis=0)
    share = squares.max(axis=0, initial=0.0) / np.where(total > 0, total, np.inf)
    article = squares.argmax(axis=0)
    figures = [(pair, f) for pair in pairs for f in range(len(pair.contrasts))]
    return [
        _without(pair, f, units, int(article[column]), float(share[column]), generator, resamples)
        if share[column] >= DOMINANT and linearised.n_articles[column] > 2
        else None
        for column, (pair, f) in enumerate(figures)
    ]


def _without(
    pair: Pair,
    figure: int,
    units: Units,
    article: int,
    share: float,
    generator: np.random.Generator,
    resamples: int,
) -> LargestArticle | None:
    """What is found without the questions of this article; None where that is not defined."""
    others = units.article != article
    left = Units(
        tuple(name for name, other in zip(units.questions, others, strict=True) if other),
        np.arange(int(others.sum())),
        np.unique(units.article[others], return_inverse=True)[1],
    )
    a, b = (replace(side, sums=side.sums[others], counts=side.counts[others]) for side in (pair.a, pair.b))
    contrasts = pair.contrasts.select([figure])
    found = linearise(b, contrasts, left, minus=a)
    if not np.isfinite(found.estimate[0]):
        return None
    rows = left.by_article(contrasts.apply(shares(b) - shares(a)))
    present = (left.by_article(found.present) > 0).astype(np.float64)
    p_article, _ = bootstrap_t(rows, present, generator, resamples)
    return LargestArticle(share, float(found.estimate[0]), float(p_article[0]))


def _exchanged(pair: Pair, moved: FloatArray) -> FloatArray:
    """Difference of a set statistic's figures when some questions keep their rows, and the others swap them.

    `moved` is the sum of b - a over the questions that keep theirs, `[resamples, cells * f]`.
    """
    moved = moved.reshape(len(moved), *pair.a.sums.shape[1:])
    counts = np.broadcast_to(pair.a.totals, moved.shape[:-1])
    # b's sums become a's plus what stays; a's sums become b's minus the same
    new_b = pair.contrasts.apply(pair.b.value(pair.a.sums.sum(axis=0) + moved, counts))
    new_a = pair.contrasts.apply(pair.a.value(pair.b.sums.sum(axis=0) - moved, counts))
    return new_b - new_a


# Every figure of every pair of records, the p-values adjusted, and the verdict.

SIGNIFICANT = "significant"
QUESTION_ONLY = "question level only"
NOT_SIGNIFICANT = "not significant"
TOO_FEW = "too few articles"


def least_p(n_articles: int) -> float:
    """The least p that so many articles can give (`bootstrap_t`), before it is adjusted."""
    return 2.0 ** (1 - n_articles)


def verdict(p_adjusted: float, p_article: float, n_articles: int | None = None, family: int = 1) -> str:
    """ "significant" when p by question and p by article agree on it, else "question level only" or "not significant".

    Both are adjusted for the same family. With p_article as it is, one of three true nulls of XQuAD-R is called
    significant in 9 to 14 of 100 samples of articles, since the test by question stops few of them; adjusted, in 4
    to 6.5.

    The least p_article of G articles is 2^(1-G) (`bootstrap_t`). Where that times the family exceeds ALPHA, "question
    level only" would tell of the task what it does not tell of the records: TOO_FEW is said.

    Args:
        p_adjusted, p_article: adjusted, by question and by article.
        n_articles: G; None: enough.
        family: how many figures are adjusted together.
    """
    if p_adjusted > ALPHA:
        return NOT_SIGNIFICANT
    if p_article <= ALPHA:
        return SIGNIFICANT
    return TOO_FEW if n_articles is not None and least_p(n_articles) * family > ALPHA else QUESTION_ONLY


class PairTest(NamedTuple):
    """One figure of two records, a and b by number, with p-values adjusted over the family of figures."""

    a: int
    b: int
    result: PairedResult
    p_adjusted: float
    p_article_adjusted: float

    def verdict(self, family: int) -> str:
        """See `verdict`; the family has so many figures."""
        return verdict(self.p_adjusted, self.p_article_adjusted, self.result.n_articles, family)


def compare_pairs(
    sides: Sequence[Figures],
    units: Units,
    seed: int = 0,
    resamples: int = RESAMPLES,
    *,
    together: bool = False,
    intervals: bool = True,
) -> list[tuple[int, int, PairedResult]]:
    """Every figure that two records share, for every pair of records: (a, b, result), b minus a.

    Questions are resampled once for all records: the resampled difference of two is that of their resampled figures.

    Args:
        sides: the figures of each record.
        units: questions and articles.
        seed: every test, and the resampling, draws anew from it, so that no figure depends on what else is asked for.
        resamples: B of the tests.
        together: max-T adjusts over the figures of all pairs, and not pair by pair.
        intervals: give intervals over questions.
    """
    named = [(a, b, name) for a, b in combinations(range(len(sides)), 2) for name in sides[a] if name in sides[b]]
    if not named:
        return []
    replicates: list[dict[tuple[str, str], FloatArray]] = []
    redrawn = 0
    if intervals:
        # the stream that `paired` leaves for it
        drawn = bootstrap([figure for side in sides for figure in side.values()], _generator(seed).spawn(3)[2])
        values, redrawn = iter(drawn.values), drawn.redrawn
        replicates = [{name: next(values) for name in side} for side in sides]
    result = []
    for _, tested in groupby(named, key=lambda of: None if together else of[:2]):
        group = list(tested)
        resampled = [replicates[b][name] - replicates[a][name] for a, b, name in group] if intervals else []
        tests = paired(
            [Pair(sides[a][name][0], sides[b][name][0], sides[a][name][1]) for a, b, name in group],
            units,
            _generator(seed),
            resamples,
            replicates=np.hstack(resampled) if intervals else None,
            redrawn=redrawn,
        )
        places = [(a, b) for a, b, name in group for _ in sides[a][name][1].labels]
        result += [(a, b, one) for (a, b), one in zip(places, tests, strict=True)]
    return result


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def confirm(results: Sequence[tuple[int, int, PairedResult]]) -> list[PairTest]:
    """Adjust over the confirmatory family: Holm for two records, step-down max-T for more.

    Max-T over all pairs in all settings (Romano & Wolf 2005, JASA 100): each pair is studentised by the spread of its
    own differences, so a record that is far off, or noisy, takes nothing from the others; and what is rejected no
    longer counts. Tukey's test, by contrast, measures chance by mixing all records. The chance of any false difference
    is kept at 5% whichever records are equal.

    Args:
        results: the figures of every pair (a, b), all tested together (`compare_pairs`).
    """
    if len({(a, b) for a, b, _ in results}) > 1:
        return [PairTest(a, b, one, one.p_max_t, one.p_article_max_t) for a, b, one in results]
    p, p_article = (holm([getattr(one, name) for _, _, one in results]).tolist() for name in ("p", "p_article"))
    return [PairTest(*one, *both) for one, *both in zip(results, p, p_article, strict=True)]
