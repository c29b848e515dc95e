"""What a run loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xqr_bench.tasks import load_task

RUN = """
import sys
from xqr_bench.cli.main import main
sys.argv = ["xqr-bench", "evaluate", "precomputed:made", "--no-cache"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = ["pandas", "torch", "sklearn", "faiss", "scipy.stats"]
print([name for name in heavy if name in sys.modules])
"""


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_vectors_made_before_are_evaluated_without_large_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task, folder = load_task("mini"), Path("made/mini")
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for role, items in (("queries", task.queries), ("candidates", task.candidates)):
        vectors = {text: generator.standard_normal(8) for text in dict.fromkeys(item.text for item in items)}
        np.save(folder / f"{role}.npy", np.array([vectors[item.text] for item in items], dtype=np.float32))
        (folder / f"{role}.ids.txt").write_text("".join(f"{item.id}\n" for item in items), encoding="utf-8")
    assert python(RUN).rstrip().endswith("[]")
