"""A study of an initial model from elsewhere, on a tiny transformer: untouched once, its dtype, its tests, its plan."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import ROOT, edit, page_blocks, ran, read_json, run, words
from tests.train.build import tiny_xlm_r
from xqr_bench.board.row import study_command
from xqr_bench.core.errors import UsageError
from xqr_bench.core.files import sha256_of
from xqr_bench.encode import embed_tasks, load_encoder
from xqr_bench.record import load_record
from xqr_bench.studies.ratio import design
from xqr_bench.studies.ratio.design import CONDITIONS, GIVEN, Condition, Numbers, Run, list_runs, plan_of
from xqr_bench.studies.ratio.findings import Asked, build_ratios
from xqr_bench.studies.ratio.form import FILE, save_ratios
from xqr_bench.studies.ratio.pvalues import p_values_again
from xqr_bench.studies.ratio.results import load_results
from xqr_bench.studies.ratio.scoring import as_it_encodes, encode, run_data
from xqr_bench.studies.ratio.sums import save_sums
from xqr_bench.studies.ratio.sweep import Grid, Sweep, sweep, tune
from xqr_bench.train import TrainCache, get_recipe
from xqr_bench.train.initial import load_base
from xqr_bench.train.texts import distinct_texts

PLAN = ROOT / "docs" / "e5-study-plan.md"
TINY = Condition(
    "tiny", "mini", "mini", None, aligned=False, given=True, own_language=True, arms=("alpha-0.5", "alpha-1", "alpha-0")
)
RECIPE = get_recipe(
    "paper",
    schedule="constant",
    updates=4,
    batch_size=6,
    learning_rate=0.01,
    precision="bf16",
    frozen_layers=0,
    dropout=0.0,
    max_length=64,
    train_length=32,
    parts=2,
    query_prompt="query: ",
    passage_prompt="passage: ",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train = run_data(Run(TINY, design.ARMS["alpha-0"], 0), TrainCache()).train
    return tiny_xlm_r(tmp_path_factory.mktemp("base") / "xlm-r", distinct_texts([train]))


@pytest.fixture(scope="module")
def these(base: Path) -> Numbers:
    return Numbers(str(base), RECIPE, 0, (100,), "cpu", "bfloat16")


@pytest.fixture(scope="module")
def study(these: Numbers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of two arms, two of a third, the initial model once."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CONDITIONS, "tiny", TINY)
        runs = list_runs(["tiny"], ["alpha-0.5", "alpha-1", "untrained"], range(3))
        runs += list_runs(["tiny"], ["alpha-0"], range(2))
        sweep(Sweep(runs, these, folder, PLAN))
    return folder


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONDITIONS, "tiny", TINY)
    monkeypatch.setattr("xqr_bench.studies.ratio.form.PRIMARY_CONDITIONS", ("tiny",))


def test_the_runs_of_the_plan_in_its_order() -> None:
    runs = list_runs([GIVEN], None, range(5))
    assert len(runs) == 31  # as the plan says: the initial model is scored once
    assert [run.arm.name for run in runs[:4]] == ["alpha-0.5", "alpha-0", "alpha-1", "untrained"]
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
    table = PLAN.read_text(encoding="utf-8").split("## Arms")[1].split("## ")[0]
    assert all(f"`{arm}`" in table for arm in CONDITIONS[GIVEN].arms)
    assert plan_of([GIVEN]) == PLAN.name
    with pytest.raises(UsageError, match="these conditions are of several plans"):
        plan_of(["S1b", GIVEN])


def test_the_initial_model_is_run_once_and_has_every_seed(study: Path) -> None:
    assert [path.name for path in (study / "tiny" / "untrained").iterdir()] == ["seed-00"]
    results = load_results(study, "tiny")
    assert results.seeds == (0, 1)
    assert results.left_out == {2: "not run yet: alpha-0"}
    sums = results.sums[results.arms.index("untrained")]
    assert np.array_equal(sums[0], sums[1])
    two = load_results(study, "tiny", among=("alpha-0.5", "alpha-1", "untrained"))
    assert (two.seeds, two.left_out) == ((0, 1, 2), {})


def test_a_record_says_how_it_was_made_and_the_command_makes_it_again(study: Path, base: Path, tmp_path: Path) -> None:
    place = study / "tiny/alpha-0.5/seed-01"
    assert not (place / "model.unfinished").exists()  # trained in one go: no checkpoints to write and remove
    record = load_record(place / "mini.json")
    assert (record.model.identity.dtype, record.model.identity.max_length) == ("bfloat16", 64)  # not the 32 of training
    assert record.model.identity.query_prompt == "query: "
    assert record.run_group["plan"] == sha256_of(PLAN)
    command = study_command(record)
    assert command is not None
    for part in ("--frozen-layers 0", "--dropout 0.0", "--train-length 32", "--parts 2", "--dtype bfloat16"):
        assert part in command
    assert "--query-prompt 'query: ' --passage-prompt 'passage: '" in command


def test_the_remedies_of_the_page_beside_the_untouched_model(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's commands: the file with fewer arms, tokens and rows, on the embedded task and the tiny model."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(base, "multilingual-e5-small")
    edit(Path("multilingual-e5-small/tokenizer_config.json"), lambda values: values.update(model_max_length=64))
    text = (ROOT / "docs" / "examples" / "e5-remedies.toml").read_text(encoding="utf-8")
    text = re.sub(r"^arms = \[.*?^\]$", 'arms = ["hybrid", "jsd-1"]', text, flags=re.DOTALL | re.MULTILINE)
    for usual, small in (
        ("tokens = 400000", "tokens = 5000"),
        ("batch_size = 64", "batch_size = 6"),
        ("workers = 2", "workers = 1"),
        ('"mlqa-r"', '"mini"'),
        ('"xquad-r"', '"mini"'),
    ):
        assert usual in text
        text = text.replace(usual, small)
    Path("e5-remedies.toml").write_text(text, encoding="utf-8")
    (block,) = [block for kind, block in page_blocks("ratio-study-how.md", "sh") if "e5-remedies" in block]
    first, untouched, transformed, last = [
        shlex.split(line.replace("xquad-r", "mini"))[1:] for line in block.splitlines()
    ]
    ran(*first, "--quiet")
    ran(*transformed, "--quiet")
    assert "no record of the same encoder untouched" in words(run(*last).err)
    ran(*untouched, "--quiet")
    names = ["untouched", "center", "infonce", "jsd"]
    found = json.loads(ran(*last, "--json").out)["curves"]
    assert [[dose["label"] for dose in curve["doses"]] for curve in found] == [names]
    shutil.rmtree(Path("e5-remedies") / "questions" / "untrained")  # evaluate makes it too, as the page says
    ran(*transformed[: transformed.index("--transform")], "--quiet")
    again = json.loads(ran(*last, "--json").out)["curves"]
    assert [[dose["label"] for dose in curve["doses"]] for curve in again] == [names]
    assert again[0]["doses"][0]["multilingual_map"] == found[0]["doses"][0]["multilingual_map"]


def test_vectors_are_those_of_evaluate_and_texts_are_read_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import PreTrainedTokenizerFast

    from xqr_bench.encode import EncoderOptions

    found = run_data(Run(TINY, design.ARMS["alpha-0"], 0), TrainCache())
    model = as_it_encodes(load_base(str(base), EncoderOptions(device="cpu"), RECIPE)[0], "bfloat16")
    slow = embed_tasks(load_encoder(model), [found.task])[found.task.name]
    calls: list[int] = []
    called = PreTrainedTokenizerFast.__call__
    monkeypatch.setattr(
        PreTrainedTokenizerFast, "__call__", lambda self, *a, **k: calls.append(1) or called(self, *a, **k)
    )
    cache = TrainCache()
    fast = encode(model, load_encoder(model), found, cache)
    assert np.array_equal(fast.queries, slow.queries)
    assert np.array_equal(fast.candidates, slow.candidates)
    assert (fast.truncated, fast.distinct_texts) == (slow.truncated, slow.distinct_texts)
    assert calls
    calls.clear()
    again = encode(model, load_encoder(model), found, cache)
    assert np.array_equal(again.queries, slow.queries)
    assert not calls


def test_own_language_first_is_tested_and_every_p_follows_from_the_files(study: Path, tmp_path: Path) -> None:
    found = build_ratios(Asked(study, PLAN, resamples=200, conditions=["tiny"]))
    (condition,) = found.conditions
    raw = condition.view()
    assert raw is not None
    assert [test.name for test in raw.tests] == ["H1", "H3"]  # one level of languages: no H2
    (part,) = raw.tests[1].parts
    own = raw.score("multilingual", "own_language_first")
    assert own is not None
    assert part.effect.estimate == pytest.approx(own.arms["alpha-1"].value - own.arms["alpha-0.5"].value, abs=1e-6)
    assert found.is_primary(condition, raw)
    assert [one.arm for one in condition.medians] == ["alpha-0", "alpha-0.5", "alpha-1", "untrained"]
    assert (condition.medians[-1].seed, condition.medians[-1].record) == (0, "tiny/untrained/seed-00/mini.json")
    save_ratios(found, tmp_path / FILE)
    save_sums(load_results(study, "tiny"), tmp_path / "sums-tiny.npz", own_language=True)
    again = p_values_again(tmp_path)
    assert again
    of_raw = [one for one in again if one.view == "raw"]
    assert [one for one in of_raw if one.differs or (one.computed is None and one.of_test)] == []
    assert "own language first" in {
        one.name.split(", ")[1] for one in again if one.computed is not None and not one.of_test
    }
    assert any(one.kind == "bootstrap" and one.name.startswith("H3") for one in again)


def test_a_rate_is_chosen_without_choosing_updates(these: Numbers, tmp_path: Path) -> None:
    grid = Grid((0.001, 0.01), (0.01,), (4,), 4, (1000,), replace(TINY, folds=2, use_folds=(0,)))
    assert grid.runs == 2 * 3
    ended: list[Any] = []
    result = tune(Sweep([], these, tmp_path, PLAN), grid, lambda run, well: ended.append(run.id))
    assert len(ended) == grid.runs
    assert result["second_step"] == []
    best = max(result["first_step"], key=lambda row: row["criterion"])
    assert result["chosen"] == {name: best[name] for name in ("learning_rate", "temperature", "updates")}


def test_on_the_command_line(base: Path, tmp_path: Path) -> None:
    given = ("--base", str(base), "--recipe", "paper", "--frozen-layers", "0", "--dtype", "bfloat16")
    these = ("sweep", "--output", str(tmp_path / "study"), *given, "--seeds", "0-1", "--checkpoints", "100")
    output = ran(*these, "--dry-run")
    assert output.out.splitlines()[:4] == [f"E1/{arm}/seed-00" for arm in CONDITIONS[GIVEN].arms[:4]]
    with pytest.raises(UsageError, match="a static model encodes in float32"):
        Numbers("static", get_recipe("static"), 0, dtype="bfloat16")
    with pytest.raises(UsageError, match="--dtype cannot be 'int4'"):
        Numbers("some/model", RECIPE, 0, (100,), dtype="int4")


def test_a_finished_study_is_read_back(study: Path) -> None:
    summary = read_json(study / "sweep.json")
    assert summary["numbers"]["dtype"] == "bfloat16"
    assert summary["plans_of_runs"] == [sha256_of(PLAN)]
