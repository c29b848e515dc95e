"""What a notebook or prompt shows of results, and how far an evaluation is."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest

import xqr_bench
from tests.kit import ran
from xqr_bench.cli import progress as cli_progress
from xqr_bench.cli.progress import NotebookProgress
from xqr_bench.core.errors import RecordError, UsageError
from xqr_bench.core.observe import Observer
from xqr_bench.record import Record, Result
from xqr_bench.report.numbers import with_half_width


@pytest.fixture(scope="session")
def other() -> Result:
    """The embedded task by BM25; nobody changes it."""
    return xqr_bench.evaluate("bm25", "mini")


def test_what_is_printed_is_short(record: Result, other: Result) -> None:
    alone = Record.model_validate(record.model_dump())
    for one in (record, alone, record.ranks, record.top, xqr_bench.load_task("mini"), xqr_bench.compare(record, other)):
        assert len(repr(one)) < 400
        assert len(str(one)) < 400
    value = record.scores["multilingual"].macro["map"].value
    assert repr(record).startswith("Result(model='char-ngrams', task='mini', map={'monolingual': 0.")
    assert f"'multilingual': {value:.4f}" in repr(record)


def test_a_record_in_a_notebook(record: Result) -> None:
    shown = record._repr_html_()
    for setting in ("monolingual", "cross-lingual", "multilingual"):
        assert f">{setting}<" in shown
        for metric in ("map", "recall@10", "ndcg@10"):
            assert html.escape(with_half_width(record.scores[setting].macro[metric])) in shown
    assert with_half_width(record.scores["multilingual"].macro["own_language_first"]) in shown
    assert "±" in shown
    assert "mini is a small demonstration" in shown
    assert "--full" not in shown  # which is of the command line
    assert len(shown) < 5000


def test_names_are_no_markup(record: Result, other: Result) -> None:
    name = "<script>alert(1)</script>"
    named = record.model_copy(update={"model": record.model.model_copy(update={"name": name}), "warnings": [name]})
    for shown in (named._repr_html_(), xqr_bench.compare(named, other)._repr_html_()):
        assert name not in shown
        assert html.escape(name) in shown


def test_a_comparison_is_that_of_the_command_line(record: Result, other: Result, tmp_path: Path) -> None:
    a, b = record.save(tmp_path), other.save(tmp_path)
    printed = json.loads(ran("compare", str(a), str(b), "--metric", "recall@10", "--json").out)
    found = xqr_bench.compare(a, str(b), metrics=["recall@10"])
    assert json.loads(found.to_json()) == printed
    figures = [("difference", "p_adjusted", "p_article_adjusted", "verdict")] * len(printed["comparisons"])
    told = [[one[name] for name in names] for one, names in zip(printed["comparisons"], figures, strict=True)]
    for backend in ("pandas", "polars"):
        frame = found.to_frame(backend)
        assert [list(row) for row in zip(*(frame[name] for name in figures[0]), strict=True)] == told
        assert next(iter(frame["interval_low"])) == printed["comparisons"][0]["interval"]["low"]
    shown = found._repr_html_()
    for one in found[0].family("confirmatory"):
        assert f">{one.setting}<" in shown
        assert one.verdict in shown
        assert one.verdict in repr(found)


def test_records_folders_and_lists_are_compared(record: Result, other: Result, tmp_path: Path) -> None:
    for one in (other, record):
        one.save(tmp_path)
    wanted = [one.difference for one in xqr_bench.compare(other, record)[0].comparisons]
    unranked = xqr_bench.load_records(tmp_path)
    assert [type(one) for one in unranked] == [Record, Record]
    for given in ([tmp_path], [unranked], [unranked[0], record], [[tmp_path / "bm25"], tmp_path / "char-ngrams"]):
        assert [one.difference for one in xqr_bench.compare(*given)[0].comparisons] == wanted
    with pytest.raises(UsageError, match="one record of mini cannot be compared"):
        xqr_bench.compare(record)
    with pytest.raises(UsageError, match="records cannot be 3 "):
        xqr_bench.compare(record, 3)
    unknown = Record(**json.loads((tmp_path / "bm25" / "mini.json").read_text(encoding="utf-8")))
    with pytest.raises(RecordError, match="comes without its ranks, and from no file"):
        xqr_bench.compare(record, unknown)


def test_a_comparison_is_drawn(record: Result, other: Result, tmp_path: Path) -> None:
    places = [one.save(tmp_path) for one in (record, other)]
    found = xqr_bench.compare(record, other)
    assert "bm25" in found.plot(tmp_path / "forest.svg").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match=r"\.svg"):
        found.plot(tmp_path / "forest.xyz")
    assert (
        found.to_latex(label="tab:x", labels=["A", "B"]) + "\n"
        == ran("compare", *map(str, places), "--latex", "--label", "tab:x", "--labels", "A,B").out
    )
    assert "| setting |" in found.to_markdown()


# How far an evaluation is.


def test_progress_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    xqr_bench.evaluate("bm25", "mini", limit=3, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split()[0] for line in err.splitlines()] == ["loading", "indexing", "ranking"]
    xqr_bench.evaluate("bm25", "mini", limit=3)
    assert capsys.readouterr().err == ""
    with pytest.raises(UsageError, match="both progress and observe"):
        xqr_bench.evaluate("bm25", "mini", progress=True, observe=Observer())


class Cell:
    """What stands below the cell of a notebook."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def __call__(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert raw
        assert display_id
        assert not self.shown  # one output for all phases
        self.shown.append(bundle)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


def test_progress_in_a_notebook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    cell = Cell()
    monkeypatch.setattr(cli_progress, "_notebook_display", lambda: cell)
    xqr_bench.evaluate("bm25", "mini", limit=3, progress=True)
    assert capsys.readouterr() == ("", "")
    phases = [line.partition(":")[0] for line in cell.shown[-1]["text/plain"].splitlines()]
    assert phases == ["loading", "indexing", "ranking"]
    assert any("<progress " in bundle["text/html"] for bundle in cell.shown)
    assert "<progress " not in cell.shown[-1]["text/html"]  # what has ended is a line


def test_a_notebook_is_not_flooded() -> None:
    cell, now = Cell(), [0.0]
    progress = NotebookProgress(cell, clock=lambda: now[0])
    with progress, progress.phase("encoding <b>", 10_000):
        for _ in range(10_000):
            now[0] += 0.001
            progress.advance(1)
    assert 40 <= len(cell.shown) <= 44  # four a second
    assert "<b>" not in cell.shown[0]["text/html"]
    assert "10,000 of 10,000" in cell.shown[-1]["text/plain"]


def test_a_phase_that_fails_in_a_notebook_leaves_its_line() -> None:
    cell = Cell()
    progress = NotebookProgress(cell)
    with pytest.raises(KeyboardInterrupt), progress, progress.phase("encoding"):
        raise KeyboardInterrupt
    assert cell.shown[-1]["text/plain"].startswith("encoding: 0 in ")
