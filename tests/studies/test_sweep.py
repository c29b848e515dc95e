"""Sweeps on tiny data: what a run writes, resuming, same bytes, errors."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kit import PARTIAL, ROOT, edit, ran, read_json, run
from tests.studies.test_design import PLAN, numbers
from tests.train.build import tiny_xlm_r
from xqr_bench.board.row import SWEEP_NUMBERS, reproduce_command, study_command
from xqr_bench.cli.sweep import VALUES, Chosen
from xqr_bench.core.errors import RecordError, TrainingError, UsageError, XqrBenchError
from xqr_bench.core.files import sha256_of
from xqr_bench.encode import embed_tasks, load_encoder
from xqr_bench.rank.counting import Counter
from xqr_bench.rank.exact import exact_ranks
from xqr_bench.rank.torch_counting import TorchCounter
from xqr_bench.record import load_record
from xqr_bench.record.store import recompute
from xqr_bench.studies.ratio import run as run_module
from xqr_bench.studies.ratio.design import ARMS, Condition, Numbers, Run, list_runs
from xqr_bench.studies.ratio.findings import Asked, build_ratios
from xqr_bench.studies.ratio.results import load_results
from xqr_bench.studies.ratio.run import RunStatus
from xqr_bench.studies.ratio.scoring import compact, encode, load_compact, macro_scores, run_data
from xqr_bench.studies.ratio.sweep import (
    FolderCache,
    Grid,
    Sweep,
    choose_numbers,
    devices_for,
    options_for,
    read_choice,
    sweep,
    tune,
)
from xqr_bench.train import TrainCache, TrainConfig, get_recipe, train
from xqr_bench.train.recipe import OF_TRANSFORMERS
from xqr_bench.train.stage import run_stage
from xqr_bench.train.texts import distinct_texts

RUNS = list_runs(["demo"], ["alpha-0", "alpha-1"], [0, 1])


def asked(folder: Path, **changes: Any) -> Sweep:
    return replace(Sweep(RUNS, numbers(), folder, PLAN), **changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two arms of two seeds."""
    folder = tmp_path_factory.mktemp("study")
    sweep(asked(folder))
    return folder


