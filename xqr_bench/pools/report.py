"""Everything that `xqr-bench pools` finds in one record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from xqr_bench.data.restrict import choose_languages
from xqr_bench.errors import UnknownNameError, UsageError
from xqr_bench.metrics import parse_metric
from xqr_bench.pools import views
from xqr_bench.pools.choose import nested, subsets
from xqr_bench.pools.lists import check_counts, labelled, of_languages, refuse_paragraph
from xqr_bench.record import Record, relevance_ranks
from xqr_bench.relevance import variant_metrics
from xqr_bench.types import STRICT, VARIANTS

VIEWS = ("pool", "labelled", "leave-one-out", "pairs", "growth", "equal-size")
DEFAULT_VIEWS = tuple(name for name in VIEWS if name != "pairs")
LIMIT = 20
"""Pools of one size, at most; with 11 languages there are up to 462."""
OF_MANY = ("map", "own_language_first")
"""Of pairs and of growing pools, where a metric is a table of its own."""


class PoolReport(views._Part):
    """The pools of one record; a view that was not asked for, or says nothing, is absent."""

    model: str
    task: str
    relevance: str = Field(default=STRICT, description="the rule of relevance of every figure")
    metrics: tuple[str, ...]
    seed: int
    pool: views.PoolFigures
    labelled: views.Change | None = Field(default=None, description="absent where every question has every language")
    leave_one_out: list[views.Change] = Field(default_factory=list)
    pairs: dict[str, views.PoolFigures] = Field(default_factory=dict)
    growth: list[views.Size] = Field(default_factory=list)
    equal_size: views.EqualFigures | None = None


def pool_report(
    record: Record,
    *,
    show: Sequence[str] = DEFAULT_VIEWS,
    languages: Sequence[str] | None = None,
    queries: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    relevance: str = STRICT,
    limit: int = LIMIT,
    order: Sequence[str] | None = None,
    size: int | None = None,
    seed: int = 0,
) -> PoolReport:
    """Make the views of a record, with its ranks; nothing is encoded.

    Args:
        record: loaded with its ranks.
        show: which, of VIEWS.
        languages: of the pool; default: all that the task has. The other views are about these.
        queries: query languages of the view `pool`; default: those of the pool.
        metrics: of the multilingual setting; default METRICS.
        relevance: the rule of relevance, strict or lenient.
        limit: pools of one size at most (`growth`); where there are more, a sample of so many is drawn.
        order: `growth` adds one language at a time, in this order, instead.
        size: of the equal pools; default: that of the smallest language.
        seed: of samples and intervals.

    Raises:
        RecordError: the record has no counts for each language, or none under the rule of relevance.
        UsageError, UnknownNameError: an argument that cannot be meant.
    """
    name = f"{record.model.name} on {record.task.name}"
    if relevance not in (STRICT, *VARIANTS):
        raise UnknownNameError("rule of relevance", relevance, (STRICT, *VARIANTS))
    refuse_paragraph(relevance)
    check_counts(record.ranks, name)
    ranks = relevance_ranks(record, relevance)
    for view in show:
        if view not in VIEWS:
            raise UnknownNameError("view", view, VIEWS)
    chosen = choose_languages(record.task.name, ranks.columns, languages)
    asked = None if queries is None else choose_languages(record.task.name, ranks.columns, queries)
    names = tuple(dict.fromkeys(parse_metric(metric).name for metric in (metrics or views.METRICS)))
    if unscored := set(names) - set(variant_metrics(relevance, names)):
        raise UsageError(f"{min(unscored)} is not scored under {relevance} relevance", remedy="choose another metric")
    of_many = names[:2] if metrics else OF_MANY
    members = of_languages(ranks, chosen)
    if len(chosen) < 2 and set(show) & {"leave-one-out", "pairs", "growth"} and languages is not None:
        show = [view for view in show if view not in ("leave-one-out", "pairs", "growth")]
    lacking = not labelled(ranks)[:, members].all()
    generator = np.random.Generator(np.random.PCG64(seed))
    if limit < 1:
        raise UsageError(f"{limit} pools of a size are none", remedy="give --limit 1 or more")
    sizes = nested(chosen, order) if order is not None else subsets(chosen, limit, generator)
    return PoolReport(
        model=record.model.name,
        task=record.task.name,
        relevance=relevance,
        metrics=names,
        seed=seed,
        pool=views.pool_figures(ranks, "the pool", members, names, queries=asked, seed=seed),
        labelled=views.label_change(ranks, names, chosen, seed=seed) if "labelled" in show and lacking else None,
        leave_one_out=views.leave_one_out(ranks, names, chosen, seed=seed) if "leave-one-out" in show else [],
        pairs=views.pairs(ranks, of_many, chosen) if "pairs" in show else {},
        growth=views.growth(ranks, of_many, sizes) if "growth" in show else [],
        equal_size=views.equal_sizes(ranks, size, seed=seed) if "equal-size" in show else None,
    )
