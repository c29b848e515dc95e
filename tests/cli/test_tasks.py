"""`xqr-bench tasks`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xqr_bench.cli.main import cli, main

PARTIAL = Path(__file__).parent.parent / "fixtures" / "partial" / "task.toml"


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("XQR_BENCH_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda app: tmp_path / "cache" / app)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["tasks", *arguments], catch_exceptions=False)


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_list() -> None:
    result = run()
    assert result.exit_code == 0
    assert [line[0] for line in words(result.output)[:4]] == ["task", "mini", "xquad-r", "mlqa-r"]
    assert "MLQA-R   7: ar de en es hi vi zh               CC BY-NC 4.0" in result.output
    assert max(map(len, result.output.splitlines())) <= 100


def test_one_task_with_its_data_at_hand() -> None:
    result = run("mini")
    assert result.exit_code == 0
    lines = words(result.output)
    assert ["th", "Thai", "Thai", "3", "71.7", "139,917", "24", "36", "4.2%"] in lines
    assert ["group", "joshi-3", "el,", "th"] in lines
    assert ["licence", "Apache-2.0,", "https://www.apache.org/licenses/LICENSE-2.0"] in lines
    assert "24 distinct questions in 6 articles" in result.output


def test_one_task_without_its_data(tmp_path: Path) -> None:
    result = run("mlqa-r")
    assert result.exit_code == 0
    lines = words(result.output)
    assert ["hi", "Hindi", "Deva", "4", "20.2", "142,300"] in lines
    assert f"no counts: 7 of 7 files are not in {tmp_path}/cache/xqr-bench/data/mlqa-r/" in result.output
    assert "to do: xqr-bench data fetch mlqa-r" in result.output
    assert "no language of mlqa-r belongs to the group joshi-3" in result.output
    assert "vi (not in this task: el)" in result.output
    assert "eprint = {1910.07475}" in result.output


def test_a_task_file() -> None:
    result = run(str(PARTIAL))
    assert ["all", "33", "56"] in words(result.output)
    assert ["source", "beside", "the", "task", "file"] in words(result.output)


def test_a_wrong_name_is_one_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["xqr-bench", "tasks", "mlqar"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("error: there is no task named 'mlqar'\n  found: closest: mlqa-r")
