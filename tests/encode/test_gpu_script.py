"""The script for eight minutes on a GPU, here on the processor with a tiny model: its parts add up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.benchmarks.gpu_eight_minutes import GOALS, encoding, overlap
from tests.benchmarks.runner import apart
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.tasks import load_task


def test_the_parts_add_up(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "facts.json"
    given = ["--model", str(model), "--device", "cpu", "--task", "mini", "--limit", "3", "--output", str(output)]
    ran = apart("gpu_eight_minutes", *given)
    assert ran.returncode == 0, ran.stderr
    facts = json.loads(output.read_text(encoding="utf-8"))
    assert (facts["device"], facts["limit"]) == ("cpu", 3)
    assert ran.stdout.endswith(output.read_text(encoding="utf-8"))

    assert 0 < sum(facts["phases"].values()) < facts["whole_seconds"]
    assert {"encoding", "ranking"} <= facts["phases"].keys()
    assert 0 < facts["import_seconds"] < facts["took_seconds"] - facts["whole_seconds"]

    encoded = facts["encoding"]
    parts = encoded["of_them"]
    assert {"forward", "tokenizer", "tokens counted before", "copies back", "checks", "rest"} <= parts.keys()
    assert all(seconds >= 0 for seconds in parts.values())
    assert sum(parts.values()) == pytest.approx(encoded["lanes"] * encoded["seconds"])
    assert encoded["forward_share"] == pytest.approx(parts["forward"] / encoded["lanes"] / encoded["seconds"])
    assert 0 < encoded["forward_share"] < 1
    assert encoded["overlap"]["ratio"] > 0

    counted = facts["counting"]
    seconds = counted["seconds"]
    assert counted["counting_to_product"] == pytest.approx(seconds["device"] / seconds["product"])
    assert counted["least_of_block"] == pytest.approx(
        counted["multiplications_of_a_block"] * seconds["device"] / seconds["processor"]
    )
    assert counted["counts_that_differ"] == 0  # the device is the processor
    of_goals = {name: facts["goals"][name]["reached"] for name in GOALS}
    assert of_goals == {
        "whole_seconds": facts["whole_seconds"],
        "forward_share": encoded["forward_share"],
        "counting_to_product": counted["counting_to_product"],
        "counting_to_processor": counted["counting_to_processor"],
    }
    for name in GOALS:
        assert any(line.startswith(name) and "not held to it" in line for line in ran.stdout.splitlines())


def test_a_model_that_was_timed_is_as_before(model: Path) -> None:
    data, encoder = load_task("mini", limit=2), load_encoder(model, EncoderOptions(device="cpu", batch_size=4))
    lanes, threads = encoder.lanes, torch.get_num_threads()
    found = overlap(encoder, data, cuda=False)
    assert found["ratio"] > 0
    assert encoder.lanes is lanes
    assert torch.get_num_threads() == threads
    assert {"forward", "preprocess"}.isdisjoint(vars(encoder.model))
    _, vectors = encoding(encoder, data, cuda=False)
    assert len(vectors.candidates) == len(data.candidates)
