"""Does the runs that are missing in a folder, can be stopped and started again; chooses the study's numbers."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import cycle, product
from math import inf
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from xqr_bench.board.row import SWEEP_NUMBERS
from xqr_bench.core import strict_json
from xqr_bench.core.children import begin, end
from xqr_bench.core.errors import UsageError, XqrBenchError
from xqr_bench.core.files import atomic_path, sha256_of, write_text
from xqr_bench.encode import choose_device, devices_of
from xqr_bench.encode.store import locked
from xqr_bench.record.provenance import hardware, versions
from xqr_bench.studies.ratio.design import (
    ARMS,
    CHECKPOINTS,
    DEMO,
    STUDY,
    TUNING,
    TUNING_GIVEN,
    Condition,
    Numbers,
    Run,
    numbers_of,
)
from xqr_bench.studies.ratio.form import SHARED, STUDY_FILE, SUMMARY, TUNING_FILE, refuse_other_folder
from xqr_bench.studies.ratio.run import (
    DONE,
    FAILED,
    Job,
    as_now,
    check_run,
    do_run,
    files_of_runs,
    is_done,
    read_object,
    read_run,
    refuse_other_run,
)
from xqr_bench.studies.ratio.scoring import RAW
from xqr_bench.studies.ratio.study_file import StudyFile, built_in
from xqr_bench.train import STATIC, TrainCache, get_recipe, recipe_name

T = TypeVar("T")


class FolderCache(TrainCache):
    """A `TrainCache` that keeps vocabularies, aligned weights and what was found of a task's texts in a folder too.

    A file is written whole or not at all, by one process while the others wait. What is read back is, bit for bit,
    what was made.

    Args:
        folder: where; made when needed.
        size: things kept of each kind in memory.
    """

    def __init__(self, folder: Path, size: int = 8) -> None:
        super().__init__(size)
        self._folder = folder

    def get(self, kind: str, key: Hashable, make: Callable[[], T]) -> T:
        """What was made under this key, here or by another process, or what `make` makes now."""
        if kind == "aligned":  # of a large model too large to be held
            return self._on_disk(kind, key, make)
        if kind not in _FORMATS:
            return super().get(kind, key, make)
        return super().get(kind, key, lambda: self._on_disk(kind, key, make))

    def known(self, kind: str, key: Hashable) -> Any:
        """What was made under this key, here or by another process; None: nothing."""
        if kind in _FORMATS and self._path(kind, key).exists():
            return self.get(kind, key, lambda: None)
        return super().known(kind, key)

    def _path(self, kind: str, key: Hashable) -> Path:
        return self._folder / f"{kind}-{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}"

    def _on_disk(self, kind: str, key: Hashable, make: Callable[[], T]) -> T:
        path, (save, load) = self._path(kind, key), _FORMATS[kind]
        with locked(self._folder, path.name, wait=lambda: None):
            if not path.exists():
                made = make()
                save(made, path)
                return made
        return cast(T, load(path))


def _save_vocabulary(tokenizer: Any, path: Path) -> None:
    write_text(path, tokenizer.to_str())


def _load_vocabulary(path: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(path.read_text(encoding="utf-8"))


def _save_aligned(made: Any, path: Path) -> None:
    import torch

    state, outcome = made
    with atomic_path(path) as temporary:
        torch.save({"state": state, "outcome": json.dumps(asdict(outcome))}, temporary)


def _load_aligned(path: Path) -> Any:
    import torch

    from xqr_bench.train import Outcome

    stored = torch.load(path, weights_only=True, map_location="cpu")
    values = json.loads(stored["outcome"])
    pairs = {name: [tuple(pair) for pair in values[name]] for name in ("loss", "validation")}
    return stored["state"], Outcome(**{**values, **pairs})


def _save_json(made: Any, path: Path) -> None:
    write_text(path, json.dumps(made, ensure_ascii=False))


_FORMATS: dict[str, tuple[Callable[[Any, Path], None], Callable[[Path], Any]]] = {
    "vocabulary": (_save_vocabulary, _load_vocabulary),
    "aligned": (_save_aligned, _load_aligned),
    "exposure": (_save_json, strict_json.read),
}
"""How things are written to the folder and read again, by their kind."""


# Does the runs that are missing in a folder; can be stopped at any time and started again.

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

Ended = Callable[[Run, bool], None]
"""Called when a run has ended, with whether it has results."""
Say = Callable[[str], None]
"""Is given a line that says how far a run is."""


@dataclass(frozen=True)
class Sweep:
    """Runs, their folder, and what they have in common.

    Attributes:
        runs: all that are wanted.
        numbers: the same in all runs of the folder.
        folder: of the sweep.
        plan: the file of the study's plan.
        workers: processes, each with one thread; 1: this one.
        data_dir: folder with the data files.
        chosen_by: where the numbers come from, for the summary record.
        shared: where vocabularies and aligned weights are kept; None: in the folder.
        study: which; the built-in one, or that of a file.
    """

    runs: Sequence[Run]
    numbers: Numbers
    folder: Path
    plan: Path
    workers: int = 1
    data_dir: Path | str | None = None
    chosen_by: str = "recipe"
    shared: Path | None = None
    study: StudyFile = field(default_factory=built_in)

    @property
    def plan_digest(self) -> str:
        """SHA-256 of the plan; empty where there is no such file, which only the demonstration may do without."""
        return sha256_of(self.plan) if self.plan.is_file() else ""

    def arguments(self) -> dict[str, Any]:
        """What records say of how the runs were asked for, so that the command that makes one again can be written.

        `options`: those that the built-in study or the file of one's own does not say by itself; `plan`: the name of a
        plan that it does not say either; of one's own also `file`, its name, and `file_digest`, its SHA-256.
        """
        said, file = dict(self.study.values or {}), self.study.path
        found: dict[str, Any] = {"options": options_for(self.numbers, said)}
        if file is not None:
            found |= {"file": file.name, "file_digest": sha256_of(file)}
            usual = self.plan == (said.get("plan") or file)
        else:
            usual = self.plan.name in {run.condition.plan for run in self.runs}
        return found if usual else {**found, "plan": self.plan.name}

    @property
    def shared_folder(self) -> Path:
        """Folder of what runs share."""
        return self.shared or self.folder / SHARED

    def missing(self, cache: TrainCache | None = None) -> list[Run]:
        """The runs without results; a folder made for other numbers is refused.

        Args:
            cache: where data that is read stays; None: nowhere.

        Raises:
            UsageError: the folder holds runs with other numbers, or the plan is not there.
            RecordError: a run that is done is of other data, of another base or version.
        """
        if self.workers < 1:
            raise UsageError(f"--workers cannot be {self.workers}", remedy="use 1 or more")
        devices = devices_of(self.numbers.device)
        for device in devices:
            if device is not None:
                choose_device(device)
        if self.workers < len(devices):
            raise UsageError(
                f"--workers {self.workers} leaves some of the {len(devices)} devices without work",
                found=f"--device {self.numbers.device}",
                remedy=f"give --workers {len(devices)} or more: each has one device",
            )
        for arm in {run.arm.name: run.arm for run in self.runs if run.arm.plan is not None}.values():
            try:
                self.numbers.of_arm(arm)
            except XqrBenchError as error:
                problem = f"the arm {arm.name} cannot be trained: {error.problem}"
                raise UsageError(problem, found=error.found, remedy=error.remedy) from error
        if not self.plan_digest and any(run.condition.name != DEMO for run in self.runs):
            raise UsageError(f"there is no plan {self.plan}", remedy="name the study's plan with --plan FILE")
        if (self.folder / STUDY_FILE).is_file():
            was = read_study(self.folder)
            old = {"study": was.get("study", STUDY), **_flat(as_now(was["numbers"]))}
            new = {"study": self.study.name, **_flat(json.loads(json.dumps(self.numbers.values())))}
            changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
            if changed:
                raise UsageError(
                    f"{self.folder} holds runs that were made with other numbers",
                    found="; ".join(f"{name}: {old.get(name)} there, {new.get(name)} now" for name in changed),
                    remedy="sweep with the same numbers, or into another folder",
                )
        cache, job = cache or TrainCache(), Job(self.numbers, self.folder, self.plan_digest, self.data_dir)
        missing = [run for run in self.runs if not is_done(run, self.folder)]
        for run in self.runs:
            if run not in missing:
                refuse_other_run(run, job, cache)
        return missing

    def check(self, runs: Sequence[Run], cache: TrainCache) -> None:
        """Read the data and make the plan of one run of each condition and arm, before any is trained.

        Raises:
            XqrBenchError: it cannot be done; see `check_run`.
        """
        job = Job(self.numbers, self.folder, self.plan_digest, self.data_dir)
        for run in {(run.condition.name, run.arm.name): run for run in runs}.values():
            check_run(run, job, cache)


def sweep(asked: Sweep, ended: Ended | None = None, say: Say = lambda line: None) -> Path:
    """Do the missing runs and write the summary record.

    A run's folder is complete when it holds `run.json`; what a stopped run left is written over. Same numbers, same
    machine: same bytes of results.

    Args:
        asked: what is wanted.
        ended: called when a run has ended.
        say: is given lines that say how far the runs under way are.

    Returns:
        the path of the summary record.

    Raises:
        UsageError: see `Sweep.missing`.
        XqrBenchError: whatever stops a run; those done by then stay.
    """
    cache = FolderCache(asked.shared_folder)
    missing = asked.missing(cache)
    asked.check(missing, cache)
    ended = ended or (lambda run, well: None)
    about = {"study": asked.study.name, "numbers": asked.numbers.values(), "chosen_by": asked.chosen_by}
    if not (asked.folder / STUDY_FILE).is_file():
        write_text(asked.folder / STUDY_FILE, json.dumps(about, indent=1) + "\n")
    job = Job(asked.numbers, asked.folder, asked.plan_digest, asked.data_dir, asked.study.name, asked.arguments())
    if asked.workers == 1 or len(missing) < 2:
        job = replace(job, numbers=replace(job.numbers, device=devices_of(job.numbers.device)[0]))
        for run in missing:
            ended(run, do_run(run, job, cache, say))
    else:
        del cache  # each process reads what it needs
        _in_processes(missing, job, asked.shared_folder, min(asked.workers, len(missing)), ended, say)
    return write_summary(asked, job.plan)


def _in_processes(runs: Sequence[Run], job: Job, shared_folder: Path, workers: int, ended: Ended, say: Say) -> None:
    with _one_thread_in_children():
        # where it can be, a server imports once and every process is forked from it; it has no thread and no data
        forks = "forkserver" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            context.set_forkserver_preload([__name__])
        devices, lines = context.SimpleQueue(), context.SimpleQueue()
        for _, device in zip(range(workers), cycle(devices_for(job.numbers)), strict=False):
            devices.put(device)
        pool = ProcessPoolExecutor(workers, context, _begin, (job, shared_folder, devices, lines))
        threading.Thread(target=_tell, args=(lines, say), daemon=True).start()
        try:
            futures = {pool.submit(_work, run): run for run in runs}
            for future in as_completed(futures):
                ended(futures[future], future.result())
        except BrokenProcessPool as error:
            raise XqrBenchError(
                "a process of the sweep was ended from outside, perhaps for want of memory",
                remedy="start the same command again: what is done is skipped",
            ) from error
        finally:
            end(pool)  # a run in the middle is done again


def _tell(lines: Any, say: Say) -> None:
    """Hand on what the processes say."""
    while True:
        say(lines.get())


_of_process: list[tuple[Job, FolderCache, Say]] = []


def devices_for(numbers: Numbers) -> tuple[str | None, ...]:
    """The devices that the workers of a sweep take in turn: those that are named, else all GPUs where one is taken."""
    if numbers.device is None and numbers.base != STATIC:
        import torch

        if torch.cuda.is_available():
            return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))
    return devices_of(numbers.device)


def _begin(job: Job, shared_folder: Path, devices: Any, lines: Any) -> None:
    begin()
    job = replace(job, numbers=replace(job.numbers, device=devices.get()))
    _of_process.append((job, FolderCache(shared_folder), lines.put))


def _work(run: Run) -> bool:
    return do_run(run, *_of_process[0])


@contextmanager
def _one_thread_in_children() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


class _Failure(BaseModel):
    id: str
    error: str


class _Numbers(BaseModel):
    base: str
    checkpoints: list[int]
    recipe: dict[str, Any]


class _Study(BaseModel):
    study: str = STUDY
    numbers: _Numbers
    chosen_by: str


class _Chosen(BaseModel):
    learning_rate: float
    temperature: float
    updates: int


class _Choice(BaseModel):
    chosen: _Chosen


def write_summary(asked: Sweep, plan: str) -> Path:
    """One JSON file of all that the folder holds: `<folder>/sweep.json`."""
    names = ("run_group", "scores", "distinct_query_vectors", "files", "seconds")
    runs = {}
    conditions = sorted(path for path in asked.folder.iterdir() if path.is_dir())
    for path in (path for condition in conditions for path in files_of_runs(condition, DONE)):
        run = read_run(path)
        runs[run["id"]] = {name: run[name] for name in names} | {
            "weights": run["training"]["weights_digest"],
            "record_sha256": sha256_of(path),
        }
    again = "remove it and sweep again"
    paths = [path for condition in conditions for path in files_of_runs(condition, FAILED)]
    failed = [read_object(path, _Failure, again) for path in paths]
    tuning = asked.folder / TUNING_FILE
    summary = {
        **read_study(asked.folder),
        "plan": plan,
        "plans_of_runs": sorted({run["run_group"]["plan"] for run in runs.values()}),
        "tuning": read_object(tuning, _Choice, again) if tuning.is_file() else None,
        "failed": failed,
        "runs": runs,
        **versions(),
        "hardware": hardware(asked.numbers.device or "cpu"),
    }
    write_text(asked.folder / SUMMARY, json.dumps(summary, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    return asked.folder / SUMMARY


def read_study(folder: Path) -> dict[str, Any]:
    """The numbers of all runs of a folder, and where they come from.

    Raises:
        RecordError: it cannot be read.
    """
    refuse_other_folder(folder)
    remedy = f"xqr-bench sweep --output {folder}, with the numbers of its runs (remove the file first, if it is there)"
    return read_object(folder / STUDY_FILE, _Study, remedy)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in values.items() if name != "recipe"}, **(values.get("recipe") or {})}


# The numbers of the study, chosen once on held-out training articles (docs/ratio-study-plan.md).

RATES = (0.001, 0.003, 0.01)
TEMPERATURES = (0.02, 0.05, 0.1)
UPDATES = (300, 600, 1200)
FIRST = 600
TUNING_SEEDS = (1000, 1001)
TUNING_ARMS = ("alpha-0", "alpha-0.5", "alpha-1")
_CHOSEN = ("learning_rate", "temperature", "updates")


@dataclass(frozen=True)
class Grid:
    """What is tried; the defaults are those of the plan."""

    rates: Sequence[float] = RATES
    temperatures: Sequence[float] = TEMPERATURES
    updates: Sequence[int] = UPDATES
    first: int = FIRST
    seeds: Sequence[int] = TUNING_SEEDS
    condition: Condition = TUNING

    def runs_of_each(self) -> list[Run]:
        """The runs of one setting of the numbers."""
        parts = product(self.seeds, self.condition.parts, TUNING_ARMS)
        return [Run(self.condition, ARMS[arm], seed, fold) for seed, fold, arm in parts]

    @property
    def chooses_updates(self) -> bool:
        """Whether there is more than one number of updates to choose from."""
        return list(self.updates) != [self.first]

    @property
    def runs(self) -> int:
        """How many runs the choice takes."""
        return len(self.runs_of_each()) * (len(self.rates) * len(self.temperatures) + self.chooses_updates)


GIVEN_GRID = Grid((1e-5, 3e-5), (0.01,), (100,), 100, (1000,), TUNING_GIVEN)
"""What is tried with an initial model from elsewhere (docs/e5-study-plan.md)."""


def tune(
    base: Sweep, grid: Grid | None = None, ended: Ended | None = None, say: Say = lambda line: None
) -> dict[str, Any]:
    """Choose learning rate and temperature with the first number of updates, then the number of updates.

    The criterion is the mean of monolingual and multilingual MAP over alpha 0, .5 and 1 and the seeds, of vectors as
    they are. Runs with the largest number of updates serve both steps: with a constant learning rate a
    checkpoint is what a shorter run gives. The alignment always has as many updates as it has in the study.

    Args:
        base: the sweep that the numbers are for; runs go into `<folder>/tuning/`.
        grid: what is tried.
        ended: called when a run has ended.
        say: is given lines that say how far the runs under way are.

    Returns:
        the choice and the whole table, as written to `<folder>/tuning.json`.
    """
    grid = grid or Grid()

    def tried(name: str, rate: float, temperature: float, updates: Sequence[int]) -> list[dict[str, Any]]:
        """What these numbers give after each of these numbers of updates, the mean over the runs."""
        percents = {n: n * 100 // max(updates) for n in updates}
        recipe = replace(base.numbers.recipe, learning_rate=rate, temperature=temperature, updates=max(updates))
        numbers = replace(base.numbers, recipe=recipe, checkpoints=tuple(sorted(percents.values())))
        folder, runs, shared = base.folder / TUNING.name / name, grid.runs_of_each(), base.shared_folder
        sweep(replace(base, runs=runs, numbers=numbers, folder=folder, chosen_by="grid", shared=shared), ended, say)
        scores = [read_run(folder / run.id / DONE)["scores"] for run in runs if is_done(run, folder)]
        rows = []
        for n, percent in percents.items():
            mono, multi = (
                sum(one[str(percent)][RAW][f"{setting}/map"] for one in scores) / len(scores) if scores else -inf
                for setting in ("monolingual", "multilingual")
            )
            row = {"learning_rate": rate, "temperature": temperature, "updates": n, "monolingual": mono}
            rows.append({**row, "multilingual": multi, "criterion": (mono + multi) / 2, "runs": len(scores)})
        return rows

    first = [
        tried(f"rate-{rate:g}-temperature-{temperature:g}", rate, temperature, [grid.first])[0]
        for rate, temperature in product(grid.rates, grid.temperatures)
    ]
    best = max(first, key=lambda row: row["criterion"])
    second = []
    if grid.chooses_updates:
        second = tried("updates", best["learning_rate"], best["temperature"], grid.updates)
    chosen = max(second or [best], key=lambda row: row["criterion"])
    result = {
        "chosen": {name: chosen[name] for name in _CHOSEN},
        "plan": base.plan_digest,
        "condition": grid.condition.name,
        "seeds": list(grid.seeds),
        "arms": list(TUNING_ARMS),
        "align_updates": base.numbers.align_updates,
        "first_step": first,
        "second_step": second,
    }
    write_text(base.folder / TUNING_FILE, json.dumps(result, indent=1) + "\n")
    return result


def read_choice(folder: Path) -> dict[str, Any] | None:
    """The numbers chosen in this folder; None where none were.

    Raises:
        RecordError: they cannot be read.
    """
    path = folder / TUNING_FILE
    if not path.is_file():
        return None
    return dict(read_object(path, _Choice, "remove it, and choose again with --tune")["chosen"])


def choose_numbers(folder: Path, **given: Any) -> tuple[Numbers, str]:
    """The numbers of the runs of a folder: what is given, what was tuned there, what the recipe has; in this order.

    Args:
        folder: of the study.
        given: as of `numbers_of`.

    Returns:
        the numbers, and where they come from.
    """
    tuned = read_choice(folder) or {}
    options = set(given) - {one.name for one in fields(Numbers)}
    origins = [*(["options"] if options else []), "tuning" if tuned else "recipe"]
    return numbers_of(tuned, **given), ", then ".join(origins)


def options_for(numbers: Numbers, said: Mapping[str, Any]) -> dict[str, Any]:
    """The options with which `choose_numbers` gives these numbers in a new folder.

    Args:
        numbers: of the runs.
        said: option -> its value in the study's file, which need not be given again; empty: there is none.

    Returns:
        option -> value, a text or a number; without those that have their default.
    """
    plain = get_recipe(numbers.recipe.name, schedule="constant")
    at = {"checkpoints": CHECKPOINTS, "base": STATIC, "recipe": recipe_name(numbers.base), "dtype": None}
    usual = {**plain.values(), **at, "align_updates": plain.updates, **said}
    now = {**numbers.recipe.values(), **numbers.values(), "recipe": numbers.recipe.name, "dtype": numbers.dtype}
    for values in (usual, now):
        if not isinstance(values["checkpoints"], str):
            values["checkpoints"] = ",".join(map(str, values["checkpoints"]))
    length, other = ("updates", "tokens") if numbers.recipe.tokens is None else ("tokens", "updates")
    if said.get(other) is not None:
        usual[length] = None  # it counts in place of what the file says only where it is given
    return {name: now[name] for name in SWEEP_NUMBERS if name != other and now[name] != usual[name]}
