"""docs/compare.md says what the commands do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import VECTORS, needs_data, needs_vectors
from tests.kit import run
from xqr_bench.analysis.choice import Comparison
from xqr_bench.cli.compare import compare
from xqr_bench.report.plots import KINDS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_every_option_and_kind_is_explained() -> None:
    for parameter in compare.params:
        assert any(f"`{option}`" in TEXT for option in parameter.opts if option.startswith("--")) or (
            parameter.name == "records"
        ), parameter.name
    assert [kind for kind in KINDS if f"`{kind}`" not in TEXT] == []


def test_the_fields_named_exist() -> None:
    listed = re.search(r"a list `comparisons`, with (.*?); and a list", TEXT, re.DOTALL)
    assert listed is not None
    plain = re.sub(r"\(.*?\)", "", listed.group(1), flags=re.DOTALL)
    assert set(re.findall(r"`(\w+)`", plain)) <= set(Comparison.model_fields)


def test_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = [block for language, block in BLOCKS if language == "python"]
    exec(compile(program, "docs/compare.md", "exec"), {"__name__": "docs"})
    assert "recall@10" in capsys.readouterr().out


@pytest.mark.slow
@needs_data
@needs_vectors
def test_the_tables_are_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = ("evaluate", f"precomputed:{VECTORS}", "--name", "all-MiniLM-L6-v2")
    for arguments in (("evaluate", "char-ngrams"), model):
        done = run(*arguments, "--task", "xquad-r", "--quiet")
        assert done.code == 0, done.err
    command = next(block for language, block in BLOCKS if language == "sh" and "--group" in block)
    printed = run(*shlex.split(command.replace("\\\n", " "))[1:]).out
    lines = {line.rstrip() for line in printed.splitlines()}
    shown = [block for language, block in BLOCKS if language == "" and "share a letter" not in block]
    for block in shown:
        assert [line for line in block.splitlines() if line.rstrip() not in lines] == []
