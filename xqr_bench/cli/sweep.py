"""`xqr-bench sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xqr_bench.cli.common import beside_package, split
from xqr_bench.cli.printing import echo
from xqr_bench.core.errors import UsageError

if TYPE_CHECKING:
    from xqr_bench.studies.ratio.design import Numbers, Run
    from xqr_bench.studies.ratio.sweep import Sweep

PLAN = Path("docs") / "ratio-study-plan.md"


@click.command(short_help="Do the runs of the ratio study that a folder lacks.")
@click.option("--output", type=click.Path(file_okay=False), required=True, help="Folder of the study.")
@click.option("--condition", "conditions", multiple=True, help="S1b, S1a, S2, S3 or demo; repeat for more.")
@click.option("--arm", "arms", multiple=True, help="Repeat for more. Default: all.")
@click.option("--seeds", default="0-9", show_default=True, help="Such as 0-9 or 0,3,5-7.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes, each with one thread.")
@click.option("--tune", is_flag=True, help="First choose the numbers of the recipe on held-out training articles.")
@click.option("--plan", type=click.Path(), help="The study's plan; its SHA-256 stands in every record.")
@click.option("--base", default="static", show_default=True, help="Initial model, as for train.")
@click.option("--recipe", help="static or paper. Default: static for --base static, else paper.")
@click.option("--updates", type=int, help="100% of the updates. Default: what was tuned here, else the recipe's.")
@click.option("--learning-rate", type=float, help="Default: what was tuned here, else the recipe's.")
@click.option("--temperature", type=float, help="Default: what was tuned here, else the recipe's.")
@click.option("--batch-size", type=int, help="Default: the recipe's.")
@click.option("--precision", help="fp32, bf16 or fp16. Default: the recipe's.")
@click.option("--mini-batch", type=int, help="Rows in memory at once (gradient caching).")
@click.option(
    "--align-updates", type=int, help="Updates of the alignment. Default: as many as the recipe has, untuned."
)
@click.option("--device", help="Such as cpu, cuda. Default: the best there is; static: cpu.")
@click.option("--data-dir", type=click.Path(), help="Folder with the data files of tasks. Default: XQR_BENCH_DATA.")
@click.option("--dry-run", is_flag=True, help="List the runs; do nothing.")
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the summary record.")
def sweep(**options: Any) -> None:
    """Train and score each arm of the ratio study with each seed (docs/ratio-study-how.md).

    Stop it at any time; the same command goes on: runs that have their results in the folder are skipped.
    """
    from xqr_bench.studies.ratio.design import list_runs
    from xqr_bench.studies.ratio.sweep import Sweep
    from xqr_bench.studies.ratio.sweep import sweep as run

    conditions = options["conditions"] or (("S1b",) if options["base"] == "static" else ("S1a",))
    runs = list_runs(conditions, options["arms"] or None, _seeds(options["seeds"]))
    folder = Path(options["output"]).expanduser()
    numbers, chosen_by = _numbers(options, folder)
    asked = Sweep(runs, numbers, folder, _plan(options["plan"]), options["workers"], options["data_dir"], chosen_by)
    if options["dry_run"]:
        _list(asked)
        return
    _need_accelerate()
    if options["tune"]:
        _tune(asked, options)
        numbers, chosen_by = _numbers(options, folder)
        asked = Sweep(runs, numbers, folder, asked.plan, asked.workers, asked.data_dir, chosen_by)
    missing = asked.missing()
    with _Bar("runs", len(missing), options["quiet"]) as bar:
        if len(missing) < len(runs):
            bar.say(f"{len(runs) - len(missing)} of {len(runs)} runs have their results and are skipped")
        path = run(asked, bar.told)
    echo(str(path) if options["quiet"] else f"summary: {path}")


def _numbers(options: dict[str, Any], folder: Path) -> tuple[Numbers, str]:
    from xqr_bench.studies.ratio.design import Numbers
    from xqr_bench.studies.ratio.sweep import read_choice
    from xqr_bench.train.recipe import get_recipe

    base = options["base"]
    plain = get_recipe(options["recipe"] or ("static" if base == "static" else "paper"), schedule="constant")
    tuned = read_choice(folder) or {}
    names = ("updates", "learning_rate", "temperature", "batch_size", "precision", "mini_batch")
    given = {name: options[name] for name in names if options[name] is not None}
    recipe = get_recipe(plain.name, schedule="constant", **{**tuned, **given})
    align = plain.updates if options["align_updates"] is None else options["align_updates"]
    by = [*(["options"] if given else []), "tuning" if tuned else "recipe"]
    return Numbers(base, recipe, align, device=options["device"]), ", then ".join(by)


def _tune(asked: Sweep, options: dict[str, Any]) -> None:
    from xqr_bench.studies.ratio.sweep import Grid, read_choice, tune, tuning_runs

    if read_choice(asked.folder) is not None:
        return
    grid = Grid()
    total = len(tuning_runs(grid)) * (len(grid.rates) * len(grid.temperatures) + 1)
    with _Bar("tuning", total, options["quiet"]) as bar:
        chosen = tune(asked, grid, bar.told)["chosen"]
    if not options["quiet"]:
        echo("chosen: " + ", ".join(f"{name} {value:g}" for name, value in chosen.items()))


class _Bar:
    """Runs that are done, and the time left."""

    def __init__(self, phase: str, total: int, quiet: bool) -> None:
        from xqr_bench.cli.progress import RunProgress

        self._progress, self._phase, self._total = RunProgress(quiet=quiet), phase, total
        self.say = self._progress.note

    def __enter__(self) -> _Bar:
        self._progress.__enter__()
        self._progress.start(self._phase, self._total)
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.finish()
        self._progress.__exit__(*error)

    def told(self, run: Run, well: bool) -> None:
        """One more run has ended."""
        self._progress.advance(1)
        if not well:
            self.say(f"{run.id}: the loss is no number, twice; its seed is left out of all arms")


def _list(asked: Sweep) -> None:
    missing = asked.missing()
    for item in missing:
        echo(item.id)
    values = asked.numbers.recipe
    echo(
        f"{len(missing)} of {len(asked.runs)} runs are missing; numbers by {asked.chosen_by}: "
        f"{values.updates} updates, learning rate {values.learning_rate:g}, temperature {values.temperature:g}"
    )
    echo("dry run: nothing was trained")


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for part in split(text) or []:
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise UsageError(f"--seeds {text!r} cannot be read", remedy="write them as 0-9 or 0,3,5-7")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def _plan(given: str | None) -> Path:
    return beside_package(PLAN) if given is None else Path(given).expanduser()


def _need_accelerate() -> None:
    from xqr_bench.cli.train import _need_accelerate as need

    need()
