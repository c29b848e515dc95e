"""pytrec_eval as a second opinion: the same figures from another implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xqr_bench.errors import RunError
from xqr_bench.metrics.base import parse_metric
from xqr_bench.metrics.per_query import SettingView, per_query
from xqr_bench.types import FloatArray

TOLERANCE = 1e-9
_FAMILIES = {"map": "map", "mrr": "recip_rank", "recall": "recall", "success": "success", "ndcg": "ndcg_cut"}


def peer_name(metric: str) -> str | None:
    """What trec_eval calls a metric (`recall@10`: `recall_10`), None where it has none like it."""
    family, at, cutoff = metric.partition("@")
    known = _FAMILIES.get(family)
    return known if known is None or not at else f"{known}_{cutoff}"


class PytrecEval:
    """pytrec_eval with the measures that stand for some of our metrics.

    Args:
        metrics: our names; those that trec_eval has nothing like are left out.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = [name for name in metrics if peer_name(name)]
        self._keys = [str(peer_name(name)) for name in self.metrics]
        # pytrec_eval's own spelling has the cutoff after a point
        self._asked = {key if name.find("@") < 0 else ".".join(key.rsplit("_", 1)) for name, key in self._pairs()}

    def _pairs(self) -> list[tuple[str, str]]:
        return list(zip(self.metrics, self._keys, strict=True))

    def evaluate(
        self, qrels: Mapping[str, dict[str, int]], run: Mapping[str, dict[str, float]], names: Sequence[str]
    ) -> FloatArray:
        """Values of the lists called `names`, float64 `[names, metrics]`; NaN for lists that the run lacks."""
        import pytrec_eval

        values = np.full((len(names), len(self.metrics)), np.nan)
        if self.metrics:
            found = pytrec_eval.RelevanceEvaluator(dict(qrels), self._asked).evaluate(dict(run))
            for row, name in enumerate(names):
                if name in found:
                    values[row] = [found[name][key] for key in self._keys]
        return values


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
    for column, name in enumerate(peer.metrics):
        ours = per_query(parse_metric(name), view)
        known = ~np.isnan(theirs[:, column])
        low = ours.values if ours.pessimistic is None else ours.pessimistic
        high = ours.values if ours.optimistic is None else ours.optimistic
        beyond = np.maximum(low - theirs[:, column], theirs[:, column] - high)[known]
        result.append(
            Agreement(
                setting=view.setting,
                metric=name,
                lists=int(known.sum()),
                tied=int(view.lists.has_ties[known].sum()),
                difference=float(max(0.0, beyond.max(initial=0.0))),
            )
        )
    return result


def require_agreement(found: Sequence[Agreement], source: str) -> None:
    """Raise RunError when a comparison shows a difference: it would be a bug.

    Args:
        found: the comparisons.
        source: what was scored, for the message.
    """
    wrong = [item for item in found if not item.difference <= TOLERANCE]
    if wrong:
        worst = max(wrong, key=lambda item: item.difference)
        raise RunError(
            f"pytrec_eval scores {source} otherwise than xqr-bench does: {worst.setting} {worst.metric} differs by up "
            f"to {worst.difference:.3g}",
            found=f"{len(wrong)} of {len(found)} metrics differ by more than {TOLERANCE:g}",
            remedy="this is a bug in one of the two; please report it with the run",
        )
