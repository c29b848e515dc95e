"""What control arms tell; what centring leaves of an effect; differences by query language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from xqr_bench.languages import LANGUAGES
from xqr_bench.report.ratio.model import Centring, CentringVerdict, Contrast, Control, LanguageEffect
from xqr_bench.study.findings.claims import CROSS, HYBRID, MONO
from xqr_bench.study.findings.scores import FAMILIES, Key, contrast, defined, difference
from xqr_bench.study.statistics import Replicates, Term
from xqr_bench.types import MULTILINGUAL

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
            for setting, metric in FAMILIES
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
    for setting, metric in FAMILIES:
        score = Key(setting, metric).text
        if not (defined(raw, score) and defined(centred, score)):
            continue
        for arm, base in (*main, *asked):
            before, after = difference(raw, score, arm, base), difference(centred, score, arm, base)
            lost = contrast(_minus(raw, centred), [Term(score, arm), Term(score, base, -1)])
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
