"""The figures of a record as contrasts: which cells each of them averages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from xqr_bench.metrics.per_query import PerQuery
from xqr_bench.scores import Group, pick_cells, pick_group_cells
from xqr_bench.stats.contrasts import Contrasts
from xqr_bench.stats.panel import Panel, panel
from xqr_bench.stats.units import Units

MACRO = "macro"
GAP = "gap"
PARTS = (MACRO, "by_query_language", "by_language_pair", "by_group", GAP)
AllValues = Mapping[str, Mapping[str, PerQuery]]


class FigureName(NamedTuple):
    """Where a figure stands: `scores[setting].part[key][metric]`; the macro average has the key "".

    The part "gap" is not stored in records: key `de - en` or `joshi-3 - en` is that language or group minus English
    (cross-lingual: `joshi-3:into - en:into`).
    """

    setting: str
    metric: str
    part: str
    key: str


def figure_contrasts(
    values: PerQuery,
    groups: Mapping[str, Group] | None = None,
    parts: Collection[str] = PARTS,
    reference: str = "en",
) -> Contrasts:
    """The figures that `scores.score` makes from these values, and gaps, as weights over cells.

    Figures without cells are left out.

    Args:
        values: one metric in one setting.
        groups: language groups.
        parts: which parts to give, of PARTS.
        reference: the language that gaps are measured from.
    """
    found = [(part, key, cells) for part, key, cells in pick_cells(values) if cells]
    of_groups = [
        ("by_group", key, cells)
        for name, group in (groups or {}).items()
        for key, cells in pick_group_cells(values, name, group.languages)
        if cells
    ]
    chosen = [item for item in [*found, *of_groups] if item[0] in parts]
    name = (values.setting, values.metric.name)
    contrasts = Contrasts.means(
        len(values.cells), [(FigureName(*name, part, key), cells) for part, key, cells in chosen]
    )
    if GAP not in parts:
        return contrasts
    sources = {key: cells for part, key, cells in [*found, *of_groups] if part in ("by_query_language", "by_group")}
    sources |= {key: cells for key, cells in pick_group_cells(values, reference, [reference]) if cells}
    gaps = []
    for key in sources:
        base, colon, direction = key.partition(":")
        against = reference + colon + direction
        if base != reference and against in sources:
            gaps.append((FigureName(*name, GAP, f"{key} - {against}"), key, against))
    return contrasts + Contrasts.means(len(values.cells), sources.items()).gaps(gaps)


def figures_of(
    values: AllValues,
    units: Units,
    groups: Mapping[str, Group] | None = None,
    *,
    parts: Collection[str] = PARTS,
    metrics: Collection[str] | None = None,
    settings: Collection[str] | None = None,
) -> list[tuple[Panel, Contrasts]]:
    """The panels and figures of all values; what is undefined as a whole is left out.

    Args:
        values: setting -> metric -> per-query values, as `all_per_query` gives them.
        units: questions and articles of the ranks behind them.
        groups: language groups.
        parts, metrics, settings: only these.
    """
    found = []
    for setting, of_metric in values.items():
        if settings is not None and setting not in settings:
            continue
        for metric, per_query in of_metric.items():
            if per_query.undefined_reason is not None or (metrics is not None and metric not in metrics):
                continue
            contrasts = figure_contrasts(per_query, groups, parts)
            if len(contrasts):
                found.append((panel(per_query, units), contrasts))
    return found
