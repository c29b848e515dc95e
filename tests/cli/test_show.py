"""`xqr-bench show`: a record again, several side by side, and what cannot be read."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import BOARD, ran, run, words
from xqr_bench.record import load_record, save_record, shortened


def test_a_record_is_shown_as_evaluate_showed_it(records: Path) -> None:
    first = ran("evaluate", "char-ngrams", "--name", "one").out
    assert ran("show", "results/one/mini.json").out == first
    full = ran("show", "results/one", "--full").out
    assert full == ran("evaluate", "char-ngrams", "--name", "one", "--full").out
    assert "language_order_w_corrected" in full
    assert len(full.splitlines()) > len(first.splitlines())


def test_several_stand_side_by_side(records: Path) -> None:
    out = ran("show", "results").out
    heads = out.splitlines()[1].split()
    assert heads == ["one", "three", "two", "random"]
    assert "cross-lingual recall@10" in out
    by_language = ran("show", "results", "--languages").out
    assert "mini (a small demonstration)" not in by_language
    assert by_language.count("MAP by query language") == 3
    assert "MRR by query language" in ran("show", "results", "--languages", "--metric", "mrr").out


def test_for_programs_and_papers(records: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(ran("show", "results", "--csv").out)))
    assert {row["model"] for row in rows} == {"one", "two", "three"}
    found = json.loads(ran("show", "results/one", "--json").out)
    record = load_record("results/one/mini.json")
    assert found[0]["value"] == record.scores["monolingual"].macro["map"].value
    assert "language" in json.loads(ran("show", "results/one", "--json", "--languages").out)[0]
    assert "| monolingual MAP | " in ran("show", "results", "--markdown").out
    assert r"\toprule" in ran("show", "results", "--latex").out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--full", "--csv"), "--full and --csv exclude each other"),
        (("--full", "--languages"), "--full and --languages exclude each other"),
        (("--json", "--latex"), "--json and --latex exclude each other"),
        (("--metric", "mrr"), "--metric is given without --languages"),
        (("--languages", "--metric", "mpa"), "no metric"),
        (("--languages", "--metric", "recall@77"), "no record here has recall@77 by query language"),
        (("--languages", "--metric", "mrr", "--csv"), "print every metric"),
    ],
)
def test_what_cannot_be_meant(records: Path, options: tuple[str, ...], why: str) -> None:
    done = run("show", "results", *options)
    assert done.code == 1
    assert why in words(done.err)


def test_what_cannot_be_read_is_told(three_records: Path) -> None:
    shutil.copytree(three_records / "results", "results")
    Path("results/two/mini.json").write_text("{", encoding="utf-8")
    done = run("show", "results")
    assert done.code == 1
    assert "left out: results/two/mini.json is not a record" in words(done.err)
    assert done.out.splitlines()[1].split() == ["one", "three", "random"]
    alone = run("show", "results/two/mini.json")
    assert alone.code == 1
    assert alone.err.startswith("error: results/two/mini.json is not a record")
    Path("empty").mkdir()
    assert "there is no record in the folder empty" in run("show", "empty").err
    assert "there is no record nowhere.json" in run("show", "nowhere.json").err
    Path("later.json").write_text('{"schema_version": 99}', encoding="utf-8")
    assert "update xqr-bench" in words(run("show", "later.json").err)


def test_the_same_name_and_the_same_file_twice(three_records: Path) -> None:
    shutil.copytree(three_records / "results", "results")
    shutil.copytree("results/one", "again/one")
    once = ran("show", "results/one/mini.json")
    assert ran("show", "results/one", "results/one/mini.json", "./results/one/mini.json").out == once.out
    both = ran("show", "results/one", "again/one", "--csv").out
    assert "one (results/one/mini.json)" in both
    assert "one (again/one/mini.json)" in both


def test_a_submission_is_shown_whole(three_records: Path) -> None:
    """It holds macro averages alone: the languages follow from its ranks."""
    record = load_record(three_records / "results/one/mini.json", ranks=True)
    save_record(shortened(record), Path("short.json"))
    shown = ran("show", "short.json").out
    assert "query languages by multilingual MAP, best first" in words(shown)


def test_a_narrow_terminal_no_colours_and_a_pipe(records: Path) -> None:
    """None of them changes a figure; what is piped has neither colours nor more than 80 columns."""
    e5 = str(next(BOARD.glob("multilingual-e5-small__from_4-bit_weights_/*/tatoeba.json")))
    command = [sys.executable, "-m", "xqr_bench", "show", e5, "results/one/mini.json"]
    plain = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "\x1b" not in plain
    assert ran(*command[3:]).out == plain
