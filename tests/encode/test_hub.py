"""Hub models, against a loopback server: the commit is recorded, and every failure is one short answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub import COMMIT, Hub, serving

# Asks for each [MODEL, revision] in its own way and prints what came of it, one JSON line each.
SCRIPT = """
import json, sys
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.encode.sentence_transformer import resolve_model
from xqr_bench.core.errors import EncoderError
from xqr_bench.evaluation.evaluate import opened

for how, name, revision in json.loads(sys.argv[1]):
    try:
        if how == "load":
            bound = load_encoder(name, EncoderOptions(revision=revision, device="cpu"))
            found = bound.identity.model_dump() | {"warnings": bound.warnings}
        elif how == "open":
            with opened(name, EncoderOptions(revision=revision, device="cpu")) as ranker:
                found = ranker.identity.model_dump()
        else:
            found = vars(resolve_model(name, revision, hint="the hint"))
    except EncoderError as error:
        found = str(error)
    print("=" + json.dumps(found))
"""


@pytest.fixture
def hub(model: Path) -> Iterator[Hub]:
    with serving(model) as hub:
        yield hub


def ask(home: Path, questions: list[list[str | None]], **environment: str) -> list[Any]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(questions)],
        env=inherited | {"HF_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,  # so that a hang ends; no bound on how fast it is
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line[1:]) for line in done.stdout.splitlines() if line.startswith("=")]


def test_a_hub_model_is_recorded_by_its_commit_and_found_again_without_the_hub(hub: Hub, tmp_path: Path) -> None:
    endpoint = hub.endpoint
    loaded, missing, revision, gated, broken, near = ask(
        tmp_path,
        [
            ["load", "acme/tiny", None],
            ["resolve", "no-such-model", None],
            ["resolve", "acme/tiny", "nowhere"],
            ["resolve", "gated/model", None],
            ["resolve", "broken/model", None],
            ["load", "char-ngrms", None],
        ],
        HF_ENDPOINT=endpoint,
    )
    assert (loaded["name"], loaded["revision"], loaded["digest"]) == ("acme/tiny", COMMIT, None)
    assert (loaded["similarity"], loaded["query_prompt"], loaded["warnings"]) == ("dot", "ask: ", [])
    assert missing == (
        "there is no model 'no-such-model': no folder, and none on the hub that you may read\n"
        f"  found: asked {endpoint} for sentence-transformers/no-such-model and no-such-model; the hint\n"
        "  to do: check the name (xqr-bench encoders lists what MODEL can be); for a private model: hf auth login"
    )
    assert revision.startswith("the model acme/tiny has no revision 'nowhere'\n")
    assert gated.startswith("the model gated/model is gated\n  to do: accept its terms")
    assert broken.startswith(
        "the hub could not be asked for the model 'broken/model', and the cache does not hold it\n"
    )
    assert "503" in broken
    assert "closest built-in or plugin: char-ngrams" in near

    (offline, *failed) = ask(
        tmp_path, [["resolve", "acme/tiny", None], ["resolve", "other/model", "v2"]], HF_HUB_OFFLINE="1"
    )
    assert offline == {"name": "acme/tiny", "commit": COMMIT, "cached_only": True, "warning": None}
    assert failed == [
        "there is no model 'other/model' here: no folder, and none in the cache of hub models at revision 'v2'\n"
        "  found: HF_HUB_OFFLINE is set, so the hub was not asked; the hint\n"
        "  to do: unset HF_HUB_OFFLINE to download it, or name a folder that holds a model"
    ]

    (unreachable,) = ask(tmp_path, [["resolve", "acme/tiny", None]], HF_ENDPOINT="http://127.0.0.1:9")
    assert (unreachable["commit"], unreachable["cached_only"]) == (COMMIT, True)
    assert unreachable["warning"].startswith("the hub could not be asked about acme/tiny (")
    assert unreachable["warning"].endswith("the copy in the cache was used, commit 0123456789ab")


def test_the_kind_of_a_hub_model_is_told_from_its_files(late_model: Path, tmp_path: Path) -> None:
    with serving(late_model) as hub:
        opened, refused = ask(
            tmp_path, [["open", "acme/tiny", "main"], ["load", "acme/tiny", "main"]], HF_ENDPOINT=hub.endpoint
        )
    assert (opened["kind"], opened["name"], opened["revision"]) == ("multi-vector-encoder", "acme/tiny", COMMIT)
    assert (opened["digest"], opened["similarity"], opened["max_length"]) == (None, "maxsim", 40)
    assert refused.startswith("the hub model acme/tiny is a MultiVectorEncoder: ")
    (offline,) = ask(tmp_path, [["open", "acme/tiny", "main"]], HF_HUB_OFFLINE="1")
    assert offline == opened