def results(folder: Path) -> dict[str, str]:
    """SHA-256 of all results."""
    paths = [*folder.rglob("*.npz"), *folder.rglob("*.ranks.parquet")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_each_worker_has_a_device_of_its_own(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = replace(numbers(), device="cpu,cpu")
    with pytest.raises(UsageError, match=r"--workers 1 leaves some of the 2 devices without work"):
        sweep(asked(tmp_path / "study", numbers=on))
    sweep(asked(tmp_path / "study", numbers=on, workers=2))
    assert results(tmp_path / "study") == results(done)
    assert devices_for(on) == ("cpu", "cpu")
    assert devices_for(numbers()) == (None,)  # static: the processor
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert devices_for(replace(numbers(), base="some/model")) == ("cuda:0", "cuda:1")
    with pytest.raises(XqrBenchError, match="there is no device 'cuda:7' here"):
        sweep(asked(tmp_path / "other", numbers=replace(numbers(), device="cuda:7")))


def test_a_task_that_is_large_enough_is_counted_on_the_gpu(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is torch on the processor here."""
    counted: list[str] = []

    def counter(device: str, *arguments: Any, **named: Any) -> Any:
        counted.append(device)
        return (partial(TorchCounter, device="cpu") if device == "cuda:0" else Counter)(*arguments, **named)

    monkeypatch.setattr("xqr_bench.rank.exact.counter_on", counter)
    monkeypatch.setattr("xqr_bench.studies.ratio.scoring.counting_device", lambda asked, encoder: "cuda:0")
    monkeypatch.setattr("xqr_bench.studies.ratio.scoring.device_name", lambda device: f"{device} (named)")
    for least, on in ((1.0, "cuda:0"), (1e18, "cpu")):
        monkeypatch.setattr("xqr_bench.evaluation.vectors.LEAST_OF_BLOCK", least)
        sweep(asked(tmp_path / on, runs=RUNS[:1]))
        assert set(counted) == {on}
        assert (
            read_json(tmp_path / on / RUNS[0].id / "mini.json")["provenance"]["hardware"]["counted_on"]
            == f"{on} (named)"
        )
        counted.clear()
    for path in results(tmp_path / "cpu"):
        assert results(tmp_path / "cpu")[path] == results(done)[path]


def test_scores_are_those_of_the_record_and_sums_those_of_its_queries(done: Path) -> None:
    run = RUNS[0]
    record = load_record(done / run.id / "mini.json", ranks=True)
    views, about = load_compact(done / run.id / "checkpoint-100.npz")
    assert set(views) == {"raw", "centred"}
    for name, value in macro_scores(views["raw"]).items():
        setting, metric = name.split("/")
        assert value == pytest.approx(record.scores[setting].macro[metric].value, abs=1e-12)
    for row, sums, counts in zip(views["raw"].rows, views["raw"].sums, views["raw"].counts, strict=True):
        setting, metric, cell = row.split("/")
        part = "by_language_pair" if setting == "cross-lingual" else "by_query_language"
        key = cell if setting == "cross-lingual" else cell.split(">")[0]
        found = getattr(record.scores[setting], part)[key][metric]
        assert sums.sum() / counts.sum() == pytest.approx(found.value, abs=1e-12)
        assert counts.sum() == found.n
    again = compact(record.ranks, np.asarray(record.ranks.articles), views["raw"].sums.shape[1])
    assert np.array_equal(again.sums, views["raw"].sums)
    assert about["run_group"]["checkpoint"] == 100
    # a sweep leaves the intervals out; everything else follows from the ranks
    assert all(part.place.endswith("interval") and part.stored is None for part in recompute(record)[1])


def test_records_say_where_they_belong(done: Path) -> None:
    record = load_record(done / "demo/alpha-1/seed-01/mini.json")
    assert record.run_group == {
        "study": "ratio",
        "condition": "demo",
        "arm": "alpha-1",
        "seed": 1,
        "fold": None,
        "checkpoint": 100,
        "updates": 8,
        "plan": sha256_of(PLAN),
    }
    assert record.training["training"]["updates"] == 8  # the checkpoint, not the end
    assert record.exposure.level is not None
    summary = read_json(done / "sweep.json")
    assert set(summary["runs"]) == {run.id for run in RUNS}
    assert summary["plans_of_runs"] == [sha256_of(PLAN)]
    files = summary["runs"]["demo/alpha-0/seed-00"]["files"]
    assert files["checkpoint-025.npz"] == sha256_of(done / "demo/alpha-0/seed-00/checkpoint-025.npz")
    assert set(summary["runs"]["demo/alpha-0/seed-00"]["scores"]) == {"25", "50", "100", "200"}


def test_a_checkpoint_is_what_a_shorter_run_gives(done: Path, tmp_path: Path) -> None:
    sweep(asked(tmp_path, runs=RUNS[:1], numbers=numbers(4)))
    name = f"{RUNS[0].id}/checkpoint-"
    shorter, longer = load_compact(tmp_path / f"{name}200.npz")[0], load_compact(done / f"{name}100.npz")[0]
    for view in ("raw", "centred"):
        assert np.array_equal(shorter[view].sums, longer[view].sums)


@pytest.mark.slow  # three processes that each load torch
def test_same_bytes_whatever_was_there_and_in_processes(done: Path, tmp_path: Path) -> None:
    told: list[str] = []
    sweep(asked(tmp_path, runs=RUNS[1:2]))
    (tmp_path / RUNS[0].id).mkdir(parents=True)
    (tmp_path / RUNS[0].id / "checkpoint-025.npz").write_bytes(b"half")  # as a run that was killed leaves it
    sweep(asked(tmp_path, workers=2), lambda run, well: told.append(run.id))
    assert sorted(told) == sorted(run.id for run in (RUNS[0], *RUNS[2:]))  # what is done is skipped
    assert results(tmp_path) == results(done)


def test_killed_and_started_again(done: Path, tmp_path: Path) -> None:
    code = (
        "from tests.studies.test_sweep import asked; "
        "from xqr_bench.studies.ratio.sweep import sweep; from pathlib import Path; "
        "import sys, time\n"
        "def told(run, well):\n    print(run.id, flush=True); time.sleep(60)\n"
        "sweep(asked(Path(sys.argv[1])), told)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    first = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "sweep.json").exists()
    training = tmp_path / "demo/alpha-0.5/seed-00/model.unfinished"  # of another process, at a run of another sweep
    training.mkdir(parents=True)
    (training / "run.json").write_text("{}", "utf-8")
    told: list[str] = []
    sweep(asked(tmp_path), lambda run, well: told.append(run.id))
    assert len(json.loads((tmp_path / "sweep.json").read_text("utf-8"))["runs"]) == len(RUNS)
    assert first not in told
    assert len(told) == len(RUNS) - 1
    assert results(tmp_path) == results(done)


def test_a_transformer_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that is resumed shows its earlier checkpoints no more: their results are those of the first start."""

    class StoppedError(Exception):
        pass

    base = str(tiny_xlm_r(tmp_path / "xlm-r", distinct_texts([run_data(RUNS[0], TrainCache()).train])))
    recipe = get_recipe("paper", schedule="constant", warmup=0.0, updates=8, batch_size=4, max_length=64)
    runs, these = RUNS[:1], Numbers(base, recipe, 2)
    monkeypatch.setattr(run_module, "CHECKPOINT_EVERY", 4)
    sweep(asked(tmp_path / "whole", runs=runs, numbers=these))
    scored: list[int] = []
    score = run_module._Work._score

    def stopped(work: Any, model: Any, training: Any, percent: int) -> None:
        if percent == 200 and 200 not in scored:
            scored.append(percent)
            raise StoppedError
        scored.append(percent)
        score(work, model, training, percent)

    monkeypatch.setattr(run_module._Work, "_score", stopped)
    with pytest.raises(StoppedError):
        sweep(asked(tmp_path / "stopped", runs=runs, numbers=these))
    sweep(asked(tmp_path / "stopped", runs=runs, numbers=these))
    assert scored == [25, 50, 100, 200, 200]
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")
    one, other = (
        json.loads((tmp_path / name / RUNS[0].id / "run.json").read_text("utf-8")) for name in ("whole", "stopped")
    )
    assert list(other["scores"]) == ["25", "50", "100", "200"]
    assert set(other["distinct_query_vectors"]) == {"ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"}
    for name in ("scores", "distinct_query_vectors"):
        assert one[name] == other[name]


def test_other_numbers_are_refused(done: Path) -> None:
    with pytest.raises(UsageError, match="updates: 8 there, 12 now"):
        sweep(asked(done, numbers=numbers(12)))
    with pytest.raises(UsageError, match="plan"):
        sweep(asked(done, runs=list_runs(["S1b"], ["alpha-0"], [0]), plan=Path("nowhere.md")))


@pytest.mark.parametrize(
    ("file", "change", "what"),
    [
        ("run.json", lambda run: run["training"].update(code_version="0.0.1"), "version of xqr-bench: 0.0.1"),
        ("run.json", lambda run: run["numbers"].update(align_updates=5), "numbers"),
        ("run.json", lambda run: run["training"]["training"]["data"][0].update(digest="0" * 64), "training data"),
        ("mini.json", lambda record: record["task"]["files"].update({"de.json": "0" * 64}), "files of the task"),
    ],
)
def test_a_run_of_another_request_is_not_skipped(
    done: Path, tmp_path: Path, file: str, change: Callable[[Any], object], what: str
) -> None:
    shutil.copytree(done, tmp_path / "study")
    edit(tmp_path / "study" / RUNS[0].id / file, change)
    with pytest.raises(RecordError, match="answers another request") as told:
        asked(tmp_path / "study").missing()
    assert what in str(told.value)


def test_a_run_of_another_base_is_not_skipped(tmp_path: Path) -> None:
    base = tiny_xlm_r(tmp_path / "xlm-r", distinct_texts([run_data(RUNS[0], TrainCache()).train]))
    recipe = get_recipe("paper", schedule="constant", warmup=0.0, updates=4, batch_size=4, max_length=64)
    these = asked(tmp_path / "study", runs=RUNS[:1], numbers=Numbers(str(base), recipe, 2))
    sweep(these)
    assert these.missing() == []
    edit(base / "config.json", lambda config: config.update(note="other"))
    with pytest.raises(RecordError, match="files of the base"):
        these.missing()


def test_vectors_are_those_of_evaluate() -> None:
    found = run_data(RUNS[0], TrainCache())
    values = numbers().recipe
    model = train(TrainConfig(data=[found.train], alpha=0.5, recipe=values)).model
    bound = load_encoder(model)
    fast = encode(model, bound, found, TrainCache())
    slow = embed_tasks(bound, [found.task])[found.task.name]
    np.testing.assert_allclose(fast.queries, slow.queries, rtol=0, atol=1e-7)
    np.testing.assert_allclose(fast.candidates, slow.candidates, rtol=0, atol=1e-7)
    assert fast.distinct_texts == slow.distinct_texts
    one, other = (exact_ranks(found.task, vectors.queries, vectors.candidates) for vectors in (fast, slow))
    assert np.array_equal(one.gt, other.gt)


def test_alignment_is_done_once_and_read_back_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bitext = tmp_path / "lines"
    bitext.mkdir()
    for code in ("de", "en", "th"):
        (bitext / f"{code}.txt").write_text("".join(f"line {i} {code}\n" for i in range(12)), encoding="utf-8")
    condition = Condition("mine", "mini", "mini", str(bitext))
    runs = [Run(condition, ARMS[name], 0) for name in ("aligned", "alpha-0", "untrained")]
    plain = sweep(asked(tmp_path / "one", runs=runs))
    kept = sorted(path.name.split("-")[0] for path in (tmp_path / "one" / "shared").iterdir() if path.is_file())
    assert kept == ["aligned", "exposure", "vocabulary"]  # untrained has the same vocabulary
    (tmp_path / "two" / "shared").mkdir(parents=True)
    for path in (tmp_path / "one" / "shared").iterdir():
        if path.is_file():
            (tmp_path / "two" / "shared" / path.name).write_bytes(path.read_bytes())
    with monkeypatch.context() as patch:
        for name in ("xqr_bench.train.prepare.find_texts", "xqr_bench.train.prepare.learn_vocabulary"):
            patch.setattr(name, None)
        sweep(asked(tmp_path / "two", runs=runs))  # reads what another process kept
    exposures = [
        load_record(tmp_path / name / runs[1].id / "mini.json").training["exposure"] for name in ("one", "two")
    ]
    assert exposures[0] == exposures[1] != {}
    assert results(tmp_path / "one") == results(tmp_path / "two")
    # the command that makes a record again, also one without updates, is a sweep
    record = load_record(tmp_path / "one" / runs[0].id / "mini.json")
    words = shlex.split(study_command(record) or "")
    assert words[words.index("--align-updates") + 1] == "2"
    words[words.index("--condition") + 1] = "S1b"
    shown = ran(*words[1:], "--dry-run")
    assert shown.out.splitlines()[0] == "S1b/aligned/seed-00"
    weights = {name: run["weights"] for name, run in read_json(plain)["runs"].items()}
    assert len(set(weights.values())) == 3
    cache = FolderCache(tmp_path / "none")
    assert cache.get("other", "key", lambda: 5) == 5
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"updates": 6, "checkpoints": "100", "batch_size": 6},
        {"checkpoints": "50,100,150", "learning_rate": 0.01, "temperature": 0.1, "mini_batch": 4, "query_prompt": ""},
        {"base": "a/model", "align_updates": 5, "dtype": "float32", "dropout": 0.0, "parts": 2},
        {"recipe": "static", "base": "a/model", "precision": "bf16", "max_length": 64, "frozen_layers": 0},
        {"tokens": 3_000, "checkpoints": "100", "passage_prompt": "p"},
    ],
)
def test_the_options_for_numbers_are_those_that_differ_from_the_defaults(given: dict[str, Any], tmp_path: Path) -> None:
    found, _ = choose_numbers(tmp_path, **given)
    options = options_for(found, {})
    assert options == given
    assert choose_numbers(tmp_path, **options)[0] == found
    assert options_for(found, given) == {}  # where a file says them all


