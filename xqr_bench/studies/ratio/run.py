"""One run: train, score at each checkpoint, write; the last file written says that all is there."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from threadpoolctl import threadpool_limits

from xqr_bench import __version__
from xqr_bench.core import strict_json
from xqr_bench.core.errors import RecordError, TrainingError, XqrBenchError
from xqr_bench.core.files import sha256_of, write_text
from xqr_bench.core.observe import Clock, Observer
from xqr_bench.core.types import Ranks
from xqr_bench.encode import EncoderOptions, load_encoder
from xqr_bench.encode.weights import loaded_from
from xqr_bench.evaluation.evaluate import evaluate, refuse_another
from xqr_bench.evaluation.ranker import Task
from xqr_bench.record import load_record, save_record
from xqr_bench.record.describe import distinct_query_share
from xqr_bench.record.provenance import TrainingRecord
from xqr_bench.studies.ratio.design import PRIMARY, STUDY, Numbers, Run
from xqr_bench.studies.ratio.scoring import (
    CENTRED,
    RAW,
    SUMMED,
    RunData,
    ViewRanker,
    as_it_encodes,
    compact,
    encode,
    load_compact,
    macro_scores,
    run_data,
    save_compact,
    task_file,
)
from xqr_bench.train import STATIC, TrainCache, TrainConfig, train
from xqr_bench.train.data import load_training_data
from xqr_bench.train.losses import choose_loss
from xqr_bench.train.prepare import prepare
from xqr_bench.train.recipe import completed

# Reading the JSON files of a sweep's folder: what a stopped disk or a hand has broken is told, not met later.


def read_object(path: Path, form: type[BaseModel], remedy: str) -> dict[str, Any]:
    """Read a JSON object that has this form, beside whatever else stands in it.

    Raises:
        RecordError: it cannot be read, or has another form.
    """
    try:
        values: dict[str, Any] = strict_json.read(path)
        strict_json.validate(form, values)
    except ValidationError as error:
        raise RecordError(f"{path} cannot be used: {strict_json.first_fault(error)}", remedy=remedy) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise RecordError(f"{path} cannot be read: {why}", remedy=remedy) from error
    return values


# One run: train, score at each checkpoint, write; the last file written says that all is there.

DONE, FAILED = "run.json", "failed.json"
CHECKPOINT_EVERY = 100
"""Updates between checkpoints to resume from; a static model, and a run of no more, is trained in one go."""


class _Group(BaseModel):
    plan: str


class _Weights(BaseModel):
    weights_digest: str


class _Written(BaseModel):
    """What is read again of `run.json`."""

    id: str
    run_group: _Group
    scores: dict[str, dict[str, dict[str, float]]]
    distinct_query_vectors: dict[str, float | None]
    files: dict[str, str]
    training: _Weights
    seconds: dict[str, float]


@dataclass(frozen=True)
class Job:
    """What a run needs besides its design.

    Attributes:
        numbers: the same in all runs.
        folder: of the sweep.
        plan: SHA-256 of the study's plan.
        data_dir: folder with the data files; None: as everywhere.
        study: its name.
        arguments: what its records say of how it was asked for, see `Sweep.arguments`.
    """

    numbers: Numbers
    folder: Path
    plan: str
    data_dir: Path | str | None = None
    study: str = STUDY
    arguments: Mapping[str, Any] = field(default_factory=dict)


def is_done(run: Run, folder: Path) -> bool:
    """Whether the run has its results."""
    return (folder / run.id / DONE).is_file()


def files_of_runs(condition: Path, name: str) -> list[Path]:
    """Files of that name in the folders of a condition's runs, sorted.

    Not those further below: a model that is being trained has a `run.json` of its own.
    """
    return sorted(path for run in ("*/seed-*", "*/seed-*/fold-*") for path in condition.glob(f"{run}/{name}"))


def read_run(path: Path) -> dict[str, Any]:
    """What `do_run` wrote last.

    Raises:
        RecordError: it cannot be read.
    """
    return read_object(path, _Written, "remove the run's folder and sweep again")


def refuse_other_run(run: Run, job: Job, cache: TrainCache) -> None:
    """Check that the results of a run are of what is asked now: numbers, base, data and version.

    Raises:
        RecordError: they are of something else, or cannot be read.
    """
    path = job.folder / run.id / DONE
    remedy = "sweep into another folder, or remove the run's folder and sweep again"
    was, data, bitext = read_run(path), run_data(run, cache, job.data_dir), run.condition.bitext
    evaluated = task_file(path.parent, data.task.name)
    try:
        training = strict_json.validate(TrainingRecord, was["training"])
    except ValidationError as error:
        raise RecordError(
            f"{path} holds no training record", found=strict_json.first_fault(error), remedy=remedy
        ) from error
    pairs: dict[str, tuple[object, object]] = {
        **design_pairs(run, was),
        "numbers": (as_now(was.get("numbers") or {}), json.loads(json.dumps(job.numbers.values()))),
        "files of the task": (load_record(evaluated).task.files, dict(data.task.files)),
        "version of xqr-bench": (training.code_version, __version__),
    }
    base = Path(job.numbers.base).expanduser()
    if job.numbers.base != STATIC and base.is_dir():
        pairs["files of the base"] = (training.base.digest, loaded_from(base)[0])
    if training.training is not None:
        pairs["training data"] = ([part.digest for part in training.training.data], [data.train.digest])
    if training.training is not None and training.loss:
        pairs["loss"] = (training.loss, _loss_identity(run, job, cache))
    if training.alignment is not None and bitext is not None:
        now = _bitext_digest(bitext, job, cache)
        pairs["bitext"] = ([part.digest for part in training.alignment.data], [now])
    refuse_another(path, pairs, remedy)


def design_pairs(run: Run, was: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """What condition and arm decided of a run that is done, and what they decide now, fact by fact.

    Args:
        run: as it is now.
        was: its `run.json`; an early one does not say, and is taken to be the same.
    """
    now = dict(_facts(run.design(), "design"))
    then = dict(_facts(was["design"], "design")) if "design" in was else now
    return {name: (then.get(name), now.get(name)) for name in {**then, **now}}


def _facts(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield name, value
    else:
        for key, one in value.items():
            yield from _facts(one, f"{name}.{key}")


def as_now(numbers: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a file, with those of its recipe that an earlier version did not know."""
    return {**numbers, "recipe": completed(numbers.get("recipe") or {})}


