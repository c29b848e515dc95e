"""--memory and --score-device of `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit import run

PART = ("--limit", "2", "--no-cache", "--overwrite")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def evaluated(*options: str) -> dict[str, Any]:
    done = run("evaluate", "char-ngrams", *PART, *options)
    assert done.code == 0, done.err
    record: dict[str, Any] = json.loads(Path("results/char-ngrams/mini.json").read_text(encoding="utf-8"))
    return record


def test_memory_changes_nothing_but_the_settings() -> None:
    plain = evaluated()
    small = evaluated("--memory", "20MiB", "--score-device", "cpu")
    assert plain["provenance"]["settings"]["memory"] == 256 * 2**20
    assert small["provenance"]["settings"]["memory"] == 20 * 2**20
    assert small["provenance"]["hardware"]["counted_on"] == "cpu"
    assert small["ranks_file"]["digest"] == plain["ranks_file"]["digest"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--memory", "lots"), "error: 'lots' is no size\n  to do: write it as 500MB, 20GB or 1.5TB"),
        (("--memory", "100kB"), "error: a memory budget of 0 MiB is too small to rank"),
        (
            ("--score-device", "tpu"),
            "error: scores cannot be counted on 'tpu'\n  to do: give auto, cpu, cuda or cuda:1",
        ),
        (("--score-device", "cuda:77"), "error: there is no device cuda:77 to count on\n  found:"),
        (("--index", "flat", "--score-device", "cuda"), "error: an index is searched on the processor"),
    ],
)
def test_what_cannot_be_is_said(options: tuple[str, ...], error: str) -> None:
    done = run("evaluate", "char-ngrams", *PART, *options)
    assert done.code != 0
    assert error in done.err
    assert not Path("results").exists()


def test_a_run_is_not_ranked() -> None:
    done = run("evaluate", "run:somewhere", "--memory", "1GB", "--score-device", "cpu")
    assert done.code != 0
    assert "--memory, --score-device cannot be used with a run" in done.err
