"""The command: what it prints, what it refuses, what it leaves on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.kit import ran, run
from tests.train.build import write_pairs
from xqr_bench.record import load_record
from xqr_bench.record.provenance import load_training

SMALL = ["--updates", "4", "--batch-size", "4", "--vocabulary", "320", "--dimensions", "8"]


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(write_pairs(tmp_path))


def call(*arguments: str) -> str:
    return ran("train", *arguments).out


def test_a_dry_run_writes_nothing(data: str, tmp_path: Path) -> None:
    printed = call("--data", data, "--ratio", "0", *SMALL, "--output", str(tmp_path / "model"), "--dry-run")
    assert "updates: 4 (4 cross-lingual)" in printed
    assert printed.endswith("dry run: nothing was trained\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs.jsonl"]


def test_a_run(data: str, tmp_path: Path) -> None:
    output = tmp_path / "model"
    printed = call("--data", data, "--seed", "3", *SMALL, "--save-at", "2", "--output", str(output))
    record = load_training(output)
    assert (record.ratio, record.seed) == (0.5, 3)
    assert record.arguments["updates"] == 4
    assert f"weights: {record.weights_digest[:16]}" in printed
    assert "4 updates, 16 rows" in printed
    assert (output / "checkpoint-2" / "model.safetensors").is_file()
    assert "exists" in run("train", "--data", data, *SMALL, "--output", str(output)).err


def test_its_progress(data: str, tmp_path: Path) -> None:
    shown = ran("train", "--data", data, *SMALL, "--output", str(tmp_path / "model")).err
    assert "training" in shown
    assert "4 of 4" in shown
    assert re.search(r"loss \d\.\d{3}", shown)


def test_models_of_two_ratios_are_evaluated_and_compared(tmp_path: Path) -> None:
    for ratio in ("0", "1"):
        call("--data", "mini", "--ratio", ratio, *SMALL, "--output", str(tmp_path / ratio), "--quiet")
        done = ran("evaluate", str(tmp_path / ratio), "--output", str(tmp_path / "results"), "--no-cache", "--quiet")
    records = sorted((tmp_path / "results").rglob("mini.json"))
    assert [load_record(path).training["ratio"] for path in records] == [0.0, 1.0]
    done = ran("compare", *map(str, records), "--json")
    compared = json.loads(done.out)["comparisons"]
    assert {"monolingual", "cross-lingual", "multilingual"} <= {one["setting"] for one in compared}
    assert any(one["difference"] for one in compared)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ratio", "1.5"], "ratio of monolingual batches is 1.5"),
        (["--plan", "x-y", "--ratio", "0.5"], "has the ratio 0"),
        (["--save-at", "2,x"], "save-at cannot be"),
        (["--recipe", "papre"], "closest: paper"),
    ],
)
def test_what_it_refuses(data: str, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = run("train", "--data", data, *SMALL, "--output", str(tmp_path / "model"), *arguments)
    assert (done.code, message in done.err) == (1, True), done.err
    assert not (tmp_path / "model").exists()


def test_what_a_launcher_says_is_a_number(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "first")
    done = run("train", "--data", data, *SMALL, "--output", str(tmp_path / "model"))
    assert (done.code, "RANK is 'first', which is no number" in done.err) == (1, True), done.err


def test_data_and_a_place_for_the_model_are_needed(data: str) -> None:
    assert "no place" in run("train", "--data", data).err
    assert "no training data" in run("train", "--output", "somewhere").err