def _loss_identity(run: Run, job: Job, cache: TrainCache) -> dict[str, Any]:
    """What a training record says of the loss of a run now: the digest of a teacher, for one."""
    recipe = replace(job.numbers.recipe, **run.arm.recipe)
    key = ("loss", recipe.loss, json.dumps(recipe.loss_args, sort_keys=True))
    chosen = choose_loss(recipe.loss, recipe.loss_args, recipe.mini_batch)
    return cache.get("digest", key, chosen.identity)


def _bitext_digest(bitext: str, job: Job, cache: TrainCache) -> str:
    key = ("study data", bitext, job.data_dir)
    return cache.get("digest", key, lambda: load_training_data(bitext, data_dir=job.data_dir).digest)


class RunStatus(Observer):
    """Tells how far a run is in one line, a second after the line before at the earliest.

    Args:
        run: whose id stands before it.
        say: is given the line.
    """

    def __init__(self, run: Run, say: Callable[[str], None]) -> None:
        self._run, self._say = run, say
        self._phases: list[tuple[str, int | None]] = []
        self._done, self._told, self._status = 0, -math.inf, ""

    def start(self, phase: str, total: int | None = None) -> None:
        """Say what begins."""
        self._phases.append((phase, total))
        self._done, self._told, self._status = 0, -math.inf, ""
        self.advance(0)

    def advance(self, steps: int, status: str = "") -> None:
        """Count, and say how it stands."""
        self._done += steps
        self._status = status or self._status
        now = time.monotonic()
        if self._phases and now >= self._told + 1:
            self._told = now
            phase, total = self._phases[-1]
            counted = "" if total is None else f" {self._done:,} of {total:,}"
            self._say(", ".join(part for part in (f"{self._run.id}: {phase}{counted}", self._status) if part))

    def finish(self) -> None:
        """Go back to the phase around it."""
        self._phases.pop()

    def note(self, line: str) -> None:
        """Say nothing: what a run warns of stands in its record, once a run of hundreds."""


def do_run(run: Run, job: Job, cache: TrainCache, say: Callable[[str], None] = lambda line: None) -> bool:
    """Train and score; a loss that is no number is tried once more, and then noted as failed.

    Writes, in `<folder>/<run.id>/`, `checkpoint-<percent>.npz` (see `compact`; 000: no update of training), the full
    record of the primary checkpoint with its ranks, and `run.json`.

    Args:
        run: which.
        job: what it needs.
        cache: what it shares with others.
        say: is given a line now and then that says how far it is.

    Returns:
        whether there are results.
    """
    for _ in range(2):
        try:
            with _one_thread():
                _Work(run, job, cache, RunStatus(run, say)).go()
        except TrainingError as error:
            failure = {"id": run.id, "error": str(error)}
        else:
            (job.folder / run.id / FAILED).unlink(missing_ok=True)
            return True
    write_text(job.folder / run.id / FAILED, json.dumps(failure, indent=1) + "\n")
    return False


