"""Records saved from Python, and their figures as data frames."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

import xqr_bench
from tests.kit import contents, edit, ran
from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.core.observe import Notice
from xqr_bench.record import Record, Result, load_record, recompute, shortened


def test_a_record_is_saved_where_a_command_would_save_it(record: Result, tmp_path: Path) -> None:
    path = record.save(tmp_path / "results")
    assert path == tmp_path / "results" / "char-ngrams" / "mini.json"
    before = contents(tmp_path)
    assert {"mini.json", "mini.ranks.parquet", "mini.top.parquet"} <= {Path(name).name for name in before}
    assert recompute(load_record(path, ranks=True))[1] == []
    ran("recompute", str(path))
    again = xqr_bench.evaluate("char-ngrams", "mini")
    assert again.provenance != record.provenance
    assert again.save(path) == path
    assert contents(tmp_path) == before  # the same figures of the same ranks: nothing is written


def test_something_else_is_not_overwritten(record: Result, tmp_path: Path) -> None:
    path = xqr_bench.evaluate("bm25", "mini").save(tmp_path / "one.json")
    before = contents(tmp_path)
    with pytest.raises(RecordError, match=r"one\.json holds another record .*\n.*model, scores.*\n.*overwrite=True"):
        record.save(path)
    assert contents(tmp_path) == before
    record.save(path, overwrite=True)
    assert load_record(path, ranks=True).model.name == "char-ngrams"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(RecordError, match="is no record that can be read"):
        record.save(path)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(xqr_bench.XqrBenchError, match="folder"):
        record.save(tmp_path / "folder.json", overwrite=True)


def test_ranks_go_along_with_a_record_that_was_read(record: Result, tmp_path: Path) -> None:
    path = record.save(tmp_path / "a")
    read = load_record(path)
    assert type(read) is Record
    assert read == load_record(read.save(tmp_path / "b"))  # wherever it lies
    moved = tmp_path / "b" / "char-ngrams" / "mini.json"
    assert load_record(moved, ranks=True).top_candidates().digest() == record.top_candidates().digest()
    moved.with_suffix(".ranks.parquet").unlink()
    read.save(moved)  # it is the same record, and its ranks are missing there
    assert contents(moved.parent) == contents(path.parent)
    assert read.with_ranks().ranks.gt.tolist() == record.ranks.gt.tolist()
    assert record.with_ranks() is record


def test_a_file_that_changed_gives_no_ranks(record: Result, tmp_path: Path) -> None:
    path = record.save(tmp_path)
    read = load_record(path)
    xqr_bench.evaluate("char-ngrams", "mini", limit=4).save(path, overwrite=True)
    with pytest.raises(RecordError, match="has changed since"):
        read.with_ranks()


def test_a_record_without_ranks_says_what_is_lost(record: Result, tmp_path: Path) -> None:
    path = record.save(tmp_path / "a.json")
    alone = Record.model_validate_json(path.read_text(encoding="utf-8"))
    with pytest.raises(RecordError, match="comes without its ranks, and from no file"):
        alone.with_ranks()
    with pytest.warns(Notice, match="without ranks, .* cannot be recomputed, compared or submitted"):
        alone.save(tmp_path / "b.json")
    read = load_record(tmp_path / "b.json")
    assert read.scores == record.scores
    with pytest.raises(RecordError, match=r"b\.ranks\.parquet"):
        load_record(tmp_path / "b.json", ranks=True)
    assert record.save(tmp_path / "b.json") == tmp_path / "b.json"  # the ranks it lacked are put beside it
    ran("recompute", str(tmp_path / "b.json"))
    edit(path, lambda data: data["warnings"].append("mine"))
    with pytest.warns(Notice, match="without ranks"):
        alone.save(path, overwrite=True)
    assert not path.with_suffix(".ranks.parquet").exists()


# Data frames.


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_frames(record: Result, backend: Any) -> None:
    frame = record.to_frame(backend)
    assert type(frame).__module__.startswith(backend)
    names = ("setting", "part", "key", "metric", "value", "interval_low")
    rows = {row[:4]: row[4:] for row in zip(*(list(frame[name]) for name in names), strict=True)}
    assert len(rows) == sum(1 for scores in record.scores.values() for _ in scores.items())
    figure = record.scores["cross-lingual"].by_language_pair["en>de"]["map"]
    assert rows["cross-lingual", "by_language_pair", "en>de", "map"][0] == figure.value
    macro = record.scores["monolingual"].macro["map"]
    assert rows["monolingual", "macro", "", "map"] == (macro.value, macro.interval.low)

    languages = record.language_frame(["map", "recall@10"], backend=backend)
    assert list(languages.columns)[2:] == ["language", "queries", "candidates", "setting", "map", "recall@10"]
    keyed = {
        key: values
        for *key_parts, values in zip(languages["language"], languages["setting"], languages["map"], strict=True)
        for key in [tuple(key_parts)]
    }
    assert len(keyed) == 33
    assert keyed["th", "multilingual"] == record.scores["multilingual"].by_query_language["th"]["map"].value
    assert list(record.language_frame(backend=backend).columns)[6:] == record.task.metrics
    with pytest.raises(UnknownNameError, match="recall@3"):
        record.language_frame(["recall@3"], backend=backend)


def test_single_queries(record: Result) -> None:
    pandas, polars = (record.query_frame(["map"], backend=backend) for backend in ("pandas", "polars"))
    assert list(pandas.columns) == polars.columns
    assert pandas["map"].tolist() == polars["map"].to_list()
    assert polars["candidate_language"].null_count() == len(polars.filter(polars["setting"] == "multilingual"))
    of_pools = pandas[pandas["setting"] == "multilingual"].groupby("query_language")["map"].mean()
    assert of_pools.mean() == pytest.approx(record.scores["multilingual"].macro["map"].value)


def test_frames_of_a_submission(record: Result, tmp_path: Path) -> None:
    path = shortened(record).save(tmp_path)
    frame = load_record(path).language_frame(["map"])
    assert frame["map"].tolist() == record.language_frame(["map"])["map"].tolist()
    with pytest.raises(RecordError, match="no figures of single languages"):
        load_record(path, whole=False).language_frame()


def test_polars_is_needed_for_frames_of_it_alone(record: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "polars":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert len(record.to_frame())
    with pytest.raises(UsageError, match=r"polars is not installed.*\n.*pip install polars"):
        record.to_frame("polars")
    with pytest.raises(UnknownNameError, match="library of data frames named 'spark'"):
        record.to_frame("spark")
