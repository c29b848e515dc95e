"""The examples of the pages on training data and batch plans run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from xqr_bench.train.data import FORMATS, load_training_data
from xqr_bench.train.plans import STRATEGIES

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["batch-plans.md", "training-data.md"])
def test_python_examples(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for code in examples:
        exec(code, {})
    assert capsys.readouterr().out


def test_the_json_example(tmp_path: Path) -> None:
    text = (DOCS / "training-data.md").read_text(encoding="utf-8")
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example is not None
    path = tmp_path / "mine.jsonl"
    path.write_text(example.group(1), encoding="utf-8")
    data = load_training_data(path)
    assert data.ids == ("q1", "q2")
    shown = {key for line in path.read_text(encoding="utf-8").splitlines() for key in json.loads(line)}
    assert shown == {"id", "languages", "article", "paragraph"}


def test_every_strategy_and_format_is_described() -> None:
    plans, formats = ((DOCS / name).read_text(encoding="utf-8") for name in ("batch-plans.md", "training-data.md"))
    assert [name for name in STRATEGIES if f"| `{name}` |" not in plans] == []
    assert [name for name in FORMATS if f"| `{name}` |" not in formats] == []