def check_run(run: Run, job: Job, cache: TrainCache) -> None:
    """Read the data of a run and make its plan of batches, with no model.

    Raises:
        UsageError: the data does not fill the batches, or lacks a language that is held out, or does not suit the loss.
        DataError: data that is missing or damaged.
    """
    try:
        config = _Work(run, job, cache, Observer())._config()
        recipe = replace(config.values, tokens=None)  # how many updates a budget allows takes a model to say
        prepare(replace(config, recipe=recipe, look_for=(), output=None, checkpoint_every=0, resume=False), cache)
    except XqrBenchError as error:
        error.problem = f"{run.condition.name}, {run.arm.name}: {error.problem}"
        raise


class _Work:
    def __init__(self, run: Run, job: Job, cache: TrainCache, observe: Observer) -> None:
        self.run, self.job, self.cache, self.place = run, job, cache, job.folder / run.id
        self.clock, self.observe = Clock(), observe
        with self.clock.phase("reading"), observe.phase("reading"):
            self.data: RunData = run_data(run, cache, job.data_dir)
        self.seconds: Counter[str] = Counter()
        self.scores: dict[str, Any] = {}
        self.distinct: dict[str, float | None] = {}
        self.updates: int | None = None  # that a budget of tokens allowed
        # the training of a model that is not static may take hours: checkpoints to resume from stand here until its end
        short = job.numbers.most_updates <= CHECKPOINT_EVERY
        self.model = None if short or job.numbers.base == STATIC else self.place / "model"

    def go(self) -> None:
        """All of it."""
        at = {self.job.numbers.updates_at(percent): percent for percent in self.job.numbers.checkpoints}
        config = self._config()
        with self.clock.phase("training and scoring"):
            result = train(
                config,
                cache=self.cache,
                observe=self.observe,
                on_kept=lambda step, model, record: self._score(model, record, at[step]),
                arguments={"study": self.job.study, "run": self.run.id, **self.job.arguments},
                save=False,  # its results are kept, and the command that makes it again
            )
        if self.run.arm.plan is None:
            with self.observe.phase("scoring"):
                self._score(result.model, result.record, 0)
        elif config.values.tokens is not None:
            assert result.record.training is not None
            self.updates = result.record.training.updates
            with self.observe.phase("scoring"):
                self._score(result.model, result.record, PRIMARY)
        else:
            self._take_over()
        self._finish(result.record)

    def _config(self) -> TrainConfig:
        run, numbers = self.run, self.job.numbers
        condition, arm = run.condition, run.arm
        static = numbers.base == STATIC
        updates = numbers.updates_at(max(numbers.checkpoints)) if arm.plan is not None else 0
        aligned = condition.bitext is not None and condition.aligned and arm.aligned
        plan = dict(arm.plan or {})
        if arm.turn:
            plan["turn"] = numbers.recipe.updates // 2
        recipe = replace(numbers.recipe, **{**arm.recipe, "updates": updates, "patience": 0})
        if not updates:
            recipe = replace(recipe, tokens=None)
        return TrainConfig(
            base=numbers.base,
            data=[self.data.train],
            seed=run.seed,
            recipe=recipe,
            align=condition.bitext if aligned else None,
            align_updates=numbers.align_updates if aligned else None,
            vocabulary_texts=(condition.bitext,) if static and condition.bitext and not aligned else (),
            data_dir=self.job.data_dir,
            look_for=() if self._exposure() else (condition.evaluate,),
            save_at=sorted(map(numbers.updates_at, numbers.checkpoints)) if updates and recipe.tokens is None else (),
            output=self.model,
            checkpoint_every=0 if self.model is None else CHECKPOINT_EVERY,
            resume=self.model is not None,
            options=EncoderOptions(device=numbers.device),
            **plan,
        )

    def _exposure(self, made: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the data holds of the task's texts: looked for once, the same in all arms."""
        condition, task = self.run.condition, self.data.task
        bitext = condition.bitext and _bitext_digest(condition.bitext, self.job, self.cache)
        files = tuple(sorted(task.files.items()))
        key = (self.data.train.digest, bitext, task.name, files, str(task.partial), __version__)
        found: dict[str, Any] | None = self.cache.known("exposure", key)
        return self.cache.get("exposure", key, lambda: made) if found is None and made else found or {}

    def group(self, percent: int) -> dict[str, Any]:
        """`run_group` of a record."""
        run, numbers = self.run, self.job.numbers
        return {
            "study": self.job.study,
            "condition": run.condition.name,
            "arm": run.arm.name,
            "seed": run.seed,
            "fold": run.fold,
            "checkpoint": percent,
            "updates": numbers.updates_at(percent) if self.updates is None else self.updates,
            "plan": self.job.plan,
        }

    def _score(self, model: Any, training: TrainingRecord, percent: int) -> None:
        training = self._with_exposure(training)
        clock, encoding, data, group = Clock(), Clock(), self.data, self.group(percent)
        task = Task(data.spec, data.task)
        with encoding.phase("encoding"):
            model = as_it_encodes(model, self.job.numbers.dtype)
            encoder = load_encoder(model)
            vectors = encode(model, encoder, data, self.cache)
        name = f"ratio-study/{self.run.id.replace('/', '_')}"
        rankers = {
            RAW: ViewRanker(name, encoder, vectors, group, seconds=encoding.seconds),
            CENTRED: ViewRanker(name, encoder, vectors, group, centred=True),
        }
        if percent in (0, PRIMARY):
            rankers[RAW].training = training
        ranks: dict[str, Ranks] = {}
        for view, ranker in rankers.items():
            # intervals of one run say nothing of an arm, and take longer than all the rest
            metrics = SUMMED if ranker.training is None else None
            (record,) = evaluate(ranker, [task], metrics=metrics, intervals=False)
            ranks[view] = record.ranks
            self.seconds.update(record.provenance.seconds)
            if ranker.training is not None:
                self.distinct = {code: distinct_query_share(one) for code, one in record.diagnostics.items()}
                with clock.phase("writing"):
                    save_record(record, task_file(self.place, data.task.name))
        with clock.phase("summing"):
            views = {view: compact(of, data.articles, data.n_articles) for view, of in ranks.items()}
        about = {
            "run_group": group,
            "languages": list(data.task.languages),
            "trained": training.languages.trained,
            "weights": training.weights_digest,
        }
        if not about["trained"]:  # what other arms are trained on, which tells languages apart here too
            about["trainable"] = list(data.train.languages)
        with clock.phase("writing results"):
            save_compact(views, about, self._compact_file(percent))
        self.scores[str(percent)] = {name: macro_scores(sums) for name, sums in views.items()}
        self.seconds.update(clock.seconds)

    def _take_over(self) -> None:
        """Read what was scored before a stop: a training that is resumed does not come by its earlier checkpoints."""
        for percent in self.job.numbers.checkpoints:
            if str(percent) not in self.scores:
                views, _ = load_compact(self._compact_file(percent))
                self.scores[str(percent)] = {name: macro_scores(sums) for name, sums in views.items()}
        self.scores = dict(sorted(self.scores.items(), key=lambda item: int(item[0])))
        if PRIMARY in self.job.numbers.checkpoints and not self.distinct:
            diagnostics = load_record(task_file(self.place, self.data.task.name)).diagnostics
            self.distinct = {code: distinct_query_share(one) for code, one in diagnostics.items()}

    def _compact_file(self, percent: int) -> Path:
        return self.place / f"checkpoint-{percent:03d}.npz"

    def _with_exposure(self, training: TrainingRecord) -> TrainingRecord:
        return training.model_copy(update={"exposure": self._exposure(training.exposure)})

    def _finish(self, training: TrainingRecord) -> None:
        names = sorted(path.name for path in self.place.iterdir() if path.is_file() and path.name not in (DONE, FAILED))
        seconds = {**self.clock.seconds, **training.seconds}
        done = {
            "id": self.run.id,
            "run_group": self.group(PRIMARY),
            "numbers": self.job.numbers.values(),
            "design": self.run.design(),
            "scores": self.scores,
            "distinct_query_vectors": self.distinct,
            "files": {name: sha256_of(self.place / name) for name in names if not name.startswith(".")},
            "training": self._with_exposure(training).model_dump(mode="json"),
            "seconds": {name: round(value, 3) for name, value in (*seconds.items(), *self.seconds.items())},
        }
        write_text(self.place / DONE, json.dumps(done, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


@contextmanager
def _one_thread() -> Iterator[None]:
    """The last bits of a sum depend on the number of threads: every run has one, however many there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
