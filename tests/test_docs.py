"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.measure.lists import TiedList, pooled
from xqr_bench.cli.main import COMMANDS
from xqr_bench.measure.metrics import _FAMILIES, parse_metric
from xqr_bench.report.metrics import metrics_markdown

ROOT = Path(__file__).resolve().parent.parent


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_metrics_reference_is_current() -> None:
    generated = read("docs/metrics.md").split("\n---\n", 1)[1].strip()
    assert generated == metrics_markdown().strip(), "run: xqr-bench metrics --markdown"


def test_the_example_metric_works() -> None:
    code = re.search(r"```python\n(.*?)```", read("docs/metrics.md"), re.DOTALL)
    assert code is not None
    try:
        exec(code.group(1), {})
        found = TiedList((((0, 0.0),), ((0, 1.0), (1, 1.0), (2, 0.0))))
        kernel = parse_metric("first_rank").kernel
        assert kernel is not None
        assert kernel(pooled(found)) == pytest.approx(np.array([1 + 4 / 3]))
    finally:
        _FAMILIES._own.pop("first_rank", None)


def test_the_readme_names_every_command() -> None:
    text = read("README.md")
    assert [name for name in COMMANDS if f"xqr-bench {name}" not in text] == []


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
