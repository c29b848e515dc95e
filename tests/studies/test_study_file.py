"""`sweep FILE.toml`: a study of one's own, its faults, and what its runs write."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import PARTIAL, page_text, ran, read_json, run, words
from xqr_bench.board.row import reproduce_command, study_command
from xqr_bench.cli.sweep import IN_FILE
from xqr_bench.core.errors import UnknownNameError
from xqr_bench.core.files import sha256_of
from xqr_bench.core.toml import FaultyFileError
from xqr_bench.record import load_record
from xqr_bench.studies.ratio import results as results_module
from xqr_bench.studies.ratio.design import ARMS, CONDITIONS, numbers_of, read_seeds
from xqr_bench.studies.ratio.form import load_ratios
from xqr_bench.studies.ratio.results import LEVELS, load_results
from xqr_bench.studies.ratio.study_file import read_study
from xqr_bench.train import TrainConfig, get_recipe, train

SCORE = ("multilingual", "map", "all")
STUDY = """
name = "remedies"
output = "remedies"
seeds = [0, 1]
checkpoints = [50, 100]
updates = 4
batch_size = 6
vocabulary = 320
dimensions = 8
arms = ["hot", "alpha-0", "untrained", "alpha-0.3"]

[[condition]]
name = "M"
train = "mini"
evaluate = "mini"
folds = 3
use_folds = [0]
held_out = [["de"], ["th"]]

