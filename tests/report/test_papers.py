"""Tables of papers: the best is the best, and marks are the verdicts of the tests and nothing else."""

from __future__ import annotations

import re

import pytest

from tests.kit import BOARD
from xqr_bench.analysis.asked import Choice, Look, Paper
from xqr_bench.analysis.choice import TaskComparison
from xqr_bench.analysis.compare import compare
from xqr_bench.core.errors import UsageError
from xqr_bench.record import load_record
from xqr_bench.report.papers import comparison_latex, records_latex

PATHS = [next(BOARD.glob(f"{model}/*/xquad-r.json")) for model in ("bm25", "char-ngrams", "random")]
LABELS = ["BM25", "n-grams", "random order"]
FIGURE = re.compile(r"(?:\\textbf\{)?([.\d]+)\}?( & \\textsuperscript\{(\w+|†)\})?")


@pytest.fixture(scope="module")
def two() -> TaskComparison:
    (task,) = compare(PATHS[:2], Choice(metrics=("map", "rank_distance"), languages=("all",)), resamples=200)
    return task


@pytest.fixture(scope="module")
def three() -> TaskComparison:
    (task,) = compare(PATHS, Choice(metrics=("ndcg@10",)), resamples=200)
    return task


def called(task: TaskComparison) -> TaskComparison:
    labels = LABELS[: len(task.records)]
    return task.called(Look(labels=labels).names(record.label for record in task.records))


def rows(latex: str) -> dict[str, list[str]]:
    """Row name -> its cells, marks with their figures."""
    lines = (line.removesuffix(r" \\") for line in latex.splitlines() if line.endswith(r" \\"))
    found: dict[str, list[str]] = {}
    for line in lines:
        first, *cells = line.split(" & ")
        found.setdefault(first, []).extend(cells)
    return found


def test_letters_are_those_of_the_comparison(three: TaskComparison) -> None:
    latex = comparison_latex([called(three)], Paper())
    found = rows(latex)
    for column, display in enumerate(three.displays):
        for record, value, letters in zip(display.records, display.values, display.letters, strict=True):
            label = LABELS[[one.label for one in three.records].index(record)]
            figure, mark = found[label][2 * column : 2 * column + 2]
            bold = record == display.records[0]
            printed = f"{value:.3f}".removeprefix("0")
            assert figure == (rf"\textbf{{{printed}}}" if bold else printed)
            assert mark == rf"\textsuperscript{{{letters}}}"
    assert r"\cmidrule(lr){2-7}\cmidrule(lr){8-13}" in latex  # MAP and nDCG@10, three settings each
    assert "share a letter" in latex
    assert three.displays[0].adjustment in latex
    assert "Benjamini-Hochberg" in latex  # of nDCG@10


def test_letters_of_other_metrics_follow_the_verdicts(three: TaskComparison) -> None:
    found = rows(comparison_latex([three], Paper()))
    labels = [one.label for one in three.records]
    settings = [display.setting for display in three.displays]
    marks = {
        (label, setting): set(found[label][6 + 2 * place + 1][17:-1])
        for label in labels
        for place, setting in enumerate(settings)
    }
    others = [one for one in three.comparisons if one.metric == "ndcg@10"]
    assert len(others) == 9
    for one in others:
        shared = marks[one.a, one.setting] & marks[one.b, one.setting]
        assert bool(shared) == (one.verdict != "significant")


def test_a_dagger_stands_where_the_higher_of_two_is_significantly_so(two: TaskComparison) -> None:
    latex = comparison_latex([two], Paper("languages"))
    daggers = sum(
        one.verdict == "significant" for one in two.comparisons if one.scope in ("by_query_language", "macro")
    )
    body = latex.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    arabic = next(one for one in two.comparisons if (one.setting, one.metric, one.key) == ("multilingual", "map", "ar"))
    lines = body.partition("Multilingual, MAP")[2].splitlines()
    for label, value, other in ((arabic.a, arabic.value_a, arabic.value_b), (arabic.b, arabic.value_b, arabic.value_a)):
        (line,) = [line for line in lines if line.startswith(f"{label} & ")][:1]
        higher = value > other
        assert (r"\textbf" in line.split(" & ")[1]) == higher
        assert (line.split(" & ")[2] == r"\textsuperscript{†}") == (higher and arabic.verdict == "significant")
    assert body.count(r"\textsuperscript{†}") == daggers > 10
    bias = body.partition("Rank distance}")[2].partition(r"\addlinespace")[0]
    assert r"\textbf" not in bias  # a measure of bias has no best
    assert "Bold" in latex