def test_every_number_of_the_command_can_stand_in_the_command_of_a_record() -> None:
    numbers = {one.name for one in fields(Chosen)} | {*VALUES, *OF_TRANSFORMERS}
    assert set(SWEEP_NUMBERS) == numbers - {"device"}  # where it is done


def test_the_command_of_a_record_has_every_number_that_is_not_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six updates cannot be divided for the checkpoints that are scored by default."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.md").write_text("to try it", encoding="utf-8")
    asked = ("sweep", "--condition", "demo", "--arm", "alpha-0.5", "--seeds", "0", "--output", "study", "--quiet")
    ran(*asked, "--updates", "6", "--checkpoints", "100", "--batch-size", "6", "--plan", "plan.md")
    record = load_record(tmp_path / "study/demo/alpha-0.5/seed-00/mini.json")
    shown = reproduce_command(record)
    assert shown.command == (
        "xqr-bench sweep --output study-demo-alpha-0.5-0 --condition demo --arm alpha-0.5 --seeds 0 --updates 6 "
        "--batch-size 6 --checkpoints 100 --plan plan.md"
    )
    assert shown.needs == f"the plan plan.md, SHA-256 {sha256_of(tmp_path / 'plan.md')}"
    ran(*shlex.split(shown.command)[1:], "--quiet")
    again = load_record(tmp_path / "study-demo-alpha-0.5-0/demo/alpha-0.5/seed-00/mini.json")
    assert again.ranks_file.digest == record.ranks_file.digest
    assert again.training["recipe"] == record.training["recipe"]
    assert again.run_group == record.run_group
    # a record of an earlier version does not say what was asked
    earlier = record.model_copy(update={"training": {**record.training, "arguments": {}}})
    ran(*shlex.split(study_command(earlier) or "")[1:], "--dry-run")