[[arm]]
name = "hot"
about = "alpha .5 at a high temperature"
strategy = "mono-first"
turn = true
temperature = 0.5
loss = "infonce"
loss_args = {}
"""


def written(folder: Path, text: str = STUDY) -> Path:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_study_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path)
    listed = ran("sweep", str(path), "--dry-run").out
    assert listed.splitlines()[:4] == [
        f"M/{arm}/seed-00/fold-0" for arm in ("hot", "alpha-0", "untrained", "alpha-0.3")
    ]
    assert "8 of 8 runs are missing" in words(listed)
    assert "scored at 50, 100%" in words(listed)
    ran("sweep", str(path), "--seeds", "1", "--arm", "hot", "--quiet")
    done = read_json(tmp_path / "remedies/M/hot/seed-01/fold-0/run.json")
    assert done["run_group"]["study"] == "remedies"
    assert done["run_group"]["plan"] == read_json(tmp_path / "remedies/sweep.json")["plan"] != ""
    assert done["training"]["recipe"]["temperature"] == 0.5
    assert done["training"]["training"]["plan"]["turn"] == 2
    assert "th" not in done["training"]["languages"]["trained"]  # group 0 + seed 1
    assert done["design"]["condition"]["held_out"] == [["de"], ["th"]]
    assert "7 of 8 runs are missing" in words(ran("sweep", str(path), "--dry-run").out)
    record = load_record(tmp_path / "remedies/M/hot/seed-01/fold-0/mini.json")
    command = study_command(record)
    assert command == "xqr-bench sweep --output study-M-hot-1 study.toml --condition M --arm hot --seeds 1"
    assert reproduce_command(record).needs == f"the file of the study, SHA-256 {sha256_of(path)}"


def test_what_the_command_line_said_in_place_of_the_file_stands_in_the_command_of_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, plan = written(tmp_path), tmp_path / "my plan.md"
    plan.write_text("hot or not", encoding="utf-8")
    asked = ("sweep", "study.toml", "--arm", "hot", "--seeds", "1", "--updates", "8", "--checkpoints", "100", "--quiet")
    ran(*asked, "--batch-size", "6", "--query-prompt", "- \\nAsk: ", "--plan", str(plan), "--output", "other")
    record = load_record(tmp_path / "other/M/hot/seed-01/fold-0/mini.json")
    shown = reproduce_command(record)
    assert shown.command == (
        "xqr-bench sweep --output study-M-hot-1 study.toml --condition M --arm hot --seeds 1 --updates 8 "
        "'--query-prompt=- \\nAsk: ' --checkpoints 100 --plan 'my plan.md'"  # the batch size is that of the file
    )
    assert shown.needs == f"the file of the study, SHA-256 {sha256_of(path)}; its plan, SHA-256 {sha256_of(plan)}"
    ran(*shlex.split(shown.command)[1:], "--quiet")
    again = load_record(tmp_path / "study-M-hot-1/M/hot/seed-01/fold-0/mini.json")
    assert again.ranks_file.digest == record.ranks_file.digest
    assert again.run_group == record.run_group
    for part in ("recipe", "arguments", "weights_digest"):
        assert again.training[part] == record.training[part]
    hostile: dict[str, dict[str, Any]] = {
        "a path": {"file": "../study.toml"},
        "an option for a file": {"file": "--help"},
        "an option that is none": {"options": {"shell": "x"}},
        "a list": {"options": {"updates": [8]}},
        "what no terminal shows": {"options": {"query_prompt": "\u202eq"}},
    }
    for name, change in hostile.items():
        training = {**record.training, "arguments": {**record.training["arguments"], **change}}
        assert study_command(record.model_copy(update={"training": training})) is None, name
    earlier = record.model_copy(update={"training": {**record.training, "arguments": {}}})
    assert study_command(earlier).endswith("study-M-hot-1 remedies.toml --condition M --arm hot --seeds 1")
    assert f"the plan that it names has the SHA-256 {sha256_of(plan)}" in reproduce_command(earlier).needs


def test_it_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "\n".join(line for line in STUDY.splitlines() if not line.startswith(("folds", "use_folds", "held_out")))
    path = written(tmp_path, text)
    ran("sweep", str(path), "--quiet")
    few = ("--resamples", "100", "--quiet")
    done = run("report", "ratios", "remedies", "--output", "report", *few)
    assert "remedies is of the study remedies, not of ratio" in words(done.err)
    assert "--study FILE.toml" in done.err
    ran("report", "ratios", "remedies", "--study", str(path), "--output", "report", *few)
    found = load_ratios(tmp_path / "report" / "ratios.json")
    (condition,) = found.conditions
    assert (found.study, condition.name, condition.seeds) == ("remedies", "M", [0, 1])
    assert found.plan == sha256_of(path) == next(iter(condition.plans))
    assert [arm.name for arm in condition.arms] == ["hot", "alpha-0", "untrained", "alpha-0.3", "alpha-0-half"]
    assert condition.arms[0].about == "alpha .5 at a high temperature"
    score = next(one for one in condition.view().scores if (one.setting, one.metric, one.part) == SCORE)
    stored = [
        load_record(tmp_path / f"remedies/M/hot/seed-0{seed}/mini.json").scores["multilingual"].macro["map"].value
        for seed in (0, 1)
    ]
    assert score.arms["hot"].value == pytest.approx(np.mean(stored), abs=1e-8)
    assert {one.arm for one in condition.medians} == {"hot", "alpha-0", "untrained", "alpha-0.3"}
    shown = ran("report", "p-values", "report").out
    assert "0 figures" not in shown
    assert ", 0 differ" in shown


def test_the_list_says_how_long_each_arm_is_trained_and_what_it_has_of_its_own(tmp_path: Path) -> None:
    asked = ("--output", str(tmp_path / "x"), "--dry-run")

    def listed(text: str) -> str:
        return words(ran("sweep", str(written(tmp_path, text)), *asked).out)

    own = STUDY.replace("[50, 100]\nupdates = 4\n", "[100]\n").replace("turn = true", "tokens = 3000")
    told = listed(own)
    assert "hot: trained for 3000 tokens; alpha-0, alpha-0.3: trained for 600 updates and scored at 100%" in told
    assert "recipe: 600 updates, learning rate 0.001, temperature 0.05;" in told
    assert "hot has of its own: temperature 0.5, tokens 3000, loss infonce" in told
    told = listed(own.replace('"hot", "alpha-0", "untrained", "alpha-0.3"', '"hot", "untrained"'))
    assert "each is trained for 3000 tokens and scored at 100%" in told
    assert "updates" not in told
    assert "none is trained" in listed(STUDY.replace('"hot", "alpha-0", "untrained", "alpha-0.3"', '"untrained"'))


OWN_DATA = f"""
name = "own"
output = "own"
seeds = "0-1"
checkpoints = [100]
updates = 2
batch_size = 6
vocabulary = 320
dimensions = 8
arms = ["alpha-0.5", "untrained"]

