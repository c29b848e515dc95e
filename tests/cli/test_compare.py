"""`compare` and `plot`, as a user runs them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.kit import ran, read_json, run, words
from xqr_bench.analysis.choice import Comparison
from xqr_bench.report.plots import KINDS

PNG = b"\x89PNG\r\n\x1a\n"
FEW = ("--resamples", "500")
A, B, C = (f"results/{name}/mini.json" for name in ("one", "two", "three"))


def test_one_screen(records: Path) -> None:
    """The table of MAP and a sentence; no group, no worst language, no power, in 80 columns."""
    done = ran("compare", A, B, *FEW)
    lines = done.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) <= 20
    text = words(done.out)
    assert "24 questions in 6 articles a one b two" in text
    assert "6 articles are too few to tell them apart" in text
    for term in ("joshi", "paper-unseen", "max-T", "Holm", "worst", "80%", "Mo."):
        assert term not in text, term
    several = words(ran("compare", A, B, C, *FEW).out)
    assert "records that share a letter are not told apart" in several
    asked = words(ran("compare", A, B, "--group", "joshi-3", *FEW).out)
    assert "joshi-3" in asked
    assert re.search(r"Told apart: \d+ of \d+\.", asked)
    bias = words(ran("compare", A, B, "--metric", "own_language_first", *FEW).out)
    assert "Told apart: 0 of 1. Not judged: 1, since 6 articles are too few." in bias


def test_the_tables_fit(records: Path) -> None:
    done = run("compare", A, B, "--group", "all", "--full", *FEW)
    assert done.code == 0, done.err
    assert all(len(line) <= 100 for line in done.out.splitlines())
    for expected in (
        "24 questions in 6 articles",
        "MAP, the confirmatory family: Holm over 3 settings",
        "exploratory: max-T over 18 cells",
        "joshi-3",
        "minus en:into",
        "worst query language",
        "80% power",
        "500 resamples, seed 0",
    ):
        assert expected in done.out, expected
    assert re.search(r"articles \(6\)|distinguishable", done.out)
    assert "Too few articles (6) to judge by article: the least p of 6 articles is 2^(1-6) = .0312" in done.out
    assert re.search(r"(-?\.\d{4}), (-?\.\d{4})‡", done.out)  # six articles are fewer than 10
    assert "‡ fewer than 10 questions (or articles) carry the figure" in done.out
    assert "! mini is a small demonstration: draw conclusions from xquad-r and mlqa-r" in done.out


def test_a_single_figure_of_another_metric_says_which(records: Path) -> None:
    done = run("compare", A, B, "--metric", "own_language_first", "--full", *FEW)
    assert "multilingual own_language_first" in words(done.out.partition("exploratory: max-T over 1 cell")[2])


def test_a_folder_stands_for_its_records(records: Path) -> None:
    named = run("compare", A, C, B, "--full", *FEW)  # by name
    folder = run("compare", "results", "--full", *FEW)
    assert (folder.code, folder.out.count("results/")) == (0, 3), folder.err
    assert named.out == folder.out
    assert run("plot", "--kind", "languages", "results", "-o", "bars.png").code == 0


def test_of_two_copies_the_damaged_one_is_named(records: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(records / "results" / "one", tmp_path / "copy")
    assert "are the same record" in run("compare", A, str(copied / "mini.json")).err
    shutil.copy(records / "results" / "two" / "mini.ranks.parquet", copied)
    done = run("compare", A, str(copied / "mini.json"))
    assert f"the ranks in {copied / 'mini.ranks.parquet'} are not those of the record" in words(done.err)


def test_more_than_two(records: Path) -> None:
    done = run("compare", A, B, C, "--full", *FEW)
    assert done.code == 0, done.err
    assert all(len(line) <= 100 for line in done.out.splitlines())
    assert "share a letter" in done.out
    assert "step-down max-T over 3 pairs in 3 settings" in done.out
    assert "language groups" not in done.out  # no record says in which languages its model was trained


def test_json(records: Path) -> None:
    done = run("compare", A, B, "--metric", "recall@10", "--json", *FEW, "--seed", "7")
    data = json.loads(done.out)
    assert len(data["comparisons"]) == 6
    wanted = {
        "task", "a", "b", "setting", "metric", "difference", "interval", "article_interval", "effect_size", "p",
        "p_t", "p_article", "p_adjusted", "adjustment", "n_questions", "verdict", "scope", "seed", "resamples",
    }  # fmt: skip
    record_a, record_b = (read_json(Path(path)) for path in (A, B))
    for found in data["comparisons"]:
        assert set(found) == set(Comparison.model_fields) >= wanted
        assert set(found["interval"]) >= {"low", "high", "level", "unit", "method", "n_units"}
        assert (found["interval"]["unit"], found["article_interval"]["unit"]) == ("question", "article")
        values = [record["scores"][found["setting"]][found["metric"]]["value"] for record in (record_a, record_b)]
        assert found["difference"] == pytest.approx(values[1] - values[0], abs=1e-12)
        assert (found["task"], found["a"], found["b"]) == ("mini", "one", "two")
        assert (found["seed"], found["resamples"]) == (7, 500)
    assert [found["family"] for found in data["comparisons"]] == ["confirmatory"] * 3 + ["exploratory"] * 3
    assert {found["adjustment"] for found in data["comparisons"]} == {"Holm over 3 settings", "max-T over 3 cells"}
    assert data["tasks"][0]["languages"][0]["worst_share"]
    assert {"question", "article", "power", "alpha"} <= set(data["power"][0])


def test_markdown(records: Path) -> None:
    out = run("compare", A, B, C, "--markdown", *FEW).out
    tables = [block.splitlines() for block in out.split("\n\n") if block.startswith("|")]
    assert len(tables) == 4
    for table in tables:
        widths = {line.count("|") for line in table}
        assert len(widths) == 1
        assert re.fullmatch(r"\|( -{3}:? \|)+", table[1])


def test_latex(records: Path) -> None:
    given = ("--metric", "own_language_first", "--labels", "One_1,Two")
    out = run("compare", A, B, "--latex", *given, "--label", "tab:x", *FEW).out
    assert out.count(r"\begin{tabular}") == out.count(r"\bottomrule") == out.count(r"\label{tab:x}") == 1
    assert "small demonstration" in out.splitlines()[0]
    assert r"One\_\allowbreak{}1 & " in out
    assert "Own-language first" in out
    everything = run("compare", A, B, "--latex", "--table", "all", *given, *FEW).out
    assert everything.count(r"\bottomrule") == everything.count(r"\caption") == 3
    body = "\n".join(line for line in everything.splitlines() if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[_%#]", body)
    assert body.count("$") % 2 == 0
    by_language = run("compare", A, B, "--latex", "--table", "languages", *FEW).out
    assert "max-T over 63 cells" in by_language  # the languages are tested, as they are shown


def test_latex_is_asked_for_first(records: Path) -> None:
    done = run("compare", A, B, "--table", "pairs", "--label", "tab:x")
    assert "--table, --label is about a table in LaTeX" in done.err
    assert "--latex" in done.err
    done = run("compare", A, B, "--latex", "--labels", "x", *FEW)
    assert "--labels names 1 of 2 records" in done.err


@pytest.mark.parametrize("kind", KINDS)
def test_plots(records: Path, kind: str) -> None:
    drawn = {"heatmap": [A], "bias": [A], "languages": [A, B, C], "forest": [A, B], "frontier": [A, B, C]}[kind]
    done = run("plot", *drawn, "--kind", kind, "--output", f"{kind}.png", *FEW)
    assert done.code == 0, done.err
    assert done.out.endswith(f"plot: {kind}.png\n")
    assert ("nearest" in done.out) == (kind == "frontier")  # its table stands above
    assert Path(f"{kind}.png").read_bytes().startswith(PNG)
    for name in ("first.svg", "second.svg", "first.pdf", "second.pdf"):
        assert run("plot", *drawn, "--kind", kind, "--output", name, *FEW).code == 0
    assert Path("first.svg").read_bytes() == Path("second.svg").read_bytes()
    assert Path("first.pdf").read_bytes() == Path("second.pdf").read_bytes()
    text = Path("first.svg").read_text(encoding="utf-8")
    assert text.lstrip().startswith("<?xml")
    assert "dc:date" not in text
    width = re.search(r'<svg[^>]* width="([0-9.]+)pt"', text)
    assert float(width.group(1)) == pytest.approx(3.3 * 72)


def test_a_plot_of_a_difference(records: Path) -> None:
    done = run("plot", A, B, "--kind", "heatmap", "-o", "difference.svg", *FEW)
    assert done.code == 0, done.err
    done = run("compare", A, B, "--group", "all", "--plot", "forest.png", "--json", *FEW)
    assert Path("forest.png").read_bytes().startswith(PNG)
    assert len(json.loads(done.out)["comparisons"]) == 21
    done = run("plot", A, B, "--metric", "rank_distance", "--setting", "multilingual", "-o", "one.svg", *FEW)
    assert done.code == 0, done.err
    done = run("plot", A, B, "--metric", "rank_distance", "--setting", "monolingual", "-o", "one.svg", *FEW)
    assert "there is no rank_distance in the setting monolingual" in done.err
    done = run("compare", A, B, "--metric", "mrr", "--plot", "map.png", "--kind", "heatmap", *FEW)
    assert Path("map.png").read_bytes().startswith(PNG)


def test_an_incomplete_record_says_so_in_the_bars(records: Path) -> None:
    """A record of an older version has no intervals: bars without whiskers, no error."""
    data = read_json(Path(A))
    for scores in data["scores"]["multilingual"]["by_query_language"].values():
        for score in scores.values():
            score.pop("interval", None)
    Path("old.json").write_text(json.dumps(data), encoding="utf-8")
    assert run("plot", "old.json", "--kind", "languages", "-o", "old.png").code == 0


def test_questions_of_one_article() -> None:
    """By article nothing can be tested: absent in JSON, a dash in the table."""
    for model in ("char-ngrams", "bm25"):
        ran("evaluate", model, "--limit", "4", "--languages", "en,de", "--no-relevance")
    comparisons = json.loads(ran("compare", "results", "--json").out)["comparisons"]
    assert {one["n_articles"] for one in comparisons} == {1}
    assert {one["p_article_t"] for one in comparisons} == {None}
    assert "nan" not in ran("compare", "results").out