def test_a_loss_that_is_no_number_is_tried_twice_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def failing(*_: Any, **__: Any) -> None:
        tries.append(1)
        raise TrainingError("the loss is nan")

    monkeypatch.setattr(run_module, "train", failing)
    told: list[bool] = []
    path = sweep(asked(tmp_path, runs=RUNS[:1]), lambda run, well: told.append(well))
    assert len(tries) == 2
    assert told == [False]
    failed = read_json(path)["failed"]
    assert failed == [{"id": RUNS[0].id, "error": failed[0]["error"]}]


def test_numbers_are_chosen_by_the_criterion_on_held_out_articles(tmp_path: Path) -> None:
    condition = Condition("tuning", "mini", "mini", None, aligned=False, folds=3, fold_seed=1000, use_folds=(0,))
    grid = Grid(rates=(0.001, 0.05), temperatures=(0.05,), updates=(2, 4, 8), first=4, seeds=(7,), condition=condition)
    found = tune(asked(tmp_path), grid)
    assert len(found["first_step"]) == 2
    assert [row["updates"] for row in found["second_step"]] == [2, 4, 8]
    best = max(found["first_step"], key=lambda row: (row["monolingual"] + row["multilingual"]) / 2)
    assert found["chosen"]["learning_rate"] == best["learning_rate"]
    # the same training: second step at the first number of updates is the first step
    assert found["second_step"][1]["criterion"] == best["criterion"]
    assert read_choice(tmp_path) == found["chosen"]
    numbers, _ = choose_numbers(tmp_path, tokens=5_000)  # in place of the updates that were chosen
    assert (numbers.recipe.tokens, numbers.recipe.learning_rate) == (5_000, found["chosen"]["learning_rate"])