[[condition]]
name = "M"
train = "own.jsonl"
evaluate = "{PARTIAL.as_posix()}"
"""


def test_data_and_task_of_ones_own_are_reported_with_an_arm_without_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which needs the languages of the training data, though it was trained on none."""
    monkeypatch.chdir(tmp_path)
    path, data = written(tmp_path, OWN_DATA), tmp_path / "own.jsonl"
    lines = [
        {
            "id": f"q{n}",
            "article": f"a{n // 3}",
            "languages": {
                "en": {"query": f"What about the bees number {n}?", "passage": f"The bees is thing {n}."},
                "de": {"query": f"Was ist mit Bienen Nummer {n}?", "passage": f"Bienen ist Ding {n}."},
            },
        }
        for n in range(9)
    ]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    ran("sweep", str(path), "--quiet")
    study, folder = read_study(path, IN_FILE), tmp_path / "own"
    with monkeypatch.context() as patch:  # as an earlier version left it
        known = results_module.load_compact
        patch.setattr(results_module, "load_compact", lambda path: (known(path)[0], {"trained": []}))
        earlier = load_results(folder, "M", study=study)
    data.rename(tmp_path / "elsewhere.jsonl")  # the folder of the runs is enough
    found = load_results(folder, "M", study=study)
    levels = {row.split("/")[2].split(">")[0]: level for row, level in zip(found.rows, found.levels, strict=True)}
    trained, other = LEVELS
    assert levels == {"de": trained, "en": trained, "es": other, "vi": other}
    assert (earlier.rows, earlier.levels) == (found.rows, found.levels)
    ran("report", "ratios", "own", "--study", str(path), "--output", "report", "--resamples", "100", "--quiet")
    assert {one.arm for one in load_ratios(tmp_path / "report/ratios.json").conditions[0].medians} == set(found.arms)


LOSSES = """
name = "losses"
output = "losses"
plan = "plan.md"
seeds = "0-1"
checkpoints = [100]
updates = 2
batch_size = 6
vocabulary = 320
dimensions = 8
arms = ["plain", "lakda", "untrained"]

[[condition]]
name = "T"
train = "mini"
evaluate = "mini"

[[arm]]
name = "plain"
alpha = 0.5

[[arm]]
name = "lakda"
alpha = 0.5
loss = "lakda"
"""


def test_the_report_is_of_what_was_run_and_says_nothing_of_ratios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.md").write_text("two losses", encoding="utf-8")
    path = written(tmp_path, LOSSES)
    ran("sweep", str(path), "--quiet")
    asked = ("report", "ratios", "losses", "--study", str(path), "--output", "report", "--resamples", "100")
    said = ran(*asked).out
    assert "all 6 runs under the present plan" in words(said)  # the file's plan, as the sweep took it
    assert "Claims of the paper" not in said
    assert "Not tested" not in said
    control = load_ratios(tmp_path / "report" / "ratios.json").conditions[0].view().controls[0]
    assert f"- lakda minus plain: {control.reading}." in said
    found = load_ratios(tmp_path / "report" / "ratios.json")
    assert found.plan == sha256_of(tmp_path / "plan.md")
    assert {one.contrast for one in found.conditions[0].view().controls} == {"lakda minus plain"}
    page = (tmp_path / "report" / "ratios.html").read_text(encoding="utf-8")
    assert "The study losses" in page
    for of_the_built_in in ("The ratio", "trained alike but for alpha", "Across: alpha", "S1b"):
        assert of_the_built_in not in page
    for arm, told in (
        ("lakd", "there is no arm named 'lakd'"),
        ("alpha-0.3", "losses has no runs of the arm alpha-0.3"),
    ):
        assert told in words(run(*asked, "--arm", "plain", "--arm", arm).err)
    written(tmp_path, LOSSES.replace("alpha = 0.5\nloss", "alpha = 0.25\nloss"))
    for again in (asked, ("sweep", str(path))):
        assert "design.arm.plan.alpha: 0.5, now 0.25" in words(run(*again).err)
    shutil.rmtree(tmp_path / "losses" / "T")
    written(tmp_path, LOSSES)
    lacking = words(run(*asked, "--condition", "T").err)
    assert f"xqr-bench sweep {path} --output losses --condition T" in lacking


def test_another_study_or_other_numbers_in_the_same_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path)
    ran("sweep", str(path), "--seeds", "0", "--arm", "untrained", "--quiet")
    for change, told in (
        (STUDY.replace('name = "remedies"', 'name = "others"'), "study: remedies there, others now"),
        (STUDY.replace("updates = 4", "updates = 8"), "updates: 4 there, 8 now"),
        (STUDY.replace("folds = 3", "folds = 4"), "design"),
    ):
        assert told in words(run("sweep", str(written(tmp_path, change))).err)


