"""The numbers of the study, chosen once on held-out training articles (docs/ratio-study-plan.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xqr_bench.files import sha256_of, write_text
from xqr_bench.study.design import ARMS, TUNING, Condition, Numbers, Run
from xqr_bench.study.read import read_object
from xqr_bench.study.scoring import RAW
from xqr_bench.study.sweep import Sweep, Told, read_done, sweep

RATES = (0.001, 0.003, 0.01)
TEMPERATURES = (0.02, 0.05, 0.1)
UPDATES = (300, 600, 1200)
FIRST = 600
TUNING_SEEDS = (1000, 1001)
TUNING_ARMS = ("alpha-0", "alpha-0.5", "alpha-1")
FILE = "tuning.json"
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


def tune(base: Sweep, grid: Grid | None = None, told: Told | None = None) -> dict[str, Any]:
    """Choose learning rate and temperature with the first number of updates, then the number of updates.

    The criterion is the mean of monolingual and multilingual MAP over alpha 0, .5 and 1 and the seeds, of vectors as
    they are. Runs with the largest number of updates serve both steps: with a constant learning rate a
    checkpoint is what a shorter run gives. The alignment always has as many updates as it has in the study.

    Args:
        base: the sweep that the numbers are for; runs go into `<folder>/tuning/`.
        grid: what is tried.
        told: called when a run has ended.

    Returns:
        the choice and the whole table, as written to `<folder>/tuning.json`.
    """
    grid = grid or Grid()
    table = []
    most = max(grid.updates)
    for rate in grid.rates:
        for temperature in grid.temperatures:
            recipe = replace(base.numbers.recipe, learning_rate=rate, temperature=temperature, updates=grid.first)
            numbers = replace(base.numbers, recipe=recipe, checkpoints=(100,))
            means = _means(base, numbers, grid, f"rate-{rate:g}-temperature-{temperature:g}", told)
            table.append({"learning_rate": rate, "temperature": temperature, "updates": grid.first, **means[100]})
    best = max(table, key=lambda row: row["criterion"])
    recipe = replace(
        base.numbers.recipe, learning_rate=best["learning_rate"], temperature=best["temperature"], updates=most
    )
    percents = {updates: updates * 100 // most for updates in grid.updates}
    numbers = replace(base.numbers, recipe=recipe, checkpoints=tuple(sorted(percents.values())))
    means = _means(base, numbers, grid, "updates", told)
    second = [
        {"learning_rate": best["learning_rate"], "temperature": best["temperature"], "updates": n, **means[percents[n]]}
        for n in grid.updates
    ]
    chosen = max(second, key=lambda row: row["criterion"])
    result = {
        "chosen": {name: chosen[name] for name in _CHOSEN},
        "plan": sha256_of(base.plan),
        "condition": grid.condition.name,
        "seeds": list(grid.seeds),
        "arms": list(TUNING_ARMS),
        "align_updates": base.numbers.align_updates,
        "first_step": table,
        "second_step": second,
    }
    write_text(base.folder / FILE, json.dumps(result, indent=1) + "\n")
    return result


def read_choice(folder: Path) -> dict[str, Any] | None:
    """The numbers chosen in this folder; None where none were.

    Raises:
        RecordError: they cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    keys = tuple(f"chosen.{name}" for name in _CHOSEN)
    found: dict[str, Any] = read_object(path, keys, "remove it, and choose again with --tune")["chosen"]
    return found


def tuning_runs(grid: Grid) -> list[Run]:
    """The runs of one setting of the numbers."""
    condition = grid.condition
    return [
        Run(condition, ARMS[arm], seed, fold) for seed in grid.seeds for fold in condition.parts for arm in TUNING_ARMS
    ]


def _means(base: Sweep, numbers: Numbers, grid: Grid, name: str, told: Told | None) -> dict[int, dict[str, Any]]:
    runs = tuning_runs(grid)
    folder = base.folder / "tuning" / name
    sweep(replace(base, runs=runs, numbers=numbers, folder=folder, chosen_by="grid", shared=base.kept), told)
    done = [read_done(run, folder)["scores"] for run in runs if (folder / run.id / "run.json").is_file()]
    result: dict[int, dict[str, Any]] = {}
    for percent in numbers.checkpoints:
        found = [scores[str(percent)][RAW] for scores in done]
        mono, multi = (
            sum(one[f"{setting}/map"] for one in found) / len(found) if found else float("-inf")
            for setting in ("monolingual", "multilingual")
        )
        result[percent] = {
            "monolingual": mono, "multilingual": multi, "criterion": (mono + multi) / 2, "runs": len(found)
        }  # fmt: skip
    return result
