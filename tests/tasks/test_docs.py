"""docs/tasks.md: its examples run, its tables are complete."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import xqr_bench
from xqr_bench.core.languages import GROUPS, LANGUAGES
from xqr_bench.tasks import TaskSpec, list_specs, load_spec
from xqr_bench.tasks.readers.lareqa import read

REAL = os.environ.get("XQR_BENCH_DATA")  # read before the fixtures hide it
DOC = Path(xqr_bench.__file__).parent.parent / "docs" / "tasks.md"
pytestmark = pytest.mark.skipif(not DOC.is_file(), reason="docs/ is not beside an installed package")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", DOC.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_task_file_it_prints(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    path = tmp_path / "my-task.toml"
    path.write_text(text, encoding="utf-8")
    assert load_spec(path).languages == ("de", "sw")


def test_the_data_file_it_prints() -> None:
    (text,) = blocks("json")
    data = read(text.encode(), "docs/tasks.md")
    assert [data.candidates[i].text for i in data.questions[0].gains] == ["The lighthouse was built in 1874."]


@pytest.mark.skipif(REAL is None, reason="needs XQR_BENCH_DATA: a folder with xquad-r/")
def test_the_python_it_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XQR_BENCH_DATA", str(REAL))
    (text,) = blocks("python")
    names: dict[str, object] = {}
    exec(text, names)
    assert names["data"].languages == ("en", "th")  # type: ignore[attr-defined]


def test_every_key_task_and_group_is_described() -> None:
    rows = re.findall(r"^\| (`.*?) \|", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for row in rows for name in re.findall("`(.*?)`", row)}
    assert named >= set(TaskSpec.model_fields)
    assert named >= {spec.name for spec in list_specs()}
    for group in GROUPS.values():
        assert f"| `{group.name}` | {', '.join(group.members(LANGUAGES))} |" in DOC.read_text(encoding="utf-8")
