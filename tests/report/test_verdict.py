"""The sentence of a comparison: who is better where and by how much, or what could have been found."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.kit import BOARD, words
from xqr_bench.analysis.choice import TaskComparison
from xqr_bench.analysis.compare import compare
from xqr_bench.report.comparison import NEEDED
from xqr_bench.report.numbers import number
from xqr_bench.report.verdict import comparison_brief, verdict


def record(model: str) -> Path:
    return next(BOARD.glob(f"{model}/*/xquad-r.json"))


E5 = "multilingual-e5-small__from_4-bit_weights_"


@pytest.fixture(scope="module")
def close() -> TaskComparison:
    """Two settings of three are told apart."""
    return compare([record(E5), record(f"{E5}__bfloat16")], resamples=1000)[0]


@pytest.fixture(scope="module")
def three() -> TaskComparison:
    return compare([record(name) for name in (E5, f"{E5}__bfloat16", "char-ngrams")], resamples=1000)[0]


def test_two_records(close: TaskComparison) -> None:
    said = verdict(close)
    first, second = said.split("; ")
    assert first.startswith("B is better than a in the cross-lingual and multilingual settings, by ")  # names too long
    called = dict(zip((one.label for one in close.records), ("first", "second, of two"), strict=True))
    rows = tuple(
        one.model_copy(update={"a": called[one.a], "b": called[one.b]}) for one in close.family("confirmatory")
    )
    named = verdict(close.model_copy(update={"comparisons": rows}))
    assert named.startswith('"second, of two" is better than first in the cross-lingual and multilingual settings')
    cross = close.family("confirmatory")[1]
    assert f"{number(cross.difference)} (cross-lingual, 95% interval " in first
    power = next(one for one in close.power if (one.setting, one.metric) == ("monolingual", "map"))
    assert power.question is not None
    assert power.article is not None
    least = number(NEEDED * max(power.question, power.article), digits=3)
    where = "in the monolingual setting they are not told apart"
    assert second == f"{where}, where a difference of about {least} could have been found."


def test_the_worse_one_may_stand_second(close: TaskComparison) -> None:
    turned = [
        one.model_copy(update={"difference": -one.difference, "interval": None, "article_interval": None})
        for one in close.family("confirmatory")
    ]
    said = verdict(close.model_copy(update={"comparisons": tuple(turned)}))
    assert said.startswith("A is better than b in the cross-lingual and multilingual settings, by .0004 (cross-")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("question level only", "In all three settings they are told apart by questions, but not by articles."),
        (
            "too few articles (6) to judge by article",
            "In all three settings 48 articles are too few to tell them apart by article.",
        ),
    ],
)
def test_other_verdicts(close: TaskComparison, word: str, expected: str) -> None:
    rows = tuple(one.model_copy(update={"verdict": word}) for one in close.family("confirmatory"))
    assert verdict(close.model_copy(update={"comparisons": rows})) == expected
    assert "no verdict" in verdict(close.model_copy(update={"comparisons": ()}))


def test_more_than_two(three: TaskComparison) -> None:
    said = verdict(three)
    names = [f'"{one.label}"' if "," in one.label else one.label for one in three.records]
    assert said.endswith(".")
    assert said.count(".") == 1
    assert f"{names[1]} is the best of all" in said
    tied = f"in the monolingual setting, {names[1]} has the highest MAP but is not told apart from {names[0]}"
    assert tied.casefold() in said.casefold() or f"not told apart from {names[1]}" in said


def test_many_records_and_few_articles() -> None:
    paths = [BOARD / name for name in ("oracle/1", "bm25/470cb18e64ff", "char-ngrams/1")]
    (task,) = compare([path / "xquad-r.json" for path in paths], resamples=200)
    few = tuple(
        one.model_copy(update={"verdict": "too few articles (6) to judge by article", "n_articles": 6})
        for one in task.family("confirmatory")
    )
    display = tuple(one.model_copy(update={"letters": ("a",) * len(one.letters)}) for one in task.displays)
    said = verdict(task.model_copy(update={"comparisons": few, "displays": display}))
    assert "oracle has the highest MAP but 6 articles are too few to tell it apart from " in said
    assert "not told apart" not in said


def test_one_screen(close: TaskComparison, three: TaskComparison) -> None:
    for task in (close, three):
        console = Console(file=io.StringIO(), width=80)
        console.print(comparison_brief(task))
        assert isinstance(console.file, io.StringIO)
        text = console.file.getvalue()
        assert all(cell_len(line) <= 80 for line in text.splitlines())
        assert words(verdict(task)) in words(text)
        assert not [term for term in ("joshi", "Holm", "max-T", "worst", "Mo.") if term in text]


def test_groups_only_where_a_record_says_what_was_trained() -> None:
    """Those of the ratio study do."""
    paths = sorted(BOARD.glob("ratio-study__S1b_alpha-*/*/xquad-r.json"))[:3]
    (found,) = compare(paths[:2], resamples=1000)
    assert {one.scope for one in found.family("exploratory")} == {"macro", "by_group", "gap"}
    (found,) = compare(paths, resamples=1000)
    assert not found.family("exploratory")
    assert {figure.key for figure in found.groups} >= {"joshi-3", "joshi-3 - en", "joshi-3:into - en:into"}
