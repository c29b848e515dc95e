"""docs/faiss.md: every block runs, in its order; its table is that of the code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.kit import run
from xqr_bench.rank.index import DEFAULT_DEPTH, INDEX_TYPES

DOC = Path(__file__).resolve().parents[3] / "docs" / "faiss.md"
pytestmark = pytest.mark.skipif(not DOC.is_file(), reason="docs/ is not beside an installed package")


def text() -> str:
    return DOC.read_text(encoding="utf-8")


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XQR_BENCH_DATA", raising=False)
    names: dict[str, object] = {}
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text(), re.DOTALL | re.MULTILINE)
    assert {language for language, _ in blocks} == {"sh", "python"}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, "docs/faiss.md", "exec"), names)
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "xqr-bench"
            done = run(*arguments)
            assert done.code == 0, done.err
            assert done.out
    assert "1 0." in capsys.readouterr().out  # what the Python of the page prints
    records = {path.parent.name: json.loads(path.read_text()) for path in Path("results").rglob("mini.json")}
    assert set(records) == {
        "char-ngrams_flat",
        "char-ngrams_hnsw",
        "char-ngrams_hnsw-ef_search64-depth100",
        "char-ngrams_ivf-nlist4-nprobe2-min_points_per_centroid8",
        "my-index",
    }
    assert records["my-index"]["scores"] == records["char-ngrams_flat"]["scores"]


def test_every_parameter_is_described() -> None:
    for type_, parameters in INDEX_TYPES.items():
        assert f"| `{type_}` |" in text()
        for parameter in parameters:
            default = "–" if parameter.default is None else parameter.default
            assert f"| `{type_}` | `{parameter.name}` | {default} | {parameter.help} |" in text()
    assert f"default {DEFAULT_DEPTH:,}" in text()
