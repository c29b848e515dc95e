"""pytrec_eval as a second opinion: the same figures from another implementation, of a run or of a record's counts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xqr_bench.core.errors import RunError, UsageError
from xqr_bench.core.types import FloatArray, IntArray, Ranks, TaskData
from xqr_bench.measure.metrics import RankedLists, parse_metric
from xqr_bench.measure.metrics.per_query import SettingView, per_query, setting_views

TOLERANCE = 1e-9
_FAMILIES = {"map": "map", "mrr": "recip_rank", "recall": "recall", "success": "success", "ndcg": "ndcg_cut"}


def peer_name(metric: str) -> str | None:
    """What trec_eval calls a metric (`recall@10`: `recall_10`), None where it has none like it."""
    family, at, cutoff = metric.partition("@")
    theirs = _FAMILIES.get(family)
    return theirs if theirs is None or not at else f"{theirs}_{cutoff}"


class PytrecEval:
    """pytrec_eval with the measures that stand for some of our metrics.

    Args:
        metrics: our names; those that trec_eval has nothing like are left out.
        scored: what `peer_gains` are of; None: gains of 1 alone.
    """

    def __init__(self, metrics: Sequence[str], scored: TaskData | Ranks | None = None) -> None:
        whole = scored is None or _whole(scored)
        self.metrics = [name for name in metrics if peer_name(name) and (whole or not parse_metric(name).graded)]
        self._level = 1 if scored is None or not whole else max(1, math.ceil(scored.relevant_from))
        self._keys = [str(peer_name(name)) for name in self.metrics]
        # pytrec_eval's own spelling has the cutoff after a point
        self._asked = {".".join(key.rsplit("_", 1)) if key[-1].isdigit() else key for key in self._keys}

    def evaluate(
        self, qrels: Mapping[str, dict[str, int]], run: Mapping[str, dict[str, float]], names: Sequence[str]
    ) -> FloatArray:
        """Values of the lists called `names`, float64 `[names, metrics]`; NaN for lists that the run lacks."""
        import pytrec_eval

        values = np.full((len(names), len(self.metrics)), np.nan)
        if self.metrics:
            evaluator = pytrec_eval.RelevanceEvaluator(dict(qrels), self._asked, relevance_level=self._level)
            evaluated = evaluator.evaluate(dict(run))
            for row, name in enumerate(names):
                if name in evaluated:
                    values[row] = [evaluated[name][key] for key in self._keys]
        return values


def _gains(scored: TaskData | Ranks) -> FloatArray:
    return scored.gains if isinstance(scored, Ranks) else scored.row_gains


def _whole(scored: TaskData | Ranks) -> bool:
    gains = _gains(scored)
    return bool((gains == np.round(gains)).all())


def peer_gains(scored: TaskData | Ranks) -> IntArray:
    """The gains as pytrec_eval takes them: whole numbers; where they are not, whether each is that of a relevant."""
    gains = _gains(scored)
    return (gains if _whole(scored) else gains >= scored.relevant_from).astype(np.int64)


@dataclass(frozen=True)
class Agreement:
    """How far pytrec_eval and this package agree on a metric in a setting.

    Attributes:
        setting, metric: what was compared.
        lists: lists compared.
        tied: those of them with tied relevants, where pytrec_eval's order of ties is one of many.
        difference: greatest difference on lists without ties, or beyond the range that ties allow.
    """

    setting: str
    metric: str
    lists: int
    tied: int
    difference: float


def compare(view: SettingView, peer: PytrecEval, theirs: FloatArray) -> list[Agreement]:
    """Compare with the closed forms: equal without ties, between the worst and the best order with them.

    Args:
        view: the lists of a setting.
        peer: what made `theirs`.
        theirs: a row per list of the view, NaN where the list was not evaluated, float64 `[lists, metrics]`.
    """
    result = []
    for name, values in zip(peer.metrics, theirs.T, strict=True):
        _, low, high = _ours(name, view)
        evaluated = ~np.isnan(values)
        beyond = np.maximum(low - values, values - high)[evaluated]
        tied = int(view.lists.has_ties[evaluated].sum())
        difference = float(max(0.0, beyond.max(initial=0.0)))
        result.append(Agreement(view.setting, name, int(evaluated.sum()), tied, difference))
    return result


def _ours(name: str, view: SettingView) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values of a metric, expected and under the worst and the best order of ties, float64 `[lists]` each."""
    ours = per_query(parse_metric(name), view)
    low = ours.values if ours.pessimistic is None else ours.pessimistic
    high = ours.values if ours.optimistic is None else ours.optimistic
    return ours.values, low, high


def require_agreement(agreements: Sequence[Agreement], source: str) -> None:
    """Raise RunError, naming what was scored, when a comparison shows a difference: it would be a bug."""
    wrong = [item for item in agreements if not item.difference <= TOLERANCE]
    if wrong:
        worst = max(wrong, key=lambda item: item.difference)
        raise RunError(
            f"pytrec_eval scores {source} otherwise than xqr-bench does: {worst.setting} {worst.metric} differs by up "
            f"to {worst.difference:.3g}",
            found=f"{len(wrong)} of {len(agreements)} metrics differ by more than {TOLERANCE:g}",
            remedy="this is a bug in one of the two; please report it with the run",
        )


# A record's counts -> rankings again, for pytrec_eval to score: a check that needs no model and no texts.

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
    if not _whole(ranks):
        raise UsageError("these ranks have gains that are no whole numbers", remedy="pytrec_eval knows only those")
    generator = np.random.default_rng(seed)
    peer = PytrecEval(metrics, ranks)
    result = []
    for setting, view in setting_views(ranks, tuple(settings)).items():
        count = len(view.lists)
        chosen = np.arange(count)
        if 0 < sample < count:
            chosen = np.sort(generator.choice(count, sample, replace=False))
        theirs = [_evaluate(view.graded.lists, chosen, peer, best=best).T for best in (False, True)]
        for name, their_worst, their_best in zip(peer.metrics, *theirs, strict=True):
            expected, worst, best = (values[chosen] for values in _ours(name, view))
            apart = [abs(their_worst - worst), abs(their_best - best), their_worst - expected, expected - their_best]
            figures = {"expected": expected, "worst": worst, "best": best}
            figures |= {"their_worst": their_worst, "their_best": their_best}
            means = {kind: float(values.mean()) for kind, values in figures.items()}
            difference = float(max(0.0, np.max(apart)))
            result.append(CrossCheck(setting, name, len(chosen), **means, difference=difference))
    return result


def _evaluate(lists: RankedLists, chosen: IntArray, peer: PytrecEval, *, best: bool) -> FloatArray:
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
