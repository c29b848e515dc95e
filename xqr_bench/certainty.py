"""Attach to each score how certain it is: tests (and intervals) from the per-query values behind it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from xqr_bench.metrics.per_query import PerQuery
from xqr_bench.scores import SettingScores
from xqr_bench.stats.order_test import order_test, sums_by_unit
from xqr_bench.types import IntArray, Ranks

SEED = 0


def question_units(ranks: Ranks) -> IntArray:
    """Number of the question of each query, int64 `[queries]`; the versions of a question share it."""
    _, number = np.unique(np.asarray(ranks.question_ids), return_inverse=True)
    return number.astype(np.int64)


def attach_certainty(
    scores: dict[str, SettingScores],
    values: Mapping[str, Mapping[str, PerQuery]],
    ranks: Ranks,
    *,
    seed: int = SEED,
) -> dict[str, SettingScores]:
    """Return the scores with the order tests of W, by question and by article, per query language.

    Args:
        scores: as `xqr_bench.scores.score` makes them.
        values: the per-query values behind them.
        ranks: the ranks behind those.
        seed: of the generator; the same seed gives the same p-values.
    """
    result = dict(scores)
    for setting, of_metric in values.items():
        found = result[setting]
        parts = {language: dict(metrics) for language, metrics in found.by_query_language.items()}
        for name, per_query in of_metric.items():
            if per_query.features is None:
                continue
            for cell, score in enumerate(per_query.cells):
                old = parts[score.query][name]
                if old.value is None:
                    continue
                rows = np.flatnonzero(per_query.cell == cell)
                places = per_query.features[rows, :-2]
                # a column of zeros is the query's own language, left out
                places = places[:, places.any(axis=0)]
                queries = per_query.queries[rows]
                generators = np.random.default_rng([seed, cell]).spawn(2)
                parts[score.query][name] = old.model_copy(
                    update={
                        "p": order_test(sums_by_unit(places, question_units(ranks)[queries]), generators[0]),
                        "p_article": order_test(sums_by_unit(places, ranks.articles[queries]), generators[1]),
                    }
                )
        result[setting] = found.model_copy(update={"by_query_language": parts})
    return result
