"""A record's counts -> rankings again, for pytrec_eval to score: a check that needs no model and no texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xqr_bench.errors import UsageError
from xqr_bench.metrics import RankedLists, parse_metric
from xqr_bench.metrics.per_query import per_query, setting_views
from xqr_bench.trec.peers import TOLERANCE, PytrecEval
from xqr_bench.types import IntArray, Ranks

DEFAULT_SAMPLE = 500
BATCH = 100


@dataclass(frozen=True)
class CrossCheck:
    """A metric in a setting, by us and by pytrec_eval; means over the sampled lists.

    Attributes:
        setting, metric: what was computed.
        lists: lists compared.
        expected: our figure, the expectation over the orders of tied candidates.
        worst, best: ours with every tie broken against, and in favour of, the relevants.
        their_worst, their_best: pytrec_eval's on the two rebuilt rankings.
        difference: the greatest difference on a single list.
    """

    setting: str
    metric: str
    lists: int
    expected: float
    worst: float
    best: float
    their_worst: float
    their_best: float
    difference: float

    @property
    def agrees(self) -> bool:
        """Whether no list differs by more than 1e-9."""
        return self.difference <= TOLERANCE


def cross_check(
    ranks: Ranks, metrics: Sequence[str], settings: Sequence[str], *, sample: int = DEFAULT_SAMPLE, seed: int = 0
) -> list[CrossCheck]:
    """Rebuild rankings from the counts, in the best and the worst order of ties, and have pytrec_eval score them.

    A ranking is the relevants in the places that the counts give them, with placeholders between; what stands below
    the last relevant changes no figure and is left out.

    Args:
        ranks: the counts.
        metrics: those that pytrec_eval has are compared.
        settings: the settings of the record.
        sample: lists drawn in each setting; 0: all of them.
        seed: of the drawing.

    Raises:
        UsageError: `sample` is negative; a gain is no whole number (trec_eval knows only those).
    """
    if sample < 0:
        raise UsageError(f"--sample cannot be {sample}", remedy="draw at least one list, or 0 for all of them")
    if (ranks.gains != np.round(ranks.gains)).any():
        raise UsageError("these ranks have gains that are no whole numbers", remedy="pytrec_eval knows only those")
    generator = np.random.default_rng(seed)
    peer = PytrecEval(metrics)
    result = []
    for setting, view in setting_views(ranks, tuple(settings)).items():
        count = len(view.lists)
        chosen = np.arange(count)
        if 0 < sample < count:
            chosen = np.sort(generator.choice(count, sample, replace=False))
        theirs = {best: _evaluate(view.lists, chosen, peer, best=best) for best in (False, True)}
        for column, name in enumerate(peer.metrics):
            ours = per_query(parse_metric(name), view)
            low = ours.values if ours.pessimistic is None else ours.pessimistic
            high = ours.values if ours.optimistic is None else ours.optimistic
            expected, worst, best = ours.values[chosen], low[chosen], high[chosen]
            their_worst, their_best = theirs[False][:, column], theirs[True][:, column]
            apart = [abs(their_worst - worst), abs(their_best - best), their_worst - expected, expected - their_best]
            result.append(
                CrossCheck(
                    setting=setting,
                    metric=name,
                    lists=len(chosen),
                    expected=float(expected.mean()),
                    worst=float(worst.mean()),
                    best=float(best.mean()),
                    their_worst=float(their_worst.mean()),
                    their_best=float(their_best.mean()),
                    difference=float(max(0.0, np.max(apart))),
                )
            )
    return result


def _evaluate(lists: RankedLists, chosen: IntArray, peer: PytrecEval, *, best: bool) -> np.ndarray:
    values = np.empty((len(chosen), len(peer.metrics)))
    for start in range(0, len(chosen), BATCH):
        batch = chosen[start : start + BATCH].tolist()
        run, qrels = {}, {}
        for index in batch:
            ranking, gains = rebuild(lists, index, best=best)
            run[str(index)] = {name: float(len(ranking) - place) for place, name in enumerate(ranking)}
            qrels[str(index)] = gains
        values[start : start + len(batch)] = peer.evaluate(qrels, run, [str(index) for index in batch])
    return values


def rebuild(lists: RankedLists, index: int, *, best: bool) -> tuple[list[str], dict[str, int]]:
    """A ranking that list `index` can be, from its counts alone.

    Args:
        lists: the lists.
        index: one of them.
        best: ties in favour of the relevants (higher gains first), or against them (lower gains first).

    Returns:
        document names from the first place to the last relevant, and the gains of all relevants by name (one without
        a rank is not in the ranking).
    """
    blocks: defaultdict[tuple[int, int], list[tuple[int, str]]] = defaultdict(list)
    gains: dict[str, int] = {}
    for row in range(int(lists.offsets[index]), int(lists.offsets[index + 1])):
        name = f"relevant-{row}"
        gains[name] = int(lists.gains[row])
        if lists.above[row] >= 0:
            blocks[int(lists.above[row]), int(lists.tied[row])].append((gains[name], name))
    place_of: dict[int, str] = {}
    for (above, tied), members in blocks.items():
        first = above if best else above + tied - len(members)
        for step, (_, name) in enumerate(sorted(members, key=lambda member: member[0], reverse=best)):
            place_of[first + step] = name
    length = max(place_of, default=0) + 1
    return [place_of.get(place, f"other-{place}") for place in range(length)], gains
