"""The geometry of vectors as tables and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from xqr_bench.measure.geometry import Geometry, LanguageGeometry
from xqr_bench.report.numbers import number
from xqr_bench.report.table import Column, Table, columns

Read = Callable[[Geometry], float | None]
# name, what it is, how to read it
MEASURES: tuple[tuple[str, Read, str], ...] = (
    ("alignment", lambda g: g.alignment, "distance of a query and its translation"),
    ("of other pairs", lambda g: g.other_pairs, "distance of queries that are no translations"),
    ("alignment ratio", lambda g: g.alignment_ratio, "0 translations are one vector, 1 no nearer than others"),
    ("uniformity", lambda g: g.uniformity, "0 all in one place, -4 spread over many directions"),
    ("cosine within", lambda g: g.cosine_within, "two queries of one language"),
    ("cosine between", lambda g: g.cosine_between, "two queries of different languages"),
    ("IsoScore", lambda g: g.isoscore, "share of the dimensions used evenly"),
    ("language probe", lambda g: g.probe, "share whose language a linear probe names"),
    ("  by chance", lambda g: g.probe_chance, ""),
    ("own language", lambda g: g.own_language, "share of the first {k} places in the query's language"),
    ("  by chance", lambda g: g.own_language_chance, ""),
    ("hub skewness", lambda g: g.hub_skewness, "0 no hubs; higher: few candidates stand first for many"),
    ("largest hub", lambda g: g.hub_largest, "share of queries that have it among the first {k}"),
    ("orphans", lambda g: g.orphans, "share of candidates never among the first {k}"),
)
COLUMNS: tuple[tuple[str, Callable[[LanguageGeometry], float | None]], ...] = (
    ("alignment ratio", lambda g: g.alignment_ratio),
    ("mean cosine", lambda g: g.mean_cosine),
    ("IsoScore", lambda g: g.isoscore),
    ("probe", lambda g: g.probe),
    ("top {k} / pool", lambda g: g.top_share / g.pool_share),
)


def geometry_tables(panels: Sequence[Geometry]) -> list[Table]:
    """The panels of one task, as encoded and, where there are two, transformed."""
    first = panels[0]
    names = [panel.transform or "as encoded" for panel in panels]
    rows = [
        (name, *(number(read(panel)) for panel in panels), reads.format(k=first.k)) for name, read, reads in MEASURES
    ]
    by_language = [
        (code, *(" → ".join(_cell(read(panel.by_language[code])) for panel in panels) for _, read in COLUMNS))
        for code in first.by_language
    ]
    arrow = f" ({' → '.join(names)})" if len(panels) > 1 else ""
    reasons = sorted({f"– {name}: {why}" for panel in panels for name, why in panel.reasons.items()})
    about = (
        f"{first.n_queries:,} queries, {first.n_candidates:,} candidates; distances and cosines of queries as "
        "directions; top: the multilingual ranking. docs/geometry.md explains each measure."
    )
    return [
        Table(f"{first.model} on {first.task}", (*columns("measure", *names), Column("reads", "name")), rows),
        Table(
            f"{first.task}, by language{arrow}",
            columns("language", *(name.format(k=first.k) for name, _ in COLUMNS)),
            by_language,
            (*reasons, about),
        ),
    ]


def geometry_json(tasks: Sequence[Sequence[Geometry]]) -> str:
    """All panels as a JSON list; what is not defined is absent."""
    panels = [panel.model_dump(mode="json", exclude_none=True) for panels in tasks for panel in panels]
    return json.dumps(panels, ensure_ascii=False, indent=1, allow_nan=False)


def _cell(value: float | None) -> str:
    """Three digits; no minus before zero."""
    return number(None if value is None else round(value, 3) + 0.0, digits=3)
