"""docs/encoders.md does what it says: its files are written, its commands and programs are run, in its order."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from xqr_bench.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```$", (ROOT / "docs" / "encoders.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
)


def test_every_block_runs(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(model, tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    assert {language for language, _ in BLOCKS} == {"python", "sh", "toml"}
    for language, block in BLOCKS:
        if language == "toml":
            package = tomllib.loads((ROOT / "tests" / "plugin_package" / "pyproject.toml").read_text())
            shown = tomllib.loads(block)["project"]["entry-points"]["xqr_bench.encoders"]
            assert shown.items() <= package["project"]["entry-points"]["xqr_bench.encoders"].items()
        elif language == "python" and (named := re.match(r"# (\w+\.py)\n", block)):
            Path(named[1]).write_text(block)
        elif language == "python":
            exec(compile(block, "docs/encoders.md", "exec"), {"__name__": "docs"})
        else:
            for line in block.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "xqr-bench"
                done = CliRunner().invoke(cli, [*arguments, "--quiet"], catch_exceptions=False)
                assert done.exit_code == 0, done.output
    records = {path.parent.name for path in Path("results").rglob("mini.json")}
    assert records == {"MyEncoder", "my-search", "my-model", "other-prompts", "my-model-elsewhere"} | {
        "my-model_paragraph",
        "own-template",
    }
    for name in set(sys.modules) - known:
        if name.startswith("my_"):
            del sys.modules[name]


def test_every_kind_and_every_option_is_explained() -> None:
    from dataclasses import fields

    from xqr_bench.encode import EncoderOptions

    text = (ROOT / "docs" / "encoders.md").read_text("utf-8")
    for option in fields(EncoderOptions):
        assert "--" + option.name.replace("_", "-") in text
