"""A cut below the cutoff of a metric is refused."""

from __future__ import annotations

import pytest

from xqr_bench.core.errors import UsageError
from xqr_bench.measure.metrics import refuse_shallow


def test_a_cut_above_every_cutoff_is_enough() -> None:
    refuse_shallow(["map", "recall@10", "recall@100", "rank_distance"], 100, remedy="")
    refuse_shallow(["map"], 1, remedy="")


def test_the_metric_and_the_depth_it_needs_are_named() -> None:
    with pytest.raises(UsageError) as error:
        refuse_shallow(["map", "recall@100", "recall@10"], 99, remedy="give --depth {depth} or more")
    assert str(error.value) == "a ranking cut at 99 cannot give recall@100\n  to do: give --depth 100 or more"
