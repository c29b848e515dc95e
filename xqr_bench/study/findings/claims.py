"""The claims of Elmahdy et al. 2024 held against the data, by one rule.

A claim is a list of contrasts that are above 0 where it is right. A contrast *holds* where its 95% intervals, by
two-way bootstrap over seeds and articles and by t over seeds, are both above 0, *does not* where both are below 0, else
it *cannot be told*; nor can, by the plan, an estimate below the smallest difference that is found with 80% power.
"Close to" is the plan's margin: above 98% of the other arm. A claim holds where all its contrasts do, does not where
one does not, else it cannot be told. Contrasts that stand beside it for the reader do not count. All of it is
exploratory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xqr_bench.report.ratio.model import Claim, ClaimPart, Contrast, Verdict
from xqr_bench.study.design import ALPHAS
from xqr_bench.study.findings.scores import Key, made_contrast, t_half_width
from xqr_bench.study.results import LEVELS
from xqr_bench.study.statistics import LEVEL, MARGIN, Replicates, Term, effect, seeds_needed
from xqr_bench.types import MONOLINGUAL, MULTILINGUAL

HYBRID, MONO, CROSS = "alpha-0.5", "alpha-1", "alpha-0"
_MONO_MAP, _MULTI_MAP = Key(MONOLINGUAL, "map"), Key(MULTILINGUAL, "map")
_DISTANCE, _OWN = Key(MULTILINGUAL, "rank_distance"), Key(MULTILINGUAL, "own_language_first")
_MULTI_OTHER = Key(MULTILINGUAL, "map", "level", LEVELS[1])
_MONO_OTHER = Key(MONOLINGUAL, "map", "level", LEVELS[1])
NO_LANGUAGE = "no language that the encoders of all arms can represent"
TEXTS = {
    "1": "Hybrid is the best or close to it in multilingual retrieval",
    "2": "Monolingual-only training is good monolingually and biased multilingually, cross-lingual-only the reverse",
    "3": "Hybrid cuts the rank distance against monolingual-only training",
    "4a": "Hybrid is better than monolingual-only training in languages without training pairs",
    "4b": "Hybrid is better than cross-lingual-only training in languages without training pairs",
}


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
    if missing or not {key.text for key in (_MONO_MAP, _MULTI_MAP, _DISTANCE, _OWN)} <= set(found.names):
        reason = f"no results of {', '.join(missing)}" if missing else NO_LANGUAGE
        return [
            Claim(number=number, text=text, verdict="cannot be told", reason=reason) for number, text in TEXTS.items()
        ]
    made = [
        _claim("1", _first(found)),
        _claim("2", _second(found)),
        _claim("3", _third(found)),
    ]
    if _MULTI_OTHER.text not in found.names:
        reason = "all languages of this condition have the same level"
        more = [Claim(number=one, text=TEXTS[one], verdict="cannot be told", reason=reason) for one in ("4a", "4b")]
    else:
        more = [_claim("4a", _fourth(found, MONO)), _claim("4b", _fourth(found, CROSS))]
    return [*made, *more]


def _claim(number: str, parts: list[ClaimPart]) -> Claim:
    return Claim(number=number, text=TEXTS[number], verdict=verdict(parts), parts=parts)


def _part(found: Replicates, text: str, terms: list[Term], *, counts: bool = True) -> ClaimPart:
    one = effect(found, terms)
    made = made_contrast(one)
    told = outcome(made)
    needed = seeds_needed(one, one.estimate) if told == "cannot be told" else None
    return ClaimPart(text=text, effect=made, outcome=told, counts=counts, seeds_needed=needed)


def _above(found: Replicates, text: str, key: Key, arm: str, other: str, *, counts: bool = True) -> ClaimPart:
    return _part(found, text, [Term(key.text, arm), Term(key.text, other, -1)], counts=counts)


def _first(found: Replicates) -> list[ClaimPart]:
    def close(arm: str, *, counts: bool) -> ClaimPart:
        terms = [Term(_MULTI_MAP.text, HYBRID), Term(_MULTI_MAP.text, arm, MARGIN - 1)]
        return _part(found, f"multilingual MAP of .5 minus 98% of {arm.removeprefix('alpha-')}", terms, counts=counts)

    others = [f"alpha-{alpha:g}" for alpha in ALPHAS if f"alpha-{alpha:g}" not in (HYBRID, MONO, CROSS)]
    return [
        close(MONO, counts=True),
        close(CROSS, counts=True),
        *(close(arm, counts=False) for arm in others if arm in found.arms),
    ]


def _second(found: Replicates) -> list[ClaimPart]:
    return [
        _above(found, "monolingual MAP of 1 minus 0", _MONO_MAP, MONO, CROSS),
        _above(found, "multilingual MAP of 0 minus 1", _MULTI_MAP, CROSS, MONO),
        _above(found, "rank distance of 1 minus 0", _DISTANCE, MONO, CROSS),
        _above(found, "own language first of 1 minus 0", _OWN, MONO, CROSS, counts=False),
    ]


def _third(found: Replicates) -> list[ClaimPart]:
    share = _share_cut(found)
    return [
        _above(found, "rank distance of 1 minus .5", _DISTANCE, MONO, HYBRID),
        ClaimPart(text="the same as a share of 1", effect=share, outcome=outcome(share), counts=False),
    ]


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


def _fourth(found: Replicates, other: str) -> list[ClaimPart]:
    name = other.removeprefix("alpha-")
    return [
        _above(found, f"multilingual MAP of .5 minus {name}, {LEVELS[1]}", _MULTI_OTHER, HYBRID, other),
        _above(found, f"monolingual MAP of .5 minus {name}, {LEVELS[1]}", _MONO_OTHER, HYBRID, other, counts=False),
    ]
