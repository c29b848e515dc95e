"""Attach to each score how certain it is: intervals, and the test of language order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from xqr_bench.certainty.figures import GAP, PARTS, AllValues, FigureName, figures_of
from xqr_bench.certainty.intervals import interval_figures
from xqr_bench.scores import Group, Score, SettingScores
from xqr_bench.stats.order_test import order_test, sums_by_unit
from xqr_bench.stats.units import Units, sampling_units
from xqr_bench.types import CROSS_LINGUAL, Ranks

SEED = 0
Found = dict[FigureName, dict[str, Any]]


def attach_certainty(
    scores: dict[str, SettingScores],
    values: AllValues,
    ranks: Ranks,
    groups: Mapping[str, Group],
    *,
    seed: int = SEED,
) -> dict[str, SettingScores]:
    """Return the scores with their intervals, and W with its order tests.

    Every macro score, query language, group and bias measure gets its interval from questions and the one from
    articles. Cross-lingual language pairs do not: 880 of them would double the size of a record of XQuAD-R;
    `interval_figures` gives them to whoever asks.

    Args:
        scores: as `xqr_bench.scores.score` makes them.
        values: the per-query values behind them.
        ranks: the ranks behind those.
        groups: the language groups of the scores.
        seed: of the generators; the same seed gives the same intervals and p-values on any number of threads.
    """
    units = sampling_units(ranks)
    stored = [part for part in PARTS if part != GAP]
    chosen = []
    for setting, of_metric in values.items():
        here = [part for part in stored if (setting, part) != (CROSS_LINGUAL, "by_language_pair")]
        chosen += figures_of({setting: of_metric}, units, groups, parts=here)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the compiled tests let go of the interpreter's lock
        tests = _order_tests(values, units, seed, pool)
        found = interval_figures(chosen, units, np.random.Generator(np.random.PCG64(seed)))
        updates: Found = {name: intervals._asdict() for name, intervals in found.items()}
        for name, p_values in tests.items():
            updates.setdefault(name, {}).update({key: p.result() for key, p in p_values.items()})
    return {setting: _updated(setting, old, updates) for setting, old in scores.items()}


def _order_tests(
    values: AllValues, units: Units, seed: int, pool: ThreadPoolExecutor
) -> dict[FigureName, dict[str, Future[float]]]:
    """p-values of W, by question and by article, per query language; each test a task of the pool."""
    found: dict[FigureName, dict[str, Future[float]]] = {}
    done: dict[tuple[int, bytes], dict[str, Future[float]]] = {}  # W and its corrected form have the same test
    for setting, of_metric in values.items():
        for name, per_query in of_metric.items():
            if per_query.features is None:
                continue
            for cell, language in enumerate(per_query.cells):
                rows = np.flatnonzero(per_query.cell == cell)
                places = per_query.features[rows, :-2]
                # a column of zeros is the query's own language, left out
                places = places[:, places.any(axis=0)]
                key = (cell, places.tobytes())
                if key not in done:
                    question = units.question[per_query.queries[rows]]
                    generators = np.random.default_rng([seed, cell]).spawn(2)
                    done[key] = {
                        "p": pool.submit(order_test, sums_by_unit(places, question), generators[0]),
                        "p_article": pool.submit(
                            order_test, sums_by_unit(places, units.article[question]), generators[1]
                        ),
                    }
                found[FigureName(setting, name, "by_query_language", language.query)] = done[key]
    return found


def _updated(setting: str, scores: SettingScores, updates: Found) -> SettingScores:
    """The scores of one setting with the updates of those that have a value."""
    parts: dict[str, dict[str, dict[str, Score]]] = {part: {} for part in PARTS if part not in ("macro", GAP)}
    macro: dict[str, Score] = {}
    for part, key, metric, old in scores.items():
        update = updates.get(FigureName(setting, metric, part, key), {}) if old.value is not None else {}
        new = old.model_copy(update=update)
        if part == "macro":
            macro[metric] = new
        else:
            parts[part].setdefault(key, {})[metric] = new
    return SettingScores(**parts, **macro)  # type: ignore[arg-type]
