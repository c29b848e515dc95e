"""Scores under other rules of relevance than the strict one (docs/relevance.md); strict stays the headline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xqr_bench.certainty import attach_certainty
from xqr_bench.metrics.per_query import PerQuery
from xqr_bench.scores import Group, SettingScores, all_per_query, score
from xqr_bench.types import LENIENT, PARAGRAPH, SETTINGS, STRICT, Ranks

_SCORES = ("map", "mrr", "recall@1", "recall@10", "success@1", "success@10", "ndcg@10", "language_ndcg@10")
_METRICS = {
    LENIENT: (*_SCORES, "rank_distance", "rank_variance", "own_language_first"),
    PARAGRAPH: (
        *_SCORES,
        "own_language_first",
        "top_right_own",
        "top_right_other",
        "top_wrong_own",
        "top_wrong_other",
    ),
}
"""What is scored under each rule. Paragraph relevance has several relevants a language, so that distances between
relevants are not distances between languages; the top of a lenient ranking is not counted."""


def variant_metrics(name: str, metrics: Sequence[str]) -> list[str]:
    """Those of the metrics that are scored under a rule of relevance, in their order.

    Args:
        name: strict (all of them), lenient or paragraph.
        metrics: of the task.
    """
    return list(metrics) if name == STRICT else [metric for metric in metrics if metric in _METRICS[name]]


def variant_values(
    name: str, ranks: Ranks, metrics: Sequence[str], settings: Sequence[str] = SETTINGS
) -> dict[str, dict[str, PerQuery]]:
    """Per-query values under a rule: setting -> metric -> values.

    Args:
        name: the rule.
        ranks: counted under it.
        metrics, settings: of the task.
    """
    return all_per_query(ranks, variant_metrics(name, metrics), settings)


def score_variant(
    name: str, ranks: Ranks, metrics: Sequence[str], settings: Sequence[str], groups: Mapping[str, Group]
) -> dict[str, SettingScores]:
    """Scores under a rule, by setting: macro averages, query languages and groups, each with its intervals.

    Scores of single language pairs are left out, to keep records small; they follow from the ranks.

    Args:
        name, ranks, metrics, settings: as for `variant_values`.
        groups: the task's language groups.
    """
    values = variant_values(name, ranks, metrics, settings)
    scores, _ = score(values, groups)
    scores = attach_certainty(scores, values, ranks, groups)
    return {setting: found.model_copy(update={"by_language_pair": {}}) for setting, found in scores.items()}
