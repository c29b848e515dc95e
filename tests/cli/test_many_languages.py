"""A task of more languages than are told apart, through the commands."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from tests.benchmarks.bench_languages import codes, make_files
from tests.kit import ran, run, words
from xqr_bench.record import load_record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """34 languages, 12 questions, 6 passages; the last language lacks some questions; a record of them."""
    folder = tmp_path_factory.mktemp("many")
    make_files(folder, 34, 12, 6)
    last = folder / f"{codes(34)[-1]}.jsonl"
    last.write_text("".join(last.read_text(encoding="utf-8").splitlines(keepends=True)[:4]), encoding="utf-8")
    task = ("--task", str(folder / "many.toml"), "--output", str(folder / "results"))
    ran("evaluate", f"precomputed:{folder / 'vectors'}", *task, "--no-cache")
    return folder


def test_its_record_is_small_and_follows_from_its_ranks(folder: Path) -> None:
    path = folder / "results" / "vectors" / "many.json"
    record = load_record(path, ranks=True)
    assert record.ranks.gt.shape[1] == 1
    scores = record.scores["cross-lingual"]
    assert len(scores.by_query_language) == 34
    assert scores.by_language_pair == {}
    assert scores.macro["map"].interval is not None
    assert record.scores["multilingual"].macro["top_right_other"].value is not None
    # each question in 33 other languages, less those of and in the last language
    assert scores.macro["map"].n == 34 * 12 * 33 - 2 * 8 * 33
    ran("recompute", str(path))
    assert codes(1)[0] in ran("languages", str(path)).out


def test_what_needs_counts_of_each_language_says_so(folder: Path) -> None:
    path = str(folder / "results" / "vectors" / "many.json")
    told = words(run("pools", path).err)
    assert "34 languages; of more than 32 those of each are not counted" in told
    assert "evaluate at most 32 of them: --languages" in told
    told = words(run("plot", path, "--kind", "heatmap", "-o", "map.svg").err)
    assert "records of more than 32 languages hold no figures of single language pairs" in told


def test_its_records_are_compared_as_long_as_they_fit(folder: Path, tmp_path: Path) -> None:
    other = ("--task", str(folder / "many.toml"), "--output", str(tmp_path / "results"), "--no-cache")
    ran("evaluate", "char-ngrams", *other)
    records = (
        str(folder / "results" / "vectors" / "many.json"),
        str(tmp_path / "results" / "char-ngrams" / "many.json"),
    )
    assert "multilingual" in ran("compare", *records).out
    with patch("xqr_bench.analysis.compared.MOST_RELEVANTS", 100):
        assert "a comparison holds the values of all relevants at once" in words(run("compare", *records).err)
