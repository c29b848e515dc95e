"""docs/interop.md does what it says: its commands and programs are run, in its order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from xqr_bench.cli.main import cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "interop.md"


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    assert {language for language, _ in blocks} <= {"python", "sh"}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, "docs/interop.md", "exec"), {"__name__": "docs"})
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "xqr-bench"
            done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
            assert done.exit_code == 0, done.output
    records = {path.parent.name for path in Path("results").rglob("mini.json")}
    assert records >= {"char-ngrams", "char-ngrams-run", "shared-words", "bm25"}
    theirs, ranx = re.findall(r"(?:pytrec_eval|ranx) +(0\.\d+)", capsys.readouterr().out)[:2]
    assert float(theirs) == pytest.approx(float(ranx), abs=1e-4)  # char-ngrams ties, and ranx orders ties otherwise
