"""Pools from counts: against the definition, against the record, against a real evaluation of some languages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.analysis.small import small_data, small_ranks, small_vectors
from tests.kit import run
from xqr_bench import evaluate
from xqr_bench.analysis.asked import Pools
from xqr_bench.analysis.pools import (
    METRICS,
    VIEWS,
    change,
    check_counts,
    equal_values,
    expected_reciprocal_rank,
    growth,
    label_change,
    labelled,
    least_sizes,
    nested,
    of_languages,
    pool_figures,
    pool_report,
    pool_values,
    subsets,
)
from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.core.types import LENIENT, MONOLINGUAL, MULTILINGUAL, PARAGRAPH
from xqr_bench.measure.scores import all_per_query, score
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.record import Record, load_record, save_record
from xqr_bench.tasks.load import keep_languages

ALL = (
    "map",
    "mrr",
    "recall@1",
    "recall@10",
    "success@1",
    "ndcg@10",
    "rank_distance",
    "rank_variance",
    "own_language_first",
)


@pytest.fixture
def saved(record: Record, tmp_path: Path) -> Path:
    return save_record(record, tmp_path / "results" / "mini.json")


def test_all_languages_give_the_figures_of_the_record(record: Record) -> None:
    found = pool_figures(record.ranks, "", of_languages(record.ranks, record.ranks.columns), record_metrics(record))
    for name, figure in found.figures.items():
        stored = record.scores[MULTILINGUAL].macro[name]
        assert figure.value == pytest.approx(stored.value, rel=1e-12), name
        assert (figure.n, figure.tied_fraction) == (stored.n, stored.tied_fraction)
        assert figure.random_reference == stored.random_reference


def record_metrics(record: Record) -> list[str]:
    return [name for name in record.task.metrics if name in record.scores[MULTILINGUAL].macro and "top" not in name]


@pytest.mark.parametrize("chosen", [("aa", "cc"), ("bb", "cc", "dd"), ("dd",)])
def test_some_languages_give_what_ranking_only_them_gives(chosen: tuple[str, ...]) -> None:
    """The same vectors ranked with the other languages away; every value a query has."""
    data = small_data(seed=3)
    queries, candidates = small_vectors(data, seed=3)
    ranks = exact_ranks(data, queries, candidates, similarity="dot")
    some = keep_languages(data, chosen)
    of_query = [i for i, query in enumerate(data.queries) if query.language in chosen]
    of_candidate = [i for i, candidate in enumerate(data.candidates) if candidate.language in chosen]
    alone = exact_ranks(some, queries[of_query], candidates[of_candidate], similarity="dot")
    real, _ = score(all_per_query(alone, ALL, [MULTILINGUAL]), {})
    found = pool_figures(ranks, "", of_languages(ranks, chosen), ALL)
    for name, figure in found.figures.items():
        stored = real[MULTILINGUAL].macro[name]
        assert figure.value == pytest.approx(stored.value, rel=1e-12) if stored.value else figure.value is None
        assert figure.n == stored.n


def test_each_query_with_a_pool_of_its_own() -> None:
    """Literal: count what stands above a relevant in the languages of its question, ties at random."""
    ranks = small_ranks(seed=4)
    values = pool_values(ranks, ["rank_distance", "success@1"], labelled(ranks))
    found = dict(zip(values["success@1"].queries.tolist(), values["success@1"].values, strict=True))
    for query in range(ranks.n_queries):
        rows = range(ranks.offsets[query], ranks.offsets[query + 1])
        own = sorted({int(ranks.relevant_columns[row]) for row in rows})
        above = [int(ranks.gt[row, own].sum()) for row in rows]
        beside = [int(ranks.eq[row, own].sum()) for row in rows]
        first = [beside[i] for i in range(len(above)) if above[i] == 0]
        assert found[query] == pytest.approx(len(first) / first[0] if first else 0.0)
    sizes = {len(set(ranks.relevant_columns[ranks.row_queries == q].tolist())) for q in range(ranks.n_queries)}
    assert len(sizes) > 1


def test_labelled_pools_are_the_whole_where_every_question_has_every_language() -> None:
    ranks = small_ranks(seed=4)
    whole = of_languages(ranks, ranks.columns)
    both = label_change(ranks, ("map",), ranks.columns, seed=0)
    assert both.after.figures["map"].value > both.before.figures["map"].value
    assert both.difference["map"].value == pytest.approx(
        both.after.figures["map"].value - both.before.figures["map"].value
    )
    full = labelled(ranks).all(axis=1)
    assert full.any()
    values = [pool_values(ranks, ["map"], members, full)["map"].values for members in (whole, labelled(ranks))]
    np.testing.assert_array_equal(*values)
    assert change(ranks, "", whole, whole, ("map",), ranks.columns, seed=None).difference["map"].value == 0


def test_without_the_own_language_the_own_language_is_never_first() -> None:
    ranks = small_ranks(seed=1)
    found = pool_figures(ranks, "", of_languages(ranks, ["aa", "bb"]), ("map", "own_language_first"), queries=["dd"])
    assert found.figures["map"].value is not None
    assert found.figures["own_language_first"].value is None
    assert "none in its own language" in str(found.figures["own_language_first"].undefined_reason)
    assert found.n_queries + found.left_out == sum(code == "dd" for code in ranks.query_languages)


def test_growth_is_the_mean_over_all_subsets() -> None:
    ranks = small_ranks(seed=2)
    sizes = subsets(ranks.columns, 100, np.random.default_rng(0))
    found = growth(ranks, ("map",), sizes)
    assert [(size.size, size.n_pools, size.all) for size in found] == [
        (1, 4, True),
        (2, 6, True),
        (3, 4, True),
        (4, 1, True),
    ]
    pools = sizes[1].pools
    values = [pool_figures(ranks, "", of_languages(ranks, pool), ("map",)).figures["map"].value for pool in pools]
    assert found[1].mean["map"] == pytest.approx(np.mean(values))
    assert (found[1].least["map"], found[1].most["map"]) == (min(values), max(values))


def test_samples_of_subsets_are_seeded_and_without_repeats() -> None:
    languages = [f"l{i}" for i in range(8)]
    one, two = (subsets(languages, 10, np.random.default_rng(3)) for _ in range(2))
    assert one == two
    assert [(len(found.pools), found.all) for found in one] == [(8, True), *[(10, False)] * 5, (8, True), (1, True)]
    assert all(len(set(found.pools)) == len(found.pools) for found in one)
    assert [found.pools[0] for found in nested(("a", "b", "c"), ["c"])] == [("c",), ("a", "c"), ("a", "b", "c")]
    with pytest.raises(UsageError, match="is none of these languages"):
        nested(("a", "b"), ["x"])


def test_counts_that_do_not_tell() -> None:
    ranks = small_ranks()
    with pytest.raises(RecordError, match=r"(?s)a ranking cut at 100.*approximate index"):
        check_counts(replace(ranks, depth=100), "the record")
    own = ranks.gt[:, 0]
    with pytest.raises(RecordError, match="ranked by themselves"):
        check_counts(replace(ranks, own_gt=own, own_eq=own), "the record")


def test_the_command(saved: Path, tmp_path: Path) -> None:
    done = run("pools", str(saved), "--show", ",".join(VIEWS), "--plot", str(tmp_path / "p.svg"), "--limit", "2")
    assert done.code == 0, done.err
    assert "one language left out of the pool" in done.out
    assert "pools of two languages, own-language first" in done.out
    assert (tmp_path / "p.svg").stat().st_size > 1000
    data = json.loads(run("pools", str(saved), "--json", "--show", "leave-one-out", "--languages", "en,de").out)
    assert [found["name"] for found in data["leave_one_out"]] == ["without de", "without en"]
    assert run("pools", str(saved), "--markdown", "--show", "pool").out.startswith("**char-ngrams, mini: the pool of")


def test_the_report_names_what_is_wrong(record: Record, saved: Path) -> None:
    with pytest.raises(UnknownNameError):
        pool_report(record, Pools(show=["growht"]))
    with pytest.raises(UsageError, match="no language 'xx'"):
        pool_report(record, Pools(languages=["xx"]))
    with pytest.raises(UsageError, match="0 pools of a size are none"):
        pool_report(record, Pools(limit=0))
    assert run("pools", str(saved), "--json", "--markdown").code == 1
    assert pool_report(record, Pools(languages=["en"])).leave_one_out == []
    assert load_record(saved).task.name == "mini"
    assert METRICS[0] == "map"


def test_lenient_pools_are_what_ranking_only_these_languages_gives() -> None:
    whole = evaluate("char-ngrams", "mini", languages=["de", "en", "th"], cache=False)
    part = evaluate("char-ngrams", "mini", languages=["de", "th"], cache=False)
    found = pool_report(whole, Pools(show=["pool", "equal-size"], languages=["de", "th"], relevance=LENIENT))
    expected = part.scores_under(LENIENT)[MULTILINGUAL].macro
    assert found.relevance == LENIENT
    for name, figure in found.pool.figures.items():
        assert figure.value == pytest.approx(expected[name].value, rel=1e-12), name
        assert figure.ceiling == expected[name].ceiling
        if expected[name].random_reference is not None:
            assert figure.random_reference == pytest.approx(expected[name].random_reference, rel=1e-12)
    strict = pool_report(whole, Pools(show=["pool"], languages=["de", "th"]))
    assert strict.pool.figures["map"].value < found.pool.figures["map"].value


def test_equal_sizes_count_what_is_left_of_each_pool() -> None:
    """The sentences that leave make a pool smaller, for their query alone."""
    ranks = evaluate("char-ngrams", "mini", languages=["de", "en", "th"], cache=False).ranks.variants[LENIENT]
    keep = int(least_sizes(ranks).min())
    assert keep < int(ranks.column_sizes.min())
    found = equal_values(ranks, keep)[MONOLINGUAL]["equal mrr"]
    some = 0
    for query, value in zip(found.queries, found.values, strict=True):
        column = ranks.columns.index(ranks.query_languages[query])
        row = next(row for row in range(*ranks.offsets[query : query + 2]) if ranks.relevant_columns[row] == column)
        size = int(ranks.column_sizes[column] - ranks.removed[query, column])
        some += size < ranks.column_sizes[column]
        counts = (np.array([counted[row, column]], dtype=np.int64) for counted in (ranks.gt, ranks.eq))
        assert value == pytest.approx(expected_reciprocal_rank(*counts, size, keep)[0], rel=1e-12)
    assert some > 0
    with pytest.raises(UsageError, match="cannot be drawn from every language"):
        equal_values(ranks, keep + 1)


def test_other_rules_than_these(record: Record) -> None:
    with pytest.raises(UsageError, match="under paragraph relevance no other pool can be made"):
        pool_report(record, Pools(relevance=PARAGRAPH))
    with pytest.raises(UnknownNameError, match="rule of relevance"):
        pool_report(record, Pools(relevance="kind"))
    with pytest.raises(UsageError, match="language_position is not scored under lenient relevance"):
        pool_report(record, Pools(relevance=LENIENT, metrics=["language_position"]))