def test_two_tasks_of_one_name_are_two(tmp_path: Path) -> None:
    cache, sizes = TrainCache(), []
    for languages in ("de,en", "de,en,es"):
        folder = tmp_path / languages
        shutil.copytree(PARTIAL.parent, folder)
        text = (folder / "task.toml").read_text(encoding="utf-8")
        dropped = {"de", "en", "es", "vi"} - set(languages.split(","))
        kept = [line for line in text.splitlines() if line.split(" = ")[0] not in dropped]
        listed = 'languages = ["' + '", "'.join(languages.split(",")) + '"]'
        kept = [listed if line.startswith("languages") else line for line in kept]
        (folder / "task.toml").write_text("\n".join(kept) + "\n", encoding="utf-8")
        condition = Condition("C", "mini", str(folder / "task.toml"), None, aligned=False)
        sizes.append(len(run_data(Run(condition, ARMS["alpha-0"], 0, None), cache).task.languages))
    assert sizes == [2, 3]


@pytest.mark.parametrize("content", [b"nothing", b"PK\x03\x04 half", b""])
def test_a_damaged_result_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(RecordError, match="cannot be read"):
        load_compact(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["study.json", "tuning.json", f"{RUNS[0].id}/run.json"])
@pytest.mark.parametrize("content", ["{", "[]", '{"numbers": 1, "chosen": 1, "run_group": 1}'])
def test_a_broken_file_of_the_folder_is_told(done: Path, tmp_path: Path, name: str, content: str) -> None:
    shutil.copytree(done, tmp_path / "study")
    (tmp_path / "study" / name).write_text(content, encoding="utf-8")
    wanted = Path(name).name.replace(".", r"\.") + " cannot be"
    readers = {"tuning.json": lambda: read_choice(tmp_path / "study")}
    with pytest.raises(RecordError, match=wanted) as told:
        readers.get(name, lambda: sweep(asked(tmp_path / "study")))()
    assert told.value.remedy
    with pytest.raises(RecordError, match=wanted):
        build_ratios(Asked(tmp_path / "study", PLAN, resamples=100))


