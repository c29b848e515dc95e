"""Replicates with chosen values, so that what follows from them can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xqr_bench.studies.ratio.claims import Key
from xqr_bench.studies.ratio.results import LEVELS
from xqr_bench.studies.ratio.statistics import Replicates

MONO_MAP, MULTI_MAP = Key("monolingual", "map"), Key("multilingual", "map")
DISTANCE, OWN = Key("multilingual", "rank_distance"), Key("multilingual", "own_language_first")
MULTI_OTHER = Key("multilingual", "map", "level", LEVELS[1])
MONO_OTHER = Key("monolingual", "map", "level", LEVELS[1])


def replicates(values: Mapping[Key, Mapping[str, float]], *, seeds: int = 4, spread: float = 1e-6) -> Replicates:
    """Every arm's score is its value, with a spread over seeds and resamples that is apart for each arm."""
    arms = tuple(next(iter(values.values())))
    rng = np.random.default_rng(5)
    base = np.array([[of[arm] for arm in arms] for of in values.values()])
    noise = rng.normal(0, 1, (*base.shape, seeds))
    by_seed = base[..., None] * (1 + spread * (noise - noise.mean(axis=2, keepdims=True)))
    both = base * (1 + spread * rng.normal(0, 1, (400, *base.shape)) / seeds**0.5)
    return Replicates(tuple(key.text for key in values), arms, by_seed, both, both, 0)


def main_arms(cross: float, hybrid: float, mono: float) -> dict[str, float]:
    return {"alpha-0": cross, "alpha-0.5": hybrid, "alpha-1": mono}


def paper_like(**changes: Mapping[str, float]) -> dict[Key, Mapping[str, float]]:
    """Figures under which every claim of the paper holds."""
    found = {
        MONO_MAP: main_arms(0.5, 0.6, 0.6),
        MULTI_MAP: main_arms(0.3, 0.299, 0.2),
        DISTANCE: main_arms(60.0, 70.0, 100.0),
        OWN: main_arms(0.2, 0.3, 0.6),
        MULTI_OTHER: main_arms(0.2, 0.25, 0.1),
        MONO_OTHER: main_arms(0.4, 0.5, 0.5),
    }
    names = {"multi": MULTI_MAP, "mono": MONO_MAP, "distance": DISTANCE, "other": MULTI_OTHER}
    return {**found, **{names[name]: values for name, values in changes.items()}}
