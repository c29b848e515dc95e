"""Runs, baselines and the cross-check on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xqr_bench.cli.main import cli
from xqr_bench.core.errors import RunError, UsageError, XqrBenchError

PART = ["--task", "mini", "--languages", "de,en,th"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(cli, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def macro(path: Path) -> dict[str, dict[str, object]]:
    scores = json.loads(path.read_text())["scores"]
    return {
        setting: {name: found["value"] for name, found in parts.items() if not name.startswith("by_")}
        for setting, parts in scores.items()
    }


def test_out_and_in_again(here: Path) -> None:
    done = run("evaluate", "char-ngrams", *PART, "--trec-run", "runs", "--trec-depth", "500")
    announced = "writing runs to runs/mini: 16,128 lines (monolingual 2,688, cross-lingual 5,376, multilingual 8,064)"
    assert f"{announced}, about 210 kB compressed, " in done.stderr
    assert "; with --trec-settings monolingual,multilingual it would be far less" in done.stderr
    assert "wrote runs/mini/monolingual.run.gz, runs/mini/cross-lingual.run.gz, runs/mini/multilingual" in done.stderr
    run("evaluate", "run:runs", *PART, "--quiet")
    assert macro(here / "results" / "runs" / "mini.json") == macro(here / "results" / "char-ngrams" / "mini.json")
    record = json.loads((here / "results" / "runs" / "mini.json").read_text())
    assert record["provenance"]["arguments"]["model"] == "run:runs"
    assert "run" in json.loads((here / "results" / "char-ngrams" / "mini.json").read_text())["provenance"]["seconds"]


def test_chosen_settings_and_metrics(here: Path) -> None:
    run("evaluate", "char-ngrams", *PART, "--trec-run", "runs", "--trec-settings", "multilingual", "--metrics", "map")
    assert sorted(path.name for path in (here / "runs" / "mini").iterdir()) == [
        "multilingual.qrels",
        "multilingual.run.gz",
    ]
    assert {tuple(found) for found in macro(here / "results" / "char-ngrams" / "mini.json").values()} == {("map",)}
    run("evaluate", "run:runs", *PART, "--name", "mine", "--metrics", "map,recall@10")
    found = macro(here / "results" / "mine" / "mini.json")
    assert {setting: list(values) for setting, values in found.items()} == {"multilingual": ["map", "recall@10"]}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["evaluate", "run:runs", "--device", "cpu"], "--device cannot be used with a run"),
        (["evaluate", "bm25", "--device", "cpu"], "--device cannot be used with bm25"),
        (["evaluate", "oracle", "--index", "flat"], "--index cannot be used with oracle"),
        (["evaluate", "run:runs", "--dry-run"], "--dry-run cannot be used with a run"),
        (["evaluate", "run:runs", "--trec-run", "there"], "--trec-run cannot be used with a run"),
        (["evaluate", "char-ngrams", "--trec-settings", "multilingual"], "--trec-settings is given without --trec-run"),
        (["evaluate", "char-ngrams", "--metrics", ","], "no metric is left"),
        (["evaluate", "char-ngrams", "--metrics", "mapp"], "there is no metric named 'mapp'"),
        (["evaluate", "char-ngrams", "--trec-run", "x", "--trec-settings", "all"], "there is no setting named 'all'"),
        (["evaluate", "char-ngrams", "--trec-run", "x", "--index", "hnsw"], "--trec-run writes the exact ranking, not"),
        (["baseline", "bm25", "--b", "2"], "--b cannot be 2.0"),
    ],
)
def test_what_cannot_be_meant(here: Path, arguments: list[str], problem: str) -> None:
    with pytest.raises(XqrBenchError) as caught:
        run(*arguments)
    assert str(caught.value).startswith(problem)
    assert not (here / "results").exists()
    assert isinstance(caught.value, UsageError)


def test_no_run_there(here: Path) -> None:
    with pytest.raises(RunError, match=r"there is no run of mini in nowhere\n  found: no folder nowhere"):
        run("evaluate", "run:nowhere")


def test_a_record_that_exists(here: Path) -> None:
    run("baseline", "bm25", *PART, "--quiet")
    done = run("baseline", "bm25", *PART, "--k1", "1.2")
    assert "skipped (--overwrite evaluates again); note that it was made with another model_kwargs" in done.stderr
    assert "record:" not in done.stdout
    done = run("baseline", "bm25", *PART, "--trec-run", "runs")
    assert "skipped (--overwrite evaluates again); no run of it is written" in done.stderr
    assert not (here / "runs").exists()


def test_the_baseline(here: Path) -> None:
    done = run("baseline", "bm25", *PART, "--trec-run", "runs", "--json")
    (printed,) = json.loads(done.stdout)
    assert printed["model"]["identity"]["kind"] == "baseline"
    run("evaluate", "run:runs", *PART, "--quiet", "--name", "again")
    read, exact = (macro(here / "results" / name / "mini.json") for name in ("again", "bm25"))
    assert read == exact


def test_a_baseline_is_a_model_too(here: Path) -> None:
    run("baseline", "random", "--seed", "3", *PART, "--quiet")
    run("evaluate", "random:3", *PART, "--quiet", "--name", "floor")
    before, now = (json.loads((here / "results" / name / "mini.json").read_text()) for name in ("random", "floor"))
    assert (now["scores"], now["model"]["identity"]) == (before["scores"], before["model"]["identity"])
    assert now["provenance"]["arguments"]["model"] == "random:3"


def test_the_cross_check(here: Path) -> None:
    run("baseline", "bm25", *PART, "--quiet")
    done = run("recompute", "results/bm25/mini.json", "--with", "pytrec_eval", "--sample", "20")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[1].split()[:3] == ["setting", "metric", "lists"]
    assert [line.split()[1] for line in lines[2:4]] == ["map", "mrr"]
    assert lines[-2] == "pytrec_eval agrees: no list differs by more than 1e-09"
    assert "follow from its ranks" in lines[-1]


def test_a_cross_check_that_fails(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from xqr_bench.measure import peers

    run("baseline", "bm25", *PART, "--quiet")
    evaluate = peers.PytrecEval.evaluate
    monkeypatch.setattr(peers.PytrecEval, "evaluate", lambda *arguments: evaluate(*arguments) + 1e-8)
    done = run("recompute", "results/bm25/mini.json", "--with", "pytrec_eval", "--sample", "20")
    assert done.exit_code == 1
    assert "DISAGREES" in done.stdout
    assert "pytrec_eval disagrees on 24 of 24 figures: a list differs by more than 1e-09" in done.stdout
