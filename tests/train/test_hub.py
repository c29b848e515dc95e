"""Training from a model of the hub, against a loopback server: the command as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.hub import COMMIT, serving
from tests.train.build import write_pairs
from xqr_bench.record.provenance import load_training
from xqr_bench.train.initial import learn_vocabulary, static_model


def train(base: str, data: Path, output: Path, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = ["train", "--base", base, "--data", str(data), "--ratio", "0.5", "--output", str(output)]
    command += ["--updates", "2", "--batch-size", "4", "--device", "cpu", "--quiet"]
    return subprocess.run(
        [sys.executable, "-m", "xqr_bench", *command],
        env=inherited | {"HF_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_of_the_hub_is_trained_and_found_again_without_the_hub(tmp_path: Path) -> None:
    data, home = write_pairs(tmp_path), tmp_path / "hub"
    vocabulary = learn_vocabulary([f"ask say {i} de en" for i in range(12)], 300)
    static_model(vocabulary, 8, seed=0).save(str(tmp_path / "tiny"))
    with serving(tmp_path / "tiny") as hub:
        done = train("acme/tiny", data, tmp_path / "first", home, HF_ENDPOINT=hub.endpoint)
        assert done.returncode == 0, done.stderr
        missing = train("acme/other", data, tmp_path / "none", home, HF_ENDPOINT=hub.endpoint)
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: there is no model 'acme/other'")
    assert "Traceback" not in missing.stderr
    assert not (tmp_path / "none").exists()

    again = train("acme/tiny", data, tmp_path / "second", home, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    first, second = (load_training(tmp_path / name) for name in ("first", "second"))
    assert (first.base.kind, first.base.name, first.base.revision) == ("hub", "acme/tiny", COMMIT)
    assert second.base == first.base
    weights = [next((tmp_path / name).rglob("*.safetensors")).read_bytes() for name in ("first", "second")]
    assert weights[0] == weights[1]
