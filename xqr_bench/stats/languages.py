"""Robustness over languages: which is the worst, and how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xqr_bench.types import FloatArray


@dataclass(frozen=True)
class LanguageSpread:
    """The worst language and the spread of one metric in one setting.

    No p-value: the worst of eleven estimates is chosen by looking, and there is no null it should be tested against.
    The shares say how firm the choice is.

    Attributes:
        values: language -> estimate.
        worst: the language with the lowest estimate.
        worst_share: language -> share of bootstrap resamples in which it is the lowest (1/t where t tie).
        spread: highest minus lowest estimate. Noise adds to it: it is at least what chance makes of equal languages.
        deviation: standard deviation of the estimates over languages (population).
    """

    values: dict[str, float]
    worst: str
    worst_share: dict[str, float]
    spread: float
    deviation: float


def language_spread(languages: Sequence[str], estimate: FloatArray, replicates: FloatArray) -> LanguageSpread:
    """Worst language and spread.

    Args:
        languages: names, `[languages]`.
        estimate: of each language, higher is better, `[languages]`.
        replicates: the same under resampled questions, `[resamples, languages]`.
    """
    lowest = replicates == replicates.min(axis=1, keepdims=True)
    share = (lowest / lowest.sum(axis=1, keepdims=True)).mean(axis=0)
    return LanguageSpread(
        values={name: float(value) for name, value in zip(languages, estimate, strict=True)},
        worst=languages[int(np.argmin(estimate))],
        worst_share={name: float(value) for name, value in zip(languages, share, strict=True)},
        spread=float(estimate.max() - estimate.min()),
        deviation=float(estimate.std()),
    )
