"""Plots under lenient and paragraph relevance: what they draw, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import run
from xqr_bench import evaluate
from xqr_bench.analysis.asked import Drawn
from xqr_bench.analysis.compare import pair_maps
from xqr_bench.core.errors import UnknownNameError, UsageError
from xqr_bench.core.types import CROSS_LINGUAL, LENIENT, MONOLINGUAL, MULTILINGUAL, PARAGRAPH, STRICT, Ranks
from xqr_bench.measure.scores import all_per_query
from xqr_bench.record import Record, load_record, save_record
from xqr_bench.report.charts import score_matrix
from xqr_bench.report.frontier import points_of
from xqr_bench.report.plots import plot_records

LANGUAGES = ["de", "en", "th"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("records")
    made = [
        evaluate("char-ngrams", "mini", languages=LANGUAGES, cache=False),
        evaluate("bm25", "mini", languages=LANGUAGES),
    ]
    return [save_record(record, folder / f"{number}.json") for number, record in enumerate(made)]


@pytest.mark.parametrize("rule", [LENIENT, PARAGRAPH])
def test_language_pairs_are_the_means_of_their_queries(paths: list[Path], rule: str) -> None:
    record = load_record(paths[0], ranks=True)
    matrix = score_matrix(record, "map", rule)
    assert matrix.title.endswith(f"\n{rule} relevance")
    values = all_per_query(evaluate_again(record).variants[rule], ["map"])
    for i, query in enumerate(LANGUAGES):
        for j, candidate in enumerate(LANGUAGES):
            found = values[MONOLINGUAL if i == j else CROSS_LINGUAL]["map"]
            cell = [(one.query, one.candidate) for one in found.cells].index((query, candidate))
            assert matrix.values[i, j] == pytest.approx(found.values[found.cell == cell].mean(), rel=1e-12)
    assert (matrix.values != score_matrix(record, "map").values).any()


def evaluate_again(record: Record) -> Ranks:
    return evaluate(record.model.name, "mini", languages=LANGUAGES, cache=False).ranks


@pytest.mark.parametrize("rule", [LENIENT, PARAGRAPH])
def test_differences_of_language_pairs(paths: list[Path], rule: str) -> None:
    (found,) = pair_maps(paths, "map", relevance=rule, resamples=200)
    a, b = (score_matrix(load_record(path, ranks=True), "map", rule).values for path in paths)
    for (query, candidate), cell in found.cells.items():
        place = LANGUAGES.index(query), LANGUAGES.index(candidate)
        assert cell.difference == pytest.approx(b[place] - a[place], abs=1e-12)


def test_points_of_a_frontier(paths: list[Path]) -> None:
    records = [load_record(path) for path in paths]
    for point, record in zip(points_of(records, PARAGRAPH), records, strict=True):
        macro = record.scores_under(PARAGRAPH)[MULTILINGUAL].macro
        assert (point.multilingual, point.own_first) == (macro["map"].value, macro["own_language_first"].value)
    assert points_of(records) == points_of(records, STRICT) != points_of(records, PARAGRAPH)


@pytest.mark.parametrize("rule", [LENIENT, PARAGRAPH])
@pytest.mark.parametrize("kind", ["heatmap", "languages", "forest", "frontier"])
def test_each_kind_is_another_plot_under_another_rule(paths: list[Path], tmp_path: Path, kind: str, rule: str) -> None:
    drawn = [tmp_path / f"{name}.svg" for name in (STRICT, rule)]
    for path, relevance in zip(drawn, (STRICT, rule), strict=True):
        given = ["--kind", kind, "--relevance", relevance, "--resamples", "200", "--output", str(path)]
        assert run("plot", *map(str, paths), *given).code == 0
    assert drawn[0].read_bytes() != drawn[1].read_bytes()


@pytest.mark.parametrize("kind", ["heatmap", "languages", "frontier"])
def test_compare_draws_it_too(paths: list[Path], tmp_path: Path, kind: str) -> None:
    given = ["--relevance", LENIENT, "--kind", kind, "--resamples", "200"]
    done = run("compare", *map(str, paths), *given, "--plot", str(tmp_path / "a.svg"))
    assert done.code == 0
    plot_records(paths, tmp_path / "b.svg", Drawn(kind, relevance=LENIENT), resamples=200)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_what_has_no_plot(paths: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="places of languages are scored under strict relevance only"):
        plot_records(paths[:1], tmp_path / "a.png", Drawn("bias", relevance=LENIENT))
    with pytest.raises(UsageError, match="recall@100 is not scored under lenient relevance"):
        plot_records(paths[:1], tmp_path / "a.png", Drawn("languages", "recall@100", relevance=LENIENT))
    with pytest.raises(UnknownNameError, match="rule of relevance"):
        plot_records(paths[:1], tmp_path / "a.png", Drawn("languages", relevance="kind"))
    assert list(tmp_path.iterdir()) == []
