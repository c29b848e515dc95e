"""Covariates of languages: sources complete, rank correlations against the definition, wording."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.kit import ROOT, run
from xqr_bench.core.languages import XQUAD_R, language
from xqr_bench.record import load_record
from xqr_bench.report.listings import correlations, language_tables, scores_by_language, spearman
from xqr_bench.report.numbers import number

RECORD = ROOT / "leaderboard" / "char-ngrams" / "1" / "xquad-r.json"


def test_every_language_has_its_counts() -> None:
    assert all(
        row.cc100_gib and row.wikipedia_articles and 3 <= row.resource_class <= 5 for row in map(language, XQUAD_R)
    )
    assert (language("th").cc100_gib, language("en").wikipedia_articles) == (71.7, 6_171_405)


def test_spearman_is_one_minus_six_squares() -> None:
    """Without ties: 1 - 6 sum d^2 / (n (n^2 - 1))."""
    x = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 9.0, "e": None}
    y = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5}
    d = [0, 3 - 2, 2 - 3, 0]
    assert spearman(x, y) == (pytest.approx(1 - 6 * sum(v * v for v in d) / (4 * 15)), 4)
    assert spearman({"a": 1.0, "b": 2.0}, y) is None
    assert spearman(dict.fromkeys("abcd", 3.0), y) is None


def test_the_command() -> None:
    record = load_record(RECORD)
    assert len(correlations(record, "map")) == 9
    assert set(scores_by_language(record, "map")["multilingual"]) == set(record.task.languages)
    done = run("languages", str(RECORD))
    assert done.code == 0, done.err
    assert "A description of these 11 languages: no test" in done.out
    assert "6,171,405" in done.out
    assert run("languages", str(RECORD), "--markdown").out.startswith("**char-ngrams, xquad-r: MAP by query language**")
    assert run("languages", str(RECORD), "--metric", "ndcg@7").code == 1


def test_means_by_what_the_last_training_saw() -> None:
    path = ROOT / "leaderboard" / "ratio-study__S1b_alpha-1_seed-09" / "24108576e2f4" / "xquad-r.json"
    record = load_record(path)
    rows = {tuple(row[:2]): row for row in language_tables(record, "map")[0].rows}
    values = scores_by_language(record, "map")["multilingual"]
    levels = record.exposure.languages
    assert levels["el"] == rows["el", "aligned only"][1] == "aligned only"
    trained = [value for code, value in values.items() if levels[code] == "trained"]
    assert rows["mean", "trained"][-1] == number(sum(trained) / len(trained))
    assert set(levels.values()) == {level for code, level in rows if code == "mean"}
    assert ("mean", "trained") not in {tuple(row[:2]) for row in language_tables(load_record(RECORD), "map")[0].rows}


def test_no_language_here_is_called_poor_in_resources() -> None:
    """The languages of the table are of classes 3 to 5: `lower-resource`, never the other word but in a file's name."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    wrong = re.compile(r"\b" + "low" + r"[-\s]resource(?!\.md)", re.IGNORECASE)
    named = [
        ROOT / name for name in listed.stdout.split("\n") if name.endswith((".py", ".md", ".toml", ".jinja", ".js"))
    ]
    assert len(named) > 100
    assert [str(path) for path in named if path.is_file() and wrong.search(path.read_text(encoding="utf-8"))] == []
