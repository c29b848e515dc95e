"""Scores of all arms, the claims of Elmahdy et al. 2024 held against them by one rule, and what control arms tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xqr_bench.core.languages import language
from xqr_bench.core.types import MONOLINGUAL, MULTILINGUAL
from xqr_bench.studies.ratio.design import ALPHAS, ARMS, alpha_of
from xqr_bench.studies.ratio.form import (
    BASE_ARM,
    BESIDE_FIRST,
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
from xqr_bench.studies.ratio.results import LEVELS, Results, languages_of
from xqr_bench.studies.ratio.statistics import (
    MARGIN,
    Replicates,
    Term,
    best_alphas,
    effect,
    effect_of,
    seeds_needed,
)

# The scores of a condition, of all languages and of parts of them, and their figures for every arm.

LOWER_IS_BETTER = ("rank_distance",)
NO_BEST = ("own_language_first",)
LEAST_ON_CURVE = 5
"""Alphas that it takes to ask which is best."""


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
    return row.resource_class if (row := language(code)) is not None else None


def language_name(code: str) -> str:
    """In English; of a language that is not in the table its code."""
    return row.name if (row := language(code)) is not None else code


def query_languages(results: Results) -> list[str]:
    """Query languages in the order of the rows."""
    return list(dict.fromkeys(languages_of(row)[0] for row in results.rows))


def chosen_scores(results: Results, *, detailed: bool) -> dict[Key, list[int]]:
    """Score -> rows; `detailed`: also by Joshi class and by language.

    Languages that an encoder cannot represent are left out but for their own figures. A part that has no language, or
    all of them, is left out.
    """
    codes = query_languages(results) if detailed else []
    of_class = {code: joshi for code in codes if (joshi := joshi_class(code)) is not None}
    chosen: dict[Key, list[int]] = {}
    for setting, metric in MAIN:
        everything = results.family(setting, metric)
        parts = {Key(setting, metric, "level", level): results.family(setting, metric, level=level) for level in LEVELS}
        for joshi in sorted(set(of_class.values())):
            rows = [row for row in everything if of_class.get(languages_of(results.rows[row])[0]) == joshi]
            parts[Key(setting, metric, "group", f"joshi-{joshi}")] = rows
        languages = {
            Key(setting, metric, "language", code): [
                row
                for row in results.family(setting, metric, query=code)
                if not results.excluded.keys() & (set(languages_of(results.rows[row])) - {code})
            ]
            for code in codes
        }
        parts = {key: rows for key, rows in parts.items() if len(rows) < len(everything)}
        chosen |= {Key(setting, metric): everything, **parts, **languages}
    return {key: rows for key, rows in chosen.items() if rows}


def defined(replicates: Replicates, name: str) -> bool:
    """Whether a score is there, with a value in every arm, seed and resample."""
    if name not in replicates.names:
        return False
    place = replicates.names.index(name)
    return bool(np.isfinite(replicates.by_seed[place]).all() and np.isfinite(replicates.both[:, place]).all())


def difference(replicates: Replicates, score: str, arm: str, base: str) -> Contrast:
    """An arm minus another on one score."""
    return effect(replicates, [Term(score, arm), Term(score, base, -1)]).contrast()


def score_figures(replicates: Replicates, keys: Mapping[Key, list[int]]) -> list[Score]:
    """The figures of every score that is defined."""
    return [_score(replicates, key) for key in keys if defined(replicates, key.text)]


def _score(replicates: Replicates, key: Key) -> Score:
    arms: dict[str, ArmFigure] = {}
    for arm in replicates.arms:
        one = effect(replicates, [Term(key.text, arm)])
        compared = BASE_ARM in replicates.arms and arm != BASE_ARM
        arms[arm] = ArmFigure(
            value=one.estimate,
            low=one.low,
            high=one.high,
            deviation=one.seed_deviation,
            difference=difference(replicates, key.text, arm, BASE_ARM) if compared else None,
        )
    alphas = [alpha for alpha in ALPHAS if f"alpha-{alpha:g}" in replicates.arms]
    on_curve = [f"alpha-{alpha:g}" for alpha in alphas]
    best = {}
    if key.metric not in NO_BEST and len(alphas) >= LEAST_ON_CURVE:
        shares = best_alphas(replicates, key.text, alphas, lowest=key.metric in LOWER_IS_BETTER)
        best = {f"{alpha:g}": share for alpha, share in shares.items()}
    gaps = [arms[arm].difference for arm in on_curve if arm in arms]
    detectable = max((one.detectable for one in gaps if one and one.detectable is not None), default=None)
    return Score(**vars(key), arms=arms, best=best, detectable=detectable)


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


def _better_in_other_languages(other: str) -> tuple[_Part, ...]:
    against = f"of .5 minus {other.removeprefix('alpha-')}, {LEVELS[1]}"
    return (
        _Part(f"multilingual MAP {against}", _MULTI_OTHER, HYBRID, other),
        _Part(f"monolingual MAP {against}", _MONO_OTHER, HYBRID, other, counts=False),
    )


CLAIMS: dict[str, tuple[str, tuple[_Part, ...]]] = {
    "1": (
        "Hybrid is the best or close to it in multilingual retrieval",
        tuple(
            _Part(
                f"multilingual MAP of .5 minus 98% of {alpha}", _MULTI_MAP, HYBRID, f"alpha-{alpha}", 1 - MARGIN, counts
            )
            for alpha, counts in (
                ("1", True),
                ("0", True),
                *((f"{alpha:g}", False) for alpha in ALPHAS[1:-1] if alpha != 0.5),
            )
        ),
    ),
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


def outcome(contrast: Contrast) -> Verdict:
    """Of one contrast; one seed alone cannot tell, nor can an estimate below the smallest detectable difference."""
    if not contrast.told or (contrast.detectable is not None and abs(contrast.estimate) < contrast.detectable):
        return "cannot be told"
    return "holds" if contrast.told > 0 else "does not"


def verdict(parts: Sequence[ClaimPart]) -> Verdict:
    """Of a claim, from the contrasts that count."""
    outcomes = {part.outcome for part in parts if part.counts}
    return "does not" if "does not" in outcomes else "holds" if outcomes == {"holds"} else "cannot be told"


def claims(replicates: Replicates) -> list[Claim]:
    """All claims; one whose arms or languages are not there says so."""
    missing = [arm for arm in (CROSS, HYBRID, MONO) if arm not in replicates.arms]
    nothing = f"no results of {', '.join(missing)}" if missing else None
    if not missing and not {key.text for key in (_MONO_MAP, _MULTI_MAP, _DISTANCE, _OWN)} <= set(replicates.names):
        nothing = NO_LANGUAGE
    made = []
    for number, (text, stated) in CLAIMS.items():
        reason = nothing
        if reason is None and stated[0].score.text not in replicates.names:
            reason = "all languages of this condition have the same level"
        parts = [] if reason else [_judged(replicates, part) for part in stated if part.other in replicates.arms]
        if number == "3" and reason is None:
            share = _share_cut(replicates)
            parts.append(ClaimPart(text="the same as a share of 1", effect=share, outcome=outcome(share), counts=False))
        made.append(Claim(number=number, text=text, verdict=verdict(parts), parts=parts, reason=reason))
    return made


def _judged(replicates: Replicates, part: _Part) -> ClaimPart:
    score = part.score.text
    one = effect(replicates, [Term(score, part.arm), Term(score, part.other, -part.share)])
    contrast = one.contrast()
    judgement = outcome(contrast)
    needed = seeds_needed(one, one.estimate) if judgement == "cannot be told" else None
    return ClaimPart(text=part.text, effect=contrast, outcome=judgement, counts=part.counts, seeds_needed=needed)


def _share_cut(replicates: Replicates) -> Contrast:
    """(d(1) - d(.5)) / d(1), d the rank distance."""
    (k, mono), (_, hybrid) = (replicates.place(_DISTANCE.text, arm) for arm in (MONO, HYBRID))
    drawn = 1 - replicates.both[:, k, hybrid] / replicates.both[:, k, mono]
    by_seed = replicates.by_seed[k]
    share = effect_of(drawn, drawn, 1 - by_seed[hybrid] / by_seed[mono])
    means = by_seed.mean(axis=1)
    return share.contrast(estimate=float(1 - means[hybrid] / means[mono]), detectable=None)


# What control arms tell; what centring leaves of an effect; differences by query language.

Published = Mapping[str, Mapping[str, tuple[float, float]]]
"""Language -> model -> hybrid minus x-y, hybrid minus x-x-mono."""
QUESTIONS = (
    ("Composition: does a monolingual batch gain by being of one language?", "alpha-1", "x-x"),
    ("Composition: does a cross-lingual batch gain by mixing language pairs?", "alpha-0", "x-y-fixed"),
    ("Pair type, in batches of many languages: same-language against cross-language rows", "x-x", "alpha-0"),
    ("Pair type, in batches of one language or one pair of them", "alpha-1", "x-y-fixed"),
    ("Drawing alpha per row instead of per batch", "pair-0.5", "alpha-0.5"),
    ("Order: monolingual first instead of mixed", "mono-first", "alpha-0.5"),
    ("Order: cross-lingual first instead of mixed", "cross-first", "alpha-0.5"),
    ("What the cross-lingual half of alpha .5 adds to its monolingual half", "alpha-0.5", "alpha-1-half"),
    ("What the monolingual half of alpha .5 adds to its cross-lingual half", "alpha-0.5", "alpha-0-half"),
    ("More of the same: the second half of monolingual training", "alpha-1", "alpha-1-half"),
    ("More of the same: the second half of cross-lingual training", "alpha-0", "alpha-0-half"),
    ("Fewer distinct pairs: cross-lingual with as many as monolingual has", "alpha-0-pairs", "alpha-0"),
    ("Negative control: a gain of wrong passages would not come from right pairs", "shuffled", "aligned"),
    ("Right passages against wrong ones", "alpha-0.5", "shuffled"),
    ("What training adds to alignment", "alpha-0.5", "aligned"),
    ("What alignment adds to random vectors", "aligned", "untrained"),
)
"""A question, and the arms whose difference answers it."""


def _asked(arms: Sequence[str]) -> list[tuple[str, str, str]]:
    """The questions whose arms are both there; where there is no alignment `untrained` stands for `aligned`.

    An arm of one's own is asked about beside the first arm.
    """
    questions = list(QUESTIONS)
    if "aligned" not in arms:
        questions = [(text, arm, "untrained" if minus == "aligned" else minus) for text, arm, minus in questions]
    own = [arm for arm in arms[1:] if arm not in ARMS and alpha_of(arm) is None]
    questions += [(BESIDE_FIRST, arm, arms[0]) for arm in own]
    return [question for question in questions if set(question[1:]) <= set(arms)]


def controls(replicates: Replicates) -> list[Control]:
    """What the control arms that are there tell."""
    scores = {f"{setting}/{metric}": Key(setting, metric).text for setting, metric in MAIN}
    made = []
    for text, arm, minus in _asked(replicates.arms):
        effects = {
            name: difference(replicates, score, arm, minus)
            for name, score in scores.items()
            if defined(replicates, score)
        }
        contrast = f"{arm} minus {minus}"
        made.append(Control(question=text, contrast=contrast, effects=effects, reading=_reading(effects)))
    return made


def _reading(effects: Mapping[str, Contrast]) -> str:
    """`higher: monolingual MAP; lower: rank distance; cannot be told: the others`, by the 95% intervals."""
    names = {
        name: f"{name.split('/')[0]} MAP" if name.endswith("/map") else name.split("/")[1].replace("_", " ")
        for name in effects
    }
    parts = []
    for told, word in ((1, "higher"), (-1, "lower"), (0, "cannot be told")):
        shown = [names[name] for name, effect in effects.items() if effect.told == told]
        if shown:
            parts.append(f"{word}: {', '.join(shown)}")
    return "; ".join(parts)


def centring(raw: Replicates, centred: Replicates) -> list[Centring]:
    """Each effect of alpha, then each of a control arm, raw and centred; both must come from the same draws.

    *Change of offset*: told raw, not told centred, and the two are told apart. *Stays*: told in both, in one direction;
    *turns round*: in opposite ones. Else it cannot be told what centring does.
    """
    lost = replace(
        raw,
        by_seed=raw.by_seed - centred.by_seed,
        both=raw.both - centred.both,
        articles_only=raw.articles_only - centred.articles_only,
    )
    ends = ((HYBRID, CROSS), (HYBRID, MONO), (CROSS, MONO))
    pairs = [pair for pair in ends if set(pair) <= set(raw.arms)] + [tuple(pair) for _, *pair in _asked(raw.arms)]
    made = []
    for setting, metric in MAIN:
        score = Key(setting, metric).text
        for arm, base in pairs if defined(raw, score) and defined(centred, score) else ():
            of = {
                name: difference(replicates, score, arm, base)
                for name, replicates in (("raw", raw), ("centred", centred), ("lost", lost))
            }
            contrast = f"{arm} minus {base}"
            made.append(Centring(setting=setting, metric=metric, contrast=contrast, **of, verdict=_verdict(**of)))
    return made


def _verdict(raw: Contrast, centred: Contrast, lost: Contrast) -> CentringVerdict:
    if not raw.told:
        return "no effect raw"
    if centred.told:
        return "stays" if centred.told == raw.told else "turns round"
    return "change of offset" if lost.told == raw.told else "cannot be told"


def language_effects(replicates: Replicates, levels: Mapping[str, str], published: Published) -> list[LanguageEffect]:
    """Multilingual MAP of alpha .5 against both ends, for each query language."""
    if not {HYBRID, CROSS, MONO} <= set(replicates.arms):
        return []
    made = []
    for code, level in levels.items():
        score = Key(MULTILINGUAL, "map", "language", code).text
        if score in replicates.names and defined(replicates, score):
            made.append(
                LanguageEffect(
                    code=code,
                    name=language_name(code),
                    level=level,
                    minus_cross=difference(replicates, score, HYBRID, CROSS),
                    minus_mono=difference(replicates, score, HYBRID, MONO),
                    published=dict(published.get(code, {})),
                )
            )
    return made
