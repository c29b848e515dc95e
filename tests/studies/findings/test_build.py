"""From folders of runs to ratios.json, its page, plots and tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import ROOT, edit, ran, run, words
from tests.studies.test_design import PLAN
from tests.studies.test_results import FOLDED
from tests.studies.test_sweep import asked as sweep_of
from xqr_bench.board.row import study_command
from xqr_bench.core.errors import RecordError, UnknownNameError, UsageError
from xqr_bench.core.files import sha256_of
from xqr_bench.record import load_record
from xqr_bench.studies.ratio.design import ARMS, CONDITIONS, Run, list_runs
from xqr_bench.studies.ratio.findings import Asked, _published, build_ratios
from xqr_bench.studies.ratio.form import FILE, STUDY_FILE, Condition, Ratios, load_ratios, save_ratios
from xqr_bench.studies.ratio.pvalues import BOOTSTRAP, EFFECT, SUMS, p_values_again
from xqr_bench.studies.ratio.results import LEVELS, load_results
from xqr_bench.studies.ratio.run import DONE
from xqr_bench.studies.ratio.sums import load_sums, save_sums
from xqr_bench.studies.ratio.sweep import sweep
from xqr_bench.studies.ratio.tables import origins, sentences, study_tables

PUBLISHED = ROOT / "leaderboard" / "published" / "elmahdy-2024.json"
MAIN = ["alpha-0", "alpha-0.5", "alpha-1", "untrained"]


def represented(folder: Path) -> None:
    """Tiny models do not tell texts of some languages apart; here they count all the same."""
    for path in folder.rglob(DONE):
        edit(
            path, lambda found: found.update(distinct_query_vectors=dict.fromkeys(found["distinct_query_vectors"], 1.0))
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("findings")
    sweep(sweep_of(place, runs=list_runs(["demo"], MAIN, [0, 1, 2])))
    represented(place)
    return place


@pytest.fixture(scope="module")
def found(folder: Path) -> Ratios:
    return build_ratios(Asked(folder, PLAN, resamples=200, published=PUBLISHED))


def demo(found: Ratios) -> Condition:
    (condition,) = found.conditions
    return condition


def test_figures_are_the_means_of_the_runs(folder: Path, found: Ratios) -> None:
    for view in demo(found).views:
        assert {one.name for one in demo(found).arms} >= set(MAIN)
        for arm in ("alpha-0", "alpha-0.5", "alpha-1"):
            runs = [json.loads((folder / f"demo/{arm}/seed-{s:02d}/run.json").read_text("utf-8")) for s in (0, 1, 2)]
            for one in view.scores:
                if one.part == "all":
                    name = f"{one.setting}/{one.metric}"
                    scores = [run["scores"][str(view.percent)][view.view][name] for run in runs]
                    assert one.arms[arm].value == pytest.approx(np.mean(scores), rel=1e-6)
                    assert one.arms[arm].deviation == pytest.approx(np.std(scores, ddof=1), rel=1e-5, abs=1e-12)
    assert [(one.view, one.percent) for one in demo(found).views] == [
        (view, percent) for percent in (25, 50, 100, 200) for view in ("raw", "centred")
    ]


def test_every_p_follows_from_the_published_files(folder: Path, found: Ratios, tmp_path: Path) -> None:
    save_ratios(found, tmp_path / FILE)
    results = load_results(folder, "demo")
    path = save_sums(results, tmp_path / SUMS.format("demo"))
    again = p_values_again(tmp_path)
    assert not any(one.differs for one in again)
    tests = [one for one in again if one.of_test]
    assert {one.kind for one in tests if one.computed is None and one.stated is not None} == {BOOTSTRAP}
    drawn = [one for one in again if one.kind == BOOTSTRAP and (one.view, one.percent) == ("raw", 100)]
    assert len(drawn) == 5  # H1 and its four parts
    assert [one.computed for one in drawn] == pytest.approx([one.stated for one in drawn], abs=1e-7)
    assert all(one.computed is None for one in again if one.kind == BOOTSTRAP and one not in drawn)
    effects = [one for one in tests if one.kind in EFFECT.values()]
    assert len(effects) == 3 * 4  # estimate and interval of H1's parts
    assert [one.computed for one in effects] == pytest.approx([one.stated for one in effects], abs=1e-7)
    figures = {(one.name, one.kind): one for one in again if not one.of_test}
    value = demo(found).view().score("multilingual", "map").arms["alpha-1"]
    assert figures["alpha-1, multi MAP", "lower end"].computed == pytest.approx(value.low, abs=1e-7)
    gap = figures["alpha-1 minus alpha-0.5, mono MAP", "upper end"]
    assert gap.stated == demo(found).view().score("monolingual", "map").arms["alpha-1"].difference.high
    assert gap.computed == pytest.approx(gap.stated, abs=1e-7)
    assert ("aligned minus untrained, multi MAP", "estimate") not in figures  # no such arm
    assert figures["alpha-1, cross MAP", "estimate"].computed is None  # what is tested has sums
    assert "0 differ" in ran("report", "p-values", str(tmp_path)).out
    # a table of Markdown breaks no cell, however narrow the terminal is
    assert "alpha-1 minus alpha-0.5, mono MAP" in ran("report", "p-values", str(tmp_path), "--full", "--markdown").out
    stored = load_sums(path)
    rows = [results.rows.index(row) for row in stored.rows]
    assert np.array_equal(stored.sums, results.sums[:, :, rows])
    assert np.array_equal(stored.counts, results.counts[:, :, rows])
    assert (stored.arms, stored.seeds) == (results.arms, results.seeds)
    assert save_sums(stored, tmp_path / "again.npz").read_bytes() == path.read_bytes()

    def worse(data: dict[str, Any]) -> None:
        data["conditions"][0]["views"][4]["tests"][0]["parts"][0]["p_t"] += 0.01

    def other_arm(data: dict[str, Any]) -> None:
        raw = next(view for view in data["conditions"][0]["views"] if (view["view"], view["percent"]) == ("raw", 100))
        raw["scores"][0]["arms"]["untrained"]["value"] += 0.01

    edit(tmp_path / FILE, worse)
    failed = run("report", "p-values", str(tmp_path))
    assert (failed.code, "1 differ" in failed.out) == (1, True)
    edit(tmp_path / FILE, other_arm)
    failed = run("report", "p-values", str(tmp_path))
    assert "2 differ" in failed.out
    assert "untrained, mono MAP" in words(failed.out)


def test_sums_of_other_runs_are_told(folder: Path, found: Ratios, tmp_path: Path) -> None:
    """Half of each sum gives the same p: estimate and interval are not the stated ones."""
    save_ratios(found, tmp_path / FILE)
    path = save_sums(load_results(folder, "demo"), tmp_path / SUMS.format("demo"))
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **{**arrays, "sums": arrays["sums"] / 2})
    failed = run("report", "p-values", str(tmp_path))
    assert failed.code == 1
    assert "differs: estimate" in failed.out
    np.savez(path, **{**arrays, "seeds": arrays["seeds"] + 1})
    other = run("report", "p-values", str(tmp_path)).err
    assert "has other seeds than ratios.json tests\n  found: 1, 2, 3, tested: 0, 1, 2" in other
    np.savez(path, **{**arrays, "rows": np.array([f"x/y/{n}" for n in range(len(arrays["rows"]))])})
    assert f"{path.name} is not of condition demo" in run("report", "p-values", str(tmp_path)).err
    path.unlink()
    assert "the p by bootstrap of demo: no sums-demo.npz" in ran("report", "p-values", str(tmp_path)).out


@pytest.mark.parametrize("change", [{"seeds": np.arange(2)}, {"levels": np.array(["none"])}, {"sums": None}])
def test_sums_that_do_not_belong_together_are_refused(folder: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    path = save_sums(load_results(folder, "demo"), tmp_path / "sums.npz")
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name not in change}
    np.savez(path, **arrays, **{name: value for name, value in change.items() if value is not None})
    with pytest.raises(RecordError, match=r"sums\.npz cannot be"):
        load_sums(path)


def test_the_difference_is_that_of_the_means_and_its_band_is_paired(found: Ratios) -> None:
    view = demo(found).view()
    score = view.score("multilingual", "map")
    one = score.arms["alpha-1"]
    assert one.difference.estimate == pytest.approx(one.value - score.arms["alpha-0.5"].value, abs=1e-8)
    assert score.arms["alpha-0.5"].difference is None
    assert view.score("multilingual", "map", "language", "th") is not None
    early = demo(found).view("raw", 25)
    assert early.score("multilingual", "map", "language", "th") is None
    assert "alpha-1-half" not in early.score("multilingual", "map").arms


def test_tests_and_claims_at_every_checkpoint(found: Ratios) -> None:
    for view in demo(found).views:
        assert [test.name for test in view.tests] == ["H1"]  # all languages of mini are trained
        assert "H2: all query languages have the same level" in view.missing
        assert [claim.number for claim in view.claims] == ["1", "2", "3", "4a", "4b"]
    assert not any(found.is_primary(demo(found), view) for view in demo(found).views)
    assert not demo(found).view().score("multilingual", "map").best  # not all alphas


def test_controls_at_every_checkpoint_and_what_centring_leaves(found: Ratios) -> None:
    halves = {
        "alpha-0.5 minus alpha-1-half",
        "alpha-0.5 minus alpha-0-half",
        "alpha-1 minus alpha-1-half",
        "alpha-0 minus alpha-0-half",
    }
    for view in demo(found).views:  # half of 25% is no checkpoint
        asked = {"alpha-0.5 minus untrained", *(halves if view.percent > 25 else ())}
        assert {one.contrast for one in view.controls} == asked
    raw, centred = demo(found).view(), demo(found).view("centred")
    moved = {(one.contrast, f"{one.setting}/{one.metric}"): one for one in demo(found).centring}
    assert {contrast for contrast, _ in moved} > halves
    for before, after in zip(raw.controls, centred.controls, strict=True):
        for name, effect in before.effects.items():
            one = moved[before.contrast, name]
            assert (one.raw, one.centred) == (effect, after.effects[name])
            assert one.lost.estimate == pytest.approx(
                effect.estimate - after.effects[name].estimate, rel=1e-4, abs=1e-7
            )


def test_the_choice_of_the_numbers_is_told(folder: Path, found: Ratios, tmp_path: Path) -> None:
    assert found.tuning is None
    assert study_tables(found) == []
    shutil.copytree(folder, tmp_path / "study")
    tried = {"learning_rate": 0.1, "temperature": 0.5, "monolingual": 0.2, "multilingual": 0.4, "criterion": 0.3}
    steps = {"first_step": [{**tried, "updates": 4, "runs": 6}], "second_step": [{**tried, "updates": 8, "runs": 6}]}
    choice = {"chosen": {}, "arms": ["alpha-0"], "seeds": [1000], **steps}
    (tmp_path / "study" / "tuning.json").write_text(json.dumps(choice), encoding="utf-8")
    (table,) = study_tables(build_ratios(Asked(tmp_path / "study", PLAN, resamples=100)))
    assert table.rows[1] == ("updates", "0.1", "0.5", "8", ".2000", ".4000", ".3000")
    for broken in ("[", "[]", "{}", json.dumps({**choice, "first_step": [{"learning_rate": "x"}]})):
        (tmp_path / "study" / "tuning.json").write_text(broken, encoding="utf-8")
        with pytest.raises(RecordError, match=r"tuning\.json"):
            build_ratios(Asked(tmp_path / "study", PLAN, resamples=100))


def test_medians_and_the_commands_that_make_them_again(folder: Path, found: Ratios, tmp_path: Path) -> None:
    view = demo(found).view()
    assert view is not None
    assert [one.arm for one in demo(found).medians] == ["alpha-0", "alpha-0.5", "alpha-1"]
    for one in demo(found).medians:
        record = load_record(folder / one.record)
        assert (record.run_group["arm"], record.run_group["seed"]) == (one.arm, one.seed)
        assert record.scores["multilingual"].macro["map"].value == pytest.approx(one.value, rel=1e-6)
        shown = ran(*one.command.split()[1:], "--dry-run")
        assert shown.out.splitlines()[0] == f"demo/{one.arm}/seed-{one.seed:02d}"
    command = demo(found).medians[1].command
    words = command.split()
    assert words[:3] == ["xqr-bench", "sweep", "--output"]
    places = {one.command.split()[3] for one in demo(found).medians}
    assert len(places) == 3  # each in a folder of its own: none is refused for another's numbers
    for option, value in (("--arm", "alpha-0.5"), ("--condition", "demo"), ("--updates", "8"), ("--batch-size", "4")):
        assert words[words.index(option) + 1] == value
    assert study_command(record.model_copy(update={"run_group": None})) is None


def test_the_same_bytes(folder: Path, found: Ratios, tmp_path: Path) -> None:
    again = build_ratios(Asked(folder, PLAN, resamples=200, published=PUBLISHED))
    paths = [save_ratios(one, tmp_path / f"{k}.json") for k, one in enumerate((found, again))]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert load_ratios(paths[0]) == found
    other = build_ratios(Asked(folder, PLAN, resamples=200, seed=1))
    assert save_ratios(other, tmp_path / "2.json").read_bytes() != paths[0].read_bytes()


def test_plans_are_told_apart(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "study")
    edit(tmp_path / "study/demo/alpha-1/seed-00/run.json", lambda run: run["run_group"].update(plan="0" * 64))
    found = build_ratios(Asked(tmp_path / "study", PLAN, resamples=100))
    assert demo(found).plans == {"0" * 64: 1, sha256_of(PLAN): 11}
    assert "11 of 12 runs under the present plan" in dict(origins(found, demo(found)))["plan"]


def test_a_sweep_in_its_midst(folder: Path, tmp_path: Path) -> None:
    for arm, seeds in (("alpha-0.5", (0, 1)), ("untrained", (0,))):
        for seed in seeds:
            place = f"demo/{arm}/seed-{seed:02d}"
            shutil.copytree(folder / place, tmp_path / place)
    shutil.copy(folder / "study.json", tmp_path)
    training = tmp_path / "demo/untrained/seed-01/model.unfinished"  # of a training, which has a run.json too
    training.mkdir(parents=True)
    (training / DONE).write_text("{}", "utf-8")
    condition = demo(build_ratios(Asked(tmp_path, PLAN, resamples=100)))
    assert sum(condition.plans.values()) == 3
    assert condition.seeds == [0]
    assert condition.left_out == {1: "not run yet: untrained"}
    view = condition.view()
    assert not view.tests
    assert "the tests: no results of alpha-0, alpha-1" in view.missing
    assert {claim.verdict for claim in view.claims} == {"cannot be told"}
    assert any(
        "no results of alpha-0" in text
        for text in sentences(build_ratios(Asked(tmp_path, PLAN, resamples=100)), condition)
    )


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("folded")
    runs = [Run(FOLDED, ARMS[arm], seed, fold) for arm in MAIN[:3] for seed in (0, 1) for fold in (0, 1)]
    sweep(sweep_of(place, runs=runs))
    represented(place)
    return place


def test_languages_held_out_by_rotation(folded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONDITIONS, "folded", FOLDED)
    condition = demo(build_ratios(Asked(folded, PLAN, resamples=100)))
    levels = {one.code: one.level for one in condition.languages}
    assert levels["th"] == "retrieval-trained and untouched"
    assert levels["ar"] == "retrieval-trained"
    view = condition.view()
    assert condition.medians == []
    assert view.missing == []
    assert [test.name for test in view.tests] == ["H1", "H2"]
    assert view.claims[-1].parts
    trained, other = (view.score("multilingual", "map", "level", level) for level in LEVELS)
    everything = view.score("multilingual", "map")
    # 11 languages are trained in some fold, 3 are held out in one
    for arm in MAIN[:3]:
        mean = (11 * trained.arms[arm].value + 3 * other.arms[arm].value) / 14
        assert everything.arms[arm].value == pytest.approx(mean, rel=1e-5)


def test_an_initial_model_from_elsewhere_is_named(
    folded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folded, tmp_path, dirs_exist_ok=True)
    monkeypatch.setitem(CONDITIONS, "folded", FOLDED)
    for base, begin, level in (
        ("static", "random initial model", "retrieval-trained and untouched"),
        ("labse", "initial model labse", "retrieval-trained and not retrieval-trained"),
        ("/some/where/minilm", "initial model minilm", "retrieval-trained and not retrieval-trained"),
    ):
        edit(tmp_path / STUDY_FILE, lambda about: about["numbers"].update(base=base))  # noqa: B023
        found = build_ratios(Asked(tmp_path, PLAN, resamples=100))
        condition = demo(found)
        assert begin in condition.about
        assert "/some/" not in found.model_dump_json()
        assert {one.code: one.level for one in condition.languages}["th"] == level


def test_the_papers_differences() -> None:
    effects, source = _published(PUBLISHED, "xquad-r")
    assert source.startswith("Elmahdy et al. 2024")
    lower = {code for code, of in effects.items() if of["XLM-R"][0] < 0}
    assert {"ar", "el", "hi", "vi"} <= lower
    assert {"en", "es"}.isdisjoint(lower)
    assert effects["el"]["XLM-R"][0] == pytest.approx(-0.004, abs=0.0006)  # .560 against .564
    assert _published(None, "xquad-r") == ({}, None)
    assert _published(PUBLISHED, "mini") == ({}, None)


def test_the_command(folder: Path, tmp_path: Path) -> None:
    more = ("--resamples", "100", "--plan", str(PLAN))
    done = ran("report", "ratios", str(folder), "--output", str(tmp_path / "a"), *more)
    assert "median seed of alpha-0.5" in done.out
    written = {path.relative_to(tmp_path / "a").as_posix() for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert {"ratios.json", "ratios.html", "plots/demo-settings.png", "plots/demo-languages-difference.svg"} <= written
    printed = ran("report", "ratios", str(folder), "--output", str(tmp_path / "b"), *more, "--markdown").out
    assert printed.startswith("## demo: ")
    assert "| alpha-0.5 | " in printed
    assert "Means over 3 seeds." in printed
    for name in written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_one_seed_and_what_is_not_here_are_told(folder: Path, tmp_path: Path) -> None:
    for arm in ("alpha-0.5", "alpha-1"):
        shutil.copytree(folder / f"demo/{arm}/seed-00", tmp_path / f"study/demo/{arm}/seed-00")
    shutil.copy(folder / "study.json", tmp_path / "study")
    (tmp_path / "study/S1b/alpha-0/seed-00").mkdir(parents=True)
    (tmp_path / "study/S1b/alpha-0/seed-00" / DONE).write_text("{}", "utf-8")
    command = ("report", "ratios", str(tmp_path / "study"), "--output", str(tmp_path / "a"), "--resamples", "100")
    printed = ran(*command, "--plan", str(PLAN), "--markdown").out
    assert "In brackets: 95% intervals of one seed's training, articles drawn again." in printed
    assert "seeds and articles" not in printed
    assert printed.strip().splitlines()[-1].startswith("Not here: S1b: ")
    assert "articles are drawn again, of one training" in (tmp_path / "a" / "ratios.html").read_text("utf-8")


def test_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="there is no study"):
        build_ratios(Asked(tmp_path, PLAN))
    with pytest.raises(UnknownNameError, match="S1c"):
        build_ratios(Asked(folder, PLAN, conditions=["S1c"]))
    with pytest.raises(RecordError, match="no seed of S1b"):
        build_ratios(Asked(folder, PLAN, conditions=["S1b"]))
    with pytest.raises(UsageError, match="too few for intervals"):
        build_ratios(Asked(folder, PLAN, resamples=10))
    with pytest.raises(UsageError, match="no plan"):
        build_ratios(Asked(folder, tmp_path / "plan.md"))
    shutil.copy(folder / "study.json", tmp_path)
    with pytest.raises(RecordError, match="no condition to report"):
        build_ratios(Asked(tmp_path, PLAN))


def test_a_file_of_another_form_is_refused(found: Ratios, tmp_path: Path) -> None:
    path = save_ratios(found, tmp_path / "ratios.json")
    text = path.read_text(encoding="utf-8")
    for wrong, message in (
        (text.replace('"ratios_version":2', '"ratios_version":1'), "ratios_version"),
        (text.replace('"seed":0', '"seed":0,"more":1', 1), "more"),
        ("[", "is no ratios.json"),
    ):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(RecordError, match=message):
            load_ratios(path)
    with pytest.raises(RecordError, match="cannot read"):
        load_ratios(tmp_path / "none.json")
