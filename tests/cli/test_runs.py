"""Runs, baselines and the cross-check on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import ran, read_json, run, words

PART = ["--task", "mini", "--languages", "de,en,th"]


def macro(path: Path) -> dict[str, dict[str, object]]:
    scores = read_json(path)["scores"]
    return {
        setting: {name: found["value"] for name, found in parts.items() if not name.startswith("by_")}
        for setting, parts in scores.items()
    }


def test_out_and_in_again() -> None:
    done = run("evaluate", "char-ngrams", *PART, "--trec-run", "runs", "--trec-depth", "500")
    announced = "writing runs to runs/mini: 16,128 lines (monolingual 2,688, cross-lingual 5,376, multilingual 8,064)"
    assert f"{announced}, about 210 kB compressed, " in done.err
    assert "; with --trec-settings monolingual,multilingual it would be far less" in done.err
    assert "wrote runs/mini/monolingual.run.gz, runs/mini/cross-lingual.run.gz, runs/mini/multilingual" in done.err
    ran("evaluate", "run:runs", *PART, "--quiet")
    assert macro(Path("results") / "runs" / "mini.json") == macro(Path("results") / "char-ngrams" / "mini.json")
    record = read_json(Path("results") / "runs" / "mini.json")
    assert record["provenance"]["arguments"]["model"] == "run:runs"
    assert "run" in read_json(Path("results") / "char-ngrams" / "mini.json")["provenance"]["seconds"]


def test_chosen_settings_and_metrics() -> None:
    ran("evaluate", "char-ngrams", *PART, "--trec-run", "runs", "--trec-settings", "multilingual", "--metrics", "map")
    assert sorted(path.name for path in (Path("runs") / "mini").iterdir()) == [
        "multilingual.qrels",
        "multilingual.run.gz",
    ]
    assert {tuple(found) for found in macro(Path("results") / "char-ngrams" / "mini.json").values()} == {("map",)}
    ran("evaluate", "run:runs", *PART, "--name", "mine", "--metrics", "map,recall@10")
    found = macro(Path("results") / "mine" / "mini.json")
    assert {setting: list(values) for setting, values in found.items()} == {"multilingual": ["map", "recall@10"]}


def test_a_record_that_exists() -> None:
    ran("baseline", "bm25", *PART, "--quiet")
    done = run("baseline", "bm25", *PART, "--k1", "1.2")
    assert done.code == 1
    assert "the encoder's model_kwargs" in words(done.err)
    done = ran("baseline", "bm25", *PART, "--trec-run", "runs")  # a record has no scores to write
    assert Path("runs", "mini").is_dir()


@pytest.mark.parametrize(("baseline", "model"), [(("random", "--seed", "3"), "random:3"), (("oracle",), "oracle")])
def test_a_baseline_is_a_model_too(baseline: tuple[str, ...], model: str) -> None:
    ran("baseline", *baseline, *PART, "--quiet", "--name", "before")
    ran("evaluate", model, *PART, "--quiet", "--name", "now")
    before, now = (read_json(Path("results") / name / "mini.json") for name in ("before", "now"))
    assert (now["scores"], now["model"]["identity"]) == (before["scores"], before["model"]["identity"])
    assert now["provenance"]["arguments"]["model"] == model


def test_the_cross_check() -> None:
    ran("baseline", "bm25", *PART, "--quiet")
    done = run("recompute", "results/bm25/mini.json", "--with", "pytrec_eval", "--sample", "20")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[1].split()[:3] == ["setting", "metric", "lists"]
    assert [line.split()[1] for line in lines[2:4]] == ["map", "mrr"]
    assert lines[-2] == "pytrec_eval agrees: no list differs by more than 1e-09"
    assert "follow from its ranks" in lines[-1]


def test_a_cross_check_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from xqr_bench.measure import peers

    ran("baseline", "bm25", *PART, "--quiet")
    evaluate = peers.PytrecEval.evaluate
    monkeypatch.setattr(peers.PytrecEval, "evaluate", lambda *arguments: evaluate(*arguments) + 1e-8)
    done = run("recompute", "results/bm25/mini.json", "--with", "pytrec_eval", "--sample", "20")
    assert done.code == 1
    assert "DISAGREES" in done.out
    assert "pytrec_eval disagrees on 24 of 24 figures: a list differs by more than 1e-09" in done.out


def test_a_run_that_cannot_be_written_is_told_before_anything_is_encoded() -> None:
    Path("enc.py").write_text("class Model:\n    def encode(self, texts): raise SystemExit('encoded')\n")
    done = run("evaluate", "enc.py:Model", "--trec-run", "runs", "--trec-depth", "0")
    assert done.code == 1
    assert "--trec-depth cannot be 0" in done.err
