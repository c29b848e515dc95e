"""docs/e5-study.md: each row of its tables is a row, or the first cells of one, of those of the published figures."""

from __future__ import annotations

import pytest

from tests.kit import ROOT, page_text
from xqr_bench.studies.ratio.form import load_ratios
from xqr_bench.studies.ratio.tables import condition_tables, study_tables

PUBLISHED = ROOT / "leaderboard" / "studies" / "e5" / "ratios.json"

pytestmark = pytest.mark.skipif(not PUBLISHED.is_file(), reason="leaderboard/ is not beside an installed package")


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    plain = [line.replace("\\", "").replace("&lt;", "<") for line in lines]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in plain]


def test_the_tables_of_remedies_over_seeds_are_those_of_their_figures() -> None:
    study = load_ratios(PUBLISHED.parents[1] / "e5-remedies" / PUBLISHED.name)
    tables = [table for condition in study.conditions for table in condition_tables(study, condition)]
    made = [
        row for table in tables for row in rows(table.markdown()) if ", raw" in table.title or ": raw" in table.title
    ]
    shown = rows(page_text("e5-study.md").partition("### Over five seeds")[2].partition("\n## ")[0])
    assert len(shown) == 2 + 7 + 5  # two headings, the arms, each but the first of its condition minus that
    assert [row for row in shown if row not in made and row not in [one[1:] for one in made]] == []
    assert all(condition.seeds == [0, 1, 2, 3, 4] for condition in study.conditions)


def test_the_tables_are_those_of_the_published_figures() -> None:
    study = load_ratios(PUBLISHED)
    (condition,) = study.conditions
    tables = [*condition_tables(study, condition), *study_tables(study)]
    made = [row for table in tables for row in rows(table.markdown())]
    page = page_text("e5-study.md")
    remedies = page.partition("## Other remedies")[2].partition("\n## ")[0]
    shown = rows(page.replace(remedies, ""))
    assert len(shown) > 50
    assert [row for row in shown if row not in [one[: len(row)] for one in made]] == []
