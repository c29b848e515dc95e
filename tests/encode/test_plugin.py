"""A package with an entry point, really installed: listed, loaded, recorded."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import ROOT

PACKAGE = ROOT / "tests" / "plugin_package"

SCRIPT = """
import json
from tests.encode.toys import TOY
from tests.kit import ran
from xqr_bench.encode import ENCODERS, embed_tasks, load_encoder
from xqr_bench.core.errors import XqrBenchError

bound = load_encoder("demo-letters")
found = embed_tasks(bound, [TOY])["toy"]
try:
    load_encoder("demo-broken")
except XqrBenchError as error:
    message = str(error)
print(json.dumps([ENCODERS.origins(), bound.name, bound.identity.model_dump(), found.queries.shape, message,
                  ran("encoders").out]))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the plugin package was installed."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this environment has no pip")
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PACKAGE, folder / "source")  # building leaves folders behind
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--target", str(folder / "site"), str(folder / "source")],
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_an_installed_plugin_is_listed_loaded_and_recorded(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names, name, identity, shape, message, listed = json.loads(done.stdout)
    assert names["demo-letters"] == "xqr-bench-demo 0.3.0"
    assert list(names).index("char-ngrams") < list(names).index("demo-letters")
    assert "demo-letters  xqr-bench-demo 0.3.0" in listed
    assert (name, shape) == ("demo-letters", [4, 64])
    assert (identity["kind"], identity["distribution"]) == ("plugin", "xqr-bench-demo 0.3.0")
    assert (identity["similarity"], identity["revision"], len(identity["digest"])) == ("dot", "2024-05", 64)
    assert (
        "the plugin 'demo-broken' (xqr_bench_demo:does_not_exist) cannot be loaded\n  found: AttributeError" in message
    )