def test_the_built_in_study_stays_available_by_name(tmp_path: Path) -> None:
    asked = [
        "--condition",
        "demo",
        "--arm",
        "alpha-0",
        "--seeds",
        "0",
        "--dry-run",
        "--batch-size",
        "4",
        "--output",
        str(tmp_path / "x"),
    ]
    assert ran("sweep", "ratio", *asked).out == ran("sweep", *asked).out
    with pytest.raises(UnknownNameError, match="no arm"):
        read_study(written(tmp_path), IN_FILE).runs(["M"], ["warm"], [0])


FAULTS = """name = "ratio"
chekpoints = [1]
seeds = [0, 1.5]
learning_rate = -1.0
[[condition]]
name = "a/b"
train = "mini"
[[condition]]
name = "b"
train = "mini"
evaluate = "minni"
aligned = true
folds = 1
[[arm]]
name = "x"
lose = "x"
[[arm]]
name = "y"
loss = "lakd"
alpha = 1
[[arm]]
name = "y"
temperature = -1
alpha = 1
[[arm]]
name = "z"
alpha = 2
[[arm]]
name = "w"
loss_args = {a = 1}
alpha = 1
[[arm]]
name = "alpha-0.3"
alpha = 0.3
[[arm]]
name = "untrained"
alpha = 1
[[condition]]
name = "Shared"
train = "mini"
evaluate = "mini"
"""


def test_all_faults_of_a_file_at_once_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(FaultyFileError) as caught:
        read_study(written(tmp_path, FAULTS), IN_FILE)
    assert [(place, fault.problem) for place, fault in caught.value.faults] == [
        ("line 1, name", "ratio is the name of the built-in study"),
        ("line 2, chekpoints", "there is no option 'chekpoints' here"),
        ("line 3, seeds", "seeds cannot be [0, 1.5]"),
        ("line 4, learning_rate", "learning_rate cannot be -1.0"),
        ("line 5, condition 1", "evaluate is missing"),
        ("line 6, condition 1, name", "the name of the condition cannot be 'a/b'"),
        ("line 11, condition 2, evaluate", "there is no task named 'minni'"),
        ("line 12, condition 2, aligned", "aligned needs a bitext"),
        ("line 13, condition 2, folds", "folds cannot be 1"),
        ("line 16, arm 1, lose", "there is no option 'lose' here"),
        ("line 19, arm 2, loss", "there is no loss named 'lakd'"),
        ("line 22, arm 3, name", "two arms are named 'y'"),
        ("line 23, arm 3, temperature", "temperature cannot be -1.0"),
        ("line 27, arm 4, alpha", "the ratio of monolingual batches is 2.0"),
        ("line 30, arm 5, loss_args", "there is no argument of the loss infonce named 'a'"),
        ("line 33, arm 6, name", "alpha-0.3 is a built-in arm"),
        ("line 36, arm 7, name", "untrained is a built-in arm"),
        (
            "line 39, condition 3, name",
            "a condition cannot be named Shared, as a file or folder of every study is",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seeds = '0'\n", "it names no condition"),
        ("conditions = ['S1b']\n", "it names no arm"),
        ("condition = 3\n", "condition is no list of tables"),
        ("arms = ['none']\nconditions = ['S1b']\n", "there is no arm named 'none'"),
        ("[[arm]]\nalpha = 1\n", "the arm has no name"),
        ("[[arm]]\nname = 'x'\ntemperature = 0.1\n", "line 1, arm 1: it does not say how its batches are made"),
        ("x = [", "not TOML"),
    ],
)
def test_files_that_are_no_study(tmp_path: Path, text: str, told: str) -> None:
    done = run("sweep", str(written(tmp_path, text)), "--output", str(tmp_path / "x"))
    assert done.code == 1
    assert told in words(done.err)


