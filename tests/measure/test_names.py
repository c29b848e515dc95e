"""A metric's printed name makes it again, and a wrong one is answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xqr_bench.core.errors import UsageError
from xqr_bench.core.types import N_HITS
from xqr_bench.measure.metrics import metric_names, parse_metric, refuse_shallow


@given(st.sampled_from(metric_names()), st.integers(1, 10**6))
def test_names_parse_back(pattern: str, k: int) -> None:
    k = min(k, N_HITS) if parse_metric(pattern.replace("@k", "@1")).needs_hits else k
    name = pattern.replace("@k", f"@{k}")
    assert parse_metric(name).name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("recall", "needs a cutoff"),
        ("map@10", "takes no cutoff"),
        ("recall@0", "not a whole number of at least 1"),
        ("recall@x", "not a whole number of at least 1"),
        ("recall@", "not a whole number of at least 1"),
        ("recall@-1", "not a whole number of at least 1"),
        ("recall@1000001", "is more than 1,000,000"),
        ("ndcg@99999999999999999999", "is more than 1,000,000"),
        ("recall@" + "9" * 5_000, "is more than 1,000,000"),
        ("share_vs_pool@21", "is more than 20"),
        ("recall@1.5", "not a whole number of at least 1"),
    ],
)
def test_wrong_cutoffs(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_metric(name)


def test_every_metric_says_what_it_is() -> None:
    for pattern in metric_names():
        metric = parse_metric(pattern.replace("@k", "@5"))
        assert metric.summary
        assert metric.formula
        assert metric.source
        assert sum(form is not None for form in (metric.kernel, metric.set_statistic, metric.of_pairs)) == 1


def test_a_cut_above_every_cutoff_is_enough() -> None:
    refuse_shallow(["map", "recall@10", "recall@100", "rank_distance"], 100, remedy="")
    refuse_shallow(["map"], 1, remedy="")


def test_the_metric_and_the_depth_it_needs_are_named() -> None:
    with pytest.raises(UsageError) as error:
        refuse_shallow(["map", "recall@100", "recall@10"], 99, remedy="give --depth {depth} or more")
    assert str(error.value) == "a ranking cut at 99 cannot give recall@100\n  to do: give --depth 100 or more"
