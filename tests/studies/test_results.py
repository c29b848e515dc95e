"""A folder of runs, read back: folds added up, levels of languages, seeds that all arms have."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.studies.test_sweep import asked
from xqr_bench.core.errors import RecordError, UsageError
from xqr_bench.measure.scores import all_per_query
from xqr_bench.record import load_record
from xqr_bench.studies.ratio.design import ARMS, Condition, Run, list_runs
from xqr_bench.studies.ratio.results import LEVELS, load_results, shared_questions
from xqr_bench.studies.ratio.run import FAILED
from xqr_bench.studies.ratio.scoring import load_compact, macro_scores
from xqr_bench.studies.ratio.statistics import Term, effect, replicate
from xqr_bench.studies.ratio.sweep import sweep
from xqr_bench.tasks import load_task
from xqr_bench.tasks.load import keep_clusters

FOLDED = Condition("folded", "mini", "mini", None, aligned=False, folds=2, held_out=(("de", "th"), ("en",)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms and the untrained one, seeds 0 and 1; a folded condition with one seed."""
    place = tmp_path_factory.mktemp("results")
    runs = list_runs(["demo"], ["alpha-0", "alpha-1", "untrained"], [0, 1])
    folds = [Run(FOLDED, ARMS[arm], 0, fold) for fold in (0, 1) for arm in ("alpha-0", "untrained")]
    sweep(asked(place, runs=[*runs, *folds]))
    return place


def test_arms_and_seeds(folder: Path) -> None:
    found = load_results(folder, "demo")
    assert found.arms == ("alpha-0", "alpha-1", "alpha-1-half", "alpha-0-half", "untrained")
    assert found.seeds == (0, 1)
    assert set(found.levels) == {LEVELS[0]}
    for arm, at in (("alpha-0", "100"), ("alpha-1-half", "050"), ("untrained", "000")):
        source = arm.removesuffix("-half")
        one = load_compact(folder / f"demo/{source}/seed-01/checkpoint-{at}.npz")[0]["raw"]
        assert found.rows == one.rows
        assert np.array_equal(found.sums[found.arms.index(arm), 1], one.sums)
    assert "alpha-1-half" not in load_results(folder, "demo", percent=25).arms
    assert load_results(folder, "demo", view="centred").sums.shape == found.sums.shape


def test_the_mean_over_seeds_is_that_of_the_runs(folder: Path) -> None:
    found = load_results(folder, "demo")
    # every language is scored here, whether or not a tiny model can represent it
    rows = replace(found, excluded={}).family("multilingual")
    drawn = replicate(found, {"multi": rows}, np.random.default_rng(0), 20)
    runs = [
        json.loads((folder / f"demo/alpha-0/seed-{seed:02d}/run.json").read_text(encoding="utf-8")) for seed in (0, 1)
    ]
    mean = np.mean([run["scores"]["100"]["raw"]["multilingual/map"] for run in runs])
    assert effect(drawn, [Term("multi", "alpha-0")]).estimate == pytest.approx(mean, abs=1e-12)


def test_languages_that_are_not_represented_are_left_out_and_named(folder: Path) -> None:
    found = replace(load_results(folder, "demo"), excluded={"th": "demo/alpha-0/seed-00"})
    assert not any("th" in found.rows[row].split("/")[2].split(">") for row in found.family("cross-lingual"))
    assert len(found.family("multilingual")) == 10
    assert [found.rows[row] for row in found.family("multilingual", query="th")] == ["multilingual/map/th"]


def test_folds_are_added_up_by_level(folder: Path) -> None:
    found = load_results(folder, FOLDED)
    level = {row.split("/")[2]: of for row, of in zip(found.rows, found.levels, strict=True) if row.startswith("multi")}
    assert set(level) >= {"de", "th", "en", "ar"}
    for fold, out in ((0, ("de", "th")), (1, ("en",))):
        views, about = load_compact(folder / f"folded/alpha-0/seed-00/fold-{fold}/checkpoint-100.npz")
        assert not set(about["trained"]) & set(out)
        one = views["raw"]
        assert macro_scores(one)
        for row, sums, counts in zip(one.rows, one.sums, one.counts, strict=True):
            of = LEVELS[row.split("/")[2].split(">")[0] in out]
            at = found.rows.index(f"{row}/{of}")
            some = counts > 0
            assert np.array_equal(found.sums[found.arms.index("alpha-0"), 0, at][some], sums[some])
    both = [row for row in found.rows if row.startswith("multilingual/map/de/")]
    assert both == [f"multilingual/map/de/{LEVELS[1]}", f"multilingual/map/de/{LEVELS[0]}"]
    # the articles of the two folds are all articles, each once
    total = sum(found.counts[0, 0, found.rows.index(row)] for row in both)
    assert (total > 0).all()


def test_a_seed_that_an_arm_lacks_is_left_out_and_named(folder: Path, tmp_path: Path) -> None:
    sweep(asked(tmp_path, runs=list_runs(["demo"], ["untrained"], [0, 1])))
    place = tmp_path / "demo/untrained/seed-01"
    (place / FAILED).write_text("{}", encoding="utf-8")
    found = load_results(tmp_path, "demo")
    assert found.seeds == (0,)
    assert "twice" in found.left_out[1]
    with pytest.raises(RecordError, match="no run at all"):
        load_results(tmp_path, "S1b")


def test_questions_are_left_out_as_if_they_were_not_asked(folder: Path) -> None:
    whole = load_results(folder, "demo")
    record = load_record(folder / "demo/alpha-0/seed-00/mini.json", ranks=True)
    ranks = record.ranks
    gone = set(ranks.question_ids[:3])
    found = load_results(folder, "demo", leave_out=gone)
    assert found.arms == ("alpha-0", "alpha-1", "untrained")
    values = all_per_query(ranks, ["map"], ["multilingual"])["multilingual"]["map"]
    for index, cell in enumerate(values.cells):
        kept = [
            value
            for value, query, of in zip(values.values, values.queries, values.cell, strict=True)
            if of == index and ranks.question_ids[query] not in gone
        ]
        row = found.rows.index(f"multilingual/map/{cell.pair}")
        assert found.sums[0, 0, row].sum() == pytest.approx(sum(kept), abs=1e-12)
        assert found.counts[0, 0, row].sum() == len(kept)
    assert found.counts.sum() < whole.counts.sum()
    with pytest.raises(UsageError, match="primary"):
        load_results(folder, "demo", view="centred", leave_out=gone)


def test_what_two_tasks_share() -> None:
    data = load_task("mini")
    everything = shared_questions(data, data)
    assert set(everything) == {query.question for query in data.queries}
    half = keep_clusters(data, [0])
    others = keep_clusters(data, range(1, max(data.clusters) + 1))
    assert shared_questions(half, others) == {}
    same_title = replace(others, titles={**others.titles, "en:9": next(iter(half.titles.values()), "")})
    found = shared_questions(half, same_title)
    assert found  # an article of the same title, in another place
    assert all(why.startswith("title: ") for why in found.values())
    assert set(found) <= {query.question for query in half.queries}


def test_sums_that_were_altered_are_refused(folder: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(folder, tmp_path / "study"))
    path = place / "demo/alpha-0/seed-01/checkpoint-100.npz"
    with np.load(path) as found:
        parts = dict(found)
    sums = next(name for name in parts if "sums" in name)
    np.savez(path, **{**parts, sums: parts[sums] * 3})
    with pytest.raises(RecordError, match="is not the file that its run wrote"):
        load_results(place, "demo")
    assert load_results(place, "demo", only=["alpha-1"]).arms == ("alpha-1",)