def test_a_transformer_is_aligned_once_a_seed_and_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bitext = tmp_path / "lines"
    bitext.mkdir()
    for code in ("de", "en"):
        (bitext / f"{code}.txt").write_text("".join(f"line {i} {code}\n" for i in range(12)), encoding="utf-8")
    base = str(tiny_xlm_r(tmp_path / "xlm-r", distinct_texts([run_data(RUNS[0], TrainCache()).train])))
    recipe = get_recipe("paper", schedule="constant", warmup=0.0, updates=2, batch_size=4, max_length=64)
    these = Numbers(base, recipe, 2, checkpoints=(100,))
    condition = Condition("mine", "mini", "mini", str(bitext))
    runs = [Run(condition, ARMS[name], 0) for name in ("alpha-0", "alpha-1")]
    stages: list[int] = []

    def counted(model: Any, texts: Any, options: Any, cache: Any) -> Any:
        stages.append(texts.plan.steps)
        return run_stage(model, texts, options, cache)

    monkeypatch.setattr("xqr_bench.train.run.run_stage", counted)
    sweep(asked(tmp_path / "alone", runs=runs[1:], numbers=these))
    stages.clear()
    monkeypatch.setattr("xqr_bench.train.run.save_model", None)  # no model is written, only to be removed
    sweep(asked(tmp_path / "both", runs=runs, numbers=these))
    assert stages == [2, 2, 2]  # the alignment, and a training for each arm
    assert not list((tmp_path / "both").rglob("model*"))
    name = f"{runs[1].id}/mini.ranks.parquet"
    assert results(tmp_path / "both")[name] == results(tmp_path / "alone")[name]


def test_another_ratio_and_other_checkpoints(tmp_path: Path) -> None:
    """What the command trains is what it was asked for; the ratio stands on the curve of the report."""
    options = ("--condition", "demo", "--seeds", "0-1", "--updates", "4", "--batch-size", "6", "--checkpoints", "100")
    arms = [word for name in ("alpha-0", "alpha-0.3", "alpha-1") for word in ("--arm", name)]
    ran("sweep", "--output", str(tmp_path), *options, *arms)
    folder = tmp_path / "demo" / "alpha-0.3" / "seed-01"
    assert [path.name for path in sorted(folder.glob("*.npz"))] == ["checkpoint-100.npz"]
    record = load_record(folder / "mini.json")
    assert record.training["ratio"] == 0.3
    assert record.training["training"]["planned_updates"] == 4
    found = load_results(tmp_path, "demo")
    assert found.arms == ("alpha-0", "alpha-0.3", "alpha-1")  # half of the updates is no checkpoint here
    assert build_ratios(Asked(tmp_path, PLAN, resamples=100)).conditions[0].arms[1].alpha == 0.3


def test_the_demonstration_needs_no_plan(tmp_path: Path) -> None:
    nowhere = tmp_path / "none.md"
    sweep(asked(tmp_path / "study", runs=RUNS[:1], plan=nowhere))
    assert load_record(tmp_path / "study" / RUNS[0].id / "mini.json").run_group["plan"] == ""
    with pytest.raises(UsageError, match="no plan"):
        asked(tmp_path / "other", runs=list_runs(["S1b"], ["alpha-0"], [0]), plan=nowhere).missing()


