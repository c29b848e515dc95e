"""docs/e5-study.md: each row of its tables is a row, or the first cells of one, of those of the published figures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from tests.kit import ROOT, page_text
from xqr_bench.studies.ratio.claims import chosen_scores, controls
from xqr_bench.studies.ratio.form import load_ratios
from xqr_bench.studies.ratio.pvalues import SUMS
from xqr_bench.studies.ratio.statistics import replicate
from xqr_bench.studies.ratio.sums import load_sums
from xqr_bench.studies.ratio.tables import condition_tables, gap, study_tables

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


def test_the_differences_without_the_seed_by_which_strengths_were_chosen() -> None:
    folder = PUBLISHED.parents[1] / "e5-remedies"
    study, all_seeds = load_ratios(folder / PUBLISHED.name), load_sums(folder / SUMS.format("questions"))
    results = dataclasses.replace(
        all_seeds, seeds=all_seeds.seeds[1:], sums=all_seeds.sums[:, 1:], counts=all_seeds.counts[:, 1:]
    )
    scores = {key.text: rows for key, rows in chosen_scores(results, detailed=False).items()}
    made = controls(replicate(results, scores, np.random.default_rng(study.seed), study.resamples))
    effects = {control.contrast: control.effects["multilingual/map"] for control in made}
    (item,) = [one for one in page_text("e5-study.md").split("\n\n") if "**Without seed 0**" in one]
    said = " ".join(item.partition("**Without seed 0**")[2].split())
    names = {"lakda-0.25": "LaKDA", "distill-0.75": "distillation", "jsd-1": "JSD", "lancer-10": "LANCER"}
    for arm, name in names.items():
        one = effects[f"{arm} minus hybrid"]
        assert f"{gap(one)} for {name}" in said
        assert one.seed_deviation is not None
        p = 2 * stats.t.sf(abs(one.estimate) / (one.seed_deviation / 2), 3)
        assert (p < 0.05) == (name in ("LaKDA", "distillation")), "the others are said not to be told"


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
