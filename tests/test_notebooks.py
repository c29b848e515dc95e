"""The notebooks of docs/examples run from their first cell to the last, and are kept without outputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kit import ROOT, page_text

NOTEBOOKS = sorted((ROOT / "docs" / "examples").glob("*.ipynb"))
pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="docs/ is not beside an installed package")
LAST = {
    "comparing-checkpoints": ["question", "article"],
    "first-run": ["results/char-ngrams/mini.json", "[])"],
    "own-encoder": ["hashed words, without the first of a question", "p by article adjusted"],
    "paper": ["results/bm25/mini.json", "@"],
}
"""Name -> what its last output holds."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    for name, folder in (("IPYTHONDIR", "ipython"), ("JUPYTER_RUNTIME_DIR", "runtime"), ("MPLCONFIGDIR", "matplotlib")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    work = tmp_path / "work"
    work.mkdir()
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(work)}})
    client.execute()
    told = ["".join(map(str, (one.get("data", one.get("text")) for one in cell.outputs))) for cell in code]
    assert [text for text in LAST[path.stem] if text not in told[-1]] == []
    streams = [output.text for cell in code for output in cell.outputs if output.get("name") == "stderr"]
    # no warning of ours, and progress is one output that is replaced; tqdm misses ipywidgets, which is no need of ours
    assert [text for text in streams if "TqdmWarning" not in text] == []
    if path.stem == "first-run":
        assert "ranking: 264 of 264" in told[1]
        assert ">monolingual<" in told[1]


def test_each_is_listed() -> None:
    assert sorted(LAST) == [path.stem for path in NOTEBOOKS]
    assert [path.name for path in NOTEBOOKS if f"({path.name})" not in page_text("examples/README.md")] == []
