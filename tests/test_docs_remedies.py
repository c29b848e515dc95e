"""docs/remedies.md: its commands run, smaller, and its tables have the rows of the file that makes them."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

import pytest

from tests.conftest import VECTORS, needs_data
from tests.kit import PARTIAL, ROOT, page_text, ran
from xqr_bench.analysis.remedies import Remedies
from xqr_bench.encode.transform import TransformOptions
from xqr_bench.report.remedies import remedies_table

EXAMPLES = ROOT / "docs" / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="docs/ is not beside an installed package")


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of the tables of a text."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return [[cell.strip(" `*\\") for cell in line.strip("|").split("|")] for line in lines]


def test_the_commands(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On small tasks, with a small model, and three of the transforms."""
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLES / "frontier.toml").read_text(encoding="utf-8")
    assert (
        "148 records in results/frontier: 0 there, 148 to do"
        in ran("run", str(EXAMPLES / "frontier.toml"), "--dry-run").out
    )
    head, middle = text.partition("variant = [")[::2]
    few = '{}, { transform = "center@0.5" }, { transform = "center" }, { transform = "leace" } ]'
    text = head + "variant = [" + few + middle.partition("\n]")[2].partition('[[model]]\nmodel = "sentence')[0]
    text = text.replace("intfloat/multilingual-e5-small", str(model))
    text = text.replace('"xquad-r", "mlqa-r"]', f'"mini", "{PARTIAL}"]\nlanguages = ["de", "en"]')
    Path("frontier.toml").write_text(text, encoding="utf-8")
    ran("run", "frontier.toml", "--quiet")
    done = ran("remedies", "results/frontier", "--plot", "remedies.svg", "--markdown")
    assert Path("remedies.svg").is_file()
    held_out = rows(done.out.partition("Strengths chosen")[2])[1:]
    assert [row[2].partition("@")[0] for row in held_out] == ["center", "leace"] * 2


def test_the_tables_have_every_variant() -> None:
    variants = tomllib.loads((EXAMPLES / "frontier.toml").read_text(encoding="utf-8"))["variant"]
    names = [variant.get("transform", "untouched") for variant in variants]
    tables = page_text("remedies.md").partition("## Every strength")[2]
    for table in tables.split("MLQA-R:"):
        found = [row[0] for row in rows(table) if row[0] != "remedy"]
        assert sorted(found) == sorted(names)
    assert all(TransformOptions(name).strength <= 1 for name in names[1:])


def test_the_table_of_trainings_is_that_of_the_published_file() -> None:
    path = ROOT / "leaderboard" / "studies" / "e5-remedies" / "remedies.json"
    (curves,) = Remedies.model_validate_json(path.read_text(encoding="utf-8")).curves
    made = rows(remedies_table(curves).markdown())[1:]
    names = {"infonce on mlqa-r, alpha 0.5": "hybrid (InfoNCE, alpha .5)", "infonce on ntrex7, x-y": "InfoNCE on NTREX"}
    section = page_text("e5-study.md").partition("## Other remedies")[2].partition("\n##")[0]
    shown = [[cell.strip("`") for cell in row] for row in rows(section)[1:]]
    assert shown == [[names.get(row[0], row[0]), *row[1:7], row[9]] for row in made]


def test_the_program(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(EXAMPLES / "estimated_elsewhere.py"))
    script["main"](str(model), str(PARTIAL), "mini")
    printed = rows(capsys.readouterr().out)
    shown = rows(page_text("remedies.md").partition("estimated_elsewhere.py")[2].partition("\n## ")[0])
    names = {"partial": "XQuAD-R", "mini": "MLQA-R"}
    assert [row[:2] for row in shown] == [[row[0], names.get(row[1], row[1])] for row in printed]
    figures = dict(zip(map(tuple, (row[:2] for row in printed)), (row[2:] for row in printed), strict=True))
    assert figures["leace", "partial"] != figures["leace", "mini"]
    assert figures["untouched", ""][1] == "0 ±.0000"


E5 = VECTORS.parent / "multilingual-e5-small-q4"


@needs_data
@pytest.mark.skipif(not E5.is_dir(), reason="the vectors of multilingual-e5-small are not here")
def test_a_row_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """The program's figures, of the vectors that the page is about."""
    script = runpy.run_path(str(EXAMPLES / "estimated_elsewhere.py"))
    script["main"].__globals__["NAMES"] = ("center",)
    script["main"](f"precomputed:{E5}", "xquad-r", "mlqa-r")
    printed = rows(capsys.readouterr().out.replace("mlqa-r |", "MLQA-R |").replace("xquad-r |", "XQuAD-R |"))[2:]
    shown = rows(page_text("remedies.md").replace("−", "-"))
    assert len(printed) == 2
    assert all(row in shown for row in printed)
