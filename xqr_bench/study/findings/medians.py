"""The runs that go to the leaderboard: of each main arm the seed of median multilingual MAP."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xqr_bench.board.study import study_command
from xqr_bench.record import load_record
from xqr_bench.report.ratio.model import MedianSeed
from xqr_bench.study.design import ARMS, Condition, Run
from xqr_bench.study.scoring import task_file
from xqr_bench.study.statistics import MULTI, Replicates

MAIN_ARMS = ("alpha-0", "alpha-0.5", "alpha-1", "aligned")


def median_seed(values: np.ndarray) -> int:
    """Place of the median, float64 `[seeds]`; of an even number the lower of the two in the middle; ties: the first."""
    order = np.argsort(values, kind="stable")
    return int(order[(len(values) - 1) // 2])


def medians(folder: Path, condition: Condition, found: Replicates, seeds: tuple[int, ...]) -> list[MedianSeed]:
    """One run for each main arm that is there, with the command that makes its record again."""
    made = []
    for arm in MAIN_ARMS:
        if arm not in found.arms or condition.folds:
            continue
        values = found.by_seed[found.place(MULTI, arm)]
        place = median_seed(values)
        run = Run(condition, ARMS[arm], seeds[place])
        record = load_record(task_file(folder / run.id, condition.evaluate))
        made.append(
            MedianSeed(
                arm=arm,
                seed=seeds[place],
                value=float(values[place]),
                median=float(np.median(values)),
                record=task_file(Path(run.id), condition.evaluate).as_posix(),
                command=study_command(record) or "",
            )
        )
    return made