def test_a_condition_is_not_named_as_what_stands_beside_it(tmp_path: Path) -> None:
    """All that a sweep wrote into its folder beside the runs of its conditions, and the choice of the numbers."""
    path = written(tmp_path)
    ran("sweep", str(path), "--output", str(tmp_path / "x"), "--seeds", "0", "--arm", "untrained", "--quiet")
    beside = {entry.name for entry in (tmp_path / "x").iterdir()} - {"M"}
    assert beside >= {"study.json", "sweep.json", "shared"}
    for name in (*beside, "tuning", "tuning.json", "Sweep.json"):
        done = run("sweep", str(written(tmp_path, STUDY.replace('name = "M"', f'name = "{name}"'))), "--dry-run")
        assert f"a condition cannot be named {name}, as a file or folder of every study is" in words(done.err)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("seeds = [0, 1]", "seeds = []"), "no run is left"),
        (("seeds = [0, 1]", "seeds = [4294967296]"), "the seed is 4294967296"),
        (("updates = 4", "updates = 4\nvalidate_every = 2"), "there is no option 'validate_every' here"),
        (("turn = true", "turn = true\npatience = 2"), "there is no option 'patience' here"),
        (
            ("[50, 100]\nupdates = 4", "[100]\ntokens = 3000"),
            "line 20, arm 1: it turns after half of the updates, and a budget of tokens",
        ),
        (("updates = 4", "updates = 8\ntokens = 3000"), "line 6, updates: tokens and updates both say"),
        (("updates = 4", "updates = 0"), "line 6, updates: updates cannot be 0 to do: use a number from 1 on"),
        (("updates = 4", "updates = 4\nworkers = 0"), "line 7, workers: workers cannot be 0"),
        (("updates = 4", "updates = 4\nlora = {rank = 8}"), "line 7, lora: static models have no layers to adapt"),
        (('[["de"], ["th"]]', '["de", "th"]'), "to do: give a list of lists, each entry of which is a text"),
        (("[50, 100]", "[50]"), "line 5, checkpoints: checkpoints cannot be 50"),
        (("[50, 100]", "[33, 100]"), "33% of 4 updates, which is no whole number to do: use a multiple of 100 as upd"),
        (("[50, 100]\nupdates = 4", "[100]\nupdates = 5"), "it turns after half of the updates, and 5 have no half"),
        (("seeds = [0, 1]", "seeds = true"), "line 4, seeds: seeds cannot be True to do: give a list of whole numbers"),
        (("temperature = 0.5", "frozen_layers = 1"), "frozen_layers: frozen_layers has no meaning for static models"),
    ],
)
def test_what_would_do_nothing_or_fail_after_other_runs_is_told_first(
    tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    assert change[0] in STUDY
    done = run("sweep", str(written(tmp_path, STUDY.replace(*change))), "--output", str(tmp_path / "x"), "--dry-run")
    assert done.code == 1
    assert told in words(done.err)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("batch_size = 6", "batch_size = 600"), "M, hot: "),
        (('["th"]]', '["pt"]]'), "M, hot: M holds out pt, which mini does not have"),
        (('[["de"], ["th"]]', "[]\n[[arm]]\nname = 'apart'\nalpha = 1\nloss = 'lancer'"), "M, apart: "),
    ],
)
def test_what_data_and_loss_do_not_allow_is_told_before_the_first_run(
    tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    assert change[0] in STUDY
    text = STUDY.replace(*change).replace('"alpha-0", "untrained"', '"alpha-0"' + ', "apart"' * ("apart" in told))
    asked = ("sweep", str(written(tmp_path, text)), "--output", str(tmp_path / "x"))
    for more in (("--dry-run",), ("--quiet",)):
        done = run(*asked, *more)
        assert done.code == 1
        assert done.err.startswith(f"error: {told}")
    assert not [*tmp_path.rglob("run.json")]


def test_a_study_is_listed_before_its_data_is_there(tmp_path: Path) -> None:
    text = STUDY.replace('train = "mini"', 'train = "there.jsonl"')
    shown = ran("sweep", str(written(tmp_path, text)), "--output", str(tmp_path / "x"), "--dry-run").out
    assert "8 of 8 runs are missing" in words(shown)
    assert "not checked against the data: M, hot: there is no file there.jsonl" in words(shown)


def test_the_command_counts_before_the_file(tmp_path: Path) -> None:
    """Also where the two say the same in two ways; and what it says itself is told in its own words."""
    path = written(tmp_path, LOSSES.replace("updates = 2", "tokens = 3000").replace('plan = "plan.md"', ""))
    asked = ["sweep", str(path), "--output", str(tmp_path / "x"), "--dry-run"]
    assert "each is trained for 3000 tokens" in ran(*asked).out
    assert "each is trained for 7 updates" in ran(*asked, "--updates", "7").out
    path = written(tmp_path, LOSSES.replace('plan = "plan.md"', ""))
    assert "each is trained for 3000 tokens" in ran(*asked, "--tokens", "3000").out
    assert run(*asked, "--updates", "0").err.startswith("error: --updates cannot be 0")
    uneven = words(run(*asked, "--checkpoints", "15,100", "--updates", "30").err)
    assert "--checkpoints asks for 15% of 30 updates, which is no whole number" in uneven
    assert "use a multiple of 20 as --updates" in uneven


def test_the_loss_of_an_arm_is_that_of_the_file_with_its_arguments_unless_it_names_another(tmp_path: Path) -> None:
    of_file = 'dimensions = 8\nloss = "lakda"\nloss_args = { a = 0.25 }\n'
    arms = (
        '[[arm]]\nname = "stronger"\nalpha = 0.5\nloss_args = { a = 0.75 }\n'
        '[[arm]]\nname = "other"\nalpha = 0.5\nloss = "jsd"\n'
    )
    text = LOSSES.replace("dimensions = 8\n", of_file).replace('"untrained"]', '"stronger", "other"]') + arms
    study = read_study(written(tmp_path, text), IN_FILE, {})
    assert [study.arms[name].recipe for name in ("plain", "stronger", "other")] == [
        {},
        {"loss_args": {"a": 0.75}},
        {"loss": "jsd", "loss_args": {}},
    ]
    numbers = numbers_of(**{key: study.together[key] for key in ("loss", "loss_args", "updates", "checkpoints")})
    losses = [numbers.of_arm(study.arms[name]).recipe for name in ("plain", "lakda", "stronger", "other")]
    assert [(one.loss, one.loss_args) for one in losses] == [
        ("lakda", {"a": 0.25}),
        ("lakda", {"a": 0.25}),
        ("lakda", {"a": 0.75}),
        ("jsd", {}),
    ]
    with pytest.raises(FaultyFileError, match="no argument of the loss lakda named 'weight'"):
        read_study(written(tmp_path, text.replace("{ a = 0.75 }", "{ weight = 0.75 }")), IN_FILE)


@pytest.mark.parametrize(("given", "meant"), [("3", [3]), ('"0-2"', [0, 1, 2]), ('[0, "2-3"]', [0, 2, 3])])
def test_seeds_as_a_number_a_text_or_a_list(tmp_path: Path, given: str, meant: list[int]) -> None:
    study = read_study(written(tmp_path, LOSSES.replace('"0-1"', given).replace("[100]", "100")), IN_FILE, {})
    assert read_seeds(study.together["seeds"]) == meant
    assert study.together["checkpoints"] == "100"


def test_languages_held_out_that_the_data_does_not_have(tmp_path: Path) -> None:
    path = written(tmp_path, STUDY.replace('[["de"], ["th"]]', '[["de"], ["xx"]]'))
    asked = ["sweep", str(path), "--output", str(tmp_path / "x"), "--seeds", "0", "--arm", "untrained"]
    assert "M holds out xx, which mini does not have" in words(run(*asked).err)


def test_another_teacher_in_the_place_of_the_first_is_refused(tmp_path: Path) -> None:
    def teach(seed: int) -> None:
        values = get_recipe("static", updates=1, batch_size=6, vocabulary=320, dimensions=8)
        train(TrainConfig(data=["mini"], recipe=values, seed=seed, output=tmp_path / "teacher"))

    given = f'loss = "distill"\nloss_args = {{teacher = "{(tmp_path / "teacher").as_posix()}"}}'
    path = written(tmp_path, STUDY.replace('loss = "infonce"\nloss_args = {}', given))
    asked = ["sweep", str(path), "--output", str(tmp_path / "x"), "--seeds", "0", "--arm", "hot", "--quiet"]
    teach(0)
    ran(*asked)
    ran(*asked)
    shutil.rmtree(tmp_path / "teacher")
    teach(1)
    assert "loss" in words(run(*asked).err)


def test_the_file_of_the_page_is_one(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", page_text("ratio-study-how.md"), re.DOTALL | re.MULTILINE)
    study = read_study(written(tmp_path, shown), IN_FILE)
    assert set(study.chosen_arms) <= {*ARMS, *(arm["name"] for arm in tomllib.loads(shown)["arm"])}
    assert set(study.chosen_conditions) - set(CONDITIONS) == {"M"}
    assert study.runs([], [], [0])
