"""Index options: what is known, what is refused, and what a record is called."""

from __future__ import annotations

import pytest

from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.rank.index import DEFAULT_DEPTH, INDEX_TYPES, IndexOptions


def test_defaults_are_filled_in() -> None:
    options = IndexOptions.parse("hnsw", ["ef_search=64", " m = 8 "])
    assert options.values == {"m": 8, "ef_construction": 40, "ef_search": 64}
    assert options.list_depth == DEFAULT_DEPTH
    assert not options.exact


@pytest.mark.parametrize("type_", list(INDEX_TYPES))
def test_defaults_are_accepted(type_: str) -> None:
    given = {p.name: p.default for p in INDEX_TYPES[type_] if p.default is not None}
    assert IndexOptions(type_, given).suffix == f"+{type_}"


def test_flat_is_exact_and_not_cut() -> None:
    assert IndexOptions("flat").exact
    assert IndexOptions("flat").list_depth is None
    with pytest.raises(UsageError, match="the index flat is not cut at a depth: its ranks are exact"):
        IndexOptions("flat", depth=100)


def test_two_settings_never_share_a_name() -> None:
    assert IndexOptions.parse("hnsw").suffix == "+hnsw"
    assert IndexOptions.parse("hnsw", ["m=32"], 1000).suffix == "+hnsw"
    assert IndexOptions.parse("hnsw", ["ef_search=64", "m=8"], 200).suffix == "+hnsw-m8-ef_search64-depth200"
    assert IndexOptions.parse("ivfpq", ["m=96"]).suffix == "+ivfpq-m96"


@pytest.mark.parametrize(
    ("type_", "given", "depth", "message"),
    [
        ("hnws", [], None, "there is no index named 'hnws'\n  found: closest: hnsw"),
        ("hnsw", ["efsearch=3"], None, "there is no parameter of the index hnsw named 'efsearch'\n"
         "  found: closest: ef_search"),
        ("hnsw", ["efsearch=x"], None, "there is no parameter of the index hnsw named 'efsearch'"),
        ("flat", ["m=3"], None, "there is no parameter of the index flat named 'm'\n  found: known: none\n"
         "  to do: leave it out: flat has no parameters"),
        ("hnsw", ["m=1"], None, "the parameter m of the index hnsw cannot be 1\n"
         "  to do: use a whole number from 2 to 2147483647"),
        ("hnsw", ["m=two"], None, "the parameter m of the index hnsw cannot be 'two'\n  to do: use a whole number"),
        ("hnsw", ["m"], None, "'m' is no parameter of an index\n  to do: write it as NAME=VALUE: ef_search=64"),
        ("hnsw", ["m=4", "m=5"], None, "the parameter m is given twice"),
        ("ivf", ["nlist=4"], None, "the index ivf cannot search 8 of 4 cells\n  to do: give nprobe at most nlist"),
        ("ivfpq", ["nbits=20"], None, "the parameter nbits of the index ivfpq cannot be 20"),
        ("hnsw", [], 0, "the depth cannot be 0\n  to do: keep at least one hit of each language"),
    ],
)  # fmt: skip
def test_what_is_refused(type_: str, given: list[str], depth: int | None, message: str) -> None:
    with pytest.raises(UsageError) as error:
        IndexOptions.parse(type_, given, depth)
    assert str(error.value).startswith(message)


def test_a_wrong_name_in_python() -> None:
    with pytest.raises(UnknownNameError, match="parameter of the index ivf named 'nprobes'"):
        IndexOptions("ivf", {"nprobes": 2})
    with pytest.raises(UsageError, match="the parameter nprobe of the index ivf cannot be True"):
        IndexOptions("ivf", {"nprobe": True})
