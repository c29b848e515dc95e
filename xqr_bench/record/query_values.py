"""The values of single queries that a record's figures are means of, as columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.types import Ranks, Texts, collapses
from xqr_bench.measure.metrics import Metric, parse_metric
from xqr_bench.measure.scores import all_per_query
from xqr_bench.rank.rules import variant_metrics

if TYPE_CHECKING:
    from xqr_bench.record.model import Record

KEYS = ("setting", "query_language", "candidate_language", "question", "article")


def of_one_list(metric: Metric) -> bool:
    """Whether a metric gives one value for each ranking, as average precision does, and not one for each language."""
    return metric.kernel is not None and not metric.of_cells


def query_values(ranks: Ranks, metrics: Sequence[str], settings: Sequence[str]) -> dict[str, Any]:
    """What each query got in each ranking: of the whole pool, or of one candidate language.

    Args:
        ranks: counted under a rule of relevance.
        metrics: those that give one value for each ranking (`of_one_list`).
        settings: monolingual, cross-lingual, multilingual.

    Returns:
        columns of one length, by name: `KEYS` (of texts; the candidate language is "" for the whole pool; the article
        is an int64 number), `query`, the index of the query among those of the ranks, int64, and each metric, float64,
        NaN where it is undefined. By setting, then as the ranks have them.
    """
    parts: dict[str, list[Any]] = {name: [] for name in (*KEYS, "query", *metrics)}
    numbers = ranks.query_numbers
    # of very many languages one after the other: values of all at once would take gigabytes
    groups = [np.flatnonzero(numbers == one) for one in np.unique(numbers)] if collapses(ranks.columns) else [None]
    for setting in settings:
        for chosen in groups:
            part = ranks if chosen is None else ranks.take(chosen)
            of_metric = all_per_query(part, metrics, (setting,)).get(setting, {})
            if not of_metric:
                continue
            first = next(iter(of_metric.values()))
            cells, queries = first.cell, first.queries if chosen is None else chosen[first.queries]
            parts["setting"].append(Texts([setting], np.zeros(len(cells), dtype=np.int32)))
            parts["query_language"].append(Texts([cell.query for cell in first.cells], cells))
            parts["candidate_language"].append(Texts([cell.candidate or "" for cell in first.cells], cells))
            parts["query"].append(queries)
            for name in metrics:
                found = of_metric.get(name)
                parts[name].append(np.full(len(cells), np.nan) if found is None else found.values)
    every = np.concatenate(parts["query"]) if parts["query"] else np.zeros(0, dtype=np.int64)
    columns: dict[str, Any] = {
        name: np.concatenate([np.array(part.distinct, dtype=object)[part.places] for part in parts[name]] or [every])
        for name in KEYS[:3]
    }
    columns["question"] = np.array(ranks.question_ids, dtype=object)[every]
    columns["article"], columns["query"] = ranks.articles[every], every
    return columns | {name: np.concatenate(parts[name]) if len(every) else np.zeros(0) for name in metrics}


def metric_of_one_list(name: str) -> Metric:
    """The metric, which gives one value for each ranking.

    Raises:
        UnknownNameError: there is no such metric.
        UsageError: it gives none, such as a measure of languages.
    """
    metric = parse_metric(name)
    if not of_one_list(metric):
        raise UsageError(
            f"{metric.name} has no value of a single question in one ranking",
            remedy="choose one that has, such as map, ndcg@10 or rank_distance",
        )
    return metric


def held_metrics(record: Record, relevance: str) -> list[str]:
    """Those of a record's metrics under a rule of relevance that give one value for each ranking."""
    return [name for name in variant_metrics(relevance, record.task.metrics) if of_one_list(parse_metric(name))]


def query_columns(
    record: Record, ranks: Ranks, metrics: Sequence[str] | None, settings: Sequence[str] | None
) -> dict[str, Any]:
    """The columns of `Result.query_frame`; the rule of relevance is that of the ranks."""
    there = record.task.settings
    asked = held_metrics(record, ranks.rule) if metrics is None else metrics
    names = list(dict.fromkeys(metric_of_one_list(name).name for name in asked))
    for name in there if settings is None else settings:
        if name not in there:
            raise UnknownNameError("setting of this record", name, there)
    columns = query_values(ranks, names, there if settings is None else [name for name in there if name in settings])
    del columns["query"]
    columns["candidate_language"] = [code or None for code in columns["candidate_language"].tolist()]
    length = len(columns["question"])
    return {"task": [record.task.name] * length, "model": [record.model.name] * length, **columns}
