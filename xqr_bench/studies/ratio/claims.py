"""Scores of all arms, the claims of Elmahdy et al. 2024 held against them by one rule, and what control arms tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xqr_bench.core.languages import LANGUAGES
from xqr_bench.core.types import MONOLINGUAL, MULTILINGUAL
from xqr_bench.studies.ratio.design import ALPHAS
from xqr_bench.studies.ratio.form import (
    BASE_ARM,
    MAIN,
    ArmFigure,
    Centring,
    CentringVerdict,
    Claim,
    ClaimPart,
    Contrast,
    Control,
    LanguageEffect,
    Part,
    Score,
    Verdict,
)
from xqr_bench.studies.ratio.results import LEVELS, Results
from xqr_bench.studies.ratio.statistics import (
    LEVEL,
    MARGIN,
    Replicates,
    Term,
    best_alphas,
    effect,
    seeds_needed,
    t_half_width,
)

# The scores of a condition, of all languages and of parts of them, and their figures for every arm.

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
    for setting, metric in MAIN:
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


def difference(found: Replicates, score: str, arm: str, base: str) -> Contrast:
    """An arm minus another on one score."""
    return effect(found, [Term(score, arm), Term(score, base, -1)]).contrast()


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


# The claims of Elmahdy et al. 2024 held against the data, by one rule.
#
# A claim is a list of contrasts that are above 0 where it is right. A contrast *holds* where its 95% intervals, by
# two-way bootstrap over seeds and articles and by t over seeds, are both above 0, *does not* where both are below 0,
# else it *cannot be told*; nor can, by the plan, an estimate below the smallest difference that is found with 80%
# power. "Close to" is the plan's margin: above 98% of the other arm. A claim holds where all its contrasts do, does not
# where one does not, else it cannot be told. Contrasts that stand beside it for the reader do not count. All of it is
# exploratory.

HYBRID, MONO, CROSS = "alpha-0.5", "alpha-1", "alpha-0"
_MONO_MAP, _MULTI_MAP = Key(MONOLINGUAL, "map"), Key(MULTILINGUAL, "map")
_DISTANCE, _OWN = Key(MULTILINGUAL, "rank_distance"), Key(MULTILINGUAL, "own_language_first")
_MULTI_OTHER = Key(MULTILINGUAL, "map", "level", LEVELS[1])
_MONO_OTHER = Key(MONOLINGUAL, "map", "level", LEVELS[1])
NO_LANGUAGE = "no language that the encoders of all arms can represent"


@dataclass(frozen=True)
class _Part:
    """A contrast that is above 0 where the claim is right: a score of `arm` minus `share` of that of `other`."""

    text: str
    score: Key
    arm: str
    other: str
    share: float = 1.0
    counts: bool = True


def _close_to_the_best() -> tuple[_Part, ...]:
    alphas = (1.0, 0.0, *(alpha for alpha in ALPHAS if alpha not in (0.0, 0.5, 1.0)))
    return tuple(
        _Part(
            f"multilingual MAP of .5 minus 98% of {alpha:g}",
            _MULTI_MAP,
            HYBRID,
            f"alpha-{alpha:g}",
            share=1 - MARGIN,
            counts=alpha in (0.0, 1.0),
        )
        for alpha in alphas
    )


def _better_in_other_languages(other: str) -> tuple[_Part, ...]:
    against = f"of .5 minus {other.removeprefix('alpha-')}, {LEVELS[1]}"
    return (
        _Part(f"multilingual MAP {against}", _MULTI_OTHER, HYBRID, other),
        _Part(f"monolingual MAP {against}", _MONO_OTHER, HYBRID, other, counts=False),
    )


CLAIMS: dict[str, tuple[str, tuple[_Part, ...]]] = {
    "1": ("Hybrid is the best or close to it in multilingual retrieval", _close_to_the_best()),
    "2": (
        "Monolingual-only training is good monolingually and biased multilingually, cross-lingual-only the reverse",
        (
            _Part("monolingual MAP of 1 minus 0", _MONO_MAP, MONO, CROSS),
            _Part("multilingual MAP of 0 minus 1", _MULTI_MAP, CROSS, MONO),
            _Part("rank distance of 1 minus 0", _DISTANCE, MONO, CROSS),
            _Part("own language first of 1 minus 0", _OWN, MONO, CROSS, counts=False),
        ),
    ),
    "3": (
        "Hybrid cuts the rank distance against monolingual-only training",
        (_Part("rank distance of 1 minus .5", _DISTANCE, MONO, HYBRID),),
    ),
    "4a": (
        "Hybrid is better than monolingual-only training in languages without training pairs",
        _better_in_other_languages(MONO),
    ),
    "4b": (
        "Hybrid is better than cross-lingual-only training in languages without training pairs",
        _better_in_other_languages(CROSS),
    ),
}
"""Number -> what the paper says, and what has to be above 0."""


def outcome(found: Contrast) -> Verdict:
    """Of one contrast; one seed alone cannot tell, nor can an estimate below the smallest detectable difference."""
    if found.detectable is not None and abs(found.estimate) < found.detectable:
        return "cannot be told"
    return "holds" if found.told > 0 else "does not" if found.told < 0 else "cannot be told"


def verdict(parts: Sequence[ClaimPart]) -> Verdict:
    """Of a claim, from the contrasts that count."""
    found = {part.outcome for part in parts if part.counts}
    return "does not" if "does not" in found else "holds" if found == {"holds"} else "cannot be told"


def claims(found: Replicates) -> list[Claim]:
    """All claims; one whose arms or languages are not there says so."""
    missing = [arm for arm in (CROSS, HYBRID, MONO) if arm not in found.arms]
    nothing = f"no results of {', '.join(missing)}" if missing else None
    if not missing and not {key.text for key in (_MONO_MAP, _MULTI_MAP, _DISTANCE, _OWN)} <= set(found.names):
        nothing = NO_LANGUAGE
    made = []
    for number, (text, stated) in CLAIMS.items():
        reason = nothing
        if reason is None and stated[0].score.text not in found.names:
            reason = "all languages of this condition have the same level"
        parts = [] if reason else [_judged(found, part) for part in stated if part.other in found.arms]
        if number == "3" and reason is None:
            share = _share_cut(found)
            parts.append(ClaimPart(text="the same as a share of 1", effect=share, outcome=outcome(share), counts=False))
        made.append(Claim(number=number, text=text, verdict=verdict(parts), parts=parts, reason=reason))
    return made


def _judged(found: Replicates, part: _Part) -> ClaimPart:
    score = part.score.text
    one = effect(found, [Term(score, part.arm), Term(score, part.other, -part.share)])
    contrast = one.contrast()
    judgement = outcome(contrast)
    needed = seeds_needed(one, one.estimate) if judgement == "cannot be told" else None
    return ClaimPart(text=part.text, effect=contrast, outcome=judgement, counts=part.counts, seeds_needed=needed)


def _share_cut(found: Replicates) -> Contrast:
    """(d(1) - d(.5)) / d(1), d the rank distance."""
    (k, mono), (_, hybrid) = found.place(_DISTANCE.text, MONO), found.place(_DISTANCE.text, HYBRID)

    def share(values: np.ndarray) -> np.ndarray:
        made: np.ndarray = 1 - values[hybrid] / values[mono]
        return made

    low, high = np.quantile(share(found.both[:, k].T), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    seeds = share(found.by_seed[k])
    deviation = float(seeds.std(ddof=1)) if len(seeds) > 1 else None
    half = None if deviation is None else t_half_width(deviation, len(seeds))
    return Contrast(
        estimate=float(share(found.by_seed[k].mean(axis=1))),
        low=float(low),
        high=float(high),
        t_low=None if half is None else float(seeds.mean()) - half,
        t_high=None if half is None else float(seeds.mean()) + half,
        seeds=len(seeds),
        seed_deviation=deviation,
    )


# What control arms tell; what centring leaves of an effect; differences by query language.

Published = Mapping[str, Mapping[str, tuple[float, float]]]
"""Language -> model -> hybrid minus x-y, hybrid minus x-x-mono."""
WORDS = {
    "map": "MAP",
    "rank_distance": "rank distance",
    "own_language_first": "own language first",
}


@dataclass(frozen=True)
class _Question:
    text: str
    arm: str
    minus: str


QUESTIONS = (
    _Question("Composition: does a monolingual batch gain by being of one language?", "alpha-1", "x-x"),
    _Question("Composition: does a cross-lingual batch gain by mixing language pairs?", "alpha-0", "x-y-fixed"),
    _Question("Pair type, in batches of many languages: same-language against cross-language rows", "x-x", "alpha-0"),
    _Question("Pair type, in batches of one language or one pair of them", "alpha-1", "x-y-fixed"),
    _Question("Drawing alpha per row instead of per batch", "pair-0.5", "alpha-0.5"),
    _Question("Order: monolingual first instead of mixed", "mono-first", "alpha-0.5"),
    _Question("Order: cross-lingual first instead of mixed", "cross-first", "alpha-0.5"),
    _Question("What the cross-lingual half of alpha .5 adds to its monolingual half", "alpha-0.5", "alpha-1-half"),
    _Question("What the monolingual half of alpha .5 adds to its cross-lingual half", "alpha-0.5", "alpha-0-half"),
    _Question("More of the same: the second half of monolingual training", "alpha-1", "alpha-1-half"),
    _Question("More of the same: the second half of cross-lingual training", "alpha-0", "alpha-0-half"),
    _Question("Fewer distinct pairs: cross-lingual with as many as monolingual has", "alpha-0-pairs", "alpha-0"),
    _Question("Negative control: a gain of wrong passages would not come from right pairs", "shuffled", "aligned"),
    _Question("Right passages against wrong ones", "alpha-0.5", "shuffled"),
    _Question("What training adds to alignment", "alpha-0.5", "aligned"),
    _Question("What alignment adds to random vectors", "aligned", "untrained"),
)


def _asked(arms: Sequence[str]) -> list[_Question]:
    """The questions whose arms are both there; where there is no alignment `untrained` stands for `aligned`."""
    asked = []
    unaligned = "aligned" not in arms and "untrained" in arms
    for question in QUESTIONS:
        if unaligned:
            if question.arm == "aligned":
                continue
            question = replace(question, minus="untrained" if question.minus == "aligned" else question.minus)
        if {question.arm, question.minus} <= set(arms):
            asked.append(question)
    return asked


def controls(found: Replicates) -> list[Control]:
    """What the control arms that are there tell."""
    made = []
    for question in _asked(found.arms):
        effects = {
            f"{setting}/{metric}": difference(found, key.text, question.arm, question.minus)
            for setting, metric in MAIN
            if defined(found, (key := Key(setting, metric)).text)
        }
        made.append(
            Control(
                question=question.text,
                contrast=f"{question.arm} minus {question.minus}",
                effects=effects,
                reading=_reading(effects),
            )
        )
    return made


def _reading(effects: Mapping[str, Contrast]) -> str:
    """`higher: monolingual MAP; lower: rank distance; cannot be told: the others`, by the 95% intervals."""
    parts = []
    for told, word in ((1, "higher"), (-1, "lower"), (0, "cannot be told")):
        names = [_named(name) for name, effect in effects.items() if effect.told == told]
        if names:
            parts.append(f"{word}: {', '.join(names)}")
    return "; ".join(parts)


def _named(name: str) -> str:
    setting, metric = name.split("/")
    return f"{setting} MAP" if metric == "map" else WORDS[metric]


def centring(raw: Replicates, centred: Replicates) -> list[Centring]:
    """Each effect of alpha, then each of a control arm, raw and centred; both must come from the same draws.

    *Change of offset*: told raw, not told centred, and the two are told apart. *Stays*: told in both, in one direction;
    *turns round*: in opposite ones. Else it cannot be told what centring does.
    """
    made = []
    main = [pair for pair in ((HYBRID, CROSS), (HYBRID, MONO), (CROSS, MONO)) if set(pair) <= set(raw.arms)]
    asked = [(question.arm, question.minus) for question in _asked(raw.arms)]
    for setting, metric in MAIN:
        score = Key(setting, metric).text
        if not (defined(raw, score) and defined(centred, score)):
            continue
        for arm, base in (*main, *asked):
            before, after = difference(raw, score, arm, base), difference(centred, score, arm, base)
            lost = difference(_minus(raw, centred), score, arm, base)
            made.append(
                Centring(
                    setting=setting,
                    metric=metric,
                    contrast=f"{arm} minus {base}",
                    raw=before,
                    centred=after,
                    lost=lost,
                    verdict=_verdict(before, after, lost),
                )
            )
    return made


def _verdict(raw: Contrast, centred: Contrast, lost: Contrast) -> CentringVerdict:
    if not raw.told:
        return "no effect raw"
    if centred.told:
        return "stays" if centred.told == raw.told else "turns round"
    return "change of offset" if lost.told == raw.told else "cannot be told"


def _minus(raw: Replicates, centred: Replicates) -> Replicates:
    return replace(
        raw,
        by_seed=raw.by_seed - centred.by_seed,
        both=raw.both - centred.both,
        articles_only=raw.articles_only - centred.articles_only,
    )


def language_effects(found: Replicates, levels: Mapping[str, str], published: Published) -> list[LanguageEffect]:
    """Multilingual MAP of alpha .5 against both ends, for each query language."""
    if not {HYBRID, CROSS, MONO} <= set(found.arms):
        return []
    made = []
    for code, level in levels.items():
        score = Key(MULTILINGUAL, "map", "language", code).text
        if score in found.names and defined(found, score):
            made.append(
                LanguageEffect(
                    code=code,
                    name=LANGUAGES[code].name if code in LANGUAGES else code,
                    level=level,
                    minus_cross=difference(found, score, HYBRID, CROSS),
                    minus_mono=difference(found, score, HYBRID, MONO),
                    published=dict(published.get(code, {})),
                )
            )
    return made
