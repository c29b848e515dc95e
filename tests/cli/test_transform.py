"""Transforms on the command line: what is written, what is told, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.kit import PARTIAL, ran, run
from xqr_bench import load_task
from xqr_bench.record import LanguageDiagnostics, Record, TextDiagnostics, load_record, save_record

FEW = ("--languages", "de,en", "--metrics", "map,rank_distance", "--no-cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of the vectors as encoded and centred."""
    place = tmp_path_factory.mktemp("results")
    for more in ((), ("--transform", "center")):
        done = run("evaluate", "char-ngrams", *FEW, *more, "--output", str(place), "--quiet")
        assert done.code == 0, done.err
    return place


def test_a_record_of_its_own(folder: Path) -> None:
    plain, moved = (load_record(folder / name / "mini.json") for name in ("char-ngrams", "char-ngrams_center"))
    assert (plain.model.name, plain.transform) == ("char-ngrams", None)
    assert moved.model.name == "char-ngrams+center"
    assert moved.transform.source == "the task's own texts, without their labels (transductive)"
    assert moved.provenance.settings["transform"] == "center"
    assert moved.scores["multilingual"].macro["map"].value != plain.scores["multilingual"].macro["map"].value
    assert "transforming" in moved.provenance.seconds
    # diagnostics are of the encoder's own vectors
    assert moved.diagnostics == plain.diagnostics


def test_the_table_says_what_was_done_and_none_is_none(tmp_path: Path) -> None:
    done = run("evaluate", "char-ngrams", *FEW, "--transform", "remove-1", "--output", str(tmp_path))
    assert "vectors: remove-1, each language and role by itself, estimated on the task's own texts" in " ".join(
        done.out.split()
    )
    done = run("evaluate", "char-ngrams", *FEW, "--transform", "none", "--output", str(tmp_path), "--quiet")
    assert done.out == f"{tmp_path}/char-ngrams/mini.json\n"


def test_a_language_that_is_not_there_is_told_before_anything_is_encoded(tmp_path: Path) -> None:
    given = ("--output", str(tmp_path), "--quiet", "--no-cache")
    done = run("evaluate", "no-such-model", *given, "--transform", "shift-xx")
    assert done.code == 1
    assert "shift-xx moves towards a language that mini does not have" in done.err
    done = run("evaluate", "char-ngrams", *FEW, *given[:-1], "--transform", "transport-es")
    assert "transport-es moves towards a language that mini does not have" in done.err
    assert "name one of these, as transport-" in done.err


def test_compare_says_what_was_done_to_which(folder: Path) -> None:
    paths = [str(folder / name / "mini.json") for name in ("char-ngrams", "char-ngrams_center")]
    done = run("compare", *paths, "--resamples", "200")
    assert done.code == 0, done.err
    told = "transforms of the vectors: char-ngrams none; char-ngrams+center center (transductive)"
    assert told in " ".join(done.out.split())
    assert told in run("compare", *paths, "--resamples", "200", "--markdown").out


def flagged(record: Record) -> Record:
    low = TextDiagnostics(texts=12, vectors=3, sharing=10, characters=100)
    return record.model_copy(update={"diagnostics": {"de": LanguageDiagnostics(queries=low)}})


def test_a_flagged_language_has_a_mark_and_a_note(folder: Path, tmp_path: Path) -> None:
    from rich.console import Console

    from xqr_bench.report.results import results

    record = load_record(folder / "char-ngrams" / "mini.json", ranks=True)
    changed = flagged(record)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(results([changed]))
    text = console.export_text()
    assert "de† " in text
    assert "en† " not in text
    assert "† fewer than 95 distinct vectors for 100 distinct queries: scores of the language say little" in text
    path = save_record(changed, tmp_path / "mini.json")
    done = run("compare", str(path), str(folder / "char-ngrams_center" / "mini.json"), "--resamples", "200")
    assert "char-ngrams: fewer than 95% distinct query vectors in de" in " ".join(done.out.split())


def test_a_bitext(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.mkdir()
    for code, text in (("en", "One text.\nAnother one.\nA third.\n"), ("de", "Ein Text.\nNoch einer.\nEin dritter.\n")):
        (lines / f"{code}.txt").write_text(text, encoding="utf-8")
    given = ("--transform", "center", "--transform-from", str(lines), "--output", str(tmp_path / "out"), "--quiet")
    done = run("evaluate", "char-ngrams", *FEW, *given)
    assert done.code == 0, done.err
    record = load_record(tmp_path / "out" / "char-ngrams_center-from-lines" / "mini.json")
    assert (record.transform.transductive, record.transform.bitext.name) == (False, "lines")
    assert record.transform.estimated_on["de"].queries == 3


def test_an_estimate_does_not_depend_on_what_else_is_asked_for(tmp_path: Path) -> None:
    """A line that is blank in a language of another task counts."""
    lines = tmp_path / "lines"
    lines.mkdir()
    for code in load_task("mini").languages:
        text = "".join(f"{code} {n}\n" if (code, n) != ("th", 3) else "\n" for n in range(9))
        (lines / f"{code}.txt").write_text(text, encoding="utf-8")
    few = ("--metrics", "map", "--no-relevance", "--no-cache", "--transform", "center", "--transform-from", str(lines))
    for folder, tasks in (("alone", (PARTIAL,)), ("both", ("mini", PARTIAL))):
        ran("evaluate", "char-ngrams", *few, "--output", folder, *(f"--task={task}" for task in tasks))
    alone, both = (load_record(next(Path(folder).glob("*/partial.json"))) for folder in ("alone", "both"))
    assert both.transform == alone.transform
    assert both.scores == alone.scores
