"""Which languages fill the first places: share of each among the first k, and of rank-biased exposure."""

from __future__ import annotations

from typing import Any

import numpy as np

from xqr_bench.core.types import MULTILINGUAL, N_HITS, FloatArray
from xqr_bench.measure.metrics import metric
from xqr_bench.measure.metrics.lists import RankedLists, known_hits, weight_of_languages

PERSISTENCE = 0.9
"""With this probability a reader goes on to the next place."""
EXPOSURE: FloatArray = (1 - PERSISTENCE) * PERSISTENCE ** np.arange(N_HITS, dtype=np.float64)
"""Weights of the places that are known; what is beyond them weighs PERSISTENCE ** N_HITS, .122."""
_FACTS: dict[str, Any] = {
    "kind": "bias",
    "settings": (MULTILINGUAL,),
    "needs_hits": True,
    "per_column": True,
    "undefined_when": "nothing was retrieved for a query",
}


def first_places(k: int) -> FloatArray:
    """The first k places weigh the same."""
    return np.ones(k)


def share_of_pool(lists: RankedLists, k: int | None = None) -> FloatArray:
    """Of a random ranking: the share of each language in the pool, float64 `[lists, columns]`."""
    _, sizes = known_hits(lists)
    return np.broadcast_to(sizes / sizes.sum(), (len(lists), len(sizes)))


@metric(
    "language_share",
    cutoff=True,
    summary="share of the first k places that candidates of each language have; the figure is that of the query's own "
    "language (same-language preference)",
    formula="(1/k) Σ over the first k places [language], mean over queries, per (query language, candidate language); "
    "in a block of ties each place has the languages of the block",
    source="same-language preference as in MIMO (Jang et al. 2026, arXiv 2605.31171), and the shares of the others",
    random_reference=share_of_pool,
    **_FACTS,
)
def language_share(lists: RankedLists, k: int) -> FloatArray:
    """Expected shares over a random order of ties, float64 `[lists, columns]`."""
    return weight_of_languages(lists, first_places(k))


@metric(
    "language_exposure",
    summary="share of rank-biased exposure (persistence .9, first 20 places) that candidates of each language have; "
    "the figure is that of the query's own language",
    formula="Σ_{i<=20} w_i [language of place i] / Σ_{i<=20} w_i, w_i = .1 * .9^(i-1), per (query language, candidate "
    "language); places beyond 20 would weigh .122 of all",
    source="weights of rank-biased precision, Moffat & Zobel 2008",
    random_reference=share_of_pool,
    **_FACTS,
)
def language_exposure(lists: RankedLists) -> FloatArray:
    """Expected shares over a random order of ties, float64 `[lists, columns]`."""
    return weight_of_languages(lists, EXPOSURE)
