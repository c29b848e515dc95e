"""What docs/metrics.md says of the measures of other papers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2, kruskal

from xqr_bench.measure.metrics import parse_metric

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Measures of the literature")[1].split("\n## ")[0]


def test_peer_is_a_constant_where_each_language_has_one_relevant() -> None:
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(1.0, 12.0), (50, 1)), axis=1)
    values = [kruskal(*([place] for place in order)).pvalue for order in orders]
    assert values == pytest.approx([chi2.sf(10, 10)] * 50, abs=1e-12)
    assert f"it is {values[0]:.4f} for 11 languages".replace("0.", ".") in SECTION


def test_every_measure_of_the_table_can_be_asked_for() -> None:
    names = [line.split("|")[3].split("`")[1] for line in SECTION.splitlines() if line.startswith("|") and "`" in line]
    assert len(names) > 5
    for name in names:
        assert parse_metric(name.replace("@k", "@10")).summary


def test_complete_at_10_is_nothing_where_a_query_has_eleven_relevants() -> None:
    from tests.measure.lists import TiedList, pooled

    found = pooled(TiedList(tuple(((place % 3, 1.0),) for place in range(11))))
    for k, value in ((10, 0.0), (11, 1.0)):
        metric = parse_metric(f"complete@{k}")
        assert metric.kernel is not None
        assert metric.ceiling is not None
        assert metric.kernel(found)[0] == metric.ceiling(found)[0] == value