def test_rows_of_pairs_are_read_one_way_only(two: TaskComparison) -> None:
    latex = comparison_latex([called(two)], Paper("pairs"))
    first = next(one for one in two.comparisons if one.setting == "monolingual" and one.metric == "map")
    (line,) = [line for line in latex.splitlines() if line.startswith("Monolingual & ")][:1]
    figures = line.split(" & ")
    assert float(figures[1]) == pytest.approx(first.value_b, abs=6e-5)
    assert float(figures[2]) == pytest.approx(first.value_a, abs=6e-5)
    assert float(figures[3].replace("$", "")) == pytest.approx(first.difference, abs=6e-5)
    assert re.search(r"\{\[\}\$-\$\.\d{4}, \$-\$\.\d{4}\{\]\}", latex)
    assert "n-grams (b) minus BM25 (a)" in latex
    assert "--." not in latex


def test_few_articles_are_a_reason_for_a_mark_in_brackets(two: TaskComparison) -> None:
    """There p by article may be below .05, since the confirmatory family would need more of them."""
    few = "too few articles (6) to judge by article"
    rows = tuple(one.model_copy(update={"verdict": few}) for one in two.comparisons)
    latex = comparison_latex([called(two.model_copy(update={"comparisons": rows}))], Paper("pairs"))
    assert "(†): by question only, or with too few articles to judge by article." in latex


def test_power_says_to_between_figures(three: TaskComparison) -> None:
    latex = comparison_latex([three], Paper("power", label="tab:power_of"))
    assert re.search(r" & \.\d{4} to \.\d{4} & \.\d{4} to \.\d{4}", latex)
    assert r"\label{tab:power_of}" in latex
    assert "Language nDCG@10" not in latex or "MAP" in latex


def test_all_has_every_table_with_a_label_of_its_own(three: TaskComparison) -> None:
    latex = comparison_latex([three], Paper("all", label="tab:x", caption="Mine."))
    labels = re.findall(r"\\label\{([^}]+)\}", latex)
    assert {"tab:x-main", "tab:x-xquad-r"} <= set(labels)
    assert latex.count(r"\caption{Mine. ") + latex.count(r"\caption{Mine.}") == len(labels) >= 4


def test_records_alone_have_no_marks() -> None:
    records = [load_record(path) for path in PATHS]
    latex = records_latex(records, LABELS, Paper())
    macro = records[0].scores["monolingual"].macro["map"]
    assert macro.interval is not None
    half = f"{(macro.interval.high - macro.interval.low) / 2:.3f}".removeprefix("0")
    assert rf"\textbf{{{macro.value:.3f}}}".replace("0.", ".") + rf" & \,{{\scriptsize $\pm${half}}}" in latex
    assert "textsuperscript" not in latex
    assert "no test" in latex
    languages = records_latex(records, LABELS, Paper("languages"), "ndcg@10")
    assert "Encoder & ar & de & el & en & es & hi & ru & th & tr & vi & zh & mean" in languages
    assert "not tested" in languages
    assert "nDCG@10 by query language" in languages
    with pytest.raises(UsageError, match="no record here has bpref"):
        records_latex(records, LABELS, Paper(), "bpref")
    with pytest.raises(UsageError, match="about differences"):
        records_latex(records, LABELS, Paper("power"))


def test_labels_must_fit_the_records(three: TaskComparison) -> None:
    for labels, said in ((LABELS[:2], "names 2 of 3 records"), (["a", "a", "b"], "the same")):
        with pytest.raises(UsageError, match=said):
            Look(labels=labels).names(record.label for record in three.records)