def test_a_run_tells_how_far_it_is(tmp_path: Path) -> None:
    said: list[str] = []
    sweep(asked(tmp_path, runs=RUNS[:1]), say=said.append)
    assert f"{RUNS[0].id}: reading" in said
    assert f"{RUNS[0].id}: training 0 of 16" in said
    status = RunStatus(RUNS[1], said.append)
    with status.phase("training", 3):
        status.advance(1, "loss 2.5")  # too soon after the line before
        status._told -= 1
        status.advance(1)
    assert said[-2:] == [f"{RUNS[1].id}: training 0 of 3", f"{RUNS[1].id}: training 2 of 3, loss 2.5"]


def test_command_lists_and_refuses(tmp_path: Path) -> None:
    shown = ran("sweep", "--output", str(tmp_path), "--dry-run", "--arm", "x-x", "--seeds", "0,2-3")
    assert shown.out.splitlines()[:3] == [f"S1b/x-x/seed-0{seed}" for seed in (0, 2, 3)]
    assert "each is trained for 1200 updates and scored at 25, 50, 100, 200%" in shown.out
    assert "nothing was trained" in shown.out
    shown = ran("sweep", "--output", str(tmp_path), "--dry-run", "--updates", "500", "--checkpoints", "100")
    assert "each is trained for 500 updates and scored at 100%" in shown.out
    assert not list(tmp_path.iterdir())
    for arguments, message in (
        (("--seeds", "a"), "0-9"),
        (("--seeds", "1,5-3"), "0-9"),
        (("--seeds", "0-9999999999"), "more than 1,000 seeds"),
        (("--condition", "S9"), "S1b"),
        (("--plan", str(tmp_path / "none.md")), "no plan"),
        (("--updates", "6"), "multiple of 4"),
        (("--workers", "0"), "--workers"),
        (("--checkpoints", "25,50"), "100 among them"),
    ):
        failed = run("sweep", "--output", str(tmp_path), "--dry-run", *arguments)
        assert failed.code == 1
        assert message in failed.err


def test_an_arm_with_values_of_its_own(tmp_path: Path, done: Path) -> None:
    """Its loss and temperature stand in its record; a folder with runs of another arm of this name is refused."""
    hot = replace(ARMS["alpha-0"], name="hot", recipe={"temperature": 0.5})
    runs = [replace(RUNS[0], arm=arm) for arm in (replace(hot, recipe={"loss": "infonce"}), hot)]
    folders = [tmp_path / "same", tmp_path / "hot"]
    for one, folder in zip(runs, folders, strict=True):
        sweep(asked(folder, runs=[one]))
    same, other = (read_json(folder / runs[0].id / "run.json") for folder in folders)
    assert same["training"]["weights_digest"] == read_json(done / RUNS[0].id / "run.json")["training"]["weights_digest"]
    assert same["training"]["weights_digest"] != other["training"]["weights_digest"]
    assert other["training"]["recipe"]["temperature"] == other["design"]["arm"]["recipe"]["temperature"] == 0.5
    assert same["numbers"] == other["numbers"]
    with pytest.raises(RecordError, match="design"):
        sweep(asked(folders[1], runs=runs[:1]))


def test_arms_on_one_budget_of_tokens(tmp_path: Path) -> None:
    """Each has the updates that the budget allows, and is scored at its end."""
    budget = replace(numbers(), recipe=replace(numbers().recipe, tokens=9000), checkpoints=(100,))
    arms = [ARMS["alpha-0"], replace(ARMS["alpha-0"], name="lakda", recipe={"loss": "lakda"}), ARMS["untrained"]]
    runs = [replace(RUNS[0], arm=arm) for arm in arms]
    sweep(asked(tmp_path / "one", runs=runs, numbers=budget))
    plain, lakda, untrained = (read_json(tmp_path / "one" / one.id / "run.json") for one in runs)
    for one in (plain, lakda):
        stage = one["training"]["training"]
        assert 0 < stage["padded_tokens"] <= 9000
        assert one["run_group"]["updates"] == stage["updates"]
        assert list(one["scores"]) == ["100"]
    assert lakda["run_group"]["updates"] < plain["run_group"]["updates"]
    assert untrained["training"]["training"] is None
    with pytest.raises(UsageError, match="with a budget of tokens a run is scored at its end only"):
        sweep(asked(tmp_path / "two", runs=runs, numbers=replace(budget, checkpoints=(50, 100))))
    sweep(asked(tmp_path / "two", runs=runs[2:], numbers=replace(budget, checkpoints=(50, 100))))
