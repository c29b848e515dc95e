"""`xqr-bench sweep`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import click

from xqr_bench.cli.common import if_stopped, study_plan
from xqr_bench.cli.options import given
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import DataError, UsageError
from xqr_bench.core.options import Folder, Option, Part, Sections, from_one, takes
from xqr_bench.train.recipe import OF_TRANSFORMERS, Recipe

if TYPE_CHECKING:
    from xqr_bench.core.observe import Observer
    from xqr_bench.studies.ratio.design import Run
    from xqr_bench.studies.ratio.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class Study:
    """Which runs are done, and where.

    Attributes:
        output: Folder of the study.
        conditions: S1b, S1a, S2, S3, E1, demo, or one of FILE; repeat for more. Default: S1b; with another base E1.
        arms: Repeat for more; also another ratio, such as alpha-0.3. Default: all of the plan, or of FILE.
        seeds: Such as 0-9 or 0,3,5-7.
        workers: Processes, each with one thread.
        tune: First choose the numbers of the recipe on held-out training articles.
        plan: The study's plan; its SHA-256 stands in every record. Default: that of the built-in study, or FILE.
        data_dir: Folder with the data files of tasks. Default: XQR_BENCH_DATA.
        dry_run: List the runs; do nothing.
        quiet: Print nothing but the path of the summary record.
    """

    output: Folder | None = None
    conditions: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    seeds: str = "0-9"
    workers: Annotated[int, Option(parse=from_one)] = 1
    tune: bool = False
    plan: Path | None = None
    data_dir: Path | str | None = None
    dry_run: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Chosen:
    """The numbers of all runs: arguments of `choose_numbers` beside those of the recipe.

    Attributes:
        base: Initial model, as for train.
        recipe: static or paper. Default: static for --base static, else paper.
        align_updates: Updates of the alignment. Default: as many as the recipe has, untuned.
        checkpoints: Percent of the updates at which a run is scored, 100 among them; it is trained to the last.
            Default: 25,50,100,200, so a run has twice the updates.
        device: Such as cpu, cuda. Default: the best there is; static: cpu.
        dtype: Type in which a trained model encodes the task: float32, bfloat16 or float16. Default: float32.
    """

    section: ClassVar = "Numbers of all runs"

    base: str = "static"
    recipe: str | None = None
    align_updates: int | None = None
    checkpoints: str | None = None
    device: str | None = None
    dtype: str | None = None


_TUNED = "Default: what was tuned here, else the recipe's."
VALUES = {
    "updates": f"100% of the updates (see --checkpoints). {_TUNED}",
    "tokens": "In place of --updates: each run has as many as these tokens allow, as of train; --checkpoints 100.",
    "learning_rate": _TUNED,
    "temperature": _TUNED,
    "batch_size": "Default: the recipe's.",
    "precision": "fp32, bf16 or fp16. Default: the recipe's.",
    "mini_batch": "Rows in memory at once (gradient caching).",
    "query_prompt": "Put before each query. Default: the recipe's.",
    "passage_prompt": "Put before each passage. Default: the recipe's.",
}


_NOT_OF_STUDY = ("name", "schedule", "warmup", "patience", "validate_every")
"""Values of a recipe that a study does not leave open: its rate is constant, and nothing is validated."""
IN_FILE: dict[str, type] = {
    **{one.name: Study for one in fields(Study) if one.name not in ("dry_run", "quiet", "tune")},
    **{one.name: Chosen for one in fields(Chosen)},
    **{one.name: Recipe for one in fields(Recipe) if one.name not in _NOT_OF_STUDY},
}
"""Key before the first table of a study file -> the dataclass that checks it."""


@click.command(cls=Sections)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@takes(
    study=Study,
    chosen=Part(Chosen),
    values=Part(Recipe, only=(*VALUES, *OF_TRANSFORMERS), defaults=False, help=VALUES),
)
@click.pass_context
def sweep(
    ctx: click.Context, /, study: Study, chosen: dict[str, Any], values: dict[str, Any], file: Path | None
) -> None:
    """Train and score each arm of the ratio study with each seed (docs/ratio-study-how.md).

    FILE is a study of your own in TOML: its conditions, arms and numbers. An option that is given here counts in place
    of what FILE says. Stop it at any time; the same command goes on: runs that have their results in the folder are
    skipped.
    """
    from xqr_bench.studies.ratio.design import GIVEN, list_runs, plan_of, read_seeds
    from xqr_bench.studies.ratio.study_file import built_in, read_study
    from xqr_bench.studies.ratio.sweep import Sweep, choose_numbers
    from xqr_bench.train.workspace import need_accelerate

    typed = {key: value for key, value in {**vars(study), **chosen, **values}.items() if key in given(ctx)}
    own = built_in() if file is None or str(file) == built_in().name else read_study(file, IN_FILE, typed)
    said = own.together or {}
    study = replace(study, **{name: value for name, value in said.items() if IN_FILE[name] is Study})
    chosen |= {name: value for name, value in said.items() if IN_FILE[name] is Chosen}
    values = values if own.path is None else {key: value for key, value in said.items() if IN_FILE[key] is Recipe}
    output = study.output
    if output is None:
        raise UsageError("there is no place for the results", remedy="give --output DIR")
    seeds = read_seeds(study.seeds)
    if own.path is not None:
        if study.tune:
            raise UsageError("--tune is for the built-in study", remedy="write the numbers into the file")
        runs, plan = own.runs(study.conditions, study.arms, seeds), study.plan or own.path
    else:
        conditions = study.conditions or (("S1b",) if chosen["base"] == "static" else (GIVEN,))
        plan = study_plan(study.plan, plan_of(conditions))
        runs = list_runs(conditions, study.arms or None, seeds)

    def asked() -> Sweep:
        numbers, chosen_by = choose_numbers(output, **chosen, **values)
        return Sweep(runs, numbers, output, plan, study.workers, study.data_dir, chosen_by, study=own)

    if study.dry_run:
        _list(asked())
        return
    need_accelerate()
    with if_stopped(lambda: f"runs that have their results in {study.output} are kept: the same command goes on"):
        path = _sweep(study, output, asked)
    echo(str(path) if study.quiet else f"summary: {path}")


def _sweep(study: Study, output: Path, asked: Callable[[], Sweep]) -> Path:
    from xqr_bench.cli.progress import SweepProgress
    from xqr_bench.studies.ratio.sweep import GIVEN_GRID, Grid, read_choice, tune
    from xqr_bench.studies.ratio.sweep import sweep as run
    from xqr_bench.train.recipe import STATIC

    if study.tune and read_choice(output) is None:
        grid = Grid() if asked().numbers.base == STATIC else GIVEN_GRID
        with SweepProgress(quiet=study.quiet) as observe, observe.phase("tuning", grid.runs):
            best = tune(asked(), grid, partial(_ended, observe), partial(observe.advance, 0))["chosen"]
        if not study.quiet:
            echo("chosen: " + ", ".join(f"{name} {value:g}" for name, value in best.items()))
    these = asked()
    missing, all_runs = these.missing(), len(these.runs)
    with SweepProgress(quiet=study.quiet) as observe, observe.phase("runs", len(missing)):
        if len(missing) < all_runs:
            observe.note(f"{all_runs - len(missing)} of {all_runs} runs have their results and are skipped")
        return run(these, partial(_ended, observe), partial(observe.advance, 0))


def _ended(observe: Observer, run: Run, well: bool) -> None:
    observe.advance(1)
    if not well:
        observe.note(f"{run.id}: the loss is no number, twice; its seed is left out of all arms")


def _list(asked: Sweep) -> None:
    from xqr_bench.train.workspace import TrainCache

    cache = TrainCache()
    missing = asked.missing(cache)
    for item in missing:
        echo(item.id)
    values, trained = asked.numbers.recipe, {run.arm.name: run for run in asked.runs if run.arm.plan is not None}
    numbers = [f"learning rate {values.learning_rate:g}", f"temperature {values.temperature:g}"]
    arms_of: dict[int | None, list[str]] = {}
    for name, run in trained.items():
        arms_of.setdefault(run.tokens(values), []).append(name)
    if values.tokens in arms_of:
        numbers.insert(0, f"{values.updates} updates" if values.tokens is None else f"{values.tokens} tokens")
    lengths = [
        f"{'each is' if len(arms_of) == 1 else ', '.join(arms) + ':'} trained for "
        + (f"{asked.numbers.most_updates} updates" if tokens is None else f"{tokens} tokens")
        for tokens, arms in arms_of.items()
    ]
    echo(
        f"{len(missing)} of {len(asked.runs)} runs are missing; numbers by {asked.chosen_by}: {', '.join(numbers)}; "
        f"{'; '.join(lengths) or 'none is trained'} and scored at {', '.join(map(str, asked.numbers.checkpoints))}%"
    )
    for name, run in trained.items():
        if own := ", ".join(f"{key} {value}" for key, value in run.arm.recipe.items() if value != {}):
            echo(f"{name} has of its own: {own}")
    try:
        asked.check(missing, cache)
    except DataError as error:  # the list of a study is of use before its data is there
        echo(f"not checked against the data: {error.fault}")
    echo("dry run: nothing was trained")
